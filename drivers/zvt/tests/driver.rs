//! What the driver says to a terminal around its payments: registration, checks of an idle line, slips, end of day.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, SystemTime};

use tillswitch_core::conformance::TestSession;
use tillswitch_core::{
    BrandTotal, Cause, Currency, Details, DriverError, DriverFactory, EndOfDay, Money, Operation, Original, Outcome,
    PaymentId, PaymentRequest, ReceiptKind, ReceiptRange, Session, Settings, TerminalDriver,
};
use tillswitch_zvt::simulator::{Options, Simulator, Slips, Step};
use tillswitch_zvt::{Timing, ZvtTcpFactory};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(5);

struct Shop {
    terminal: Simulator,
    settings: Settings,
    driver: Box<dyn TerminalDriver>,
    _folder: tempfile::TempDir,
}

impl Shop {
    async fn open(more: &[(&str, &str)]) -> Shop {
        Shop::with_options(more, |_| {}).await
    }

    async fn with_options(more: &[(&str, &str)], change: impl FnOnce(&mut Options)) -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::fast(folder.path().join("ledger.jsonl"));
        change(&mut options);
        let terminal = Simulator::start(options).await.unwrap();
        let settings = settings(&terminal.addr().to_string(), more);
        let driver = build(&settings, Timing::fast());
        Shop { terminal, settings, driver, _folder: folder }
    }

    async fn pay(&mut self, request: &PaymentRequest) -> (Result<Outcome, DriverError>, TestSession) {
        let mut session = TestSession::new();
        let running = self.driver.execute(request, &mut session);
        let result = timeout(PATIENCE, running).await.expect("execute ends");
        (result, session)
    }

    async fn approve(&mut self, minor: u64) -> (tillswitch_core::Approval, TestSession) {
        let (result, session) = self.pay(&request(Operation::Sale, minor)).await;
        match result {
            Ok(Outcome::Approved(approval)) => (approval, session),
            other => panic!("not approved: {other:?}"),
        }
    }

    /// The commands since the last look, without the ones before.
    fn commands_after(&self, earlier: usize) -> Vec<String> {
        self.terminal.commands()[earlier..].to_vec()
    }
}

fn settings(address: &str, more: &[(&str, &str)]) -> Settings {
    let settings = Settings::new("counter").with("address", address);
    more.iter().fold(settings, |settings, (key, value)| settings.with(key, *value))
}

fn build(settings: &Settings, timing: Timing) -> Box<dyn TerminalDriver> {
    ZvtTcpFactory { timing }.build(settings).unwrap()
}

fn request(operation: Operation, minor: u64) -> PaymentRequest {
    PaymentRequest {
        id: PaymentId::generate(),
        operation,
        amount: Money::from_minor(minor, Currency::EUR),
        register: "POS-01".into(),
        document: None,
        accept_partial: false,
        original: None,
        received_at: SystemTime::now(),
    }
}

fn not_started(result: &Result<Outcome, DriverError>) -> Cause {
    match result {
        Err(DriverError::NotStarted(reason)) => reason.cause,
        other => panic!("expected not started, found {other:?}"),
    }
}

#[tokio::test]
async fn a_first_payment_registers_and_learns_and_a_second_one_does_not() {
    let mut shop = Shop::open(&[]).await;
    let (first, session) = shop.approve(1000).await;
    assert_eq!(shop.terminal.commands(), ["06 00", "05 01", "06 20", "06 01"]);
    assert_eq!(session.notes().get("zvt.terminal_id"), Some("29001612"));
    assert_eq!(session.notes().get("zvt.previous_receipt"), None, "nothing was booked before");
    let (_, session) = shop.approve(2590).await;
    assert_eq!(shop.commands_after(4), ["06 01"]);
    let notes = session.notes();
    assert_eq!(notes.get("zvt.previous_receipt"), first.details.receipt_number.as_deref());
    assert_eq!(notes.get("zvt.previous_trace"), first.details.trace_number.as_deref());
    assert_eq!(notes.get("zvt.learnt"), Some("answer"));
    let difference: i64 = notes.get("zvt.clock_difference").unwrap().parse().unwrap();
    assert!(
        difference.rem_euclid(900) < 5 || difference.rem_euclid(900) > 895,
        "a zone and some seconds: {difference}"
    );
    assert_eq!(notes.iter().count(), 6);
    shop.driver.close().await;
    assert_eq!(shop.commands_after(5), ["06 02"]);
    assert_eq!(shop.terminal.protocol_faults(), Vec::<String>::new());
}

#[tokio::test]
async fn details_are_told_in_the_words_of_core() {
    let mut shop = Shop::open(&[]).await;
    let (approval, session) = shop.approve(2590).await;
    let Details {
        code,
        message,
        receipt_number,
        trace_number,
        terminal_id,
        authorization_code,
        terminal_time,
        card,
        ..
    } = approval.details;
    assert_eq!((code.as_str(), message.as_str()), ("00", "approved"));
    assert_eq!((receipt_number.as_deref(), trace_number.as_deref()), (Some("0001"), Some("000001")));
    assert_eq!(terminal_id.as_deref(), Some("29001612"));
    assert_eq!(authorization_code.unwrap().len(), 6);
    assert_eq!(terminal_time.unwrap().len(), "04-16 22:51:47".len());
    let card = card.unwrap();
    assert!(card.scheme.is_some() && card.last4.unwrap().len() == 4);
    assert!(session.shown.iter().any(|line| line.message.contains("Karte vorhalten")), "{:?}", session.shown);
    assert_eq!(session.recorded.len(), 1);

    shop.terminal.set_script(vec![Step::Decline]);
    let (result, session) = shop.pay(&request(Operation::Sale, 100)).await;
    let Ok(Outcome::Declined(details)) = result else {
        panic!("{result:?}");
    };
    assert_eq!((details.code.as_str(), details.message.as_str()), ("05", "Abgelehnt"));
    assert!(session.recorded.is_empty());
}

#[tokio::test]
async fn after_a_decline_the_last_booking_is_asked_for_again() {
    let mut shop = Shop::open(&[]).await;
    shop.approve(1000).await;
    shop.terminal.set_script(vec![Step::Decline]);
    shop.pay(&request(Operation::Sale, 100)).await.0.unwrap();
    let before = shop.terminal.commands().len();
    let (_, session) = shop.approve(2000).await;
    assert_eq!(shop.commands_after(before), ["06 20", "06 01"]);
    assert_eq!(session.notes().get("zvt.learnt"), Some("06 20"));
    assert_eq!(session.notes().get("zvt.previous_receipt"), Some("0001"));
}

#[tokio::test]
async fn an_idle_line_is_asked_first() {
    let mut shop = Shop::open(&[]).await;
    shop.driver = build(&shop.settings, Timing { idle_check: Duration::ZERO, ..Timing::fast() });
    shop.approve(1000).await;
    let before = shop.terminal.commands().len();
    shop.approve(1000).await;
    assert_eq!(shop.commands_after(before), ["05 01", "06 01"]);
}

#[tokio::test]
async fn per_payment_opens_and_closes_the_line() {
    let mut shop = Shop::open(&[("connection", "per-payment")]).await;
    shop.approve(1000).await;
    let (_, session) = shop.approve(2000).await;
    assert_eq!(shop.terminal.commands().iter().filter(|command| *command == "06 00").count(), 2);
    assert_eq!(session.notes().get("zvt.learnt"), Some("06 20"));
}

#[tokio::test]
async fn the_keypad_is_locked_unless_told_otherwise() {
    let mut shop = Shop::open(&[]).await;
    shop.approve(1000).await;
    assert!(shop.terminal.keypad_sale(100).is_err());
    let report = shop.driver.service("keypad-unlock", &mut TestSession::new()).await.unwrap();
    assert!(report.message.contains("keypad"));
    assert_eq!(shop.terminal.keypad_sale(100).unwrap(), "0002");
    // The next payment locks again, and knows of the sale in between.
    let (_, session) = shop.approve(2000).await;
    assert_eq!(session.notes().get("zvt.previous_receipt"), Some("0002"));
    assert!(shop.terminal.keypad_sale(100).is_err());
    shop.driver.close().await;

    let mut open = Shop::open(&[("keypad", "open")]).await;
    open.driver.status().await.unwrap();
    assert!(open.terminal.keypad_sale(100).is_ok());
}

#[tokio::test]
async fn slips_come_to_the_router_when_it_asks_for_them() {
    for slips in [Slips::Block, Slips::Lines] {
        let mut shop = Shop::with_options(&[("receipts", "router")], |options| options.slips = slips).await;
        let (_, session) = shop.approve(2590).await;
        assert!(!session.receipts.is_empty(), "{slips:?}");
        assert!(session.receipts.iter().all(|receipt| receipt.kind != ReceiptKind::Administration));
        assert!(session.receipts[0].text.contains("25,90") || session.receipts[0].text.contains("25.90"), "{slips:?}");
        assert_eq!(shop.terminal.protocol_faults(), Vec::<String>::new());
    }
    let mut shop = Shop::open(&[]).await;
    assert!(shop.approve(2590).await.1.receipts.is_empty(), "the terminal prints by itself");
}

#[tokio::test]
async fn requests_that_cannot_be_right_never_reach_the_terminal() {
    let mut shop = Shop::open(&[]).await;
    let (approval, session) = shop.approve(1000).await;
    let original = Original { id: PaymentId::generate(), approval, notes: session.take_notes() };
    let reversal = request(Operation::Reversal, 1000);
    let with = |original: Original| PaymentRequest { original: Some(original), ..reversal.clone() };
    let mut without_receipt = original.clone();
    without_receipt.approval.details.receipt_number = None;
    let mut elsewhere = original.clone();
    elsewhere.approval.details.terminal_id = Some("11112222".into());
    let dollars = Money::from_minor(100, "USD".parse().unwrap());
    for (wrong, cause) in [
        (PaymentRequest { amount: dollars, ..request(Operation::Sale, 1) }, Cause::WrongCurrency),
        (reversal.clone(), Cause::Refused),
        (with(without_receipt), Cause::Refused),
        (with(elsewhere), Cause::Refused),
        (PaymentRequest { amount: Money::from_minor(500, Currency::EUR), ..with(original.clone()) }, Cause::Refused),
        (request(Operation::Sale, 1_000_000_000_000), Cause::Refused),
    ] {
        assert_eq!(not_started(&shop.pay(&wrong).await.0), cause);
    }
    assert_eq!(shop.terminal.money_commands(), 1);
    assert!(matches!(shop.pay(&with(original)).await.0, Ok(Outcome::Approved(_))));
}

#[tokio::test]
async fn an_abort_before_the_command_starts_nothing() {
    let mut shop = Shop::open(&[]).await;
    let mut session = TestSession::new();
    session.request_abort();
    let result = shop.driver.execute(&request(Operation::Sale, 100), &mut session).await;
    assert!(matches!(result, Ok(Outcome::Cancelled(_))), "{result:?}");
    assert_eq!(shop.terminal.money_commands(), 0);
}

#[tokio::test]
async fn another_currency_is_named() {
    let mut shop = Shop::with_options(&[], |options| options.currency = "CHF".parse().unwrap()).await;
    assert_eq!(not_started(&shop.pay(&request(Operation::Sale, 100)).await.0), Cause::WrongCurrency);
    assert_eq!(shop.terminal.money_commands(), 0);
}

#[tokio::test]
async fn status_and_end_of_day_are_told_in_sentences() {
    let mut shop = Shop::open(&[("receipts", "router")]).await;
    let status = shop.driver.status().await.unwrap();
    assert_eq!((status.ready, status.terminal_id.as_deref()), (true, Some("29001612")));
    assert!(status.software.is_some());
    shop.approve(1000).await;
    shop.approve(590).await;
    let mut session = TestSession::new();
    let report = shop.driver.end_of_day(&mut session).await.unwrap();
    let euros = |minor| Money::from_minor(minor, Currency::EUR);
    let brand = |brand: &str, minor| BrandTotal { brand: brand.into(), count: 1, amount: euros(minor) };
    let expected = EndOfDay {
        message: report.message.clone(),
        total: Some(euros(1590)),
        count: Some(2),
        receipts: Some(ReceiptRange { first: "0001".into(), last: "0002".into() }),
        brands: vec![brand("girocard", 1000), brand("Mastercard", 590)],
    };
    assert_eq!(report, expected);
    assert!(
        session.receipts.iter().any(|receipt| receipt.kind == ReceiptKind::Administration),
        "{:?}",
        session.receipts
    );
    for name in ["diagnosis", "initialisation"] {
        assert!(shop.driver.services().contains(&name.to_owned()));
        shop.driver.service(name, &mut TestSession::new()).await.unwrap();
    }
    assert_eq!(shop.driver.service("dance", &mut TestSession::new()).await, Err(DriverError::Unsupported));
    // Receipt numbers may have begun anew.
    let (_, session) = shop.approve(100).await;
    assert_eq!(session.notes().get("zvt.learnt"), Some("06 20"));
}

#[tokio::test]
async fn what_the_registration_asks_for_is_wished_until_it_was_run() {
    let mut shop = Shop::with_options(&[("connection", "per-payment")], |options| options.status_byte = 0x03).await;
    assert!(shop.driver.wishes().is_empty(), "nothing is known yet");
    shop.approve(1000).await;
    assert_eq!(shop.driver.wishes(), ["initialisation", "diagnosis"]);
    shop.driver.service("initialisation", &mut TestSession::new()).await.unwrap();
    assert_eq!(shop.driver.wishes(), ["diagnosis"]);
    shop.driver.service("diagnosis", &mut TestSession::new()).await.unwrap();
    assert!(!shop.driver.wishes().contains(&"diagnosis".to_owned()));
}

#[tokio::test]
async fn a_keypad_that_was_opened_is_left_alone_until_the_next_payment() {
    let mut shop = Shop::with_options(&[], |options| options.status_byte = 0x02).await;
    shop.driver.service("keypad-unlock", &mut TestSession::new()).await.unwrap();
    assert!(shop.driver.wishes().is_empty());
    shop.driver.status().await.unwrap();
    shop.terminal.cut();
    // The first look may be what finds the line gone.
    let _ = shop.driver.status().await;
    shop.driver.status().await.unwrap();
    assert!(shop.terminal.keypad_sale(100).is_ok());
    shop.approve(1000).await;
    assert!(shop.terminal.keypad_sale(100).is_err());
    assert_eq!(shop.driver.wishes(), ["diagnosis"]);
}

#[tokio::test]
async fn a_terminal_that_hangs_up_after_every_payment_is_paid_at() {
    for connection in ["keep", "per-payment"] {
        let mut shop = Shop::with_options(&[("connection", connection)], |options| {
            options.script = vec![Step::CutIdle, Step::CutIdle, Step::Approve];
        })
        .await;
        // The line is gone at once here, so every line counts as an idle one.
        shop.driver = build(&shop.settings, Timing { idle_check: Duration::ZERO, ..Timing::fast() });
        for minor in [1000, 2000, 3000] {
            shop.approve(minor).await;
        }
        assert_eq!(shop.terminal.money_commands(), 3, "{connection}");
        assert_eq!(shop.terminal.ledger().len(), 3, "{connection}");
    }
}

#[tokio::test]
async fn a_pin_that_is_typed_again_is_waited_for() {
    let mut shop = Shop::open(&[]).await;
    shop.terminal.set_script(vec![Step::PinRetry]);
    let (result, _) = shop.pay(&request(Operation::Sale, 2590)).await;
    assert!(matches!(result, Ok(Outcome::Approved(_))), "{result:?}");
}

#[tokio::test]
async fn an_error_without_06_1e_is_a_decline_once_the_terminal_is_ready() {
    let mut shop = Shop::open(&[]).await;
    shop.terminal.set_script(vec![Step::ErrorWithoutCompletion]);
    let (result, _) = shop.pay(&request(Operation::Sale, 2590)).await;
    assert!(matches!(result, Ok(Outcome::Declined(_))), "{result:?}");
    shop.approve(1000).await;
}

#[tokio::test]
async fn a_terminal_that_greets_is_understood() {
    let mut shop = Shop::with_options(&[], |options| options.script = vec![Step::Banner]).await;
    shop.approve(1000).await;
}

#[tokio::test]
async fn a_journal_that_hangs_sends_the_payment_back() {
    struct Hanging(TestSession);

    #[tillswitch_core::async_trait]
    impl tillswitch_core::Display for Hanging {
        fn show(&mut self, progress: tillswitch_core::Progress) {
            self.0.show(progress);
        }
        async fn receipt(&mut self, receipt: tillswitch_core::Receipt) -> Result<(), tillswitch_core::NotStored> {
            self.0.receipt(receipt).await
        }
        fn abort(&self) -> tillswitch_core::Abort {
            self.0.abort()
        }
    }

    #[tillswitch_core::async_trait]
    impl Session for Hanging {
        fn notes(&self) -> &tillswitch_core::Notes {
            self.0.notes()
        }
        async fn remember(&mut self, key: &str, value: &str) -> Result<(), tillswitch_core::NotStored> {
            self.0.remember(key, value).await
        }
        async fn record(&mut self, _: &Outcome) -> Result<(), tillswitch_core::NotStored> {
            std::future::pending().await
        }
        async fn late(&mut self, _: Option<PaymentId>, _: &Outcome) -> Result<(), tillswitch_core::NotStored> {
            Ok(())
        }
    }

    let mut shop = Shop::open(&[]).await;
    let mut session = Hanging(TestSession::new());
    let sale = request(Operation::Sale, 100);
    let result = timeout(PATIENCE, shop.driver.execute(&sale, &mut session)).await.expect("execute ends");
    assert!(matches!(result, Err(DriverError::InDoubt(ref reason)) if reason.cause == Cause::NotStored), "{result:?}");
    assert!(tillswitch_core::ledger::standing(&shop.terminal.ledger()).is_empty(), "it was taken back");
}
