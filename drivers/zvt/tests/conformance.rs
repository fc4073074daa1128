//! Whether the driver keeps the rules of money against every misbehaviour of the simulated terminal.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tillswitch_core::conformance::{self, Behaviour, Bench};
use tillswitch_core::ledger::LedgerEntry;
use tillswitch_core::{DriverFactory, Settings, TerminalDriver, async_trait};
use tillswitch_zvt::simulator::{Encryption, Options, Simulator};
use tillswitch_zvt::{Timing, ZvtSerialFactory, ZvtTcpFactory};

struct ZvtBench {
    folder: tempfile::TempDir,
    runs: usize,
    terminal: Option<Simulator>,
    auto_reverse: bool,
    encryption: Option<Encryption>,
    is_serial: bool,
}

impl ZvtBench {
    fn new(auto_reverse: bool) -> ZvtBench {
        let folder = tempfile::tempdir().unwrap();
        ZvtBench { folder, runs: 0, terminal: None, auto_reverse, encryption: None, is_serial: false }
    }

    /// The same with TLS to a terminal that made its certificate itself.
    fn encrypted(auto_reverse: bool) -> ZvtBench {
        let made = rcgen::generate_simple_self_signed(["terminal".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let encryption = Encryption::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        let bench = ZvtBench { encryption: Some(encryption), ..ZvtBench::new(auto_reverse) };
        std::fs::write(bench.folder.path().join("terminal.pem"), certificate).unwrap();
        bench
    }

    /// The same on a serial line.
    fn serial(auto_reverse: bool) -> ZvtBench {
        ZvtBench { is_serial: true, ..ZvtBench::new(auto_reverse) }
    }

    async fn simulated(&self, options: Options) -> Simulator {
        match self.is_serial {
            true => Simulator::start_serial(options, &self.folder.path().join("tty")).await.unwrap(),
            false => Simulator::start(options).await.unwrap(),
        }
    }

    fn driver(&self, settings: &Settings, timing: Timing) -> Box<dyn TerminalDriver> {
        match self.is_serial {
            true => ZvtSerialFactory { timing }.build(settings).unwrap(),
            false => ZvtTcpFactory { timing }.build(settings).unwrap(),
        }
    }

    fn settings(&self, terminal: &Simulator) -> Settings {
        if let Some(device) = terminal.device() {
            return Settings::new("counter").with("device", device.to_str().unwrap());
        }
        let settings = Settings::new("counter").with("address", terminal.addr().to_string());
        match self.encryption {
            None => settings,
            Some(_) => {
                let settings = settings.with("tls", true).with("ca", "terminal.pem");
                Settings { base_dir: self.folder.path().to_owned(), ..settings }
            }
        }
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
        let (auto_reverse, encryption) = (self.auto_reverse, self.encryption.clone());
        let options = Options { auto_reverse, encryption, ..Options::fast(ledger) };
        let terminal = self.simulated(options).await;
        terminal.set_behaviour(behaviour).await.unwrap();
        let settings = self.settings(&terminal);
        self.terminal = Some(terminal);
        // The battery leaves no pause between two payments, so every line that is used again counts as an idle one.
        let timing = Timing { idle_check: Duration::ZERO, ..Timing::fast() };
        self.driver(&settings, timing)
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

async fn examine(mut bench: ZvtBench) {
    let report = conformance::run(&mut bench).await;
    report.assert_passed();
    assert!(report.left_out.is_empty(), "ZVT can express everything: {report}");
}

#[tokio::test]
async fn the_driver_keeps_the_rules_with_a_reversing_terminal() {
    examine(ZvtBench::new(true)).await;
}

#[tokio::test]
async fn the_driver_keeps_the_rules_with_a_terminal_that_does_not_reverse() {
    examine(ZvtBench::new(false)).await;
}

#[tokio::test]
async fn the_driver_keeps_the_rules_over_an_encrypted_line() {
    examine(ZvtBench::encrypted(true)).await;
    examine(ZvtBench::encrypted(false)).await;
}

#[tokio::test]
async fn the_driver_keeps_the_rules_on_a_serial_line() {
    examine(ZvtBench::serial(true)).await;
    examine(ZvtBench::serial(false)).await;
}
