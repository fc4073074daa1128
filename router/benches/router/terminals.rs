//! Where do the payments go, and how long does one take without a router?

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;
use tillswitch::shop::{Plan, Premises};
use tillswitch_core::conformance::TestSession;
use tillswitch_core::ledger::LedgerEvent;
use tillswitch_core::{Currency, Money, Operation, Outcome, PaymentId, PaymentRequest, Settings, TerminalDriver};
use tillswitch_http::simulator::SimulatorOptions;
use tillswitch_zvt::simulator::Options;

/// Which protocol the terminals speak.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The plain terminal of the Xentral guide.
    Http,
    /// ZVT over TCP.
    Zvt,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Http => "http",
            Kind::Zvt => "zvt",
        }
    }
}

/// One simulated terminal per register.
pub struct Terminals {
    kind: Kind,
    premises: Premises,
    _ledgers: TempDir,
}

/// What the webhook of a register names.
pub fn project(register: usize) -> String {
    format!("project-{register}")
}

impl Terminals {
    /// Starts them, and writes the configuration of a router in front of them into a folder of its own.
    pub async fn open(kind: Kind, registers: usize, folder: &Path) -> Terminals {
        // A terminal has a disk of its own: its bookings must not queue up with the journal's commits.
        let memory = Path::new("/dev/shm");
        let ledgers = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let ledgers = ledgers.expect("there is a temporary folder");
        let mut plan =
            Plan::new().server_lines("max_connections = 4096").webhook_lines("new_payments_per_second = 1000000");
        for register in 0..registers {
            let terminal = format!("T{register}");
            let ledger = ledgers.path().join(&terminal);
            plan = match kind {
                Kind::Http => plan.http(&terminal, SimulatorOptions::new(ledger)),
                Kind::Zvt => plan.zvt(&terminal, immediate(ledger)),
            };
            plan = plan.register(&format!("R{register}"), &project(register), &terminal);
        }
        let folder = folder.join(kind.word());
        std::fs::create_dir(&folder).expect("the folder is new");
        let premises = Premises::prepare(plan, &folder).await.expect("the terminals start");
        Terminals { kind, premises, _ledgers: ledgers }
    }

    /// The router's configuration file.
    pub fn config(&self) -> &Path {
        &self.premises.config
    }

    /// How many bookings stand at all terminals together.
    pub fn booked(&self) -> usize {
        let ledgers = self.premises.ledgers();
        let count = |event| ledgers.iter().flat_map(|ledger| &ledger.entries).filter(|e| e.event == event).count();
        count(LedgerEvent::Booked) - count(LedgerEvent::Reversed)
    }

    /// For the forwarder: a line with project and address for every terminal.
    pub fn list(&self) -> String {
        let http = |register: usize| self.premises.http[&format!("T{register}")].addr();
        (0..self.premises.http.len()).map(|register| format!("{} {}\n", project(register), http(register))).collect()
    }

    /// A driver of the first terminal, without a router around it.
    pub fn driver(&self) -> Direct {
        let (name, key, value) = match self.kind {
            Kind::Http => ("http", "url", self.premises.http["T0"].url()),
            Kind::Zvt => ("zvt-tcp", "address", self.premises.zvt["T0"].addr().to_string()),
        };
        let factory = tillswitch::drivers::builtin().get(name).expect("the driver is built in");
        let driver = factory.build(&Settings::new("direct").with(key, value));
        Direct(driver.unwrap_or_else(|faults| panic!("{faults:?}")))
    }

    /// Stops them.
    pub async fn close(self) {
        self.premises.close().await;
    }
}

fn immediate(ledger: PathBuf) -> Options {
    let mut options = Options::fast(ledger);
    options.timing.card = Duration::ZERO;
    options.timing.host = Duration::ZERO;
    options
}

/// A terminal that is called directly: nothing is kept of what it says.
pub struct Direct(Box<dyn TerminalDriver>);

impl Direct {
    /// One payment, and how long it took.
    pub async fn pay(&mut self) -> Duration {
        let request = PaymentRequest {
            id: PaymentId::generate(),
            operation: Operation::Sale,
            amount: Money::from_minor(100, Currency::EUR),
            register: "R0".into(),
            document: None,
            accept_partial: false,
            original: None,
            received_at: SystemTime::now(),
        };
        let start = Instant::now();
        let outcome = self.0.execute(&request, &mut TestSession::new()).await;
        assert!(matches!(outcome, Ok(Outcome::Approved(_))), "{outcome:?}");
        start.elapsed()
    }

    /// Leaves the terminal to the next one.
    pub async fn close(mut self) {
        self.0.close().await;
    }
}
