//! What a PT said about a payment that nobody waits for, and which payment it can be.

use std::collections::VecDeque;
use std::time::Duration;

use tillswitch_core::{Approval, Currency, Details, LineWatch, Money, Operation, Outcome, PaymentId, PaymentRequest};
use tokio::time::timeout;

use crate::charset::Charset;
use crate::conversation::Audience;
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

/// How many payments are kept in mind; an older one has been settled or forgotten.
const MOST_SUSPECTS: usize = 16;

/// The payments that can be told about late, and what was told.
#[derive(Default)]
pub(crate) struct LateResults {
    /// The latest last.
    suspects: VecDeque<Suspect>,
    /// How many results have come that nobody waited for.
    count: usize,
}

/// A payment that this driver has made or looked into.
pub(crate) struct Suspect {
    id: PaymentId,
    amount: Money,
    operation: Operation,
    /// The trace number of what a reversal undoes.
    original_trace: Option<String>,
    terminal_id: Option<String>,
    /// The receipt number that it has got or must have got.
    receipt: String,
}

impl LateResults {
    /// Keeps a payment in mind. One that is known already is now the latest.
    pub fn suspect(&mut self, suspect: Option<Suspect>) {
        let Some(suspect) = suspect else { return };
        self.suspects.retain(|known| known.id != suspect.id);
        self.suspects.push_back(suspect);
        if self.suspects.len() > MOST_SUSPECTS {
            self.suspects.pop_front();
        }
    }

    /// How many have come. Whoever compares this with an earlier time sees whether one came in between.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Has it kept as an incident. The PT waits for its answer meanwhile, so not for longer than `limit`.
    pub async fn file(&mut self, late: &Late, audience: &mut Audience<'_>, watch: &LineWatch, limit: Duration) {
        self.count += 1;
        let earlier = self.named_by(late);
        tracing::warn!("the terminal reported a payment that nobody waits for: {}", late.said.name());
        match timeout(limit, audience.late(earlier, &late.said, watch)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("an incident is lost: {error}"),
            Err(_) => tracing::error!("an incident may be lost: the journal is too slow"),
        }
    }

    /// Of two payments that it can be, the later one: the earlier one has had its answer.
    fn named_by(&self, late: &Late) -> Option<PaymentId> {
        self.suspects.iter().rev().find(|suspect| suspect.is_named_by(late)).map(|suspect| suspect.id)
    }
}

impl Suspect {
    /// A payment without an approval. `None`: nothing is remembered by which it could be known again.
    pub fn new(request: &PaymentRequest, remembered: &Remembered) -> Option<Suspect> {
        let receipt = next_receipt(remembered.previous.receipt.as_deref()?)?;
        Some(Suspect::with(request, request.amount, remembered.terminal_id.clone(), receipt))
    }

    /// A payment that was approved: what it got is known.
    pub fn approved(request: &PaymentRequest, approval: &Approval) -> Option<Suspect> {
        let Details { terminal_id, receipt_number, .. } = &approval.details;
        Some(Suspect::with(request, approval.amount, terminal_id.clone(), receipt_number.clone()?))
    }

    fn with(request: &PaymentRequest, amount: Money, terminal_id: Option<String>, receipt: String) -> Suspect {
        let original = request.original.as_ref();
        let original_trace = original.and_then(|original| original.approval.details.trace_number.clone());
        Suspect { id: request.id, amount, operation: request.operation, original_trace, terminal_id, receipt }
    }

    /// Whether it can be the one that is told about.
    fn is_named_by(&self, late: &Late) -> bool {
        let Outcome::Approved(Approval { amount, details }) = &late.said else {
            return false;
        };
        let is_here = details.terminal_id.is_none() || details.terminal_id == self.terminal_id;
        let fits = *amount == self.amount && details.receipt_number.as_ref() == Some(&self.receipt) && is_here;
        fits && is_of(self.operation, self.original_trace.as_ref(), late.original_trace.as_ref())
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

    fn suspect(previous: &str) -> Suspect {
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
        let previous = Learnt { receipt: Some(previous.into()), trace: None, time: None, how: How::Answer };
        let remembered = Remembered { terminal_id: Some("29001612".into()), previous, clock_difference: None };
        Suspect::new(&request, &remembered).unwrap()
    }

    fn late(result: u8, minor: u64, receipt: &str, terminal: &str, original_trace: Option<&str>) -> Late {
        let fields = Fields::new().with_result_code(result).unwrap().with_amount(minor).unwrap();
        let fields = fields.with_receipt_number(receipt).unwrap().with_terminal_id(terminal).unwrap();
        let fields = match original_trace {
            Some(trace) => fields.with_original_trace_number(trace).unwrap(),
            None => fields,
        };
        Late::new(&fields, Currency::EUR, Charset::Cp437)
    }

    #[test]
    fn a_payment_is_named_only_when_everything_fits() {
        let named = |late: Late| suspect("0041").is_named_by(&late);
        assert!(named(late(0, 2590, "0042", "29001612", None)));
        assert!(!named(late(5, 2590, "0042", "29001612", None)));
        assert!(!named(late(0, 2591, "0042", "29001612", None)));
        assert!(!named(late(0, 2590, "0041", "29001612", None)));
        assert!(!named(late(0, 2590, "0043", "29001612", None)));
        assert!(!named(late(0, 2590, "0042", "11112222", None)));
        assert!(!named(late(0, 2590, "0042", "29001612", Some("000086"))));
    }

    #[test]
    fn of_two_payments_the_later_one_is_named_and_not_all_are_kept_in_mind() {
        let told = late(0, 2590, "0042", "29001612", None);
        let (first, second, third) = (suspect("0041"), suspect("0042"), suspect("0041"));
        let (first_id, third_id) = (first.id, third.id);
        let mut results = LateResults::default();
        results.suspect(Some(first));
        results.suspect(Some(second));
        assert_eq!(results.named_by(&told), Some(first_id));
        results.suspect(Some(third));
        assert_eq!(results.named_by(&told), Some(third_id));
        (0..MOST_SUSPECTS).for_each(|_| results.suspect(Some(suspect("0099"))));
        assert_eq!(results.named_by(&told), None);
        assert_eq!(results.suspects.len(), MOST_SUSPECTS);
    }
}
