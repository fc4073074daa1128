//! What must hold on a simulated day besides what the oracle compares: promises about repeats and refunds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tillswitch::answer::approved_amount;
use tillswitch::config::Repeat;
use tillswitch::journal::{Journal, Payment, State};
use tillswitch_core::Operation;

/// How long a second press is refused, less the moments between a till and the journal.
const WINDOW: Duration = Duration::from_secs(590);

/// One event is at most one payment that was paid: which payments each event was told of as paid.
pub fn one_event_one_payment(told: &BTreeMap<String, BTreeSet<String>>) -> impl Iterator<Item = String> {
    let twice = told.iter().filter(|(_, payments)| payments.len() > 1);
    twice.map(|(event, payments)| format!("R1: one event was paid {} times: {event}", payments.len()))
}

/// A document that a till sends again within the window is not paid again.
pub async fn no_second_charge(journal: &dyn Journal, payments: &[Payment], repeat: Repeat) -> Vec<String> {
    let mut paid = Vec::new();
    for payment in payments.iter().filter(|payment| payment.state == State::Approved && payment.document.is_some()) {
        let history = journal.history(payment.id).await.ok().flatten();
        // A person may confirm that it is another one.
        if history.is_some_and(|history| history.transitions[0].actor == "webhook") {
            paid.push(payment);
        }
    }
    paid.sort_by_key(|payment| (payment.received_at, payment.id));
    let mut found = Vec::new();
    for (place, second) in paid.iter().enumerate() {
        let first = paid[..place].iter().find(|first| is_second_charge(first, second, repeat));
        found.extend(first.map(|first| format!("R2: payment {} was paid again as {}", first.id, second.id)));
    }
    found
}

fn is_second_charge(first: &Payment, second: &Payment, repeat: Repeat) -> bool {
    let same = first.document == second.document
        && first.operation == second.operation
        && first.amount == second.amount
        && (repeat == Repeat::Refuse || first.register != second.register);
    let Some(ended) = first.finished_at else { return false };
    same && second.received_at < ended + WINDOW
}

/// No more goes back than was paid.
pub fn no_over_refund(payments: &[Payment]) -> impl Iterator<Item = String> {
    let sales = payments.iter().filter(|payment| payment.operation == Operation::Sale);
    sales.filter_map(|sale| {
        let paid = approved_amount(sale)?.minor();
        let linked = payments.iter().filter(|payment| payment.original == Some(sale.id));
        let back: u64 = linked.filter_map(approved_amount).map(|amount| amount.minor()).sum();
        (back > paid).then(|| format!("R3: {back} minor units went back of {paid} of payment {}", sale.id))
    })
}
