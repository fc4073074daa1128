//! Which lines carry a further payment, and how does a line end?

use tillswitch_core::conformance::TestSession;
use tillswitch_core::{DriverError, DriverFactory, Outcome, Settings};
use tillswitch_zvt::{Timing, ZvtTcpFactory};

use crate::script::{PATIENCE, Script, end_of_line, execute, scripted};

#[tokio::test]
async fn a_line_with_an_unanswered_question_of_ours_carries_no_further_payment() {
    let (listener, mut driver) = scripted().await;
    let mut session = TestSession::new();
    let first = async {
        let mut script = Script::accept(&listener).await;
        script.introduce().await;
        script.hear("06 01").await;
        script.say("80 00 00 04 0F 07 27 05 29 29 00 16 12").await;
        script.hear("80 00 00").await;
        script.hear("05 01").await;
        script.hear("05 01").await;
        script.say("80 00 00 06 0F 01 00").await;
        script.hear("80 00 00").await;
        // The answer to the second one.
        script.say("80 00 00 06 0F 01 00").await;
        script
    };
    let (result, _line) = tokio::join!(execute(&mut *driver, &mut session), first);
    assert!(matches!(result, Ok(Outcome::Declined(_))), "{result:?}");
    Script::approved(&listener, &mut *driver).await;
}

#[tokio::test]
async fn a_line_on_which_a_stray_answer_came_carries_no_further_payment() {
    let (listener, mut driver) = scripted().await;
    let mut script = Script::approved(&listener, &mut *driver).await;
    script.say("84 83 00").await;
    Script::approved(&listener, &mut *driver).await;
}

/// A payment that is stopped while the terminal keeps silent at this command.
async fn stopped_at(command: &str) {
    let (listener, _) = scripted().await;
    let settings = Settings::new("counter").with("address", listener.local_addr().unwrap().to_string());
    let patient = Timing { answer: PATIENCE * 2, enquiry: PATIENCE * 2, ..Timing::fast() };
    let mut driver = ZvtTcpFactory { timing: patient }.build(&settings).unwrap();
    let mut session = TestSession::new();
    session.abort_when_shown = true;
    let terminal = async {
        let mut script = Script::accept(&listener).await;
        for (next, answer) in [("06 00", "80 00 00 06 0F 00"), ("05 01", "80 00 00 06 0F 01 00"), ("06 20", "")] {
            script.hear(next).await;
            if next == command {
                script.say("04 FF 01 0E").await;
                script.hear("80 00 00").await;
                return end_of_line(&mut script).await;
            }
            script.say(answer).await;
            script.hear("80 00 00").await;
        }
        panic!("{command} was never heard");
    };
    let (result, end) = tokio::join!(execute(&mut *driver, &mut session), terminal);
    assert!(matches!(result, Ok(Outcome::Cancelled(_))), "{command}: {result:?}");
    assert_eq!(end.unwrap(), 0, "{command}");
}

#[tokio::test]
async fn a_payment_can_be_stopped_while_it_is_prepared() {
    for command in ["06 00", "05 01", "06 20"] {
        stopped_at(command).await;
    }
}

#[tokio::test]
async fn a_payment_that_was_given_up_is_not_delivered_late() {
    let (listener, mut driver) = scripted().await;
    let mut session = TestSession::new();
    let terminal = async {
        let mut script = Script::accept(&listener).await;
        script.introduce().await;
        script.hear("06 01").await;
        end_of_line(&mut script).await
    };
    let (result, end) = tokio::join!(execute(&mut *driver, &mut session), terminal);
    assert!(matches!(result, Err(DriverError::InDoubt(_))), "{result:?}");
    assert_eq!(end.expect_err("unsent bytes are forgotten").kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_driver_that_is_dropped_in_a_payment_delivers_nothing_late() {
    let (listener, mut driver) = scripted().await;
    let mut session = TestSession::new();
    let mut script = tokio::select! {
        result = execute(&mut *driver, &mut session) => panic!("{result:?}"),
        script = async {
            let mut script = Script::accept(&listener).await;
            script.introduce().await;
            script.hear("06 01").await;
            script
        } => script,
    };
    drop(driver);
    let end = end_of_line(&mut script).await;
    assert_eq!(end.expect_err("unsent bytes are forgotten").kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_line_that_is_done_with_is_closed_in_order() {
    let (listener, mut driver) = scripted().await;
    let mut session = TestSession::new();
    let terminal = async {
        let mut script = Script::accept(&listener).await;
        script.introduce().await;
        script.approve().await;
        script
    };
    let (result, mut script) = tokio::join!(execute(&mut *driver, &mut session), terminal);
    assert!(matches!(result, Ok(Outcome::Approved(_))), "{result:?}");
    let farewell = async {
        script.hear("06 02").await;
        script.say("80 00 00").await;
        end_of_line(&mut script).await
    };
    let ((), end) = tokio::join!(driver.close(), farewell);
    assert_eq!(end.unwrap(), 0);
}
