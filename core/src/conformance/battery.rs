//! The cases, as data, and how one is run.

use std::time::{Duration, SystemTime};

use super::Report;
use super::bench::{Behaviour, Bench};
use super::checks::{Expect, Seen, resolution_is_true, rules_of_money};
use super::late::KeptLate;
use super::session::TestSession;
use crate::driver::{Cause, DriverError, TerminalDriver};
use crate::money::{Currency, Money};
use crate::outcome::{Outcome, Resolution};
use crate::payment::{Operation, Original, PaymentId, PaymentRequest};

/// A command that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a resolution may be asked for, with pauses between.
const ASKS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// What the router's side does in a case.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Router {
    Stores,
    AbortsWhenShown,
    RecordFails,
    RememberFails,
    AcceptsPartial,
}

struct Case {
    name: &'static str,
    behaviour: Behaviour,
    operation: Operation,
    router: Router,
    allowed: &'static [Expect],
}

const fn case(name: &'static str, behaviour: Behaviour, router: Router, allowed: &'static [Expect]) -> Case {
    Case { name, behaviour, operation: Operation::Sale, router, allowed }
}

const fn refund(name: &'static str, behaviour: Behaviour, allowed: &'static [Expect]) -> Case {
    Case { name, behaviour, operation: Operation::Refund, router: Router::Stores, allowed }
}

use Behaviour::*;
use Router::*;

const CASES: &[Case] = &[
    case("a sale is approved", Approve, Stores, &[Expect::Approved]),
    case("a sale is declined", Decline, Stores, &[Expect::Declined]),
    case("the customer cancels", CustomerCancels, Stores, &[Expect::Cancelled]),
    case("an abort while the card is awaited", WaitForAbort, AbortsWhenShown, &[Expect::Cancelled]),
    case("an abort while frames trickle in", WaitForAbortBytewise, AbortsWhenShown, &[Expect::Cancelled]),
    case("the terminal is busy", Busy, Stores, &[Expect::NotStarted(Cause::Busy)]),
    case("the terminal refuses to start", Refuse, Stores, &[Expect::NotStarted(Cause::Refused)]),
    case("nobody listens", Unreachable, Stores, &[Expect::NotStarted(Cause::Unreachable)]),
    case("the link breaks after the command", LinkLostAfterCommand, Stores, &[Expect::InDoubt]),
    case("the link breaks after the booking", LinkLostAfterBooking, Stores, &[Expect::InDoubt]),
    case("the link breaks after the outcome", LinkLostAfterOutcome, Stores, &[Expect::InDoubt]),
    case("garbage comes back", Garbage, Stores, &[Expect::InDoubt]),
    case("a slow conversation", Slow, Stores, &[Expect::Approved]),
    case("the terminal never answers", NeverAnswers, Stores, &[Expect::InDoubt]),
    case("an error, then an approval", ErrorThenApproval, Stores, &[Expect::Approved]),
    case("an approval that is taken back", ApprovalThenReversal, Stores, &[Expect::InDoubt]),
    case("less than asked, refused", ApproveLess, Stores, &[Expect::Declined, Expect::ApprovedShare(50)]),
    case("less than asked, accepted", ApproveLess, AcceptsPartial, &[Expect::ApprovedShare(50)]),
    case("more than asked", ApproveMore, Stores, &[Expect::ApprovedShare(110)]),
    case("the outcome cannot be recorded", Approve, RecordFails, &[Expect::InDoubt]),
    case("a note cannot be stored", Approve, RememberFails, &[Expect::NotStarted(Cause::NotStored), Expect::Approved]),
    refund("a refund is approved", Approve, &[Expect::Approved, Expect::Unsupported]),
    refund("a refund is declined", Decline, &[Expect::Declined, Expect::Unsupported]),
    refund("a refund whose link breaks", LinkLostAfterBooking, &[Expect::InDoubt, Expect::Unsupported]),
];

const REPORTED_TOO_LATE: &str = "an approval that a look at the terminal comes upon does not disappear";

/// Runs every case against a bench, one after the other.
pub async fn run(bench: &mut dyn Bench) -> Report {
    let mut report = Report::default();
    for case in CASES {
        if let Err(why) = bench.supports(case.behaviour) {
            report.left_out.push((case.name, why));
            continue;
        }
        let faults = examine(bench, case).await;
        note(&mut report, case.name, faults);
    }
    let sequences: [(&'static str, Vec<String>); 5] = [
        ("two payments in a row", two_in_a_row(bench, Approve).await),
        ("the idle link was cut", two_in_a_row(bench, LinkLostWhileIdle).await),
        ("a reversal of an approved sale", reversal(bench).await),
        ("status moves no money", status(bench).await),
        ("what is wished is a service, and what is none is unsupported", services(bench).await),
    ];
    for (name, faults) in sequences {
        note(&mut report, name, faults);
    }
    match bench.supports(ReportsTooLate) {
        Ok(()) => {
            let faults = reported_too_late(bench).await;
            note(&mut report, REPORTED_TOO_LATE, faults);
        }
        Err(why) => report.left_out.push((REPORTED_TOO_LATE, why)),
    }
    report
}

fn note(report: &mut Report, name: &'static str, faults: Vec<String>) {
    if faults.is_empty() {
        report.passed.push(name);
    } else {
        report.failed.push((name, faults));
    }
}

async fn examine(bench: &mut dyn Bench, case: &Case) -> Vec<String> {
    let mut driver = bench.start(case.behaviour).await;
    let request = request(case.operation, case.router == AcceptsPartial);
    let mut session = session(case.router);
    let result = match execute(&mut *driver, &request, &mut session).await {
        Ok(result) => result,
        Err(hang) => return vec![hang],
    };
    let seen = Seen {
        request: &request,
        session: &session,
        result: &result,
        ledger: bench.ledger(),
        money_commands: bench.money_commands(),
    };
    let mut faults = rules_of_money(&seen);
    if !case.allowed.iter().any(|expect| expect.fits(&seen)) {
        faults.push(format!("expected one of {:?}, found {result:?}", case.allowed));
    }
    if matches!(result, Err(DriverError::InDoubt(_))) {
        faults.extend(resolve(bench, &mut *driver, &request, &session).await);
    }
    driver.close().await;
    faults
}

/// Heals the terminal and asks until there is an answer. A money command on the way is a fault.
async fn resolve(
    bench: &mut dyn Bench,
    driver: &mut dyn TerminalDriver,
    request: &PaymentRequest,
    session: &TestSession,
) -> Vec<String> {
    bench.heal().await;
    let before = bench.money_commands();
    let mut answer = Resolution::InProgress;
    for _ in 0..ASKS {
        let mut session = session.resumed();
        match tokio::time::timeout(PATIENCE, driver.resolve(request, &mut session)).await {
            Err(_) => return vec!["resolve hangs".into()],
            Ok(Ok(Resolution::InProgress)) | Ok(Err(DriverError::NotStarted(_) | DriverError::InDoubt(_))) => {}
            Ok(Err(DriverError::Unsupported)) => answer = Resolution::Undecided(Default::default()),
            Ok(Ok(found)) => answer = found,
        }
        if answer != Resolution::InProgress {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let mut faults = resolution_is_true(&answer, &bench.ledger());
    if bench.money_commands() != before {
        faults.push("resolve sent a command that moves money".into());
    }
    faults
}

async fn two_in_a_row(bench: &mut dyn Bench, behaviour: Behaviour) -> Vec<String> {
    if bench.supports(behaviour).is_err() {
        return Vec::new();
    }
    let mut driver = bench.start(behaviour).await;
    let mut faults = Vec::new();
    for round in 1..=2 {
        match execute(&mut *driver, &request(Operation::Sale, false), &mut TestSession::new()).await {
            Ok(Ok(Outcome::Approved(_))) => {}
            Ok(other) => faults.push(format!("payment {round} of two: expected an approval, found {other:?}")),
            Err(hang) => faults.push(hang),
        }
    }
    if bench.ledger().len() != 2 || bench.money_commands() != 2 {
        faults.push(format!("two payments, yet {} commands and {:?}", bench.money_commands(), bench.ledger()));
    }
    driver.close().await;
    faults
}

async fn reversal(bench: &mut dyn Bench) -> Vec<String> {
    let mut driver = bench.start(Approve).await;
    let sale = request(Operation::Sale, false);
    let mut session = TestSession::new();
    let approval = match execute(&mut *driver, &sale, &mut session).await {
        Ok(Ok(Outcome::Approved(approval))) => approval,
        other => return vec![format!("the sale before the reversal was not approved: {other:?}")],
    };
    let original = Original { id: sale.id, approval, notes: session.resumed().take_notes() };
    let undo = PaymentRequest { original: Some(original), ..request(Operation::Reversal, false) };
    match execute(&mut *driver, &undo, &mut TestSession::new()).await {
        Ok(Err(DriverError::Unsupported)) => Vec::new(),
        Ok(Ok(Outcome::Approved(_))) if crate::ledger::standing(&bench.ledger()).is_empty() => Vec::new(),
        other => vec![format!("a reversal ended as {other:?}, the ledger is {:?}", bench.ledger())],
    }
}

async fn status(bench: &mut dyn Bench) -> Vec<String> {
    let mut driver = bench.start(Approve).await;
    let mut faults = Vec::new();
    match tokio::time::timeout(PATIENCE, driver.status()).await {
        Ok(Ok(status)) if status.ready => {}
        other => faults.push(format!("a well terminal is not ready: {other:?}")),
    }
    if bench.money_commands() != 0 || !bench.ledger().is_empty() {
        faults.push("status moved money".into());
    }
    driver.close().await;
    faults
}

/// The router looks at a terminal with `status` also when a payment was left to a person. What that comes upon is money.
async fn reported_too_late(bench: &mut dyn Bench) -> Vec<String> {
    let mut driver = bench.start(ReportsTooLate).await;
    let kept = KeptLate::default();
    driver.watch_line(kept.watch());
    let (request, mut session) = (request(Operation::Sale, false), TestSession::new());
    let mut faults = Vec::new();
    match execute(&mut *driver, &request, &mut session).await {
        Ok(Err(DriverError::InDoubt(_))) => {}
        Ok(other) => faults.push(format!("nothing was said about the payment, yet it ended as {other:?}")),
        Err(hang) => faults.push(hang),
    }
    bench.heal().await;
    for _ in 0..ASKS {
        if tokio::time::timeout(PATIENCE, driver.status()).await.is_err() {
            faults.push("status hangs".into());
        }
        if !kept.said().is_empty() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    faults.extend(misreported(&kept, &request));
    if bench.money_commands() != 1 {
        faults.push("status moved money".into());
    }
    faults.extend(resolve(bench, &mut *driver, &request, &session).await);
    driver.close().await;
    faults
}

/// Whether it is about that payment is not always known; it must not be about another one.
fn misreported(kept: &KeptLate, request: &PaymentRequest) -> Option<String> {
    let said = kept.said();
    let is_about_it = |earlier: &Option<PaymentId>| earlier.is_none_or(|id| id == request.id);
    let fits = match said.as_slice() {
        [(earlier, Outcome::Approved(approval))] => is_about_it(earlier) && approval.amount == request.amount,
        _ => false,
    };
    (!fits).then(|| format!("the terminal reported an approval of {} too late; found {said:?}", request.amount))
}

async fn services(bench: &mut dyn Bench) -> Vec<String> {
    let mut driver = bench.start(Approve).await;
    let mut faults = Vec::new();
    // Many terminals tell what they wish only once they are talked to.
    if !matches!(execute(&mut *driver, &request(Operation::Sale, false), &mut TestSession::new()).await, Ok(Ok(_))) {
        faults.push("the sale before was not approved".into());
    }
    let services = driver.services();
    let strange = driver.wishes().into_iter().filter(|wish| !services.contains(wish));
    faults.extend(strange.map(|wish| format!("it wishes {wish:?}, which is none of {services:?}")));
    let mut session = TestSession::new();
    match tokio::time::timeout(PATIENCE, driver.service("no such service", &mut session)).await {
        Ok(Err(DriverError::Unsupported)) => {}
        other => faults.push(format!("a service that there is not ended as {other:?}")),
    }
    if bench.money_commands() != 1 || bench.ledger().len() != 1 {
        faults.push("a service that there is not moved money".into());
    }
    driver.close().await;
    faults
}

async fn execute(
    driver: &mut dyn TerminalDriver,
    request: &PaymentRequest,
    session: &mut TestSession,
) -> Result<Result<Outcome, DriverError>, String> {
    let running = driver.execute(request, session);
    tokio::time::timeout(PATIENCE, running).await.map_err(|_| "execute hangs".to_owned())
}

fn session(router: Router) -> TestSession {
    let mut session = TestSession::new();
    session.abort_when_shown = router == AbortsWhenShown;
    session.record_fails = router == RecordFails;
    session.remember_fails = router == RememberFails;
    session
}

fn request(operation: Operation, accept_partial: bool) -> PaymentRequest {
    PaymentRequest {
        id: PaymentId::generate(),
        operation,
        amount: Money::from_minor(2500, Currency::EUR),
        register: "POS-01".into(),
        document: None,
        accept_partial,
        original: None,
        received_at: SystemTime::now(),
    }
}
