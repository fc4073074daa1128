//! `tillswitch reload`: has the running router read its configuration again.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::client::print::{one_line, out};
use super::client::{RouterArgs, run as with_router};

/// What `tillswitch reload` takes.
#[derive(clap::Args, Clone, Debug)]
pub struct ReloadArgs {
    #[command(flatten)]
    router: RouterArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Reloads, and says what changed and what still waits.
pub fn run(args: &ReloadArgs) -> ExitCode {
    with_router(&args.router, args.json, async |client| {
        let report = client.post("/api/v1/reload", json!({})).await?;
        match args.json {
            true => out(&format!("{report:#}\n")),
            false => out(&told(&report)),
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn told(report: &Value) -> String {
    let list = |key: &str, words: &str| {
        let names: Vec<&str> = report[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        (!names.is_empty()).then(|| format!("  {words}: {}\n", one_line(&names.join(", "))))
    };
    let lines = [
        list("added", "new terminals"),
        list("changed", "changed terminals"),
        list("removed", "terminals taken out"),
        list("waiting", "changed as soon as their payment is settled"),
        list("needs_restart", "not taken over before a restart"),
    ];
    format!("The router has read its configuration again.\n{}", lines.into_iter().flatten().collect::<String>())
}
