//! Does the listener keep its limits, and does it know who got an answer?

// Clippy takes the functions that tests share for something else than tests.
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame};
use hyper::service::service_fn;
use hyper::{Request, Response};
use tillswitch::server::{Accept, Callers, Delivered, Drained, Limits, Transport, routes, serve, serve_with};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use warp::{Filter, Reply};

/// No test waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(10);

fn quick() -> Limits {
    Limits {
        header_deadline: Duration::from_millis(200),
        body_deadline: Duration::from_millis(200),
        idle: Duration::from_millis(300),
        linger: Duration::from_millis(200),
        settle: Duration::from_millis(200),
        ..Limits::default()
    }
}

/// A server that echoes bodies, and what the test can see of it.
struct Server {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
    /// A request to `/slow` has begun.
    begun: mpsc::UnboundedReceiver<()>,
    /// Lets requests to `/slow` end, one each.
    release: Arc<Notify>,
    /// True for each delivered answer of `/slow`, false for each that was not.
    delivered: mpsc::UnboundedReceiver<bool>,
    stop: oneshot::Sender<Duration>,
    served: JoinHandle<Drained>,
}

/// Tells of a notice that was dropped without having been called.
struct Outcome(Option<mpsc::UnboundedSender<bool>>);

impl Outcome {
    fn tell(&mut self, delivered: bool) {
        if let Some(sender) = self.0.take() {
            let _ = sender.send(delivered);
        }
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        self.tell(false);
    }
}

fn done(mut outcome: Outcome) -> warp::reply::Response {
    let mut response = "done".into_response();
    let notice = Delivered::new(move || outcome.tell(true));
    response.extensions_mut().insert(notice);
    response
}

async fn start(limits: Limits) -> Server {
    let calls = Arc::new(AtomicUsize::new(0));
    let release = Arc::new(Notify::new());
    let (begin, begun) = mpsc::unbounded_channel();
    let (tell, delivered) = mpsc::unbounded_channel();

    let count = calls.clone();
    let echo = warp::path("echo").and(warp::body::bytes()).map(move |body: Bytes| {
        count.fetch_add(1, Ordering::SeqCst);
        warp::reply::Response::new(body.into())
    });
    let wait = release.clone();
    let slow = warp::path("slow").then(move || {
        let (begin, wait, outcome) = (begin.clone(), wait.clone(), Outcome(Some(tell.clone())));
        async move {
            let _ = begin.send(());
            wait.notified().await;
            done(outcome)
        }
    });

    let panic = warp::path("panic").map(|| -> &str { panic!("a route broke") });

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let shutdown = async { Instant::now() + stopped.await.unwrap_or_default() };
    let serving = serve(listener, routes(echo.or(slow).or(panic)), limits, shutdown);
    let served = tokio::spawn(serving);
    Server { address, calls, begun, release, delivered, stop, served }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Sends `text`, where `|` stands for CR LF, and reads until the server closes.
    async fn ask(&self, text: &str) -> String {
        let mut client = self.connect().await;
        client.write_all(&wire(text)).await.unwrap();
        read_to_end(&mut client).await
    }

    /// A client in the middle of a request to `/slow`.
    async fn begin_slow(&mut self) -> TcpStream {
        let mut client = self.connect().await;
        client.write_all(&wire("GET /slow HTTP/1.1|Host: a||")).await.unwrap();
        soon(self.begun.recv()).await.unwrap();
        client
    }
}

fn wire(text: &str) -> Vec<u8> {
    text.replace('|', "\r\n").into_bytes()
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it should have happened by now")
}

async fn read_to_end(client: &mut TcpStream) -> String {
    let mut text = Vec::new();
    soon(client.read_to_end(&mut text)).await.unwrap();
    String::from_utf8(text).unwrap()
}

/// Reads up to and including `end`.
async fn read_until(client: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        text.push(soon(client.read_u8()).await.unwrap());
    }
    String::from_utf8(text).unwrap()
}

#[track_caller]
fn assert_error(case: &str, answer: &str, status: u16, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{case:?}: {answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["status"], "error");
    assert_eq!(body["code"], code);
    let message = body["message"].as_str().unwrap();
    assert!(message.contains(';'), "no way out: {message}");
    if ["timeout", "too-many"].contains(&code) {
        // A copy of a running payment may have come this way.
        assert!(message.contains("this request was not read, send it again"), "{message}");
    }
    let fields = ["content-type: application/json", "connection: close", "cache-control: no-store", "nosniff"];
    for field in fields {
        assert!(head.contains(field), "{field} is missing: {head}");
    }
}

#[tokio::test]
async fn a_request_is_answered_with_its_body() {
    let server = start(quick()).await;
    let answer = server.ask("POST /echo HTTP/1.1|Host: a|Connection: close|Content-Length: 5||hello").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
    assert!(answer.contains("cache-control: no-store"), "{answer}");
    assert!(answer.contains("x-content-type-options: nosniff"), "{answer}");
}

#[tokio::test]
async fn an_old_client_is_answered_and_closed() {
    let server = start(quick()).await;
    let answer = server.ask("POST /echo HTTP/1.0|Content-Length: 2||ok").await;
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
}

#[tokio::test]
async fn the_answer_to_head_has_no_body_and_ends() {
    let server = start(quick()).await;
    let mut client = server.connect().await;
    let head = "HEAD /echo HTTP/1.1|Host: a|Content-Length: 5||hello";
    client.write_all(&wire(head)).await.unwrap();
    let answer = read_until(&mut client, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let next = "POST /echo HTTP/1.1|Host: a|Content-Length: 3||six";
    client.write_all(&wire(next)).await.unwrap();
    let answer = read_until(&mut client, "six").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn chunks_arrive_as_one_body() {
    let server = start(quick()).await;
    let answer = server
        .ask(
            "POST /echo HTTP/1.1|Host: a|Connection: close|Transfer-Encoding: chunked||\
             3|hel|2;x=y|lo|0|X-Trailer: t||",
        )
        .await;
    assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
}

#[tokio::test]
async fn requests_follow_each_other_on_one_connection() {
    let server = start(quick()).await;
    let mut client = server.connect().await;
    for body in ["one", "two", "six"] {
        let request = format!("POST /echo HTTP/1.1|Host: a|Content-Length: 3||{body}");
        client.write_all(&wire(&request)).await.unwrap();
        let answer = read_until(&mut client, body).await;
        assert!(!answer.contains("connection: close"), "{answer}");
    }
    // Nothing more is said, and after a while the connection is closed without a word.
    assert_eq!(read_to_end(&mut client).await, "");
}

#[tokio::test]
async fn requests_sent_ahead_are_answered_in_order() {
    let server = start(quick()).await;
    let requests = "POST /echo HTTP/1.1|Host: a|Content-Length: 3||one\
                    POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked||3|two|0||\
                    POST /echo HTTP/1.1|Host: a|Content-Length: 3|Connection: close||six";
    let answers = server.ask(requests).await;
    let bodies: Vec<_> =
        answers.split("HTTP/1.1 200 OK").skip(1).map(|answer| answer.split_once("\r\n\r\n").unwrap().1).collect();
    assert_eq!(bodies, ["one", "two", "six"]);
}

#[tokio::test]
async fn a_client_that_closed_its_side_is_answered() {
    let server = start(quick()).await;
    let mut client = server.connect().await;
    let request = "POST /echo HTTP/1.1|Host: a|Content-Length: 5||hello";
    client.write_all(&wire(request)).await.unwrap();
    client.shutdown().await.unwrap();
    assert!(read_to_end(&mut client).await.ends_with("\r\n\r\nhello"));
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let server = start(quick()).await;
    let mut client = server.connect().await;
    let head = "POST /echo HTTP/1.1|Host: a|Expect: 100-continue|Content-Length: 5||";
    client.write_all(&wire(head)).await.unwrap();
    let told = read_until(&mut client, "\r\n\r\n").await;
    assert_eq!(told, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"hello").await.unwrap();
    let answer = read_until(&mut client, "hello").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn a_body_may_be_as_large_as_the_limit_and_no_larger() {
    let server = start(Limits { max_body: 8, ..quick() }).await;
    for body in ["Content-Length: 8||12345678", "Transfer-Encoding: chunked||8|12345678|0||"] {
        let request = format!("POST /echo HTTP/1.1|Host: a|Connection: close|{body}");
        let answer = server.ask(&request).await;
        assert!(answer.ends_with("\r\n\r\n12345678"), "{answer}");
    }
    for body in [
        "Content-Length: 9||123456789",
        "Content-Length: 99999999999999999999||1",
        "Transfer-Encoding: chunked||8|12345678|1|9|0||",
        "Transfer-Encoding: chunked||ffffffff|1",
    ] {
        let told = server.ask(&format!("POST /echo HTTP/1.1|Host: a|{body}")).await;
        assert_error(body, &told, 413, "too-large");
    }
    assert_eq!(server.calls(), 2);
}

/// The client sends all of a hundred KiB before it reads, and still gets its answer instead of a reset.
#[tokio::test]
async fn a_refused_client_that_goes_on_sending_reads_the_answer() {
    let server = start(quick()).await;
    let body = "x".repeat(100 * 1024);
    let length = body.len();
    let request = format!("POST /echo HTTP/1.1|Host: a|Content-Length: {length}||{body}");
    assert_error("100 KiB", &server.ask(&request).await, 413, "too-large");
}

#[tokio::test]
async fn a_head_has_a_largest_size_and_a_largest_number_of_fields() {
    let server = start(quick()).await;
    let long = format!("GET /echo HTTP/1.1|Host: a|X: {}||", "x".repeat(17 * 1024));
    assert_error("long", &server.ask(&long).await, 431, "too-large");
    let many = format!("GET /echo HTTP/1.1|Host: a|{}|", "X: y|".repeat(80));
    assert_error("many", &server.ask(&many).await, 431, "too-large");
    let extension = "x".repeat(17 * 1024);
    let framing = format!("POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked||1;{extension}");
    assert_error("framing", &server.ask(&framing).await, 413, "too-large");
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn a_slow_head_is_cut_off() {
    let server = start(quick()).await;
    for case in ["", "POST /echo HTT", "POST /echo HTTP/1.1|Host: a|"] {
        assert_error(case, &server.ask(case).await, 408, "timeout");
    }
}

/// A byte now and then does not buy time.
#[tokio::test]
async fn a_trickling_head_is_cut_off() {
    let server = start(quick()).await;
    let (mut reader, mut writer) = server.connect().await.into_split();
    let trickle = tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_millis(20));
        while writer.write_all(b"G").await.is_ok() {
            every.tick().await;
        }
    });
    let mut text = Vec::new();
    let _ = soon(reader.read_to_end(&mut text)).await;
    assert_error("trickle", &String::from_utf8(text).unwrap(), 408, "timeout");
    trickle.abort();
}

#[tokio::test]
async fn a_slow_body_is_cut_off_while_others_are_answered() {
    let server = start(Limits { body_deadline: Duration::from_secs(1), ..quick() }).await;
    let slow = async {
        let told = server.ask("POST /echo HTTP/1.1|Host: a|Content-Length: 5||he").await;
        assert_error("length", &told, 408, "timeout");
        Instant::now()
    };
    let chunks = async {
        let told = server.ask("POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked||5|he").await;
        assert_error("chunks", &told, 408, "timeout");
    };
    let other = async {
        let mut client = server.connect().await;
        for body in ["one", "two", "six"] {
            let request = format!("POST /echo HTTP/1.1|Host: a|Content-Length: 3||{body}");
            client.write_all(&wire(&request)).await.unwrap();
            read_until(&mut client, body).await;
        }
        Instant::now()
    };
    let (cut, (), answered) = tokio::join!(slow, chunks, other);
    assert!(answered < cut);
    assert_eq!(server.calls(), 3);
}

#[tokio::test]
async fn beyond_the_cap_clients_are_told_at_once() {
    let mut server = start(Limits { max_connections: 1, ..quick() }).await;
    let mut held = server.begin_slow().await;
    let request = "POST /echo HTTP/1.1|Host: a|Connection: close|Content-Length: 2||ok";
    let told = server.ask(request).await;
    assert_error("beyond the cap", &told, 503, "too-many");
    assert!(told.contains("retry-after: 1"), "{told}");
    assert_eq!(server.calls(), 0);

    // The place is free again as soon as the connection that held it is gone.
    server.release.notify_one();
    read_until(&mut held, "done").await;
    drop(held);
    soon(async { while !server.ask(request).await.ends_with("ok") {} }).await;
}

#[tokio::test]
async fn a_stopping_server_answers_what_has_begun_and_nothing_else() {
    let mut server = start(Limits { idle: PATIENCE, header_deadline: PATIENCE, ..quick() }).await;
    let mut resting = server.connect().await;
    let request = "POST /echo HTTP/1.1|Host: a|Content-Length: 2||ok";
    resting.write_all(&wire(request)).await.unwrap();
    read_until(&mut resting, "ok").await;
    let mut running = server.begin_slow().await;

    server.stop.send(PATIENCE).unwrap();
    assert_eq!(read_to_end(&mut resting).await, "");
    assert!(TcpStream::connect(server.address).await.is_err());
    server.release.notify_one();
    let answer = read_to_end(&mut running).await;
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(answer.ends_with("done"), "{answer}");
    drop(running);
    assert_eq!(soon(server.served).await.unwrap(), Drained { cut_off: 0 });
    assert_eq!(server.delivered.recv().await, Some(true));
}

#[tokio::test]
async fn a_stopping_server_does_not_wait_for_ever() {
    let mut server = start(quick()).await;
    let mut running = server.begin_slow().await;
    server.stop.send(Duration::from_millis(50)).unwrap();
    assert_eq!(soon(server.served).await.unwrap(), Drained { cut_off: 1 });
    assert_eq!(read_to_end(&mut running).await, "");
    assert_eq!(server.delivered.recv().await, Some(false));
}

#[tokio::test]
async fn an_answer_that_was_read_is_delivered() {
    let mut server = start(quick()).await;
    let mut client = server.begin_slow().await;
    server.release.notify_one();
    read_until(&mut client, "done").await;
    assert_eq!(soon(server.delivered.recv()).await, Some(true));
}

#[tokio::test]
async fn an_answer_to_a_half_closed_client_is_delivered() {
    let mut server = start(quick()).await;
    let mut client = server.begin_slow().await;
    client.shutdown().await.unwrap();
    server.release.notify_one();
    assert!(read_to_end(&mut client).await.ends_with("done"));
    assert_eq!(soon(server.delivered.recv()).await, Some(true));
}

#[tokio::test]
async fn an_answer_to_a_client_that_left_is_not_delivered() {
    let mut server = start(quick()).await;
    drop(server.begin_slow().await);
    server.release.notify_one();
    assert_eq!(soon(server.delivered.recv()).await, Some(false));
}

/// A reset is seen while the request is running, and nobody waits for its answer any more.
#[tokio::test]
async fn an_answer_to_a_client_that_reset_is_not_delivered() {
    let mut server = start(quick()).await;
    let client = server.begin_slow().await;
    client.set_zero_linger().unwrap();
    drop(client);
    assert_eq!(soon(server.delivered.recv()).await, Some(false));
}

#[tokio::test]
async fn what_is_not_one_clear_request_never_reaches_a_route() {
    let server = start(quick()).await;
    let cases = [
        "POST /echo HTTP/1.1|Host: a|Content-Length: 5|Transfer-Encoding: chunked||0||",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked|Content-Length: 5||0||",
        "POST /echo HTTP/1.1|Host: a|Content-Length: 5|Content-Length: 6||hello!",
        "POST /echo HTTP/1.1|Host: a|Content-Length: -5||hello",
        "POST /echo HTTP/1.1|Host: a|Content-Length: 0x5||hello",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: xchunked||0||",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding : chunked||0||",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked||zz|hello|0||",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked||3|hello|0||",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked||5\nhello\n0\n\n",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked||fffffffffffffffff|x",
        "GET /echo HTTP/1.1|Host: a|X-Folded: one| two||",
        "GET /echo HTTP/1.1\nHost: a\n\n",
        "GET /echo HTTP/1.1||",
        "GET /echo HTTP/1.1|Host: a|Host: b||",
        "GET /echo HTTP/2.0|Host: a||",
        "PRI * HTTP/2.0||SM||",
        "GET /echo|Host: a||",
        "GET /ec ho HTTP/1.1|Host: a||",
        "GET /echo HTTP/1.1|Host: a|No colon||",
        "CONNECT a:443 HTTP/1.1|Host: a||",
        "\x16\x03\x01\x02",
        "\0\0\0\0||",
        "nonsense||",
        // Lengths.
        "POST /echo HTTP/1.1|Host: a|Content-Length: 5|Content-Length: 5||hello",
        "POST /echo HTTP/1.1|Host: a|Content-Length: 5, 5||hello",
        "POST /echo HTTP/1.1|Host: a|Content-Length: +5||hello",
        "POST /echo HTTP/1.1|Host: a|Content-Length: 5e0||hello",
        "POST /echo HTTP/1.1|Host: a|Content-Length: 5 5||hello",
        "POST /echo HTTP/1.1|Host: a|Content-Length: ||hello",
        "POST /echo HTTP/1.1|Host: a|Content-Length: \u{665}||hello",
        "POST /echo HTTP/1.1|Host: a|Content-Length : 5||hello",
        "POST /echo HTTP/1.1|Host: a|Content-Length\t: 5||hello",
        "POST /echo HTTP/1.1|Host: a|Content-Length: \x0b5||hello",
        // Encodings.
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: identity||hello",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked, chunked||0||",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked, identity||0||",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: gzip, chunked||0||",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked|Transfer-Encoding: chunked||0||",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: \"chunked\"||0||",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: \x0bchunked||0||",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding:| chunked||0||",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: ||0||",
        "POST /echo HTTP/1.0|Host: a|Transfer-Encoding: chunked||0||",
        // Chunks.
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked||0x5|hello|0||",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked||+5|hello|0||",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked||-5|hello|0||",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked|| 5|hello|0||",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked||5 |hello|0||",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked||000000005|hello|0||",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked|||hello|0||",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked||5;a\nhello|0||",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked||5;a\rb|hello|0||",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked||5|hello\n0||",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked||5|hello|0|X: y\n|",
        // Lines and characters.
        "GET /echo HTTP/1.1|Host: a|X: 1\n|",
        "GET /echo HTTP/1.1|Host: a|X: 1\r2||",
        "GET /echo HTTP/1.1\rHost: a||",
        "GET /echo HTTP/1.1|Host: a|X: 1\x002||",
        "GET /echo HTTP/1.1|Host: a|X\0: 1||",
        "GET /echo HTTP/1.1|Host: a|X: \x1b[31m||",
        "GET /echo HTTP/1.1|Host: a|X: \x7f||",
        "GET /echo HTTP/1.1|Host: a|: empty||",
        "GET /echo HTTP/1.1|Host: a|\tX: 1||",
        "GET /echo HTTP/1.1| Host: a||",
        "GET /ec\0ho HTTP/1.1|Host: a||",
        "GET  /echo HTTP/1.1|Host: a||",
        "GET /echo  HTTP/1.1|Host: a||",
        "GET /echo HTTP/1.1 |Host: a||",
        "G@T /echo HTTP/1.1|Host: a||",
        // Versions.
        "GET /echo HTTP/1.2|Host: a||",
        "GET /echo HTTP/0.9|Host: a||",
        "GET /echo http/1.1|Host: a||",
        "GET /echo HTTP/11|Host: a||",
        // Targets and hosts.
        "GET http://a/echo HTTP/1.1|Host: a||",
        "GET http://b/echo HTTP/1.1|Host: a||",
        "GET a:443 HTTP/1.1|Host: a||",
        "GET echo HTTP/1.1|Host: a||",
        "GET /echo#x HTTP/1.1|Host: a||",
        "GET /echo HTTP/1.1|Host: a, b||",
        "GET /echo HTTP/1.1|Host: a b||",
        "GET /echo HTTP/1.1|Host: b@a||",
        "GET /echo HTTP/1.1|Host: a/b||",
        "GET /echo HTTP/1.1|Host: a|host: a||",
    ];
    let behind = "POST /echo HTTP/1.1|Host: a|Content-Length: 1||x";
    for case in cases {
        // Nothing is read behind a refused request, and the connection ends.
        assert_error(case, &server.ask(&format!("{case}{behind}")).await, 400, "malformed");
    }
    assert_eq!(server.calls(), 0);
}

/// What looks odd and is clear all the same.
#[tokio::test]
async fn one_clear_request_is_answered_however_it_is_written() {
    let server = start(quick()).await;
    for case in [
        "POST /echo HTTP/1.1|hOST: a|CONTENT-length: 5|Connection: close||hello",
        "POST /echo HTTP/1.1|Host:a|Content-Length:\t 5 \t|Connection: close||hello",
        "POST /echo HTTP/1.1|Host: [::1]:5000|Content-Length: 005|Connection: close||hello",
        "POST /echo HTTP/1.1|Host: |Content-Length: 5|Connection: close||hello",
        "||POST /echo HTTP/1.1|Host: a|Content-Length: 5|Connection: close||hello",
        "POST /echo?x=http://b/ HTTP/1.1|Host: a|Content-Length: 5|Connection: close||hello",
        "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: CHUNKED|Connection: close||05;x=\"y\"|hello|0|X: y|Content-Length: 9||",
        "POST /echo HTTP/1.0|Content-Length: 5||hello",
        "POST /echo HTTP/1.1|Host: a|Upgrade: h2c|HTTP2-Settings: AAMAAABkAAQAAP__|Content-Length: 5|Connection: close, upgrade||hello",
    ] {
        let answer = server.ask(case).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") || answer.starts_with("HTTP/1.0 200 "), "{case}: {answer}");
        assert!(answer.ends_with("\r\n\r\nhello"), "{case}: {answer}");
    }
}

#[tokio::test]
async fn a_request_that_breaks_off_is_malformed() {
    let server = start(quick()).await;
    for case in ["POST /echo HTTP/1.1|Hos", "POST /echo HTTP/1.1|Host: a|Content-Length: 5||he"] {
        let mut client = server.connect().await;
        client.write_all(&wire(case)).await.unwrap();
        client.shutdown().await.unwrap();
        assert_error(case, &read_to_end(&mut client).await, 400, "malformed");
    }
    assert_eq!(server.calls(), 0);
}

/// What follows a refused request is not read as another one.
#[tokio::test]
async fn nothing_is_smuggled_behind_a_refused_request() {
    let server = start(quick()).await;
    let answer = server
        .ask(
            "POST /echo HTTP/1.1|Host: a|Content-Length: 4|Transfer-Encoding: chunked||0||\
             POST /echo HTTP/1.1|Host: a|Content-Length: 1||x",
        )
        .await;
    // A second answer behind it would not be JSON.
    assert_error("smuggled", &answer, 400, "malformed");
    assert_eq!(server.calls(), 0);
}

/// A client that takes no bytes does not keep its place.
#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let server = start(Limits {
        max_connections: 1,
        max_body: 32 << 20,
        body_deadline: PATIENCE,
        write_stall: Duration::from_millis(100),
        ..quick()
    })
    .await;
    let mut deaf = server.connect().await;
    let length = 32 << 20;
    let head = format!("POST /echo HTTP/1.1|Host: a|Content-Length: {length}||");
    deaf.write_all(&wire(&head)).await.unwrap();
    deaf.write_all(&vec![b'x'; length]).await.unwrap();
    let request = "POST /echo HTTP/1.1|Host: a|Connection: close|Content-Length: 2||ok";
    soon(async { while !server.ask(request).await.ends_with("ok") {} }).await;
}

/// Warp's own answer to a rejection also carries the protecting fields, and leaves the connection usable.
#[tokio::test]
async fn an_unknown_path_is_answered_by_the_routes() {
    let server = start(quick()).await;
    let answer = server.ask("GET /nothing HTTP/1.1|Host: a|Connection: close||").await;
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    assert!(answer.contains("cache-control: no-store"), "{answer}");
}

#[tokio::test]
async fn a_panic_in_a_route_ends_one_connection_only() {
    let server = start(quick()).await;
    assert_eq!(server.ask("GET /panic HTTP/1.1|Host: a||").await, "");
    let answer = server.ask("POST /echo HTTP/1.1|Host: a|Connection: close|Content-Length: 2||ok").await;
    assert!(answer.ends_with("ok"), "{answer}");
}

/// A socket with something around it, as TLS would be.
struct Wrapped(TcpStream);

impl AsyncRead for Wrapped {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, piece: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, piece)
    }
}

impl AsyncWrite for Wrapped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // One byte at a time: an answer is rarely taken in one piece.
        Pin::new(&mut self.0).poll_write(cx, &bytes[..bytes.len().min(1)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Transport for Wrapped {
    fn peer_error(&self) -> Option<io::Error> {
        self.0.peer_error()
    }
}

/// Greets before the first request, as a handshake does.
struct Greeting;

impl Accept for Greeting {
    type Stream = Wrapped;

    async fn accept(&self, mut socket: TcpStream) -> io::Result<Wrapped> {
        socket.write_all(b"welcome ").await?;
        Ok(Wrapped(socket))
    }
}

#[tokio::test]
async fn something_can_be_put_around_a_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let echo = routes(warp::path::param().map(|text: String| text));
    let serving = serve_with(listener, Greeting, echo, quick(), Callers::default(), std::future::pending());
    let server = tokio::spawn(serving);
    client.write_all(&wire("GET /hello HTTP/1.1|Host: a|Connection: close||")).await.unwrap();
    let answer = read_to_end(&mut client).await;
    assert!(answer.starts_with("welcome HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
    server.abort();
}

/// An answer that breaks off after its first piece.
struct Broken(bool);

impl Body for Broken {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let first = !std::mem::replace(&mut self.0, true);
        Poll::Ready(Some(if first {
            Ok(Frame::data(Bytes::from_static(b"half")))
        } else {
            Err(io::ErrorKind::Other.into())
        }))
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_delivered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (tell, mut delivered) = mpsc::unbounded_channel();
    let broken = service_fn(move |_: Request<Full<Bytes>>| {
        let mut outcome = Outcome(Some(tell.clone()));
        let mut response = Response::new(Broken(false));
        let notice = Delivered::new(move || outcome.tell(true));
        response.extensions_mut().insert(notice);
        async { Ok::<_, Infallible>(response) }
    });
    let server = tokio::spawn(serve(listener, broken, quick(), std::future::pending()));
    client.write_all(&wire("GET / HTTP/1.1|Host: a||")).await.unwrap();
    assert_eq!(soon(delivered.recv()).await, Some(false));
    server.abort();
}

/// As many clients as there are places, none of which sends a whole request.
async fn fill(server: &Server, text: &str, count: usize) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = server.connect().await;
        client.write_all(&wire(text)).await.unwrap();
        clients.push(client);
    }
    clients
}

/// Nobody is locked out by clients that only hold a place: whatever they stop at, they give way, long before their time.
#[tokio::test]
async fn whoever_only_holds_a_place_gives_way_to_a_request() {
    let patient = Limits { header_deadline: PATIENCE, body_deadline: PATIENCE, idle: PATIENCE, ..quick() };
    let request = "POST /echo HTTP/1.1|Host: a|Connection: close|Content-Length: 2||ok";
    for (case, told) in [
        ("", 503),
        ("POST /echo HTT", 503),
        ("POST /echo HTTP/1.1|Host: a|", 503),
        ("POST /echo HTTP/1.1|Host: a|Content-Length: 5||he", 503),
        ("POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked||5|he", 503),
        // It was answered and rests, or closes slowly: it is closed without further words.
        ("GET /nothing HTTP/1.1|Host: a||", 404),
        ("GET /nothing HTTP/1.1|Host: a|Connection: close||", 404),
        ("nonsense||", 400),
    ] {
        let server = start(Limits { max_connections: 4, linger: PATIENCE, ..patient.clone() }).await;
        let mut held = fill(&server, case, 4).await;
        let began = Instant::now();
        for _ in 0..4 {
            soon(async { while !server.ask(request).await.ends_with("ok") {} }).await;
        }
        let answer = read_to_end(&mut held[0]).await;
        assert!(began.elapsed() < PATIENCE / 2, "{case:?} kept its place");
        assert!(answer.starts_with(&format!("HTTP/1.1 {told} ")), "{case:?}: {answer}");
        assert_eq!(answer.matches("cache-control").count(), 1, "{case:?}: {answer}");
        if told == 503 {
            assert_error(case, &answer, 503, "too-many");
        }
    }
}

#[tokio::test]
async fn a_request_that_is_being_answered_never_gives_way() {
    let mut server = start(Limits { max_connections: 2, ..quick() }).await;
    let mut running = server.begin_slow().await;
    let request = "POST /echo HTTP/1.1|Host: a|Content-Length: 2||ok";
    let mut others = Vec::new();
    for _ in 0..20 {
        let mut other = server.connect().await;
        other.write_all(&wire(request)).await.unwrap();
        read_until(&mut other, "ok").await;
        others.push(other);
    }
    server.release.notify_one();
    read_until(&mut running, "done").await;
    assert_eq!(soon(server.delivered.recv()).await, Some(true));
}

/// A client that asks for more and more and reads nothing gives way too.
#[tokio::test]
async fn an_answer_that_nobody_reads_keeps_no_place() {
    let size = 32 << 20;
    let server = start(Limits { max_connections: 1, max_body: size, body_deadline: PATIENCE, ..quick() }).await;
    let mut deaf = server.connect().await;
    deaf.write_all(&wire(&format!("POST /echo HTTP/1.1|Host: a|Content-Length: {size}||"))).await.unwrap();
    deaf.write_all(&vec![b'x'; size]).await.unwrap();
    let request = "POST /echo HTTP/1.1|Host: a|Connection: close|Content-Length: 2||ok";
    let began = Instant::now();
    soon(async { while !server.ask(request).await.ends_with("ok") {} }).await;
    assert!(began.elapsed() < Limits::default().write_stall / 2);
}

/// One stranger's address has a share of the places; the rest is for the others, and for itself once it is known.
#[tokio::test]
async fn a_stranger_has_a_share_of_the_places() {
    let limits = Limits { max_per_stranger: 2, max_connections: 8, ..quick() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let callers = Callers::default();
    let (begin, mut begun) = mpsc::unbounded_channel();
    let stay = routes(warp::path::end().then(move || {
        let _ = begin.send(());
        std::future::pending::<&str>()
    }));
    let serving =
        serve_with(listener, tillswitch::server::Plain, stay, limits, callers.clone(), std::future::pending());
    let server = tokio::spawn(serving);
    let come = || async {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(&wire("GET / HTTP/1.1|Host: a||")).await.unwrap();
        client
    };
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(come().await);
        soon(begun.recv()).await.unwrap();
    }
    assert_error("a third", &read_to_end(&mut come().await).await, 503, "too-many");
    callers.vouch(address.into());
    for _ in 0..6 {
        held.push(come().await);
        soon(begun.recv()).await.unwrap();
    }
    assert_error("a ninth", &read_to_end(&mut come().await).await, 503, "too-many");
    server.abort();
}
