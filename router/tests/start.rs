//! What does a start make of a world that is not as it should be: broken configurations, a hostile umask, files that are open to
//! everybody, a second router, a crash?

#![allow(clippy::unwrap_used)]

#[path = "start/broken.rs"]
mod broken;
#[path = "start/private.rs"]
mod private;

use std::path::Path;
use std::process::{Command, Stdio};

/// The program, in a folder.
fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tillswitch"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
