//! How the journal's file comes to be, and which file is refused.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::failure::{self, Severity};
use super::{JournalError, State};

/// What turns version n into version n + 1, from the empty file on. A script that was released is never changed.
const VERSIONS: &[&str] = &[include_str!("schema.sql")];
/// `TlSw` in SQLite's header: this file is a journal of Tillswitch.
const APPLICATION_ID: i64 = 0x546C_5377;
/// How long another program (somebody's `sqlite3`) may hold the file before it is in the way.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Statements that are kept prepared; more than the journal has.
const STATEMENTS: usize = 96;

/// Opens the file for the writer, creating or migrating it as needed.
pub(super) fn open(path: &Path) -> Result<Connection, JournalError> {
    create_private(path).map_err(|error| cannot_open(path, &error))?;
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    prepare(&connection, path, VERSIONS).map_err(|failure| match failure {
        failure::Failure::Refused(error) => error,
        failure::Failure::Sql(error) => open_error(path, &error),
    })?;
    Ok(connection)
}

/// Opens a file that [`open`] has prepared, for reading only.
pub(super) fn open_reader(path: &Path) -> Result<Connection, JournalError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    // The log is opened by the first read. It has to be open before somebody moves it away.
    count_tables(&connection).map_err(|error| open_error(path, &error))?;
    Ok(connection)
}

/// Makes a folder that only its owner can look into, whatever the umask says; one that is there already keeps its mode, because
/// others may have been let in on purpose, or more may be in it than ours. When this returns, its name survives a power cut, and
/// so do those of the folders around it: whatever is synced inside of it would be gone with them.
pub(super) fn private_folder(folder: &Path) -> io::Result<()> {
    let is_new: Vec<bool> = folder.ancestors().map(|folder| !named(folder).exists()).collect();
    if !folder.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    }
    let device = fs::metadata(folder)?.dev();
    for (parent, holds_new) in folder.ancestors().skip(1).zip(is_new) {
        match File::open(named(parent)) {
            Ok(parent) if parent.metadata()?.dev() == device => parent.sync_all()?,
            Err(error) if holds_new => return Err(error),
            // An old name may be one that a killed start left unsynced. Where nobody may look, somebody else made it.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

/// The folder that a relative path begins in has no name of its own.
fn named(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

/// Takes everybody else's rights from a file of ours, and gives its owner those that a umask may have taken. Where it is
/// another user's file it is as it is.
pub(super) fn make_private(file: &File, path: &Path) -> io::Result<()> {
    let mode = file.metadata()?.permissions().mode() & 0o777;
    if mode == 0o600 {
        return Ok(());
    }
    match file.set_permissions(Permissions::from_mode(0o600)) {
        Err(error) => tracing::warn!(file = %path.display(), mode = format!("{mode:03o}"), "its mode stays: {error}"),
        Ok(()) if mode & 0o077 != 0 => {
            tracing::warn!(file = %path.display(), "others could read or change it (mode {mode:03o}); now they cannot");
        }
        Ok(()) => {}
    }
    Ok(())
}

/// Makes a file that only its owner can read. SQLite gives its companions the same mode.
fn create_private(path: &Path) -> io::Result<()> {
    let folder = named(path.parent().unwrap_or(path));
    private_folder(folder)?;
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    make_private(&file, path)?;
    for companion in ["-wal", "-shm"].map(|ending| with_ending(path, ending)) {
        // Those that a run before this one left behind; SQLite makes new ones like the file itself.
        if let Ok(file) = File::open(&companion) {
            make_private(&file, &companion)?;
            file.sync_all()?;
        }
    }
    // What a killed router wrote, there and in the log, and never synced is told from here on as being on the disk.
    file.sync_all()?;
    // The file's name has to survive a power cut as well as its content.
    sync_names(path)
}

/// Makes the names of the files durable. SQLite does this for its log, too, and does not look whether it succeeded.
fn sync_names(path: &Path) -> io::Result<()> {
    File::open(named(path.parent().unwrap_or(path)))?.sync_all()
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, JournalError> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| open_error(path, &error))?;
    let settings = || {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // Otherwise every new value that is bound may have a statement planned again: a tenth of a payment's CPU time.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "temp_store", "memory")
    };
    settings().map_err(|error: rusqlite::Error| open_error(path, &error))?;
    Ok(connection)
}

fn prepare(connection: &Connection, path: &Path, versions: &[&str]) -> Result<(), failure::Failure> {
    if count_tables(connection)? > 0 {
        recognise(connection, versions.len())?;
        check(connection, path)?;
    }
    // Write-ahead logging is a property of the file, `synchronous` of the connection.
    if write_ahead(connection)? != "wal" {
        let text = format!("{}: its file system cannot share memory, which SQLite's WAL needs", path.display());
        return Err(JournalError::ReadOnly(text).into());
    }
    // The first read makes the log. Its name has to be on the disk before anything in it is.
    count_tables(connection)?;
    sync_names(path).map_err(|error| cannot_open(path, &error))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The writer runs the checkpoints itself, so that an error of one is not overlooked.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", 16 << 20)?;
    migrate(connection, path, versions)?;
    know_all_states(connection)
}

/// A payment in a state of a later version would be found by no question for open ones: it would be lost without a word.
fn know_all_states(connection: &Connection) -> Result<(), failure::Failure> {
    let names = State::ALL.map(State::name);
    // The inner question is answered by an index alone: a start reads no payment for it.
    let sql = "SELECT id, state FROM payments WHERE state =
        (SELECT state FROM payments WHERE state NOT IN (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) LIMIT 1) LIMIT 1";
    let stranger = connection.query_row(sql, names, |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((id, state)): Option<(String, String)> = stranger else { return Ok(()) };
    let text = format!(
        "payment {id} is in the state {state:?}, and this Tillswitch knows {}; start the Tillswitch that wrote it, or a \
         newer one",
        names.join(", ")
    );
    Err(JournalError::Damaged(text).into())
}

/// Switches to write-ahead logging and says which mode is in use. SQLite names the new mode before it has written it down, so
/// that a disk which fails is noticed only by whoever waits for the statement's end.
fn write_ahead(connection: &Connection) -> rusqlite::Result<String> {
    let mut statement = connection.prepare("PRAGMA journal_mode = WAL")?;
    let mut rows = statement.query([])?;
    let mut mode = String::new();
    while let Some(row) = rows.next()? {
        mode = row.get(0)?;
    }
    Ok(mode)
}

fn count_tables(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
}

fn recognise(connection: &Connection, newest: usize) -> Result<(), failure::Failure> {
    let application: i64 = pragma(connection, "application_id")?;
    if application != APPLICATION_ID {
        return Err(JournalError::Damaged("the file is a database, but not a journal of Tillswitch".into()).into());
    }
    let version: i64 = pragma(connection, "user_version")?;
    if !(1..=newest as i64).contains(&version) {
        let text = format!(
            "it has schema version {version} and this Tillswitch knows versions 1 to {newest}; \
             start the Tillswitch that wrote it, or a newer one"
        );
        return Err(JournalError::Damaged(text).into());
    }
    Ok(())
}

fn check(connection: &Connection, path: &Path) -> Result<(), failure::Failure> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(damaged(path, &found).into()) }
}

/// What SQLite found, in one line and without its headings, and the way out.
fn damaged(path: &Path, found: &str) -> JournalError {
    let lines = found.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("***"));
    let (found, path) = (lines.collect::<Vec<_>>().join(", "), path.display());
    JournalError::Damaged(format!(
        "{path}: {found}; keep copies of {path}, {path}-wal and {path}-shm, then repair the journal with \
         `sqlite3 {path} .recover`, or move the three files away and accept that old events are unknown and would be \
         paid again"
    ))
}

/// Runs the scripts that the file has not seen, in one transaction, after copying a file that has content.
fn migrate(connection: &Connection, path: &Path, versions: &[&str]) -> Result<(), failure::Failure> {
    let version: i64 = pragma(connection, "user_version")?;
    let done = version as usize;
    if done == versions.len() {
        return Ok(());
    }
    if done > 0 {
        copy(connection, path, done)?;
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for script in &versions[done..] {
        connection.execute_batch(script)?;
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", versions.len() as i64)?;
    Ok(connection.execute_batch("COMMIT")?)
}

/// Copies the whole journal to a file beside it, named for its version.
fn copy(connection: &Connection, path: &Path, version: usize) -> Result<(), failure::Failure> {
    let copy = copy_path(path, version);
    let unreachable = |error: io::Error| cannot_open(&copy, &error);
    // What an interrupted migration left is not a whole copy.
    if copy.exists() {
        fs::remove_file(&copy).map_err(unreachable)?;
    }
    create_private(&copy).map_err(unreachable)?;
    connection.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
    File::open(&copy).and_then(|file| file.sync_all()).map_err(unreachable)?;
    Ok(())
}

fn copy_path(path: &Path, version: usize) -> PathBuf {
    with_ending(path, &format!(".version-{version}"))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

fn cannot_open(path: &Path, error: &io::Error) -> JournalError {
    JournalError::ReadOnly(format!("{}: {error}", path.display()))
}

fn open_error(path: &Path, error: &rusqlite::Error) -> JournalError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    let is_damage = matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase));
    if is_damage || failure::severity(error) == Severity::Statement {
        return damaged(path, &error.to_string());
    }
    JournalError::ReadOnly(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEXT: &str = "ALTER TABLE payments ADD COLUMN colour TEXT";

    fn version_of(path: &Path) -> i64 {
        pragma(&Connection::open(path).unwrap(), "user_version").unwrap()
    }

    #[test]
    fn a_folder_is_made_with_those_around_it_and_only_its_owner_can_look_into_it() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("var/lib/state");
        private_folder(&inner).unwrap();
        private_folder(&inner).unwrap();
        assert_eq!(fs::metadata(&inner).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(named(Path::new("state").parent().unwrap()), Path::new("."));
        fs::write(folder.path().join("file"), "no folder").unwrap();
        assert!(private_folder(&folder.path().join("file/state")).is_err());
    }

    #[test]
    fn an_older_journal_is_migrated_after_a_copy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("payments.db");
        drop(open(&path).unwrap());
        let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        prepare(&connection, &path, &[VERSIONS[0], NEXT]).unwrap();
        drop(connection);
        assert_eq!((version_of(&path), version_of(&copy_path(&path, 1))), (2, 1));
        let mode = fs::metadata(copy_path(&path, 1)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_migration_that_fails_leaves_the_journal_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("payments.db");
        drop(open(&path).unwrap());
        let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        assert!(prepare(&connection, &path, &[VERSIONS[0], NEXT, "ALTER TABLE nothing RENAME TO any"]).is_err());
        drop(connection);
        assert_eq!(version_of(&path), 1);
        // The copy of the first attempt is replaced by that of the second.
        let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        prepare(&connection, &path, &[VERSIONS[0], NEXT]).unwrap();
        assert_eq!(version_of(&path), 2);
    }
}
