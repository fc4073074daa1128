//! Whether what was acknowledged is on the disk, whatever the disk does.

use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};

use tillswitch::journal::{Begun, Disk, Filter, Journal, JournalError, Options, Payment, SqliteJournal, State};
use tillswitch_core::{Currency, Money, PaymentId};

use crate::bench::{Event, Failing, Shop, TestDisk, approval, end, options};

const AMOUNT: u64 = 2590;

fn euro(minor: u64) -> Money {
    Money::from_minor(minor, Currency::EUR)
}

/// A disk whose commits wait until the test lets them go.
struct Gate {
    reached: Sender<()>,
    go: Receiver<()>,
    inner: TestDisk,
}

impl Gate {
    fn new(inner: TestDisk) -> (Gate, Receiver<()>, Sender<()>) {
        let ((reached, arrived), (open, go)) = (mpsc::channel(), mpsc::channel());
        (Gate { reached, go, inner }, arrived, open)
    }
}

impl Disk for Gate {
    fn commit(&mut self, commit: &mut dyn FnMut() -> Result<(), String>) -> Result<(), String> {
        let _ = self.reached.send(());
        // A gate whose test has gone is open.
        let _ = self.go.recv();
        self.inner.commit(commit)
    }

    fn free(&mut self, folder: &Path) -> std::io::Result<u64> {
        self.inner.free(folder)
    }
}

/// A journal whose writer stands before its first commit, with as many begins in the queue as it holds.
async fn held_up(
    disk: TestDisk,
    queue: usize,
) -> (tempfile::TempDir, Arc<SqliteJournal>, Sender<()>, Vec<tokio::task::JoinHandle<Result<Begun, JournalError>>>) {
    let folder = tempfile::tempdir().unwrap();
    let (gate, arrived, open) = Gate::new(disk);
    let options = Options { queue, ..options() };
    let journal = SqliteJournal::open_on(&folder.path().join("payments.db"), options, Box::new(gate)).unwrap();
    let journal = Arc::new(journal);
    let mut waiting = vec![begin(&journal, 0)];
    tokio::task::spawn_blocking(move || arrived.recv().unwrap()).await.unwrap();
    for number in 1..=queue {
        waiting.push(begin(&journal, number));
        // Its job is in the queue as soon as the task has run once.
        tokio::task::yield_now().await;
    }
    (folder, journal, open, waiting)
}

fn begin(journal: &Arc<SqliteJournal>, number: usize) -> tokio::task::JoinHandle<Result<Begun, JournalError>> {
    let journal = Arc::clone(journal);
    tokio::spawn(async move { journal.begin(Event::parse(&format!("guid=g{number}")).request()).await })
}

#[tokio::test]
async fn all_that_waits_shares_one_commit() {
    let disk = TestDisk::default();
    let (_folder, journal, open, waiting) = held_up(disk.clone(), 50).await;
    open.send(()).unwrap();
    open.send(()).unwrap();
    for answer in waiting {
        assert!(matches!(answer.await.unwrap(), Ok(Begun::New { .. })));
    }
    assert_eq!(disk.commits(), 2);
    assert_eq!(journal.search(Filter { limit: 1000, ..Filter::default() }).await.unwrap().len(), 51);
}

#[tokio::test]
async fn nobody_is_answered_before_the_commit_and_nothing_is_read_before_it() {
    let (_folder, journal, open, waiting) = held_up(TestDisk::default(), 1).await;
    assert!(waiting.iter().all(|answer| !answer.is_finished()));
    assert_eq!(journal.search(Filter::default()).await, Ok(vec![]));
    drop(open);
    for answer in waiting {
        assert!(answer.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn more_than_the_queue_holds_is_refused_at_once() {
    let (_folder, journal, open, waiting) = held_up(TestDisk::default(), 3).await;
    assert_eq!(journal.begin(Event::parse("guid=x").request()).await, Err(JournalError::Overloaded));
    assert_eq!(journal.health(), Ok(()));
    drop(open);
    for answer in waiting {
        assert!(answer.await.unwrap().is_ok());
    }
    assert!(journal.begin(Event::parse("guid=x").request()).await.is_ok());
}

#[tokio::test]
async fn all_that_waits_for_a_commit_that_fails_is_told_so() {
    let (_folder, journal, open, waiting) = held_up(TestDisk::failing(2, Failing::Before), 5).await;
    drop(open);
    let mut answers = Vec::new();
    for answer in waiting {
        answers.push(answer.await.unwrap());
    }
    assert!(matches!(answers[0], Ok(Begun::New { .. })));
    assert!(answers[1..].iter().all(|answer| matches!(answer, Err(JournalError::ReadOnly(_)))), "{answers:?}");
    assert_eq!(journal.search(Filter::default()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_waits_behind_a_commit_that_fails_is_not_written_any_more() {
    let disk = TestDisk::failing(1, Failing::Before);
    let (folder, journal, open, waiting) = held_up(disk.clone(), 5).await;
    drop(open);
    for answer in waiting {
        assert!(matches!(answer.await.unwrap(), Err(JournalError::ReadOnly(_))));
    }
    assert_eq!(disk.commits(), 1);
    // It keeps no lock on the file: somebody may look at it and repair it.
    let other = rusqlite::Connection::open(folder.path().join("payments.db")).unwrap();
    other.busy_timeout(std::time::Duration::ZERO).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; ROLLBACK").unwrap();
    drop(journal);
}

#[tokio::test]
async fn a_refused_job_undoes_nothing_of_its_neighbours() {
    let (_folder, journal, open, waiting) = held_up(TestDisk::default(), 4).await;
    let unknown = PaymentId::generate();
    open.send(()).unwrap();
    open.send(()).unwrap();
    for answer in waiting {
        assert!(answer.await.unwrap().is_ok());
    }
    // Now one that fails, in the middle of one batch.
    let first = begin(&journal, 100);
    tokio::task::yield_now().await;
    let id = { Event::parse("guid=g102").request() };
    let wrong = {
        let journal = Arc::clone(&journal);
        tokio::spawn(async move { journal.dispatch(unknown).await })
    };
    tokio::task::yield_now().await;
    let last = {
        let (journal, id) = (Arc::clone(&journal), id.clone());
        tokio::spawn(async move { journal.begin(id).await })
    };
    drop(open);
    assert!(first.await.unwrap().is_ok() && last.await.unwrap().is_ok());
    assert_eq!(wrong.await.unwrap(), Err(JournalError::UnknownPayment(unknown)));
    assert!(journal.payment(id.id).await.unwrap().is_some());
}

/// What a small shop does; stops at the first refusal. Returns how many steps were acknowledged.
async fn day(journal: &SqliteJournal, seen: &Mutex<Vec<Vec<Payment>>>) -> Result<(), JournalError> {
    let look = async || {
        let payments = journal.search(Filter::default()).await.unwrap();
        seen.lock().unwrap().push(payments);
    };
    let (first, second) = (Event::parse("guid=a doc=7").request(), Event::parse("guid=b doc=8 queue").request());
    let (a, b) = (first.id, second.id);
    look().await;
    journal.begin(first).await?;
    look().await;
    journal.begin(second).await?;
    look().await;
    journal.remember(a, vec![("previous".into(), "0041".into())]).await?;
    look().await;
    journal.record(a, approval(euro(AMOUNT))).await?;
    look().await;
    journal.finish(a, end(State::Approved, euro(AMOUNT))).await?;
    look().await;
    journal.dispatch(b).await?;
    look().await;
    journal.finish(b, end(State::InDoubt, euro(AMOUNT))).await?;
    look().await;
    journal.finish(b, end(State::Declined, euro(AMOUNT))).await?;
    look().await;
    Ok(())
}

const STEPS: usize = 8;

/// What can be compared between two days: the identities and the times differ.
fn shape(payments: &[Payment]) -> Vec<String> {
    let line = |payment: &Payment| {
        let Payment { state, verdict, document, notes, recorded, .. } = payment;
        format!("{state} {verdict:?} {document:?} {notes:?} {recorded:?}")
    };
    payments.iter().map(line).collect()
}

#[tokio::test]
async fn whichever_commit_fails_nothing_acknowledged_is_lost_and_nothing_else_is_told() {
    let whole = Mutex::default();
    day(&Shop::open().journal, &whole).await.unwrap();
    let whole: Vec<Vec<String>> = whole.into_inner().unwrap().iter().map(|payments| shape(payments)).collect();
    assert_eq!(whole.len(), STEPS + 1);
    for when in [Failing::Before, Failing::After] {
        for commit in 1..=STEPS {
            let shop = Shop::on(TestDisk::failing(commit, when));
            let seen = Mutex::default();
            let failed = day(&shop.journal, &seen).await.unwrap_err();
            let acknowledged = seen.lock().unwrap().len() - 1;
            assert_eq!((acknowledged, failed), (commit - 1, JournalError::ReadOnly("disk I/O error".into())));
            check_read_only(&shop.journal).await;
            if when == Failing::Before {
                let told = shop.journal.search(Filter::default()).await.unwrap();
                assert_eq!(shape(&told), whole[acknowledged]);
            }
            let shop = shop.reopen();
            assert_eq!(shop.journal.health(), Ok(()));
            let kept = shape(&shop.journal.search(Filter::default()).await.unwrap());
            // A commit that failed late may be there after the restart; a half of one never is.
            let expected = if when == Failing::Before { acknowledged } else { acknowledged + 1 };
            assert_eq!(kept, whole[expected], "commit {commit} fails {when:?}");
            assert!(shop.journal.begin(Event::parse("guid=z").request()).await.is_ok());
        }
    }
}

async fn check_read_only(journal: &SqliteJournal) {
    assert!(matches!(journal.health(), Err(JournalError::ReadOnly(_))));
    let begun = journal.begin(Event::parse("guid=y").request()).await;
    assert_eq!(begun, Err(JournalError::ReadOnly("disk I/O error".into())));
    assert!(matches!(journal.recover().await, Err(JournalError::ReadOnly(_))));
}

#[tokio::test]
async fn without_room_nothing_begins_and_what_runs_goes_on() {
    let disk = TestDisk::default();
    disk.set_free(99);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.db");
    let id = {
        let journal = SqliteJournal::open(&path, options()).unwrap();
        let request = Event::parse("guid=a doc=7").request();
        let id = request.id;
        journal.begin(request).await.unwrap();
        id
    };
    let options = Options { min_free: 100, ..options() };
    let journal = SqliteJournal::open_on(&path, options, Box::new(disk)).unwrap();
    let begin = async |event: &str| journal.begin(Event::parse(event).request()).await;
    for new in ["guid=b", "guid=b queue", "guid=b too-old", "guid=b doc=7 reg=POS-02"] {
        assert!(matches!(begin(new).await, Err(JournalError::NoRoom(_))), "{new}");
    }
    assert!(matches!(begin("guid=a doc=7").await, Ok(Begun::SameEvent(_))));
    assert!(matches!(begin("guid=c doc=7").await, Ok(Begun::SameDocument(_))));
    assert!(matches!(begin("guid=b refuse").await, Ok(Begun::New { .. })));
    journal.finish(id, end(State::Approved, euro(AMOUNT))).await.unwrap();
    assert_eq!(journal.search(Filter::default()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn room_is_enough_at_exactly_min_free() {
    let disk = TestDisk::default();
    disk.set_free(100);
    let folder = tempfile::tempdir().unwrap();
    let options = Options { min_free: 100, ..options() };
    let journal = SqliteJournal::open_on(&folder.path().join("payments.db"), options, Box::new(disk)).unwrap();
    assert!(journal.begin(Event::parse("guid=a").request()).await.is_ok());
}

#[tokio::test]
async fn a_delivered_answer_rides_along_or_is_written_at_the_close() {
    let disk = TestDisk::default();
    let shop = Shop::on(disk.clone());
    let id = shop.begin("guid=a doc=7").await;
    shop.journal.answer_delivered(id);
    shop.journal.finish(id, end(State::Approved, euro(AMOUNT))).await.unwrap();
    // It was not approved yet when the answer went out: that answer said something else.
    assert!(!shop.journal.payment(id).await.unwrap().unwrap().answer_delivered);
    shop.journal.answer_delivered(id);
    let before = disk.commits();
    shop.begin("guid=b").await;
    assert_eq!(disk.commits(), before + 1);
    assert!(shop.journal.payment(id).await.unwrap().unwrap().answer_delivered);
    let last = shop.begin("guid=c").await;
    shop.journal.finish(last, end(State::Approved, euro(AMOUNT))).await.unwrap();
    shop.journal.answer_delivered(last);
    shop.journal.close().await;
    let shop = shop.reopen();
    assert!(shop.journal.payment(last).await.unwrap().unwrap().answer_delivered);
}

#[tokio::test]
async fn a_closed_journal_has_written_all_and_takes_nothing_more() {
    let (folder, journal, open, waiting) = held_up(TestDisk::default(), 20).await;
    drop(open);
    journal.close().await;
    for answer in waiting {
        assert!(answer.await.unwrap().is_ok());
    }
    let closed = JournalError::ReadOnly("it was closed".into());
    assert_eq!(journal.health(), Err(closed.clone()));
    assert_eq!(journal.begin(Event::parse("guid=x").request()).await, Err(closed.clone()));
    assert_eq!(journal.search(Filter::default()).await, Err(closed));
    journal.close().await;
    assert!(!folder.path().join("payments.db-wal").exists(), "the last one to close tidies up");
    let journal = SqliteJournal::open(&folder.path().join("payments.db"), options()).unwrap();
    assert_eq!(journal.search(Filter::default()).await.unwrap().len(), 21);
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_undo_its_job() {
    let (_folder, journal, open, waiting) = held_up(TestDisk::default(), 3).await;
    waiting.iter().for_each(|answer| answer.abort());
    drop(open);
    journal.close().await;
    let journal = SqliteJournal::open(&_folder.path().join("payments.db"), options()).unwrap();
    assert_eq!(journal.search(Filter::default()).await.unwrap().len(), 4);
}

#[tokio::test]
async fn the_log_does_not_grow_without_end() {
    let shop = Shop::open();
    for number in 0..600 {
        shop.begin(&format!("guid=g{number} made={number} doc={number}")).await;
    }
    let log = format!("{}-wal", shop.path().display());
    let length = std::fs::metadata(log).unwrap().len();
    assert!(length < 16 << 20, "{length} bytes");
}
