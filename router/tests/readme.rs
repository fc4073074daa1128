//! The README's commands work, and what it shows is what is printed.
#![allow(clippy::unwrap_used)] // a panic is the report of a test

mod readme_console;

use std::fs;
use std::path::Path;
use std::process::Command;

use readme_console::Console;
use tillswitch::code::Code;

fn readme() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    fs::read_to_string(path).unwrap()
}

/// The fenced blocks that follow a marker, in order.
fn blocks(text: &str, marker: &str) -> Vec<String> {
    let marker = format!("<!-- {marker} -->\n");
    let found: Vec<String> = text
        .split(&marker)
        .skip(1)
        .map(|rest| {
            let body =
                rest.strip_prefix("```").and_then(|rest| rest.split_once('\n')).expect("a block follows a marker").1;
            body.split_once("```").expect("a block has an end").0.to_owned()
        })
        .collect();
    assert!(!found.is_empty(), "the README has no block behind {marker}");
    found
}

#[test]
fn the_demo_prints_what_the_readme_shows() {
    let output = Command::new(env!("CARGO_BIN_EXE_tillswitch")).args(["demo", "--once"]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let shown = blocks(&readme(), "demo").concat();
    assert!(printed.contains(shown.trim_end()), "the README shows\n{shown}\nand the demo prints\n{printed}");
}

#[test]
fn the_first_terminal_works_as_written() {
    let mut console = Console::open();
    for block in blocks(&readme(), "console: first terminal") {
        for line in block.lines() {
            console.run(line);
        }
    }
    let answers = console.answers();
    assert!(answers[0].contains("200 ") && answers[0].contains("\"status\":\"success\""), "{}", answers[0]);
    assert!(answers[1].contains("\"state\":\"approved\""), "{}", answers[1]);
    assert!(answers[2].contains("tillswitch_payments_total"), "{}", answers[2]);
}

#[test]
fn a_terminal_on_a_serial_line_works_as_written() {
    let mut console = Console::open();
    for block in blocks(&readme(), "console: serial terminal") {
        for line in block.lines() {
            console.run(line);
        }
    }
    let printed = console.printed();
    assert!(printed.contains("counter  ready"), "{printed}");
    assert!(printed.contains("approved") && printed.contains("1.00"), "{printed}");
}

#[test]
fn a_frame_is_explained_as_shown() {
    let command = blocks(&readme(), "console: zvt decode").concat();
    let frame = command.split('\'').nth(1).expect("the frame is quoted");
    let output = Command::new(env!("CARGO_BIN_EXE_tillswitch")).args(["zvt", "decode", frame]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(printed.trim_end(), blocks(&readme(), "zvt decode").concat().trim_end());
}

/// Codes of the admin API and of paths and methods: no answer to a webhook has them.
const NOT_FOR_THE_TILL: [Code; 6] = [
    Code::NotFound,
    Code::MethodNotAllowed,
    Code::NoIdempotencyKey,
    Code::Unauthorized,
    Code::StillAsking,
    Code::OriginalNotFound,
];

#[test]
fn every_code_and_command_is_in_the_readme() {
    let text = readme();
    let asked = ["pay", "refund", "again", "payments", "resolve", "terminals", "reload", "completions"];
    for command in ["serve", "init", "check", "demo", "simulate", "drivers", "zvt decode"].iter().chain(&asked) {
        assert!(text.contains(&format!("`tillswitch {command}")), "{command} is not in the README");
    }
    for command in ["reverse ID", "abort ID", "end-of-day TERMINAL", "service TERMINAL NAME"] {
        assert!(text.contains(&format!("`{command}`")), "{command} is not in the README");
    }
    for code in Code::ALL.iter().filter(|code| !NOT_FOR_THE_TILL.contains(code)) {
        assert!(text.contains(&format!("`{code}`")), "{code} is not in the README");
    }
}
