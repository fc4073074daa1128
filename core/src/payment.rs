//! What somebody asked a terminal to do.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::driver::Notes;
use crate::money::Money;
use crate::outcome::Approval;

/// The identity of a payment: a UUID version 7 (RFC 9562), so that newer payments sort behind older ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PaymentId(uuid::Uuid);

impl PaymentId {
    /// A new identity, of now.
    pub fn generate() -> PaymentId {
        PaymentId(uuid::Uuid::now_v7())
    }

    /// The sixteen bytes of the UUID.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// The text is no payment's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAPaymentId;

impl fmt::Display for NotAPaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a payment's id, expected a UUID such as 01900000-0000-7000-8000-000000000000")
    }
}

impl std::error::Error for NotAPaymentId {}

impl FromStr for PaymentId {
    type Err = NotAPaymentId;

    fn from_str(text: &str) -> Result<PaymentId, NotAPaymentId> {
        uuid::Uuid::try_parse(text).map(PaymentId).map_err(|_| NotAPaymentId)
    }
}

/// Which way the money goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// The customer pays.
    Sale,
    /// The customer gets money back, in a booking of its own.
    Refund,
    /// An earlier booking is undone.
    Reversal,
}

impl Operation {
    /// Every operation, in the order in which they are listed everywhere.
    pub const ALL: [Operation; 3] = [Operation::Sale, Operation::Refund, Operation::Reversal];

    /// The word that users and programs see.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Sale => "sale",
            Operation::Refund => "refund",
            Operation::Reversal => "reversal",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Operation {
    type Err = String;

    fn from_str(text: &str) -> Result<Operation, String> {
        let known = Operation::ALL.into_iter().find(|operation| operation.name() == text);
        known.ok_or_else(|| format!("unknown operation {text:?}, expected one of: sale, refund, reversal"))
    }
}

/// The document that a payment belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its number, as text.
    pub number: String,
    /// What it is, such as `invoice` or `credit_note`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// The payment that a refund or a reversal undoes.
#[derive(Clone, Debug, PartialEq)]
pub struct Original {
    /// Its identity.
    pub id: PaymentId,
    /// What the terminal said when it approved.
    pub approval: Approval,
    /// What its driver remembered.
    pub notes: Notes,
}

/// One journalled request to move money.
#[derive(Clone, Debug, PartialEq)]
pub struct PaymentRequest {
    /// Its identity, unique for ever; fit as an idempotency key.
    pub id: PaymentId,
    /// Which way the money goes.
    pub operation: Operation,
    /// How much; never zero.
    pub amount: Money,
    /// The register that asked, as named in the configuration.
    pub register: String,
    /// The document that is paid.
    pub document: Option<Document>,
    /// Whether an approval of less than [`amount`](Self::amount) may stand. If not, the driver refuses it at the terminal
    /// where the protocol can.
    pub accept_partial: bool,
    /// What a refund or a reversal undoes. A reversal always has one.
    pub original: Option<Original>,
    /// When the request was received.
    pub received_at: SystemTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_its_text() {
        let id = PaymentId::generate();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("0199".parse::<PaymentId>(), Err(NotAPaymentId));
    }

    #[test]
    fn newer_identities_sort_behind_older_ones() {
        let ids: Vec<PaymentId> = (0..100).map(|_| PaymentId::generate()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn operations_survive_their_names() {
        for operation in Operation::ALL {
            assert_eq!(operation.name().parse(), Ok(operation));
        }
        assert!("gift".parse::<Operation>().is_err());
    }
}
