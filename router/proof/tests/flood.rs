//! Does the good till get through a flood? With fewer strangers and more patience, because of the machine; not with more memory.

use std::process::Command;

#[test]
fn the_good_till_gets_through_a_flood() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tillswitch-proof"));
    let strangers = ["--webhooks", "1000", "--connections", "60", "--readers", "20", "--seconds", "6"];
    let limits = ["--till", "5000", "--operator", "5000"];
    let output = command.arg("flood").args(strangers).args(limits).output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
