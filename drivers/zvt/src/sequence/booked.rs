//! What a 04 0F with 27 00 says about the amount.

use tillswitch_core::{Approval, Money};

use super::Payment;
use crate::bmp::tag;
use crate::fields::Fields;
use crate::messages;

/// What a 04 0F with 27 00 says about the amount.
// It lives for a moment: a box would save nothing.
#[allow(clippy::large_enum_variant)]
pub(super) enum Booked {
    /// It carries the numbers of the payment before this one.
    Before,
    Enough(Approval),
    Less,
    Unclear(&'static str),
}

impl Payment {
    pub(super) fn booked(&self, fields: &Fields) -> Booked {
        if self.asked.previous.as_ref().is_some_and(|previous| previous.is_told_by(fields)) {
            return Booked::Before;
        }
        let asked = self.asked.amount;
        if fields.currency().is_some_and(|currency| currency != asked.currency().numeric()) {
            return Booked::Unclear("the terminal booked in another currency");
        }
        let told = fields.all().iter().any(|field| field.tag == tag::AMOUNT);
        let amount = match fields.amount_minor() {
            Some(minor) => Money::from_minor(minor, asked.currency()),
            None if told => return Booked::Unclear("the terminal's amount cannot be read"),
            None if !fields.undecoded().is_empty() => return Booked::Unclear("the terminal's result cannot be read"),
            None => asked,
        };
        if amount.minor() < asked.minor() && !self.asked.accept_partial {
            return Booked::Less;
        }
        let mut approval = messages::approval(amount, fields, self.asked.charset);
        approval.details.terminal_id = approval.details.terminal_id.or_else(|| self.asked.terminal_id.clone());
        Booked::Enough(approval)
    }
}
