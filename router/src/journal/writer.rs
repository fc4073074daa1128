//! How many jobs share one commit: the thread that writes.

use std::mem;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tillswitch_core::PaymentId;
use tokio::sync::oneshot;

use super::disk::{Disk, Room};
use super::failure::{self, Failure, Severity};
use super::watch::Watch;
use super::{JournalError, change};

/// How long a note that an answer was delivered waits for a commit that it can ride along with.
const NOTES_WAIT: Duration = Duration::from_millis(100);
/// After so many jobs the write-ahead log is brought into the database. A job that shares its commit with no other writes
/// about 50 KB of log, so that the log stays far below the usual `min_free`.
const JOBS_PER_CHECKPOINT: usize = 250;

/// What a job works on.
pub(super) struct Store {
    pub(super) connection: Connection,
    pub(super) disk: Box<dyn Disk>,
    pub(super) room: Room,
    pub(super) folder: PathBuf,
    pub(super) watch: Watch,
    /// What the last jobs wrote beyond the usual, in usual jobs.
    pub(super) extra_jobs: usize,
}

impl Store {
    /// Whether there is room to begin something new.
    pub(super) fn require_room(&mut self) -> Result<(), JournalError> {
        self.room.require(self.disk.as_mut(), &self.folder)
    }
}

/// What the writer and those who ask it both see.
#[derive(Default)]
pub(super) struct Shared {
    broken: OnceLock<String>,
    delivered: Mutex<Vec<PaymentId>>,
    /// Since when the writer has been at what it is at.
    writing_since: Mutex<Option<Instant>>,
}

impl Shared {
    /// Why nothing is written any more, if so.
    pub(super) fn health(&self) -> Result<(), JournalError> {
        self.broken.get().map_or(Ok(()), |why| Err(JournalError::ReadOnly(why.clone())))
    }

    /// How long the writer has been at what it is at; `None` while it waits for work.
    pub(super) fn writing_for(&self) -> Option<Duration> {
        self.writing_since.lock().unwrap_or_else(PoisonError::into_inner).map(|since| since.elapsed())
    }

    fn note_writing(&self, since: Option<Instant>) {
        *self.writing_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Keeps a note for the next commit. True: the writer has to be woken for it.
    pub(super) fn deliver(&self, id: PaymentId) -> bool {
        let mut delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        delivered.push(id);
        delivered.len() == 1
    }

    fn take_delivered(&self) -> Vec<PaymentId> {
        mem::take(&mut self.delivered.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn give_back(&self, notes: Vec<PaymentId>) {
        self.delivered.lock().unwrap_or_else(PoisonError::into_inner).extend(notes);
    }

    fn has_delivered(&self) -> bool {
        !self.delivered.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The first reason stands: whatever follows is a consequence.
    fn break_down(&self, why: String) -> JournalError {
        tracing::error!(reason = %why, "the journal takes no more writes until a restart");
        JournalError::ReadOnly(self.broken.get_or_init(|| why).clone())
    }
}

/// What is sent to the writer.
pub(super) enum Message {
    /// Something to write.
    Job(Box<dyn Job>),
    /// A note waits in [`Shared`].
    Note,
    /// Write what came before this, close, and say so.
    Close(oneshot::Sender<()>),
}

/// Something to write, with somebody who waits for it.
pub(super) trait Job: Send {
    /// Writes. `true`: what it wrote stays, `false`: it is undone.
    fn run(&mut self, store: &mut Store) -> Result<bool, rusqlite::Error>;

    /// Tells whoever waits, after the commit.
    fn answer(self: Box<Self>, committed: &Result<(), JournalError>);
}

/// A closure as a job, and where its result will arrive.
pub(super) fn job<F, T>(work: F) -> (Box<dyn Job>, oneshot::Receiver<Result<T, JournalError>>)
where
    F: FnOnce(&mut Store) -> Result<T, Failure> + Send + 'static,
    T: Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    (Box::new(Work { work: Some(work), result: Err(closed()), reply }), answer)
}

struct Work<F, T> {
    work: Option<F>,
    result: Result<T, JournalError>,
    reply: oneshot::Sender<Result<T, JournalError>>,
}

impl<F, T> Job for Work<F, T>
where
    F: FnOnce(&mut Store) -> Result<T, Failure> + Send + 'static,
    T: Send + 'static,
{
    fn run(&mut self, store: &mut Store) -> Result<bool, rusqlite::Error> {
        let Some(work) = self.work.take() else { return Ok(false) };
        self.result = match work(store) {
            Ok(value) => Ok(value),
            Err(Failure::Refused(error)) => Err(error),
            Err(Failure::Sql(error)) if failure::severity(&error) == Severity::Statement => {
                Err(failure::as_answer(&error))
            }
            Err(Failure::Sql(error)) => return Err(error),
        };
        Ok(self.result.is_ok())
    }

    fn answer(self: Box<Self>, committed: &Result<(), JournalError>) {
        // Nobody listening is no fault: the one who asked may have gone, what is written stays.
        let _ = self.reply.send(committed.clone().and(self.result));
    }
}

/// The answer of a journal that was closed.
pub(super) fn closed() -> JournalError {
    JournalError::ReadOnly("it was closed".into())
}

/// The thread's state.
pub(super) struct Writer {
    pub(super) store: Store,
    pub(super) shared: Arc<Shared>,
    pub(super) messages: Receiver<Message>,
    /// How many jobs share a commit at most.
    pub(super) batch: usize,
    /// How many jobs the write-ahead log holds.
    pub(super) since_checkpoint: usize,
}

/// It was told to close; whoever waits for that is told when it has.
type LastOne = Option<oneshot::Sender<()>>;

impl Writer {
    /// Writes until it is closed or everybody who could ask has gone.
    pub(super) fn run(mut self) {
        let _guard = BreakOnPanic(Arc::clone(&self.shared));
        let closer = loop {
            let mut jobs = Vec::new();
            self.shared.note_writing(None);
            let end = self.collect(&mut jobs);
            self.shared.note_writing(Some(Instant::now()));
            self.serve(jobs, end.is_some());
            if let Some(closer) = end {
                break closer;
            }
        };
        drop(self);
        if let Some(closer) = closer {
            let _ = closer.send(());
        }
    }

    /// One round without a wait: writes what has queued up. `Some`: this was the last.
    pub(super) fn turn(&mut self) -> Option<LastOne> {
        let mut jobs = Vec::new();
        let end = self.take_queued(&mut jobs);
        self.serve(jobs, end.is_some());
        end
    }

    fn serve(&mut self, jobs: Vec<Box<dyn Job>>, is_last: bool) {
        self.since_checkpoint += jobs.len();
        self.write(jobs);
        self.since_checkpoint += mem::take(&mut self.store.extra_jobs);
        if self.since_checkpoint >= JOBS_PER_CHECKPOINT || is_last {
            self.since_checkpoint = 0;
            self.checkpoint();
        }
    }

    /// Waits for work and takes all that has queued up. `Some`: this was the last.
    fn collect(&self, jobs: &mut Vec<Box<dyn Job>>) -> Option<LastOne> {
        loop {
            match self.wait() {
                Ok(Message::Job(job)) => break jobs.push(job),
                Ok(Message::Note) => continue,
                Ok(Message::Close(closer)) => return Some(Some(closer)),
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => return Some(None),
            }
        }
        self.take_queued(jobs)
    }

    fn take_queued(&self, jobs: &mut Vec<Box<dyn Job>>) -> Option<LastOne> {
        while jobs.len() < self.batch {
            match self.messages.try_recv() {
                Ok(Message::Job(job)) => jobs.push(job),
                Ok(Message::Note) => continue,
                Ok(Message::Close(closer)) => return Some(Some(closer)),
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Disconnected) => return Some(None),
            }
        }
        None
    }

    fn wait(&self) -> Result<Message, RecvTimeoutError> {
        if self.shared.has_delivered() {
            return self.messages.recv_timeout(NOTES_WAIT);
        }
        self.messages.recv().map_err(|_| RecvTimeoutError::Disconnected)
    }

    /// Writes all of it in one transaction, then answers.
    fn write(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let notes = self.shared.take_delivered();
        if jobs.is_empty() && notes.is_empty() {
            return;
        }
        let committed = self.shared.health().and_then(|()| self.transaction(&mut jobs, &notes));
        if committed == Err(JournalError::Overloaded) {
            self.shared.give_back(notes);
        }
        for job in jobs {
            job.answer(&committed);
        }
    }

    fn transaction(&mut self, jobs: &mut [Box<dyn Job>], notes: &[PaymentId]) -> Result<(), JournalError> {
        self.store.watch.require().map_err(|why| self.shared.break_down(why))?;
        if let Err(error) = self.execute("BEGIN IMMEDIATE") {
            return Err(self.stop_for(&error));
        }
        let written = self.run_all(jobs, notes).map_err(|error| self.stop_for(&error));
        let committed = written.and_then(|()| self.commit());
        if committed.is_err() && !self.store.connection.is_autocommit() {
            // Nothing more can be done when this fails too: closing the connection undoes it as well.
            let _ = self.store.connection.execute_batch("ROLLBACK");
        }
        committed
    }

    fn run_all(&mut self, jobs: &mut [Box<dyn Job>], notes: &[PaymentId]) -> Result<(), rusqlite::Error> {
        for note in notes {
            change::answer_delivered(&self.store.connection, *note)?;
        }
        for job in jobs {
            self.execute("SAVEPOINT job")?;
            if !job.run(&mut self.store)? {
                self.execute("ROLLBACK TO job")?;
            }
            self.execute("RELEASE job")?;
        }
        Ok(())
    }

    fn execute(&self, sql: &str) -> Result<(), rusqlite::Error> {
        execute(&self.store.connection, sql)
    }

    fn commit(&mut self) -> Result<(), JournalError> {
        let Store { connection, disk, .. } = &mut self.store;
        let mut commit = || execute(connection, "COMMIT").map_err(|error| error.to_string());
        disk.commit(&mut commit).map_err(|why| self.shared.break_down(why))
    }

    /// The answer for a batch that an error ended.
    fn stop_for(&self, error: &rusqlite::Error) -> JournalError {
        match failure::severity(error) {
            Severity::Busy => failure::as_answer(error),
            Severity::Statement | Severity::Fatal => self.shared.break_down(error.to_string()),
        }
    }

    /// Brings the log into the database. A reader that is in the way is no fault: the next time takes more.
    fn checkpoint(&self) {
        if self.shared.health().is_err() {
            return;
        }
        let result = self.store.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        if let Err(error) = result
            && failure::severity(&error) != Severity::Busy
        {
            self.shared.break_down(error.to_string());
        }
    }
}

/// Runs a statement that is needed for every commit, and therefore kept prepared.
fn execute(connection: &Connection, sql: &str) -> Result<(), rusqlite::Error> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}

/// A writer that has gone by a fault of the program is no healthy journal. One that has gone writes nothing.
struct BreakOnPanic(Arc<Shared>);

impl Drop for BreakOnPanic {
    fn drop(&mut self) {
        self.0.note_writing(None);
        if std::thread::panicking() {
            self.0.break_down("its writer has crashed".into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::disk::RealDisk;
    use crate::journal::schema;

    fn slip(store: &Store, text: &str) -> Result<(), Failure> {
        let sql = "INSERT INTO receipts (terminal, at, kind, text) VALUES ('counter', 0, 'merchant', ?1)";
        store.connection.execute(sql, [text])?;
        Ok(())
    }

    #[test]
    fn a_job_that_is_refused_half_way_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("payments.db");
        let connection = schema::open(&path).unwrap();
        let (sender, messages) = std::sync::mpsc::sync_channel(1);
        let (disk, room, folder) = (Box::new(RealDisk), Room::new(0), folder.path().into());
        let watch = Watch::over(&path).unwrap();
        let store = Store { connection, disk, room, folder, watch, extra_jobs: 0 };
        let mut writer = Writer { store, shared: Arc::default(), messages, batch: 8, since_checkpoint: 0 };
        let (first, mut first_answer) = job(|store: &mut Store| slip(store, "first"));
        let (refused, mut refusal) = job(|store: &mut Store| {
            slip(store, "half")?;
            Err::<(), Failure>(JournalError::Overloaded.into())
        });
        // The same number twice: an error of SQLite that concerns this statement only.
        let (wrong, mut wrong_answer) = job(|store: &mut Store| {
            slip(store, "half")?;
            Ok(store.connection.execute("INSERT INTO receipts SELECT * FROM receipts", []).map(|_| ())?)
        });
        let (last, mut last_answer) = job(|store: &mut Store| slip(store, "last"));
        writer.write(vec![first, refused, wrong, last]);
        assert_eq!(first_answer.try_recv(), Ok(Ok(())));
        assert_eq!(refusal.try_recv(), Ok(Err(JournalError::Overloaded)));
        assert!(matches!(wrong_answer.try_recv(), Ok(Err(JournalError::Damaged(_)))));
        assert_eq!(last_answer.try_recv(), Ok(Ok(())));
        assert_eq!(writer.shared.health(), Ok(()));
        let sql = "SELECT group_concat(text) FROM receipts";
        let texts: String = writer.store.connection.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(texts, "first,last");
        drop(sender);
    }

    #[test]
    fn a_writer_that_crashes_is_not_healthy() {
        let shared = Arc::new(Shared::default());
        let guarded = Arc::clone(&shared);
        let crash = std::thread::spawn(move || {
            let _guard = BreakOnPanic(guarded);
            panic!("a fault of the program");
        });
        assert!(crash.join().is_err());
        assert_eq!(shared.health(), Err(JournalError::ReadOnly("its writer has crashed".into())));
    }
}
