//! Whether what the fuzz target checks holds for the seeds in the repository, without a fuzzer.
//!
//! The check is the fuzz target's own, and so are the seeds: inputs that reach different code, one per line.

#[path = "../fuzz/src/lib.rs"]
mod properties;

fn bytes_of(line: &str) -> Vec<u8> {
    let digits = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    line.as_bytes().chunks(2).map(|pair| digits(pair).expect("a seed is hexadecimal")).collect()
}

#[test]
fn answers() {
    let inputs: Vec<Vec<u8>> = include_str!("../fuzz/seeds/answer.txt").lines().map(bytes_of).collect();
    assert!(inputs.len() > 20, "the seeds were not read");
    inputs.iter().for_each(|input| properties::answer::check(input));
}
