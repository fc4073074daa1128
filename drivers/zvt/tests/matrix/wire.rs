//! What stands in for a socket, so that time can be paused: a stream in memory that can be reset.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use tillswitch_zvt::apdu::control;
use tillswitch_zvt::transport::serial::frame::{DLE, STX};
use tillswitch_zvt::transport::stream::ByteStream;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use crate::fate::Fate;

/// The ECR's end; on a serial line the PT's too.
pub struct Memory {
    pub stream: DuplexStream,
    /// Set by whoever resets the link, before it drops the other end.
    pub reset: Arc<AtomicBool>,
    pub fate: Arc<Fate>,
}

impl Memory {
    fn is_reset(&self) -> bool {
        self.reset.load(Ordering::Relaxed)
    }
}

impl AsyncRead for Memory {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) if buffer.filled().len() == before && self.is_reset() => {
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
            read => read,
        }
    }
}

impl AsyncWrite for Memory {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // The driver writes every frame in one piece.
        if bytes.strip_prefix(&[DLE, STX]).unwrap_or(bytes).starts_with(&control::AUTHORIZATION) {
            self.fate.note_money_command();
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl ByteStream for Memory {
    fn read_arrived(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = ReadBuf::new(buffer);
        match Pin::new(self).poll_read(&mut Context::from_waker(Waker::noop()), &mut read) {
            Poll::Ready(Ok(())) => Ok(read.filled().len()),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// In memory nothing is sent again by a system below: what was written is on its way, come what may.
    fn reset_at_end(&mut self, _resets: bool) -> io::Result<()> {
        Ok(())
    }

    fn was_reset(&self) -> bool {
        self.is_reset()
    }
}
