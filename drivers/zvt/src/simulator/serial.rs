//! How do messages get onto a serial line and from it, and what goes wrong on their way?

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tillswitch_core::async_trait;
use tokio::sync::oneshot;

use super::line::{Line, Pace};
use super::line_fault::LineFault;
use super::terminal::Terminal;
use crate::apdu::{Apdu, ControlField};
use crate::transport::Delivery;
use crate::transport::serial::Heard;
use crate::transport::serial::frame::{ACK, NAK};
use crate::transport::serial::link::{Fate, LinkTiming, Output};
use crate::transport::serial::wire::{Passage, Wire};
use crate::transport::stream::ByteStream;

/// How long one byte is on its way over a line that has no real speed.
const BYTE: Duration = Duration::from_micros(100);
/// What stands before a frame when there is noise: nothing of it is an acknowledgement or begins a frame.
const NOISE: [u8; 5] = [0x00, 0xFF, 0x10, 0x55, 0x80];
const STORM: usize = 1000;

/// One ECR on the other end of a serial line.
pub(super) struct SerialLine {
    wire: Wire<Faults>,
    /// It has ended by itself; otherwise, when it is dropped, the adapter is unplugged.
    is_broken: bool,
    ended: Option<oneshot::Sender<Ended>>,
}

/// Why a line is no longer used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The ECR has gone, or does not acknowledge. The device is still there.
    ByEcr,
    /// The adapter was pulled out.
    Unplugged,
}

/// What goes wrong.
struct Faults {
    terminal: Arc<Terminal>,
    pace: Pace,
    last_heard: ControlField,
    is_unplugged: bool,
}

impl SerialLine {
    pub fn new(
        stream: Box<dyn ByteStream>,
        terminal: Arc<Terminal>,
        ended: Option<oneshot::Sender<Ended>>,
    ) -> SerialLine {
        let timing = terminal.options.timing;
        let link = LinkTiming { byte_gap: timing.byte_gap, acknowledgement: timing.acknowledgement, byte: BYTE };
        let faults = Faults { terminal, pace: Pace::Whole, last_heard: [0, 0], is_unplugged: false };
        SerialLine { wire: Wire::new(stream, link, timing.patience, faults), is_broken: false, ended }
    }

    fn note<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        self.is_broken |= done.is_err() && !self.wire.passage.is_unplugged;
        done
    }
}

#[async_trait]
impl Line for SerialLine {
    /// A serial line takes one message after the other, each with its acknowledgement.
    async fn send(&mut self, apdus: &[Apdu], pace: Pace) -> io::Result<()> {
        self.wire.passage.pace = pace;
        for apdu in apdus {
            let sent = match self.wire.send(apdu, Delivery::Repeatable).await {
                Ok(Fate::Acknowledged) => Ok(()),
                Ok(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the ECR does not acknowledge")),
                Err(error) => Err(error),
            };
            self.note(sent)?;
        }
        Ok(())
    }

    async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = self.wire.send_raw(bytes).await;
        self.note(sent)
    }

    async fn receive(&mut self) -> io::Result<Apdu> {
        let received = self.wire.receive().await;
        self.note(received)
    }

    fn tells_its_end(&self) -> bool {
        false
    }
}

impl Drop for SerialLine {
    fn drop(&mut self) {
        let how = if self.is_broken { Ended::ByEcr } else { Ended::Unplugged };
        if let Some(ended) = self.ended.take() {
            // Nobody listens when the terminal is stopped.
            let _ = ended.send(how);
        }
    }
}

impl Faults {
    /// Whether a fault of these happens to this message now.
    fn strikes(&self, faults: &[LineFault], control: ControlField) -> Option<LineFault> {
        self.terminal.memory().next_line_fault(faults, control)
    }

    fn frame(&mut self, frame: Vec<u8>) -> io::Result<Vec<(Duration, Vec<u8>)>> {
        use LineFault::{Gaps, LoseFrame, Noise, RepeatFrame, Unplug, WrongChecksum};
        let whole = |bytes| Ok(vec![(Duration::ZERO, bytes)]);
        let control = control_of(&frame);
        let trickle = self.terminal.options.timing.trickle;
        match (self.strikes(&[Gaps, LoseFrame, Noise, RepeatFrame, Unplug, WrongChecksum], control), self.pace) {
            (Some(LoseFrame), _) => Ok(Vec::new()),
            (Some(RepeatFrame), _) => whole([&frame[..], &frame].concat()),
            (Some(Noise), _) => whole([&NOISE[..], &frame].concat()),
            (Some(WrongChecksum), _) => whole(with_wrong_checksum(frame)),
            (Some(Unplug), _) => Err(self.unplug()),
            (Some(Gaps), _) => Ok(bytewise(frame, trickle)),
            (_, Pace::Bytewise(pause)) => Ok(bytewise(frame, pause)),
            (_, Pace::Whole) => whole(frame),
        }
    }

    fn acknowledgement(&mut self) -> io::Result<Vec<(Duration, Vec<u8>)>> {
        use LineFault::{AckAsNak, LoseAck, NakStorm, Unplug};
        let bytes = match self.strikes(&[AckAsNak, LoseAck, NakStorm, Unplug], self.last_heard) {
            Some(AckAsNak) => vec![NAK],
            Some(LoseAck) => Vec::new(),
            Some(NakStorm) => vec![NAK; STORM],
            Some(Unplug) => return Err(self.unplug()),
            _ => vec![ACK],
        };
        Ok(vec![(Duration::ZERO, bytes)])
    }

    fn unplug(&mut self) -> io::Error {
        self.is_unplugged = true;
        io::Error::new(io::ErrorKind::ConnectionAborted, "the adapter is unplugged")
    }
}

impl Passage for Faults {
    fn arriving(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.terminal.memory().noise.spoil(bytes.to_vec())
    }

    fn heard(&mut self, heard: Heard) -> Option<Heard> {
        use LineFault::{LoseCommand, NakFrame};
        let Heard::Frame(apdu) = &heard else {
            return Some(heard);
        };
        self.last_heard = [apdu.first().copied().unwrap_or(0), apdu.get(1).copied().unwrap_or(0)];
        match self.strikes(&[LoseCommand, NakFrame], self.last_heard) {
            Some(LoseCommand) => None,
            Some(NakFrame) => Some(Heard::Damaged),
            _ => Some(heard),
        }
    }

    fn sent(&mut self, output: Output) -> io::Result<Vec<(Duration, Vec<u8>)>> {
        if self.is_unplugged {
            return Err(self.unplug());
        }
        let pieces = match output {
            Output::Ack => self.acknowledgement()?,
            Output::Nak => vec![(Duration::ZERO, vec![NAK])],
            Output::Frame(frame) => self.frame(frame)?,
        };
        Ok(pieces.into_iter().map(|(pause, bytes)| (pause, self.terminal.memory().noise.distort(bytes))).collect())
    }
}

/// The control field, which may be doubled as any byte of a frame.
fn control_of(frame: &[u8]) -> ControlField {
    let mut bytes = frame.iter().skip(2);
    let mut next = || {
        let byte = bytes.next().copied().unwrap_or(0);
        if byte == crate::transport::serial::frame::DLE {
            bytes.next();
        }
        byte
    };
    [next(), next()]
}

fn with_wrong_checksum(mut frame: Vec<u8>) -> Vec<u8> {
    if let Some(last) = frame.last_mut() {
        *last ^= 0xFF;
    }
    frame
}

fn bytewise(frame: Vec<u8>, pause: Duration) -> Vec<(Duration, Vec<u8>)> {
    frame.into_iter().map(|byte| (pause, vec![byte])).collect()
}
