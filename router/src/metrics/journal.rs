//! What is counted of the journal.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};

use super::figures::Level;
use super::table::{
    JOURNAL_APPEND, JOURNAL_ERRORS, JOURNAL_FREE, JOURNAL_FSYNC, JOURNAL_READ_ONLY, JOURNAL_RECORDS, JOURNAL_SIZE,
};

/// The journal's handles. Cheap to clone.
#[derive(Clone)]
pub struct JournalMetrics {
    append: Histogram,
    fsync: Histogram,
    errors: [Counter; Op::ALL.len()],
    read_only: Gauge,
    size: Gauge,
    free: Gauge,
    records: Gauge,
    /// Written together with the terminals' queues, which is why the exporter does not keep them.
    pub(super) waiting: Arc<Level>,
    pub(super) queue: Arc<Level>,
}

/// What the journal could not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Something was to be written and is not.
    Write,
    /// A commit did not reach the disk.
    Fsync,
    /// Something was to be read.
    Read,
}

impl Op {
    /// Each of them.
    pub const ALL: [Op; 3] = [Op::Write, Op::Fsync, Op::Read];

    /// The word in the label.
    pub fn name(self) -> &'static str {
        match self {
            Op::Write => "write",
            Op::Fsync => "fsync",
            Op::Read => "read",
        }
    }
}

impl JournalMetrics {
    pub(super) fn create() -> JournalMetrics {
        JournalMetrics {
            append: JOURNAL_APPEND.histogram(&[]),
            fsync: JOURNAL_FSYNC.histogram(&[]),
            errors: Op::ALL.map(|op| JOURNAL_ERRORS.counter(&[op.name()])),
            read_only: JOURNAL_READ_ONLY.gauge(&[]),
            size: JOURNAL_SIZE.gauge(&[]),
            free: JOURNAL_FREE.gauge(&[]),
            records: JOURNAL_RECORDS.gauge(&[]),
            waiting: Arc::default(),
            queue: Arc::default(),
        }
    }

    /// Something was written, which took so long.
    pub fn appended(&self, took: Duration) {
        self.append.record(took.as_secs_f64());
    }

    /// A commit reached the disk, which took so long.
    pub fn synced(&self, took: Duration) {
        self.fsync.record(took.as_secs_f64());
    }

    /// Something failed.
    pub fn failed(&self, op: Op) {
        self.errors[op as usize].increment(1);
    }

    /// Whether it takes no writes.
    pub fn read_only(&self, read_only: bool) {
        self.read_only.set(f64::from(u8::from(read_only)));
    }

    /// Bytes that it takes, and bytes that are left beside it.
    pub fn room(&self, taken: u64, free: u64) {
        self.size.set(taken as f64);
        self.free.set(free as f64);
    }

    /// Payments came (or went).
    pub fn records(&self, more: i64) {
        self.records.increment(more as f64);
    }

    /// How many writes may wait.
    pub fn capacity(&self, writes: usize) {
        self.queue.set(writes as f64);
    }

    /// A write waits from now on.
    pub fn enter(&self) {
        self.waiting.add(1.0);
    }

    /// It waits no more.
    pub fn leave(&self) {
        self.waiting.add(-1.0);
    }
}
