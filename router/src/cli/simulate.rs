//! `tillswitch simulate`: a terminal to test against, with a ledger of its own.

mod script;
mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use tillswitch_http::simulator as http;
use tillswitch_zvt::simulator as zvt;

use super::exit;
use super::serve::asked_to_stop;

/// What `tillswitch simulate` takes.
#[derive(Args, Clone, Debug)]
pub struct SimulateArgs {
    #[command(subcommand)]
    terminal: Terminal,
}

#[derive(Clone, Debug, Subcommand)]
enum Terminal {
    /// A ZVT terminal over TCP
    ZvtTcp(ZvtArgs),
    /// A ZVT terminal on a serial line: a pseudo terminal stands in for the adapter
    ZvtSerial(SerialArgs),
    /// The plain HTTP terminal of the Xentral guide
    Http(HttpArgs),
}

/// What every simulated terminal takes.
#[derive(Args, Clone, Debug)]
struct Common {
    /// Decides cards and codes, so that two runs are equal
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What the terminal calls itself
    #[arg(long, value_name = "ID", default_value = "29001612")]
    terminal_id: String,
}

#[derive(Args, Clone, Debug)]
struct ZvtArgs {
    /// Where it listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:20007")]
    listen: SocketAddr,
    #[command(flatten)]
    tls: tls::TlsArgs,
    #[command(flatten)]
    zvt: AnyZvtArgs,
}

#[derive(Args, Clone, Debug)]
struct SerialArgs {
    /// The name of the device: a link that is made there, gone while the device is unplugged, and removed at the end
    #[arg(long, value_name = "PATH", default_value = "zvt.tty")]
    link: PathBuf,
    /// What goes wrong on the line, each fault once, separated by commas; lose-ack@0601 waits for that message
    #[arg(long, value_name = "FAULTS", default_value = "", value_parser = line_faults, long_help = faults_help())]
    line_faults: Script<zvt::ScriptedFault>,
    #[command(flatten)]
    zvt: AnyZvtArgs,
}

/// What every simulated ZVT terminal takes.
#[derive(Args, Clone, Debug)]
struct AnyZvtArgs {
    /// Where it books: one JSON line per booking, on disk before the result is reported
    #[arg(long, value_name = "FILE", default_value = "zvt.ledger.jsonl")]
    ledger: PathBuf,
    /// How the next payments go, separated by commas; --help lists the words
    #[arg(long, value_name = "STEPS", default_value = "", value_parser = zvt_script, long_help = script::zvt_help())]
    script: Script<zvt::Step>,
    #[command(flatten)]
    common: Common,
    /// Keep a booking although its result was never acknowledged; real terminals do either
    #[arg(long)]
    keep_unacknowledged: bool,
    /// How quick customer and host are
    #[arg(long, value_enum, default_value_t = Pace::Real)]
    pace: Pace,
}

#[derive(Args, Clone, Debug)]
struct HttpArgs {
    /// Where it listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where it books: one JSON line per booking, on disk before the result is reported
    #[arg(long, value_name = "FILE", default_value = "http.ledger.jsonl")]
    ledger: PathBuf,
    /// How the next payments go, separated by commas; --help lists the words
    #[arg(long, value_name = "STEPS", default_value = "", value_parser = http_script, long_help = script::http_help())]
    script: Script<http::Step>,
    #[command(flatten)]
    common: Common,
}

/// A script that was understood. A type of its own, because a list would be an argument that may come several times.
#[derive(Clone, Debug)]
struct Script<S>(Vec<S>);

fn zvt_script(text: &str) -> Result<Script<zvt::Step>, zvt::UnknownStep> {
    zvt::Step::parse_script(text).map(Script)
}

fn line_faults(text: &str) -> Result<Script<zvt::ScriptedFault>, zvt::UnknownFault> {
    zvt::ScriptedFault::parse_list(text).map(Script)
}

fn faults_help() -> String {
    let words: Vec<&str> = zvt::ScriptedFault::words().collect();
    format!(
        "What goes wrong on the line, each fault once, separated by commas: {}. With a control field behind it, as in \
         lose-ack@0601, a fault waits for that message",
        words.join(", ")
    )
}

fn http_script(text: &str) -> Result<Script<http::Step>, http::UnknownStep> {
    http::parse_script(text).map(Script)
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Pace {
    /// Seconds, like a person
    Real,
    /// Milliseconds, for tests
    Fast,
}

/// Runs a simulated terminal until it is told to stop.
pub fn run(args: &SimulateArgs) -> ExitCode {
    let _log = crate::log::start();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(format!("it cannot start its threads: {error}")),
    };
    let ended = runtime.block_on(async {
        match &args.terminal {
            Terminal::ZvtTcp(args) => zvt_tcp(args).await,
            Terminal::ZvtSerial(args) => zvt_serial(args).await,
            Terminal::Http(args) => http_terminal(args).await,
        }
    });
    ended.map_or_else(failed, |()| ExitCode::SUCCESS)
}

async fn zvt_tcp(args: &ZvtArgs) -> Result<(), String> {
    let encryption = args.tls.encryption()?;
    let options = zvt::Options { listen: args.listen, encryption, ..zvt_options(&args.zvt)? };
    let terminal = zvt::Simulator::start(options).await.map_err(|error| not_started(args.listen, &error))?;
    println!("a simulated ZVT terminal listens on {}", terminal.addr());
    println!("configure it as: driver = \"zvt-tcp\", address = \"{}\"{}", terminal.addr(), args.tls.settings());
    println!("it books into {}", args.zvt.ledger.display());
    asked_to_stop().await;
    terminal.stop().await;
    Ok(())
}

async fn zvt_serial(args: &SerialArgs) -> Result<(), String> {
    let options = zvt::Options { line_faults: args.line_faults.0.clone(), ..zvt_options(&args.zvt)? };
    let started = zvt::Simulator::start_serial(options, &args.link).await;
    let not_started =
        |error: std::io::Error| format!("the terminal cannot start: {error}; choose another --link or --ledger");
    let terminal = started.map_err(not_started)?;
    let device = terminal.device().unwrap_or(&args.link).display().to_string();
    println!("a simulated ZVT terminal is plugged in at {device}");
    println!("configure it as: driver = \"zvt-serial\", device = \"{device}\"");
    println!("it books into {}", args.zvt.ledger.display());
    asked_to_stop().await;
    terminal.stop().await;
    Ok(())
}

fn zvt_options(args: &AnyZvtArgs) -> Result<zvt::Options, String> {
    check_ledger(&args.ledger, "ZVT")?;
    let mut options = zvt::Options::new(&args.ledger);
    options.script = args.script.0.clone();
    options.seed = args.common.seed;
    options.terminal_id = args.common.terminal_id.clone();
    options.auto_reverse = !args.keep_unacknowledged;
    options.timing = match args.pace {
        Pace::Real => zvt::Timing::real(),
        Pace::Fast => zvt::Timing::fast(),
    };
    Ok(options)
}

async fn http_terminal(args: &HttpArgs) -> Result<(), String> {
    check_ledger(&args.ledger, "HTTP")?;
    let mut options = http::SimulatorOptions::new(&args.ledger);
    options.listen = args.listen;
    options.script = args.script.0.clone();
    options.seed = args.common.seed;
    options.terminal_id = args.common.terminal_id.clone();
    let terminal = http::HttpSimulator::start(options).await.map_err(|error| not_started(args.listen, &error))?;
    println!("a simulated HTTP terminal listens on {}", terminal.addr());
    println!("configure it as: driver = \"http\", url = \"{}\"", terminal.url());
    println!("it books into {}", args.ledger.display());
    asked_to_stop().await;
    terminal.stop().await;
    Ok(())
}

/// Only lines of a ZVT terminal have trace numbers. Neither kind may continue the other's numbers.
fn check_ledger(ledger: &Path, kind: &str) -> Result<(), String> {
    // A file that cannot be read is the simulator's to complain about.
    let text = std::fs::read_to_string(ledger).unwrap_or_default();
    let Some(line) = text.lines().next() else { return Ok(()) };
    let entry: Value = serde_json::from_str(line).unwrap_or_default();
    let is_ledger = entry.get("receipt_number").is_some();
    if is_ledger && entry.get("trace_number").is_some() == (kind == "ZVT") {
        return Ok(());
    }
    let what = if is_ledger { "the ledger of another kind of terminal" } else { "no ledger" };
    Err(format!("{} is {what}, not that of a simulated {kind} terminal; choose another --ledger", ledger.display()))
}

fn not_started(listen: SocketAddr, error: &std::io::Error) -> String {
    format!("the terminal cannot start on {listen}: {error}; choose another --listen or --ledger")
}

fn failed(message: String) -> ExitCode {
    eprintln!("{message}");
    exit::UNAVAILABLE.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: SimulateArgs,
    }

    fn refusal(line: &str) -> clap::Error {
        Line::try_parse_from(line.split_whitespace()).expect_err(line)
    }

    #[test]
    fn a_wrong_word_is_a_wrong_use() {
        for terminal in ["zvt-tcp", "zvt-serial", "http"] {
            let error = refusal(&format!("simulate {terminal} --script nonsense"));
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains("cut-after-booking") || terminal != "http", "{error}");
            assert!(error.to_string().contains("nonsense") && error.to_string().contains("decline"), "{error}");
        }
    }

    #[test]
    fn the_help_explains_every_word() {
        let zvt = refusal("simulate zvt-tcp --help").to_string();
        assert!(zvt::Step::words().all(|word| zvt.contains(word)), "{zvt}");
        assert!(zvt.contains("customer-cancel                 the customer presses the stop key"), "{zvt}");
        let http = refusal("simulate http --help").to_string();
        assert!(http::Step::words().all(|(word, meaning)| http.contains(word) && http.contains(meaning)), "{http}");
    }

    #[test]
    fn faults_of_a_line_are_words() {
        let error = refusal("simulate zvt-serial --line-faults lose-ack@06");
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("nak-storm"), "{error}");
        let help = refusal("simulate zvt-serial --help").to_string();
        assert!(zvt::ScriptedFault::words().all(|word| help.contains(word)), "{help}");
        assert!(Line::try_parse_from(["simulate", "zvt-serial", "--line-faults", "lose-ack@0601,noise"]).is_ok());
    }

    #[test]
    fn two_terminals_book_into_two_files() {
        let of = |terminal: &str| match Line::try_parse_from(["simulate", terminal]).unwrap().args.terminal {
            Terminal::ZvtTcp(args) => args.zvt.ledger,
            Terminal::ZvtSerial(args) => args.zvt.ledger,
            Terminal::Http(args) => args.ledger,
        };
        assert_eq!((of("zvt-tcp"), of("http")), ("zvt.ledger.jsonl".into(), "http.ledger.jsonl".into()));
    }

    #[test]
    fn a_foreign_ledger_is_not_continued() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ledger");
        for kind in ["ZVT", "HTTP"] {
            assert_eq!(check_ledger(&file, kind), Ok(()), "there is none yet");
        }
        for (line, zvt, http) in [
            (r#"{"receipt_number":"0001","trace_number":"000001"}"#, true, false),
            (r#"{"receipt_number":"0001"}"#, false, true),
            ("a letter to somebody", false, false),
        ] {
            std::fs::write(&file, line).unwrap();
            assert_eq!(check_ledger(&file, "ZVT").is_ok(), zvt, "{line}");
            let refused = check_ledger(&file, "HTTP");
            assert_eq!(refused.is_ok(), http, "{line}");
            assert!(refused.is_ok() || refused.unwrap_err().contains("choose another --ledger"));
        }
    }
}
