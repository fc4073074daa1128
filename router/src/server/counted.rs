//! How many clients are connected, and what was refused before any route saw it?

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::{Accept, Transport};
use crate::code::Code;
use crate::metrics::{Connected, Listener, Metrics};

/// Counts the clients of a listener, whatever is around their sockets.
pub struct Counted<A> {
    accept: A,
    metrics: Metrics,
    listener: Listener,
}

impl<A: Accept> Counted<A> {
    /// Counts for this listener.
    pub fn new(accept: A, metrics: Metrics, listener: Listener) -> Counted<A> {
        Counted { accept, metrics, listener }
    }
}

impl<A: Accept> Accept for Counted<A> {
    type Stream = CountedStream<A::Stream>;

    async fn accept(&self, socket: TcpStream) -> io::Result<Self::Stream> {
        let _connected = self.metrics.connected(self.listener);
        let stream = self.accept.accept(socket).await?;
        // What the point of sale's listener refuses would have been a webhook.
        let webhooks = (self.listener == Listener::Public).then(|| self.metrics.clone());
        Ok(CountedStream { stream, webhooks, _connected })
    }
}

/// A counted client.
pub struct CountedStream<S> {
    stream: S,
    webhooks: Option<Metrics>,
    _connected: Connected,
}

impl<S: Transport> Transport for CountedStream<S> {
    fn peer_error(&self) -> Option<io::Error> {
        self.stream.peer_error()
    }

    fn refused(&self, status: u16, code: Code) {
        if let Some(metrics) = &self.webhooks {
            metrics.webhook_answered(status);
            metrics.webhook_rejected(code);
        }
        self.stream.refused(status, code);
    }
}

impl<S: Transport> AsyncRead for CountedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: Transport> AsyncWrite for CountedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }
}
