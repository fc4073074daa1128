//! Does everything agree after kills at random moments under load? The short version; the seeds that failed once stay.

use std::process::Command;

#[test]
fn kills_at_random_moments_under_load() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tillswitch-proof"));
    let output = command.args(["random-kills", "--kills", "50", "--seed", "1"]).output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
