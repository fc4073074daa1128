//! Did the client get its answer?

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use super::wire::{Transport, Wire};

/// After which pause a connection is first asked whether it was reset. Each further pause is twice as long: a reset comes
/// within a round trip, and a client that closed after reading must not cost two hundred wake-ups.
const FIRST_PROBE: Duration = Duration::from_millis(5);

/// A notice that a handler attaches to its answer: called once, when the answer was written to its end and the client
/// was still there to read it. Otherwise it is dropped uncalled.
///
/// "Still there" is as much as TCP tells: no reset, and either no end of the client's data, or none followed by a reset
/// within [`Limits::settle`](super::Limits::settle). A client that dies with the answer in its receive buffer is taken
/// for one that has read it.
///
/// ```
/// use tillswitch::server::Delivered;
/// let mut reply = warp::reply::Response::new("paid".into());
/// reply.extensions_mut().insert(Delivered::new(|| println!("the till knows")));
/// ```
#[derive(Clone)]
pub struct Delivered(Arc<Mutex<Option<Notice>>>);

type Notice = Box<dyn FnOnce() + Send>;

impl Delivered {
    /// Calls `notice` on delivery. It runs on the connection's task, so it must not block.
    pub fn new(notice: impl FnOnce() + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(notice)))))
    }

    /// Calls the notice, the first time only.
    pub(super) fn trigger(&self) {
        let notice = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(notice) = notice {
            notice();
        }
    }
}

impl fmt::Debug for Delivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Delivered")
    }
}

/// Whether the client that was just answered can have read the answer.
pub(super) async fn reached<S: Transport>(wire: &mut Wire<S>, settle: Duration) -> bool {
    // A client that left while the answer was being written is known to the kernel, but to the runtime only after it has
    // asked the kernel again.
    yield_now().await;
    let looked = poll_fn(|cx| Poll::Ready(wire.watch(cx))).await;
    match looked {
        Err(_) => false,
        Ok(()) if !wire.ended => wire.stream.peer_error().is_none(),
        Ok(()) => stays_quiet(&mut wire.stream, settle).await,
    }
}

/// A client that closed its side and then gets bytes it no longer wants resets the connection. One that only said
/// "that was all" stays quiet.
async fn stays_quiet<S: Transport>(stream: &mut S, settle: Duration) -> bool {
    let until = Instant::now() + settle;
    let mut pause = FIRST_PROBE;
    while stream.peer_error().is_none() {
        if Instant::now() >= until {
            return true;
        }
        sleep_until(until.min(Instant::now() + pause)).await;
        pause *= 2;
    }
    false
}
