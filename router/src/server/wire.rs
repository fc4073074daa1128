//! What lies between a socket and a request: received bytes, and whether the client has closed its side.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use crate::code::Code;

/// How many bytes of further requests are taken in while one is being answered.
const READ_AHEAD: usize = 16 * 1024;
/// How many bytes of a refused request are thrown away before the connection is cut.
const LINGER_BYTES: usize = 1024 * 1024;

/// A connection to one client.
///
/// # Contract
///
/// [`Transport::peer_error`] tells of a reset also after the end of the client's data was read, where reading alone
/// does not.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// What went wrong with the socket below, if anything, since the last time this was asked.
    fn peer_error(&self) -> Option<io::Error>;

    /// A request was refused before any route saw it. For those who count.
    fn refused(&self, _status: u16, _code: Code) {}
}

impl Transport for TcpStream {
    fn peer_error(&self) -> Option<io::Error> {
        self.take_error().unwrap_or_else(Some)
    }
}

/// What happens to an accepted socket before the first request is read, such as a TLS handshake.
pub trait Accept: Send + Sync + 'static {
    /// What requests are read from.
    type Stream: Transport;

    /// Prepares the socket. Counted against the header deadline.
    fn accept(&self, socket: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// Plain HTTP: the socket is used as it is.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Accept for Plain {
    type Stream = TcpStream;

    async fn accept(&self, socket: TcpStream) -> io::Result<TcpStream> {
        Ok(socket)
    }
}

/// A stream with the bytes that were received and not yet used.
pub(super) struct Wire<S> {
    pub(super) stream: S,
    pub(super) inbox: BytesMut,
    /// The client has closed its side: it went away, or it waits for the answer and has nothing more to say.
    pub(super) ended: bool,
}

impl<S: Transport> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, inbox: BytesMut::new(), ended: false }
    }

    /// Takes in more bytes; none means that the client has closed its side.
    pub(super) async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// Takes in what is there while an answer is under way. An error means that nobody is left to answer.
    pub(super) fn watch(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while !self.ended && self.inbox.len() < READ_AHEAD {
            match self.poll_fill(cx) {
                Poll::Ready(read) => read?,
                Poll::Pending => break,
            };
        }
        Ok(())
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [0; 4096];
        let mut piece = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
        self.inbox.extend_from_slice(piece.filled());
        self.ended |= piece.filled().is_empty();
        Poll::Ready(Ok(piece.filled().len()))
    }

    /// Writes all of it, unless the client does not take it within `patience`.
    pub(super) async fn write(&mut self, bytes: &[u8], patience: Duration) -> io::Result<()> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        tokio::time::timeout(patience, written).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Closes our side, then reads until the client closes its own.
    ///
    /// Closing a socket with unread bytes sends a reset, and a reset makes the client lose an answer that it has not
    /// read yet.
    pub(super) async fn close(&mut self, linger: Duration) {
        let rest = async {
            self.stream.shutdown().await?;
            let mut thrown_away = 0;
            while !self.ended && thrown_away < LINGER_BYTES {
                self.inbox.clear();
                thrown_away += self.fill().await?;
            }
            io::Result::Ok(())
        };
        // Whatever happens here, the connection is over.
        let _ = tokio::time::timeout(linger, rest).await;
    }
}
