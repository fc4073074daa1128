//! What the bytes of a TCP line travel on: a socket, or whatever stands in for one.

use std::io::{self, Read};
use std::time::Duration;

use async_trait::async_trait;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A connected stream of bytes, and what a line that carries money must know of its end.
///
/// # Contract
///
/// A read or a write that is dropped while it is pending has moved no byte.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {
    /// Reads what has arrived already; `WouldBlock` when nothing has. Never waits, and asks whatever is below instead of
    /// what the runtime knows of it.
    fn read_arrived(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Whether the stream, when it is dropped, is reset and forgets what has not left yet. Otherwise it ends in order.
    fn reset_at_end(&mut self, resets: bool) -> io::Result<()>;

    /// Whether the other side has reset the stream, or that cannot be told.
    fn was_reset(&self) -> bool;
}

/// Opens streams to one PT.
#[async_trait]
pub trait Connector: Send {
    /// A new stream. The caller sets the limit.
    async fn connect(&mut self) -> io::Result<Box<dyn ByteStream>>;
}

/// Plain TCP to this address.
pub(super) struct Tcp(pub String);

impl Tcp {
    pub async fn socket(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(&self.0).await?;
        // An acknowledgement of three bytes must not wait for more to come.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

#[async_trait]
impl Connector for Tcp {
    async fn connect(&mut self) -> io::Result<Box<dyn ByteStream>> {
        Ok(Box::new(self.socket().await?))
    }
}

impl ByteStream for TcpStream {
    // What the runtime knows of this socket may be older than its end, so the kernel is asked.
    fn read_arrived(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*SockRef::from(&*self)).read(buffer)
    }

    fn reset_at_end(&mut self, resets: bool) -> io::Result<()> {
        SockRef::from(&*self).set_linger(resets.then_some(Duration::ZERO))
    }

    fn was_reset(&self) -> bool {
        !matches!(self.take_error(), Ok(None))
    }
}
