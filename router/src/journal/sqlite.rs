//! The journal in a file of SQLite: who writes, who reads, and how they are asked.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use tillswitch_core::{Outcome, PaymentId, Receipt, wall_clock};
use tokio::sync::{Semaphore, oneshot};

use super::disk::{Disk, RealDisk, Room};
use super::failure::Failure;
use super::reader::{self, Query};
use super::watch::Watch;
use super::writer::{self, Message, Shared, Store, Writer};
use super::{
    Begun, End, Filter, Forgotten, History, Incident, Journal, JournalError, NewPayment, Payment, Recovered, change,
    identity, read, retention, schema,
};

/// Places in the writer's queue that only payments which have begun may take: each has one write under way at a time.
const ROOM_FOR_RUNNING: usize = 8192;

/// How the journal is kept.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// With less room than this, in bytes, nothing new begins.
    pub min_free: u64,
    /// How many new requests may wait. More are answered with [`JournalError::Overloaded`]; all that wait share a commit.
    pub queue: usize,
    /// How many reads may wait.
    pub reads: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { min_free: 64 << 20, queue: 1024, reads: 256 }
    }
}

/// The journal in a file.
///
/// One thread writes: it takes all that has queued up, runs each job in a savepoint of one transaction, commits, and answers
/// then. Another one reads; neither waits for the other.
///
/// Dropped without [`close`](Journal::close), it still writes what was queued up, after the drop.
pub struct SqliteJournal {
    shared: Arc<Shared>,
    closed: AtomicBool,
    /// How many requests may be beginning at once.
    beginning: Semaphore,
    writer: SyncSender<Message>,
    reader: SyncSender<Query>,
}

impl SqliteJournal {
    /// Opens the file, making or migrating it as needed. It is locked by nobody: hold the [`StateLock`](super::StateLock).
    ///
    /// # Errors
    ///
    /// [`JournalError::Damaged`] if the file is no journal, is damaged, or was written by a newer version;
    /// [`JournalError::ReadOnly`] if it cannot be opened or written.
    pub fn open(path: &Path, options: Options) -> Result<SqliteJournal, JournalError> {
        SqliteJournal::open_on(path, options, Box::new(RealDisk))
    }

    /// The same on a disk of the caller's, which may fail on purpose.
    pub fn open_on(path: &Path, options: Options, disk: Box<dyn Disk>) -> Result<SqliteJournal, JournalError> {
        let (journal, Hand { writer, reading, queries }) = SqliteJournal::open_by_hand(path, options, disk)?;
        start("journal-writer", move || writer.run())?;
        start("journal-reader", move || reader::run(reading, &queries))?;
        Ok(journal)
    }

    /// The same without threads of its own: the caller does their work with [`Hand::turn`], as often as it likes. For
    /// simulations, where time passes only while nothing happens and a thread would fall out of it. Dropping the hand is what
    /// a killed router does to its queue.
    pub fn open_by_hand(
        path: &Path,
        options: Options,
        disk: Box<dyn Disk>,
    ) -> Result<(SqliteJournal, Hand), JournalError> {
        let connection = schema::open(path)?;
        let reading = schema::open_reader(path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf);
        let shared = Arc::new(Shared::default());
        let (writer, messages) = mpsc::sync_channel(options.queue + ROOM_FOR_RUNNING);
        let watch =
            Watch::over(path).map_err(|error| JournalError::ReadOnly(format!("{}: {error}", path.display())))?;
        let store = Store { connection, disk, room: Room::new(options.min_free), folder, watch, extra_jobs: 0 };
        let batch = options.queue.max(1);
        let work = Writer { store, shared: Arc::clone(&shared), messages, batch, since_checkpoint: 0 };
        let (reader, queries) = mpsc::sync_channel(options.reads);
        let journal = SqliteJournal {
            shared,
            closed: AtomicBool::new(false),
            // One is at the disk while the others wait.
            beginning: Semaphore::new(options.queue + 1),
            writer,
            reader,
        };
        Ok((journal, Hand { writer: work, reading, queries }))
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, JournalError> {
        self.health()?;
        let (job, answer) = writer::job(work);
        self.writer.try_send(Message::Job(job)).map_err(not_sent)?;
        answer.await.unwrap_or_else(|_| Err(self.gone()))
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&rusqlite::Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, JournalError> {
        let (query, answer) = reader::query(read);
        self.reader.try_send(query).map_err(not_sent)?;
        answer.await.unwrap_or_else(|_| Err(writer::closed()))
    }

    /// Why a job was dropped without an answer.
    fn gone(&self) -> JournalError {
        self.shared.health().err().unwrap_or_else(writer::closed)
    }
}

/// The work of the journal's threads, to be done by hand.
pub struct Hand {
    writer: Writer,
    reading: rusqlite::Connection,
    queries: Receiver<Query>,
}

impl Hand {
    /// Commits what has queued up, in one transaction, then reads what is asked for. Waits for nothing but the disk.
    pub fn turn(&mut self) {
        if let Some(Some(closer)) = self.writer.turn() {
            let _ = closer.send(());
        }
        while let Ok(query) = self.queries.try_recv() {
            match query {
                Query::Read(read) => read(&self.reading),
                Query::Close(closer) => drop(closer.send(())),
            }
        }
    }
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), JournalError> {
    let started = thread::Builder::new().name(name.into()).spawn(run);
    started.map(|_| ()).map_err(|error: io::Error| JournalError::ReadOnly(format!("no thread for it: {error}")))
}

fn not_sent<T>(error: TrySendError<T>) -> JournalError {
    match error {
        TrySendError::Full(_) => JournalError::Overloaded,
        TrySendError::Disconnected(_) => writer::closed(),
    }
}

/// Sends a last message even if the queue is full at the moment, and waits until it was understood.
async fn send_last<T: Send + 'static>(sender: SyncSender<T>, last: impl FnOnce(oneshot::Sender<()>) -> T) {
    let (closer, closed) = oneshot::channel();
    let message = last(closer);
    // Nobody there to hear it means that it is closed already.
    let _ = tokio::task::spawn_blocking(move || sender.send(message)).await;
    let _ = closed.await;
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn begin(&self, new: NewPayment) -> Result<Begun, JournalError> {
        // A flood of new requests must never take the room that the ends of running payments need.
        let _place = self.beginning.try_acquire().map_err(|_| JournalError::Overloaded)?;
        self.write(move |store| identity::begin(store, &new)).await
    }

    async fn known(&self, new: NewPayment) -> Result<Option<Begun>, JournalError> {
        self.read(move |connection| identity::known(connection, &new)).await
    }

    async fn dispatch(&self, id: PaymentId) -> Result<(), JournalError> {
        self.write(move |store| change::dispatch(&store.connection, id)).await
    }

    async fn remember(&self, id: PaymentId, notes: Vec<(String, String)>) -> Result<(), JournalError> {
        self.write(move |store| change::remember(&store.connection, id, &notes)).await
    }

    async fn record(&self, id: PaymentId, said: Outcome) -> Result<(), JournalError> {
        self.write(move |store| change::record(&store.connection, id, &said)).await
    }

    async fn receipt(&self, id: PaymentId, receipt: Receipt) -> Result<(), JournalError> {
        self.write(move |store| change::receipt(&store.connection, id, &receipt)).await
    }

    async fn terminal_receipt(&self, terminal: &str, receipt: Receipt) -> Result<(), JournalError> {
        let terminal = terminal.to_owned();
        self.write(move |store| change::terminal_receipt(&store.connection, &terminal, &receipt)).await
    }

    async fn finish(&self, id: PaymentId, end: End) -> Result<(), JournalError> {
        self.write(move |store| change::finish(&store.connection, id, &end)).await
    }

    async fn leave_to_person(&self, id: PaymentId, evidence: String) -> Result<(), JournalError> {
        self.write(move |store| change::leave_to_person(&store.connection, id, evidence)).await
    }

    async fn incident(&self, id: Option<PaymentId>, terminal: &str, incident: Incident) -> Result<(), JournalError> {
        let terminal = terminal.to_owned();
        self.write(move |store| change::incident(&store.connection, id, &terminal, &incident)).await
    }

    fn answer_delivered(&self, id: PaymentId) {
        if self.shared.deliver(id) {
            // A full queue wakes the writer as well.
            let _ = self.writer.try_send(Message::Note);
        }
    }

    async fn recover(&self) -> Result<Recovered, JournalError> {
        self.write(|store| change::recover(&store.connection)).await
    }

    async fn forget(&self, older_than: Duration) -> Result<Forgotten, JournalError> {
        let now = wall_clock::now();
        let horizon = self.read(move |connection| retention::horizon(connection, older_than, now)).await?;
        let mut forgotten = Forgotten::default();
        let Some(horizon) = horizon else { return Ok(forgotten) };
        // What is linked to a payment keeps it, so that the next job may find more than the last one.
        loop {
            let more = self.write(move |store| retention::forget(store, horizon)).await?;
            if more == Forgotten::default() {
                return Ok(forgotten);
            }
            forgotten += more;
        }
    }

    async fn in_doubt(&self) -> Result<Vec<Payment>, JournalError> {
        self.read(read::in_doubt).await
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, JournalError> {
        self.read(move |connection| Ok(read::payment(connection, id)?.map(|found| found.payment))).await
    }

    async fn history(&self, id: PaymentId) -> Result<Option<History>, JournalError> {
        self.read(move |connection| read::history(connection, id)).await
    }

    async fn search(&self, filter: Filter) -> Result<Vec<Payment>, JournalError> {
        self.read(move |connection| read::search(connection, &filter)).await
    }

    async fn count(&self) -> Result<Option<u64>, JournalError> {
        self.read(|connection| Ok(Some(read::count(connection)?))).await
    }

    fn health(&self) -> Result<(), JournalError> {
        self.shared.health()?;
        if self.closed.load(Ordering::Acquire) { Err(writer::closed()) } else { Ok(()) }
    }

    fn writing_for(&self) -> Option<Duration> {
        self.shared.writing_for()
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        send_last(self.reader.clone(), Query::Close).await;
        send_last(self.writer.clone(), Message::Close).await;
    }
}
