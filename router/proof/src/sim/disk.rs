//! What goes wrong at the disk under a simulated router's journal?

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tillswitch::journal::Disk;

use super::gate::Gate;
use super::trace::Trace;

/// More than any journal needs.
pub const ROOMY: u64 = 1 << 40;

/// What the next commit comes to.
#[derive(Clone, Copy, Debug)]
pub enum CommitFault {
    /// An error, and nothing was written.
    NotWritten,
    /// An error, and it was written all the same.
    WrittenAllTheSame,
}

/// What the machine has in store for the disk. It outlives the router.
#[derive(Clone)]
pub struct Trouble(Arc<Inner>);

struct Inner {
    next: Mutex<Option<CommitFault>>,
    free: AtomicU64,
    is_slow: AtomicBool,
}

impl Trouble {
    /// None.
    pub fn none() -> Trouble {
        Trouble(Arc::new(Inner { next: Mutex::default(), free: AtomicU64::new(ROOMY), is_slow: AtomicBool::new(true) }))
    }

    /// The next commit fails.
    pub fn fail_next(&self, fault: Option<CommitFault>) {
        *self.0.next.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// So much room is left from now on.
    pub fn set_free(&self, bytes: u64) {
        self.0.free.store(bytes, Ordering::Relaxed);
    }

    /// Whether it takes its time now and then.
    pub fn is_slow(&self) -> bool {
        self.0.is_slow.load(Ordering::Relaxed)
    }

    /// Nothing goes wrong any more.
    pub fn end(&self) {
        self.fail_next(None);
        self.set_free(ROOMY);
        self.0.is_slow.store(false, Ordering::Relaxed);
    }

    fn take(&self) -> Option<CommitFault> {
        self.0.next.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The disk of one run of the router.
pub struct SimulatedDisk {
    pub gate: Gate,
    pub trouble: Trouble,
    pub trace: Trace,
}

impl Disk for SimulatedDisk {
    fn commit(&mut self, commit: &mut dyn FnMut() -> Result<(), String>) -> Result<(), String> {
        self.gate.step("before a commit");
        if self.gate.is_shut() {
            return Err("the router was killed".to_owned());
        }
        match self.trouble.take() {
            Some(CommitFault::NotWritten) => {
                self.trace.count("a commit failed");
                return Err("a simulated error".to_owned());
            }
            Some(CommitFault::WrittenAllTheSame) => {
                self.trace.count("a commit failed and was written");
                commit()?;
                return Err("a simulated error behind the write".to_owned());
            }
            None => commit()?,
        }
        self.gate.step("behind a commit");
        Ok(())
    }

    fn free(&mut self, _folder: &Path) -> io::Result<u64> {
        Ok(self.trouble.0.free.load(Ordering::Relaxed))
    }
}
