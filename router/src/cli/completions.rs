//! `tillswitch completions`: what a shell needs to complete the commands.

use std::process::ExitCode;

use clap_complete::{Shell, generate};

use super::client::print::out;

/// What `tillswitch completions` takes.
#[derive(clap::Args, Clone, Debug)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints the script of a shell.
pub fn run(args: &CompletionsArgs, mut command: clap::Command) -> ExitCode {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    generate(args.shell, &mut command, name, &mut script);
    out(&String::from_utf8_lossy(&script));
    ExitCode::SUCCESS
}
