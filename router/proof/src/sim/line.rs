//! What is a line of a simulated day made of, and what can happen to what travels on it?

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tillswitch_zvt::transport::stream::ByteStream;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use super::dice::Dice;
use super::gate::Gate;
use super::trace::Trace;

/// What becomes of a piece of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Arrives(Duration),
    Late(Duration),
    CutBefore,
    CutBehind,
    Garbage,
    HalfOpen,
    Lost,
}

/// How bad a line is. Shared by all links over it.
#[derive(Clone)]
pub struct Weather {
    dice: Dice,
    trace: Trace,
    /// Out of ten thousand pieces.
    bad: u64,
    calm: Arc<AtomicBool>,
}

impl Weather {
    /// As the seed decides.
    pub fn new(dice: Dice, trace: Trace) -> Weather {
        let bad = dice.pick(&[0, 0, 30, 100, 300]);
        Weather { dice, trace, bad, calm: Arc::default() }
    }

    /// Nothing happens from now on.
    pub fn calm(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    /// What becomes of the next piece.
    pub fn fate(&self) -> Fate {
        if !self.is_bad() {
            return Fate::Arrives(self.dice.millis(1, 20));
        }
        let (fate, word) = match self.dice.below(6) {
            0 => (Fate::Late(self.dice.millis(100, 70_000)), "a message is late"),
            1 => (Fate::CutBefore, "a line is cut before a message"),
            2 => (Fate::CutBehind, "a line is cut behind a message"),
            3 => (Fate::Garbage, "garbage comes before a message"),
            4 => (Fate::HalfOpen, "a line is half open"),
            _ => (Fate::Lost, "a message is lost"),
        };
        self.trace.count(word);
        fate
    }

    /// What becomes of an attempt to connect: `Err` is what is heard, `None` that nothing is.
    pub fn opening(&self) -> Option<io::Result<Duration>> {
        // There are few of them: each has two chances to fail.
        let fails = [self.is_bad(), self.is_bad()].contains(&true);
        if !fails {
            return Some(Ok(self.dice.millis(1, 20)));
        }
        if self.dice.percent(50) {
            self.trace.count("a connection is refused");
            return Some(Err(io::ErrorKind::ConnectionRefused.into()));
        }
        self.trace.count("a connection is not answered");
        None
    }

    /// How long something lasts.
    pub fn lasts(&self, from: u64, to: u64) -> Duration {
        self.dice.millis(from, to)
    }

    fn is_bad(&self) -> bool {
        !self.calm.load(Ordering::Relaxed) && self.dice.permyriad(self.bad)
    }
}

/// An end of a line: the router's, behind its gate, or the terminal's, without one.
pub struct End {
    pub stream: DuplexStream,
    /// Set by whoever resets the line, before it drops the other end.
    pub reset: Arc<AtomicBool>,
    pub gate: Option<Gate>,
}

impl End {
    fn is_reset(&self) -> bool {
        self.reset.load(Ordering::Relaxed)
    }

    /// Whether the router may be killed here, and is dead now.
    fn stops(&self, place: &str) -> bool {
        self.gate.as_ref().is_some_and(|gate| {
            gate.step(place);
            gate.is_shut()
        })
    }

    fn is_dead(&self) -> bool {
        self.gate.as_ref().is_some_and(Gate::is_shut)
    }
}

impl AsyncRead for End {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_dead() {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        match read {
            Poll::Ready(Ok(())) if buffer.filled().len() == before && self.is_reset() => {
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
            Poll::Ready(_) if self.stops("before a message is read") => Poll::Pending,
            read => read,
        }
    }
}

impl AsyncWrite for End {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_dead() || self.stops("before a message is sent") {
            return Poll::Pending;
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if written.is_ready() && self.stops("behind a message that was sent") {
            return Poll::Pending;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl ByteStream for End {
    fn read_arrived(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = ReadBuf::new(buffer);
        match Pin::new(self).poll_read(&mut Context::from_waker(Waker::noop()), &mut read) {
            Poll::Ready(Ok(())) => Ok(read.filled().len()),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// In memory nothing is sent again by a system below: what was written is on its way.
    fn reset_at_end(&mut self, _resets: bool) -> io::Result<()> {
        Ok(())
    }

    fn was_reset(&self) -> bool {
        self.is_reset()
    }
}
