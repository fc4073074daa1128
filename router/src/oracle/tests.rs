//! That the oracle sees each violation, and nothing where there is none.

use std::time::{Duration, SystemTime};

use serde_json::json;
use tillswitch_core::ledger::LedgerEvent;
use tillswitch_core::{Approval, Currency, Details, Identity, Money, Notes, Operation, Outcome};

use super::*;
use crate::journal::{TerminalKey, Verdict};

const SALE: u64 = 2590;

fn payment(state: State, receipt: Option<&str>) -> Payment {
    let amount = Money::from_minor(SALE, Currency::EUR);
    let details = Details { receipt_number: receipt.map(str::to_owned), ..Details::new("00", "approved") };
    let now = SystemTime::now();
    Payment {
        id: PaymentId::generate(),
        state,
        verdict: (state == State::Approved)
            .then_some(Verdict::Said { outcome: Outcome::Approved(Approval { amount, details }) }),
        operation: Operation::Sale,
        amount,
        tip_minor: None,
        register: "POS-01".into(),
        terminal: TerminalKey { name: "counter".into(), driver: "zvt-tcp".into(), identity: Identity::default() },
        document: None,
        original: None,
        again_of: None,
        accept_partial: false,
        received_at: now,
        dispatched_at: Some(now),
        finished_at: Some(now),
        notes: Notes::default(),
        recorded: None,
        waits_for_person: false,
        answer_delivered: false,
    }
}

fn booking(receipt: &str) -> LedgerEntry {
    let at = SystemTime::now() + Duration::from_secs(1);
    LedgerEntry {
        event: LedgerEvent::Booked,
        operation: Operation::Sale,
        amount: Money::from_minor(SALE, Currency::EUR),
        receipt_number: receipt.into(),
        terminal_id: "29001612".into(),
        at_unix_ms: at.duration_since(UNIX_EPOCH).unwrap().as_millis() as u64,
        payment_id: None,
    }
}

fn told(payment: &Payment, status: u16, word: &str, code: &str) -> Told {
    let body = json!({ "status": word, "code": code,
        "payment": { "id": payment.id.to_string(), "result": { "amount_minor": SALE } } });
    Told { status, body }
}

fn check(payments: Vec<Payment>, entries: Vec<LedgerEntry>, told: Vec<Told>, expected: &[&str]) {
    let ledgers = vec![Ledger { terminal: "counter".into(), entries }];
    let mut found: Vec<&str> =
        violations(&Witnesses { ledgers, payments, told }).iter().map(|violation| violation.invariant).collect();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, expected);
}

#[test]
fn agreement_is_silent() {
    let paid = payment(State::Approved, Some("0001"));
    let told = vec![told(&paid, 200, "success", "")];
    check(vec![paid, payment(State::Declined, None)], vec![booking("0001")], told, &[]);
    check(vec![payment(State::InDoubt, None)], vec![booking("0001")], vec![], &[]);
    check(vec![payment(State::InDoubt, None)], vec![], vec![], &[]);
    check(vec![], vec![], vec![], &[]);
}

#[test]
fn a_double_charge_is_seen() {
    check(vec![payment(State::Approved, Some("0001"))], vec![booking("0001"), booking("0002")], vec![], &["I2", "I8"]);
    check(vec![payment(State::Approved, Some("0001"))], vec![booking("0001"), booking("0001")], vec![], &["I1", "I8"]);
}

#[test]
fn a_lost_booking_is_seen() {
    check(vec![payment(State::Declined, None)], vec![booking("0001")], vec![], &["I2", "I8"]);
}

#[test]
fn a_false_word_is_seen() {
    let approved = payment(State::Approved, Some("0001"));
    let nothing_booked = vec![told(&approved, 200, "success", "")];
    check(vec![approved.clone()], vec![], nothing_booked, &["I3", "I8"]);
    let denied = vec![told(&approved, 402, "declined", "declined")];
    check(vec![approved.clone()], vec![booking("0001")], denied, &["I3"]);
    let wrong_status = vec![told(&approved, 200, "declined", "declined")];
    check(vec![approved], vec![booking("0001")], wrong_status, &["I3"]);
}

#[test]
fn an_open_payment_is_seen() {
    check(vec![payment(State::Dispatched, None)], vec![], vec![], &["I4"]);
}

#[test]
fn a_booking_before_its_dispatch_is_seen() {
    let mut late = payment(State::Approved, Some("0001"));
    late.dispatched_at = Some(SystemTime::now() + Duration::from_secs(60));
    check(vec![late], vec![booking("0001")], vec![], &["I5"]);
}

#[test]
fn of_two_in_doubt_a_booking_is_the_one_that_was_dispatched_by_then() {
    let mut later = payment(State::InDoubt, None);
    later.dispatched_at = Some(SystemTime::now() + Duration::from_secs(60));
    check(vec![later.clone(), payment(State::InDoubt, None)], vec![booking("0001")], vec![], &[]);
    check(vec![later], vec![booking("0001")], vec![], &["I5"]);
}

#[test]
fn a_forgotten_payment_is_seen() {
    let told = vec![told(&payment(State::Approved, Some("0001")), 200, "success", "")];
    check(vec![], vec![], told, &["I7"]);
}

#[test]
fn a_sale_that_a_reversal_in_doubt_may_have_taken_back_may_be_gone() {
    let sale = payment(State::Approved, Some("0001"));
    let reversal = |state| Payment { operation: Operation::Reversal, original: Some(sale.id), ..payment(state, None) };
    let taken_back = LedgerEntry { event: LedgerEvent::Reversed, ..booking("0001") };
    let entries = vec![booking("0001"), taken_back];
    check(vec![sale.clone(), reversal(State::InDoubt)], entries.clone(), vec![], &[]);
    check(vec![sale.clone(), reversal(State::InDoubt)], vec![booking("0001")], vec![], &[]);
    check(vec![sale.clone(), reversal(State::Declined)], entries, vec![], &["I3", "I8"]);
}
