//! Does a long day leave anything behind? One minute of it; what it uses is measured over 24, not here.

use std::process::Command;

#[test]
fn a_short_day_with_kills_and_lost_terminals() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tillswitch-proof"));
    let output = command.args(["soak", "--minutes", "1", "--seed", "1"]).output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
