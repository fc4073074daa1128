//! How APDUs travel on a serial line: framed, checked, acknowledged, and repeated where that is safe.
//!
//! | file | question |
//! |---|---|
//! | [`frame`] | What does a frame look like, and how is it cut out of noise? |
//! | [`link`] | Who acknowledges what, and what is sent again when? |
//! | `wire` | How is a link led over a stream of bytes? |
//! | `port` | How is a device opened? |

pub mod frame;
pub mod link;
mod port;
pub(crate) mod wire;

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use tillswitch_core::{Cause, Reason};

use self::link::{Fate, LinkTiming};
use self::port::Device;
use self::wire::{Clear, Wire};
use super::stream::Connector;
use super::{Delivery, SendError, Transport};
use crate::apdu::Apdu;
use crate::timing::Timing;
use crate::trace::{self, Direction};

pub use frame::{Deframer, Heard, encode_frame};
pub use port::LineSettings;
pub use tokio_serial::{Parity, StopBits};

/// A serial line to one PT.
pub struct SerialTransport {
    device: String,
    connector: Box<dyn Connector>,
    settings: LineSettings,
    timing: LinkTiming,
    connect: Duration,
    write: Duration,
    line: Option<Line>,
    /// How many frames were sent again and not told yet.
    repetitions: u32,
}

struct Line {
    wire: Wire<Clear>,
    /// The PT has acknowledged something on it: the settings are right.
    is_proven: bool,
}

impl SerialTransport {
    /// A line at a device, closed. Of the timers, T1, T2, `connect` and `answer` (for handing on a frame) count.
    pub fn new(device: String, settings: LineSettings, timing: &Timing) -> SerialTransport {
        let connector = Device::new(device.clone(), settings);
        SerialTransport::over(Box::new(connector), device, settings, timing)
    }

    /// The same over any stream of bytes; `device` is only the name of the line in messages.
    pub fn over(
        connector: Box<dyn Connector>,
        device: String,
        settings: LineSettings,
        timing: &Timing,
    ) -> SerialTransport {
        let byte = Duration::from_secs(1) * settings.bits_per_byte() / settings.baud_rate.max(1);
        let link = LinkTiming { byte_gap: timing.byte_gap, acknowledgement: timing.acknowledgement, byte };
        let (connect, write) = (timing.connect, timing.answer);
        SerialTransport { device, connector, settings, timing: link, connect, write, line: None, repetitions: 0 }
    }

    async fn opened(&mut self) -> io::Result<Line> {
        let mut stream = self.connector.connect().await?;
        // Somebody may still be talking to whoever used the line before; in the middle of it nothing can be understood.
        wire::drain(&mut *stream, self.timing.byte_gap, self.timing.acknowledgement).await?;
        Ok(Line { wire: Wire::new(stream, self.timing, self.write, Clear), is_proven: false })
    }

    fn lost(&self, error: &io::Error) -> Reason {
        let why = match error.kind() {
            io::ErrorKind::UnexpectedEof => "the device is gone".to_owned(),
            _ => error.to_string(),
        };
        let remedy = "is the cable or the adapter unplugged? it is opened again under the same name";
        Reason::new(Cause::LinkLost, format!("the serial line {} broke: {why}; {remedy}", self.device))
    }

    fn closed(&self) -> Reason {
        Reason::new(Cause::LinkLost, format!("the serial line {} is closed", self.device))
    }

    fn fail<T>(&mut self, error: &io::Error) -> Result<T, Reason> {
        self.line = None;
        Err(self.lost(error))
    }

    /// Why nobody acknowledged.
    fn unacknowledged(&self, line: &Line, fate: Fate) -> Reason {
        let (device, settings) = (&self.device, self.settings.words());
        match fate {
            Fate::NotUnderstood => {
                let message = format!("the terminal at {device} did not understand what was sent, however often");
                Reason::new(Cause::NoAnswer, message)
            }
            _ if line.is_proven => {
                Reason::new(Cause::NoAnswer, format!("the terminal at {device} does not acknowledge any more"))
            }
            _ if line.wire.link().heard_noise() => Reason::new(
                Cause::Garbage,
                format!("what comes from {device} is no ZVT: is the terminal set to {settings}, as this line is?"),
            ),
            _ => Reason::new(
                Cause::NoAnswer,
                format!(
                    "nobody acknowledges at {device}: is the terminal on, the cable right, ZVT on its serial line \
                     switched on in its menu, and set to {settings}?"
                ),
            ),
        }
    }
}

#[async_trait]
impl Transport for SerialTransport {
    async fn open(&mut self) -> Result<(), Reason> {
        self.line = None;
        let opening = tokio::time::timeout(self.connect + self.timing.acknowledgement, self.opened()).await;
        let opened = opening.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let unreachable = |error: io::Error| Reason::new(Cause::Unreachable, error.to_string());
        self.line = Some(opened.map_err(unreachable)?);
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.line.is_some()
    }

    async fn send(&mut self, apdu: &Apdu, delivery: Delivery) -> Result<(), SendError> {
        let Some(mut line) = self.line.take() else {
            return Err(SendError { reason: self.closed(), nothing_sent: true });
        };
        if delivery == Delivery::AtMostOnce
            && let Err(error) = line.wire.stream().reset_at_end(true)
        {
            return Err(SendError { reason: self.lost(&error), nothing_sent: true });
        }
        tracing::trace!(target: "tillswitch_zvt::frames", "{}", trace::line(Direction::Ecr, apdu));
        let sent = line.wire.send(apdu, delivery).await;
        self.repetitions += line.wire.link().repetitions();
        let reason = match sent {
            Ok(Fate::Acknowledged) => {
                line.is_proven = true;
                self.line = Some(line);
                return Ok(());
            }
            Ok(fate) => self.unacknowledged(&line, fate),
            Err(error) => self.lost(&error),
        };
        Err(SendError { reason, nothing_sent: !line.wire.has_begun() })
    }

    async fn receive(&mut self) -> Result<Apdu, Reason> {
        let Some(line) = &mut self.line else {
            return Err(self.closed());
        };
        match line.wire.receive().await {
            Ok(apdu) => Ok(traced(apdu)),
            Err(error) => self.fail(&error),
        }
    }

    fn arrived(&mut self) -> Result<Option<Apdu>, Reason> {
        let Some(line) = &mut self.line else {
            return Err(self.closed());
        };
        match line.wire.arrived() {
            Ok(Some(apdu)) => Ok(Some(traced(apdu))),
            Ok(None) if line.wire.link().is_within_frame() => {
                self.fail(&io::Error::other("half a message came while nobody asked"))
            }
            Ok(None) => Ok(None),
            Err(error) => self.fail(&error),
        }
    }

    fn settled(&mut self) {
        if let Some(line) = &mut self.line
            && let Err(error) = line.wire.stream().reset_at_end(false)
        {
            tracing::debug!("the line will forget at its end what has not left: {error}");
        }
    }

    fn hears_restarts(&self) -> bool {
        false
    }

    fn loses_messages(&self) -> bool {
        true
    }

    fn repetitions(&mut self) -> u32 {
        std::mem::take(&mut self.repetitions)
    }

    async fn close(&mut self) {
        self.line = None;
    }

    fn address(&self) -> &str {
        &self.device
    }
}

fn traced(apdu: Apdu) -> Apdu {
    tracing::trace!(target: "tillswitch_zvt::frames", "{}", trace::line(Direction::Pt, &apdu));
    apdu
}
