//! I8: what a terminal has in its drawer lies between what is approved and what may have been.

use tillswitch_core::Operation;
use tillswitch_core::ledger::{LedgerEntry, LedgerEvent, standing};

use super::{Violation, Witnesses, violation};
use crate::answer::approved_amount;
use crate::journal::{Payment, State};

/// Checks each terminal's sales and refunds.
pub(super) fn check(witnesses: &Witnesses) -> Vec<Violation> {
    let mut found = Vec::new();
    for ledger in &witnesses.ledgers {
        let own: Vec<&Payment> =
            witnesses.payments.iter().filter(|payment| payment.terminal.name == ledger.terminal).collect();
        for operation in [Operation::Sale, Operation::Refund] {
            let (low, high) = bounds(&own, operation);
            let booked = booked(&ledger.entries, operation);
            if booked < low || booked > high {
                let message = format!(
                    "terminal {}: {booked} minor units of {operation} are booked, the journal allows {low} to {high}",
                    ledger.terminal
                );
                found.push(violation("I8", message));
            }
        }
    }
    found
}

fn booked(entries: &[LedgerEntry], operation: Operation) -> i128 {
    let lines = standing(entries).into_iter().filter(|entry| entry.operation == operation);
    lines.filter(|entry| entry.event == LedgerEvent::Booked).map(|entry| i128::from(entry.amount.minor())).sum()
}

fn bounds(payments: &[&Payment], operation: Operation) -> (i128, i128) {
    let sum = |operation: Operation, state: State| -> i128 {
        let of_state = payments.iter().filter(|payment| payment.operation == operation && payment.state == state);
        of_state.map(|payment| i128::from(approved_amount(payment).unwrap_or(payment.amount).minor())).sum()
    };
    let (mut low, mut high) = (sum(operation, State::Approved), 0);
    high += low + sum(operation, State::InDoubt) + sum(operation, State::Dispatched);
    if operation == Operation::Sale {
        // A reversal takes a sale out of the drawer.
        let undone = sum(Operation::Reversal, State::Approved);
        low -= undone + sum(Operation::Reversal, State::InDoubt);
        high -= undone;
    }
    (low, high)
}
