//! Which payments are in doubt, and since when.

use std::collections::BTreeMap;
use std::time::SystemTime;

use tillswitch_core::PaymentId;

use super::series::Place;
use crate::journal::Payment;

/// The payments in doubt. Kept by identity, so that none counts twice.
#[derive(Debug, Default)]
pub(super) struct Doubts(BTreeMap<PaymentId, (Place, SystemTime)>);

impl Doubts {
    pub(super) fn add(&mut self, payment: &Payment) {
        let place = (payment.register.clone(), payment.terminal.name.clone());
        self.0.insert(payment.id, (place, payment.received_at));
    }

    pub(super) fn remove(&mut self, id: PaymentId) {
        self.0.remove(&id);
    }

    /// The place of each of them.
    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        self.0.values().map(|(place, _)| place)
    }

    /// When the oldest was received.
    pub(super) fn oldest(&self) -> Option<SystemTime> {
        self.0.values().map(|(_, received)| *received).min()
    }
}
