//! Which booking belongs to which payment: I1, I2 and I5.

use std::collections::HashMap;

use tillswitch_core::ledger::{LedgerEntry, standing};
use tillswitch_core::{Operation, Outcome, PaymentId};

use super::{Violation, Witnesses, dispatched_before, violation};
use crate::journal::{Payment, State, Verdict};

/// The standing bookings, each with the payment that explains it.
pub(super) struct Pairing<'a> {
    /// Bookings by payment; more than one is a double charge.
    booked: HashMap<PaymentId, Vec<&'a LedgerEntry>>,
    unexplained: Vec<(&'a str, &'a LedgerEntry)>,
    /// Approved sales that a reversal took back, or may have taken back.
    taken_back: Vec<PaymentId>,
}

impl<'a> Pairing<'a> {
    /// Pairs by receipt number first, then gives what is left to payments in doubt of the same terminal, operation and
    /// amount.
    pub fn of(witnesses: &'a Witnesses) -> Pairing<'a> {
        let mut pairing =
            Pairing { booked: HashMap::new(), unexplained: Vec::new(), taken_back: taken_back(&witnesses.payments) };
        for ledger in &witnesses.ledgers {
            for entry in standing(&ledger.entries) {
                pairing.place(&ledger.terminal, entry, &witnesses.payments);
            }
        }
        pairing
    }

    /// Whether a terminal has this payment (or had it, until a reversal took it back or may have).
    pub fn is_booked(&self, id: PaymentId) -> bool {
        self.booked.contains_key(&id) || self.taken_back.contains(&id)
    }

    fn place(&mut self, terminal: &'a str, entry: &'a LedgerEntry, payments: &[Payment]) {
        let own = || payments.iter().filter(|payment| payment.terminal.name == terminal);
        let exact = own().find(|payment| is_receipt_of(payment, entry));
        let open = || own().filter(|payment| may_be(payment, entry) && !self.booked.contains_key(&payment.id));
        // Of several in doubt it is one that was dispatched by then, if any was: what a later one did proves nothing.
        let guess = || open().find(|payment| dispatched_before(payment, entry)).or_else(|| open().next());
        match exact.or_else(guess) {
            Some(payment) => self.booked.entry(payment.id).or_default().push(entry),
            None => self.unexplained.push((terminal, entry)),
        }
    }
}

/// I1, I2 and I5, and that every approved payment is booked.
pub(super) fn check(witnesses: &Witnesses) -> Vec<Violation> {
    let pairing = Pairing::of(witnesses);
    let mut found = Vec::new();
    for (terminal, entry) in &pairing.unexplained {
        found.push(violation("I2", format!("terminal {terminal} booked {entry:?} and no payment explains it")));
    }
    for payment in &witnesses.payments {
        let booked = pairing.booked.get(&payment.id).map_or(&[][..], Vec::as_slice);
        if booked.len() > 1 {
            found
                .push(violation("I1", format!("payment {} was booked {} times: {booked:?}", payment.id, booked.len())));
        }
        if payment.state == State::Approved
            && payment.operation != Operation::Reversal
            && !pairing.is_booked(payment.id)
        {
            found.push(violation("I3", format!("payment {} is approved and no terminal has it", payment.id)));
        }
        if booked.iter().any(|entry| !dispatched_before(payment, entry)) {
            found.push(violation("I5", format!("payment {} was booked before it was dispatched on disk", payment.id)));
        }
    }
    found
}

fn taken_back(payments: &[Payment]) -> Vec<PaymentId> {
    let may_stand = |state| matches!(state, State::Approved | State::InDoubt | State::Dispatched);
    let reversals =
        payments.iter().filter(|payment| payment.operation == Operation::Reversal && may_stand(payment.state));
    reversals.filter_map(|payment| payment.original).collect()
}

fn is_receipt_of(payment: &Payment, entry: &LedgerEntry) -> bool {
    let Some(Verdict::Said { outcome: Outcome::Approved(approval) }) = &payment.verdict else { return false };
    payment.operation == entry.operation
        && approval.amount == entry.amount
        && approval.details.receipt_number.as_deref() == Some(entry.receipt_number.as_str())
        && approval.details.terminal_id.as_deref().is_none_or(|id| id == entry.terminal_id)
}

/// A payment in doubt may be this booking. One that was approved without a receipt number is taken by its amount.
fn may_be(payment: &Payment, entry: &LedgerEntry) -> bool {
    let open = match &payment.verdict {
        Some(Verdict::Said { outcome: Outcome::Approved(approval) }) => {
            approval.details.receipt_number.is_none() && approval.amount == entry.amount
        }
        _ => {
            matches!(payment.state, State::InDoubt | State::Dispatched)
                && payment.amount.currency() == entry.amount.currency()
        }
    };
    open && payment.operation == entry.operation
        && (payment.amount == entry.amount || payment.state != State::Approved && payment.accept_partial)
}
