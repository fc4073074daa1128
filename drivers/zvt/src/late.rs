//! What a PT said about a payment that nobody waits for, and which payment it can be.

use tillswitch_core::{Approval, Currency, Details, Money, Operation, Outcome, PaymentId, PaymentRequest};

use crate::charset::Charset;
use crate::fields::Fields;
use crate::learnt::{Remembered, next_receipt};
use crate::messages;

/// A 04 0F that does not belong to the command of now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Late {
    pub said: Outcome,
    /// Of the payment that was reversed; only reversals have one.
    original_trace: Option<String>,
}

impl Late {
    pub fn new(fields: &Fields, currency: Currency, charset: Charset) -> Late {
        let said = match fields.result_code() {
            Some(0) => {
                let amount = Money::from_minor(fields.amount_minor().unwrap_or_default(), currency);
                Outcome::Approved(messages::approval(amount, fields, charset))
            }
            Some(code) => messages::refusal(code, fields, charset),
            None => Outcome::Declined(Details::new("", "the terminal reported something without a result")),
        };
        Late { said, original_trace: fields.original_trace_number() }
    }
}

/// The payment in doubt that is being looked into: the most likely one to be told about late.
pub(crate) struct Suspect {
    id: PaymentId,
    amount: Money,
    operation: Operation,
    /// The trace number of what a reversal undoes.
    original_trace: Option<String>,
    terminal_id: Option<String>,
    /// The receipt number that it must have got.
    receipt: String,
}

/// What is looked for while a payment in doubt is looked into.
#[derive(Default)]
pub(crate) struct Watch {
    pub suspect: Option<Suspect>,
    /// A result came meanwhile and was sent back, so the PT may be about to take it back.
    pub disturbed: bool,
}

impl Suspect {
    /// `None`: nothing is remembered by which it could be known again.
    pub fn new(request: &PaymentRequest, remembered: &Remembered) -> Option<Suspect> {
        let original = request.original.as_ref();
        Some(Suspect {
            id: request.id,
            amount: request.amount,
            operation: request.operation,
            original_trace: original.and_then(|original| original.approval.details.trace_number.clone()),
            terminal_id: remembered.terminal_id.clone(),
            receipt: next_receipt(remembered.previous.receipt.as_deref()?)?,
        })
    }

    /// This payment, if it is the one that is told about.
    pub fn named_by(&self, late: &Late) -> Option<PaymentId> {
        let Outcome::Approved(Approval { amount, details }) = &late.said else {
            return None;
        };
        let is_here = details.terminal_id.is_none() || details.terminal_id == self.terminal_id;
        let fits = *amount == self.amount && details.receipt_number.as_ref() == Some(&self.receipt) && is_here;
        (fits && is_of(self.operation, self.original_trace.as_ref(), late.original_trace.as_ref())).then_some(self.id)
    }
}

/// Only a reversal names the payment that it undoes.
pub(crate) fn is_of(operation: Operation, original_trace: Option<&String>, told: Option<&String>) -> bool {
    match operation {
        Operation::Sale | Operation::Refund => told.is_none(),
        Operation::Reversal => told.is_some() && told == original_trace,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::learnt::{How, Learnt};

    fn suspect() -> Suspect {
        let request = PaymentRequest {
            id: PaymentId::generate(),
            operation: Operation::Sale,
            amount: Money::from_minor(2590, Currency::EUR),
            register: "POS-01".into(),
            document: None,
            accept_partial: false,
            original: None,
            received_at: SystemTime::now(),
        };
        let previous = Learnt { receipt: Some("0041".into()), trace: None, time: None, how: How::Answer };
        let remembered = Remembered { terminal_id: Some("29001612".into()), previous, clock_difference: None };
        Suspect::new(&request, &remembered).unwrap()
    }

    fn is_named(result: u8, minor: u64, receipt: &str, terminal: &str, original_trace: Option<&str>) -> bool {
        let fields = Fields::new().with_result_code(result).unwrap().with_amount(minor).unwrap();
        let fields = fields.with_receipt_number(receipt).unwrap().with_terminal_id(terminal).unwrap();
        let fields = match original_trace {
            Some(trace) => fields.with_original_trace_number(trace).unwrap(),
            None => fields,
        };
        let suspect = suspect();
        suspect.named_by(&Late::new(&fields, Currency::EUR, Charset::Cp437)) == Some(suspect.id)
    }

    #[test]
    fn the_payment_in_doubt_is_named_only_when_everything_fits() {
        assert!(is_named(0, 2590, "0042", "29001612", None));
        assert!(!is_named(5, 2590, "0042", "29001612", None));
        assert!(!is_named(0, 2591, "0042", "29001612", None));
        assert!(!is_named(0, 2590, "0041", "29001612", None));
        assert!(!is_named(0, 2590, "0043", "29001612", None));
        assert!(!is_named(0, 2590, "0042", "11112222", None));
        assert!(!is_named(0, 2590, "0042", "29001612", Some("000086")));
    }
}
