//! Where a simulated terminal books.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use tillswitch_core::ledger::LedgerEntry;

/// An open ledger: the file, and what is in it.
#[derive(Debug)]
pub(super) struct Ledger {
    file: File,
    entries: Vec<LedgerEntry>,
}

impl Ledger {
    /// Opens or begins one.
    pub fn open(path: &Path) -> io::Result<Ledger> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let entries = LedgerEntry::parse_all(&text).map_err(io::Error::other)?;
        Ok(Ledger { file, entries })
    }

    /// Books. When this returns, the line is on the disk.
    pub fn append(&mut self, entry: LedgerEntry) -> io::Result<()> {
        self.file.write_all(entry.to_line().as_bytes())?;
        self.file.sync_data()?;
        self.entries.push(entry);
        Ok(())
    }

    pub fn entries(&self) -> &[LedgerEntry] {
        &self.entries
    }

    /// Receipt numbers have four digits and go on from 0001 after 9999.
    pub fn next_receipt_number(&self) -> String {
        let last = self.entries.last().and_then(|entry| entry.receipt_number.parse::<u32>().ok()).unwrap_or(0);
        format!("{:04}", last % 9999 + 1)
    }
}
