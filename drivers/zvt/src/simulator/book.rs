//! What the terminal has booked: the ledger file, and the numbers that follow from it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use tillswitch_core::ledger::{LedgerEntry, LedgerEvent};
use tillswitch_core::{Money, Operation, wall_clock};

/// The greatest receipt number; 1 follows.
const LAST_RECEIPT: u16 = 9999;
/// The greatest trace number; 1 follows.
const LAST_TRACE: u32 = 999_999;

/// One transaction that moved money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Booking {
    pub operation: Operation,
    pub amount: Money,
    pub terminal_id: String,
    /// Four digits (BMP 87).
    pub receipt: String,
    /// Six digits (BMP 0B).
    pub trace: String,
    /// Of a reversal: receipt and trace number of what it took back.
    pub undone: Option<(String, String)>,
    pub at_unix_ms: u64,
    /// The terminal has taken it back by itself, or a reversal has.
    pub taken_back: bool,
}

/// A line of the file: that of the core, and what this terminal needs to go on after a restart.
#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    entry: LedgerEntry,
    trace_number: String,
    /// The receipt number that a reversal got itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reversal_receipt_number: Option<String>,
}

/// The bookings in their order, in memory and on disk.
pub(super) struct Book {
    path: PathBuf,
    file: File,
    entries: Vec<LedgerEntry>,
    bookings: Vec<Booking>,
    /// Bookings before this place belong to a closed business day and cannot be reversed.
    day_begins_at: usize,
    first_receipt: u16,
    last_trace: u32,
    reuses_numbers: bool,
}

impl Book {
    /// Opens the file and continues where it ends.
    pub fn open(path: &Path, first_receipt: u16, reuses_numbers: bool) -> io::Result<Book> {
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read?,
        };
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let mut book = Book {
            path: path.to_owned(),
            file,
            entries: Vec::new(),
            bookings: Vec::new(),
            day_begins_at: 0,
            first_receipt: first_receipt.clamp(1, LAST_RECEIPT),
            last_trace: 0,
            reuses_numbers,
        };
        text.lines().try_for_each(|line| book.replay(serde_json::from_str(line)?))?;
        Ok(book)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn entries(&self) -> &[LedgerEntry] {
        &self.entries
    }

    /// The last transaction: what 06 20 repeats.
    pub fn last(&self) -> Option<&Booking> {
        self.bookings.last()
    }

    /// The bookings of this business day that stand.
    pub fn standing_today(&self) -> impl Iterator<Item = &Booking> {
        let today = self.bookings[self.day_begins_at..].iter();
        today.filter(|booking| !booking.taken_back && booking.undone.is_none())
    }

    /// The latest transaction of this business day with that receipt number, reversals excepted.
    pub fn find_today(&self, receipt: &str) -> Option<&Booking> {
        let today = self.bookings[self.day_begins_at..].iter().rev();
        today.filter(|booking| booking.undone.is_none()).find(|booking| booking.receipt == receipt)
    }

    pub fn close_day(&mut self) {
        self.day_begins_at = self.bookings.len();
    }

    /// The next trace number. Every transaction takes one, a declined one too.
    pub fn next_trace(&mut self) -> String {
        self.last_trace = self.last_trace % LAST_TRACE + 1;
        format!("{:06}", self.last_trace)
    }

    /// Books a sale or a refund. On disk when this returns.
    pub fn book(&mut self, operation: Operation, amount: Money, terminal_id: &str) -> io::Result<Booking> {
        let booking = Booking {
            operation,
            amount,
            terminal_id: terminal_id.to_owned(),
            receipt: self.next_receipt(),
            trace: self.next_trace(),
            undone: None,
            at_unix_ms: now_unix_ms(),
            taken_back: false,
        };
        self.append(LedgerEvent::Booked, &booking, None)?;
        self.bookings.push(booking.clone());
        Ok(booking)
    }

    /// Books the reversal (06 30) of a transaction. On disk when this returns.
    pub fn reverse(&mut self, undone: &Booking) -> io::Result<Booking> {
        let booking = Booking {
            operation: Operation::Reversal,
            receipt: self.next_receipt(),
            trace: self.next_trace(),
            undone: Some((undone.receipt.clone(), undone.trace.clone())),
            at_unix_ms: now_unix_ms(),
            ..undone.clone()
        };
        let own = Some(booking.receipt.clone());
        let line = Booking { receipt: undone.receipt.clone(), ..booking.clone() };
        self.append(LedgerEvent::Reversed, &line, own)?;
        self.mark_taken_back(&undone.receipt);
        self.bookings.push(booking.clone());
        Ok(booking)
    }

    /// Takes a booking back without being asked to. On disk when this returns.
    pub fn take_back(&mut self, booking: &Booking) -> io::Result<()> {
        let line = Booking { at_unix_ms: now_unix_ms(), ..booking.clone() };
        self.append(LedgerEvent::Reversed, &line, None)?;
        self.forget_or_mark(&booking.receipt);
        Ok(())
    }

    fn next_receipt(&self) -> String {
        let last = self.last().and_then(|booking| booking.receipt.parse::<u16>().ok());
        let next = last.map_or(self.first_receipt, |last| last % LAST_RECEIPT + 1);
        format!("{next:04}")
    }

    fn append(&mut self, event: LedgerEvent, booking: &Booking, own_receipt: Option<String>) -> io::Result<()> {
        let entry = LedgerEntry {
            event,
            operation: booking.operation,
            amount: booking.amount,
            receipt_number: booking.receipt.clone(),
            terminal_id: booking.terminal_id.clone(),
            at_unix_ms: booking.at_unix_ms,
            payment_id: None,
        };
        let line =
            Line { entry: entry.clone(), trace_number: booking.trace.clone(), reversal_receipt_number: own_receipt };
        let mut text = serde_json::to_string(&line)?;
        text.push('\n');
        self.file.write_all(text.as_bytes())?;
        self.file.sync_data()?;
        self.entries.push(entry);
        Ok(())
    }

    /// A number that is used again must belong to the last transaction; something later keeps it in the list.
    fn forget_or_mark(&mut self, receipt: &str) {
        if self.reuses_numbers && self.last().is_some_and(|last| last.receipt == receipt) {
            self.bookings.pop();
            self.day_begins_at = self.day_begins_at.min(self.bookings.len());
        } else {
            self.mark_taken_back(receipt);
        }
    }

    fn mark_taken_back(&mut self, receipt: &str) {
        let mut latest_first = self.bookings.iter_mut().rev().filter(|booking| booking.undone.is_none());
        if let Some(booking) = latest_first.find(|booking| booking.receipt == receipt) {
            booking.taken_back = true;
        }
    }

    fn replay(&mut self, line: Line) -> io::Result<()> {
        let Line { entry, trace_number, reversal_receipt_number } = line;
        self.last_trace = self.last_trace.max(trace_number.parse().unwrap_or(0));
        let original = (entry.receipt_number.clone(), self.trace_of(&entry.receipt_number));
        match (entry.event, reversal_receipt_number) {
            (LedgerEvent::Booked, _) => {
                let receipt = entry.receipt_number.clone();
                self.bookings.push(from_entry(&entry, receipt, trace_number, None));
            }
            (LedgerEvent::Reversed, None) => self.forget_or_mark(&entry.receipt_number),
            (LedgerEvent::Reversed, Some(receipt)) => {
                self.mark_taken_back(&entry.receipt_number);
                self.bookings.push(from_entry(&entry, receipt, trace_number, Some(original)));
            }
        }
        self.entries.push(entry);
        Ok(())
    }

    fn trace_of(&self, receipt: &str) -> String {
        let found = self.bookings.iter().rev().find(|booking| booking.undone.is_none() && booking.receipt == receipt);
        found.map_or_else(|| "000000".to_owned(), |booking| booking.trace.clone())
    }
}

fn from_entry(entry: &LedgerEntry, receipt: String, trace: String, undone: Option<(String, String)>) -> Booking {
    Booking {
        operation: entry.operation,
        amount: entry.amount,
        terminal_id: entry.terminal_id.clone(),
        receipt,
        trace,
        undone,
        at_unix_ms: entry.at_unix_ms,
        taken_back: false,
    }
}

fn now_unix_ms() -> u64 {
    let since = wall_clock::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tillswitch_core::Currency;

    const ID: &str = "29001612";

    fn euros(minor: u64) -> Money {
        Money::from_minor(minor, Currency::EUR)
    }

    /// What 06 20 shows, as `receipt/trace`.
    fn last(book: &Book) -> Option<String> {
        book.last().map(|last| format!("{}/{}", last.receipt, last.trace))
    }

    #[test]
    fn numbers_count_up_and_wrap() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = Book::open(&folder.path().join("ledger"), 9999, true).unwrap();
        assert_eq!(book.next_trace(), "000001");
        assert_eq!(book.book(Operation::Sale, euros(1), ID).unwrap().receipt, "9999");
        let second = book.book(Operation::Refund, euros(1), ID).unwrap();
        assert_eq!((second.receipt.as_str(), second.trace.as_str()), ("0001", "000003"));
    }

    #[test]
    fn a_restart_shows_the_same_last_transaction() {
        for reuses_numbers in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("ledger");
            let open = || Book::open(&path, 42, reuses_numbers).unwrap();
            let mut book = open();
            let sale = book.book(Operation::Sale, euros(100), ID).unwrap();
            let other = book.book(Operation::Sale, euros(200), ID).unwrap();
            book.take_back(&other).unwrap();
            assert_eq!((last(&open()), open().entries().len()), (last(&book), 3));
            let reversal = book.reverse(&sale).unwrap();
            assert_eq!(open().last(), Some(&reversal));
            assert_eq!(open().standing_today().count(), 0);
            assert_eq!(open().next_trace(), "000004");
            assert_eq!(reversal.receipt, if reuses_numbers { "0043" } else { "0044" });
        }
    }

    #[test]
    fn a_torn_line_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        Book::open(&path, 1, true).unwrap().book(Operation::Sale, euros(100), ID).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        LedgerEntry::parse_all(&whole).expect("the core reads these lines");
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(Book::open(&path, 1, true).is_err());
    }
}
