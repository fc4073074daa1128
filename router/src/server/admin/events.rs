//! What is told as it happens: server-sent events (WHATWG HTML, 9.2).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream;
use tokio::sync::broadcast::error::RecvError;
use warp::Reply;
use warp::reply::Response;
use warp::sse::{self, Event as Sent};

use crate::answer::Answer;
use crate::code::Code;
use crate::events::Events;

/// A comment now and then finds out who has left.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Listeners at most.
const LISTENERS: usize = 32;

static LISTENING: AtomicUsize = AtomicUsize::new(0);

/// A stream of events from now on. Whoever lags too far behind gets the event `reload`: look at the payments anew.
pub fn stream(events: &Events) -> Result<Response, Answer> {
    let seat = Seat::take().ok_or_else(|| {
        Answer::error(429, Code::TooMany, format!("{LISTENERS} listeners are here already; close one of them"))
    })?;
    let state = (events.listen(), events.over(), seat);
    let sent = stream::unfold(state, |(mut events, mut over, seat)| async move {
        let received = tokio::select! {
            biased;
            received = events.recv() => received,
            // A stream that stays open would hold up the router's stop.
            _ = over.wait_for(|over| *over) => return None,
        };
        let sent = match received {
            Ok(event) => Sent::default().event(event.name()).data(event.data().to_string()),
            Err(RecvError::Lagged(_)) => Sent::default().event("reload").data("{}"),
            Err(RecvError::Closed) => return None,
        };
        Some((Ok::<_, std::convert::Infallible>(sent), (events, over, seat)))
    });
    Ok(sse::reply(sse::keep_alive().interval(KEEP_ALIVE).stream(sent)).into_response())
}

/// One of the places for listeners.
struct Seat;

impl Seat {
    fn take() -> Option<Seat> {
        let taken =
            LISTENING.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| (now < LISTENERS).then_some(now + 1));
        taken.is_ok().then_some(Seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        LISTENING.fetch_sub(1, Ordering::AcqRel);
    }
}
