//! How APDUs travel on TCP: bare, in any fragmentation.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use tillswitch_core::{Cause, Reason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::stream::{ByteStream, Connector, Tcp};
use super::tls::Mistrust;
use super::{Delivery, SendError, Transport, foreign};
use crate::apdu::{Apdu, ApduDecoder, control};
use crate::trace::{self, Direction};

/// The largest data block that is taken; slips are the largest that PTs send.
const MAXIMUM_DATA: usize = 32 * 1024;
/// What may come in front of the first answer: device servers and some PTs greet.
const MAXIMUM_BANNER: usize = 1024;
/// How long after the end of a line it may still turn out that what was sent last was not read: by then a reset has come back
/// through any shop's network.
const RESET_GRACE: Duration = Duration::from_millis(200);
const READ_SIZE: usize = 4096;

/// A TCP line to one PT.
pub struct TcpTransport {
    address: String,
    connector: Box<dyn Connector>,
    connect: Duration,
    t3: Duration,
    line: Option<Line>,
    /// What was skipped in front of the first answer of the line that is open, or was open last.
    banner: Vec<u8>,
    /// The line that was open last was ended by the PT, which had read everything.
    ended_in_order: bool,
}

struct Line {
    stream: Box<dyn ByteStream>,
    decoder: ApduDecoder,
    /// Bytes of a line that has not yet brought an APDU: a banner may be among them.
    unsure: Option<Vec<u8>>,
    /// A money command is on its way: the end of this line is a reset.
    resets: bool,
    /// When the last bytes came.
    heard: Instant,
}

impl TcpTransport {
    /// A line to `address`, closed. `connect` limits opening it, `t3` handing one message to the network, and the wait for the
    /// next piece of a message of the PT.
    pub fn new(address: String, connect: Duration, t3: Duration) -> TcpTransport {
        let tcp = Tcp(address.clone());
        TcpTransport::over(Box::new(tcp), address, connect, t3)
    }

    /// The same over any stream of bytes; `address` is only the name of the PT in messages.
    pub fn over(connector: Box<dyn Connector>, address: String, connect: Duration, t3: Duration) -> TcpTransport {
        TcpTransport { address, connector, connect, t3, line: None, banner: Vec::new(), ended_in_order: false }
    }

    async fn connected(&mut self) -> Result<Box<dyn ByteStream>, Reason> {
        match timeout(self.connect, self.connector.connect()).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(self.not_connected(error)),
            Err(_) => Err(self.unreachable("no answer in time")),
        }
    }

    /// An encrypted line knows itself why it does not stand.
    fn not_connected(&self, error: io::Error) -> Reason {
        let message = error.to_string();
        match error.downcast::<Mistrust>() {
            Ok(Mistrust(reason)) => reason,
            Err(_) => self.unreachable(&message),
        }
    }

    fn unreachable(&self, why: &str) -> Reason {
        let address = &self.address;
        let remedy = "is the terminal on, in this network, and is ZVT switched on in its menu?";
        Reason::new(Cause::Unreachable, format!("nobody answers at {address}: {why}; {remedy}"))
    }

    fn lost(&self, why: &str) -> Reason {
        Reason::new(Cause::LinkLost, format!("the connection to {} broke: {why}", self.address))
    }

    fn fail<T>(&mut self, reason: Reason) -> Result<T, Reason> {
        self.line = None;
        Err(reason)
    }

    /// The next message among the bytes that have been read.
    fn decoded(&mut self) -> Result<Option<Apdu>, Reason> {
        let Some(line) = &mut self.line else {
            return Err(self.lost("it is closed"));
        };
        line.skip_banner(&mut self.banner);
        if self.banner.len() > MAXIMUM_BANNER {
            let sentence = foreign::sentence(&self.address, &self.banner);
            return self.fail(Reason::new(Cause::Garbage, sentence));
        }
        match line.decoder.next_apdu() {
            Ok(Some(apdu)) if is_plausible(apdu.class) => Ok(Some(traced(Direction::Pt, apdu))),
            Ok(None) if line.decoder.pending_bytes().first().is_none_or(|class| is_plausible(*class)) => Ok(None),
            Ok(_) | Err(_) => {
                let sentence = line.undecodable(&self.address);
                self.fail(Reason::new(Cause::Garbage, sentence))
            }
        }
    }

    /// What `read` told; zero bytes are the end of the line.
    fn accept(&mut self, read: io::Result<usize>, buffer: &[u8]) -> Result<(), Reason> {
        match (read, &mut self.line) {
            (Ok(0), _) => {
                let reason = self.ended();
                self.fail(reason)
            }
            (Ok(count), Some(line)) => {
                line.push(&buffer[..count]);
                Ok(())
            }
            (Ok(_), None) => Err(self.lost("it is closed")),
            (Err(error), _) => {
                let reason = self.lost(&error.to_string());
                self.fail(reason)
            }
        }
    }

    fn ended(&self) -> Reason {
        match self.foreign() {
            Some(sentence) => Reason::new(Cause::Garbage, sentence),
            None => self.lost("the terminal closed it"),
        }
    }

    fn closed(&self) -> SendError {
        SendError { reason: self.lost("it is closed"), nothing_sent: true }
    }
}

#[async_trait]
impl Transport for TcpTransport {
    async fn open(&mut self) -> Result<(), Reason> {
        self.line = None;
        self.banner.clear();
        self.ended_in_order = false;
        let stream = self.connected().await?;
        self.line = Some(Line::new(stream));
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.line.is_some()
    }

    async fn send(&mut self, apdu: &Apdu, delivery: Delivery) -> Result<(), SendError> {
        let bytes = apdu.encode().map_err(|error| SendError {
            reason: Reason::new(Cause::Unsupported, error.to_string()),
            nothing_sent: true,
        })?;
        let Some(line) = &mut self.line else {
            return Err(self.closed());
        };
        if delivery == Delivery::AtMostOnce
            && let Err(error) = line.reset_at_end(true)
        {
            return Err(SendError { reason: self.lost(&error.to_string()), nothing_sent: true });
        }
        tracing::trace!(target: "tillswitch_zvt::frames", "{}", trace::line(Direction::Ecr, apdu));
        let mut written = 0;
        let writing = timeout(self.t3, write_all(&mut *line.stream, &bytes, &mut written)).await;
        let reason = match writing {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => self.lost(&error.to_string()),
            Err(_) => self.lost("it takes no more bytes"),
        };
        self.line = None;
        Err(SendError { reason, nothing_sent: written == 0 })
    }

    async fn receive(&mut self) -> Result<Apdu, Reason> {
        loop {
            if let Some(apdu) = self.decoded()? {
                return Ok(apdu);
            }
            let Some(line) = &mut self.line else {
                return Err(self.lost("it is closed"));
            };
            let mut buffer = [0; READ_SIZE];
            let next_piece = line.awaits_next_piece().then(|| line.heard + self.t3);
            // One read that is dropped while it waits has taken no byte.
            match within(next_piece, line.stream.read(&mut buffer)).await {
                Ok(0) if line.resets => {
                    // A PT that was gone before our last answer came has reset the line meanwhile.
                    tokio::time::sleep(RESET_GRACE).await;
                    self.ended_in_order = !line.stream.was_reset();
                    self.accept(Ok(0), &buffer)?;
                }
                read => self.accept(read, &buffer)?,
            }
        }
    }

    fn arrived(&mut self) -> Result<Option<Apdu>, Reason> {
        loop {
            if let Some(apdu) = self.decoded()? {
                return Ok(Some(apdu));
            }
            let Some(line) = &mut self.line else {
                return Err(self.lost("it is closed"));
            };
            let mut buffer = [0; READ_SIZE];
            match line.stream.read_arrived(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                read => self.accept(read, &buffer)?,
            }
        }
        match &self.line {
            Some(line) if line.awaits_next_piece() => {
                let reason = self.lost("half a message came while nobody asked");
                self.fail(reason)
            }
            Some(_) | None => Ok(None),
        }
    }

    fn settled(&mut self) {
        if let Some(line) = self.line.as_mut().filter(|line| line.resets)
            && let Err(error) = line.reset_at_end(false)
        {
            tracing::debug!("the line will end with a reset: {error}");
        }
    }

    fn ended_in_order(&self) -> bool {
        self.ended_in_order
    }

    async fn close(&mut self) {
        if let Some(mut line) = self.line.take().filter(|line| !line.resets) {
            // The PT learns of the end either way.
            let _ = timeout(self.t3, line.stream.shutdown()).await;
        }
    }

    fn address(&self) -> &str {
        &self.address
    }

    fn foreign(&self) -> Option<String> {
        let unsure = self.line.as_ref().and_then(|line| line.unsure.as_deref()).unwrap_or_default();
        let bytes = [&self.banner, unsure].concat();
        (!bytes.is_empty()).then(|| foreign::sentence(&self.address, &bytes))
    }
}

impl Line {
    fn new(stream: Box<dyn ByteStream>) -> Line {
        let decoder = ApduDecoder::new(MAXIMUM_DATA);
        Line { stream, decoder, unsure: Some(Vec::new()), resets: false, heard: Instant::now() }
    }

    fn awaits_next_piece(&self) -> bool {
        self.decoder.pending() > 0
    }

    /// A socket that closes in order goes on sending for minutes what the other side has not acknowledged, even when this
    /// process is gone. One that does not linger forgets it and resets the connection.
    fn reset_at_end(&mut self, resets: bool) -> io::Result<()> {
        self.stream.reset_at_end(resets)?;
        self.resets = resets;
        Ok(())
    }

    fn push(&mut self, bytes: &[u8]) {
        self.heard = Instant::now();
        match &mut self.unsure {
            Some(unsure) => unsure.extend_from_slice(bytes),
            None => self.decoder.push(bytes),
        }
    }

    /// The first APDU on a line is the answer to our first command, or begins at the first byte. Anything else is a banner.
    fn skip_banner(&mut self, banner: &mut Vec<u8>) {
        let Some(unsure) = &mut self.unsure else {
            return;
        };
        let at_once = banner.is_empty() && starts_with_pt_command(unsure);
        match unsure.windows(3).position(is_answer) {
            _ if at_once => {
                self.decoder.push(unsure);
                self.unsure = None;
            }
            Some(start) => {
                banner.extend(unsure.drain(..start));
                self.decoder.push(unsure);
                self.unsure = None;
            }
            None => {
                // Two bytes may be the start of the answer; the rest cannot be.
                let banner_end = unsure.len().saturating_sub(2);
                banner.extend(unsure.drain(..banner_end));
            }
        }
    }

    fn undecodable(&self, address: &str) -> String {
        let bytes = self.decoder.pending_bytes();
        tracing::trace!(target: "tillswitch_zvt::frames", "{}", trace::undecodable(Direction::Pt, bytes));
        format!("what came from {address} is no ZVT message; the connection was dropped")
    }
}

/// A result or a slip of an earlier conversation can be the first thing that a PT says on a new line.
fn starts_with_pt_command(bytes: &[u8]) -> bool {
    let commands = [
        control::STATUS_INFORMATION,
        control::INTERMEDIATE_STATUS,
        control::COMPLETION,
        control::ABORT,
        control::PRINT_LINE,
        control::PRINT_BLOCK,
    ];
    commands.iter().any(|command| bytes.starts_with(command))
}

fn is_answer(bytes: &[u8]) -> bool {
    bytes == [0x80, 0x00, 0x00] || (bytes[0] == control::NEGATIVE_CLASS && bytes[1] != 0 && bytes[2] < 0x10)
}

/// The classes of the standard. Anything else means that the stream is out of step.
fn is_plausible(class: u8) -> bool {
    matches!(class, 0x04 | 0x05 | 0x06 | 0x08 | 0x0F | 0x80 | control::NEGATIVE_CLASS)
}

/// A message whose pieces come more slowly than T3 is given up: what comes later may belong to another one.
async fn within(end: Option<Instant>, read: impl Future<Output = io::Result<usize>>) -> io::Result<usize> {
    let gave_up = || io::Error::new(io::ErrorKind::TimedOut, "half a message came, and the rest of it did not");
    match end {
        Some(end) => timeout_at(end, read).await.unwrap_or_else(|_| Err(gave_up())),
        None => read.await,
    }
}

async fn write_all(stream: &mut dyn ByteStream, bytes: &[u8], written: &mut usize) -> io::Result<()> {
    while *written < bytes.len() {
        match stream.write(&bytes[*written..]).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => *written += count,
        }
    }
    // What is encrypted may still be held back.
    stream.flush().await
}

fn traced(direction: Direction, apdu: Apdu) -> Apdu {
    tracing::trace!(target: "tillswitch_zvt::frames", "{}", trace::line(direction, &apdu));
    apdu
}
