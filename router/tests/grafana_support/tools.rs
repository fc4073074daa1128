//! Which tools are here, and what is to be done when one is not.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A tool that is not built from this repository.
#[derive(Clone, Copy, Debug)]
pub enum Tool {
    /// Prometheus and promtool.
    Prometheus,
    /// Python with what `examples/grafana/requirements.txt` lists.
    Python,
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Tool::Prometheus => "prometheus",
            Tool::Python => "python",
        }
    }

    fn is_here(self) -> bool {
        match self {
            Tool::Prometheus => ["prometheus", "promtool"].iter().all(|program| runs(program, &["--version"])),
            Tool::Python => runs(python(), &["-c", "import grafana_foundation_sdk, yaml"]),
        }
    }
}

/// Whether all these tools are here. If not, says what is left out; fails if `TILLSWITCH_REQUIRE` names the tool.
pub fn are_here(tools: &[Tool], what: &str) -> bool {
    let Some(missing) = tools.iter().find(|tool| !tool.is_here()) else { return true };
    let required = std::env::var("TILLSWITCH_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|name| name.trim() == missing.name()),
        "TILLSWITCH_REQUIRE names {}, and it is not here",
        missing.name()
    );
    eprintln!("LEFT OUT, {} is not here: {what}", missing.name());
    false
}

/// The workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the router is a folder of the workspace").to_owned()
}

/// `examples/grafana`.
pub fn folder() -> PathBuf {
    root().join("examples/grafana")
}

/// The Python to take: `TILLSWITCH_PYTHON`, or the environment that the check makes below `target`.
pub fn python() -> PathBuf {
    let made = root().join("target/grafana-venv/bin/python");
    std::env::var_os("TILLSWITCH_PYTHON").map_or(made, PathBuf::from)
}

/// Runs one of the folder's scripts, and expects that it is content. Returns what it said.
pub fn script(name: &str, arguments: &[&OsStr]) -> String {
    let mut command = Command::new(python());
    command.arg(folder().join(name)).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
    said(&mut command, name)
}

/// Runs promtool in the folder with the rules, and expects that it is content.
pub fn promtool(arguments: &[&str]) -> String {
    said(Command::new("promtool").current_dir(folder().join("prometheus")).args(arguments), &arguments.join(" "))
}

/// What a command that has to succeed said.
pub fn said(command: &mut Command, what: &str) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{what}: {error}"));
    let text = text(&output);
    assert!(output.status.success(), "{what}:\n{text}");
    text
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn runs(program: impl AsRef<OsStr>, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}
