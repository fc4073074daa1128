//! How messages get onto the wire and from it. A stream as on TCP here; the serial line is another [`Line`].

use std::io;
use std::time::Duration;

use tillswitch_core::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use crate::apdu::{Apdu, ApduDecoder};

/// An ECR has no reason to send more than this.
const MAXIMUM_DATA: usize = 4096;

/// How the bytes of a message leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// In one piece.
    Whole,
    /// One by one, with a pause after each.
    Bytewise(Duration),
}

/// A way to exchange messages with one ECR.
///
/// # Contract
///
/// `receive` may be dropped while it waits without losing a byte. After an error the line is dropped.
#[async_trait]
pub(super) trait Line: Send {
    /// Sends messages, several of them in one piece.
    async fn send(&mut self, apdus: &[Apdu], pace: Pace) -> io::Result<()>;
    /// Sends bytes that are no message.
    async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// The next message. The end of the stream is an error.
    async fn receive(&mut self) -> io::Result<Apdu>;
    /// Whether an ECR that begins anew is always told by the end of this line.
    fn tells_its_end(&self) -> bool {
        true
    }
}

/// Bare messages on a stream of bytes, as on TCP.
pub(super) struct StreamLine<S> {
    stream: S,
    decoder: ApduDecoder,
    /// How long it waits for the next piece of a message (T3); then the line is of no use any more.
    t3: Duration,
    heard: Instant,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> StreamLine<S> {
    pub fn new(stream: S, t3: Duration) -> StreamLine<S> {
        StreamLine { stream, decoder: ApduDecoder::new(MAXIMUM_DATA), t3, heard: Instant::now() }
    }

    async fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self.decoder.pending() {
            0 => self.stream.read(bytes).await,
            _ => timeout_at(self.heard + self.t3, self.stream.read(bytes)).await?,
        }
    }
}

#[async_trait]
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Line for StreamLine<S> {
    async fn send(&mut self, apdus: &[Apdu], pace: Pace) -> io::Result<()> {
        let encoded: Result<Vec<_>, _> = apdus.iter().map(Apdu::encode).collect();
        let bytes = encoded.map_err(io::Error::other)?.concat();
        match pace {
            Pace::Whole => self.send_bytes(&bytes).await,
            Pace::Bytewise(pause) => {
                for byte in bytes {
                    self.send_bytes(&[byte]).await?;
                    tokio::time::sleep(pause).await;
                }
                Ok(())
            }
        }
    }

    async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    async fn receive(&mut self) -> io::Result<Apdu> {
        let mut bytes = [0; 1024];
        loop {
            if let Some(apdu) = self.decoder.next_apdu().map_err(io::Error::other)? {
                return Ok(apdu);
            }
            match self.read(&mut bytes).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.decoder.push(&bytes[..count]),
            }
            self.heard = Instant::now();
        }
    }
}
