//! `tillswitch abort`: asks a running payment to stop.

use std::process::ExitCode;

use serde_json::json;

use super::client::print::{out, tell};
use super::client::{RouterArgs, encode, run as with_router, words};

/// What `tillswitch abort` takes.
#[derive(clap::Args, Clone, Debug)]
pub struct AbortArgs {
    /// The payment
    #[arg(value_name = "ID")]
    id: String,
    /// Why, for the payment's history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    router: RouterArgs,
    /// Print the payment as JSON
    #[arg(long)]
    json: bool,
}

/// Asks. What the terminal says decides, so 0 means only that it was asked.
pub fn run(args: &AbortArgs) -> ExitCode {
    with_router(&args.router, args.json, async |client| {
        let body = args.reason.as_ref().map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
        let answer = client.post(&format!("/api/v1/payments/{}/abort", encode(&args.id)), body).await?;
        let payment = &answer["payment"];
        match args.json {
            true => out(&format!("{payment:#}\n")),
            false if words::is_running(payment) => {
                tell("Asked to stop; what the terminal says decides.");
                out(&format!("see: tillswitch payments {}\n", words::id(payment)));
            }
            false => out(&words::ending(payment)),
        }
        Ok(ExitCode::SUCCESS)
    })
}
