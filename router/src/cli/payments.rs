//! `tillswitch payments`: which payments there were, and everything about one of them.

use std::fmt::Write;
use std::process::ExitCode;

use serde_json::Value;

use super::client::print::{clean, one_line, out, tell};
use super::client::words::{self, amount, local, text};
use super::client::{RouterArgs, encode, run as with_router};
use super::table::Table;
use crate::journal::State;

/// What `tillswitch payments` takes.
#[derive(clap::Args, Clone, Debug)]
pub struct PaymentsArgs {
    /// One payment, with its history, slips and incidents
    #[arg(value_name = "ID", conflicts_with_all = ["state", "register", "document", "since", "limit"])]
    id: Option<String>,
    /// Only those in this state
    #[arg(long, value_name = "STATE", value_parser = State::ALL.map(State::name))]
    state: Option<String>,
    /// Only those of this register
    #[arg(long, value_name = "NAME")]
    register: Option<String>,
    /// Only those of this document
    #[arg(long, value_name = "NUMBER")]
    document: Option<String>,
    /// Only those received since then, such as 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// How many at most, the newest first: 1 to 1000, otherwise 50
    #[arg(long, value_name = "COUNT")]
    limit: Option<u32>,
    #[command(flatten)]
    router: RouterArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Lists them, or tells of one.
pub fn run(args: &PaymentsArgs) -> ExitCode {
    with_router(&args.router, args.json, async |client| {
        let answer = client.get(&path(args)).await?;
        match (args.json, &args.id) {
            (true, _) => out(&format!("{answer:#}\n")),
            (false, Some(_)) => out(&story(&answer)),
            (false, None) => out(&table(&answer)),
        }
        if !args.json && answer["payments"].as_array().is_some_and(Vec::is_empty) {
            tell("No payment fits.");
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn path(args: &PaymentsArgs) -> String {
    if let Some(id) = &args.id {
        return format!("/api/v1/payments/{}", encode(id));
    }
    let limit = args.limit.map(|limit| limit.to_string());
    let filters = [
        ("state", &args.state),
        ("register", &args.register),
        ("document", &args.document),
        ("since", &args.since),
        ("limit", &limit),
    ];
    let filters = filters.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encode(value.as_ref()?))));
    format!("/api/v1/payments?{}", filters.collect::<Vec<_>>().join("&"))
}

fn table(answer: &Value) -> String {
    let mut table = Table::new(&["received", "payment", "register", "operation", "amount", "state", "document"]);
    for payment in answer["payments"].as_array().into_iter().flatten() {
        let cell = |key: &str| one_line(text(payment, key));
        let document = one_line(text(&payment["document"], "number"));
        let time = local(text(payment, "received_at"));
        table.row([time, cell("id"), cell("register"), cell("operation"), amount(payment), cell("state"), document]);
    }
    table.to_string()
}

/// One payment from its reception to now.
fn story(payment: &Value) -> String {
    let mut story = words::standing(payment);
    let mut line = |text: &str| {
        let _ = writeln!(story, "{text}");
    };
    for (key, words) in [("original", "undoes payment"), ("again_of", "in place of payment")] {
        if let Some(other) = payment[key].as_str() {
            line(&format!("  {words} {other}"));
        }
    }
    if let Some(number) = payment["document"]["number"].as_str() {
        let kind = one_line(text(&payment["document"], "type"));
        line(format!("  document {} {kind}", one_line(number)).trim_end());
    }
    line("");
    line(&history(payment));
    for incident in rows(payment, "incidents") {
        line(&format!("incident {}: {}", local(text(incident, "time")), one_line(text(incident, "message"))));
    }
    for receipt in rows(payment, "receipts") {
        line(&format!("slip ({}):\n{}", text(receipt, "kind"), clean(text(receipt, "text"))));
    }
    story
}

fn history(payment: &Value) -> String {
    let mut table = Table::new(&["time", "state", "by", "evidence"]);
    for row in rows(payment, "transitions") {
        let cell = |key: &str| one_line(text(row, key));
        table.row([local(text(row, "time")), cell("state"), cell("actor"), cell("evidence")]);
    }
    table.to_string()
}

fn rows<'a>(payment: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    payment[key].as_array().into_iter().flatten()
}
