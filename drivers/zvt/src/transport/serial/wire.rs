//! How is a link led over a stream of bytes?

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::frame::Heard;
use super::link::{Fate, Link, LinkTiming, Output};
use crate::apdu::Apdu;
use crate::transport::Delivery;
use crate::transport::stream::ByteStream;

const READ_SIZE: usize = 1024;
/// How much is taken in at once, more than any kernel holds: a line on which bytes come as fast as they are read has no end.
const READS_AT_ONCE: usize = 256;

/// What happens to single frames and acknowledgements on their way. Nothing, unless somebody simulates a bad line.
pub(crate) trait Passage: Send {
    /// What arrives of these bytes.
    fn arriving(&mut self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    /// What of this is heard.
    fn heard(&mut self, heard: Heard) -> Option<Heard> {
        Some(heard)
    }

    /// What leaves instead of this, piece by piece, each after a pause.
    fn sent(&mut self, output: Output) -> io::Result<Vec<(Duration, Vec<u8>)>> {
        Ok(vec![(Duration::ZERO, output.bytes().to_vec())])
    }
}

/// A line on which everything passes.
pub(crate) struct Clear;

impl Passage for Clear {}

/// One end of a serial line and the bytes below it.
pub(crate) struct Wire<P> {
    stream: Box<dyn ByteStream>,
    link: Link,
    pub passage: P,
    /// How long handing on a piece may take.
    write: Duration,
    /// What is being sent.
    pieces: Vec<Piece>,
    /// How many bytes of frames have left since the last message was begun.
    frame_bytes: usize,
}

struct Piece {
    not_before: Option<Instant>,
    pause: Duration,
    bytes: Vec<u8>,
    is_frame: bool,
}

impl<P: Passage> Wire<P> {
    pub fn new(stream: Box<dyn ByteStream>, timing: LinkTiming, write: Duration, passage: P) -> Wire<P> {
        Wire { stream, link: Link::new(timing), passage, write, pieces: Vec::new(), frame_bytes: 0 }
    }

    pub fn stream(&mut self) -> &mut dyn ByteStream {
        &mut *self.stream
    }

    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Whether a byte of the last message has left.
    pub fn has_begun(&self) -> bool {
        self.frame_bytes > 0
    }

    /// Sends a message and waits until its fate is known: never `Underway`.
    pub async fn send(&mut self, apdu: &Apdu, delivery: Delivery) -> io::Result<Fate> {
        self.frame_bytes = 0;
        // An acknowledgement of something older must not pass for that of this message.
        self.take_arrived()?;
        self.link.send(apdu, delivery, Instant::now()).map_err(io::Error::other)?;
        while self.link.fate() == Fate::Underway {
            self.step().await?;
        }
        Ok(self.link.fate())
    }

    /// Waits for the next message. Cancel-safe.
    pub async fn receive(&mut self) -> io::Result<Apdu> {
        let mut stepped = self.flush().await;
        loop {
            // What has come is told even if it can no longer be acknowledged.
            match (self.link.received(), stepped) {
                (Some(apdu), _) => return Ok(apdu),
                (None, Err(error)) => return Err(error),
                (None, Ok(())) => stepped = self.step().await,
            }
        }
    }

    /// The next message that has arrived already. Never waits.
    pub fn arrived(&mut self) -> io::Result<Option<Apdu>> {
        let taken = self.take_arrived();
        // What cannot leave at once leaves with the next message.
        let flushed = match std::pin::pin!(self.flush()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(flushed) => flushed,
            Poll::Pending => Ok(()),
        };
        match self.link.received() {
            Some(apdu) => Ok(Some(apdu)),
            None => taken.and(flushed).map(|()| None),
        }
    }

    /// Sends bytes that are no frame.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pieces.push(Piece { not_before: None, pause: Duration::ZERO, bytes: bytes.to_vec(), is_frame: false });
        self.flush().await
    }

    /// Waits for bytes or for the next timer, and sends what is to be sent before and after. Cancel-safe.
    async fn step(&mut self) -> io::Result<()> {
        self.flush().await?;
        let mut buffer = [0; READ_SIZE];
        let deadline = self.link.deadline();
        tokio::select! {
            biased;
            read = self.stream.read(&mut buffer) => self.take(read, &buffer)?,
            () = until(deadline) => {}
        }
        self.take_arrived()?;
        self.link.tick(Instant::now());
        self.flush().await
    }

    /// Tells the link everything that the kernel holds, so that no timer judges by the time at which it is read.
    fn take_arrived(&mut self) -> io::Result<()> {
        for _ in 0..READS_AT_ONCE {
            let mut buffer = [0; READ_SIZE];
            match self.stream.read_arrived(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                read => self.take(read, &buffer)?,
            }
        }
        Ok(())
    }

    fn take(&mut self, read: io::Result<usize>, buffer: &[u8]) -> io::Result<()> {
        match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                let passage = &mut self.passage;
                let bytes = passage.arriving(&buffer[..count]);
                self.link.hear(&bytes, Instant::now(), |heard| passage.heard(heard));
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Cancel-safe: what has left is noted byte by byte.
    async fn flush(&mut self) -> io::Result<()> {
        loop {
            let Some(piece) = self.pieces.first_mut() else {
                match self.link.output() {
                    Some(output) => self.cut_up(output)?,
                    None => return Ok(()),
                }
                continue;
            };
            if !piece.pause.is_zero() {
                let not_before = *piece.not_before.get_or_insert_with(|| Instant::now() + piece.pause);
                sleep_until(not_before).await;
            }
            while !piece.bytes.is_empty() {
                let count = match timeout(self.write, self.stream.write(&piece.bytes)).await {
                    Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => written?,
                    Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "it takes no more bytes")),
                };
                piece.bytes.drain(..count);
                self.frame_bytes += if piece.is_frame { count } else { 0 };
            }
            self.pieces.remove(0);
        }
    }

    fn cut_up(&mut self, output: Output) -> io::Result<()> {
        let is_frame = matches!(output, Output::Frame(_));
        let pieces = self.passage.sent(output)?;
        let piece = |(pause, bytes)| Piece { not_before: None, pause, bytes, is_frame };
        self.pieces.extend(pieces.into_iter().map(piece));
        Ok(())
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Reads and forgets until the line has been silent for `silence`, for at most `limit`.
pub(crate) async fn drain(stream: &mut dyn ByteStream, silence: Duration, limit: Duration) -> io::Result<()> {
    let end = Instant::now() + limit;
    let mut buffer = [0; READ_SIZE];
    while Instant::now() < end {
        match timeout(silence, Pin::new(&mut *stream).read(&mut buffer)).await {
            Ok(Ok(0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => read.map(|_| ())?,
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}
