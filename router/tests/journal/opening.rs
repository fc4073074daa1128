//! Which file is a journal, who may use it, and what nobody may do to it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::Connection;
use tillswitch::journal::{Begun, Journal, JournalError, NotTaken, SqliteJournal, StateLock};

use crate::bench::{Event, Shop, end, options};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn refusal(path: &Path) -> String {
    match SqliteJournal::open(path, options()) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(JournalError::Damaged(why)) => why,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    let shop = Shop::open();
    shop.begin("guid=a").await;
    let path = shop.path();
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for suffix in ["", "-wal", "-shm"] {
        let file = format!("{}{suffix}", path.display());
        assert_eq!(mode(Path::new(&file)), 0o600, "{file}");
    }
}

#[tokio::test]
async fn an_unknown_version_is_refused_with_the_way_out() {
    let shop = Shop::open();
    shop.begin("guid=a").await;
    shop.journal.close().await;
    let other = Connection::open(shop.path()).unwrap();
    other.pragma_update(None, "user_version", 2).unwrap();
    drop(other);
    let why = refusal(&shop.path());
    assert!(why.contains("schema version 2") && why.contains("start the Tillswitch that wrote it"), "{why}");
}

#[tokio::test]
async fn another_program_s_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE payments (id)").unwrap();
    let before = fs::read(&path).unwrap();
    assert!(refusal(&path).contains("not a journal of Tillswitch"));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("noise.db");
    fs::write(&path, "this is no database, it is a letter to somebody. ".repeat(200)).unwrap();
    assert!(refusal(&path).contains("not a database"));
    check_way_out(&refusal(&path));

    let shop = Shop::open();
    for number in 0..200 {
        shop.begin(&format!("guid=g{number}")).await;
    }
    shop.journal.close().await;
    let mut bytes = fs::read(shop.path()).unwrap();
    assert!(bytes.len() > 64 * 1024, "{} bytes", bytes.len());
    // Everything behind the first pages: the schema is whole, the rows are not.
    bytes[16 * 4096..].fill(0xA5);
    fs::write(shop.path(), &bytes).unwrap();
    check_way_out(&refusal(&shop.path()));

    // A file that is shorter than its header says.
    bytes.truncate(5 * 4096);
    fs::write(shop.path(), &bytes).unwrap();
    check_way_out(&refusal(&shop.path()));
}

/// One line for a person in the middle of the night.
fn check_way_out(why: &str) {
    for part in ["-wal", "-shm", ".recover", "move the three files away"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert!(!why.contains('\n') && !why.contains("***"), "{why}");
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = SqliteJournal::open(&file.join("payments.db"), options()).err();
    assert!(matches!(refused, Some(JournalError::ReadOnly(_))), "{refused:?}");
}

#[tokio::test]
async fn history_and_final_states_cannot_be_changed_by_anybody() {
    let shop = Shop::open();
    let id = shop.begin("guid=a doc=7").await;
    let amount = tillswitch_core::Money::from_minor(2590, tillswitch_core::Currency::EUR);
    shop.journal.leave_to_person(id, "early".into()).await.unwrap_err();
    shop.journal.finish(id, end(tillswitch::journal::State::InDoubt, amount)).await.unwrap();
    shop.journal.leave_to_person(id, "look".into()).await.unwrap();
    shop.journal.finish(id, end(tillswitch::journal::State::Approved, amount)).await.unwrap();
    let other = Connection::open(shop.path()).unwrap();
    for (statement, reason) in [
        ("UPDATE transitions SET state = 'declined'", "append-only"),
        ("DELETE FROM transitions", "append-only"),
        ("UPDATE incidents SET message = ''", "append-only"),
        ("DELETE FROM incidents", "append-only"),
        ("DELETE FROM payments", "never deleted"),
        ("UPDATE payments SET amount_minor = 1", "never changes"),
        ("UPDATE payments SET register = 'POS-02'", "never changes"),
        ("UPDATE payments SET state = 'declined'", "final state"),
        ("UPDATE payments SET verdict = NULL", "final state"),
        ("UPDATE payments SET finished_at = 0", "final state"),
    ] {
        let error = other.execute(statement, []).expect_err(statement).to_string();
        assert!(error.contains(reason), "{statement}: {error}");
    }
    assert_eq!(shop.journal.history(id).await.unwrap().unwrap().transitions.len(), 4);
}

#[test]
fn a_second_router_is_told_who_holds_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let state_dir = folder.path().join("state");
    let lock = StateLock::take(&state_dir, "127.0.0.1:5000").unwrap();
    assert_eq!(mode(&state_dir), 0o700);
    let refused = StateLock::take(&state_dir, "127.0.0.1:6000").unwrap_err();
    let NotTaken::Held(held) = &refused else { panic!("{refused}") };
    let holder = format!("process {}, since 20", std::process::id());
    assert!(held.holder.starts_with(&holder) && held.holder.ends_with("listening on 127.0.0.1:5000"), "{held}");
    assert!(refused.to_string().contains("stop that one"), "{refused}");
    drop(lock);
    StateLock::take(&state_dir, "127.0.0.1:6000").unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_is_said_to_be_unusable() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = StateLock::take(&file.join("state"), "127.0.0.1:5000").unwrap_err();
    assert!(matches!(refused, NotTaken::Unusable { .. }), "{refused}");
}

/// A file that is not the opened one any more takes nothing, and what was opened is still read.
async fn notices(meddle: impl FnOnce(&Path)) {
    let shop = Shop::open();
    shop.begin("guid=a").await;
    meddle(&shop.path());
    let refused = shop.journal.begin(Event::parse("guid=b").request()).await;
    let Err(JournalError::ReadOnly(why)) = &refused else { panic!("{refused:?}") };
    assert!(why.contains("moved, deleted or replaced") && why.contains("payments.db"), "{why}");
    assert!(shop.journal.health().is_err());
    let known = shop.journal.known(Event::parse("guid=a").request()).await.unwrap();
    assert!(matches!(known, Some(Begun::SameEvent(_))), "{known:?}");
    assert_eq!(shop.journal.known(Event::parse("guid=b").request()).await.unwrap(), None);
}

#[tokio::test]
async fn a_journal_that_is_moved_away_is_noticed() {
    notices(|path| fs::rename(path, path.with_extension("old")).unwrap()).await;
}

#[tokio::test]
async fn a_journal_that_is_replaced_is_noticed() {
    notices(|path| {
        let copy = path.with_extension("copy");
        fs::copy(path, &copy).unwrap();
        fs::rename(copy, path).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_log_that_is_deleted_is_noticed() {
    notices(|path| fs::remove_file(format!("{}-wal", path.display())).unwrap()).await;
}

#[test]
fn a_start_notices_that_its_journal_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let state_dir = folder.path().join("state");
    let path = state_dir.join("payments.db");
    let lock = StateLock::take(&state_dir, "").unwrap();
    assert!(!lock.misses_journal(&path), "the first start");
    drop(SqliteJournal::open(&path, options()).unwrap());
    drop(lock);
    let lock = StateLock::take(&state_dir, "").unwrap();
    assert!(!lock.misses_journal(&path), "a later start");
    fs::remove_file(&path).unwrap();
    assert!(lock.misses_journal(&path), "the file is gone");
    drop(lock);

    // Nothing is left but a log that was not brought into its database.
    fs::remove_dir_all(&state_dir).unwrap();
    fs::create_dir(&state_dir).unwrap();
    fs::write(state_dir.join("payments.db-wal"), "leftovers").unwrap();
    assert!(StateLock::take(&state_dir, "").unwrap().misses_journal(&path));
}
