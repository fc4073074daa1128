//! A serial cable in memory: what the driver opens, and the other end of each opening.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tillswitch_core::async_trait;
use tillswitch_zvt::transport::serial::{LineSettings, Parity, StopBits};
use tillswitch_zvt::transport::stream::{ByteStream, Connector};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::sync::mpsc;

/// The standard's: 9600 baud 8N2.
pub const SETTINGS: LineSettings = LineSettings { baud_rate: 9600, parity: Parity::None, stop_bits: StopBits::Two };
/// How long one byte is on its way: a start bit, eight of data, two stop bits.
pub const BYTE: Duration = Duration::from_nanos(11 * 1_000_000_000 / 9600);
/// More than ever lies on a line.
const CAPACITY: usize = 64 * 1024;

/// What the driver opens.
pub struct Cable(mpsc::UnboundedSender<End>);

impl Cable {
    pub fn new() -> (Cable, mpsc::UnboundedReceiver<End>) {
        let (sender, ends) = mpsc::unbounded_channel();
        (Cable(sender), ends)
    }
}

#[async_trait]
impl Connector for Cable {
    async fn connect(&mut self) -> io::Result<Box<dyn ByteStream>> {
        let (near, far) = duplex(CAPACITY);
        self.0.send(End(far)).map_err(|_| io::ErrorKind::NotFound)?;
        Ok(Box::new(End(near)))
    }
}

/// One end of an opened line.
pub struct End(DuplexStream);

impl End {
    pub async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    pub async fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    pub async fn read_byte(&mut self) -> u8 {
        self.read(1).await[0]
    }

    /// All that has come and was not read.
    pub fn everything(&mut self) -> Vec<u8> {
        let (mut all, mut bytes) = (Vec::new(), [0; 1024]);
        while let Ok(count @ 1..) = self.read_arrived(&mut bytes) {
            all.extend(&bytes[..count]);
        }
        all
    }
}

impl AsyncRead for End {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for End {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl ByteStream for End {
    fn read_arrived(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(&mut self.0).poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer) {
            Poll::Ready(read) => read.map(|()| buffer.filled().len()),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn reset_at_end(&mut self, _: bool) -> io::Result<()> {
        Ok(())
    }

    fn was_reset(&self) -> bool {
        true
    }
}
