//! Where does a result go that nobody waits for?

use std::future::pending;

use tillswitch_core::conformance::{KeptLate, TestSession};
use tillswitch_core::{
    Cause, DriverError, KeepLate, LineWatch, NotStored, Outcome, PaymentId, Session, TerminalDriver, async_trait,
};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::script::{PATIENCE, Script, execute, not_started, sale, scripted};

#[tokio::test]
async fn a_result_that_waits_on_the_line_is_sent_back_and_nothing_starts() {
    let (listener, mut driver) = scripted().await;
    let mut session = TestSession::new();
    let first = async {
        let mut script = Script::accept(&listener).await;
        script.introduce().await;
        script.approve().await;
        script
    };
    let (result, mut script) = tokio::join!(execute(&mut *driver, &mut session), first);
    assert!(matches!(result, Ok(Outcome::Approved(_))), "{result:?}");
    assert!(session.receipts.is_empty(), "the slip of an earlier payment belongs to no payment of now");
    script.say("04 0F 0C 27 00 04 00 00 00 00 99 00 49 09 78 04 FF 01 0E").await;
    let mut session = TestSession::new();
    let second = async {
        script.hear("84 66 00").await;
        script.hear("80 00 00").await;
    };
    let (result, ()) = tokio::join!(execute(&mut *driver, &mut session), second);
    assert_eq!(not_started(&result), Cause::Busy);
    assert!(matches!(session.late.as_slice(), [(None, Outcome::Approved(late))] if late.amount.minor() == 9900));
    assert!(session.recorded.is_empty());
}

/// The terminal asked twice in vain and then told its result: what it hears first, it takes for the answer to that.
#[tokio::test]
async fn no_answer_to_what_came_before_a_waiting_result_accepts_it() {
    let (listener, mut driver) = scripted().await;
    let mut script = Script::approved(&listener, &mut *driver).await;
    script.say("80 00 00 04 FF 01 0A 04 FF 01 0E 04 0F 0C 27 00 04 00 00 00 00 99 00 49 09 78").await;
    let mut session = TestSession::new();
    let second = async {
        for _ in 0..3 {
            script.hear("84 66 00").await;
        }
    };
    let (result, ()) = tokio::join!(execute(&mut *driver, &mut session), second);
    assert_eq!(not_started(&result), Cause::Busy);
    assert!(matches!(session.late.as_slice(), [(None, Outcome::Approved(late))] if late.amount.minor() == 9900));
}

/// 25.90 with receipt 0043, at another terminal's clock.
const RESULT_43: &str = "04 0F 13 27 00 04 00 00 00 00 25 90 87 00 43 29 29 00 16 12 19 70";

/// A driver whose terminal has approved one payment with receipt 0042, and who keeps what comes too late.
async fn opened() -> (TcpListener, Box<dyn TerminalDriver>, Script, KeptLate) {
    let (listener, mut driver) = scripted().await;
    let kept = KeptLate::default();
    driver.watch_line(kept.watch());
    let terminal = async {
        let mut script = Script::accept(&listener).await;
        script.introduce().await;
        script.approve().await;
        script
    };
    let mut session = TestSession::new();
    let (result, script) = tokio::join!(execute(&mut *driver, &mut session), terminal);
    assert!(matches!(result, Ok(Outcome::Approved(_))), "{result:?}");
    (listener, driver, script, kept)
}

fn is_kept(kept: &KeptLate) -> bool {
    matches!(kept.said().as_slice(), [(None, Outcome::Approved(late))] if late.amount.minor() == 2590)
}

/// What an operator or the router itself does besides payments.
#[derive(Clone, Copy, Debug)]
enum Work {
    Status,
    Service(&'static str),
    EndOfDay,
}

async fn work(driver: &mut dyn TerminalDriver, work: Work) -> Result<bool, DriverError> {
    let mut display = TestSession::new();
    match work {
        Work::Status => driver.status().await.map(|status| status.ready),
        Work::Service(name) => driver.service(name, &mut display).await.map(|_| true),
        Work::EndOfDay => driver.end_of_day(&mut display).await.map(|_| true),
    }
}

const WORKS: [(Work, &str); 4] = [
    (Work::Status, "05 01"),
    (Work::Service("diagnosis"), "06 70"),
    (Work::Service("keypad-unlock"), "06 00"),
    (Work::EndOfDay, "06 50"),
];

#[tokio::test]
async fn whoever_comes_upon_a_result_on_the_idle_line_has_it_kept_before_it_is_sent_back() {
    for (what, _) in WORKS {
        let (_listener, mut driver, mut script, kept) = opened().await;
        script.say(RESULT_43).await;
        let sent_back = async {
            script.hear("84 66 00").await;
            assert!(is_kept(&kept), "{what:?}: {:?}", kept.said());
        };
        let (report, ()) = tokio::join!(work(&mut *driver, what), sent_back);
        assert!(matches!(report, Ok(false) | Err(DriverError::NotStarted(_))), "{what:?}: {report:?}");
        assert!(is_kept(&kept), "once: {what:?}: {:?}", kept.said());
    }
}

#[tokio::test]
async fn a_result_instead_of_an_answer_is_kept_too_and_the_command_has_failed() {
    for (what, command) in WORKS {
        let (_listener, mut driver, mut script, kept) = opened().await;
        let terminal = async {
            // A look at a line that was used a moment ago asks nothing before.
            script.hear(command).await;
            script.say(RESULT_43).await;
            script.hear("84 66 00").await;
            assert!(is_kept(&kept), "{what:?}: {:?}", kept.said());
            script.say("80 00 00 06 0F 01 00").await;
            script.hear("80 00 00").await;
        };
        let (report, ()) = tokio::join!(work(&mut *driver, what), terminal);
        let busy = report.expect_err("what was asked is not known to have been done");
        assert!(
            matches!(&busy, DriverError::NotStarted(r) | DriverError::InDoubt(r) if r.cause == Cause::Busy),
            "{busy}"
        );
    }
}

#[tokio::test]
async fn a_result_that_comes_upon_the_log_off_is_kept() {
    let (_listener, mut driver, mut script, kept) = opened().await;
    let terminal = async {
        script.hear("06 02").await;
        script.say(RESULT_43).await;
        script.hear("84 66 00").await;
        assert!(is_kept(&kept), "{:?}", kept.said());
        script.say("80 00 00").await;
    };
    tokio::join!(driver.close(), terminal);
}

/// Its receipt is the one that a payment in doubt must have got, its amount and terminal are too.
#[tokio::test]
async fn a_result_of_a_payment_that_was_left_in_doubt_is_kept_with_that_payment() {
    let (listener, mut driver, mut script, kept) = opened().await;
    let (request, mut session) = (sale(), TestSession::new());
    let cut = async {
        script.hear("06 01").await;
        script.say("80 00 00").await;
        drop(script);
    };
    let (result, ()) = tokio::join!(driver.execute(&request, &mut session), cut);
    assert!(matches!(result, Err(DriverError::InDoubt(_))), "{result:?}");
    let terminal = async {
        let mut script = Script::accept(&listener).await;
        script.hear("06 00").await;
        script.say(RESULT_43).await;
        script.hear("84 66 00").await;
        script
    };
    let (_, _script) = tokio::join!(driver.status(), terminal);
    let said = kept.said();
    assert!(matches!(said.as_slice(), [(Some(id), Outcome::Approved(_))] if *id == request.id), "{said:?}");
}

/// Whether it stands or is taken back, a receipt number is gone: with the one of before, a payment in doubt of the same amount
/// would find this result and take it for its own.
#[tokio::test]
async fn after_such_a_result_the_next_payment_asks_for_the_last_receipt_again() {
    let (_listener, mut driver, mut script, kept) = opened().await;
    script.say(RESULT_43).await;
    tokio::join!(driver.status(), script.hear("84 66 00")).0.unwrap();
    assert!(is_kept(&kept));
    let mut session = TestSession::new();
    let terminal = async {
        script.hear("05 01").await;
        script.say("80 00 00 06 0F 01 00").await;
        script.hear("80 00 00").await;
        script.hear("06 20").await;
        script.say("80 00 00 04 0F 0C 27 00 87 00 43 29 29 00 16 12 19 70").await;
        script.hear("80 00 00").await;
        script.say("06 0F 00").await;
        script.hear("80 00 00").await;
        script.approve().await;
    };
    let (result, ()) = tokio::join!(execute(&mut *driver, &mut session), terminal);
    assert!(matches!(result, Ok(Outcome::Approved(_))), "{result:?}");
    assert_eq!(session.notes().get("zvt.previous_receipt"), Some("0043"));
}

/// A journal that takes nothing and says nothing.
struct Hanging;

#[async_trait]
impl KeepLate for Hanging {
    async fn late(&self, _: Option<PaymentId>, _: &Outcome) -> Result<(), NotStored> {
        pending().await
    }
}

#[tokio::test]
async fn a_journal_that_hangs_does_not_keep_the_terminal_waiting() {
    let (_listener, mut driver, mut script, _) = opened().await;
    driver.watch_line(LineWatch::default().with_late(Hanging));
    script.say(RESULT_43).await;
    let (status, _) =
        timeout(PATIENCE, async { tokio::join!(driver.status(), script.hear("84 66 00")) }).await.unwrap();
    assert!(!status.unwrap().ready);
}
