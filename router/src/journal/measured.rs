//! How long the journal takes, what it could not do, and how much it holds: a journal and a disk around another one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tillswitch_core::{Outcome, PaymentId, Receipt};

use super::{
    Admission, Begun, Disk, End, Filter, Forgotten, History, Incident, Journal, JournalError, NewPayment, Payment,
    RealDisk, Recovered,
};
use crate::metrics::{JournalMetrics, Op};

/// A journal that shows in the metrics how it does.
pub struct Measured {
    journal: Arc<dyn Journal>,
    metrics: JournalMetrics,
}

impl Measured {
    /// Measures a journal from now on.
    pub async fn new(journal: Arc<dyn Journal>, metrics: JournalMetrics) -> Result<Measured, JournalError> {
        metrics.records(journal.count().await?.unwrap_or(0) as i64);
        Ok(Measured { journal, metrics })
    }

    async fn write<T>(&self, write: impl Future<Output = Result<T, JournalError>>) -> Result<T, JournalError> {
        let (_waiting, start) = (Waiting::new(&self.metrics), Instant::now());
        let result = write.await;
        match &result {
            Ok(_) => self.metrics.appended(start.elapsed()),
            Err(error) if is_failure(error) => self.metrics.failed(Op::Write),
            Err(_) => {}
        }
        result
    }

    async fn read<T>(&self, read: impl Future<Output = Result<T, JournalError>>) -> Result<T, JournalError> {
        let result = read.await;
        if result.as_ref().is_err_and(is_failure) {
            self.metrics.failed(Op::Read);
        }
        result
    }
}

/// An answer by the rules is no failure.
fn is_failure(error: &JournalError) -> bool {
    match error {
        JournalError::ReadOnly(_) | JournalError::NoRoom(_) | JournalError::Overloaded | JournalError::Damaged(_) => {
            true
        }
        JournalError::WrongState { .. } | JournalError::UnknownPayment(_) => false,
    }
}

/// A write that waits, until this is dropped: whoever asked for it may be gone before it is done.
struct Waiting<'a>(&'a JournalMetrics);

impl Waiting<'_> {
    fn new(metrics: &JournalMetrics) -> Waiting<'_> {
        metrics.enter();
        Waiting(metrics)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[async_trait]
impl Journal for Measured {
    async fn begin(&self, new: NewPayment) -> Result<Begun, JournalError> {
        let kept = new.admission != Admission::Refuse;
        let begun = self.write(self.journal.begin(new)).await?;
        if kept && matches!(begun, Begun::New { .. }) {
            self.metrics.records(1);
        }
        Ok(begun)
    }

    async fn known(&self, new: NewPayment) -> Result<Option<Begun>, JournalError> {
        self.read(self.journal.known(new)).await
    }

    async fn dispatch(&self, id: PaymentId) -> Result<(), JournalError> {
        self.write(self.journal.dispatch(id)).await
    }

    async fn remember(&self, id: PaymentId, notes: Vec<(String, String)>) -> Result<(), JournalError> {
        self.write(self.journal.remember(id, notes)).await
    }

    async fn record(&self, id: PaymentId, said: Outcome) -> Result<(), JournalError> {
        self.write(self.journal.record(id, said)).await
    }

    async fn receipt(&self, id: PaymentId, receipt: Receipt) -> Result<(), JournalError> {
        self.write(self.journal.receipt(id, receipt)).await
    }

    async fn terminal_receipt(&self, terminal: &str, receipt: Receipt) -> Result<(), JournalError> {
        self.write(self.journal.terminal_receipt(terminal, receipt)).await
    }

    async fn finish(&self, id: PaymentId, end: End) -> Result<(), JournalError> {
        self.write(self.journal.finish(id, end)).await
    }

    async fn leave_to_person(&self, id: PaymentId, evidence: String) -> Result<(), JournalError> {
        self.write(self.journal.leave_to_person(id, evidence)).await
    }

    async fn incident(&self, id: Option<PaymentId>, terminal: &str, incident: Incident) -> Result<(), JournalError> {
        self.write(self.journal.incident(id, terminal, incident)).await
    }

    fn answer_delivered(&self, id: PaymentId) {
        self.journal.answer_delivered(id);
    }

    async fn recover(&self) -> Result<Recovered, JournalError> {
        self.write(self.journal.recover()).await
    }

    async fn forget(&self, older_than: Duration) -> Result<Forgotten, JournalError> {
        // Many writes with pauses for others: as one of them it would show a time that nothing waited for.
        let forgotten = self.read(self.journal.forget(older_than)).await?;
        self.metrics.records(-(forgotten.payments as i64));
        Ok(forgotten)
    }

    async fn in_doubt(&self) -> Result<Vec<Payment>, JournalError> {
        self.read(self.journal.in_doubt()).await
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, JournalError> {
        self.read(self.journal.payment(id)).await
    }

    async fn history(&self, id: PaymentId) -> Result<Option<History>, JournalError> {
        self.read(self.journal.history(id)).await
    }

    async fn search(&self, filter: Filter) -> Result<Vec<Payment>, JournalError> {
        self.read(self.journal.search(filter)).await
    }

    async fn count(&self) -> Result<Option<u64>, JournalError> {
        self.read(self.journal.count()).await
    }

    fn health(&self) -> Result<(), JournalError> {
        self.journal.health()
    }

    fn writing_for(&self) -> Option<Duration> {
        self.journal.writing_for()
    }

    async fn close(&self) {
        self.journal.close().await;
    }
}

/// The real disk, whose commits show in the metrics.
pub struct MeasuredDisk {
    metrics: JournalMetrics,
}

impl MeasuredDisk {
    /// A disk that is measured.
    pub fn new(metrics: JournalMetrics) -> MeasuredDisk {
        MeasuredDisk { metrics }
    }
}

impl Disk for MeasuredDisk {
    fn commit(&mut self, commit: &mut dyn FnMut() -> Result<(), String>) -> Result<(), String> {
        let start = Instant::now();
        let result = RealDisk.commit(commit);
        match result {
            Ok(()) => self.metrics.synced(start.elapsed()),
            Err(_) => self.metrics.failed(Op::Fsync),
        }
        result
    }

    fn free(&mut self, folder: &Path) -> io::Result<u64> {
        RealDisk.free(folder)
    }
}

/// Shows how large a database is and how much room is left beside it. It waits for the disk.
pub fn note_room(database: &Path, metrics: &JournalMetrics) {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let folder = database.parent().unwrap_or(Path::new("."));
    // What cannot be measured is no room: that is how the journal takes it too.
    let free = RealDisk.free(folder).unwrap_or(0);
    metrics.room(size(database) + size(&PathBuf::from(log)), free);
}
