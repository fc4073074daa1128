//! What the driver makes of a terminal that says, word by word, what a test tells it to.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, SystemTime};

use tillswitch_core::conformance::TestSession;
use tillswitch_core::{
    Cause, Currency, DriverError, DriverFactory, Money, Operation, Outcome, PaymentId, PaymentRequest, Resolution,
    Session, Settings, TerminalDriver,
};
use tillswitch_zvt::apdu::{Apdu, ApduDecoder};
use tillswitch_zvt::{Timing, ZvtTcpFactory};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(5);

/// A terminal that says what it is told to, line by line.
struct Script {
    stream: TcpStream,
    decoder: ApduDecoder,
}

impl Script {
    async fn accept(listener: &TcpListener) -> Script {
        let (stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
        Script { stream, decoder: ApduDecoder::new(4096) }
    }

    async fn hear(&mut self, start: &str) -> Apdu {
        let apdu = loop {
            if let Some(apdu) = self.decoder.next_apdu().unwrap() {
                break apdu;
            }
            let mut buffer = [0; 512];
            let count = timeout(PATIENCE, self.stream.read(&mut buffer)).await.unwrap().unwrap();
            assert!(count > 0, "the driver hung up while {start} was expected");
            self.decoder.push(&buffer[..count]);
        };
        let hex: Vec<String> = apdu.encode().unwrap().iter().map(|byte| format!("{byte:02X}")).collect();
        assert!(hex.join(" ").starts_with(start), "expected {start}, heard {}", hex.join(" "));
        apdu
    }

    async fn say(&mut self, hex: &str) {
        let bytes: Vec<u8> = hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn introduce_up_to_repetition(&mut self) {
        self.hear("06 00").await;
        self.say("80 00 00 06 0F 0A 19 00 29 29 00 16 12 49 09 78").await;
        self.hear("80 00 00").await;
        self.hear("05 01").await;
        self.say("80 00 00 06 0F 01 00").await;
        self.hear("80 00 00").await;
        self.hear("06 20").await;
    }

    /// Registration, clock and last receipt, as in front of a first payment.
    async fn introduce(&mut self) {
        self.introduce_up_to_repetition().await;
        self.say("80 00 00 04 0F 0C 27 00 87 00 41 29 29 00 16 12 19 70").await;
        self.hear("80 00 00").await;
        // Not every terminal obeys the wish for no slip.
        self.say("06 D1 03 00 41 42").await;
        self.hear("80 00 00").await;
        self.say("06 0F 00").await;
        self.hear("80 00 00").await;
    }

    async fn approve(&mut self) {
        self.hear("06 01").await;
        self.say("80 00 00 04 0F 0A 27 00 87 00 42 29 29 00 16 12").await;
        self.hear("80 00 00").await;
        self.say("06 0F 00").await;
        self.hear("80 00 00").await;
    }
}

async fn scripted() -> (TcpListener, Box<dyn TerminalDriver>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings::new("counter").with("address", listener.local_addr().unwrap().to_string());
    let driver = ZvtTcpFactory { timing: Timing::fast() }.build(&settings).unwrap();
    (listener, driver)
}

async fn execute(driver: &mut dyn TerminalDriver, session: &mut TestSession) -> Result<Outcome, DriverError> {
    let request = sale();
    timeout(PATIENCE, driver.execute(&request, session)).await.expect("execute ends")
}

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
    let mut session = TestSession::new();
    let first = async {
        let mut script = Script::accept(&listener).await;
        script.introduce().await;
        script.approve().await;
        script
    };
    let (result, mut script) = tokio::join!(execute(&mut *driver, &mut session), first);
    assert!(matches!(result, Ok(Outcome::Approved(_))), "{result:?}");
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
    approved_on_a_new_line(&listener, &mut *driver).await;
}

#[tokio::test]
async fn a_line_on_which_a_stray_answer_came_carries_no_further_payment() {
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
    script.say("84 83 00").await;
    approved_on_a_new_line(&listener, &mut *driver).await;
}

async fn approved_on_a_new_line(listener: &TcpListener, driver: &mut dyn TerminalDriver) {
    let mut session = TestSession::new();
    let second = async {
        let mut script = Script::accept(listener).await;
        script.introduce().await;
        script.approve().await;
    };
    let (result, ()) = tokio::join!(execute(driver, &mut session), second);
    assert!(matches!(result, Ok(Outcome::Approved(_))), "{result:?}");
}

/// How the line ends for the terminal: `Ok` in order, `Err` by a reset.
async fn end_of_line(script: &mut Script) -> std::io::Result<usize> {
    loop {
        match timeout(PATIENCE, script.stream.read(&mut [0; 512])).await.expect("the line ends") {
            Ok(count) if count > 0 => {}
            end => return end,
        }
    }
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

fn sale() -> PaymentRequest {
    PaymentRequest {
        id: PaymentId::generate(),
        operation: Operation::Sale,
        amount: Money::from_minor(2590, Currency::EUR),
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
