//! Does the router still do its work, or must it be started anew?
//!
//! A supervisor that hears no sign of life for its time (`WatchdogSec=`) ends the router without asking and starts it again.
//! That costs: what runs at a terminal is in doubt afterwards and, where the terminal cannot be asked, waits for a person. So
//! a restart is worth it only where it cures, and where nothing that runs could have ended well anyway:
//!
//! | what happens | sign of life | why |
//! |---|---|---|
//! | no task of the program gets a turn | none | nobody is answered, no terminal is acknowledged. The sign comes from such a task |
//! | the journal's writer is at one commit for [`HANGS_AFTER`] | none | no payment can begin or end, and a lock or a thread that hangs is cured by a new process |
//! | a listener's task has ended by itself | none | no till gets through, and nothing else opens the listener again |
//! | the disk is slow | goes on | payments wait, refuse or are taken back by the terminal; all of that is safe |
//! | the journal is read-only, the disk is full | goes on | a new process finds the same disk; refund, search and the alarm work in the old one |
//! | a terminal hangs, however long | goes on | `payment_deadline` ends it, and the others work |
//! | the router stops | goes on | the stop has a time of its own |

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::journal::Journal;

/// A disk may take this long for one commit. It is the time after which Linux itself reports a task that waits for a disk,
/// and longer than an SD card or a disk behind a failing cable takes to come back.
pub const HANGS_AFTER: Duration = Duration::from_secs(120);

/// What has to move in a router that works.
#[derive(Clone)]
pub struct Pulse {
    journal: Arc<dyn Journal>,
    listeners: Vec<AbortHandle>,
    closing: watch::Receiver<Option<Instant>>,
    hangs_after: Duration,
}

impl Pulse {
    pub(crate) fn new(
        journal: Arc<dyn Journal>,
        listeners: Vec<AbortHandle>,
        closing: watch::Receiver<Option<Instant>>,
    ) -> Pulse {
        Pulse { journal, listeners, closing, hangs_after: HANGS_AFTER }
    }

    /// Why the router has to be started anew, if so.
    pub fn fault(&self) -> Option<&'static str> {
        if self.journal.writing_for().is_some_and(|time| time >= self.hangs_after) {
            return Some("the journal's writer hangs");
        }
        let is_closing = self.closing.borrow().is_some();
        (!is_closing && self.listeners.iter().any(AbortHandle::is_finished)).then_some("a listener has ended")
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::journal::{Disk, Options, SqliteJournal};

    /// A disk whose commits tell that they have begun, and end when they are told how.
    struct Held {
        begun: Sender<()>,
        end: Receiver<Result<(), String>>,
    }

    impl Disk for Held {
        fn commit(&mut self, commit: &mut dyn FnMut() -> Result<(), String>) -> Result<(), String> {
            self.begun.send(()).unwrap();
            self.end.recv().unwrap()?;
            commit()
        }

        fn free(&mut self, _: &Path) -> io::Result<u64> {
            Ok(u64::MAX)
        }
    }

    fn pulse(journal: &Arc<SqliteJournal>, hangs_after: Duration) -> Pulse {
        let (_, closing) = watch::channel(None);
        Pulse { hangs_after, ..Pulse::new(journal.clone(), Vec::new(), closing) }
    }

    #[tokio::test]
    async fn a_writer_that_hangs_stops_the_pulse_and_a_slow_or_failed_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let ((begun, begins), (ends, end)) = (channel(), channel());
        let disk = Box::new(Held { begun, end });
        let path = folder.path().join("payments.db");
        let journal = Arc::new(SqliteJournal::open_on(&path, Options::default(), disk).unwrap());
        let (strict, patient) = (pulse(&journal, Duration::ZERO), pulse(&journal, HANGS_AFTER));
        assert_eq!(strict.fault(), None, "a writer with nothing to do does not hang");

        let writing = tokio::spawn({
            let journal = journal.clone();
            async move { journal.recover().await }
        });
        tokio::task::spawn_blocking(move || begins.recv()).await.unwrap().unwrap();
        assert_eq!(strict.fault(), Some("the journal's writer hangs"));
        assert_eq!(patient.fault(), None, "a disk may be slow");

        ends.send(Err("it broke".to_owned())).unwrap();
        assert!(writing.await.unwrap().is_err());
        assert!(journal.health().is_err(), "the journal is read-only");
        while strict.fault().is_some() {
            tokio::task::yield_now().await;
        }
        assert_eq!(patient.fault(), None);
    }

    #[tokio::test]
    async fn a_listener_that_ends_by_itself_stops_the_pulse_and_a_stop_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(&folder.path().join("payments.db"), Options::default()).unwrap();
        let (close, closing) = watch::channel(None);
        let (deaf, listens) = (tokio::spawn(async {}), tokio::spawn(std::future::pending::<()>()));
        let pulse = |listener: AbortHandle| Pulse::new(Arc::new(journal), vec![listener], closing);
        let pulse = pulse(listens.abort_handle());
        assert_eq!(pulse.fault(), None);
        let pulse = Pulse { listeners: vec![deaf.abort_handle()], ..pulse };
        deaf.await.unwrap();
        assert_eq!(pulse.fault(), Some("a listener has ended"));
        close.send_replace(Some(Instant::now()));
        assert_eq!(pulse.fault(), None);
        listens.abort();
    }
}
