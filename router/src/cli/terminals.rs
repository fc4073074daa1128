//! `tillswitch terminals`: the running router's terminals, and what they are at.

use std::process::ExitCode;

use serde_json::Value;

use super::client::print::{one_line, out};
use super::client::words::text;
use super::client::{RouterArgs, run as with_router};
use super::table::Table;

/// What `tillswitch terminals` takes.
#[derive(clap::Args, Clone, Debug)]
pub struct TerminalsArgs {
    #[command(flatten)]
    router: RouterArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Lists them.
pub fn run(args: &TerminalsArgs) -> ExitCode {
    with_router(&args.router, args.json, async |client| {
        let answer = client.get("/api/v1/terminals").await?;
        match args.json {
            true => out(&format!("{answer:#}\n")),
            false => out(&table(&answer)),
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn table(answer: &Value) -> String {
    let mut table = Table::new(&["terminal", "state", "waiting", "driver", "address", "currency"]);
    for terminal in answer["terminals"].as_array().into_iter().flatten() {
        let cell = |key: &str| one_line(text(terminal, key));
        let waiting = terminal["queue"]["waiting"].to_string();
        table.row([cell("name"), cell("state"), waiting, cell("driver"), cell("address"), cell("currency")]);
    }
    table.to_string()
}
