//! Which payments are running right now, and how somebody waits for one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tillswitch_core::PaymentId;
use tokio::sync::watch;

use crate::code::Code;
use crate::journal::Payment;

/// The running payments. Cheap to clone.
///
/// A payment is entered before it is written down and leaves after its end was written down, so whoever finds none here
/// reads a settled payment from the journal.
#[derive(Clone, Debug, Default)]
pub struct Live(Arc<Mutex<HashMap<PaymentId, watch::Sender<Progress>>>>);

/// How far a running payment is.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Under way; the last line for the cashier, if there was one.
    Running(Option<Arc<str>>),
    /// It has ended, as it stands on disk.
    Ended(Arc<Payment>),
    /// It has ended and that could not be written down: it is in doubt until a restart has found out.
    Unwritten(Arc<str>),
    /// It never started and never will; the request may come again.
    NotBegun {
        /// For programs.
        code: Code,
        /// For people.
        message: Arc<str>,
    },
    /// It was given up before it began; the request may come again.
    Withdrawn,
}

/// Somebody who waits for the end of a payment.
#[derive(Clone, Debug)]
pub struct Waiter(watch::Receiver<Progress>);

/// The running payment's own end of it. Dropping it wakes everybody who waits.
#[derive(Debug)]
pub struct Entry {
    live: Live,
    id: PaymentId,
    sender: watch::Sender<Progress>,
}

impl Live {
    /// Enters a payment.
    pub fn enter(&self, id: PaymentId) -> Entry {
        let sender = watch::Sender::new(Progress::Running(None));
        self.map().insert(id, sender.clone());
        Entry { live: self.clone(), id, sender }
    }

    /// Waits for a payment, if it is running.
    pub fn waiter(&self, id: PaymentId) -> Option<Waiter> {
        self.map().get(&id).map(|sender| Waiter(sender.subscribe()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.map().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn map(&self) -> MutexGuard<'_, HashMap<PaymentId, watch::Sender<Progress>>> {
        self.0.lock().expect("nothing panics while it holds the running payments")
    }
}

impl Entry {
    /// Which payment it is.
    pub fn id(&self) -> PaymentId {
        self.id
    }

    /// Somebody who waits for this payment.
    pub fn waiter(&self) -> Waiter {
        Waiter(self.sender.subscribe())
    }

    /// Where lines for the cashier go.
    pub fn display(&self) -> watch::Sender<Progress> {
        self.sender.clone()
    }

    /// Tells everybody how it ended, and leaves.
    pub fn end(self, progress: Progress) {
        self.sender.send_replace(progress);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.live.map().remove(&self.id);
        self.sender.send_if_modified(|progress| {
            let open = matches!(progress, Progress::Running(_));
            if open {
                *progress = Progress::Withdrawn;
            }
            open
        });
    }
}

impl Waiter {
    /// Completes when the payment has ended. Cancel-safe.
    pub async fn end(&mut self) -> Progress {
        match self.0.wait_for(|progress| !matches!(progress, Progress::Running(_))).await {
            Ok(progress) => progress.clone(),
            Err(_) => Progress::Withdrawn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_entry_wakes_whoever_waits() {
        let live = Live::default();
        let id = PaymentId::generate();
        let entry = live.enter(id);
        let mut waiter = live.waiter(id).unwrap();
        entry.display().send_replace(Progress::Running(Some("insert card".into())));
        drop(entry);
        assert!(matches!(waiter.end().await, Progress::Withdrawn));
        assert!(live.waiter(id).is_none() && live.is_empty());
    }

    #[tokio::test]
    async fn everybody_hears_the_end() {
        let live = Live::default();
        let id = PaymentId::generate();
        let entry = live.enter(id);
        let mut first = entry.waiter();
        let mut second = live.waiter(id).unwrap();
        entry.end(Progress::Unwritten("disk full".into()));
        assert!(matches!(first.end().await, Progress::Unwritten(_)));
        assert!(matches!(second.end().await, Progress::Unwritten(_)));
        assert!(live.is_empty());
    }
}
