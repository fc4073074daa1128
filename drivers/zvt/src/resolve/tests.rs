//! Whether a reading is taken for the payment only when everything fits: one deviation at a time.

use tillswitch_core::{Approval, Currency, Details, Money, Operation, Original, PaymentId};

use super::*;
use crate::clock::{MonthDay, TimeOfDay};
use crate::learnt::Learnt;

/// A payment of noon, at a terminal whose clock is an hour ahead.
struct Case {
    request: PaymentRequest,
    remembered: Remembered,
    registered_id: Option<String>,
    keypad: Keypad,
    latest: SystemTime,
    reading: Reading,
}

/// 2026-02-16 12:00 UTC.
fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(20_500 * 86_400 + 12 * 3600)
}

fn amount() -> Money {
    Money::from_minor(2590, Currency::EUR)
}

fn case() -> Case {
    let approval = Approval { amount: amount(), details: Details::new("00", "approved") };
    Case {
        request: PaymentRequest {
            id: PaymentId::generate(),
            operation: Operation::Sale,
            amount: amount(),
            register: "POS-01".into(),
            document: None,
            accept_partial: false,
            original: None,
            received_at: noon(),
        },
        remembered: Remembered {
            terminal_id: Some("29001612".into()),
            previous: Learnt {
                receipt: Some("0041".into()),
                trace: Some("000086".into()),
                time: Some("02-16 12:50:00".into()),
                how: How::Repetition,
            },
            clock_difference: Some(3600),
        },
        registered_id: Some("29001612".into()),
        keypad: Keypad::Locked,
        latest: noon() + Duration::from_secs(60),
        reading: Reading {
            result_code: Some(0),
            terminal_id: Some("29001612".into()),
            receipt: Some("0042".into()),
            trace: Some("000087".into()),
            original_trace: None,
            amount_minor: Some(2590),
            currency: Some(978),
            at: Some((MonthDay { month: 2, day: 16 }, TimeOfDay { hour: 13, minute: 0, second: 30 })),
            booking: Some(approval),
        },
    }
}

fn judge(change: impl FnOnce(&mut Case)) -> Judgement {
    let mut case = case();
    change(&mut case);
    let question = Question {
        request: &case.request,
        remembered: &case.remembered,
        registered_id: case.registered_id.as_deref(),
        keypad: case.keypad,
        latest: case.latest,
    };
    question.judge(&case.reading)
}

fn check_unclear(why: &str, change: impl FnOnce(&mut Case)) {
    match judge(change) {
        Judgement::Unclear(evidence) => assert!(evidence.message.contains(why), "{why}: {}", evidence.message),
        other => panic!("{why}: {other:?}"),
    }
}

fn check_booked(change: impl FnOnce(&mut Case)) {
    let found = judge(change);
    assert!(matches!(found, Judgement::Booked(_)), "{found:?}");
}

#[test]
fn all_fits() {
    check_booked(|_| {});
    check_booked(|case| case.remembered.previous.how = How::Answer);
    check_booked(|case| case.registered_id = None);
    check_booked(|case| case.reading.terminal_id = None);
    check_booked(|case| case.reading.currency = None);
    check_booked(|case| {
        case.remembered.previous.receipt = Some("9999".into());
        case.reading.receipt = Some("0001".into());
    });
}

#[test]
fn one_thing_that_does_not_fit_decides_nothing() {
    check_unclear("terminal 11112222", |case| case.registered_id = Some("11112222".into()));
    check_unclear("terminal 11112222", |case| case.reading.terminal_id = Some("11112222".into()));
    check_unclear("not known which terminal", |case| case.remembered.terminal_id = None);
    check_unclear("does not tell its id", |case| {
        case.registered_id = None;
        case.reading.terminal_id = None;
    });
    check_unclear("before this payment is not known", |case| case.remembered.previous.receipt = None);
    check_unclear("no receipt number", |case| case.reading.receipt = None);
    check_unclear("last receipt is 0043", |case| case.reading.receipt = Some("0043".into()));
    check_unclear("last receipt is 0040", |case| case.reading.receipt = Some("0040".into()));
    check_unclear("not a success", |case| case.reading.result_code = Some(0x6C));
    check_unclear("not a success", |case| case.reading.result_code = None);
    check_unclear("not one of 25.90 EUR", |case| case.reading.amount_minor = Some(2591));
    check_unclear("not one of 25.90 EUR", |case| case.reading.amount_minor = None);
    check_unclear("another currency", |case| case.reading.currency = Some(756));
    check_unclear("not a sale", |case| case.reading.original_trace = Some("000080".into()));
    check_unclear("keypad", |case| case.keypad = Keypad::Open);
    check_unclear("keypad", |case| case.remembered.previous.how = How::KeypadOpen);
    check_unclear("not told", |case| case.remembered.previous.how = How::NotTold);
}

#[test]
fn the_time_must_fit() {
    fn at(hour: u8, minute: u8) -> impl FnOnce(&mut Case) {
        move |case| {
            case.reading.at = Some((MonthDay { month: 2, day: 16 }, TimeOfDay { hour, minute, second: 0 }));
        }
    }
    check_booked(at(13, 3));
    check_booked(at(12, 58));
    check_unclear("dated 02-16 13:04:00", at(13, 4));
    check_unclear("dated", at(12, 57));
    check_unclear("dated", at(12, 0));
    check_unclear("when the last booking was made", |case| case.reading.at = None);
    check_unclear("when the last booking was made", |case| case.remembered.clock_difference = None);
}

#[test]
fn the_window_ends_with_the_longest_conversation() {
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
    let request = PaymentRequest { received_at: long_ago, ..case().request };
    assert_eq!(latest(&request, Duration::from_secs(1800)), long_ago + Duration::from_secs(1800));
    let of_now = PaymentRequest { received_at: SystemTime::now(), ..case().request };
    assert!(latest(&of_now, Duration::from_secs(1800)) <= SystemTime::now());
}

#[test]
fn the_booking_of_before_is_unchanged_only_with_its_trace_number() {
    let of_before = |case: &mut Case| {
        case.reading.receipt = Some("0041".into());
        case.reading.trace = Some("000086".into());
        case.reading.at = Some((MonthDay { month: 2, day: 16 }, TimeOfDay { hour: 12, minute: 50, second: 0 }));
    };
    assert_eq!(judge(of_before), Judgement::Unchanged);
    check_unclear("no trace number", |case| {
        of_before(case);
        case.reading.trace = None;
        case.remembered.previous.trace = None;
    });
    check_unclear("no trace number", |case| {
        of_before(case);
        case.reading.trace = Some("000000".into());
        case.remembered.previous.trace = Some("000000".into());
    });
    check_unclear("no trace number", |case| {
        of_before(case);
        case.reading.trace = None;
    });
    check_unclear("dated 02-16 13:00:30", |case| {
        of_before(case);
        case.reading.at = self::case().reading.at;
    });
    check_unclear("dated 02-16 13:00:30", |case| {
        of_before(case);
        case.reading.at = self::case().reading.at;
        case.remembered.previous.time = None;
    });
    let untimed = |case: &mut Case| {
        of_before(case);
        case.remembered.previous.time = None;
    };
    assert_eq!(judge(untimed), Judgement::Unchanged);
    let without_time = |case: &mut Case| {
        of_before(case);
        case.reading.at = None;
    };
    assert_eq!(judge(without_time), Judgement::Unchanged);
    check_unclear("the trace number is not", |case| {
        of_before(case);
        case.reading.trace = Some("000085".into());
    });
}

#[test]
fn a_reversal_names_the_payment_that_it_undoes() {
    fn reversal(case: &mut Case) {
        let mut approval = Approval { amount: amount(), details: Details::new("00", "approved") };
        approval.details.trace_number = Some("000086".into());
        let id = PaymentId::generate();
        case.request.operation = Operation::Reversal;
        case.request.original = Some(Original { id, approval, notes: Default::default() });
        case.reading.original_trace = Some("000086".into());
    }
    check_booked(reversal);
    check_unclear("not a reversal", |case| {
        reversal(case);
        case.reading.original_trace = None;
    });
    check_unclear("not a reversal", |case| {
        reversal(case);
        case.reading.original_trace = Some("000085".into());
    });
}
