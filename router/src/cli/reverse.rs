//! `tillswitch reverse`: takes an approved sale back as a whole.

use std::process::ExitCode;

use serde_json::json;

use super::client::encode;
use super::client::money::{MoneyArgs, Start, start};

/// What `tillswitch reverse` takes.
#[derive(clap::Args, Clone, Debug)]
pub struct ReverseArgs {
    /// The payment
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    money: MoneyArgs,
}

/// Takes it back, and exits with 0 only if that was approved.
pub fn run(args: &ReverseArgs) -> ExitCode {
    let path = format!("/api/v1/payments/{}/reverse", encode(&args.id));
    let body = json!({ "confirm_repeat": args.money.confirm_repeat });
    start(&args.money, async |_| Ok(Start { path, body }))
}
