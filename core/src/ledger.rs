//! What a simulated terminal booked: the truth that journals and answers are compared with.
//!
//! One JSON object per line. The simulator appends a line and flushes it to disk **before** it reports the result, so that
//! the file survives whatever happens to the other side.

use serde::{Deserialize, Serialize};

use crate::money::Money;
use crate::payment::Operation;

/// One line of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// What happened.
    pub event: LedgerEvent,
    /// Which way the money went.
    pub operation: Operation,
    /// How much.
    #[serde(flatten)]
    pub amount: Money,
    /// The terminal's number for the booking. A `reversed` line has that of the booking it takes back.
    pub receipt_number: String,
    /// Which terminal.
    pub terminal_id: String,
    /// Milliseconds since 1970.
    pub at_unix_ms: u64,
    /// The payment's own id, where the terminal's protocol carries one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<String>,
}

/// What happened to the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerEvent {
    /// It moved.
    Booked,
    /// The terminal took that booking back by itself (an unacknowledged or refused result, or a reversal 06 30).
    Reversed,
}

impl LedgerEntry {
    /// The line to append, with its line end.
    pub fn to_line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("a ledger entry has only text keys");
        line.push('\n');
        line
    }

    /// Reads a ledger. A torn last line is an error: the simulators flush whole lines.
    pub fn parse_all(text: &str) -> Result<Vec<LedgerEntry>, serde_json::Error> {
        text.lines().map(serde_json::from_str).collect()
    }
}

/// The bookings that still stand: booked and not taken back.
pub fn standing(entries: &[LedgerEntry]) -> Vec<&LedgerEntry> {
    let reversed = |entry: &LedgerEntry, later: &[LedgerEntry]| {
        later.iter().any(|other| {
            other.event == LedgerEvent::Reversed
                && other.receipt_number == entry.receipt_number
                && other.terminal_id == entry.terminal_id
        })
    };
    let booked = entries.iter().enumerate().filter(|(_, entry)| entry.event == LedgerEvent::Booked);
    booked.filter(|(place, entry)| !reversed(entry, &entries[place + 1..])).map(|(_, entry)| entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn entry(event: LedgerEvent, receipt: &str) -> LedgerEntry {
        LedgerEntry {
            event,
            operation: Operation::Sale,
            amount: Money::from_minor(2590, Currency::EUR),
            receipt_number: receipt.into(),
            terminal_id: "29001612".into(),
            at_unix_ms: 1,
            payment_id: None,
        }
    }

    #[test]
    fn a_line_survives_its_text() {
        let line = entry(LedgerEvent::Booked, "0042").to_line();
        assert!(line.contains(r#""amount_minor":2590,"currency":"EUR""#), "{line}");
        assert_eq!(LedgerEntry::parse_all(&line).unwrap(), [entry(LedgerEvent::Booked, "0042")]);
    }

    #[test]
    fn what_was_taken_back_does_not_stand() {
        let all = [
            entry(LedgerEvent::Booked, "0001"),
            entry(LedgerEvent::Reversed, "0001"),
            entry(LedgerEvent::Booked, "0002"),
            entry(LedgerEvent::Booked, "0001"),
        ];
        let receipts: Vec<&str> = standing(&all).iter().map(|entry| entry.receipt_number.as_str()).collect();
        assert_eq!(receipts, ["0002", "0001"]);
    }
}
