//! Whether the driver keeps the rules of money against every misbehaviour of the simulated terminal.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tillswitch_core::conformance::{self, Behaviour, Bench};
use tillswitch_core::ledger::LedgerEntry;
use tillswitch_core::{DriverFactory, Settings, TerminalDriver, async_trait};
use tillswitch_zvt::simulator::{Options, Simulator};
use tillswitch_zvt::{Timing, ZvtTcpFactory};

struct ZvtBench {
    folder: tempfile::TempDir,
    runs: usize,
    terminal: Option<Simulator>,
    auto_reverse: bool,
}

impl ZvtBench {
    fn new(auto_reverse: bool) -> ZvtBench {
        ZvtBench { folder: tempfile::tempdir().unwrap(), runs: 0, terminal: None, auto_reverse }
    }

    fn terminal(&self) -> &Simulator {
        self.terminal.as_ref().expect("start comes first")
    }
}

#[async_trait]
impl Bench for ZvtBench {
    fn supports(&self, _: Behaviour) -> Result<(), &'static str> {
        Ok(())
    }

    async fn start(&mut self, behaviour: Behaviour) -> Box<dyn TerminalDriver> {
        if let Some(terminal) = self.terminal.take() {
            self.check_protocol(&terminal);
            terminal.stop().await;
        }
        self.runs += 1;
        let ledger = self.folder.path().join(format!("{}.jsonl", self.runs));
        let options = Options { auto_reverse: self.auto_reverse, ..Options::fast(ledger) };
        let terminal = Simulator::start(options).await.unwrap();
        terminal.set_behaviour(behaviour).await.unwrap();
        let settings = Settings::new("counter").with("address", terminal.addr().to_string());
        self.terminal = Some(terminal);
        // The battery leaves no pause between two payments, so every line that is used again counts as an idle one.
        let timing = Timing { idle_check: Duration::ZERO, ..Timing::fast() };
        ZvtTcpFactory { timing }.build(&settings).unwrap()
    }

    async fn heal(&mut self) {
        self.terminal().heal().await.unwrap();
    }

    fn ledger(&self) -> Vec<LedgerEntry> {
        self.terminal().ledger()
    }

    fn money_commands(&self) -> usize {
        self.terminal().money_commands()
    }
}

impl ZvtBench {
    /// What the driver must not do is seen best by the other side.
    fn check_protocol(&self, terminal: &Simulator) {
        let faults = terminal.protocol_faults();
        assert!(faults.is_empty(), "run {}: {faults:?}", self.runs);
    }
}

async fn examine(auto_reverse: bool) {
    let report = conformance::run(&mut ZvtBench::new(auto_reverse)).await;
    report.assert_passed();
    assert!(report.left_out.is_empty(), "ZVT can express everything: {report}");
}

#[tokio::test]
async fn the_driver_keeps_the_rules_with_a_reversing_terminal() {
    examine(true).await;
}

#[tokio::test]
async fn the_driver_keeps_the_rules_with_a_terminal_that_does_not_reverse() {
    examine(false).await;
}
