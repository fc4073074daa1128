//! Do the terminals' ledgers, the journal and the answers agree? Written once, used by the demo and by every test of faults.
//!
//! Three witnesses that do not know each other: **T**, what the simulated terminals booked; **J**, the journal; **W**, what
//! the point of sale was told. The invariants:
//!
//! | | |
//! |---|---|
//! | I1 | a payment has at most one booking |
//! | I2 | every booking has a payment |
//! | I3 | told "paid": it is booked so; told "not paid": it is not |
//! | I4 | nothing stays open |
//! | I5 | a payment was on disk as dispatched before it was booked |
//! | I6 | recovering twice is recovering once |
//! | I7 | whatever was told is in the journal |
//! | I8 | per terminal, approved <= booked <= approved + in doubt, in integers of minor units |

mod pairing;
mod sums;

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use tillswitch_core::PaymentId;
use tillswitch_core::ledger::LedgerEntry;

use crate::answer::approved_amount;
use crate::code::Code;
use crate::journal::{Filter, Journal, JournalError, Payment, State};
use pairing::Pairing;

/// What one simulated terminal booked.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// The terminal's name in the configuration.
    pub terminal: String,
    /// Its lines, oldest first.
    pub entries: Vec<LedgerEntry>,
}

/// What the point of sale was told once.
#[derive(Clone, Debug)]
pub struct Told {
    /// The HTTP status.
    pub status: u16,
    /// The JSON.
    pub body: Value,
}

/// The three witnesses.
#[derive(Clone, Debug, Default)]
pub struct Witnesses {
    /// T.
    pub ledgers: Vec<Ledger>,
    /// J.
    pub payments: Vec<Payment>,
    /// W.
    pub told: Vec<Told>,
}

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which, such as `I1`.
    pub invariant: &'static str,
    /// What was seen.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.message)
    }
}

/// More payments than any run makes.
const EVERYTHING: usize = 100_000_000;

/// Reads all payments of a journal.
pub async fn payments(journal: &dyn Journal) -> Result<Vec<Payment>, JournalError> {
    journal.search(Filter { limit: EVERYTHING, ..Filter::default() }).await
}

/// Everything that is violated, once nothing runs any more.
pub fn violations(witnesses: &Witnesses) -> Vec<Violation> {
    let mut found = pairing::check(witnesses);
    found.extend(told_truly(witnesses));
    found.extend(nothing_open(&witnesses.payments));
    found.extend(sums::check(witnesses));
    found
}

/// I6: recovering a journal that was recovered changes nothing.
pub async fn recovers_once(journal: &dyn Journal) -> Result<Vec<Violation>, JournalError> {
    let before = dump(journal).await?;
    journal.recover().await?;
    let after = dump(journal).await?;
    Ok(if before == after { Vec::new() } else { vec![violation("I6", "a second recovery changed the journal")] })
}

async fn dump(journal: &dyn Journal) -> Result<String, JournalError> {
    let mut text = String::new();
    for payment in payments(journal).await? {
        text.push_str(&format!("{:?}\n", journal.history(payment.id).await?));
    }
    Ok(text)
}

fn violation(invariant: &'static str, message: impl Into<String>) -> Violation {
    Violation { invariant, message: message.into() }
}

/// I4.
fn nothing_open(payments: &[Payment]) -> Vec<Violation> {
    let open = payments.iter().filter(|payment| matches!(payment.state, State::Received | State::Dispatched));
    open.map(|payment| violation("I4", format!("payment {} is still {}", payment.id, payment.state))).collect()
}

/// I3 and I7.
fn told_truly(witnesses: &Witnesses) -> Vec<Violation> {
    let by_id: HashMap<PaymentId, &Payment> = witnesses.payments.iter().map(|payment| (payment.id, payment)).collect();
    let pairing = Pairing::of(witnesses);
    witnesses.told.iter().filter_map(|told| one_told_truly(told, &by_id, &pairing)).collect()
}

fn one_told_truly(told: &Told, by_id: &HashMap<PaymentId, &Payment>, pairing: &Pairing<'_>) -> Option<Violation> {
    let id = told.body["payment"]["id"].as_str()?;
    let payment = match id.parse().ok().and_then(|id: PaymentId| by_id.get(&id)) {
        Some(payment) => *payment,
        None => return Some(violation("I7", format!("payment {id} was told of and is not in the journal"))),
    };
    let word = told.body["status"].as_str().unwrap_or_default();
    let code = told.body["code"].as_str().unwrap_or_default();
    let paid = (200..300).contains(&told.status);
    if paid != (word == "success") {
        return Some(violation("I3", format!("payment {id} was answered {} with status {word:?}", told.status)));
    }
    if paid {
        return told_paid(told, payment, pairing);
    }
    let not_paid = matches!(word, "declined" | "cancelled") || says_no_money_moved(code);
    (not_paid && payment.state == State::Approved)
        .then(|| violation("I3", format!("payment {id} was told as {word} ({code}) and is approved")))
}

fn told_paid(told: &Told, payment: &Payment, pairing: &Pairing<'_>) -> Option<Violation> {
    let id = payment.id;
    let minor = told.body["payment"]["result"]["amount_minor"].as_u64();
    if payment.state != State::Approved || approved_amount(payment).map(|amount| amount.minor()) != minor {
        return Some(violation("I3", format!("payment {id} was told as paid ({minor:?}) and is {}", payment.state)));
    }
    if !pairing.is_booked(id) {
        return Some(violation("I3", format!("payment {id} was told as paid and no terminal has it")));
    }
    None
}

/// Codes that tell the till that nothing was paid.
fn says_no_money_moved(code: &str) -> bool {
    let codes = [
        Code::TerminalUnreachable,
        Code::TerminalRefused,
        Code::TerminalBusy,
        Code::Unsupported,
        Code::WrongCurrency,
        Code::PartialRefused,
        Code::TooOld,
        Code::ShuttingDown,
    ];
    codes.iter().any(|known| known.name() == code)
}

/// I5: the dispatch was written down before the booking.
fn dispatched_before(payment: &Payment, entry: &LedgerEntry) -> bool {
    let booked_before_end_of = UNIX_EPOCH + Duration::from_millis(entry.at_unix_ms + 1);
    payment.dispatched_at.is_some_and(|dispatched| dispatched < booked_before_end_of)
}

#[cfg(test)]
mod tests;
