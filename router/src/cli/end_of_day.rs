//! `tillswitch end-of-day`: closes a terminal's business day.

use std::process::ExitCode;

use super::client::work::{WorkArgs, work};

/// Closes it, telling what the terminal says meanwhile.
pub fn run(args: &WorkArgs) -> ExitCode {
    work(args, "end-of-day")
}
