//! `tillswitch refund`: pays an approved sale back, or a part of it.

use std::process::ExitCode;

use serde_json::json;

use super::client::encode;
use super::client::money::{MoneyArgs, Start, start};

/// What `tillswitch refund` takes.
#[derive(clap::Args, Clone, Debug)]
pub struct RefundArgs {
    /// The payment
    #[arg(value_name = "ID")]
    id: String,
    /// How much of it, such as 25.90; otherwise all
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
    amount: Option<String>,
    #[command(flatten)]
    money: MoneyArgs,
}

/// Pays it back, and exits with 0 only if that was approved.
pub fn run(args: &RefundArgs) -> ExitCode {
    let path = format!("/api/v1/payments/{}/refund", encode(&args.id));
    let mut body = json!({ "confirm_repeat": args.money.confirm_repeat });
    if let Some(amount) = &args.amount {
        body["amount"] = amount.as_str().into();
    }
    start(&args.money, async |_| Ok(Start { path, body }))
}
