//! Who uses the state folder: one router at a time.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{schema, watch};

/// The file in the state folder that is locked.
const FILE: &str = "router.lock";
/// More than a holder ever writes.
const MAX_HOLDER_BYTES: u64 = 4096;

/// This router holds the state folder until the value is dropped, or until the process ends, however it ends.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
    used_before: bool,
}

/// Why the state folder was not taken.
#[derive(Debug)]
pub enum NotTaken {
    /// Another router holds it.
    Held(Held),
    /// The folder or its lock cannot be made or read.
    Unusable {
        /// The file or the folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// The router that holds a state folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The folder.
    pub state_dir: PathBuf,
    /// Who holds it, in its own words: process, since when, address.
    pub holder: String,
}

impl StateLock {
    /// Takes the folder, making it if it is not there. `listen` is told to whoever comes second.
    pub fn take(state_dir: &Path, listen: &str) -> Result<StateLock, NotTaken> {
        let path = state_dir.join(FILE);
        let unusable = |error| NotTaken::Unusable { path: path.clone(), error };
        schema::private_folder(state_dir).map_err(unusable)?;
        let used_before = path.exists();
        let mut file = open(&path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = holder(&file).map_err(unusable)?;
                return Err(NotTaken::Held(Held { state_dir: state_dir.to_owned(), holder }));
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        schema::make_private(&file, &path).map_err(unusable)?;
        sign(&mut file, listen).map_err(unusable)?;
        warn_of_others(state_dir);
        Ok(StateLock { _file: file, used_before })
    }

    /// Whether a router has worked here before and its journal is not there any more. To be asked before it is opened:
    /// what is paid in it would be paid again.
    pub fn misses_journal(&self, database: &Path) -> bool {
        watch::is_lost(database, self.used_before)
    }
}

/// A folder that was there before keeps its mode, and is spoken of.
fn warn_of_others(state_dir: &Path) {
    let Ok(metadata) = std::fs::metadata(state_dir) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    let remedy = format!("chmod 700 {}", state_dir.display());
    if mode & 0o022 != 0 {
        tracing::error!(remedy, "other users can replace the journal in {} (mode {mode:03o})", state_dir.display());
    } else if mode & 0o077 != 0 {
        tracing::warn!(remedy, "other users can look into {} (mode {mode:03o})", state_dir.display());
    }
}

/// Without truncating: the words of the one who holds it are to be read.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn holder(file: &File) -> io::Result<String> {
    let mut text = String::new();
    file.take(MAX_HOLDER_BYTES).read_to_string(&mut text)?;
    let text = text.trim();
    // The other one may have locked the file a moment ago and not signed it yet.
    Ok(if text.is_empty() { "a router that is just starting".into() } else { text.into() })
}

fn sign(file: &mut File, listen: &str) -> io::Result<()> {
    let since = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "process {}, since {since}, listening on {listen}", std::process::id())?;
    file.flush()
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "another router uses {} ({}); stop that one, or give this one a state_dir of its own",
            self.state_dir.display(),
            self.holder
        )
    }
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotTaken::Held(held) => held.fmt(f),
            NotTaken::Unusable { path, error } => {
                write!(f, "{} cannot be used: {error}; check that this user may write there", path.display())
            }
        }
    }
}

impl std::error::Error for NotTaken {}
