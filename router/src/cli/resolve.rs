//! `tillswitch resolve`: says what became of a payment in doubt, after a look at the terminal and its slip.

use std::process::ExitCode;

use serde_json::json;

use super::client::print::out;
use super::client::{RouterArgs, encode, run as with_router, words};

/// What `tillswitch resolve` takes.
#[derive(clap::Args, Clone, Debug)]
pub struct ResolveArgs {
    /// The payment
    #[arg(value_name = "ID")]
    id: String,
    /// What became of it
    #[arg(value_parser = ["approved", "declined", "cancelled", "failed"])]
    state: String,
    /// How you know, for the history
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The number on the slip; an approval needs one
    #[arg(long, value_name = "NUMBER", required_if_eq("state", "approved"))]
    receipt: Option<String>,
    /// Although the terminal is still being asked
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    router: RouterArgs,
    /// Print the payment as JSON
    #[arg(long)]
    json: bool,
}

/// Settles it, and exits with 0 if this word was the first.
pub fn run(args: &ResolveArgs) -> ExitCode {
    let mut body = json!({ "state": args.state, "reason": args.reason, "force": args.force });
    if let Some(receipt) = &args.receipt {
        body["receipt_number"] = receipt.as_str().into();
    }
    with_router(&args.router, args.json, async |client| {
        let answer = client.post(&format!("/api/v1/payments/{}/resolve", encode(&args.id)), body).await?;
        let payment = &answer["payment"];
        match args.json {
            true => out(&format!("{payment:#}\n")),
            false => out(&words::ending(payment)),
        }
        Ok(ExitCode::SUCCESS)
    })
}
