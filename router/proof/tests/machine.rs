//! Does everything hold when the process is killed, the power is cut or the disk fails? The short versions of these proofs.
#![cfg(target_os = "linux")] // where the shim knows the C library

use std::process::Command;

/// What found something once. It is run for ever.
const FOUND: [&[&str]; 2] = [
    // The name of the state folder was not synced: the folder was gone with all payments in it.
    &["power-loss", "--runs", "1", "--seed", "4"],
    // A start told of an approval that a killed router had written and not synced.
    &["power-loss", "--runs", "1", "--seed", "12"],
];

/// Runs a proof, and shows what it said.
fn holds(arguments: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tillswitch-proof"));
    let output = command.args(arguments).output().expect("the program is built");
    println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: what is said above");
}

#[test]
fn killed_at_every_step_at_every_kind_of_terminal() {
    holds(&["kills", "--runs", "200"]);
}

#[test]
fn the_power_is_cut() {
    holds(&["power-loss", "--runs", "60"]);
}

#[test]
fn a_call_on_the_disk_fails() {
    holds(&["disk-faults"]);
}

#[test]
fn what_once_found_something_finds_nothing() {
    FOUND.iter().for_each(|arguments| holds(arguments));
}
