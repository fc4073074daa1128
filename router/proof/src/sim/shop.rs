//! Which terminals and registers has the shop of a seed, and how is a router started in it?

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tillswitch::config::{Config, Repeat, TerminalConfig};
use tillswitch::desk::Desk;
use tillswitch::events::Events;
use tillswitch::intake::Intake;
use tillswitch::journal::{Journal, JournalError, Measured};
use tillswitch::life::Life;
use tillswitch::live::Live;
use tillswitch::metrics::{Layout, Metrics};
use tillswitch::oracle::Ledger;
use tillswitch::server::Callers;
use tillswitch::terminals::Terminals;
use tillswitch_core::{
    Display, DriverError, DriverFactory, DriverRegistry, EndOfDay, Identity, Outcome, PaymentRequest, Resolution,
    Session, Settings, SettingsError, TerminalDriver, TerminalStatus, async_trait,
};
use tillswitch_zvt::simulator::{LineNoise, Options, Simulator, Step};
use tillswitch_zvt::transport::serial::{LineSettings, Parity, SerialTransport, StopBits};
use tillswitch_zvt::transport::tcp::TcpTransport;
use tillswitch_zvt::{Timing, driver_over};
use tokio::sync::watch;

use super::cable::{Cable, Port};
use super::dice::Dice;
use super::disk::{SimulatedDisk, Trouble};
use super::gate::Gate;
use super::journal::GatedJournal;
use super::line::Weather;
use super::net::Net;
use super::plain::{Deed, PlainDriver, PlainTerminal};
use super::trace::Trace;

/// The registers, each with its project and terminal. Two share one terminal.
pub const REGISTERS: [(&str, &str, &str); 4] = [
    ("POS-01", "project-1", "counter"),
    ("POS-02", "project-2", "bar"),
    ("POS-03", "project-3", "garden"),
    ("POS-04", "project-4", "counter"),
];

/// What a ZVT terminal is told to do, more often what happens more often.
const STEPS: &[Step] = &[
    Step::Approve,
    Step::Approve,
    Step::Approve,
    Step::Approve,
    Step::Approve,
    Step::Approve,
    Step::Decline,
    Step::Decline,
    Step::CustomerCancel,
    Step::WaitForAbort,
    Step::WaitForAbortBytewise,
    Step::Busy,
    Step::BusyAskAgain,
    Step::Refuse,
    Step::OnlyAbort,
    Step::ErrorWithoutCompletion,
    Step::PinRetry,
    Step::PinRetry,
    Step::ApproveThenReverse,
    Step::ApproveLess,
    Step::CutAfterCommand,
    Step::CutAfterStart,
    Step::CutAfterStatus,
    Step::CutBeforeResult,
    Step::CutAfterResult,
    Step::CutAfterAck,
    Step::CutAtSlip,
    Step::CutAfterCompletion,
    Step::CutIdle,
    Step::NoCompletion,
    Step::Silent,
    Step::SilentAfterStart,
    Step::Garbage,
    Step::Slow,
    Step::Slow,
    Step::Coalesced,
    Step::DuplicateResult,
    Step::LateResult,
    Step::LateResult,
    Step::CutRegistration,
    Step::WrongId,
    Step::NoRepeat,
];

const DEEDS: &[Deed] = &[
    Deed::Approve,
    Deed::Approve,
    Deed::Approve,
    Deed::Approve,
    Deed::Decline,
    Deed::Cancel,
    Deed::Refuse,
    Deed::Slow,
    Deed::BookAndFail,
    Deed::Fail,
    Deed::BookSilently,
];

/// What outlives the router. Cheap to clone.
#[derive(Clone)]
pub struct Shop(Arc<Inner>);

struct Inner {
    seed: u64,
    database: PathBuf,
    config: Config,
    metrics: Metrics,
    counter: Arc<Simulator>,
    bar: Arc<Simulator>,
    garden: Arc<PlainTerminal>,
    cable: Cable,
    weather: BTreeMap<&'static str, Weather>,
    trouble: Trouble,
    trace: Trace,
    /// The router that runs now.
    current: watch::Sender<Option<Arc<Router>>>,
    /// Those that were killed. What is left of them must find everything that it holds on to.
    graves: Mutex<Vec<Arc<Router>>>,
}

/// One run of the router.
pub struct Router {
    pub gate: Gate,
    pub life: Life,
    pub terminals: Arc<Terminals>,
    pub intake: Intake,
    pub desk: Desk,
}

impl Shop {
    /// The shop of a seed, in a folder.
    pub async fn open(seed: u64, folder: &Path, trace: Trace) -> io::Result<Shop> {
        let dice = Dice::new(seed, "shop");
        let weather: BTreeMap<_, _> = ["counter", "bar", "garden"]
            .map(|name| (name, Weather::new(Dice::new(seed, &format!("weather {name}")), trace.clone())))
            .into();
        let counter = Arc::new(Simulator::start(zvt(&dice, &folder.join("counter.ledger"))).await?);
        let bar = Arc::new(
            Simulator::start(Options { line_noise: noise(&dice), ..zvt(&dice, &folder.join("bar.ledger")) }).await?,
        );
        let deeds = (0..12).map(|_| dice.pick(DEEDS)).collect();
        let garden = Arc::new(PlainTerminal::new(Dice::new(seed, "garden"), deeds));
        let cable = Cable::lay(bar.clone(), weather["bar"].clone());
        let config = config(&dice, folder);
        let metrics = Metrics::new(&Layout::from(&config));
        Ok(Shop(Arc::new(Inner {
            seed,
            database: folder.join("payments.db"),
            config,
            metrics,
            counter,
            bar,
            garden,
            cable,
            weather,
            trouble: Trouble::none(),
            trace,
            current: watch::Sender::new(None),
            graves: Mutex::default(),
        })))
    }

    /// What is done with a second press.
    pub fn repeat(&self) -> Repeat {
        self.0.config.webhook.repeat
    }

    /// What goes wrong at the disk.
    pub fn trouble(&self) -> &Trouble {
        &self.0.trouble
    }

    /// What happens.
    pub fn trace(&self) -> &Trace {
        &self.0.trace
    }

    /// The router, if one runs.
    pub fn router(&self) -> Option<Arc<Router>> {
        self.0.current.borrow().clone()
    }

    /// Starts a router that is killed at the `fuse`th step. `None`: it was killed while it started.
    pub async fn start(&self, fuse: Option<u64>, run: u64) -> Option<Arc<Router>> {
        let gate = Gate::open(fuse, self.0.trace.clone());
        let started = tokio::select! {
            biased;
            () = gate.is_dead() => return None,
            started = self.launch(gate.clone(), run) => started,
        };
        match started {
            Ok(router) => {
                self.0.current.send_replace(Some(router.clone()));
                Some(router)
            }
            Err(error) => {
                self.0.trace.note(format!("the router does not start: {error}"));
                gate.shut();
                None
            }
        }
    }

    /// Nobody reaches this router any more.
    pub fn bury(&self, router: Arc<Router>) {
        router.gate.shut();
        self.0.current.send_replace(None);
        self.0.graves.lock().unwrap_or_else(PoisonError::into_inner).push(router);
    }

    /// In the order of the program's own start, without lock and listeners.
    async fn launch(&self, gate: Gate, run: u64) -> Result<Arc<Router>, JournalError> {
        let dice = Dice::new(self.0.seed, &format!("disk {run}"));
        let disk = SimulatedDisk { gate: gate.clone(), trouble: self.0.trouble.clone(), trace: self.0.trace.clone() };
        let journal = GatedJournal::open(&self.0.database, disk, dice)?;
        let recovered = journal.recover().await?;
        self.0.trace.note(format!("recovered {} in doubt, {} expired", recovered.in_doubt, recovered.expired));
        let metrics = self.0.metrics.clone();
        let journal = Measured::new(Arc::new(journal), metrics.journal().clone()).await?;
        let life = Life { journal: Arc::new(journal), metrics, live: Live::default(), events: Events::new() };
        let config = self.config_behind(&gate);
        let terminals = Arc::new(Terminals::start(config.terminals.values().cloned(), &life).await?);
        let latest = Arc::new(ArcSwap::from_pointee(config));
        let intake = Intake::new(latest.clone(), life.clone(), terminals.clone(), Callers::default());
        let desk = Desk::new(latest, life.clone(), terminals.clone());
        Ok(Arc::new(Router { gate, life, terminals, intake, desk }))
    }

    /// The configuration with drivers whose lines go through this gate.
    fn config_behind(&self, gate: &Gate) -> Config {
        let mut config = self.0.config.clone();
        for (name, terminal) in &mut config.terminals {
            let line = Line { shop: self.clone(), gate: gate.clone(), name: name.clone() };
            *terminal = Arc::new(TerminalConfig { factory: Arc::new(line), ..TerminalConfig::clone(terminal) });
        }
        config
    }

    /// What all terminals booked.
    pub fn ledgers(&self) -> Vec<Ledger> {
        let ledger = |name: &str, entries| Ledger { terminal: name.to_owned(), entries };
        vec![
            ledger("counter", self.0.counter.ledger()),
            ledger("bar", self.0.bar.ledger()),
            ledger("garden", self.0.garden.ledger()),
        ]
    }

    /// Whether a terminal is at a payment.
    pub fn is_busy(&self, terminal: &str) -> bool {
        match terminal {
            "counter" => self.0.counter.is_busy(),
            "bar" => self.0.bar.is_busy(),
            _ => self.0.garden.is_busy(),
        }
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.0.weather.values().for_each(Weather::calm);
        self.0.trouble.end();
        self.0.bar.set_line_noise(LineNoise::default());
        self.0.garden.behave();
        for terminal in [&self.0.counter, &self.0.bar] {
            terminal.set_script(Vec::new());
        }
    }
}

/// Makes the drivers of one terminal for one run of the router.
struct Line {
    shop: Shop,
    gate: Gate,
    name: String,
}

impl DriverFactory for Line {
    fn name(&self) -> &str {
        &self.name
    }

    fn identity(&self, _: &Settings) -> Identity {
        Identity { address: self.name.clone(), ..Identity::default() }
    }

    fn build(&self, settings: &Settings) -> Result<Box<dyn TerminalDriver>, Vec<SettingsError>> {
        let (shop, gate) = (&self.shop.0, self.gate.clone());
        let weather = shop.weather[self.name.as_str()].clone();
        let timing = Timing::default();
        match self.name.as_str() {
            "counter" => {
                let net = Net { terminal: shop.counter.clone(), gate, weather };
                let line = TcpTransport::over(Box::new(net), self.name.clone(), timing.connect, timing.answer);
                driver_over(Box::new(line), settings, timing)
            }
            "bar" => {
                let port = Port { cable: shop.cable.clone(), gate };
                let bits = LineSettings { baud_rate: 9600, parity: Parity::None, stop_bits: StopBits::Two };
                let line = SerialTransport::over(Box::new(port), self.name.clone(), bits, &timing);
                driver_over(Box::new(line), settings, timing.with_repetitions())
            }
            _ => Ok(Box::new(PlainDriver { terminal: shop.garden.clone(), gate, weather })),
        }
    }
}

/// A driver in the configuration file; each run of the router puts its own in its place.
struct Named(&'static str);

impl DriverFactory for Named {
    fn name(&self) -> &str {
        self.0
    }

    fn identity(&self, settings: &Settings) -> Identity {
        Identity { address: settings.terminal.clone(), ..Identity::default() }
    }

    fn build(&self, _: &Settings) -> Result<Box<dyn TerminalDriver>, Vec<SettingsError>> {
        Ok(Box::new(Nobody))
    }
}

/// What the configuration is checked with.
struct Nobody;

#[async_trait]
impl TerminalDriver for Nobody {
    async fn execute(&mut self, _: &PaymentRequest, _: &mut dyn Session) -> Result<Outcome, DriverError> {
        Err(DriverError::Unsupported)
    }

    async fn resolve(&mut self, _: &PaymentRequest, _: &mut dyn Session) -> Result<Resolution, DriverError> {
        Err(DriverError::Unsupported)
    }

    async fn status(&mut self) -> Result<TerminalStatus, DriverError> {
        Err(DriverError::Unsupported)
    }

    async fn end_of_day(&mut self, _: &mut dyn Display) -> Result<EndOfDay, DriverError> {
        Err(DriverError::Unsupported)
    }
}

fn zvt(dice: &Dice, ledger: &Path) -> Options {
    let auto_reverse = dice.percent(60);
    let steps = (0..12).map(|_| dice.pick(STEPS));
    // A part that was approved and cannot be refused stands, which nobody could tell from another payment.
    let script = steps.filter(|step| auto_reverse || *step != Step::ApproveLess).collect();
    Options {
        seed: dice.below(1 << 32),
        script,
        auto_reverse,
        reuses_numbers: dice.percent(60),
        first_receipt: dice.pick(&[1, 42, 9997]),
        ..Options::new(ledger)
    }
}

fn noise(dice: &Dice) -> LineNoise {
    let bad = dice.pick(&[0, 0, 1, 4]);
    LineNoise {
        seed: dice.below(1 << 32),
        wrong_bit: 40 * bad,
        lost_byte: 100 * bad,
        stray_byte: 2_000 * bad,
        lost_output: 3_000 * bad,
        doubled_output: 3_000 * bad,
    }
}

fn config(dice: &Dice, folder: &Path) -> Config {
    let mut registry = DriverRegistry::new();
    registry.register(Named("tcp")).register(Named("serial")).register(Named("plain"));
    let wait = dice.pick(&["180s", "180s", "45s"]);
    let deadline = dice.pick(&["5m", "5m", "90s"]);
    let queue = dice.below(3);
    let repeat = dice.pick(&["refuse", "refuse", "allow"]);
    let mut text = format!(
        "state_dir = \".\"\n[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [webhook]\nwait = \"{wait}\"\nrepeat = \"{repeat}\"\nmax_age = \"10m\"\n"
    );
    for (name, driver) in [("counter", "tcp"), ("bar", "serial"), ("garden", "plain")] {
        let receipts = if driver == "plain" { "" } else { "receipts = \"router\"\n" };
        text.push_str(&format!(
            "[terminals.{name}]\ndriver = \"{driver}\"\nqueue = {queue}\npayment_deadline = \"{deadline}\"\n{receipts}"
        ));
    }
    for (name, project, terminal) in REGISTERS {
        text.push_str(&format!("[registers.{name}]\nproject_ids = [\"{project}\"]\nterminal = \"{terminal}\"\n"));
    }
    Config::parse(&text, &folder.join("tillswitch.toml"), &registry).expect("the configuration is right")
}
