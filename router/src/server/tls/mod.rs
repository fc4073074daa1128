//! HTTPS: what lies between a socket and a request when the public listener encrypts by itself.

mod shown;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::server::TlsStream;

use super::Limits;
use super::fault::Fault;
use super::wire::{Accept, Transport, Wire};

pub use shown::{Shown, Watch};

/// The first byte of every TLS connection: a record of the handshake (RFC 8446 5.1).
const HANDSHAKE: u8 = 0x16;
/// How long a client that speaks plain HTTP may take to read that this is the wrong way.
const LAST_WORD: Duration = Duration::from_secs(1);

/// TLS 1.2 and 1.3 around a socket, HTTP/1.1 inside, with whatever certificate is [`Shown`] at that moment.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl Tls {
    /// Shows this to clients.
    pub fn new(shown: Arc<Shown>) -> Tls {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(&[&TLS13, &TLS12]).expect("ring has suites for both versions");
        let mut config = builder.with_no_client_auth().with_cert_resolver(shown);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Tls(TlsAcceptor::from(Arc::new(config)))
    }
}

impl Accept for Tls {
    type Stream = Encrypted;

    async fn accept(&self, socket: TcpStream) -> io::Result<Encrypted> {
        let mut first = [0];
        socket.peek(&mut first).await?;
        // Only a letter is answered in words: anything else is neither TLS nor HTTP.
        if first[0] != HANDSHAKE && first[0].is_ascii_alphabetic() {
            return Err(wrong_way(socket).await);
        }
        self.0.accept(socket).await.map(Encrypted)
    }
}

/// Tells a client that speaks plain HTTP to say `https://`.
async fn wrong_way(socket: TcpStream) -> io::Error {
    let mut wire = Wire::new(socket);
    let text = Fault::Malformed("only https is spoken on this port").to_wire(&Limits::default());
    if wire.write(&text, LAST_WORD).await.is_ok() {
        wire.close(LAST_WORD).await;
    }
    io::Error::new(io::ErrorKind::InvalidData, "plain HTTP on the port for https")
}

/// A client behind TLS.
pub struct Encrypted(TlsStream<TcpStream>);

impl Transport for Encrypted {
    fn peer_error(&self) -> Option<io::Error> {
        self.0.get_ref().0.peer_error()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.0).poll_read(cx, buffer)) {
            // Many clients close without saying so in TLS. A request that was cut short by somebody on the way is noticed
            // all the same, because its length is told inside of it.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            read => Poll::Ready(read),
        }
    }
}

impl AsyncWrite for Encrypted {
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
