//! What a payment in doubt resolves to, against terminals that reverse or do not, and never by a guess.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, SystemTime};

use tillswitch_core::conformance::TestSession;
use tillswitch_core::ledger::standing;
use tillswitch_core::{
    Approval, Cause, Currency, DriverError, DriverFactory, Evidence, Money, Operation, Original, Outcome, PaymentId,
    PaymentRequest, Resolution, Session, Settings, TerminalDriver,
};
use tillswitch_zvt::simulator::{Options, Simulator, Step, Timing as SimulatedTiming};
use tillswitch_zvt::{Timing, ZvtTcpFactory};

const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// A terminal, a driver for it, and the folder of its ledger.
struct Shop {
    terminal: Simulator,
    driver: Box<dyn TerminalDriver>,
    settings: Settings,
    _folder: tempfile::TempDir,
}

/// A payment that ended in doubt.
struct InDoubt {
    request: PaymentRequest,
    session: TestSession,
}

impl Shop {
    async fn open(change: impl FnOnce(&mut Options)) -> Shop {
        Shop::with_keypad("locked", change).await
    }

    async fn with_keypad(keypad: &str, change: impl FnOnce(&mut Options)) -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::fast(folder.path().join("ledger.jsonl"));
        change(&mut options);
        let terminal = Simulator::start(options).await.unwrap();
        let settings = Settings::new("counter").with("address", terminal.addr().to_string()).with("keypad", keypad);
        let driver = build(&settings, Timing::fast());
        Shop { terminal, driver, settings, _folder: folder }
    }

    async fn pay(&mut self, request: &PaymentRequest) -> (Result<Outcome, DriverError>, TestSession) {
        let mut session = TestSession::new();
        let running = self.driver.execute(request, &mut session);
        let result = tokio::time::timeout(PATIENCE, running).await.expect("execute ends");
        (result, session)
    }

    /// An approved sale first, so that there is a booking to remember; then one that goes as the step says.
    async fn doubt(&mut self, step: Step) -> InDoubt {
        self.approve(1000).await;
        self.doubt_of(step, sale(2590)).await
    }

    async fn doubt_of(&mut self, step: Step, request: PaymentRequest) -> InDoubt {
        self.terminal.set_script(vec![step]);
        let (result, session) = self.pay(&request).await;
        assert!(matches!(result, Err(DriverError::InDoubt(_))), "{step:?}: {result:?}");
        self.terminal.heal().await.unwrap();
        InDoubt { request, session }
    }

    async fn approve(&mut self, minor: u64) -> Approval {
        self.terminal.set_script(Vec::new());
        match self.pay(&sale(minor)).await.0 {
            Ok(Outcome::Approved(approval)) => approval,
            other => panic!("not approved: {other:?}"),
        }
    }

    async fn ask(&mut self, doubt: &InDoubt) -> Result<Resolution, DriverError> {
        let mut session = doubt.session.resumed();
        let asking = self.driver.resolve(&doubt.request, &mut session);
        tokio::time::timeout(PATIENCE, asking).await.expect("resolve ends")
    }

    /// Asks as the router does, until there is an answer.
    async fn resolve(&mut self, doubt: &InDoubt) -> Resolution {
        let money_commands = self.terminal.money_commands();
        let until = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < until {
            match self.ask(doubt).await {
                Ok(Resolution::InProgress) | Err(_) => tokio::time::sleep(PAUSE).await,
                Ok(found) => {
                    assert_eq!(self.terminal.money_commands(), money_commands, "resolve only reads");
                    return found;
                }
            }
        }
        panic!("it never came to an end");
    }

    async fn wait_until(&self, what: &str, is_so: impl Fn(&Simulator) -> bool) {
        let until = tokio::time::Instant::now() + PATIENCE;
        while !is_so(&self.terminal) {
            assert!(tokio::time::Instant::now() < until, "never: {what}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The router starts again: the notes are all that is left.
    fn restart(&mut self, timing: Timing) {
        self.driver = build(&self.settings, timing);
    }
}

fn build(settings: &Settings, timing: Timing) -> Box<dyn TerminalDriver> {
    ZvtTcpFactory { timing }.build(settings).unwrap()
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

fn known(resolution: &Resolution) -> &Approval {
    match resolution {
        Resolution::Known(Outcome::Approved(approval)) => approval,
        other => panic!("expected an approval, found {other:?}"),
    }
}

fn undecided(resolution: &Resolution) -> &Evidence {
    match resolution {
        Resolution::Undecided(evidence) => evidence,
        other => panic!("expected no decision, found {other:?}"),
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    Approved,
    NotCharged,
    Undecided,
}

/// What stands at the terminal, and what may be said about it, for one place where the link breaks.
async fn check(step: Step, auto_reverse: bool, reuses_numbers: bool, expected: Expected) {
    let mut shop = Shop::open(|options| {
        options.auto_reverse = auto_reverse;
        options.reuses_numbers = reuses_numbers;
    })
    .await;
    let doubt = shop.doubt(step).await;
    let found = shop.resolve(&doubt).await;
    let ledger = shop.terminal.ledger();
    let booked = standing(&ledger).into_iter().find(|entry| entry.amount == doubt.request.amount);
    let case = format!("{step:?}, auto_reverse {auto_reverse}, reuses_numbers {reuses_numbers}: {found:?}");
    match expected {
        Expected::Approved => {
            let approval = known(&found);
            assert_eq!(Some(approval.amount), booked.map(|entry| entry.amount), "{case}");
            assert_eq!(approval.details.receipt_number, booked.map(|entry| entry.receipt_number.clone()), "{case}");
        }
        Expected::NotCharged => assert!(matches!(found, Resolution::NotCharged(_)) && booked.is_none(), "{case}"),
        Expected::Undecided => assert!(undecided(&found).candidate.is_none() && booked.is_none(), "{case}"),
    }
}

#[tokio::test]
async fn a_link_cut_before_the_booking_is_not_charged() {
    for auto_reverse in [true, false] {
        for step in [Step::CutAfterCommand, Step::Silent, Step::SilentAfterStart, Step::Garbage] {
            check(step, auto_reverse, false, Expected::NotCharged).await;
        }
    }
}

#[tokio::test]
async fn a_link_cut_around_the_result_ends_as_the_terminal_says() {
    for step in [Step::CutBeforeResult, Step::CutAfterResult] {
        check(step, false, false, Expected::Approved).await;
        check(step, true, true, Expected::NotCharged).await;
        // The terminal shows the number as spent on a failure: that decides nothing.
        check(step, true, false, Expected::Undecided).await;
    }
}

#[tokio::test]
async fn a_link_cut_after_the_acknowledgement_is_approved() {
    for auto_reverse in [true, false] {
        check(Step::CutAfterAck, auto_reverse, false, Expected::Approved).await;
        check(Step::NoCompletion, auto_reverse, false, Expected::Approved).await;
    }
}

#[tokio::test]
async fn an_approval_that_is_taken_back_is_not_charged() {
    check(Step::ApproveThenReverse, true, true, Expected::NotCharged).await;
    check(Step::ApproveThenReverse, true, false, Expected::Undecided).await;
}

#[tokio::test]
async fn a_running_payment_is_in_progress_until_it_has_ended() {
    let slow = SimulatedTiming { card: Duration::from_millis(500), ..SimulatedTiming::fast() };
    let mut shop = Shop::open(|options| options.auto_reverse = false).await;
    shop.approve(1000).await;
    shop.terminal.stop().await;
    let address: std::net::SocketAddr = shop.settings.table["address"].as_str().unwrap().parse().unwrap();
    let options = Options {
        listen: address,
        timing: slow,
        auto_reverse: false,
        ..Options::fast(shop._folder.path().join("ledger.jsonl"))
    };
    shop.terminal = Simulator::start(options).await.unwrap();
    let request = sale(2590);
    let mut session = TestSession::new();
    let cut = async {
        while shop.terminal.money_commands() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        shop.terminal.cut();
    };
    let (result, ()) = tokio::join!(shop.driver.execute(&request, &mut session), cut);
    assert!(matches!(result, Err(DriverError::InDoubt(_))), "{result:?}");
    let doubt = InDoubt { request, session };
    assert_eq!(shop.ask(&doubt).await, Ok(Resolution::InProgress));
    assert_eq!(known(&shop.resolve(&doubt).await).details.receipt_number.as_deref(), Some("0002"));
}

#[tokio::test]
async fn not_charged_needs_a_late_second_reading() {
    let mut shop = Shop::open(|_| {}).await;
    let doubt = shop.doubt(Step::CutAfterCommand).await;
    let lost_at = tokio::time::Instant::now();
    assert_eq!(shop.ask(&doubt).await, Ok(Resolution::InProgress));
    assert_eq!(shop.ask(&doubt).await, Ok(Resolution::InProgress), "two readings, but too early");
    assert!(matches!(shop.resolve(&doubt).await, Resolution::NotCharged(_)));
    assert!(lost_at.elapsed() + Duration::from_millis(50) >= Timing::fast().second_reading);
}

#[tokio::test]
async fn one_late_reading_is_not_two() {
    let mut shop = Shop::open(|_| {}).await;
    shop.restart(Timing { second_reading: Duration::ZERO, ..Timing::fast() });
    let doubt = shop.doubt(Step::CutAfterCommand).await;
    assert_eq!(shop.ask(&doubt).await, Ok(Resolution::InProgress));
    assert!(matches!(shop.ask(&doubt).await, Ok(Resolution::NotCharged(_))));
}

#[tokio::test]
async fn an_approval_that_nobody_acknowledged_needs_a_late_second_reading() {
    for step in [Step::CutBeforeResult, Step::CutAfterResult] {
        let mut shop = Shop::open(|options| options.auto_reverse = false).await;
        let doubt = shop.doubt(step).await;
        let lost_at = tokio::time::Instant::now();
        assert_eq!(shop.ask(&doubt).await, Ok(Resolution::InProgress), "{step:?}");
        assert_eq!(shop.ask(&doubt).await, Ok(Resolution::InProgress), "{step:?}: two readings, but too early");
        known(&shop.resolve(&doubt).await);
        assert!(lost_at.elapsed() + Duration::from_millis(50) >= Timing::fast().second_reading);
    }
}

#[tokio::test]
async fn an_approval_that_was_sent_back_does_not_count_as_acknowledged() {
    let mut shop = Shop::open(|_| {}).await;
    shop.approve(1000).await;
    let request = sale(2590);
    let mut session = TestSession::new();
    session.record_fails = true;
    let result = shop.driver.execute(&request, &mut session).await;
    assert!(matches!(result, Err(DriverError::InDoubt(ref reason)) if reason.cause == Cause::NotStored), "{result:?}");
    assert_eq!(session.notes().get("zvt.acknowledged"), None);
    assert!(standing(&shop.terminal.ledger()).iter().all(|entry| entry.amount != request.amount), "it was taken back");
}

#[tokio::test]
async fn an_acknowledged_approval_needs_one_reading_also_after_a_restart() {
    for restarts in [false, true] {
        let mut shop = Shop::open(|options| options.auto_reverse = false).await;
        let doubt = shop.doubt(Step::CutAfterAck).await;
        if restarts {
            shop.restart(Timing { second_reading: Duration::from_secs(600), ..Timing::fast() });
        }
        known(&shop.ask(&doubt).await.unwrap());
    }
}

#[tokio::test]
async fn after_a_restart_the_first_reading_counts() {
    let mut shop = Shop::open(|_| {}).await;
    let doubt = shop.doubt(Step::CutAfterCommand).await;
    shop.restart(Timing { second_reading: Duration::from_secs(600), ..Timing::fast() });
    for _ in 0..3 {
        assert_eq!(shop.ask(&doubt).await, Ok(Resolution::InProgress));
    }
    shop.restart(Timing::fast());
    assert_eq!(shop.ask(&doubt).await, Ok(Resolution::InProgress));
    assert!(matches!(shop.resolve(&doubt).await, Resolution::NotCharged(_)));
}

#[tokio::test]
async fn after_a_restart_a_booking_is_found() {
    let mut shop = Shop::open(|options| options.auto_reverse = false).await;
    let doubt = shop.doubt(Step::CutBeforeResult).await;
    shop.restart(Timing::fast());
    assert_eq!(known(&shop.resolve(&doubt).await).details.receipt_number.as_deref(), Some("0002"));
}

#[tokio::test]
async fn an_unreachable_terminal_is_asked_again() {
    let mut shop = Shop::open(|options| options.auto_reverse = false).await;
    let doubt = shop.doubt(Step::CutBeforeResult).await;
    shop.terminal.listen(false).await.unwrap();
    let Err(DriverError::NotStarted(reason)) = shop.ask(&doubt).await else {
        panic!("nobody listens");
    };
    assert_eq!(reason.cause, Cause::Unreachable);
    shop.terminal.listen(true).await.unwrap();
    known(&shop.resolve(&doubt).await);
}

#[tokio::test]
async fn another_terminal_decides_nothing() {
    let mut shop = Shop::open(|options| options.auto_reverse = false).await;
    let doubt = shop.doubt(Step::CutBeforeResult).await;
    shop.terminal.set_terminal_id("11112222").unwrap();
    let found = shop.resolve(&doubt).await;
    assert!(undecided(&found).message.contains("11112222"), "{found:?}");
}

#[tokio::test]
async fn a_keypad_that_was_open_decides_nothing() {
    let mut shop = Shop::with_keypad("open", |options| options.auto_reverse = false).await;
    let doubt = shop.doubt(Step::CutBeforeResult).await;
    let found = shop.resolve(&doubt).await;
    let evidence = undecided(&found);
    assert!(evidence.message.contains("keypad"), "{found:?}");
    assert_eq!(evidence.candidate.as_ref().unwrap().details.receipt_number.as_deref(), Some("0002"));
}

#[tokio::test]
async fn a_sale_at_the_keypad_in_between_decides_nothing() {
    let mut shop = Shop::with_keypad("open", |options| options.auto_reverse = false).await;
    let doubt = shop.doubt(Step::CutAfterCommand).await;
    shop.terminal.keypad_sale(2590).unwrap();
    let found = shop.resolve(&doubt).await;
    assert_eq!(undecided(&found).candidate.as_ref().unwrap().amount.minor(), 2590);
}

#[tokio::test]
async fn a_gap_in_the_receipt_numbers_decides_nothing() {
    let mut shop = Shop::open(|options| options.auto_reverse = false).await;
    let doubt = shop.doubt(Step::CutBeforeResult).await;
    // Somebody with another register unlocks the keypad and sells.
    let mut other = build(&shop.settings.clone().with("keypad", "open"), Timing::fast());
    other.status().await.unwrap();
    shop.terminal.keypad_sale(2590).unwrap();
    drop(other);
    let found = shop.resolve(&doubt).await;
    assert!(undecided(&found).message.contains("0003") && undecided(&found).message.contains("0001"), "{found:?}");
}

#[tokio::test]
async fn nothing_remembered_decides_nothing() {
    let mut shop = Shop::open(|options| options.auto_reverse = false).await;
    // The first booking ever: there is no receipt before it.
    let doubt = shop.doubt_of(Step::CutBeforeResult, sale(2590)).await;
    let found = shop.resolve(&doubt).await;
    assert_eq!(undecided(&found).candidate.as_ref().unwrap().amount.minor(), 2590);
    let forgotten = InDoubt { request: doubt.request.clone(), session: TestSession::new() };
    assert!(undecided(&shop.resolve(&forgotten).await).candidate.is_some());
}

#[tokio::test]
async fn a_terminal_that_does_not_repeat_decides_nothing() {
    let mut shop = Shop::open(|options| options.auto_reverse = false).await;
    shop.approve(1000).await;
    shop.terminal.set_script(vec![Step::NoRepeat, Step::CutBeforeResult]);
    let (result, session) = shop.pay(&sale(2590)).await;
    assert!(matches!(result, Err(DriverError::InDoubt(_))), "{result:?}");
    let doubt = InDoubt { request: sale(2590), session };
    let found = shop.resolve(&doubt).await;
    assert!(undecided(&found).message.contains("does not tell"), "{found:?}");
}

#[tokio::test]
async fn a_clock_that_is_ahead_is_known_and_one_that_jumped_is_not() {
    for (jump, is_known) in [(0, true), (3600, false)] {
        let mut shop = Shop::open(|options| options.auto_reverse = false).await;
        shop.terminal.set_clock_offset(7200);
        shop.approve(1000).await;
        shop.terminal.set_clock_offset(7200 + jump);
        let doubt = shop.doubt_of(Step::CutBeforeResult, sale(2590)).await;
        match (shop.resolve(&doubt).await, is_known) {
            (Resolution::Known(_), true) => {}
            (Resolution::Undecided(evidence), false) => assert!(evidence.message.contains("dated"), "{evidence:?}"),
            (found, _) => panic!("{found:?}"),
        }
    }
}

#[tokio::test]
async fn receipt_numbers_wrap() {
    let mut shop = Shop::open(|options| {
        options.auto_reverse = false;
        options.first_receipt = 9999;
    })
    .await;
    let doubt = shop.doubt(Step::CutBeforeResult).await;
    assert_eq!(known(&shop.resolve(&doubt).await).details.receipt_number.as_deref(), Some("0001"));
}

#[tokio::test]
async fn the_same_amount_before_is_not_mistaken_for_this_payment() {
    let mut shop = Shop::open(|_| {}).await;
    shop.approve(2590).await;
    let doubt = shop.doubt_of(Step::CutAfterCommand, sale(2590)).await;
    assert!(matches!(shop.resolve(&doubt).await, Resolution::NotCharged(_)));
}

#[tokio::test]
async fn another_amount_is_not_this_payment() {
    let mut shop = Shop::open(|options| options.auto_reverse = false).await;
    shop.approve(1000).await;
    let mut doubt = shop.doubt_of(Step::CutBeforeResult, sale(2590)).await;
    doubt.request.amount = Money::from_minor(2591, Currency::EUR);
    assert_eq!(undecided(&shop.resolve(&doubt).await).candidate.as_ref().unwrap().amount.minor(), 2590);
}

#[tokio::test]
async fn a_reversal_in_doubt_is_told_from_a_sale() {
    let mut shop = Shop::open(|options| options.auto_reverse = false).await;
    let request = sale(2590);
    let (result, session) = shop.pay(&request).await;
    let Ok(Outcome::Approved(approval)) = result else {
        panic!("{result:?}");
    };
    let original = Original { id: request.id, approval, notes: session.take_notes() };
    let undo = PaymentRequest { operation: Operation::Reversal, original: Some(original), ..sale(2590) };
    let mut doubt = shop.doubt_of(Step::CutBeforeResult, undo).await;
    assert_eq!(known(&shop.resolve(&doubt).await).details.receipt_number.as_deref(), Some("0002"));
    doubt.request.operation = Operation::Sale;
    assert!(undecided(&shop.resolve(&doubt).await).message.contains("not a sale"));
}

#[tokio::test]
async fn a_refund_in_doubt_resolves_like_a_sale() {
    let mut shop = Shop::open(|options| options.auto_reverse = false).await;
    shop.approve(1000).await;
    let refund = PaymentRequest { operation: Operation::Refund, ..sale(500) };
    let doubt = shop.doubt_of(Step::CutBeforeResult, refund).await;
    known(&shop.resolve(&doubt).await);
}

#[tokio::test]
async fn a_late_result_of_the_payment_in_doubt_is_filed_under_it() {
    let mut shop = Shop::open(|options| options.reuses_numbers = true).await;
    let doubt = shop.doubt(Step::LateResult).await;
    let mut session = doubt.session.resumed();
    tokio::time::sleep(Timing::fast().second_reading).await;
    let found = shop.driver.resolve(&doubt.request, &mut session).await;
    assert_eq!(found, Ok(Resolution::InProgress));
    for _ in 0..2 {
        assert_eq!(shop.ask(&doubt).await, Ok(Resolution::InProgress), "it may just be about to take it back");
    }
    assert!(
        matches!(session.late.as_slice(), [(Some(id), Outcome::Approved(_))] if *id == doubt.request.id),
        "{:?}",
        session.late
    );
    assert!(matches!(shop.resolve(&doubt).await, Resolution::NotCharged(_)), "it was sent back");
}

#[tokio::test]
async fn a_late_result_of_an_earlier_payment_is_sent_back_and_filed_under_it() {
    let mut shop = Shop::open(|options| options.reuses_numbers = true).await;
    shop.approve(1000).await;
    shop.terminal.set_script(vec![Step::LateResult]);
    let earlier = sale(2590);
    let (result, session) = shop.pay(&earlier).await;
    assert!(matches!(result, Err(DriverError::InDoubt(_))), "{result:?}");
    // Nobody has resolved it, as after an operator's word; the terminal brings it up with the next payment.
    let (next, next_session) = shop.pay(&sale(700)).await;
    let Err(DriverError::NotStarted(reason)) = next else {
        panic!("{next:?}");
    };
    assert_eq!(reason.cause, Cause::Busy);
    let late = next_session.late;
    assert!(matches!(late.as_slice(), [(Some(id), Outcome::Approved(_))] if *id == earlier.id), "{late:?}");
    shop.wait_until("it is taken back", |terminal| standing(&terminal.ledger()).len() == 1).await;
    shop.approve(700).await;
    drop(session);
}
