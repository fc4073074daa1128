//! How does one complete request become one answer that is written to its end?

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::service::TowerToHyperService;
use tokio::time::{Sleep, sleep};

use super::answer::protect;
use super::delivery::Delivered;
use super::places::Place;
use super::wire::{Transport, Wire};

/// What answers requests. Every hyper service over complete bodies that cannot fail is one; see [`routes`] for warp.
pub trait Handler: Send + Sync + 'static {
    /// The body of an answer. It may be a stream.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static;

    /// Answers one request. The future is dropped when the client resets the connection, so what must not be lost runs
    /// elsewhere. The request carries its [`Peer`] as an extension.
    fn call(&self, request: Request<Full<Bytes>>) -> impl Future<Output = Response<Self::Body>> + Send;
}

impl<S, B> Handler for S
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible, Future: Send> + Send + Sync + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    type Body = B;

    async fn call(&self, request: Request<Full<Bytes>>) -> Response<B> {
        match Service::call(self, request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// Makes warp filters a [`Handler`]. What they reject becomes warp's plain-text answer, so they should `recover`.
///
/// ```
/// use warp::Filter;
/// let handler = tillswitch::server::routes(warp::path("ping").map(|| "pong"));
/// # let _ = handler;
/// ```
pub fn routes<F>(filter: F) -> impl Handler + Clone
where
    F: warp::Filter<Error = warp::Rejection> + Clone + Send + Sync + 'static,
    F::Extract: warp::Reply,
{
    TowerToHyperService::new(warp::service(filter))
}

/// The client's address, in the extensions of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// In the extensions of an answer that only tells a present client more and more: it is over when the client has closed its
/// side. Whoever closes it behind an ordinary request still gets the answer.
#[derive(Clone, Copy, Debug)]
pub struct UntilClientLeaves;

/// How an exchange ended.
#[derive(Debug)]
pub(super) enum End {
    /// The whole answer was written, and the client may send another request.
    Open(Option<Delivered>),
    /// The whole answer was written, and it was the last one.
    Last(Option<Delivered>),
    /// The client is gone, or the answer broke off.
    Lost,
}

/// Lets `handler` answer `request`, which is complete, and writes the answer.
///
/// hyper parses, dispatches and encodes. It gets a connection that carries this one request and then neither bytes nor
/// an end, so a client that has closed its side is answered all the same. Whatever else it sends meanwhile waits in the
/// wire's inbox.
pub(super) async fn answer<S: Transport, H: Handler>(
    wire: &mut Wire<S>,
    request: Bytes,
    handler: &H,
    peer: SocketAddr,
    place: &Place,
    write_stall: Duration,
    closing: impl Fn() -> bool,
) -> End {
    let progress = Arc::new(Progress::default());
    let wire = Mutex::new(wire);
    let service = service_fn(|request| respond(request, handler, peer, &progress, &closing));
    let stream = Stream { wire: &wire, request, progress: progress.clone(), place, write_stall, stalled: None };
    let mut connection =
        pin!(http1::Builder::new().half_close(true).header_read_timeout(None).serve_connection(stream, service));
    poll_fn(|cx| {
        if lock(&wire).watch(cx).is_err() {
            return Poll::Ready(End::Lost);
        }
        match connection.as_mut().poll(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(End::Last(progress.notice())),
            Poll::Ready(Err(_)) => Poll::Ready(End::Lost),
            // hyper is content to wait for the next request, which it will not get: this exchange is over.
            Poll::Pending if progress.written.load(Ordering::Relaxed) => Poll::Ready(End::Open(progress.notice())),
            Poll::Pending if progress.until_client_leaves.load(Ordering::Relaxed) && lock(&wire).ended => {
                Poll::Ready(End::Lost)
            }
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn respond<H: Handler>(
    request: Request<Incoming>,
    handler: &H,
    peer: SocketAddr,
    progress: &Arc<Progress>,
    closing: &impl Fn() -> bool,
) -> Result<Response<Tracked<H::Body>>, hyper::Error> {
    let (mut head, body) = request.into_parts();
    head.extensions.insert(Peer(peer));
    let body = Full::new(body.collect().await?.to_bytes());
    let mut response = handler.call(Request::from_parts(head, body)).await;
    protect(response.headers_mut());
    if closing() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    *lock(&progress.notice) = response.extensions_mut().remove();
    let until_client_leaves = response.extensions_mut().remove::<UntilClientLeaves>().is_some();
    progress.until_client_leaves.store(until_client_leaves, Ordering::Relaxed);
    let progress = progress.clone();
    Ok(response.map(|body| Tracked { body: Box::pin(body), ended: false, progress }))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How far an answer has come.
#[derive(Default)]
struct Progress {
    /// hyper wants nothing more from the answer's body.
    taken: AtomicBool,
    /// The body was taken to its end.
    complete: AtomicBool,
    /// Everything that was taken has been given to the socket.
    written: AtomicBool,
    /// Nobody is told anything more once the client has closed its side.
    until_client_leaves: AtomicBool,
    notice: Mutex<Option<Delivered>>,
}

impl Progress {
    /// The notice, if there is something to notify of.
    fn notice(&self) -> Option<Delivered> {
        let whole = self.complete.load(Ordering::Relaxed) && self.written.load(Ordering::Relaxed);
        lock(&self.notice).take().filter(|_| whole)
    }
}

/// An answer's body that tells when hyper has done with it.
struct Tracked<B: Body> {
    body: Pin<Box<B>>,
    ended: bool,
    progress: Arc<Progress>,
}

impl<B: Body> Body for Tracked<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(self.body.as_mut().poll_frame(cx));
        self.ended |= frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: Body> Drop for Tracked<B> {
    fn drop(&mut self) {
        let complete = self.ended || self.body.is_end_stream();
        self.progress.complete.store(complete, Ordering::Relaxed);
        self.progress.taken.store(true, Ordering::Relaxed);
    }
}

/// What hyper takes for a socket.
struct Stream<'w, 's, S> {
    wire: &'w Mutex<&'s mut Wire<S>>,
    request: Bytes,
    progress: Arc<Progress>,
    place: &'w Place,
    write_stall: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S: Transport> Read for Stream<'_, '_, S> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, mut space: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let count = self.request.len().min(space.remaining());
        if count == 0 {
            // Nobody is woken, because nothing will ever come.
            return Poll::Pending;
        }
        space.put_slice(&self.request[..count]);
        self.request.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: Transport> Write for Stream<'_, '_, S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut lock(self.wire).stream).poll_write(cx, bytes);
        self.unless_stalled(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS takes in what is written and keeps it until here.
        let flushed = Pin::new(&mut lock(self.wire).stream).poll_flush(cx);
        ready!(self.unless_stalled(cx, flushed))?;
        // hyper flushes its socket only when its own buffer is empty, and drops a body before that.
        if self.progress.taken.load(Ordering::Relaxed) {
            self.progress.written.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Closing is left to the connection, which first finds out about delivery.
        Poll::Ready(Ok(()))
    }
}

impl<S: Transport> Stream<'_, '_, S> {
    /// Gives up a client that takes nothing, and meanwhile lets its place go to a newcomer.
    fn unless_stalled<T>(&mut self, cx: &mut Context<'_>, step: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if step.is_ready() {
            // Only an answer that the client did not take at once has made the place wait.
            if self.stalled.take().is_some() && !self.place.works() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            return step;
        }
        // It fits into the socket's buffer unless the client has left earlier ones unread.
        self.place.waits();
        let patience = self.write_stall;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}
