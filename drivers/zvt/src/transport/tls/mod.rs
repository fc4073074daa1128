//! How the bytes of a TCP line are kept from eavesdroppers: TLS to the PT.
//!
//! Nothing that was given up reaches the PT later here either: what TLS holds back goes with the stream, and the socket
//! below is the one that forgets what it has not sent.

mod trust;

use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use socket2::SockRef;
use tillswitch_core::SettingsError;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection};

use super::stream::{ByteStream, Connector, Tcp};
use crate::settings::TlsSettings;

pub(super) use trust::Mistrust;

/// TLS over TCP to this address.
pub(crate) struct Tls {
    tcp: Tcp,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

impl Tls {
    /// Reads whom to trust; nobody is connected to.
    pub fn new(address: &str, settings: &TlsSettings) -> Result<Tls, SettingsError> {
        let name = server_name(address, settings.server_name.as_deref())?;
        let config = Arc::new(trust::client_config(settings.ca.as_deref())?);
        Ok(Tls { tcp: Tcp(address.to_owned()), name, config })
    }
}

#[async_trait]
impl Connector for Tls {
    async fn connect(&mut self) -> io::Result<Box<dyn ByteStream>> {
        let socket = self.tcp.socket().await?;
        let connector = tokio_rustls::TlsConnector::from(self.config.clone());
        let shaken = connector.connect(self.name.clone(), socket).await;
        let stream = shaken.map_err(|error| trust::explained(error, &self.tcp.0, &self.name))?;
        Ok(Box::new(TlsLine(stream)))
    }
}

/// The name that the PT's certificate must be for: the host of the address, unless another one is set.
fn server_name(address: &str, configured: Option<&str>) -> Result<ServerName<'static>, SettingsError> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    let text = configured.unwrap_or(host);
    ServerName::try_from(text.to_owned()).map_err(|_| {
        let message = format!("a certificate cannot be for {text:?}");
        SettingsError::new("server_name", message, "write the name in the terminal's certificate: server_name = \"…\"")
    })
}

/// An encrypted stream on a socket.
struct TlsLine(TlsStream<TcpStream>);

impl TlsLine {
    /// What is decrypted already, or else what the socket holds.
    fn read_now(socket: &TcpStream, session: &mut ClientConnection, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            // After the end of the socket the reader no longer says that it would block.
            session.read_tls(&mut &*SockRef::from(socket))?;
            session.process_new_packets().map_err(io::Error::other)?;
        }
    }
}

impl ByteStream for TlsLine {
    fn read_arrived(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (socket, session) = self.0.get_mut();
        TlsLine::read_now(socket, session, buffer)
    }

    fn reset_at_end(&mut self, resets: bool) -> io::Result<()> {
        self.0.get_mut().0.reset_at_end(resets)
    }

    /// "close notify" alone does not tell that the PT has read everything; the end of the socket behind it does.
    fn was_reset(&self) -> bool {
        let socket = self.0.get_ref().0;
        let at_its_end = matches!((&*SockRef::from(socket)).read(&mut [0]), Ok(0));
        !at_its_end || socket.was_reset()
    }
}

impl AsyncRead for TlsLine {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer).map_err(without_farewell)
    }
}

/// An end without "close notify" may be anybody's doing, so it stays an error; but it needs no lecture.
fn without_farewell(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "it was cut without the farewell of TLS"),
        _ => error,
    }
}

impl AsyncWrite for TlsLine {
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
