//! How a connection is opened, kept, and known to be dead.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tillswitch_core::{Cause, Reason};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::address::{Endpoint, forbidden};

/// Resolving the name, connecting and the TLS handshake together.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// Opens connections to one terminal. Nothing that fails in here has sent a byte of a request.
pub(crate) struct Dialer {
    endpoint: Endpoint,
    tls: Option<TlsConnector>,
}

impl Dialer {
    /// Reads the system's certificates if the endpoint needs them; `Err` says why they are of no use.
    pub fn new(endpoint: Endpoint) -> Result<Dialer, String> {
        let tls = if endpoint.tls { Some(system_tls()?) } else { None };
        Ok(Dialer { endpoint, tls })
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// A new connection, ready for a request, within [`CONNECT_LIMIT`] and not after `deadline`.
    pub async fn connect(&self, deadline: Instant) -> Result<Wire, Reason> {
        let deadline = deadline.min(Instant::now() + CONNECT_LIMIT);
        match tokio::time::timeout_at(deadline, self.open(deadline)).await {
            Ok(result) => result,
            Err(_) => Err(self.unreachable("no connection within the time for connecting")),
        }
    }

    async fn open(&self, deadline: Instant) -> Result<Wire, Reason> {
        let tcp = self.open_tcp(deadline).await?;
        // A payment is one small request: waiting for more to send would only delay it.
        let _ = tcp.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return Ok(Wire::new(Stream::Plain(tcp)));
        };
        let name = ServerName::try_from(self.endpoint.host.clone());
        let name = name.map_err(|_| self.unreachable("its name cannot stand in a certificate"))?;
        let handshake = tls.connect(name, tcp).await;
        let stream = handshake.map_err(|error| self.unreachable(&format!("the TLS handshake failed: {error}")))?;
        Ok(Wire::new(Stream::Tls(Box::new(stream))))
    }

    /// Tries every address of the name, each with its share of the time, so that a dead one does not hide a living one.
    async fn open_tcp(&self, deadline: Instant) -> Result<TcpStream, Reason> {
        let addresses = self.resolve().await?;
        let mut last = "the name has no address".to_owned();
        for (tried, address) in addresses.iter().enumerate() {
            let share = deadline.saturating_duration_since(Instant::now()) / (addresses.len() - tried) as u32;
            match tokio::time::timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => return Ok(tcp),
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => last = format!("no connection to {address} within the time for connecting"),
            }
        }
        Err(self.unreachable(&last))
    }

    /// The name is resolved once, and what is checked is what is connected to.
    async fn resolve(&self) -> Result<Vec<SocketAddr>, Reason> {
        let found = tokio::net::lookup_host((self.endpoint.host.as_str(), self.endpoint.port)).await;
        let found = found.map_err(|error| self.unreachable(&format!("its name cannot be resolved: {error}")))?;
        let addresses: Vec<SocketAddr> = found.collect();
        match addresses.iter().find_map(|address| forbidden(address.ip(), self.endpoint.tls)) {
            None => Ok(addresses),
            Some(why) => Err(Reason::new(Cause::Refused, format!("nothing is sent to {}: {why}", self.name()))),
        }
    }

    fn unreachable(&self, why: &str) -> Reason {
        let remedy = "check that it is switched on and that `url` is right";
        Reason::new(Cause::Unreachable, format!("the terminal at {} cannot be reached: {why}; {remedy}", self.name()))
    }

    fn name(&self) -> String {
        self.endpoint.authority()
    }
}

/// TLS 1.2 or newer with the certificates that the system trusts, so that a shop can add its terminal's own.
fn system_tls() -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("https needs certificates to trust, and this system has none".into());
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A connection that counts what was handed to it for sending.
pub(crate) struct Wire {
    stream: Stream,
    written: Written,
}

/// How many bytes a connection took for sending. Outlives the connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written(Arc<AtomicU64>);

impl Written {
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    fn new(stream: Stream) -> Wire {
        Wire { stream, written: Written::default() }
    }

    pub fn written(&self) -> Written {
        self.written.clone()
    }

    /// Whether the other side has neither closed this idle connection nor sent anything on it.
    ///
    /// Asks the system itself and not the runtime, which may not yet have noticed.
    pub fn is_quiet(&mut self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let looked = SockRef::from(self.tcp()).peek(&mut byte);
        matches!(looked, Err(error) if error.kind() == io::ErrorKind::WouldBlock) && self.holds_nothing_decrypted()
    }

    /// Whether the end of this connection takes back what has not left yet. A socket that closes in order goes on sending for
    /// minutes what the other side has not acknowledged, even when this process is gone.
    pub fn reset_at_end(&self, resets: bool) -> io::Result<()> {
        SockRef::from(self.tcp()).set_linger(resets.then_some(Duration::ZERO))
    }

    fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => tls.get_ref().0,
        }
    }

    fn holds_nothing_decrypted(&mut self) -> bool {
        let mut byte = [0];
        let mut context = Context::from_waker(std::task::Waker::noop());
        Pin::new(self).poll_read(&mut context, &mut ReadBuf::new(&mut byte)).is_pending()
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Stream::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let result = match &mut wire.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Stream::Tls(tls) => poll_write_tls(tls, cx, bytes, &wire.written),
        };
        if let Poll::Ready(Ok(count)) = &result {
            wire.written.0.fetch_add(*count as u64, Ordering::Relaxed);
        }
        result
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

/// TLS may encrypt and send a part before it reports an error, so the attempt itself counts as sent.
fn poll_write_tls(
    tls: &mut TlsStream<TcpStream>,
    cx: &mut Context<'_>,
    bytes: &[u8],
    written: &Written,
) -> Poll<io::Result<usize>> {
    let result = Pin::new(tls).poll_write(cx, bytes);
    if !matches!(result, Poll::Ready(Ok(_))) {
        written.0.fetch_add(1, Ordering::Relaxed);
    }
    result
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;

    use bytes::Bytes;
    use http_body_util::Full;
    use hyper::Request;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::oneshot;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;

    use super::*;
    use crate::exchange::exchange;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

    fn request() -> Request<Full<Bytes>> {
        Request::post("/payment").header("host", "localhost").body(Full::from("{}")).unwrap()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    fn endpoint(tls: bool, port: u16) -> Endpoint {
        Endpoint { tls, host: "localhost".into(), port, target: "/payment".into() }
    }

    /// A certificate for `localhost`: the terminal's side, and a client that trusts it.
    fn certificate() -> (TlsAcceptor, TlsConnector) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(ring::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let server =
            server.unwrap().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let client = client.with_root_certificates(roots).with_no_client_auth();
        (TlsAcceptor::from(Arc::new(server)), TlsConnector::from(Arc::new(client)))
    }

    /// Takes one TLS connection, answers so many requests on it, and says good-bye when told.
    async fn serve(listener: TcpListener, acceptor: TlsAcceptor, requests: usize, leave: oneshot::Receiver<()>) {
        let mut tls = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        for _ in 0..requests {
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"{}") {
                tls.read_buf(&mut bytes).await.unwrap();
            }
            tls.write_all(ANSWER).await.unwrap();
        }
        leave.await.unwrap();
        tls.shutdown().await.unwrap();
    }

    async fn listener() -> (TcpListener, u16) {
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    #[tokio::test]
    async fn an_encrypted_connection_is_kept_and_its_end_is_seen() {
        let (listener, port) = listener().await;
        let (acceptor, connector) = certificate();
        let (leave, told) = oneshot::channel();
        let server = tokio::spawn(serve(listener, acceptor, 2, told));
        let dialer = Dialer { endpoint: endpoint(true, port), tls: Some(connector) };
        let wire = dialer.connect(soon()).await.unwrap();
        let (answer, kept) = exchange(wire, request(), soon()).await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"{}"[..]));
        let wire = kept.unwrap().usable().expect("the connection stands");
        let (_, kept) = exchange(wire, request(), soon()).await.unwrap();
        let kept = kept.expect("the connection stands");
        leave.send(()).unwrap();
        server.await.unwrap();
        assert!(kept.usable().is_none());
    }

    #[tokio::test]
    async fn a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_sent() {
        let (listener, port) = listener().await;
        let (acceptor, _) = certificate();
        let server = tokio::spawn(async move { acceptor.accept(listener.accept().await.unwrap().0).await.is_err() });
        let (_, other) = certificate();
        let dialer = Dialer { endpoint: endpoint(true, port), tls: Some(other) };
        let reason = dialer.connect(soon()).await.err().unwrap();
        assert!(reason.cause == Cause::Unreachable && reason.message.contains("TLS"), "{reason}");
        assert!(server.await.unwrap());
    }

    #[tokio::test]
    async fn a_handshake_that_hangs_ends_with_the_time_for_connecting() {
        let (listener, port) = listener().await;
        let dialer = Dialer { endpoint: endpoint(true, port), tls: Some(certificate().1) };
        let reason = dialer.connect(Instant::now() + Duration::from_millis(100)).await.err().unwrap();
        assert_eq!(reason.cause, Cause::Unreachable);
        drop(listener);
    }

    #[tokio::test]
    async fn a_connection_that_takes_no_byte_has_sent_nothing() {
        let (listener, port) = listener().await;
        let dialer = Dialer { endpoint: endpoint(false, port), tls: None };
        let wire = dialer.connect(soon()).await.unwrap();
        SockRef::from(wire.tcp()).shutdown(Shutdown::Write).unwrap();
        let lost = exchange(wire, request(), soon()).await.err().unwrap();
        assert!(!lost.sent, "{lost:?}");
        drop(listener);
    }
}
