//! Is one event, sent a thousand times at once, one payment? The short version; the seeds that failed once stay.

use std::process::Command;

#[test]
fn a_storm_of_one_event_is_one_payment() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tillswitch-proof"));
    let output = command.args(["storm", "--runs", "1", "--seed", "4"]).output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
