//! What is a shop whose router is a process of its own, and whose calls are steered?

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::Value;
use tempfile::TempDir;
use tillswitch::journal::{Journal, Options as JournalOptions, SqliteJournal};
use tillswitch::oracle::{self, Witnesses};
use tillswitch::shop::{Plan, Premises, Reply, Sale, Till, get};
use tillswitch_http::simulator::{SimulatorOptions, Step as HttpStep};
use tillswitch_zvt::simulator::{Options as ZvtOptions, Step as ZvtStep};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::child::{Ended, Router};
use crate::shim::{Deed, Order, Point, Shim, Steering};

/// The project of the only register.
pub const PROJECT: &str = "3f942a4b-728c-4c1b-8c7c-3499f28744a1";
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A kind of terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Terminal {
    /// ZVT over TCP.
    ZvtTcp,
    /// ZVT on a serial line.
    ZvtSerial,
    /// The plain terminal of the Xentral guide.
    Http,
}

impl Terminal {
    /// All of them.
    pub const ALL: [Terminal; 3] = [Terminal::ZvtTcp, Terminal::ZvtSerial, Terminal::Http];

    /// As in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Terminal::ZvtTcp => "zvt-tcp",
            Terminal::ZvtSerial => "zvt-serial",
            Terminal::Http => "http",
        }
    }
}

/// How a terminal and its customer behave.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Of which kind it is.
    pub terminal: Terminal,
    /// Whether it takes back what was not acknowledged.
    pub reverses: bool,
    /// Whether it gives the number of a booking that it took back again.
    pub reuses_numbers: bool,
    /// Whether slips are sent to the router.
    pub slips: bool,
    /// How long the customer takes.
    pub card: Duration,
}

/// One counter: a terminal in this process, a till, and the state folder of a router that comes and goes.
pub struct Counter {
    /// The terminal.
    pub premises: Premises,
    /// The till.
    pub till: Arc<Till>,
    /// What steers the router.
    pub steering: Steering,
    folder: TempDir,
}

impl Counter {
    /// Sets it up. With `power`, it is kept what a power cut takes.
    pub async fn open(manner: Manner, shim: &Shim, power: bool) -> Counter {
        let folder = tempfile::tempdir().expect("there is room for a small folder");
        let premises =
            Premises::prepare(plan(manner, &folder), folder.path()).await.expect("a simulated terminal starts");
        let port = match manner.terminal {
            Terminal::ZvtTcp => premises.zvt["counter"].addr().port(),
            Terminal::ZvtSerial => 0,
            Terminal::Http => premises.http["counter"].addr().port(),
        };
        let steering = shim.over(folder.path(), &folder.path().join("tillswitch-state"), port, power);
        let till = Arc::new(Till::new(([127, 0, 0, 1], 0).into(), "/webhook/pos-payment"));
        Counter { premises, till, steering, folder }
    }

    /// Where the router keeps everything.
    pub fn state_dir(&self) -> PathBuf {
        self.folder.path().join("tillswitch-state")
    }

    /// Starts a router and tells the till where it is.
    pub async fn start(&self) -> Result<Router, Ended> {
        let (config, environment) = (self.premises.config.clone(), self.steering.environment.clone());
        let started = spawn_blocking(move || Router::start(&config, &environment)).await;
        let router = started.expect("starting a router does not panic")?;
        self.till.moved(router.public);
        Ok(router)
    }

    /// How many money commands have arrived at the terminal.
    pub fn money_commands(&self) -> usize {
        let zvt: usize = self.premises.zvt.values().map(|terminal| terminal.money_commands()).sum();
        zvt + self.premises.http.values().map(|terminal| terminal.money_commands()).sum::<usize>()
    }

    /// Whether the next card is declined.
    pub fn decline_next(&self, declined: bool) {
        let (zvt, http) = (declined.then_some(ZvtStep::Decline), declined.then_some(HttpStep::Decline));
        self.premises.zvt.values().for_each(|terminal| terminal.set_script(zvt.into_iter().collect()));
        self.premises.http.values().for_each(|terminal| terminal.set_script(http));
    }

    /// Waits until the terminal is done with what it was asked, and approves from then on. An HTTP terminal that is still at a
    /// payment refuses the next one, and nobody can ask it.
    pub async fn rests(&self) -> Result<(), String> {
        self.decline_next(false);
        let done = || {
            let zvt = self.premises.zvt.values().any(|terminal| terminal.is_busy());
            !zvt && !self.premises.http.values().any(|terminal| terminal.is_busy())
        };
        self.until("the terminal is done", PATIENCE, done).await
    }

    /// Waits for a condition.
    pub async fn until(&self, what: &str, patience: Duration, condition: impl Fn() -> bool) -> Result<(), String> {
        let deadline = Instant::now() + patience;
        while !condition() {
            if Instant::now() > deadline {
                return Err(format!("never: {what}"));
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Cuts the power of a router that is at nothing: at its next call, which is its answer to a question.
    pub async fn cut_power(&self, router: Router, deed: Deed, seed: u32) {
        self.steering.arm(&Order { at: 1, point: Point::Before, deed, seed, ..Order::count() });
        // There is no answer to be had.
        let _ = get(router.public, "/health/live").await;
        drop(router);
    }

    /// Delivers a sale until it is answered with something else than "come again".
    pub async fn deliver(&self, sale: &Sale) -> Result<Reply, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.till.send(sale).await {
                Ok(reply) if reply.status != 503 => return Ok(reply),
                heard if Instant::now() > deadline => return Err(format!("no end of it: {heard:?}")),
                Ok(_) | Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Waits until nothing is running or being asked about, and returns the payments.
    pub async fn settled(&self, router: &Router) -> Result<Vec<Value>, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let payments = self.payments(router).await?;
            if !payments.iter().any(is_open) {
                return Ok(payments);
            }
            if Instant::now() > deadline {
                return Err(format!("I4: never settled: {payments:#?}"));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// All payments, newest first.
    pub async fn payments(&self, router: &Router) -> Result<Vec<Value>, String> {
        let reply = get(router.admin, "/api/v1/payments?limit=1000").await.map_err(|error| error.to_string())?;
        reply.body["payments"].as_array().cloned().ok_or(reply.text)
    }

    /// Compares everybody, when no router runs; and recovers once more, which must change nothing.
    pub async fn violations(&self) -> Vec<String> {
        let database = self.state_dir().join("payments.db");
        let journal = match SqliteJournal::open(&database, JournalOptions::default()) {
            Ok(journal) => journal,
            Err(error) => return vec![format!("I7: the journal does not open: {error}")],
        };
        let commands = self.money_commands();
        let read = async || {
            let payments = oracle::payments(&journal).await?;
            let dispatched = payments.iter().filter(|payment| payment.dispatched_at.is_some()).count();
            let unknown = commands.saturating_sub(dispatched);
            let witnesses = Witnesses { ledgers: self.premises.ledgers(), payments, told: self.till.told() };
            let mut found = oracle::violations(&witnesses);
            found.extend(oracle::recovers_once(&journal).await?);
            let lost = format!("I5: {unknown} money commands arrived that the journal does not know");
            let found = found.iter().map(ToString::to_string).chain((unknown > 0).then_some(lost));
            Ok::<_, tillswitch::journal::JournalError>(found.collect())
        };
        let found: Vec<String> = match read().await {
            Ok(found) => found,
            Err(error) => vec![format!("I7: the journal cannot be read: {error}")],
        };
        journal.close().await;
        found
    }

    /// The terminal stops.
    pub async fn close(self) {
        self.premises.close().await;
    }
}

fn is_open(payment: &Value) -> bool {
    let running = ["received", "dispatched"].iter().any(|state| payment["state"] == *state);
    running || payment["state"] == "in_doubt" && payment["waits_for_person"] != true
}

fn plan(manner: Manner, folder: &TempDir) -> Plan {
    let ledger = folder.path().join("counter.jsonl");
    let plan = Plan::new().register("POS-01", PROJECT, "counter");
    if manner.terminal == Terminal::Http {
        return plan.http("counter", SimulatorOptions { card_time: manner.card, ..SimulatorOptions::new(ledger) });
    }
    let mut options = ZvtOptions { auto_reverse: manner.reverses, ..ZvtOptions::fast(ledger) };
    options.reuses_numbers = manner.reuses_numbers;
    options.timing.card = manner.card;
    // A slow machine must not look like a broken line.
    options.timing.acknowledgement = Duration::from_secs(5);
    options.timing.answer = Duration::from_secs(10);
    options.timing.issue_of_goods = Duration::from_secs(10);
    let slips = if manner.slips { "receipts = \"router\"" } else { "" };
    match manner.terminal {
        Terminal::ZvtSerial => plan.zvt_serial("counter", options),
        Terminal::ZvtTcp | Terminal::Http => plan.zvt("counter", options),
    }
    .terminal_lines("counter", slips)
}
