//! How is a router killed that shares its process with the rest of the day?
//!
//! Everything that a run of the router exchanges with the world goes through one gate: its journal, its lines, its answers.
//! When the gate shuts, nothing gets through any more, in either direction and for ever. What is left of that run may go on by
//! itself, but nobody hears of it, which is all that SIGKILL does.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use super::trace::Trace;

/// The gate of one run of the router. Cheap to clone.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    shut: watch::Sender<bool>,
    /// How many steps it is until the router is killed; 0: it is not.
    fuse: AtomicU64,
    trace: Trace,
}

impl Gate {
    /// An open gate. The router is killed at the `fuse`th step.
    pub fn open(fuse: Option<u64>, trace: Trace) -> Gate {
        Gate(Arc::new(Inner { shut: watch::Sender::new(false), fuse: AtomicU64::new(fuse.unwrap_or(0)), trace }))
    }

    /// The router comes to a step at which it may be killed.
    pub fn step(&self, place: &str) {
        let left = self.0.fuse.load(Ordering::Relaxed);
        if left > 0 && !self.is_shut() {
            self.0.fuse.store(left - 1, Ordering::Relaxed);
            if left == 1 {
                self.0.trace.count(&format!("killed {place}"));
                self.shut();
            }
        }
    }

    /// The same for something that gets no further behind a shut gate.
    pub async fn pass(&self, place: &str) {
        self.step(place);
        if self.is_shut() {
            pending().await
        }
    }

    /// Kills the router.
    pub fn shut(&self) {
        self.0.shut.send_replace(true);
    }

    /// Whether the router is dead.
    pub fn is_shut(&self) -> bool {
        *self.0.shut.borrow()
    }

    /// Completes when the router is dead.
    pub async fn is_dead(&self) {
        let mut shut = self.0.shut.subscribe();
        // The sender is here.
        let _ = shut.wait_for(|shut| *shut).await;
    }
}
