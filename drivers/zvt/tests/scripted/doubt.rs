//! What is a payment in doubt taken for, reading by reading?

use tillswitch_core::conformance::TestSession;
use tillswitch_core::{DriverError, Outcome, PaymentRequest, Resolution, TerminalDriver};
use tillswitch_zvt::Timing;
use tokio::time::timeout;

use crate::script::{PATIENCE, Script, end_of_line, execute, sale, scripted};

/// Sale 42 was acknowledged at twelve; sale 43 has lost its line. Both of 25.90.
const SALE_42: &str =
    "04 0F 1E 27 00 04 00 00 00 00 25 90 87 00 42 0B 00 00 87 29 29 00 16 12 0C 12 00 00 0D 04 16 19 70";
const SALE_43: &str =
    "04 0F 1E 27 00 04 00 00 00 00 25 90 87 00 43 0B 00 00 88 29 29 00 16 12 0C 12 00 01 0D 04 16 19 70";

impl Script {
    /// Answers whatever comes up to 06 20, and that with this result.
    async fn tell_last(&mut self, result: &str) {
        loop {
            let answer = match self.hear("").await.control() {
                [0x06, 0x00] => "80 00 00 06 0F 0A 19 00 29 29 00 16 12 49 09 78".to_owned(),
                [0x05, 0x01] => "80 00 00 06 0F 01 00".to_owned(),
                [0x06, 0x20] => format!("80 00 00 {result}"),
                other => panic!("{other:02X?}"),
            };
            self.say(&answer).await;
            self.hear("80 00 00").await;
            if answer.ends_with(result) {
                self.say("06 0F 00").await;
                self.hear("80 00 00").await;
                return;
            }
        }
    }
}

async fn resolve(
    driver: &mut dyn TerminalDriver,
    request: &PaymentRequest,
    session: &TestSession,
    script: &mut Script,
    last: &str,
) -> Resolution {
    let mut session = session.resumed();
    let asking = timeout(PATIENCE, driver.resolve(request, &mut session));
    let (found, ()) = tokio::join!(asking, script.tell_last(last));
    found.expect("resolve ends").unwrap()
}

#[tokio::test]
async fn an_approval_that_is_taken_back_between_two_readings_was_never_known() {
    let (listener, mut driver) = scripted().await;
    let first = async {
        let mut script = Script::accept(&listener).await;
        script.introduce().await;
        script.hear("06 01").await;
        script.say(&format!("80 00 00 {SALE_42}")).await;
        script.hear("80 00 00").await;
        script.say("06 0F 00").await;
        script.hear("80 00 00").await;
        script
    };
    let mut session = TestSession::new();
    let (result, mut script) = tokio::join!(execute(&mut *driver, &mut session), first);
    assert!(matches!(result, Ok(Outcome::Approved(_))), "{result:?}");
    let (request, mut session) = (sale(), TestSession::new());
    let cut = async {
        script.hear("06 01").await;
        script.say("80 00 00").await;
        drop(script);
    };
    let (result, ()) = tokio::join!(driver.execute(&request, &mut session), cut);
    assert!(matches!(result, Err(DriverError::InDoubt(_))), "{result:?}");

    let mut line = {
        let mut again = session.resumed();
        let asking = timeout(PATIENCE, driver.resolve(&request, &mut again));
        let terminal = async {
            let mut script = Script::accept(&listener).await;
            script.tell_last(SALE_43).await;
            script
        };
        let (found, script) = tokio::join!(asking, terminal);
        assert_eq!(found.unwrap(), Ok(Resolution::InProgress));
        script
    };
    // Nobody had acknowledged it, so the terminal has taken it back meanwhile.
    tokio::time::sleep(Timing::fast().second_reading).await;
    let found = resolve(&mut *driver, &request, &session, &mut line, SALE_42).await;
    assert_eq!(found, Resolution::InProgress, "this is a first reading again");
    let found = resolve(&mut *driver, &request, &session, &mut line, SALE_42).await;
    assert!(matches!(found, Resolution::NotCharged(_)), "{found:?}");
}

#[tokio::test]
async fn a_terminal_that_is_mute_about_its_last_booking_is_left_to_a_person() {
    let (listener, mut driver) = scripted().await;
    let mut session = TestSession::new();
    let terminal = async {
        let mut script = Script::accept(&listener).await;
        script.introduce().await;
        script.hear("06 01").await;
        script.say("80 00 00").await;
    };
    let (result, ()) = tokio::join!(execute(&mut *driver, &mut session), terminal);
    assert!(matches!(result, Err(DriverError::InDoubt(_))), "{result:?}");
    let mut answers = Vec::new();
    for _ in 0..6 {
        let terminal = async {
            let mut script = Script::accept(&listener).await;
            script.hear("06 00").await;
            script.say("80 00 00 06 0F 0A 19 00 29 29 00 16 12 49 09 78").await;
            script.hear("80 00 00").await;
            script.hear("05 01").await;
            script.say("80 00 00 06 0F 01 00").await;
            script.hear("80 00 00").await;
            script.hear("06 20").await;
            end_of_line(&mut script).await.unwrap();
        };
        let (request, mut session) = (sale(), session.resumed());
        let (answer, ()) = tokio::join!(driver.resolve(&request, &mut session), terminal);
        answers.push(answer);
    }
    let last = answers.pop().unwrap();
    assert!(answers.iter().all(Result::is_err), "{answers:?}");
    let Ok(Resolution::Undecided(evidence)) = last else { panic!("{last:?}") };
    assert!(evidence.message.contains("does not tell its last booking"), "{evidence:?}");
}
