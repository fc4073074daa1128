//! Does an end of a serial line say and hear what it should? Scripts, with a clock that is moved by hand.

use super::*;
use crate::apdu::control;
use crate::command::positive;

const T1: Duration = Duration::from_millis(200);
const T2: Duration = Duration::from_secs(5);
const BYTE: Duration = Duration::from_millis(1);

/// One end, and a clock that is moved by hand.
struct Bench {
    link: Link,
    now: Instant,
}

fn bench() -> Bench {
    Bench { link: Link::new(LinkTiming { byte_gap: T1, acknowledgement: T2, byte: BYTE }), now: Instant::now() }
}

fn pay() -> Apdu {
    Apdu::new(control::AUTHORIZATION, vec![0x04, 0, 0, 0, 0, 0x12, 0x50])
}

fn ask() -> Apdu {
    Apdu::new(control::STATUS_ENQUIRY, vec![])
}

fn line_of_slip() -> Apdu {
    Apdu::new(control::PRINT_LINE, vec![0x00, 0x2D, 0x2D])
}

fn frame(apdu: &Apdu) -> Vec<u8> {
    encode_frame(&apdu.encode().unwrap())
}

impl Bench {
    fn send(&mut self, apdu: &Apdu, delivery: Delivery) {
        self.link.send(apdu, delivery, self.now).unwrap();
        assert_eq!(self.said(), "frame");
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.link.hear(bytes, self.now, Some);
        self.link.tick(self.now);
    }

    /// Lets time pass from timer to timer.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) = self.link.deadline().filter(|at| *at <= end) {
            assert!(at >= self.now, "a timer that is over is not cleared");
            self.now = at;
            self.link.tick(at);
        }
        self.now = end;
    }

    /// What was to be sent since this was asked last.
    fn said(&mut self) -> String {
        let name = |output| match output {
            Output::Ack => "ack",
            Output::Nak => "nak",
            Output::Frame(_) => "frame",
        };
        std::iter::from_fn(|| self.link.output()).map(name).collect::<Vec<_>>().join(" ")
    }

    fn received(&mut self) -> usize {
        std::iter::from_fn(|| self.link.received()).count()
    }
}

#[test]
fn an_acknowledged_message_is_done() {
    let mut bench = bench();
    bench.send(&ask(), Delivery::Repeatable);
    assert_eq!(bench.link.fate(), Fate::Underway);
    bench.hear(&[ACK]);
    bench.pass(T2 * 10);
    assert_eq!((bench.link.fate(), bench.said().as_str()), (Fate::Acknowledged, ""));
}

#[test]
fn silence_repeats_twice_and_gives_up() {
    let mut bench = bench();
    bench.send(&ask(), Delivery::Repeatable);
    let on_the_way = BYTE * 9;
    bench.pass(T2 + on_the_way - BYTE);
    assert_eq!(bench.said(), "");
    bench.pass(BYTE);
    assert_eq!(bench.said(), "frame");
    bench.pass(T2 + on_the_way);
    assert_eq!(bench.said(), "frame");
    bench.pass(T2 + on_the_way);
    assert_eq!((bench.link.fate(), bench.said().as_str()), (Fate::Unacknowledged, ""));
}

#[test]
fn silence_never_repeats_a_money_command() {
    let mut bench = bench();
    bench.send(&pay(), Delivery::AtMostOnce);
    bench.pass(T2 * 10);
    assert_eq!((bench.link.fate(), bench.said().as_str()), (Fate::Unacknowledged, ""));
}

#[test]
fn a_money_command_is_repeated_when_it_was_surely_not_understood() {
    let mut bench = bench();
    bench.send(&pay(), Delivery::AtMostOnce);
    for _ in 0..2 {
        bench.hear(&[NAK]);
        assert_eq!(bench.said(), "");
        bench.pass(T1);
        assert_eq!(bench.said(), "frame");
    }
    bench.hear(&[NAK]);
    bench.pass(T1);
    assert_eq!((bench.link.fate(), bench.said().as_str()), (Fate::NotUnderstood, ""));
}

#[test]
fn a_doubtful_complaint_repeats_no_money_command() {
    fn check(pieces: &[&[u8]]) {
        let mut bench = bench();
        bench.send(&pay(), Delivery::AtMostOnce);
        for piece in pieces {
            bench.hear(piece);
            bench.pass(T1 / 2);
        }
        bench.pass(T2 * 2);
        assert!(!bench.said().contains("frame"), "{pieces:02X?}");
    }
    check(&[&[NAK, NAK]]);
    check(&[&[NAK], &[NAK]]);
    check(&[&[0xFF, NAK]]);
    check(&[&[0xFF], &[NAK]]);
    check(&[&[NAK], &[0xFF]]);
    check(&[&[NAK], &[ACK]]);
    check(&[&[NAK], &frame(&positive())]);
    // A frame begins, and its end is lost.
    check(&[&[NAK], &frame(&positive())[..4]]);
    check(&[&[NAK; 1000]]);
}

#[test]
fn any_complaint_repeats_anything_else_once_the_line_is_silent() {
    let mut bench = bench();
    bench.send(&ask(), Delivery::Repeatable);
    bench.hear(&[NAK; 1000]);
    bench.pass(T1 / 2);
    bench.hear(&[NAK, 0xFF]);
    bench.pass(T1 / 2);
    assert_eq!(bench.said(), "");
    bench.pass(T1 / 2);
    assert_eq!(bench.said(), "frame");
    bench.hear(&[ACK]);
    assert_eq!(bench.link.fate(), Fate::Acknowledged);
}

#[test]
fn an_answer_acknowledges_what_it_answers() {
    let mut bench = bench();
    bench.send(&pay(), Delivery::AtMostOnce);
    bench.hear(&frame(&positive()));
    assert_eq!((bench.link.fate(), bench.said().as_str(), bench.received()), (Fate::Acknowledged, "ack", 1));
}

#[test]
fn a_command_of_the_other_end_acknowledges_no_command() {
    let mut bench = bench();
    bench.send(&ask(), Delivery::Repeatable);
    // They have crossed.
    bench.hear(&frame(&line_of_slip()));
    assert_eq!((bench.link.fate(), bench.said().as_str(), bench.received()), (Fate::Underway, "ack", 1));
    bench.pass(T2 * 2);
    assert_eq!(bench.said(), "frame");
}

#[test]
fn the_next_message_acknowledges_an_answer() {
    let mut bench = bench();
    bench.hear(&frame(&line_of_slip()));
    bench.said();
    bench.send(&positive(), Delivery::Repeatable);
    bench.hear(&frame(&Apdu::new(control::COMPLETION, vec![])));
    assert_eq!((bench.link.fate(), bench.received()), (Fate::Acknowledged, 2));
}

#[test]
fn a_repeated_command_is_acknowledged_and_not_told_again() {
    let mut bench = bench();
    let line = frame(&line_of_slip());
    bench.hear(&line);
    bench.hear(&line);
    assert_eq!((bench.said().as_str(), bench.received()), ("ack ack", 1));
    // Nor while our answer is on its way: the other end waits for our ACK and does not listen to anything else.
    bench.send(&positive(), Delivery::Repeatable);
    bench.hear(&line);
    assert_eq!((bench.link.fate(), bench.said().as_str(), bench.received()), (Fate::Underway, "ack", 0));
    // Once it has acknowledged the answer, it is done with the command.
    bench.hear(&[ACK]);
    bench.hear(&line);
    assert_eq!((bench.said().as_str(), bench.received()), ("ack", 1));
}

#[test]
fn a_repeated_answer_is_not_the_answer_to_the_next_command() {
    let mut bench = bench();
    let refusal = frame(&Apdu::new([0x84, 0x83], vec![]));
    bench.send(&ask(), Delivery::Repeatable);
    bench.hear(&[ACK]);
    bench.hear(&refusal);
    bench.said();
    assert_eq!(bench.received(), 1);
    // Our ACK was lost, and the money command comes while the other end still waits for it.
    bench.send(&pay(), Delivery::AtMostOnce);
    bench.hear(&refusal);
    assert_eq!((bench.link.fate(), bench.received()), (Fate::Underway, 0));
    // It takes the command all the same, and repeats its refusal before it answers that.
    bench.hear(&[ACK]);
    bench.hear(&refusal);
    assert_eq!((bench.link.fate(), bench.received()), (Fate::Acknowledged, 0));
    bench.hear(&frame(&positive()));
    assert_eq!(bench.received(), 1);
}

#[test]
fn an_equal_refusal_of_a_question_is_a_new_one() {
    let mut bench = bench();
    let refusal = frame(&Apdu::new([0x84, 0x83], vec![]));
    for _ in 0..2 {
        bench.send(&ask(), Delivery::Repeatable);
        bench.hear(&[ACK]);
        bench.hear(&refusal);
        bench.said();
        assert_eq!(bench.received(), 1);
    }
}

#[test]
fn a_damaged_frame_is_complained_about() {
    let mut bench = bench();
    let mut wrong = frame(&positive());
    wrong[3] ^= 1;
    bench.hear(&wrong);
    assert_eq!((bench.said().as_str(), bench.received()), ("nak", 0));
    // Its length is wrong, its checksum is not.
    bench.hear(&encode_frame(&[0x06, 0x0F, 0x05, 0x00]));
    assert_eq!((bench.said().as_str(), bench.received()), ("nak", 0));
    bench.hear(&frame(&positive()));
    assert_eq!((bench.said().as_str(), bench.received()), ("ack", 1));
}

#[test]
fn a_gap_within_a_frame_is_complained_about() {
    let whole = frame(&positive());
    for (gap, said, received) in [(T1 - BYTE, "ack", 1), (T1, "nak", 0)] {
        let mut bench = bench();
        bench.hear(&whole[..5]);
        bench.pass(gap);
        bench.hear(&whole[5..]);
        assert_eq!((bench.said().as_str(), bench.received()), (said, received), "{gap:?}");
    }
}

#[test]
fn t2_waits_for_the_end_of_a_frame_that_has_begun() {
    let mut bench = bench();
    let answer = frame(&positive());
    bench.send(&pay(), Delivery::AtMostOnce);
    bench.pass(T2);
    bench.hear(&answer[..5]);
    bench.pass(T1 / 2);
    bench.hear(&answer[5..]);
    assert_eq!((bench.link.fate(), bench.received()), (Fate::Acknowledged, 1));
}

#[test]
fn a_frame_without_an_end_does_not_hold_up_the_end_of_the_wait() {
    for delivery in [Delivery::AtMostOnce, Delivery::Repeatable] {
        let mut bench = bench();
        bench.send(&pay(), delivery);
        bench.hear(&frame(&line_of_slip())[..4]);
        for _ in 0..600 {
            bench.pass(T1 / 2);
            bench.hear(b"-");
        }
        assert_eq!((bench.link.fate(), bench.said().as_str()), (Fate::Unacknowledged, ""), "{delivery:?}");
    }
}

#[test]
fn noise_is_no_acknowledgement() {
    let mut bench = bench();
    bench.send(&pay(), Delivery::AtMostOnce);
    bench.hear(&[0x00, 0xFF, 0x10, 0x55, 0x10]);
    assert_eq!(bench.link.fate(), Fate::Underway);
    assert!(bench.link.heard_noise());
}
