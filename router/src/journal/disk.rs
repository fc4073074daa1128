//! What the journal asks of the disk besides SQL. The seam where tests let the disk fail.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::JournalError;

/// How old a measurement of the free room may be.
const ROOM_IS_FRESH_FOR: Duration = Duration::from_secs(1);

/// The disk under the journal.
pub trait Disk: Send {
    /// Makes what was written durable by calling `commit` once. An error means that nobody knows what is on the disk.
    fn commit(&mut self, commit: &mut dyn FnMut() -> Result<(), String>) -> Result<(), String> {
        commit()
    }

    /// How many bytes are left for this program in the file system of `folder`.
    fn free(&mut self, folder: &Path) -> io::Result<u64>;
}

/// The disk as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn free(&mut self, folder: &Path) -> io::Result<u64> {
        let room = rustix::fs::statvfs(folder)?;
        Ok(room.f_bavail.saturating_mul(room.f_frsize))
    }
}

/// How much room is left, asked at most once a second.
pub(super) struct Room {
    min_free: u64,
    measured: Option<(Instant, Result<u64, String>)>,
}

impl Room {
    pub(super) fn new(min_free: u64) -> Room {
        Room { min_free, measured: None }
    }

    /// Whether something new may begin. Where the room cannot be measured nothing does.
    pub(super) fn require(&mut self, disk: &mut dyn Disk, folder: &Path) -> Result<(), JournalError> {
        let free = self.measure(disk, folder).map_err(JournalError::NoRoom)?;
        if free < self.min_free {
            let text = format!("{free} bytes are free and min_free is {}", self.min_free);
            return Err(JournalError::NoRoom(text));
        }
        Ok(())
    }

    fn measure(&mut self, disk: &mut dyn Disk, folder: &Path) -> Result<u64, String> {
        let fresh = self.measured.take().filter(|(at, _)| at.elapsed() < ROOM_IS_FRESH_FOR);
        let measure =
            || (Instant::now(), disk.free(folder).map_err(|error| format!("its free room is unknown: {error}")));
        self.measured.insert(fresh.unwrap_or_else(measure)).1.clone()
    }
}
