//! What becomes of a payment in one cell.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tillswitch_core::conformance::TestSession;
use tillswitch_core::{
    Currency, DriverError, Money, Operation, Outcome, PaymentId, PaymentRequest, Resolution, Settings, TerminalDriver,
};
use tillswitch_zvt::simulator::{Options, Timing as SimulatedTiming};
use tillswitch_zvt::transport::Transport;
use tillswitch_zvt::transport::serial::{LineSettings, Parity, SerialTransport, StopBits};
use tillswitch_zvt::transport::tcp::TcpTransport;
use tillswitch_zvt::{Timing, driver_over};
use tokio::time::{sleep, timeout};

use crate::cable::Cable;
use crate::cell::{Cell, Line, Model, Target};
use crate::fate::Fate;
use crate::net::Net;
use crate::terminal::Terminal;

const BEFORE: u64 = 1000;
const TESTED: u64 = 2590;
const AFTER: u64 = 700;

/// When the router asks about a payment in doubt, in seconds after the last time; the last one is repeated.
const SCHEDULE: [u64; 7] = [0, 2, 5, 10, 30, 60, 300];
/// A payment that is still in doubt then will stay so.
const ASKED_AT_MOST: usize = 20;
/// How long the router waits for one answer about a payment in doubt.
const QUESTION_LIMIT: Duration = Duration::from_secs(120);
/// When the next customer comes.
const NEXT_CUSTOMER: Duration = Duration::from_secs(20);
/// How often somebody comes back with the next payment, a minute later each time, when it is refused.
const TRIED_AT_MOST: usize = 5;

/// What was seen of a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// What `execute` returned.
    pub executed: String,
    /// What was recorded while it ran.
    pub recorded: String,
    /// How many results were filed as late.
    pub late: usize,
    /// What the asking came to.
    pub resolved: String,
    /// How many bookings of the payment stand.
    pub stands: usize,
    /// What became of the next payment.
    pub next: String,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Seen { executed, recorded, late, resolved, stands, next } = self;
        write!(f, "{executed} | recorded {recorded} | late {late} | {resolved} | stands {stands} | next {next}")
    }
}

/// What the rules need besides.
pub struct Facts {
    pub hit: bool,
    pub money_commands: usize,
    /// How many of them the PT took for one.
    pub arrived: usize,
    pub acknowledged: bool,
    pub refused: bool,
    pub next_stands: usize,
}

struct Scene {
    fate: Arc<Fate>,
    /// Makes the PT say something on the idle line.
    say_while_idle: Box<dyn Fn()>,
    terminal: Arc<Terminal>,
    driver: Box<dyn TerminalDriver>,
}

/// Runs one cell in a world of its own, where time passes only when nothing else happens.
pub fn run(cell: Cell, model: &Model) -> (Seen, Facts) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        Scene::open(cell, model, folder.path()).await.play(model).await
    })
}

impl Scene {
    async fn open(cell: Cell, model: &Model, folder: &std::path::Path) -> Scene {
        let options = Options {
            auto_reverse: model.auto_reverse,
            reuses_numbers: model.reuses_numbers,
            timing: SimulatedTiming::real(),
            ..Options::new(folder.join("ledger"))
        };
        let terminal = Arc::new(Terminal::start(options).await);
        let fate = Arc::new(Fate::new(cell));
        let (line, timing, say_while_idle) = match cell.line {
            Line::Tcp => over_tcp(&fate, &terminal),
            Line::Serial => on_a_serial_line(&fate, &terminal),
        };
        let settings = Settings::new("counter").with("receipts", "router");
        let driver = driver_over(line, &settings, timing).unwrap();
        Scene { fate, say_while_idle, terminal, driver }
    }

    async fn play(mut self, model: &Model) -> (Seen, Facts) {
        let (before, _) = self.pay(BEFORE).await;
        assert!(matches!(before.1, Ok(Outcome::Approved(_))), "{:?}", before.1);
        self.terminal.set_script(model.script).await;
        self.arm().await;
        let before = self.terminal.money_commands().await;
        let ((request, executed), session) = self.pay(TESTED).await;
        let (resolved, late) = match &executed {
            Err(DriverError::InDoubt(_)) => self.resolve(&request, &session).await,
            Ok(_) | Err(_) => ("-".into(), 0),
        };
        sleep(NEXT_CUSTOMER).await;
        let (money_commands, acknowledged, refused) = self.fate.disarm();
        let arrived = self.terminal.money_commands().await.saturating_sub(before);
        let next = self.next().await;
        // Whatever the terminal still has in hand comes to its end.
        sleep(Duration::from_secs(600)).await;
        let seen = Seen {
            executed: executed_word(&executed),
            recorded: session.recorded.last().map_or("-", Outcome::name).to_owned(),
            late: late + session.late.len(),
            resolved,
            stands: self.terminal.standing(TESTED),
            next,
        };
        let next_stands = self.terminal.standing(AFTER);
        (seen, Facts { hit: self.fate.has_hit(), money_commands, arrived, acknowledged, refused, next_stands })
    }

    async fn arm(&mut self) {
        match self.fate.cell.place.target {
            Target::AfterIdle => {
                self.fate.arm();
                sleep(Duration::from_secs(15)).await;
            }
            Target::WhileIdle => {
                self.fate.arm();
                sleep(Duration::from_secs(2)).await;
                if self.fate.hits_idle() {
                    (self.say_while_idle)();
                }
                sleep(Duration::from_secs(2)).await;
            }
            _ => {
                self.driver.close().await;
                self.fate.arm();
            }
        }
    }

    async fn pay(&mut self, minor: u64) -> ((PaymentRequest, Result<Outcome, DriverError>), TestSession) {
        let request = sale(minor);
        let mut session = TestSession::new();
        let result = self.driver.execute(&request, &mut session).await;
        ((request, result), session)
    }

    /// Asks as the router does, and counts what was filed as late meanwhile.
    async fn resolve(&mut self, request: &PaymentRequest, session: &TestSession) -> (String, usize) {
        let mut late = 0;
        let last = SCHEDULE[SCHEDULE.len() - 1];
        let mut session = session.resumed();
        for seconds in SCHEDULE.into_iter().chain(std::iter::repeat(last)).take(ASKED_AT_MOST) {
            sleep(Duration::from_secs(seconds)).await;
            session = session.resumed();
            let found = timeout(QUESTION_LIMIT, self.driver.resolve(request, &mut session)).await;
            late += session.late.len();
            match found.expect("a question is answered in time") {
                Ok(Resolution::Known(outcome)) => return (format!("known {}", outcome.name()), late),
                Ok(Resolution::NotCharged(_)) => return ("not charged".into(), late),
                Ok(Resolution::Undecided(_)) => return ("undecided".into(), late),
                Ok(Resolution::InProgress) | Err(_) => {}
            }
        }
        ("never".into(), late)
    }

    /// The next customer's payment, and once more for as long as it is refused.
    async fn next(&mut self) -> String {
        self.terminal.set_script(&[]).await;
        let mut words = Vec::new();
        for _ in 0..TRIED_AT_MOST {
            let ((_, result), _) = self.pay(AFTER).await;
            words.push(executed_word(&result));
            match result {
                Err(DriverError::NotStarted(_)) => sleep(Duration::from_secs(60)).await,
                Ok(_) | Err(_) => break,
            }
        }
        words.join(", ")
    }
}

type Ground = (Box<dyn Transport>, Timing, Box<dyn Fn()>);

fn over_tcp(fate: &Arc<Fate>, terminal: &Arc<Terminal>) -> Ground {
    let net = Net::new(Arc::clone(fate), Arc::clone(terminal));
    let timing = Timing::default();
    let line = TcpTransport::over(Box::new(net.clone()), "the terminal".into(), timing.connect, timing.answer);
    (Box::new(line), timing, Box::new(move || net.say_while_idle()))
}

fn on_a_serial_line(fate: &Arc<Fate>, terminal: &Arc<Terminal>) -> Ground {
    let cable = Cable::lay(Arc::clone(fate), Arc::clone(terminal));
    let timing = Timing::default();
    let settings = LineSettings { baud_rate: 9600, parity: Parity::None, stop_bits: StopBits::Two };
    let line = SerialTransport::over(Box::new(cable.clone()), "the device".into(), settings, &timing);
    (Box::new(line), timing.with_repetitions(), Box::new(move || cable.say_while_idle()))
}

fn executed_word(result: &Result<Outcome, DriverError>) -> String {
    match result {
        Ok(outcome) => outcome.name().to_owned(),
        Err(DriverError::NotStarted(reason)) => format!("not started ({})", reason.cause.name()),
        Err(DriverError::InDoubt(reason)) => format!("in doubt ({})", reason.cause.name()),
        Err(DriverError::Unsupported) => "unsupported".into(),
    }
}

fn sale(minor: u64) -> PaymentRequest {
    PaymentRequest {
        id: PaymentId::generate(),
        operation: Operation::Sale,
        amount: Money::from_minor(minor, Currency::EUR),
        register: "POS-01".into(),
        document: None,
        accept_partial: false,
        original: None,
        received_at: SystemTime::now(),
    }
}
