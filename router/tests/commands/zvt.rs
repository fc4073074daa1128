//! Does `tillswitch zvt decode` explain frames as it should, and hide what nobody should read?

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn decode(arguments: &[&str], input: &[u8]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tillswitch"));
    command.args(["zvt", "decode"]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// Frame and expected JSON in turn, each reviewed by hand.
#[test]
fn frames_mean_what_was_reviewed() {
    let lines: Vec<&str> =
        include_str!("zvt_decoded.txt").lines().filter(|line| !line.is_empty() && !line.starts_with("//")).collect();
    assert!(lines.len() >= 24, "the reviewed frames were not read");
    let frames: Vec<&str> = lines.iter().step_by(2).copied().collect();
    let (code, out, err) = decode(&["-", "--json"], frames.join("\n").as_bytes());
    assert_eq!((code, err.as_str()), (0, ""));
    let found: Vec<&str> = out.lines().collect();
    let expected: Vec<&str> = lines.iter().skip(1).step_by(2).copied().collect();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(*found, expected);
    }
}

#[test]
fn a_page_is_readable() {
    let (code, out, err) = decode(&["06 01 0A 04 00 00 00 00 25 90 49 09 78"], b"");
    assert_eq!((code, err.as_str()), (0, ""));
    let expected = "\
ECR → PT  06 01  authorization  (10 bytes)
  04  amount         00 00 00 00 25 90  25.90 EUR
  49  currency code  09 78              EUR

";
    assert_eq!(out, expected);
}

#[test]
fn what_is_wrong_names_its_line_and_the_others_are_told() {
    let (code, out, err) = decode(&["-"], b"PT> 80 00 00\n\nsale 25.90\n060F05 1900\nECR> 06 B0 00\n");
    assert_eq!(code, 1);
    assert!(out.starts_with("PT → ECR  80 00  positive answer") && out.contains("06 B0  abort by the ECR"), "{out}");
    assert!(out.contains("! the length field says 5 bytes, 2 bytes follow"), "{out}");
    assert!(err.contains("line 3: `s` is no hexadecimal digit") && err.contains("line 4: the length field"), "{err}");
}

#[test]
fn passwords_and_cards_are_shown_on_demand_only() {
    let frames = ["06 93 03 12 34 56", "04 0F 0B 22 F0 F8 41 11 11 11 11 11 11 11"];
    for (frame, secret) in frames.into_iter().zip(["123456", "4111111111111111"]) {
        for json in [&[frame][..], &[frame, "--json"]] {
            let (code, out, err) = decode(json, b"");
            assert_eq!((code, err.as_str()), (0, ""));
            assert!(!out.replace(' ', "").contains(secret), "{out}");
            let (_, out, err) = decode(&[json, &["--unmasked"]].concat(), b"");
            assert!(out.replace(' ', "").contains(secret) && err.starts_with("warning: "), "{out}{err}");
        }
    }
}
