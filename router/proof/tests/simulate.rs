//! Does a whole shop keep its promises on simulated days? The short version; `simulate --seeds 100000` is the long one.

use std::process::Command;

#[test]
fn simulated_days_break_no_promise() {
    let run = Command::new(env!("CARGO_BIN_EXE_tillswitch-proof")).args(["simulate", "--seeds", "500"]).output();
    let run = run.expect("the program of the proofs can be started");
    let text = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{text}");
}
