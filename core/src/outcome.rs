//! What a terminal said about the money.

use serde::{Deserialize, Serialize};

use crate::money::Money;

/// What the terminal said: the only three final words it has.
///
/// A refusal is an answer, not an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The money moved.
    Approved(Approval),
    /// The terminal or the bank refused; no money moved.
    Declined(Details),
    /// The customer or the cashier stopped it; no money moved.
    Cancelled(Details),
}

impl Outcome {
    /// The word that users and programs see.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Approved(_) => "approved",
            Outcome::Declined(_) => "declined",
            Outcome::Cancelled(_) => "cancelled",
        }
    }

    /// What the terminal said besides.
    pub fn details(&self) -> &Details {
        match self {
            Outcome::Approved(approval) => &approval.details,
            Outcome::Declined(details) | Outcome::Cancelled(details) => details,
        }
    }
}

/// The terminal booked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// What was booked. It may differ from what was asked: less (a partial approval) or more (a tip).
    #[serde(flatten)]
    pub amount: Money,
    /// What the terminal said besides.
    #[serde(flatten)]
    pub details: Details,
}

/// What a terminal says beside its outcome. Numbers are text: their leading zeros count.
///
/// There is no field for a whole card number, and none may be added.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// The terminal's own result code, such as `00` or `6c`; or a word of ours such as `partial-refused`.
    pub code: String,
    /// A sentence that a cashier understands.
    pub message: String,
    /// The number on the slip, unique until the next end of day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt_number: Option<String>,
    /// The number of the conversation with the bank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_number: Option<String>,
    /// Which terminal booked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminal_id: Option<String>,
    /// The bank's word for an approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_code: Option<String>,
    /// The terminal's own clock, as it said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminal_time: Option<String>,
    /// Which card paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<Card>,
    /// The terminal's whole answer where it is JSON, masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<serde_json::Value>,
}

impl Details {
    /// A code and a sentence, nothing else known.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Details {
        Details { code: code.into(), message: message.into(), ..Details::default() }
    }
}

/// All that is ever kept of a card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Card {
    /// The brand, such as `Debit Mastercard`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// The last four digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last4: Option<String>,
}

/// Whom a slip is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptKind {
    /// For the cardholder.
    Customer,
    /// For the shop's files.
    Merchant,
    /// End of day, diagnosis and the like.
    Administration,
}

impl ReceiptKind {
    /// The word that users and programs see.
    pub fn name(self) -> &'static str {
        match self {
            ReceiptKind::Customer => "customer",
            ReceiptKind::Merchant => "merchant",
            ReceiptKind::Administration => "administration",
        }
    }
}

/// A whole slip as text, lines separated by `\n`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Whom it is for.
    pub kind: ReceiptKind,
    /// Its lines.
    pub text: String,
}

/// What `resolve` found out about a payment in doubt.
// There is one of them per payment in doubt: a box would save nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq)]
pub enum Resolution {
    /// The terminal said what became of it.
    Known(Outcome),
    /// Proof that no money moved.
    NotCharged(Evidence),
    /// The terminal is still at it: ask again.
    InProgress,
    /// The terminal answered and it decides nothing. Ends the automatic asking; a person decides.
    Undecided(Evidence),
}

/// Why a resolution says what it says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// A sentence for the person who reads the payment's history.
    pub message: String,
    /// The booking that might be this payment, when one was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Box<Approval>>,
}

impl Evidence {
    /// A sentence and nothing to show beside it.
    pub fn new(message: impl Into<String>) -> Evidence {
        Evidence { message: message.into(), candidate: None }
    }

    /// The same with the booking that was seen.
    pub fn with_candidate(self, candidate: Approval) -> Evidence {
        Evidence { candidate: Some(Box::new(candidate)), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    #[test]
    fn an_outcome_survives_json() {
        let details = Details { receipt_number: Some("0042".into()), ..Details::new("00", "approved") };
        let outcome = Outcome::Approved(Approval { amount: Money::from_minor(2590, Currency::EUR), details });
        let text = serde_json::to_string(&outcome).unwrap();
        assert_eq!(
            text,
            r#"{"outcome":"approved","amount_minor":2590,"currency":"EUR","code":"00","message":"approved","receipt_number":"0042"}"#
        );
        assert_eq!(serde_json::from_str::<Outcome>(&text).unwrap(), outcome);
    }
}
