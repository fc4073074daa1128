//! How a posted payment is read, exactly.

use serde::Deserialize;
use serde_json::value::RawValue;
use tillswitch_core::{Currency, Money, Operation};

#[derive(Deserialize)]
struct Body {
    amount: Box<RawValue>,
    currency: String,
    #[serde(rename = "type")]
    operation: String,
}

/// What somebody wants moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Payment {
    pub operation: Operation,
    pub amount: Money,
}

impl Payment {
    /// Reads a body, or says what is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Payment, String> {
        let body: Body = serde_json::from_slice(body).map_err(|error| format!("this is not a payment: {error}"))?;
        let currency: Currency = body.currency.parse().map_err(|error| format!("{error}"))?;
        let amount = Money::parse(body.amount.get(), currency).map_err(|error| error.to_string())?;
        let operation = match body.operation.as_str() {
            "sale" => Operation::Sale,
            "refund" => Operation::Refund,
            other => return Err(format!("unknown type {other:?}, expected sale or refund")),
        };
        Ok(Payment { operation, amount })
    }

    /// Half of it, and at least something.
    pub fn less(self) -> Money {
        Money::from_minor((self.amount.minor() / 2).max(1), self.amount.currency())
    }

    /// With a tip of a tenth.
    pub fn more(self) -> Money {
        let tip = (self.amount.minor() / 10).max(1);
        Money::from_minor(self.amount.minor().saturating_add(tip), self.amount.currency())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly() {
        let body = br#"{"amount": 90071992547409.93, "currency": "EUR", "type": "sale"}"#;
        assert_eq!(Payment::parse(body).unwrap().amount.minor(), 9_007_199_254_740_993);
    }

    #[test]
    fn what_is_no_payment_is_refused() {
        for body in [
            "",
            "[]",
            r#"{"amount": 25.905, "currency": "EUR", "type": "sale"}"#,
            r#"{"amount": "25.90", "currency": "EUR", "type": "sale"}"#,
            r#"{"amount": 25.90, "currency": "Euro", "type": "sale"}"#,
            r#"{"amount": 25.90, "currency": "EUR", "type": "reversal"}"#,
            r#"{"amount": 0, "currency": "EUR", "type": "sale"}"#,
        ] {
            assert!(Payment::parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
