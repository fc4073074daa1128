//! What does the driver make of a terminal that does not know all of ZVT, or none of it?

use tillswitch_core::conformance::TestSession;
use tillswitch_core::{Cause, DriverError, Outcome, Session};
use tokio::io::AsyncWriteExt;

use crate::script::{Script, execute, not_started, scripted};

#[tokio::test]
async fn a_container_that_is_refused_is_left_out() {
    let (listener, mut driver) = scripted().await;
    let terminal = async {
        let mut script = Script::accept(&listener).await;
        script.hear("06 00 0A 00 00 00 38 09 78 03 01 06 00").await;
        script.say("84 9A 00").await;
        let again = script.hear("06 00 08 00 00 00 38 09 78 03 01").await;
        assert_eq!(again.data.len(), 8);
        script.say("84 9C 00").await;
    };
    let mut session = TestSession::new();
    let (result, ()) = tokio::join!(execute(&mut *driver, &mut session), terminal);
    assert_eq!(not_started(&result), Cause::Busy);
}

#[tokio::test]
async fn a_terminal_that_never_answers_06_20_is_paid_at_without() {
    let (listener, mut driver) = scripted().await;
    let mut session = TestSession::new();
    let deaf = async {
        let mut script = Script::accept(&listener).await;
        script.hear("06 00").await;
        script.say("80 00 00 06 0F 00").await;
        script.hear("80 00 00").await;
        script.hear("05 01").await;
        script.say("84 83 00").await;
        script.hear("05 01").await;
        script.say("84 83 00").await;
        script.hear("06 20").await;
        script
    };
    let (result, _script) = tokio::join!(execute(&mut *driver, &mut session), deaf);
    assert_eq!(not_started(&result), Cause::NoAnswer);
    let still_deaf = async {
        let mut script = Script::accept(&listener).await;
        script.introduce_up_to_repetition().await;
        script
    };
    let (result, _script) = tokio::join!(execute(&mut *driver, &mut session), still_deaf);
    assert_eq!(not_started(&result), Cause::NoAnswer);
    let third = async {
        let mut script = Script::accept(&listener).await;
        script.hear("06 00").await;
        script.say("80 00 00 06 0F 00").await;
        script.hear("80 00 00").await;
        script.hear("05 01").await;
        script.say("80 00 00 06 0F 01 00").await;
        script.hear("80 00 00").await;
        script.approve().await;
    };
    let mut session = TestSession::new();
    let (result, ()) = tokio::join!(execute(&mut *driver, &mut session), third);
    assert!(matches!(result, Ok(Outcome::Approved(_))), "{result:?}");
    assert_eq!(session.notes().get("zvt.learnt"), Some("not told"));
}

#[tokio::test]
async fn a_server_of_another_kind_is_named() {
    let (listener, mut driver) = scripted().await;
    let terminal = async {
        let mut script = Script::accept(&listener).await;
        script.stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").await.unwrap();
        script
    };
    let mut session = TestSession::new();
    let (result, _script) = tokio::join!(execute(&mut *driver, &mut session), terminal);
    let Err(DriverError::NotStarted(reason)) = result else {
        panic!("{result:?}");
    };
    assert!(reason.cause == Cause::Garbage && reason.message.contains("SSH"), "{reason}");
}
