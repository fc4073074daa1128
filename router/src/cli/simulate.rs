//! `tillswitch simulate`: a terminal to test against, with a ledger of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use tillswitch_http::simulator::{HttpSimulator, SimulatorOptions};
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
    /// The plain HTTP terminal of the Xentral guide
    Http(HttpArgs),
}

/// What every simulated terminal takes.
#[derive(Args, Clone, Debug)]
struct Common {
    /// Where it books: one JSON line per booking, on disk before the result is reported
    #[arg(long, value_name = "FILE", default_value = "ledger.jsonl")]
    ledger: PathBuf,
    /// How the next payments go, separated by commas; afterwards everything is approved. An unknown word lists all
    #[arg(long, value_name = "STEPS", default_value = "")]
    script: String,
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
    #[command(flatten)]
    common: Common,
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
            Terminal::Http(args) => http(args).await,
        }
    });
    ended.map_or_else(failed, |()| ExitCode::SUCCESS)
}

async fn zvt_tcp(args: &ZvtArgs) -> Result<(), String> {
    let mut options = zvt::Options::new(&args.common.ledger);
    options.listen = args.listen;
    options.script = zvt::Step::parse_script(&args.common.script).map_err(|error| error.to_string())?;
    options.seed = args.common.seed;
    options.terminal_id = args.common.terminal_id.clone();
    options.auto_reverse = !args.keep_unacknowledged;
    options.timing = match args.pace {
        Pace::Real => zvt::Timing::real(),
        Pace::Fast => zvt::Timing::fast(),
    };
    let terminal = zvt::Simulator::start(options).await.map_err(|error| not_started(args.listen, &error))?;
    println!("a simulated ZVT terminal listens on {}", terminal.addr());
    println!("configure it as: driver = \"zvt-tcp\", address = \"{}\"", terminal.addr());
    println!("it books into {}", args.common.ledger.display());
    asked_to_stop().await;
    terminal.stop().await;
    Ok(())
}

async fn http(args: &HttpArgs) -> Result<(), String> {
    let mut options = SimulatorOptions::new(&args.common.ledger);
    options.listen = args.listen;
    options.script =
        tillswitch_http::simulator::parse_script(&args.common.script).map_err(|error| error.to_string())?;
    options.seed = args.common.seed;
    options.terminal_id = args.common.terminal_id.clone();
    let terminal = HttpSimulator::start(options).await.map_err(|error| not_started(args.listen, &error))?;
    println!("a simulated HTTP terminal listens on {}", terminal.addr());
    println!("configure it as: driver = \"http\", url = \"{}\"", terminal.url());
    println!("it books into {}", args.common.ledger.display());
    asked_to_stop().await;
    terminal.stop().await;
    Ok(())
}

fn not_started(listen: SocketAddr, error: &std::io::Error) -> String {
    format!("the terminal cannot start on {listen}: {error}; choose another --listen or --ledger")
}

fn failed(message: String) -> ExitCode {
    eprintln!("{message}");
    exit::UNAVAILABLE.into()
}
