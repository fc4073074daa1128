//! Does the driver keep the rules of money, whatever its terminal does?

use std::net::SocketAddr;

use tempfile::TempDir;
use tillswitch_core::conformance::{self, Behaviour, Bench};
use tillswitch_core::ledger::LedgerEntry;
use tillswitch_core::{DriverFactory, Settings, TerminalDriver, async_trait};
use tillswitch_http::HttpFactory;
use tillswitch_http::simulator::{HttpSimulator, SimulatorOptions, Step};

struct HttpBench {
    folder: TempDir,
    runs: u32,
    addr: Option<SocketAddr>,
    terminal: Option<HttpSimulator>,
}

/// What of a behaviour can be said in one answer.
fn step(behaviour: Behaviour) -> Result<Step, &'static str> {
    Ok(match behaviour {
        Behaviour::Approve | Behaviour::Unreachable => Step::Approve,
        Behaviour::Decline => Step::Decline,
        Behaviour::CustomerCancels => Step::Cancel,
        Behaviour::Refuse => Step::Refuse,
        Behaviour::LinkLostAfterCommand => Step::CutBeforeBooking,
        Behaviour::LinkLostAfterBooking => Step::CutAfterBooking,
        Behaviour::LinkLostAfterOutcome => Step::CutInAnswer,
        Behaviour::LinkLostWhileIdle => Step::IdleClose,
        Behaviour::Garbage => Step::Garbage,
        Behaviour::Slow => Step::Slow,
        Behaviour::NeverAnswers => Step::NeverAnswers,
        Behaviour::ApproveLess => Step::ApproveLess,
        Behaviour::ApproveMore => Step::ApproveMore,
        Behaviour::WaitForAbort | Behaviour::WaitForAbortBytewise => return Err("it has nothing to cancel with"),
        Behaviour::Busy => return Err("it has no word for busy that proves that nothing was started"),
        Behaviour::ErrorThenApproval | Behaviour::ApprovalThenReversal => return Err("it answers once"),
        Behaviour::ReportsTooLate => return Err("it says nothing unasked"),
    })
}

impl HttpBench {
    fn options(&self) -> SimulatorOptions {
        SimulatorOptions::new(self.folder.path().join(format!("{}.jsonl", self.runs)))
    }

    fn terminal(&self) -> &HttpSimulator {
        self.terminal.as_ref().expect("the bench was started")
    }
}

#[async_trait]
impl Bench for HttpBench {
    fn supports(&self, behaviour: Behaviour) -> Result<(), &'static str> {
        step(behaviour).map(|_| ())
    }

    async fn start(&mut self, behaviour: Behaviour) -> Box<dyn TerminalDriver> {
        self.runs += 1;
        let options = SimulatorOptions { script: vec![step(behaviour).expect("supported")], ..self.options() };
        let terminal = HttpSimulator::start(options).await.expect("a free port and a new ledger");
        let settings = Settings::new("counter").with("url", terminal.url()).with("timeout", "1s");
        self.addr = Some(terminal.addr());
        match behaviour {
            Behaviour::Unreachable => {
                self.terminal = None;
                terminal.stop().await;
            }
            _ => self.terminal = Some(terminal),
        }
        HttpFactory.build(&settings).unwrap_or_else(|faults| panic!("{faults:?}"))
    }

    async fn heal(&mut self) {
        match &self.terminal {
            Some(terminal) => terminal.set_script([]),
            None => {
                let listen = self.addr.expect("the bench was started");
                let options = SimulatorOptions { listen, ..self.options() };
                self.terminal = Some(HttpSimulator::start(options).await.expect("the port was just free"));
            }
        }
    }

    fn ledger(&self) -> Vec<LedgerEntry> {
        self.terminal.as_ref().map_or_else(Vec::new, HttpSimulator::ledger)
    }

    fn money_commands(&self) -> usize {
        self.terminal.as_ref().map_or(0, HttpSimulator::money_commands)
    }
}

#[tokio::test]
async fn the_driver_keeps_the_rules() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut bench = HttpBench { folder, runs: 0, addr: None, terminal: None };
    let report = conformance::run(&mut bench).await;
    report.assert_passed();
    assert!(report.passed.len() >= 18, "{report}");
    assert!(bench.terminal().ledger_path().exists());
}
