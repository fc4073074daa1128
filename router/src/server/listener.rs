//! Who is let in, how many at once, and how does the server stop?

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinSet, yield_now};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::connection::Connection;
use super::fault::Fault;
use super::places::{NoPlace, Place, Places};
use super::wire::{Accept, Plain, Wire};
use super::{Callers, Handler, Limits};

/// How many clients at a time are told that there is no place. The ones beyond are closed without a word.
const REFUSALS: usize = 32;
/// How often the connections that have a place get a turn before a newcomer is turned away.
const LOOKS: usize = 3;
/// How long a newcomer waits for a place at most, and everybody behind it.
const PLACE_WAIT: Duration = Duration::from_secs(1);
/// How long to wait when accepting fails, which it does when the process has run out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How a server stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut because their request was not answered in time.
    pub cut_off: usize,
}

/// Serves plain HTTP/1.1 until `shutdown` completes, then until the instant that it completed with at the latest.
///
/// After `shutdown` nobody new is accepted, resting connections are closed, running requests are answered with
/// `Connection: close`. Dropping this future instead cuts everything at once.
///
/// ```no_run
/// # async fn example(stop: tokio::sync::oneshot::Receiver<()>) -> std::io::Result<()> {
/// use std::time::Duration;
/// use tillswitch::server::{Limits, routes, serve};
/// use tokio::time::Instant;
/// use warp::Filter;
///
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:5000").await?;
/// let filter = warp::path!("webhook").and(warp::post()).and(warp::body::bytes()).map(|_raw| "paid");
/// let shutdown = async {
///     let _ = stop.await;
///     Instant::now() + Duration::from_secs(200)
/// };
/// serve(listener, routes(filter), Limits::default(), shutdown).await;
/// # Ok(())
/// # }
/// ```
pub async fn serve<H: Handler>(
    listener: TcpListener,
    handler: H,
    limits: Limits,
    shutdown: impl Future<Output = Instant>,
) -> Drained {
    serve_with(listener, Plain, handler, limits, Callers::default(), shutdown).await
}

/// [`serve`] with something around the socket, such as TLS, for callers of whom some are known.
pub async fn serve_with<A: Accept, H: Handler>(
    listener: TcpListener,
    accept: A,
    handler: H,
    limits: Limits,
    callers: Callers,
    shutdown: impl Future<Output = Instant>,
) -> Drained {
    let (close, closing) = watch::channel(false);
    let door = Arc::new(Door::new(accept, handler, limits, callers, closing));
    let mut clients = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    let until = loop {
        tokio::select! {
            until = &mut shutdown => break until,
            Some(ended) = clients.join_next() => report(ended),
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => door.let_in(&mut clients, socket, peer).await,
                Err(error) => pause(&error).await,
            },
        }
    };
    drop(listener);
    close.send_replace(true);
    drain(clients, until).await
}

async fn pause(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    sleep(ACCEPT_PAUSE).await;
}

/// A panic in a route ends its connection only.
fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("a request's handler panicked; its connection was closed");
    }
}

async fn drain(mut clients: JoinSet<()>, until: Instant) -> Drained {
    while let Ok(Some(ended)) = timeout_at(until, clients.join_next()).await {
        report(ended);
    }
    let cut_off = clients.len();
    clients.shutdown().await;
    Drained { cut_off }
}

/// What all connections of one listener share.
struct Door<A, H> {
    accept: A,
    handler: H,
    limits: Arc<Limits>,
    closing: watch::Receiver<bool>,
    places: Arc<Places>,
    refusals: Arc<Semaphore>,
}

impl<A: Accept, H: Handler> Door<A, H> {
    fn new(accept: A, handler: H, limits: Limits, callers: Callers, closing: watch::Receiver<bool>) -> Self {
        Self {
            accept,
            handler,
            closing,
            places: Places::new(limits.max_connections, limits.max_per_stranger, limits.head_start, callers),
            refusals: Arc::new(Semaphore::new(REFUSALS)),
            limits: Arc::new(limits),
        }
    }

    async fn let_in(self: &Arc<Self>, clients: &mut JoinSet<()>, socket: TcpStream, peer: SocketAddr) {
        if let Some(place) = self.place(peer).await {
            clients.spawn(self.clone().attend(socket, peer, place));
        } else if let Ok(permit) = self.refusals.clone().try_acquire_owned() {
            clients.spawn(self.clone().turn_away(socket, peer, permit));
        }
    }

    /// In a burst, connections are taken in faster than they are looked at, and who was not looked at does not give way yet.
    /// So they get a turn, and then their head start, before somebody is turned away. The next ones wait in the system's queue.
    async fn place(&self, peer: SocketAddr) -> Option<Place> {
        let mut looks = 0;
        let deadline = Instant::now() + PLACE_WAIT;
        loop {
            match self.places.take(peer.into()) {
                Ok(place) => return Some(place),
                Err(NoPlace::Until(until)) if until < deadline => sleep_until(until).await,
                Err(NoPlace::Busy) if looks < LOOKS => {
                    looks += 1;
                    yield_now().await;
                }
                Err(NoPlace::Until(_) | NoPlace::Busy) => return None,
            }
        }
    }

    async fn attend(self: Arc<Self>, socket: TcpStream, peer: SocketAddr, place: Place) {
        let accepted = Instant::now();
        let opened = tokio::select! {
            opened = place.waiting(self.open(socket, peer)) => opened,
            () = place.given_away() => None,
        };
        let Some(mut connection) = opened else { return };
        let given_away = tokio::select! {
            biased;
            () = connection.run(&self.handler, &place, accepted) => false,
            () = place.given_away() => true,
        };
        drop(place);
        // The newcomer has the place already, so these words need one of those that are kept for refusals.
        if given_away && let Ok(_permit) = self.refusals.try_acquire() {
            connection.give_way().await;
        }
    }

    async fn turn_away(self: Arc<Self>, socket: TcpStream, peer: SocketAddr, _permit: OwnedSemaphorePermit) {
        if let Some(mut connection) = self.open(socket, peer).await {
            connection.refuse(Fault::TooMany).await;
        }
    }

    async fn open(&self, socket: TcpStream, peer: SocketAddr) -> Option<Connection<A::Stream>> {
        // Answers are written in one piece, so there is nothing to gain from waiting for more.
        let _ = socket.set_nodelay(true);
        let deadline = Instant::now() + self.limits.header_deadline;
        let stream = timeout_at(deadline, self.accept.accept(socket)).await.ok()?;
        Some(Connection {
            wire: Wire::new(stream.ok()?),
            peer,
            limits: self.limits.clone(),
            closing: self.closing.clone(),
            owes_words: true,
        })
    }
}
