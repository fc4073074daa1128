//! Is what no point of sale should send answered as promised, and does the next good webhook still work?

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::{HeaderMap, Method};
use serde_json::{Value, json};
use tillswitch::intake::signature::sign;
use tillswitch::shop::{Reply, Sale, request};
use tillswitch_core::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::harness::*;

const PATH: &str = "/webhook/pos-payment";

/// A shop that bad requests come to, and how many good ones have been paid meanwhile.
struct Target {
    scene: Scene,
    paid: usize,
}

impl Target {
    async fn open() -> Target {
        let scene = Scene::open(|folder| two_registers(quick(folder, "counter"), quick(folder, "bar"))).await;
        Target { scene, paid: 0 }
    }

    /// Nothing was started and nothing was written down; the next good webhook is paid.
    async fn still_works(&mut self) {
        self.paid += 1;
        check_paid(&self.scene.send(sale("1.00", &format!("good {}", self.paid))).await, false);
        let commands = self.scene.zvt("counter").money_commands() + self.scene.zvt("bar").money_commands();
        assert_eq!((commands, self.scene.payments().await), (self.paid, self.paid));
    }

    async fn refuses(&mut self, body: impl Into<String>, status: u16, code: &str) -> Reply {
        let reply = self.scene.send(body).await;
        check(&reply, status, "error", code);
        assert_shape(&reply.body);
        self.still_works().await;
        reply
    }

    /// The same for a request that is not a webhook's text.
    async fn refuses_bytes(&mut self, bytes: &[u8], status: u16, code: &str) {
        let answer = exchange(self.scene.till.router(), bytes).await;
        assert_refused(&answer, status, code);
        self.still_works().await;
    }

    async fn ignores(&mut self, body: impl Into<String>) {
        let reply = self.scene.send(body).await;
        check(&reply, 200, "ignored", "");
        self.still_works().await;
    }

    async fn end(self) {
        self.scene.end().await;
    }
}

/// An error without a payment has these three fields and no other.
#[track_caller]
fn assert_shape(body: &Value) {
    let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["status", "code", "message"], "{body}");
}

#[track_caller]
fn assert_refused(answer: &str, status: u16, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.to_ascii_lowercase().contains("content-type: application/json"), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["status"], &body["code"]), (&"error".into(), &code.into()), "{body}");
    assert!(!body["message"].as_str().unwrap().is_empty(), "{body}");
    assert_shape(&body);
}

/// Sends bytes and reads until the router closes.
async fn exchange(router: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(router).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    read_all(&mut stream).await
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

fn post(fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {PATH} HTTP/1.1\r\nHost: till\r\nConnection: close\r\n{fields}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn whole(body: &[u8]) -> Vec<u8> {
    post(&format!("Content-Length: {}", body.len()), body)
}

fn chunked(chunks: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    for chunk in chunks.iter().chain([&&b""[..]]) {
        body.extend(format!("{:x}\r\n", chunk.len()).bytes());
        body.extend_from_slice(chunk);
        body.extend(b"\r\n");
    }
    post("Transfer-Encoding: chunked", &body)
}

fn bad() -> Sale {
    sale("25.90", "bad")
}

#[tokio::test]
async fn what_is_no_event() {
    let mut target = Target::open().await;
    let good: String = bad().into();
    for body in ["", "{", "[]", "null", "\"sale\"", &good[..good.len() - 1], &format!("{good}}}")] {
        target.refuses(body, 400, "malformed").await;
    }
    let twice = good.replacen('{', "{\"amount\":\"1.00\",", 1);
    target.refuses(twice, 400, "malformed").await;
    target.refuses_bytes(&whole(b"{\"operation\":\"sale\xff\"}"), 400, "malformed").await;
    target.end().await;
}

#[tokio::test]
async fn what_is_no_payment() {
    let mut target = Target::open().await;
    for missing in ["operation", "currency"] {
        target.refuses(bad().without(missing), 400, "malformed").await;
    }
    target.refuses(bad().without("amount"), 400, "bad-amount").await;
    for amount in
        [json!(25.905), json!("25.905"), json!(0), json!(-1), json!("-25.90"), json!(null), json!("NaN"), json!([1])]
    {
        target.refuses(bad().with("amount", amount), 400, "bad-amount").await;
    }
    for operation in ["gift", "", "reversal"] {
        target.refuses(bad().with("operation", operation), 400, "unknown-operation").await;
    }
    target.refuses(bad().with("currency", "EURO"), 400, "malformed").await;
    target.end().await;
}

#[tokio::test]
async fn what_belongs_to_no_register() {
    let mut target = Target::open().await;
    let unknown = "11111111-2222-3333-4444-555555555555";
    let reply = target.refuses(Sale::new(unknown, "25.90", "bad"), 404, "unknown-register").await;
    let line = format!("project_ids = [\"{unknown}\"]");
    assert!(reply.body["message"].as_str().unwrap().contains(&line), "the line to paste is missing: {}", reply.text);
    target.refuses(bad().without("project"), 404, "ambiguous-register").await;
    target.end().await;
}

#[tokio::test]
async fn events_of_other_names() {
    let mut target = Target::open().await;
    let body = bad().json;
    let event = |name: &str, body: &Value| json!({ "type": name, "body": body }).to_string();
    let renamed = event("com.xentral.pos.cardPaymentTaken.v1", &body);
    target.refuses(renamed, 422, "unknown-payment-event").await;
    target.ignores(event("com.xentral.salesOrder.created.v1", &json!({ "id": 1 }))).await;
    let manual = bad().with("settings", json!({ "terminalMode": "no_terminal_integration" }));
    target.ignores(manual).await;
    for name in ["paymentCreditCardCaptured", "paymentCardCaptured", "cardPaymentCaptured"] {
        let body = sale("2.00", name).json;
        check_paid(&target.scene.send(event(&format!("com.xentral.pos.{name}.v2"), &body)).await, false);
        target.paid += 1;
    }
    target.still_works().await;
    target.end().await;
}

#[tokio::test]
async fn another_currency_than_the_terminals_is_sent_nowhere() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    let reply = scene.send(bad().with("currency", "USD")).await;
    check(&reply, 502, "error", "wrong-currency");
    assert_eq!(reply.body["payment"]["state"], "failed");
    assert_eq!(scene.zvt("counter").money_commands(), 0);
    check_paid(&scene.send(sale("1", "good")).await, false);
    scene.end().await;
}

#[tokio::test]
async fn bodies_that_are_too_large_or_in_pieces() {
    let mut target = Target::open().await;
    let huge = bad().with("note", "x".repeat(100 << 10)).json.to_string();
    target.refuses_bytes(&whole(huge.as_bytes()), 413, "too-large").await;
    let pieces: Vec<&[u8]> = huge.as_bytes().chunks(1000).collect();
    target.refuses_bytes(&chunked(&pieces), 413, "too-large").await;

    let good: String = sale("3.00", "in pieces").into();
    let pieces: Vec<&[u8]> = good.as_bytes().chunks(7).collect();
    let answer = exchange(target.scene.till.router(), &chunked(&pieces)).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"success\""), "{answer}");
    target.paid += 1;
    let largest = sale("4.00", "large").with("note", "x".repeat(63 << 10));
    check_paid(&target.scene.send(largest).await, false);
    target.paid += 1;
    target.still_works().await;
    target.end().await;
}

#[tokio::test]
async fn other_methods_and_paths() {
    let mut target = Target::open().await;
    let router = target.scene.till.router();
    let ask = async |method: &str, path: &str| {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        request(router, method, path, HeaderMap::new(), bad().into()).await.unwrap()
    };
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        check(&ask(method, PATH).await, 405, "error", "method-not-allowed");
    }
    for path in ["/", "/webhook", "/webhook/pos-payment/", "/webhook/pos-payment2", "/metrics", "/api/v1/payments"] {
        check(&ask("POST", path).await, 404, "error", "not-found");
        check(&ask("GET", path).await, 404, "error", "not-found");
    }
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(ask("GET", path).await.status, 200, "{path}");
    }
    target.refuses_bytes(b"POST /webhook/pos-payment HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400, "malformed").await;
    target.end().await;
}

#[tokio::test]
async fn signatures_and_ages() {
    let lines = "signature_keys = [\"the right key\"]";
    let scene = Scene::open(|folder| one_register(quick(folder, "counter")).webhook_lines(lines)).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let send = async |body: &str, headers: HeaderMap| scene.till.send_with(body, headers).await.unwrap();
    let mut good = 0;
    let mut still_works = async || {
        good += 1;
        let body: String = sale("1.00", &format!("good {good}")).into();
        check_paid(&send(&body, signed("the right key", &body, now)).await, false);
        assert_eq!(scene.zvt("counter").money_commands(), good);
    };

    let body: String = bad().into();
    let mut without_time = signed("the right key", &body, now);
    without_time.remove("xentral-request-timestamp");
    for headers in
        [HeaderMap::new(), without_time, signed("another key", &body, now), signed("the right key", "{}", now)]
    {
        let reply = send(&body, headers).await;
        check(&reply, 401, "error", "bad-signature");
        assert_shape(&reply.body);
        still_works().await;
    }
    let payments = scene.payments().await;

    // Without configuration, whoever signs gets five minutes.
    let (stale, fresh): (String, String) = (bad().pressed_again(-400).into(), sale("25.90", "resent").into());
    for (body, time) in [(&stale, now), (&fresh, now - 400)] {
        let reply = send(body, signed("the right key", body, time)).await;
        check(&reply, 409, "error", "too-old");
        assert_eq!(reply.body["payment"]["state"], "expired");
        still_works().await;
    }
    assert_eq!(scene.payments().await, payments + 4, "two expired ones and two good ones");
    scene.end().await;
}

fn signed(key: &str, body: &str, time: i64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("xentral-signature", sign(&Secret::new(key), body.as_bytes(), time).parse().unwrap());
    headers.insert("xentral-request-timestamp", time.to_string().parse().unwrap());
    headers
}

/// The limit of five seconds, for real: it is what keeps a shop running when somebody holds on to connections.
#[tokio::test]
async fn slow_heads_and_bodies_are_cut_off_while_others_are_answered() {
    let mut target = Target::open().await;
    let router = target.scene.till.router();
    let began = Instant::now();
    let mut head = TcpStream::connect(router).await.unwrap();
    head.write_all(b"POST /webhook/pos-payment HTTP/1.1\r\nHost: till\r\nX-Slow: ").await.unwrap();
    let mut body = TcpStream::connect(router).await.unwrap();
    body.write_all(&post("Content-Length: 300", b"{\"operation\":")).await.unwrap();
    let mut silent = TcpStream::connect(router).await.unwrap();

    let others = async {
        for _ in 0..3 {
            target.still_works().await;
        }
        assert!(began.elapsed() < Duration::from_secs(4), "the others were held up");
    };
    let (slow_head, slow_body, nothing, ()) =
        tokio::join!(dripping(&mut head), dripping(&mut body), read_all(&mut silent), others);
    assert_refused(&slow_head, 408, "timeout");
    assert_refused(&slow_body, 408, "timeout");
    assert!(nothing.is_empty() || nothing.starts_with("HTTP/1.1 408 "), "{nothing}");
    let took = began.elapsed();
    assert!((Duration::from_millis(4900)..Duration::from_secs(9)).contains(&took), "{took:?}");
    target.still_works().await;
    target.end().await;
}

/// Sends a byte now and then, so that only a limit for the whole can end it, and reads until the router closes.
async fn dripping(stream: &mut TcpStream) -> String {
    let (mut reading, mut writing) = stream.split();
    let mut answer = Vec::new();
    let drip = async {
        while writing.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        read = reading.read_to_end(&mut answer) => read.unwrap(),
        () = drip => unreachable!("a drip never ends"),
    };
    String::from_utf8(answer).unwrap()
}
