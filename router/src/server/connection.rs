//! What happens on one connection, from its first byte to its end?

use std::future::{Future, pending};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::delivery::reached;
use super::exchange::{End, Handler, answer};
use super::fault::{Fault, Unread};
use super::head::{Framing, Head};
use super::places::Place;
use super::wire::{Transport, Wire};
use super::{Limits, body, head};

/// One client.
pub(super) struct Connection<S> {
    pub(super) wire: Wire<S>,
    pub(super) peer: SocketAddr,
    pub(super) limits: Arc<Limits>,
    /// Becomes true when the server stops.
    pub(super) closing: watch::Receiver<bool>,
    /// The client has begun a request, or just came to do so, and nothing was answered yet.
    pub(super) owes_words: bool,
}

impl<S: Transport> Connection<S> {
    /// Answers requests, one after the other, until one side has had enough. May be dropped whenever the place waits.
    pub(super) async fn run<H: Handler>(&mut self, handler: &H, place: &Place, accepted: Instant) {
        let mut first = Some(accepted);
        loop {
            let request = place.waiting(self.next_request(first.take())).await;
            match request {
                Ok(request) if place.works() => {
                    self.owes_words = false;
                    if self.exchange(request, handler, place).await.is_break() {
                        return;
                    }
                }
                // It came a moment too late: a newcomer has the place already. Whoever runs this is about to be told.
                Ok(_) => return pending().await,
                Err(Unread::Refused(fault)) => return place.waiting(self.refuse(fault)).await,
                Err(Unread::Gone) => return,
            }
        }
    }

    /// Ends a connection whose place a newcomer has got: with a word if a request was expected, because a client that has
    /// sent half of one should know that it was not read, and without if it only rested.
    pub(super) async fn give_way(&mut self) {
        if self.owes_words {
            self.refuse(Fault::TooMany).await;
        }
    }

    /// Says why nothing else is served here, and closes.
    pub(super) async fn refuse(&mut self, fault: Fault) {
        self.owes_words = false;
        tracing::debug!(peer = %self.peer, ?fault, "request refused");
        self.wire.stream.refused(fault.status().as_u16(), fault.code());
        let text = fault.to_wire(&self.limits);
        if self.wire.write(&text, self.limits.write_stall).await.is_ok() {
            self.wire.close(self.limits.linger).await;
        }
    }

    /// A whole request, in the form that hyper gets.
    async fn next_request(&mut self, accepted: Option<Instant>) -> Result<Bytes, Unread> {
        self.first_byte(accepted).await?;
        self.owes_words = true;
        let start = accepted.unwrap_or_else(Instant::now);
        let deadline = start + self.limits.header_deadline;
        let head = within(deadline, Fault::SlowHead, head::read(&mut self.wire, &self.limits)).await?;
        let deadline = Instant::now() + self.limits.body_deadline;
        let body = within(deadline, Fault::SlowBody, self.body(&head)).await?;
        Ok(assemble(head, &body))
    }

    /// Waits for a client to begin. One that has just connected owes a request, a later one may rest.
    async fn first_byte(&mut self, accepted: Option<Instant>) -> Result<(), Unread> {
        if !self.wire.inbox.is_empty() {
            return Ok(());
        }
        let (until, late) = match accepted {
            Some(accepted) => (accepted + self.limits.header_deadline, Unread::Refused(Fault::SlowHead)),
            None => (Instant::now() + self.limits.idle, Unread::Gone),
        };
        tokio::select! {
            biased;
            read = self.wire.fill() => if read? == 0 { Err(Unread::Gone) } else { Ok(()) },
            _ = self.closing.wait_for(|closing| *closing) => Err(Unread::Gone),
            () = sleep_until(until) => Err(late),
        }
    }

    async fn body(&mut self, head: &Head) -> Result<Vec<u8>, Unread> {
        let refused_anyway = matches!(head.framing, Framing::Length(length) if length > self.limits.max_body);
        if head.expects_continue && self.wire.inbox.is_empty() && !refused_anyway {
            let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
            self.wire.write(go_on, self.limits.write_stall).await?;
        }
        body::read(&mut self.wire, head.framing, &self.limits).await
    }

    async fn exchange<H: Handler>(&mut self, request: Bytes, handler: &H, place: &Place) -> ControlFlow<()> {
        let closing = || *self.closing.borrow();
        let stall = self.limits.write_stall;
        let (notice, last) = match answer(&mut self.wire, request, handler, self.peer, place, stall, closing).await {
            End::Open(notice) => (notice, false),
            End::Last(notice) => (notice, true),
            End::Lost => return ControlFlow::Break(()),
        };
        let last = last || (self.wire.ended && self.wire.inbox.is_empty());
        if last {
            // Before the question of delivery, because a client that has said all it had to say waits for our end too.
            // An error shows again when delivery is looked into.
            let _ = timeout(self.limits.linger, self.wire.stream.shutdown()).await;
        }
        if let Some(notice) = notice
            && reached(&mut self.wire, self.limits.settle).await
        {
            notice.trigger();
        }
        if last {
            place.waiting(self.wire.close(self.limits.linger)).await;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

async fn within<T>(
    deadline: Instant,
    late: Fault,
    reading: impl Future<Output = Result<T, Unread>>,
) -> Result<T, Unread> {
    timeout_at(deadline, reading).await.unwrap_or(Err(late.into()))
}

/// Puts a request together again, with its length told in the one way that cannot be misread.
pub(super) fn assemble(head: Head, body: &[u8]) -> Bytes {
    let mut request = head.text;
    if head.framing != Framing::Empty {
        request.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(body);
    request.into()
}
