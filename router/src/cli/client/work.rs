//! How a terminal does its own work, such as an end of day, and what it says meanwhile.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::print::{one_line, out, tell};
use super::words::{money, text};
use super::{Client, Happened, RouterArgs, Trouble, encode, run};

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
    let total = money(&report["total"]).map_or_else(String::new, |total| format!(", total {total}"));
    format!("{}: {}{total}\n", one_line(text(report, "terminal")), one_line(text(report, "message")))
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
