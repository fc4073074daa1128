//! The router's side of a command, kept in memory and willing to fail.

use async_trait::async_trait;

use crate::abort::{Abort, AbortHandle};
use crate::driver::{Display, NotStored, Notes, Progress, Session};
use crate::outcome::{Outcome, Receipt};
use crate::payment::PaymentId;

/// A [`Session`] that keeps everything where a test can look at it.
#[derive(Debug, Default)]
pub struct TestSession {
    notes: Notes,
    abort: AbortHandle,
    /// What was shown to the cashier.
    pub shown: Vec<Progress>,
    /// The slips.
    pub receipts: Vec<Receipt>,
    /// What was recorded, in order.
    pub recorded: Vec<Outcome>,
    /// What was said about earlier payments.
    pub late: Vec<(Option<PaymentId>, Outcome)>,
    /// Whether `record` fails.
    pub record_fails: bool,
    /// Whether `remember` fails.
    pub remember_fails: bool,
    /// Ask for an abort as soon as the first progress line was shown.
    pub abort_when_shown: bool,
}

impl TestSession {
    /// One that stores everything.
    pub fn new() -> TestSession {
        TestSession::default()
    }

    /// A later session of the same payment: it has the notes and nothing else.
    pub fn resumed(&self) -> TestSession {
        TestSession { notes: self.notes.clone(), ..TestSession::default() }
    }

    /// What was remembered, for the request that undoes this one.
    pub fn take_notes(self) -> Notes {
        self.notes
    }

    /// Asks the running command to stop.
    pub fn request_abort(&self) {
        self.abort.request();
    }
}

#[async_trait]
impl Display for TestSession {
    fn show(&mut self, progress: Progress) {
        self.shown.push(progress);
        if self.abort_when_shown {
            self.abort.request();
        }
    }

    async fn receipt(&mut self, receipt: Receipt) -> Result<(), NotStored> {
        self.receipts.push(receipt);
        Ok(())
    }

    fn abort(&self) -> Abort {
        self.abort.abort()
    }
}

#[async_trait]
impl Session for TestSession {
    fn notes(&self) -> &Notes {
        &self.notes
    }

    async fn remember(&mut self, key: &str, value: &str) -> Result<(), NotStored> {
        if self.remember_fails {
            return Err(NotStored("told to fail".into()));
        }
        self.notes.insert(key, value);
        Ok(())
    }

    async fn record(&mut self, said: &Outcome) -> Result<(), NotStored> {
        if self.record_fails {
            return Err(NotStored("told to fail".into()));
        }
        self.recorded.push(said.clone());
        Ok(())
    }

    async fn late(&mut self, earlier: Option<PaymentId>, said: &Outcome) -> Result<(), NotStored> {
        self.late.push((earlier, said.clone()));
        Ok(())
    }
}
