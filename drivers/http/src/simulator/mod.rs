//! A simulated terminal of the Xentral guide: how it is started, told what to do, and asked what it booked.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! # let folder = tempfile::tempdir()?;
//! use tillswitch_http::simulator::{HttpSimulator, SimulatorOptions, parse_script};
//!
//! let mut options = SimulatorOptions::new(folder.path().join("ledger.jsonl"));
//! options.script = parse_script("decline,cut-after-booking").expect("both words are known");
//! let terminal = HttpSimulator::start(options).await?;
//! println!("post payments to {}", terminal.url());
//! assert!(terminal.ledger().is_empty());
//! terminal.stop().await;
//! # Ok(()) }
//! ```

mod ledger;
mod payment;
mod script;
mod server;
mod terminal;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tillswitch_core::ledger::LedgerEntry;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use script::{Step, UnknownStep, parse_script};

use terminal::Terminal;

/// The path that takes payments.
pub const PAYMENT_PATH: &str = "/payment";

/// How a simulated terminal is set up.
#[derive(Clone, Debug)]
pub struct SimulatorOptions {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where it books. An existing ledger is continued, with its receipt numbers.
    pub ledger: PathBuf,
    /// What it calls itself.
    pub terminal_id: String,
    /// Which cards and authorization codes come up; the same seed gives the same ones.
    pub seed: u64,
    /// How the next payments go, one step each. When it is used up, payments are approved.
    pub script: Vec<Step>,
    /// How long the customer takes.
    pub card_time: Duration,
    /// How long it waits between two bytes of a [`Step::Slow`] answer.
    pub byte_pause: Duration,
}

impl SimulatorOptions {
    /// On a free port of this machine, approving at once.
    pub fn new(ledger: impl Into<PathBuf>) -> SimulatorOptions {
        SimulatorOptions {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            ledger: ledger.into(),
            terminal_id: "68001001".into(),
            seed: 1,
            script: Vec::new(),
            card_time: Duration::ZERO,
            byte_pause: Duration::from_millis(1),
        }
    }
}

/// A running simulated terminal. Dropping it cuts its connections; so does [`stop`](Self::stop), which also waits for it.
#[derive(Debug)]
pub struct HttpSimulator {
    addr: SocketAddr,
    terminal: Arc<Terminal>,
    listening: JoinHandle<()>,
}

impl HttpSimulator {
    /// Opens the ledger and begins to listen.
    pub async fn start(options: SimulatorOptions) -> io::Result<HttpSimulator> {
        let listener = TcpListener::bind(options.listen).await?;
        let addr = listener.local_addr()?;
        let terminal = Arc::new(Terminal::new(options)?);
        let listening = tokio::spawn(server::listen(listener, Arc::clone(&terminal)));
        Ok(HttpSimulator { addr, terminal, listening })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What belongs into the setting `url`.
    pub fn url(&self) -> String {
        format!("http://{}{PAYMENT_PATH}", self.addr)
    }

    /// Where it books.
    pub fn ledger_path(&self) -> &Path {
        self.terminal.ledger_path()
    }

    /// What it has booked, earlier runs on the same file included.
    pub fn ledger(&self) -> Vec<LedgerEntry> {
        self.terminal.ledger()
    }

    /// How many payments were posted to it, whatever became of them.
    pub fn money_commands(&self) -> usize {
        self.terminal.money_commands()
    }

    /// Whether a payment is running, with or without its connection.
    pub fn is_busy(&self) -> bool {
        self.terminal.is_busy()
    }

    /// How many connections were opened to it.
    pub fn connections(&self) -> usize {
        self.terminal.connections()
    }

    /// Replaces what is left of the script.
    pub fn set_script(&self, script: impl IntoIterator<Item = Step>) {
        self.terminal.set_script(script.into_iter().collect());
    }

    /// Switches it off: connections are cut, and a payment that still runs is not booked any more.
    pub async fn stop(mut self) {
        self.terminal.switch_off();
        self.listening.abort();
        // The error says that it was aborted, which is what was wanted.
        let _ = (&mut self.listening).await;
    }
}

impl Drop for HttpSimulator {
    fn drop(&mut self) {
        self.terminal.switch_off();
        self.listening.abort();
    }
}
