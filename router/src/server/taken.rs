//! Which requests are taken out of these bytes, without a socket? For whoever tries bytes that no client sends.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::assemble;
use super::fault::Unread;
use super::wire::{Transport, Wire};
use super::{Limits, body, head};

/// What came out of a client's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The requests as the routes' side gets them, one after the other.
    pub requests: Vec<Bytes>,
    /// The status with which the client was turned away; `None` when it simply ended.
    pub refused: Option<u16>,
}

/// Reads what a client sends in pieces of this size and then closes.
pub fn take(bytes: &[u8], piece: usize, limits: &Limits) -> Taken {
    let mut wire = Wire::new(Sent { bytes: bytes.to_vec(), at: 0, piece: piece.max(1) });
    let mut requests = Vec::new();
    let refused = loop {
        let request = next(&mut wire, limits).now_or_never().expect("bytes that are all there are not waited for");
        match request {
            Ok(request) => requests.push(request),
            Err(Unread::Gone) => break None,
            Err(Unread::Refused(fault)) => break Some(fault.status().as_u16()),
        }
    };
    Taken { requests, refused }
}

async fn next(wire: &mut Wire<Sent>, limits: &Limits) -> Result<Bytes, Unread> {
    let head = head::read(wire, limits).await?;
    let body = body::read(wire, head.framing, limits).await?;
    Ok(assemble(head, &body))
}

/// A client that has sent all of it already.
struct Sent {
    bytes: Vec<u8>,
    at: usize,
    piece: usize,
}

impl AsyncRead for Sent {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, space: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let length = self.piece.min(self.bytes.len() - self.at).min(space.remaining());
        space.put_slice(&self.bytes[self.at..self.at + length]);
        self.at += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Sent {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Transport for Sent {
    fn peer_error(&self) -> Option<io::Error> {
        None
    }
}
