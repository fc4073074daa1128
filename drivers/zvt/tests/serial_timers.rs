//! Does a serial line keep the standard's timers, from the bytes to the payment? Over a stream in memory, with paused time.

#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod cable;

use std::sync::Arc;
use std::time::Duration;

use tillswitch_core::conformance::TestSession;
use tillswitch_core::{
    Cause, Currency, DriverError, Money, Operation, Outcome, PaymentId, PaymentRequest, Resolution, Settings,
    TerminalDriver,
};
use tillswitch_zvt::apdu::{Apdu, control};
use tillswitch_zvt::command::positive;
use tillswitch_zvt::simulator::{Options, ScriptedFault, Simulator, Step};
use tillswitch_zvt::transport::serial::{SerialTransport, encode_frame};
use tillswitch_zvt::transport::{Delivery, SendError, Transport};
use tillswitch_zvt::{Timing, driver_over};
use tokio::time::{Instant, sleep};

use cable::{BYTE, Cable, End, SETTINGS};

const ACK: u8 = 0x06;
const NAK: u8 = 0x15;
const T1: Duration = Duration::from_millis(200);
const T2: Duration = Duration::from_secs(5);
const MOMENT: Duration = Duration::from_millis(1);

/// An open line, and its other end.
async fn line() -> (SerialTransport, End) {
    let (cable, mut ends) = Cable::new();
    let mut line = SerialTransport::over(Box::new(cable), "ttyS9".into(), SETTINGS, &Timing::default());
    line.open().await.unwrap();
    (line, ends.recv().await.unwrap())
}

fn money() -> Apdu {
    Apdu::new(control::AUTHORIZATION, vec![0x04, 0, 0, 0, 0, 0x25, 0x90])
}

fn status_enquiry() -> Apdu {
    Apdu::new(control::STATUS_ENQUIRY, vec![])
}

fn frame(apdu: &Apdu) -> Vec<u8> {
    encode_frame(&apdu.encode().unwrap())
}

/// How long T2 lasts from the moment in which this is sent: it counts from when the last byte has left.
fn t2_after(apdu: &Apdu) -> Duration {
    BYTE * u32::try_from(frame(apdu).len()).unwrap() + T2
}

/// Timers tick in whole milliseconds, so that three in a row may be three late.
#[track_caller]
fn check_about(actual: Duration, expected: Duration) {
    assert!(actual >= expected && actual <= expected + 3 * MOMENT, "{actual:?} instead of {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_within_a_frame_may_last_until_t1() {
    let whole = frame(&positive());
    for (pause, said, arrives) in [(T1 - 2 * MOMENT, ACK, true), (T1 + 2 * MOMENT, NAK, false)] {
        for place in 2..whole.len() {
            let (mut line, mut pt) = line().await;
            let talk = async {
                pt.write(&whole[..place]).await;
                sleep(pause).await;
                pt.write(&whole[place..]).await;
                pt.read_byte().await
            };
            let hear = tokio::time::timeout(T2, line.receive());
            let (heard, answer) = tokio::join!(hear, talk);
            assert_eq!(
                (heard.is_ok_and(|apdu| apdu.is_ok()), answer),
                (arrives, said),
                "{pause:?} before byte {place}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_acknowledges_is_sent_three_times_and_no_more() {
    let (mut line, mut pt) = line().await;
    let ask = status_enquiry();
    let begun = Instant::now();
    let error = line.send(&ask, Delivery::Repeatable).await.unwrap_err();
    check_about(begun.elapsed(), 3 * t2_after(&ask));
    assert_eq!((error.reason.cause, error.nothing_sent), (Cause::NoAnswer, false));
    assert_eq!(pt.everything(), frame(&ask).repeat(3), "byte for byte");
    assert_eq!(line.repetitions(), 2);
}

#[tokio::test(start_paused = true)]
async fn each_repetition_is_t2_after_the_one_before() {
    let (mut line, mut pt) = line().await;
    let ask = status_enquiry();
    let length = frame(&ask).len();
    let times = async {
        let mut times = Vec::new();
        for _ in 0..3 {
            pt.read(length).await;
            times.push(Instant::now());
        }
        times
    };
    let (_, times) = tokio::join!(line.send(&ask, Delivery::Repeatable), times);
    for pair in times.windows(2) {
        check_about(pair[1] - pair[0], t2_after(&ask));
    }
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_counts_until_t2() {
    for (before, repetitions) in [(T2 - 2 * MOMENT, 0), (T2 + 2 * MOMENT, 1)] {
        let (mut line, mut pt) = line().await;
        let ask = status_enquiry();
        let on_the_way = BYTE * u32::try_from(frame(&ask).len()).unwrap();
        let acknowledge = async {
            pt.read(frame(&ask).len()).await;
            sleep(on_the_way + before).await;
            pt.write(&[ACK]).await;
        };
        let (sent, ()) = tokio::join!(line.send(&ask, Delivery::Repeatable), acknowledge);
        assert_eq!((sent, line.repetitions()), (Ok(()), repetitions), "{before:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_money_command_that_nobody_acknowledges_is_sent_once() {
    let (mut line, mut pt) = line().await;
    let begun = Instant::now();
    let error = line.send(&money(), Delivery::AtMostOnce).await.unwrap_err();
    check_about(begun.elapsed(), t2_after(&money()));
    assert!(!error.nothing_sent && !line.is_open());
    sleep(T2 * 10).await;
    assert_eq!(pt.everything(), frame(&money()));
}

#[tokio::test(start_paused = true)]
async fn a_money_command_is_repeated_t1_after_a_complaint() {
    let (mut line, mut pt) = line().await;
    let money = money();
    let length = frame(&money).len();
    let complain = async {
        let mut pauses = Vec::new();
        for _ in 0..3 {
            pt.read(length).await;
            pauses.push(Instant::now());
            pt.write(&[NAK]).await;
        }
        pauses
    };
    let (sent, times) = tokio::join!(line.send(&money, Delivery::AtMostOnce), complain);
    let SendError { reason, nothing_sent } = sent.unwrap_err();
    assert!(reason.message.contains("did not understand") && !nothing_sent, "{reason}");
    for pair in times.windows(2) {
        check_about(pair[1] - pair[0], T1);
    }
    assert_eq!(pt.everything(), [0; 0], "three times, and no more");
}

#[tokio::test(start_paused = true)]
async fn a_complaint_with_something_behind_it_repeats_no_money_command() {
    for noise in [&[NAK][..], &[0xFF], &[0x10, 0x02, 0x80]] {
        let (mut line, mut pt) = line().await;
        let money = money();
        let complain = async {
            pt.read(frame(&money).len()).await;
            pt.write(&[NAK]).await;
            sleep(T1 - 10 * MOMENT).await;
            pt.write(noise).await;
        };
        let (sent, ()) = tokio::join!(line.send(&money, Delivery::AtMostOnce), complain);
        assert!(sent.is_err(), "{noise:02X?}");
        assert!(!pt.everything().windows(2).any(|pair| pair == control::AUTHORIZATION), "{noise:02X?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeated_message_is_acknowledged_each_time_and_told_once() {
    let (mut line, mut pt) = line().await;
    let said = frame(&Apdu::new(control::INTERMEDIATE_STATUS, vec![0x0A]));
    let talk = async {
        let mut answers = Vec::new();
        for _ in 0..3 {
            pt.write(&said).await;
            answers.push(pt.read_byte().await);
            sleep(T2).await;
        }
        answers
    };
    let hear = async {
        let mut told = 0;
        while let Ok(Ok(_)) = tokio::time::timeout(T2 * 4, line.receive()).await {
            told += 1;
        }
        told
    };
    assert_eq!(tokio::join!(hear, talk), (1, vec![ACK; 3]));
}

#[tokio::test(start_paused = true)]
async fn a_length_that_is_a_dle_is_doubled() {
    let (mut line, mut pt) = line().await;
    let sixteen = Apdu::new(control::REGISTRATION, vec![0x55; 16]);
    let (_, sent) = tokio::join!(line.send(&sixteen, Delivery::AtMostOnce), pt.read(7));
    assert_eq!(sent, [0x10, 0x02, 0x06, 0x00, 0x10, 0x10, 0x55]);
}

/// A driver with the standard's timers, and its terminal behind a cable that is not cut.
struct Counter {
    terminal: Arc<Simulator>,
    driver: Box<dyn TerminalDriver>,
    _folder: tempfile::TempDir,
}

impl Counter {
    /// With one payment that was approved: from then on there is a receipt number to remember.
    async fn open() -> Counter {
        let folder = tempfile::tempdir().unwrap();
        let terminal = Arc::new(Simulator::start(Options::new(folder.path().join("ledger.jsonl"))).await.unwrap());
        let (cable, mut ends) = Cable::new();
        let plugged_in = Arc::clone(&terminal);
        tokio::spawn(async move {
            while let Some(end) = ends.recv().await {
                plugged_in.serve_serial(end).await.unwrap();
            }
        });
        let line = SerialTransport::over(Box::new(cable), "ttyS9".into(), SETTINGS, &Timing::default());
        let driver = driver_over(Box::new(line), &Settings::new("bar"), Timing::default()).unwrap();
        let mut counter = Counter { terminal, driver, _folder: folder };
        let first = counter.driver.execute(&sale(1000), &mut TestSession::new()).await;
        assert!(matches!(first, Ok(Outcome::Approved(_))), "{first:?}");
        counter
    }

    fn faults(&self, words: &str) {
        self.terminal.set_line_faults(ScriptedFault::parse_list(words).unwrap());
    }
}

fn sale(minor: u64) -> PaymentRequest {
    PaymentRequest {
        id: PaymentId::generate(),
        operation: Operation::Sale,
        amount: Money::from_minor(minor, Currency::EUR),
        document: None,
        register: "POS-01".into(),
        received_at: std::time::SystemTime::now(),
        original: None,
        accept_partial: false,
    }
}

#[tokio::test(start_paused = true)]
async fn a_payment_whose_command_is_lost_is_in_doubt_and_never_sent_again() {
    let mut counter = Counter::open().await;
    counter.faults("lose-command@0601");
    let (request, mut session) = (sale(2590), TestSession::new());
    let begun = Instant::now();
    let Err(DriverError::InDoubt(reason)) = counter.driver.execute(&request, &mut session).await else {
        panic!("nobody has said anything");
    };
    assert_eq!(reason.cause, Cause::NoAnswer);
    assert!((T2..T2 * 2).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    let mut resolution = counter.driver.resolve(&request, &mut session.resumed()).await;
    while matches!(resolution, Ok(Resolution::InProgress) | Err(_)) {
        assert!(begun.elapsed() < Duration::from_secs(300), "{resolution:?}");
        sleep(T2).await;
        resolution = counter.driver.resolve(&request, &mut session.resumed()).await;
    }
    assert!(matches!(resolution, Ok(Resolution::NotCharged(_))), "{resolution:?}");
    assert_eq!((counter.terminal.money_commands(), counter.terminal.ledger().len()), (1, 1), "only the first payment");
}

#[tokio::test(start_paused = true)]
async fn an_abort_while_the_card_is_awaited_gets_through_a_bad_line() {
    for (fault, repeated_after) in [("", Duration::ZERO), ("lose-command@06B0", T2), ("nak-frame@06B0", T1)] {
        let mut counter = Counter::open().await;
        counter.terminal.set_script(vec![Step::WaitForAbort]);
        counter.faults(fault);
        let mut session = TestSession::new();
        session.abort_when_shown = true;
        let begun = Instant::now();
        let outcome = counter.driver.execute(&sale(2590), &mut session).await;
        assert!(matches!(outcome, Ok(Outcome::Cancelled(_))), "{fault}: {outcome:?}");
        assert!(begun.elapsed() >= repeated_after, "{fault}: {:?}", begun.elapsed());
        assert_eq!((counter.terminal.line_faults(), counter.terminal.ledger().len()), (vec![], 1), "{fault}");
    }
}
