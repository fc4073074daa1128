//! How is a serial device opened, and what is somebody told who has not plugged it in?

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_serial::{
    ClearBuffer, DataBits, ErrorKind, FlowControl, Parity, SerialPort, SerialPortBuilder, SerialStream, StopBits,
};

use crate::transport::stream::{ByteStream, Connector};

/// How the bits travel. Data bits are eight, and nobody holds the other end back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineSettings {
    /// Bits per second.
    pub baud_rate: u32,
    /// The parity bit.
    pub parity: Parity,
    /// Bits after each byte.
    pub stop_bits: StopBits,
}

impl LineSettings {
    /// How many bits a byte takes, start and stop included.
    pub(super) fn bits_per_byte(&self) -> u32 {
        let parity = if self.parity == Parity::None { 0 } else { 1 };
        let stop = if self.stop_bits == StopBits::Two { 2 } else { 1 };
        1 + 8 + parity + stop
    }

    /// As people write it: `9600 baud 8N2`.
    pub(super) fn words(&self) -> String {
        let parity = match self.parity {
            Parity::None => 'N',
            Parity::Odd => 'O',
            Parity::Even => 'E',
        };
        let stop = if self.stop_bits == StopBits::Two { 2 } else { 1 };
        format!("{} baud 8{parity}{stop}", self.baud_rate)
    }
}

/// Opens a device.
pub(super) struct Device {
    path: String,
    settings: LineSettings,
    /// Said once that the device lacks something.
    has_warned: bool,
}

impl Device {
    pub fn new(path: String, settings: LineSettings) -> Device {
        Device { path, settings, has_warned: false }
    }

    fn builder(&self) -> SerialPortBuilder {
        tokio_serial::new(&self.path, self.settings.baud_rate)
            .data_bits(DataBits::Eight)
            .flow_control(FlowControl::None)
            .parity(self.settings.parity)
            .stop_bits(self.settings.stop_bits)
    }

    fn opened(&mut self) -> tokio_serial::Result<SerialStream> {
        match SerialStream::open(&self.builder()) {
            // What cannot be locked can still be used; a missing, forbidden or busy device is another matter.
            Err(error) if error.kind() == ErrorKind::Unknown => {
                let stream = SerialStream::open(&self.builder().exclusive(false)).map_err(|_| error)?;
                self.warn("cannot be kept from other programs");
                Ok(stream)
            }
            opened => opened,
        }
    }

    /// Some terminals talk only to somebody whose lines DTR and RTS are raised.
    fn raise_modem_lines(&mut self, stream: &mut SerialStream) {
        let raised = stream.write_data_terminal_ready(true).and_then(|()| stream.write_request_to_send(true));
        if raised.is_err() {
            self.warn("has no modem lines, as a pseudo terminal");
        }
    }

    fn warn(&mut self, what: &str) {
        if !std::mem::replace(&mut self.has_warned, true) {
            tracing::warn!("the serial device {} {what}; it is used as it is", self.path);
        }
    }

    fn explained(&self, error: &tokio_serial::Error) -> io::Error {
        let path = &self.path;
        let sentence = match error.kind() {
            ErrorKind::Io(io::ErrorKind::NotFound) => missing(path),
            ErrorKind::Io(io::ErrorKind::PermissionDenied) => {
                format!("{path} may not be used by this user: put it into the group `dialout` and start again")
            }
            ErrorKind::NoDevice => {
                format!("{path} is busy: another program has opened it, or another terminal is configured to use it")
            }
            _ => format!("{path} cannot be used as a serial line: {error}; is it one, and what is plugged in there?"),
        };
        io::Error::other(sentence)
    }
}

/// A name that leads nowhere is another matter than one that there never was.
fn missing(path: &str) -> String {
    match std::fs::read_link(path) {
        Ok(target) => format!(
            "{path} stands for {}, which is gone: plug the adapter in again; if it stays away, `ls -l /dev/serial/by-id` \
             shows which adapters are there, and `device` has to name one of them",
            target.display()
        ),
        Err(_) => format!(
            "there is no serial device {path}: is the cable or the adapter plugged in? \
             /dev/serial/by-id lists adapters by names that stay the same"
        ),
    }
}

#[async_trait]
impl Connector for Device {
    async fn connect(&mut self) -> io::Result<Box<dyn ByteStream>> {
        let mut stream = self.opened().map_err(|error| self.explained(&error))?;
        self.raise_modem_lines(&mut stream);
        // What came for the program before this one. A device that cannot forget is read empty afterwards.
        let _ = stream.clear(ClearBuffer::All);
        Ok(Box::new(Port { stream, forgets: false }))
    }
}

/// An open device.
struct Port {
    stream: SerialStream,
    /// What has not left when it is closed shall not leave any more.
    forgets: bool,
}

impl ByteStream for Port {
    fn read_arrived(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.try_read(buffer)
    }

    fn reset_at_end(&mut self, resets: bool) -> io::Result<()> {
        self.forgets = resets;
        Ok(())
    }

    fn was_reset(&self) -> bool {
        // A serial line has no end that the other side could tell of.
        true
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        if self.forgets {
            // It fails when the device is gone, and what it held with it.
            let _ = self.stream.clear(ClearBuffer::Output);
        }
    }
}

impl AsyncRead for Port {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Port {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Waiting for the last bit would block the thread. T2 counts from when it has left.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
