//! Is a tool here that is not built from this repository, and may a test be left out without it?

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Whether this command succeeds. If not, says what is left out; fails if `TILLSWITCH_REQUIRE` names the tool.
pub fn is_here(tool: &str, program: impl AsRef<OsStr>, arguments: &[&str], what: &str) -> bool {
    if Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success()) {
        return true;
    }
    let required = std::env::var("TILLSWITCH_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|name| name.trim() == tool);
    assert!(!is_required, "TILLSWITCH_REQUIRE names {tool}, and it is not here");
    eprintln!("LEFT OUT, {tool} is not here: {what}");
    false
}

/// Everything that a command which has to succeed said.
pub fn said(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = text(&output);
    assert!(output.status.success(), "{command:?}:\n{text}");
    text
}

/// Everything that a command said.
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the router is a folder of the workspace").to_owned()
}
