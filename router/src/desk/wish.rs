//! What a person asks for.

use sha2::{Digest, Sha256};
use tillswitch_core::{Document, Money, Operation, PaymentId};

use super::Asker;
use crate::journal::{Keys, Payment, State, TerminalKey};

/// A payment that a person wants.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// At this register.
    pub register: String,
    /// Which way the money goes.
    pub operation: Operation,
    /// How much.
    pub amount: Money,
    /// For this document.
    pub document: Option<Document>,
    /// It undoes this payment.
    pub undoes: Option<PaymentId>,
    /// It is started in place of this one.
    pub again_of: Option<PaymentId>,
    /// The terminal that booked what it undoes.
    pub at: Option<TerminalKey>,
    /// It is no second press, the person says.
    pub confirmed: bool,
}

/// What a person says about a payment in doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// `approved`, `declined`, `cancelled` or `failed`.
    pub state: State,
    /// Why, in their words.
    pub reason: String,
    /// The number on the slip; an approval needs one.
    pub receipt_number: Option<String>,
    /// Although the terminal is still being asked.
    pub force: bool,
}

impl Wish {
    /// A refund or a reversal.
    pub fn undo(original: &Payment, operation: Operation, amount: Money, confirmed: bool) -> Wish {
        Wish {
            register: original.register.clone(),
            operation,
            amount,
            document: original.document.clone(),
            undoes: Some(original.id),
            again_of: None,
            at: Some(original.terminal.clone()),
            confirmed,
        }
    }

    /// The same once more.
    pub fn again(first: &Payment, confirmed: bool) -> Wish {
        Wish {
            register: first.register.clone(),
            operation: first.operation,
            amount: first.amount,
            document: first.document.clone(),
            undoes: first.original,
            again_of: Some(first.id),
            at: first.original.map(|_| first.terminal.clone()),
            confirmed,
        }
    }

    /// How the same request is recognised. Whether a repeat was confirmed does not make it another request.
    pub(super) fn keys(&self, asker: Asker) -> Keys {
        let document = self.document.as_ref();
        let mut hash = Sha256::new();
        for field in [
            self.register.as_str(),
            self.operation.name(),
            &self.amount.minor().to_string(),
            self.amount.currency().code(),
            document.map_or("", |document| &document.number),
            document.and_then(|document| document.kind.as_deref()).unwrap_or_default(),
            &self.undoes.map_or(String::new(), |id| id.to_string()),
            &self.again_of.map_or(String::new(), |id| id.to_string()),
        ] {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        let digits: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Keys::Operator {
            name: asker.person.name,
            key: format!("operator:{}", asker.key),
            content: format!("v1:{digits}"),
        }
    }
}
