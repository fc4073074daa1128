//! What does a terminal hear that asks something, or does not do what is asked of it?

use tillswitch_core::conformance::TestSession;
use tillswitch_core::{Cause, DriverError, Outcome};

use crate::script::{Script, execute, scripted};

/// What a PT may ask at any time, and what it must hear. Only what the registration lists would be asked, but it lists nothing.
const QUESTIONS: [(&str, &str); 9] = [
    // Its clock; a line of a slip; a progress line.
    ("04 01 08 AA 26 11 24 0C 17 00 00", "80 00 00"),
    ("06 D1 03 00 41 42", "80 00 00"),
    ("04 FF 01 0E", "80 00 00"),
    // A menu, with and without pictures; input; a blocked list; a telephone line; a block of a file; what nobody knows.
    ("04 0E 04 06 02 2B 00", "84 83 00"),
    ("06 D0 0E F0 01 F1 05 06 08 2B 06 19 01 01 07 01 41", "84 83 00"),
    ("04 0D 04 06 02 32 00", "84 83 00"),
    ("06 E4 03 22 F1 12", "84 83 00"),
    ("06 D8 01 30", "84 83 00"),
    ("0F 77 00", "84 83 00"),
];

#[tokio::test]
async fn every_question_gets_its_answer_and_the_payment_goes_on() {
    let (listener, mut driver) = scripted().await;
    let terminal = async {
        let mut script = Script::accept(&listener).await;
        script.introduce().await;
        script.hear("06 01").await;
        script.say("80 00 00").await;
        for (question, answer) in QUESTIONS {
            script.say(question).await;
            script.hear(answer).await;
        }
        script.say("04 0F 0A 27 00 87 00 42 29 29 00 16 12").await;
        script.hear("80 00 00").await;
        script.say("06 0F 00").await;
        script.hear("80 00 00").await;
        script
    };
    let mut session = TestSession::new();
    let (result, _script) = tokio::join!(execute(&mut *driver, &mut session), terminal);
    assert!(matches!(result, Ok(Outcome::Approved(_))), "{result:?}");
}

#[tokio::test]
async fn every_question_gets_its_answer_and_a_service_goes_on() {
    let (listener, mut driver) = scripted().await;
    let terminal = async {
        let mut script = Script::accept(&listener).await;
        script.hear("06 00").await;
        script.say("80 00 00 06 0F 00").await;
        script.hear("80 00 00").await;
        script.hear("06 70").await;
        script.say("80 00 00").await;
        for (question, answer) in QUESTIONS {
            script.say(question).await;
            script.hear(answer).await;
        }
        script.say("06 0F 00").await;
        script.hear("80 00 00").await;
        script
    };
    let mut session = TestSession::new();
    let (report, _script) = tokio::join!(driver.service("diagnosis", &mut session), terminal);
    assert!(report.is_ok(), "{report:?}");
}

#[tokio::test]
async fn a_command_that_the_terminal_does_not_know_is_named() {
    let (listener, mut driver) = scripted().await;
    let terminal = async {
        let mut script = Script::accept(&listener).await;
        script.hear("06 00").await;
        script.say("80 00 00 06 0F 00").await;
        script.hear("80 00 00").await;
        script.hear("06 93").await;
        script.say("84 83 00").await;
        script
    };
    let mut session = TestSession::new();
    let (report, _script) = tokio::join!(driver.service("initialisation", &mut session), terminal);
    let Err(DriverError::NotStarted(reason)) = report else { panic!("{report:?}") };
    assert!(reason.message.contains("does not know") && reason.message.contains("83"), "{reason}");
}

#[tokio::test]
async fn a_service_that_the_terminal_does_not_do_is_said_so() {
    for (service, command, answer, cause, told) in [
        ("diagnosis", "06 70", "84 83 00", Cause::Refused, "does not know this command (83)"),
        ("initialisation", "06 93", "84 83 00", Cause::Refused, "does not know this command (83)"),
        ("diagnosis", "06 70", "84 A0 00", Cause::Busy, "did not begin"),
    ] {
        let (listener, mut driver) = scripted().await;
        let terminal = async {
            let mut script = Script::accept(&listener).await;
            script.hear("06 00").await;
            script.say("80 00 00 06 0F 0A 19 00 29 29 00 16 12 49 09 78").await;
            script.hear("80 00 00").await;
            script.hear(command).await;
            script.say(answer).await;
        };
        let mut session = TestSession::new();
        let (result, ()) = tokio::join!(driver.service(service, &mut session), terminal);
        match result {
            Err(DriverError::NotStarted(reason)) => {
                assert_eq!(reason.cause, cause, "{service} {answer}");
                assert!(reason.message.contains(told), "{}", reason.message);
            }
            other => panic!("{service} {answer}: {other:?}"),
        }
    }
}
