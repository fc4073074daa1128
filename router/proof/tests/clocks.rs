//! What happens when the clock on the wall jumps? Every jump, and every moment, at least once; the seeds that failed once stay.

use std::process::Command;

/// A range of seeds that are run for ever: the first twelve, and one that failed alone.
const SEEDS: [(&str, &str); 2] = [("0", "12"), ("28", "1")];

#[test]
fn a_clock_that_jumps_charges_nobody_twice() {
    for (seed, runs) in SEEDS {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tillswitch-proof"));
        let output = command.args(["clocks", "--runs", runs, "--seed", seed]).output().expect("the program starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
