//! How a terminal does its own work, such as an end of day, and what it says meanwhile.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::print::{one_line, out, tell};
use super::words::{money, text};
use super::{Client, Happened, RouterArgs, Trouble, encode, run};
use crate::cli::table::Table;

/// The router itself gives a terminal ten minutes.
const LIMIT: Duration = Duration::from_secs(660);

/// What a command takes that makes a terminal do something.
#[derive(clap::Args, Clone, Debug)]
pub struct WorkArgs {
    /// The terminal's name in the configuration
    #[arg(value_name = "TERMINAL")]
    terminal: String,
    #[command(flatten)]
    router: RouterArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Does one of a terminal's works: `what` is the end of its path.
pub(in crate::cli) fn work(args: &WorkArgs, what: &str) -> ExitCode {
    run(&args.router, args.json, async |client| {
        let report = ask(client, &args.terminal, what).await?;
        match args.json {
            true => out(&format!("{report:#}\n")),
            false => out(&told(&report)),
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn told(report: &Value) -> String {
    let receipts = &report["receipts"];
    let between = match receipts.is_object() {
        true => format!(", receipts {} to {}", one_line(text(receipts, "first")), one_line(text(receipts, "last"))),
        false => String::new(),
    };
    let said = format!("{}: {}{between}\n", one_line(text(report, "terminal")), one_line(text(report, "message")));
    totals(report).map_or_else(|| said.clone(), |table| format!("{said}\n{table}"))
}

/// What was settled, brand by brand, where the terminal told any of it.
fn totals(report: &Value) -> Option<Table> {
    let total = money(&report["total"])?;
    let count = |value: &Value| value["count"].as_u64().map_or_else(String::new, |count| count.to_string());
    let mut table = Table::new(&["brand", "count", "amount"]);
    for brand in report["brands"].as_array().into_iter().flatten() {
        let amount = money(brand).unwrap_or_default();
        table.row([one_line(text(brand, "brand")), count(brand), amount]);
    }
    table.row(["total".to_owned(), count(report), total]);
    Some(table)
}

async fn ask(client: &Client, terminal: &str, what: &str) -> Result<Value, Trouble> {
    let mut events = client.listen().await;
    let path = format!("/api/v1/terminals/{}/{what}", encode(terminal));
    let answer = client.post_within(&path, json!({}), LIMIT);
    tokio::pin!(answer);
    loop {
        let Some(stream) = &mut events else { return answer.await };
        tokio::select! {
            answer = &mut answer => return answer,
            happened = stream.next() => match happened {
                Some(Happened::Line { terminal: at, payment: None, line }) if at == terminal => {
                    tell(&format!("{terminal}: {}", one_line(&line)));
                }
                Some(_) => {}
                None => events = None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_told_brand_by_brand() {
        let report = json!({
            "terminal": "counter", "message": "the business day is closed", "count": 3,
            "receipts": { "first": "0001", "last": "0003" },
            "total": { "amount_minor": 4_590, "currency": "EUR" },
            "brands": [{ "brand": "girocard", "count": 2, "amount_minor": 3_590, "currency": "EUR" },
                       { "brand": "Vi\u{1b}sa", "count": 1, "amount_minor": 1_000, "currency": "EUR" }],
        });
        let expected = "counter: the business day is closed, receipts 0001 to 0003\n
  brand     count  amount
  ────────  ─────  ─────────
  girocard  2      35.90 EUR
  Vi·sa     1      10.00 EUR
  total     3      45.90 EUR
";
        assert_eq!(told(&report), expected);
    }

    #[test]
    fn what_was_not_told_is_not_shown() {
        let little = json!({ "terminal": "counter", "message": "closed" });
        assert_eq!(told(&little), "counter: closed\n");
        let sum =
            json!({ "terminal": "counter", "message": "closed", "total": { "amount_minor": 5, "currency": "EUR" } });
        assert!(told(&sum).ends_with("  total         0.05 EUR\n"), "{}", told(&sum));
    }
}
