//! Does a driver that crashes, never returns or blocks harm its own payment only?

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use tillswitch::oracle::{self, Ledger};
use tillswitch::shop::Sale;
use tillswitch_core::ledger::{LedgerEntry, LedgerEvent};
use tillswitch_core::{
    Approval, Details, Display, DriverError, DriverFactory, EndOfDay, Evidence, Identity, Outcome, PaymentRequest,
    Resolution, Session, Settings, SettingsError, TerminalDriver, TerminalStatus,
};

use super::in_doubt;
use crate::harness::{PROJECT, PROJECT_2, Scene, check, drivers, one_register, patient, quick, send, until};

/// A sale of this amount brings the trouble about.
const TROUBLE_MINOR: u64 = 666;
const TERMINAL_ID: &str = "odd-1";

#[derive(Clone, Copy, Debug)]
enum Trouble {
    Panics,
    NeverReturns,
    Blocks,
}

/// A terminal whose driver is odd. It books before its driver gets into trouble.
#[derive(Clone)]
struct Odd {
    trouble: Trouble,
    shared: Arc<Shared>,
}

struct Shared {
    bookings: Mutex<Vec<LedgerEntry>>,
    builds: AtomicUsize,
    /// Which built driver got into trouble, and which one was asked about it.
    troubled: AtomicUsize,
    asked: AtomicUsize,
    release: Mutex<mpsc::Receiver<()>>,
}

struct OddDriver {
    odd: Odd,
    number: usize,
}

impl Odd {
    fn new(trouble: Trouble) -> (Odd, mpsc::Sender<()>) {
        let (releaser, release) = mpsc::channel();
        let shared = Shared {
            bookings: Mutex::default(),
            builds: AtomicUsize::new(0),
            troubled: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            release: Mutex::new(release),
        };
        (Odd { trouble, shared: Arc::new(shared) }, releaser)
    }

    fn bookings(&self) -> Vec<LedgerEntry> {
        self.shared.bookings.lock().unwrap().clone()
    }

    fn book(&self, request: &PaymentRequest) -> Outcome {
        let mut bookings = self.shared.bookings.lock().unwrap();
        let entry = LedgerEntry {
            event: LedgerEvent::Booked,
            operation: request.operation,
            amount: request.amount,
            receipt_number: format!("{:04}", bookings.len() + 1),
            terminal_id: TERMINAL_ID.into(),
            at_unix_ms: SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64,
            payment_id: Some(request.id.to_string()),
        };
        bookings.push(entry.clone());
        approved(&entry)
    }
}

fn approved(entry: &LedgerEntry) -> Outcome {
    let details = Details {
        receipt_number: Some(entry.receipt_number.clone()),
        terminal_id: Some(TERMINAL_ID.into()),
        ..Details::new("00", "approved")
    };
    Outcome::Approved(Approval { amount: entry.amount, details })
}

impl DriverFactory for Odd {
    fn name(&self) -> &str {
        "odd"
    }

    fn identity(&self, settings: &Settings) -> Identity {
        Identity { address: settings.terminal.clone(), ..Identity::default() }
    }

    fn build(&self, _settings: &Settings) -> Result<Box<dyn TerminalDriver>, Vec<SettingsError>> {
        let number = self.shared.builds.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(Box::new(OddDriver { odd: self.clone(), number }))
    }
}

#[async_trait]
impl TerminalDriver for OddDriver {
    async fn execute(&mut self, request: &PaymentRequest, _session: &mut dyn Session) -> Result<Outcome, DriverError> {
        let outcome = self.odd.book(request);
        if request.amount.minor() != TROUBLE_MINOR {
            return Ok(outcome);
        }
        self.odd.shared.troubled.store(self.number, Ordering::SeqCst);
        match self.odd.trouble {
            Trouble::Panics => panic!("this driver crashes on purpose"),
            Trouble::NeverReturns => std::future::pending().await,
            Trouble::Blocks => {
                let _ = self.odd.shared.release.lock().unwrap().recv();
                std::future::pending().await
            }
        }
    }

    async fn resolve(
        &mut self,
        request: &PaymentRequest,
        _session: &mut dyn Session,
    ) -> Result<Resolution, DriverError> {
        self.odd.shared.asked.store(self.number, Ordering::SeqCst);
        let id = request.id.to_string();
        let booked = self.odd.bookings().into_iter().find(|entry| entry.payment_id.as_ref() == Some(&id));
        Ok(booked.map_or_else(
            || Resolution::NotCharged(Evidence::new("it is not in the book")),
            |entry| Resolution::Known(approved(&entry)),
        ))
    }

    async fn status(&mut self) -> Result<TerminalStatus, DriverError> {
        Err(DriverError::Unsupported)
    }

    async fn end_of_day(&mut self, _display: &mut dyn Display) -> Result<EndOfDay, DriverError> {
        Err(DriverError::Unsupported)
    }
}

async fn open(odd: &Odd) -> Scene {
    let mut registry = drivers(patient());
    registry.register(odd.clone());
    let table = "[terminals.odd]\ndriver = \"odd\"\npayment_deadline = \"500ms\"";
    let plan = |folder: &std::path::Path| {
        one_register(quick(folder, "counter")).other_lines(table).register("POS-02", PROJECT_2, "odd")
    };
    Scene::open_with(plan, registry).await
}

/// The other terminal is not disturbed, the payment is settled by a driver that was built anew, and the next one is paid.
async fn recovers(trouble: Trouble) {
    let (odd, releaser) = Odd::new(trouble);
    let scene = open(&odd).await;
    check(&send(&scene.till, Sale::new(PROJECT_2, "1.00", "before")).await, 200, "success", "");
    let (reply, ()) = tokio::join!(send(&scene.till, Sale::new(PROJECT_2, "6.66", "trouble")), async {
        until("the driver is in trouble", async || odd.shared.troubled.load(Ordering::SeqCst) > 0).await;
        for document in ["one", "two", "three"] {
            check(&send(&scene.till, Sale::new(PROJECT, "2.00", document)).await, 200, "success", "");
        }
        releaser.send(()).unwrap();
    });
    let id = in_doubt(&reply);
    let payment = scene.until_state(&id, "approved").await;
    assert_eq!(payment["result"]["receipt_number"], "0002", "{payment}");
    let (troubled, asked) = (odd.shared.troubled.load(Ordering::SeqCst), odd.shared.asked.load(Ordering::SeqCst));
    assert!(asked > troubled, "driver {troubled} got into trouble, driver {asked} was asked");
    until("the terminal takes the next payment", async || {
        send(&scene.till, Sale::new(PROJECT_2, "1.00", "after")).await.status == 200
    })
    .await;
    let mut witnesses = scene.witnesses().await.unwrap();
    witnesses.ledgers.push(Ledger { terminal: "odd".into(), entries: odd.bookings() });
    assert_eq!(oracle::violations(&witnesses), []);
}

#[tokio::test]
async fn a_driver_that_panics() {
    recovers(Trouble::Panics).await;
}

#[tokio::test]
async fn a_driver_that_never_returns() {
    recovers(Trouble::NeverReturns).await;
}

/// It occupies a thread of the runtime; the others go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_driver_that_blocks_its_thread() {
    recovers(Trouble::Blocks).await;
}

/// The deadline alone ends the wait, however long the driver holds on.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_driver_that_never_lets_go_of_its_thread() {
    let (odd, releaser) = Odd::new(Trouble::Blocks);
    let scene = open(&odd).await;
    let reply =
        tokio::time::timeout(Duration::from_secs(15), send(&scene.till, Sale::new(PROJECT_2, "6.66", "trouble")));
    let id = in_doubt(&reply.await.expect("the till is answered although the driver still blocks"));
    scene.until_state(&id, "approved").await;
    check(&send(&scene.till, Sale::new(PROJECT, "2.00", "other")).await, 200, "success", "");
    releaser.send(()).unwrap();
}
