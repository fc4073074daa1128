//! What is told as it happens: server-sent events (WHATWG HTML, 9.2).

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use hyper::header::CACHE_CONTROL;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use warp::Reply;
use warp::reply::Response;
use warp::sse::{self, Event as Sent};

use crate::answer::Answer;
use crate::code::Code;
use crate::life::Life;
use crate::metrics::Connected;
use crate::server::UntilClientLeaves;

/// A comment now and then finds out who is gone without having closed the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Listeners at most.
const LISTENERS: usize = 32;

/// A stream of events from now on. Whoever lags too far behind gets the event `reload`: look at the payments anew.
pub fn stream(life: &Life, seats: &Seats) -> Result<Response, Answer> {
    let seat = seats.take(life).ok_or_else(|| {
        Answer::error(429, Code::TooMany, format!("{LISTENERS} listeners are here already; close one of them"))
    })?;
    let state = (life.events.listen(), life.events.over(), seat);
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
    let mut response = sse::reply(sse::keep_alive().interval(KEEP_ALIVE).stream(sent)).into_response();
    // What it says by itself would allow a cache to keep it.
    response.headers_mut().remove(CACHE_CONTROL);
    response.extensions_mut().insert(UntilClientLeaves);
    Ok(response)
}

/// The places for listeners of one router. Cheap to clone.
#[derive(Clone)]
pub struct Seats(Arc<Semaphore>);

impl Default for Seats {
    fn default() -> Seats {
        Seats(Arc::new(Semaphore::new(LISTENERS)))
    }
}

impl Seats {
    fn take(&self, life: &Life) -> Option<Seat> {
        let place = self.0.clone().try_acquire_owned().ok()?;
        Some(Seat { _place: place, _counted: life.metrics.listens() })
    }
}

/// One of the places, given back when it is dropped.
struct Seat {
    _place: OwnedSemaphorePermit,
    _counted: Connected,
}
