//! Whether what the fuzz targets check holds for the seeds in the repository, without a fuzzer.
//!
//! The checks are the fuzz targets' own, and so are the seeds: inputs that reach different code, one per line.

#[path = "../fuzz/src/lib.rs"]
mod properties;

fn run(seeds: &str, check: fn(&[u8])) {
    let inputs: Vec<Vec<u8>> = seeds.lines().map(bytes_of).collect();
    assert!(inputs.len() > 15, "the seeds were not read");
    inputs.iter().for_each(|input| check(input));
}

fn bytes_of(line: &str) -> Vec<u8> {
    let digits = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    line.as_bytes().chunks(2).map(|pair| digits(pair).expect("a seed is hexadecimal")).collect()
}

#[test]
fn webhooks() {
    run(include_str!("../fuzz/seeds/webhook.txt"), properties::webhook::check);
}

#[test]
fn signatures() {
    run(include_str!("../fuzz/seeds/signature.txt"), properties::signature::check);
}

#[test]
fn configurations() {
    run(include_str!("../fuzz/seeds/configuration.txt"), properties::configuration::check);
}

#[test]
fn heads() {
    run(include_str!("../fuzz/seeds/head.txt"), properties::head::check);
}
