//! How a running command learns that somebody wants it to stop.

use std::future;

use tokio::sync::watch;

/// The asking side. Dropping it asks for nothing.
#[derive(Debug)]
pub struct AbortHandle(watch::Sender<bool>);

/// The listening side, cheap to clone.
///
/// An abort is a request: the outcome still decides.
#[derive(Clone, Debug)]
pub struct Abort(watch::Receiver<bool>);

impl AbortHandle {
    /// A handle whose [`Abort`]s have not been asked yet.
    pub fn new() -> AbortHandle {
        AbortHandle(watch::Sender::new(false))
    }

    /// Asks. Asking again changes nothing.
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// What the command listens to.
    pub fn abort(&self) -> Abort {
        Abort(self.0.subscribe())
    }
}

impl Default for AbortHandle {
    fn default() -> AbortHandle {
        AbortHandle::new()
    }
}

impl Abort {
    /// Completes when an abort was asked for, and never otherwise. Cancel-safe; may be awaited again.
    pub async fn requested(&mut self) {
        if self.0.wait_for(|asked| *asked).await.is_err() {
            future::pending::<()>().await;
        }
    }

    /// Whether it was asked for already.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_completes_when_asked_and_stays_so() {
        let handle = AbortHandle::new();
        let mut abort = handle.abort();
        assert!(tokio::time::timeout(Duration::from_secs(3600), abort.requested()).await.is_err());
        handle.request();
        abort.requested().await;
        abort.clone().requested().await;
        assert!(abort.is_requested());
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_handle_asks_for_nothing() {
        let mut abort = AbortHandle::new().abort();
        assert!(tokio::time::timeout(Duration::from_secs(3600), abort.requested()).await.is_err());
    }
}
