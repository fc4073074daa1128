//! Is a router as honest as ever after it was killed at every step of a payment? The short version: 200 kills.
#![cfg(target_os = "linux")] // where the shim knows the C library

use std::process::Command;

/// Seeds that found something once. They are run for ever.
const SEEDS: [u64; 0] = [];

/// Runs the proof, and shows what it said.
fn proof(arguments: &[&str]) -> bool {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tillswitch-proof"));
    let output = command.args(arguments).output().expect("the program is built");
    println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    output.status.success()
}

#[test]
fn killed_at_every_step_at_every_kind_of_terminal() {
    assert!(proof(&["kills", "--runs", "200", "--seed", "1"]), "what is said above");
}

#[test]
fn what_once_found_something_finds_nothing() {
    for seed in SEEDS {
        assert!(proof(&["kills", "--runs", "1", "--seed", &seed.to_string()]), "seed {seed}");
    }
}
