//! `tillswitch service`: what else a terminal can do for an operator, such as a diagnosis.

use std::process::ExitCode;

use super::client::encode;
use super::client::work::{WorkArgs, work};

/// What `tillswitch service` takes.
#[derive(clap::Args, Clone, Debug)]
pub struct ServiceArgs {
    #[command(flatten)]
    work: WorkArgs,
    /// The service: a ZVT terminal knows diagnosis, initialisation, keypad-lock and keypad-unlock
    #[arg(value_name = "NAME")]
    name: String,
}

/// Runs it. A service never moves money.
pub fn run(args: &ServiceArgs) -> ExitCode {
    work(&args.work, &format!("services/{}", encode(&args.name)))
}
