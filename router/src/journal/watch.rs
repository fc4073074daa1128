//! Whether the journal is still the file that was opened.
//!
//! SQLite goes on writing into a file that somebody moved away or deleted. A router that started later would make a new one,
//! and would know nothing of what was paid.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The database and its log, as they were when they were opened.
pub(super) struct Watch {
    files: Vec<(PathBuf, Place)>,
}

/// What stays the same of a file whatever is written into it: its file system and its number there.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    device: u64,
    inode: u64,
}

impl Watch {
    /// Watches over a database that has just been opened, and over its log if there is one yet.
    pub(super) fn over(database: &Path) -> io::Result<Watch> {
        let mut files = vec![(database.to_owned(), place(database)?)];
        let log = log_of(database);
        if let Ok(place) = place(&log) {
            files.push((log, place));
        }
        Ok(Watch { files })
    }

    /// Asks the file system, not the files: a millionth of what a commit takes.
    pub(super) fn require(&self) -> Result<(), String> {
        let lost = self.files.iter().find(|(path, opened)| !place(path).is_ok_and(|now| now == *opened));
        lost.map_or(Ok(()), |(path, _)| {
            Err(format!("{} was moved, deleted or replaced under the running router; put it back", path.display()))
        })
    }
}

/// Whether a start would make a new, empty journal although something is left of an older one.
pub(super) fn is_lost(database: &Path, used_before: bool) -> bool {
    let is_empty = fs::metadata(database).map_or(true, |metadata| metadata.len() == 0);
    let log_is_left = fs::metadata(log_of(database)).is_ok_and(|metadata| metadata.len() > 0);
    is_empty && (used_before || log_is_left)
}

fn log_of(database: &Path) -> PathBuf {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    PathBuf::from(log)
}

fn place(path: &Path) -> io::Result<Place> {
    let metadata = fs::metadata(path)?;
    Ok(Place { device: metadata.dev(), inode: metadata.ino() })
}
