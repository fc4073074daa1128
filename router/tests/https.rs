//! Does the listener speak https as it speaks HTTP, and does it change its certificate without losing anybody?

// Clippy takes the functions that tests share for something else than tests.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tillswitch::config::{Certificate, Https};
use tillswitch::metrics::{Layout, Listener, Metrics};
use tillswitch::server::tls::{Shown, Tls, Watch};
use tillswitch::server::{Callers, Counted, Limits, routes, serve_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, ProtocolVersion, SignatureScheme, SupportedProtocolVersion,
};
use warp::Filter;

/// No test waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(10);
const OK: &str = "POST /echo HTTP/1.1|Host: a|Connection: close|Content-Length: 2||ok";

fn quick() -> Limits {
    Limits {
        header_deadline: Duration::from_millis(300),
        body_deadline: Duration::from_millis(300),
        linger: Duration::from_millis(200),
        settle: Duration::from_millis(200),
        ..Limits::default()
    }
}

/// A listener that echoes bodies over https, and its two files.
struct Server {
    address: SocketAddr,
    files: Https,
    shown: Arc<Shown>,
    metrics: Metrics,
    _folder: TempDir,
    served: JoinHandle<()>,
}

/// A certificate that is valid until the end of that year, as PEM with its key.
fn made(year: i32) -> (String, String) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = date_time_ymd(year, 12, 31);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn write(folder: &Path, year: i32) -> Https {
    let (certificate_file, key_file) = (folder.join("chain.pem"), folder.join("key.pem"));
    let (certificate, key) = made(year);
    std::fs::write(&certificate_file, certificate).unwrap();
    std::fs::write(&key_file, key).unwrap();
    let certificate = Certificate::read(&certificate_file, &key_file).unwrap();
    Https { certificate_file, key_file, certificate }
}

async fn start(limits: Limits) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let files = write(folder.path(), 2040);
    let metrics = Metrics::new(&Layout::default());
    let shown = Shown::new(&files.certificate, metrics.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let echo =
        routes(warp::path("echo").and(warp::body::bytes()).map(|body: Bytes| warp::reply::Response::new(body.into())));
    let tls = Counted::new(Tls::new(shown.clone()), metrics.clone(), Listener::Public);
    let served = tokio::spawn(async move {
        serve_with(listener, tls, echo, limits, Callers::default(), std::future::pending()).await;
    });
    Server { address, files, shown, metrics, _folder: folder, served }
}

impl Server {
    async fn connect(&self, version: &'static SupportedProtocolVersion) -> TlsStream<TcpStream> {
        connect(self.address, version).await
    }

    /// Sends `text`, where `|` stands for CR LF, and reads until the server closes.
    async fn ask(&self, text: &str) -> String {
        let mut client = self.connect(&TLS13).await;
        client.write_all(&wire(text)).await.unwrap();
        read_to_end(&mut client).await
    }

    /// A metric of the public listener.
    fn metric(&self, name: &str) -> f64 {
        let text = self.metrics.render();
        let line = text.lines().find(|line| line.starts_with(&format!("{name}{{listener=\"public\"}}"))).unwrap();
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.served.abort();
    }
}

/// Believes everybody: what is shown is compared by the tests themselves.
#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &ring::default_provider().signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &ring::default_provider().signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

async fn connect(address: SocketAddr, version: &'static SupportedProtocolVersion) -> TlsStream<TcpStream> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_protocol_versions(&[version]).unwrap().dangerous();
    let mut config = builder.with_custom_certificate_verifier(Arc::new(Gullible)).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let socket = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    soon(TlsConnector::from(Arc::new(config)).connect(name, socket)).await.unwrap()
}

fn wire(text: &str) -> Vec<u8> {
    text.replace('|', "\r\n").into_bytes()
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it should have happened by now")
}

async fn read_to_end(client: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut text = Vec::new();
    soon(client.read_to_end(&mut text)).await.unwrap();
    String::from_utf8(text).unwrap()
}

fn shown(client: &TlsStream<TcpStream>) -> Vec<u8> {
    client.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn both_versions_of_tls_carry_http_1_1() {
    let server = start(quick()).await;
    for (version, expected) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let mut client = server.connect(version).await;
        assert_eq!(client.get_ref().1.protocol_version(), Some(expected));
        assert_eq!(client.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        for body in ["one", "two"] {
            let request = format!("POST /echo HTTP/1.1|Host: a|Content-Length: 3||{body}");
            client.write_all(&wire(&request)).await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(body.as_bytes()) {
                answer.push(soon(client.read_u8()).await.unwrap());
            }
        }
        client.write_all(&wire(OK)).await.unwrap();
        // The end is told in TLS too, otherwise reading to the end would be an error.
        assert!(read_to_end(&mut client).await.ends_with("\r\n\r\nok"));
    }
}

#[tokio::test]
async fn a_client_that_closed_its_side_is_answered() {
    let server = start(quick()).await;
    let request = "POST /echo HTTP/1.1|Host: a|Content-Length: 5||hello";
    for version in [&TLS12, &TLS13] {
        // With a word in TLS, as it should be.
        let mut polite = server.connect(version).await;
        polite.write_all(&wire(request)).await.unwrap();
        polite.shutdown().await.unwrap();
        assert!(read_to_end(&mut polite).await.ends_with("\r\n\r\nhello"));

        // Without one: only the socket below is closed.
        let mut abrupt = server.connect(version).await;
        abrupt.write_all(&wire(request)).await.unwrap();
        abrupt.flush().await.unwrap();
        abrupt.get_mut().0.shutdown().await.unwrap();
        assert!(read_to_end(&mut abrupt).await.ends_with("\r\n\r\nhello"));
    }
}

/// A request that somebody on the way cut short is not taken for a whole one.
#[tokio::test]
async fn a_request_that_is_cut_off_is_malformed() {
    let server = start(quick()).await;
    let mut client = server.connect(&TLS13).await;
    client.write_all(&wire("POST /echo HTTP/1.1|Host: a|Content-Length: 5||he")).await.unwrap();
    client.flush().await.unwrap();
    client.get_mut().0.shutdown().await.unwrap();
    assert!(read_to_end(&mut client).await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn plain_http_is_told_so_and_closed() {
    let server = start(quick()).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(&wire("GET / HTTP/1.1|Host: a||")).await.unwrap();
    let answer = read_to_end(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("only https"), "{answer}");
    // What is neither is closed without a word.
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(&[0; 64]).await.unwrap();
    let mut text = Vec::new();
    let _ = soon(client.read_to_end(&mut text)).await;
    assert!(!text.starts_with(b"HTTP"), "{text:?}");
}

#[tokio::test]
async fn a_slow_handshake_is_cut_off_and_keeps_no_place() {
    // So many bytes of a handshake, and then nothing.
    for begun in [&[][..], &[0x16, 3, 1], &[0x16, 3, 1, 2, 0, 1]] {
        let server = start(quick()).await;
        let mut slow = TcpStream::connect(server.address).await.unwrap();
        slow.write_all(begun).await.unwrap();
        let _ = soon(slow.read_to_end(&mut Vec::new())).await;

        let patient = Limits { header_deadline: PATIENCE, max_connections: 1, ..quick() };
        let server = start(patient).await;
        let mut slow = TcpStream::connect(server.address).await.unwrap();
        slow.write_all(begun).await.unwrap();
        let began = Instant::now();
        soon(async { while !server.ask(OK).await.ends_with("ok") {} }).await;
        assert!(began.elapsed() < PATIENCE / 2, "{begun:?} kept its place");
    }
}

/// TLS takes in a whole answer before the socket has it, so writing never waits; flushing does.
#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let server = start(Limits { write_stall: Duration::from_millis(200), ..quick() }).await;
    let mut deaf = server.connect(&TLS13).await;
    let body = "x".repeat(16 * 1024);
    let request = wire(&format!("POST /echo HTTP/1.1|Host: a|Content-Length: {}||{body}", body.len()));
    let writing = async { while deaf.write_all(&request).await.is_ok() {} };
    let given_up = async {
        let connected = || server.metric("tillswitch_http_connections");
        while connected() == 0.0 {
            tokio::task::yield_now().await;
        }
        while connected() > 0.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // The client still writes, into the socket's buffer, when it is given up.
    tokio::select! {
        () = writing => {}
        () = soon(given_up) => {}
    }
}

#[tokio::test]
async fn what_is_not_one_clear_request_is_refused_inside_tls_too() {
    let server = start(quick()).await;
    for case in [
        "POST /echo HTTP/1.1|Host: a|Content-Length: 5|Transfer-Encoding: chunked||0||",
        "POST /echo HTTP/1.1|Host: a|Content-Length: 5|Content-Length: 6||hello!",
        "GET /echo HTTP/1.1|Host: a|X-Folded: one| two||",
        "GET /echo HTTP/1.1\nHost: a\n\n",
        "PRI * HTTP/2.0||SM||",
    ] {
        let answer = server.ask(&format!("{case}{OK}")).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && !answer.contains("200 OK"), "{case}: {answer}");
    }
}

/// Certificates change all the time, and no request fails: not on connections that are open, not on new ones.
#[tokio::test]
async fn a_certificate_is_swapped_under_load() {
    let server = start(Limits::default()).await;
    let before = shown(&server.connect(&TLS13).await);
    let address = server.address;
    let mut open = server.connect(&TLS13).await;
    let mut clients = JoinSet::new();
    for client in 0..8 {
        clients.spawn(async move {
            for _ in 0..20 {
                let mut client = connect(address, if client % 2 == 0 { &TLS12 } else { &TLS13 }).await;
                client.write_all(&wire(OK)).await.unwrap();
                assert!(read_to_end(&mut client).await.ends_with("\r\n\r\nok"));
            }
        });
    }
    let mut year = 2040;
    while !clients.is_empty() {
        year = 2040 + (year + 1) % 9;
        server.shown.show(&write(server._folder.path(), year).certificate);
        open.write_all(&wire("POST /echo HTTP/1.1|Host: a|Content-Length: 3||six")).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"six") {
            answer.push(soon(open.read_u8()).await.unwrap());
        }
        while let Some(ended) = clients.try_join_next() {
            ended.unwrap();
        }
    }
    assert_eq!(shown(&open), before);
    assert_ne!(shown(&server.connect(&TLS13).await), before);
}

#[tokio::test]
async fn files_that_change_are_taken_over_when_they_fit() {
    const END: &str = "tillswitch_tls_certificate_not_after_timestamp_seconds";
    const WORKED: &str = "tillswitch_tls_certificate_last_reload_successful";
    let server = start(quick()).await;
    let mut watch = Watch::default();
    let mut look = |times: usize| (0..times).for_each(|_| watch.look(&server.files, &server.shown));
    let end = |year| date_time_ymd(year, 12, 31).unix_timestamp() as f64;
    look(2);
    let first = shown(&server.connect(&TLS13).await);
    assert_eq!((server.metric(END), server.metric(WORKED)), (end(2040), 1.0));

    // A broken file, and a key that does not fit: the old certificate is shown on.
    let (certificate, key) = made(2041);
    for (file, text) in
        [(&server.files.certificate_file, "no certificate"), (&server.files.certificate_file, &certificate)]
    {
        std::fs::write(file, text).unwrap();
        look(3);
        assert_eq!((server.metric(END), server.metric(WORKED)), (end(2040), 0.0));
        assert_eq!(shown(&server.connect(&TLS13).await), first);
        assert!(server.ask(OK).await.ends_with("ok"));
    }

    // Now the key comes too. It may still be changing when it is seen first.
    std::fs::write(&server.files.key_file, format!("{key}\n")).unwrap();
    look(1);
    assert_eq!(server.metric(END), end(2040));
    look(1);
    assert_eq!((server.metric(END), server.metric(WORKED)), (end(2041), 1.0));
    assert_ne!(shown(&server.connect(&TLS13).await), first);
}
