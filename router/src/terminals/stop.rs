//! The stages of a graceful stop.

use std::future::Future;

use tokio::sync::watch;

/// How far the stop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// It has not begun.
    Run,
    /// The terminal was taken out of the configuration: nothing new starts there; what runs may end.
    Removed,
    /// The router stops. Nothing new starts; what runs may end.
    Drain,
    /// The grace is over; what still runs is dropped and in doubt.
    Now,
}

/// Waiting for a stage.
pub(super) trait Stages {
    /// Completes when nothing new may start. Cancel-safe.
    fn draining(&mut self) -> impl Future<Output = ()> + Send;
    /// Completes when the grace is over. Cancel-safe.
    fn grace_is_over(&mut self) -> impl Future<Output = ()> + Send;
}

impl Stages for watch::Receiver<Stop> {
    async fn draining(&mut self) {
        reached(self, Stop::Removed).await;
    }

    async fn grace_is_over(&mut self) {
        reached(self, Stop::Now).await;
    }
}

/// A sender that is gone stops nothing: the payment goes on.
async fn reached(stop: &mut watch::Receiver<Stop>, stage: Stop) {
    if stop.wait_for(|now| *now >= stage).await.is_err() {
        std::future::pending::<()>().await;
    }
}
