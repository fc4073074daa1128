//! `tillswitch again`: starts a new payment in place of one that came to nothing.

use std::process::ExitCode;

use serde_json::json;

use super::client::encode;
use super::client::money::{MoneyArgs, Start, start};

/// What `tillswitch again` takes.
#[derive(clap::Args, Clone, Debug)]
pub struct AgainArgs {
    /// The payment
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    money: MoneyArgs,
}

/// Starts it again, and exits with 0 only if that was approved.
pub fn run(args: &AgainArgs) -> ExitCode {
    let path = format!("/api/v1/payments/{}/again", encode(&args.id));
    let body = json!({ "confirm_repeat": args.money.confirm_repeat });
    start(&args.money, async |_| Ok(Start { path, body }))
}
