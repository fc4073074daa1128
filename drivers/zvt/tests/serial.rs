//! Whether money is safe on a bad serial line: noise, lost and doubled frames, adapters that are pulled out.

#![allow(clippy::unwrap_used)]

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tillswitch_core::conformance::TestSession;
use tillswitch_core::ledger::standing;
use tillswitch_core::{
    Cause, Currency, DriverError, DriverFactory, Money, Operation, Outcome, PaymentId, PaymentRequest, Resolution,
    Settings, TerminalDriver,
};
use tillswitch_zvt::simulator::{LineNoise, Options, ScriptedFault, Simulator};
use tillswitch_zvt::{Timing, ZvtSerialFactory};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(20);
/// How long a payment is resolved over the line that brought it in doubt; then somebody has found a better cable.
const REPAIRED_AFTER: Duration = Duration::from_millis(400);
/// So many terminals are tried at a time: the timers are short, and the machine may be busy.
const AT_A_TIME: usize = 8;
const PAUSE: Duration = Duration::from_millis(10);
/// Another place in the amounts for every payment, so that each can be found in the ledger.
const FIRST_AMOUNT: u64 = 1000;

struct Shop {
    terminal: Simulator,
    driver: Box<dyn TerminalDriver>,
    _folder: tempfile::TempDir,
    paid: u64,
}

/// What became of a payment at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Approved,
    NotApproved,
    Undecided,
}

impl Shop {
    async fn open(auto_reverse: bool) -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { auto_reverse, ..Options::fast(folder.path().join("ledger.jsonl")) };
        let terminal = Simulator::start_serial(options, &folder.path().join("tty")).await.unwrap();
        let driver = driver(&terminal);
        Shop { terminal, driver, _folder: folder, paid: 0 }
    }

    /// One payment to its very end, which must be what the ledger says.
    async fn pay(&mut self, what: &str) -> (Result<Outcome, DriverError>, End) {
        self.paid += 1;
        let request = sale(FIRST_AMOUNT + self.paid);
        let mut session = TestSession::new();
        let executed = tokio::time::timeout(PATIENCE, self.driver.execute(&request, &mut session)).await;
        let result = executed.unwrap_or_else(|_| panic!("{what}: execute does not end"));
        let end = match &result {
            Ok(Outcome::Approved(_)) => End::Approved,
            Ok(Outcome::Declined(_) | Outcome::Cancelled(_)) => End::NotApproved,
            Err(DriverError::NotStarted(_) | DriverError::Unsupported) => End::NotApproved,
            Err(DriverError::InDoubt(_)) => self.resolve(what, &request, &session).await,
        };
        self.check(&format!("{what}, {result:?}"), request.amount, end);
        (result, end)
    }

    async fn resolve(&mut self, what: &str, request: &PaymentRequest, session: &TestSession) -> End {
        let begun = tokio::time::Instant::now();
        while begun.elapsed() < PATIENCE {
            if begun.elapsed() > REPAIRED_AFTER {
                self.terminal.set_line_noise(LineNoise::default());
            }
            let mut resumed = session.resumed();
            match self.driver.resolve(request, &mut resumed).await {
                Ok(Resolution::Known(Outcome::Approved(_))) => return End::Approved,
                Ok(Resolution::Known(_) | Resolution::NotCharged(_)) => return End::NotApproved,
                Ok(Resolution::Undecided(_)) => return End::Undecided,
                Ok(Resolution::InProgress) | Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        panic!("{what}: {request:?} is never resolved");
    }

    fn check(&self, what: &str, amount: Money, end: End) {
        let ledger = self.terminal.ledger();
        let standing = standing(&ledger).iter().filter(|entry| entry.amount == amount).count();
        let booked = ledger.iter().filter(|entry| entry.amount == amount).count();
        match end {
            End::Approved => assert_eq!(standing, 1, "{what}: approved, and the ledger has {ledger:?}"),
            End::NotApproved => assert_eq!(standing, 0, "{what}: not approved, and the ledger has {ledger:?}"),
            End::Undecided => assert!(standing <= 1, "{what}: booked twice"),
        }
        // A booking, and at most its being taken back.
        assert!(booked <= 2, "{what}: {ledger:?}");
    }
}

fn driver(terminal: &Simulator) -> Box<dyn TerminalDriver> {
    build(terminal, Timing::fast())
}

fn build(terminal: &Simulator, timing: Timing) -> Box<dyn TerminalDriver> {
    let device = terminal.device().unwrap().to_str().unwrap();
    ZvtSerialFactory { timing }.build(&Settings::new("bar").with("device", device)).unwrap()
}

fn sale(minor: u64) -> PaymentRequest {
    PaymentRequest {
        id: PaymentId::generate(),
        operation: Operation::Sale,
        amount: Money::from_minor(minor, Currency::EUR),
        document: None,
        register: "POS-01".into(),
        received_at: SystemTime::now(),
        original: None,
        accept_partial: false,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// The line repairs it.
    Approved,
    /// In doubt at first.
    Doubt,
}

async fn check(fault: &str, auto_reverse: bool, expected: Expected) {
    let mut shop = Shop::open(auto_reverse).await;
    if expected == Expected::Approved {
        // Nothing shall be lost, so nobody need be quick: a busy machine takes its time over a frame byte by byte.
        shop.driver = build(&shop.terminal, Timing { completion: PATIENCE, minute: PATIENCE, ..Timing::fast() });
    }
    assert_eq!(shop.pay("at first").await.1, End::Approved);
    shop.terminal.set_line_faults(ScriptedFault::parse_list(fault).unwrap());
    let (result, _) = shop.pay(fault).await;
    match expected {
        Expected::Approved => assert!(matches!(result, Ok(Outcome::Approved(_))), "{fault}: {result:?}"),
        Expected::Doubt => assert!(matches!(result, Err(DriverError::InDoubt(_))), "{fault}: {result:?}"),
    }
    assert_eq!(shop.terminal.line_faults(), [], "{fault} has not happened");
    assert_eq!(shop.pay("afterwards").await.1, End::Approved, "{fault}");
    assert_eq!(shop.terminal.money_commands(), if fault == "lose-command@0601" { 2 } else { 3 }, "{fault}");
}

/// Each of them at a terminal that reverses what was not acknowledged, and at one that keeps it.
async fn check_all(faults: Vec<String>, expected: Expected) {
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let mut checks = JoinSet::new();
    for (fault, auto_reverse) in faults.into_iter().flat_map(|fault| [(fault.clone(), true), (fault, false)]) {
        let places = Arc::clone(&places);
        checks.spawn(async move {
            let _place = places.acquire().await.unwrap();
            check(&fault, auto_reverse, expected).await;
        });
    }
    checks.join_all().await;
}

#[tokio::test]
async fn what_a_line_can_repair_is_not_noticed() {
    let at = |faults: &[&str], messages: &[&str]| -> Vec<String> {
        faults.iter().flat_map(|fault| messages.iter().map(move |message| format!("{fault}@{message}"))).collect()
    };
    let faults = [
        at(&["repeat-frame", "wrong-checksum", "noise", "gaps", "lose-frame"], &["8000", "04FF", "040F", "060F"]),
        at(&["nak-frame", "ack-as-nak", "lose-ack", "nak-storm"], &["0601", "8000"]),
        vec!["lose-command@8000".into(), "nak-frame@0601,nak-frame@0601".into()],
    ];
    check_all(faults.concat(), Expected::Approved).await;
}

#[tokio::test]
async fn what_a_line_cannot_repair_is_in_doubt() {
    let faults = ["lose-command@0601", "unplug@0601", "unplug@04FF", "unplug@040F", "unplug@060F"];
    check_all(faults.map(String::from).to_vec(), Expected::Doubt).await;
}

/// Chances out of a million that belong together.
fn noises(seed: u64) -> [LineNoise; 6] {
    let quiet = LineNoise { seed, ..LineNoise::default() };
    [
        LineNoise { wrong_bit: 100, ..quiet },
        LineNoise { wrong_bit: 1000, ..quiet },
        LineNoise { wrong_bit: 10_000, ..quiet },
        LineNoise { lost_byte: 2000, stray_byte: 50_000, ..quiet },
        LineNoise { lost_output: 50_000, doubled_output: 50_000, ..quiet },
        LineNoise {
            wrong_bit: 500,
            lost_byte: 500,
            stray_byte: 10_000,
            lost_output: 10_000,
            doubled_output: 10_000,
            ..quiet
        },
    ]
}

/// Payments over ever other bad lines. Between them the terminal is healed, so that it can be asked what it booked.
async fn noisy(seed: u64, payments: usize) -> [usize; 3] {
    let mut ends = [0; 3];
    let mut shop = Shop::open(seed.is_multiple_of(2)).await;
    for number in 0..payments {
        let noise = noises(seed * 1_000_003 + number as u64)[number % 6];
        shop.terminal.set_line_noise(noise);
        let end = shop.pay(&format!("seed {seed}, payment {number}, {noise:?}")).await.1;
        ends[end as usize] += 1;
    }
    ends
}

/// One terminal for each seed, all at the same time. How many payments came to which end.
async fn noisy_shops(seeds: Range<u64>, payments: usize) -> [usize; 3] {
    let mut ends = [0; 3];
    let runs: Vec<_> = seeds.map(|seed| tokio::spawn(noisy(seed, payments))).collect();
    for run in runs {
        for (sum, count) in ends.iter_mut().zip(run.await.unwrap()) {
            *sum += count;
        }
    }
    println!("approved {}, not approved {}, undecided {}", ends[0], ends[1], ends[2]);
    ends
}

#[tokio::test]
async fn noise_never_books_twice_and_never_lies() {
    let ends = noisy_shops(1..35, 6).await;
    assert!(ends[0] > 100, "a line that lets nothing through proves nothing: {ends:?}");
}

/// The long version: `cargo test -p tillswitch-zvt --test serial -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn noise_over_ten_thousand_payments() {
    let ends = noisy_shops(100..140, 250).await;
    assert!(ends[0] > 5000, "a line that lets nothing through proves nothing: {ends:?}");
}

#[tokio::test]
async fn a_missing_device_is_named_with_what_to_check() {
    let folder = tempfile::tempdir().unwrap();
    let (missing, stale) = (folder.path().join("nothing"), folder.path().join("usb-adapter"));
    std::os::unix::fs::symlink("/dev/of-yesterday", &stale).unwrap();
    for (device, words) in [
        (&missing, ["there is no serial device", "plugged in", "/dev/serial/by-id"]),
        (&stale, ["stands for /dev/of-yesterday, which is gone", "plug the adapter in", "/dev/serial/by-id"]),
    ] {
        let settings = Settings::new("bar").with("device", device.to_str().unwrap());
        let mut driver = ZvtSerialFactory { timing: Timing::fast() }.build(&settings).unwrap();
        let Err(DriverError::NotStarted(reason)) = driver.execute(&sale(1), &mut TestSession::new()).await else {
            panic!("nothing can be started");
        };
        assert_eq!(reason.cause, Cause::Unreachable);
        for word in words.into_iter().chain(device.to_str()) {
            assert!(reason.message.contains(word), "{word:?} is not in: {reason}");
        }
    }
}

#[tokio::test]
async fn a_device_in_use_is_called_busy() {
    let mut shop = Shop::open(true).await;
    assert_eq!(shop.pay("the first user").await.1, End::Approved);
    let mut second = driver(&shop.terminal);
    let Err(DriverError::NotStarted(reason)) = second.execute(&sale(1), &mut TestSession::new()).await else {
        panic!("nothing can be started");
    };
    assert!(reason.message.contains("busy: another program"), "{reason}");
}

#[tokio::test]
async fn a_link_of_somebody_else_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("file"), folder.path().join("link"));
    std::fs::write(&file, "text").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for place in [&file, &link] {
        let options = Options::fast(folder.path().join("ledger"));
        let error = Simulator::start_serial(options, place).await.unwrap_err();
        assert!(error.to_string().contains("is there already"), "{error}");
    }
    let left = folder.path().join("left");
    std::os::unix::fs::symlink("/dev/pts/999999", &left).unwrap();
    let terminal = Simulator::start_serial(Options::fast(folder.path().join("ledger")), &left).await.unwrap();
    assert!(std::fs::read_link(&left).unwrap().exists());
    terminal.stop().await;
    assert!(std::fs::symlink_metadata(&left).is_err(), "it takes its link along");
}
