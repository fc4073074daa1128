//! Does whoever runs the shop move money only as wished, and once?

mod listeners;
mod pay;
mod people;
pub mod puppet;
mod settle;
mod stop;
mod terminals;
mod undo;

use std::time::Duration;

use hyper::{HeaderMap, Method};
use serde_json::{Value, json};
use tillswitch::shop::{Reply, request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{Scene, check, until};

/// A call with POST, without a key and without a body.
pub async fn order(scene: &Scene, path: &str) -> Reply {
    request(scene.app.admin, Method::POST, &format!("/api/v1/{path}"), HeaderMap::new(), String::new()).await.unwrap()
}

/// A call with POST and a body, under a key that nobody else uses or under this one.
pub async fn post(scene: &Scene, path: &str, key: &str, body: Value) -> Reply {
    let headers = [("idempotency-key", key), ("tillswitch-operator", "ann")];
    let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let path = format!("/api/v1/{path}");
    request(scene.app.admin, Method::POST, &path, HeaderMap::from_iter(headers), body.to_string()).await.unwrap()
}

/// A sale at POS-01.
pub fn wish(amount: &str, document: &str) -> Value {
    json!({ "register": "POS-01", "operation": "sale", "amount": amount, "currency": "EUR",
            "document": { "number": document, "type": "invoice" } })
}

/// The same with another value.
pub fn with(mut wish: Value, key: &str, value: impl Into<Value>) -> Value {
    wish[key] = value.into();
    wish
}

/// Starts an operator's payment. Its id.
pub async fn start(scene: &Scene, path: &str, key: &str, body: Value) -> String {
    let reply = post(scene, path, key, body).await;
    assert_eq!((reply.status, reply.is_replayed()), (202, false), "{path}: {}", reply.text);
    reply.payment().unwrap().to_owned()
}

/// A sale of an operator's that is approved. Its id.
pub async fn paid(scene: &Scene, amount: &str, document: &str) -> String {
    let id = start(scene, "payments", &format!("paid-{document}"), wish(amount, document)).await;
    scene.until_state(&id, "approved").await;
    id
}

/// Checks that a call told of this payment as one that was begun before.
#[track_caller]
fn check_replayed(reply: &Reply, status: u16, id: &str) {
    assert_eq!((reply.status, reply.payment(), reply.is_replayed()), (status, Some(id), true), "{}", reply.text);
}

/// Checks that a call was refused because of this payment.
#[track_caller]
fn check_refused(reply: &Reply, code: &str, id: &str) {
    check(reply, 409, "error", code);
    assert_eq!(reply.payment(), Some(id), "{}", reply.text);
}

/// Every state that a payment was in, with who said so.
async fn history(scene: &Scene, id: &str) -> Vec<(String, String)> {
    let payment = scene.payment(id).await;
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    payment["transitions"].as_array().unwrap().iter().map(|row| (text(row, "state"), text(row, "actor"))).collect()
}

fn rows(rows: &[(&str, &str)]) -> Vec<(String, String)> {
    rows.iter().map(|(state, actor)| ((*state).to_owned(), (*actor).to_owned())).collect()
}

/// Waits until the journal has this many payments.
async fn until_payments(scene: &Scene, count: usize) {
    until("the payments are begun", async || scene.payments().await == count).await;
}

/// The value of a series, by its name with all labels as they are written; `None`, if there is none.
pub async fn metric(scene: &Scene, series: &str) -> Option<f64> {
    let reply = tillswitch::shop::get(scene.app.admin, "/metrics").await.unwrap();
    let line = reply.text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

/// Somebody who listens to the events.
struct Listener {
    stream: TcpStream,
    heard: String,
}

impl Listener {
    async fn open(scene: &Scene) -> Listener {
        let mut stream = TcpStream::connect(scene.app.admin).await.unwrap();
        let head = format!("GET /api/v1/events HTTP/1.1\r\nHost: {}\r\n\r\n", scene.app.admin);
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut listener = Listener { stream, heard: String::new() };
        listener.until(|heard| heard.contains("\r\n\r\n")).await;
        assert!(listener.heard.starts_with("HTTP/1.1 200"), "{}", listener.heard);
        assert!(listener.heard.to_ascii_lowercase().contains("content-type: text/event-stream"), "{}", listener.heard);
        listener
    }

    /// Reads on until what was heard is enough.
    async fn until(&mut self, enough: impl Fn(&str) -> bool) {
        let reading = async {
            let mut buffer = [0; 4096];
            while !enough(&self.heard) {
                let count = self.stream.read(&mut buffer).await.unwrap();
                assert!(count > 0, "the stream ended: {}", self.heard);
                self.heard.push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        };
        assert!(timeout(Duration::from_secs(20), reading).await.is_ok(), "never heard enough: {}", self.heard);
    }

    /// The data of all events of this name so far.
    fn events(&self, name: &str) -> Vec<Value> {
        let event = format!("event:{name}");
        let events = self.heard.split("\n\n").filter(|event_text| event_text.contains(&event));
        let data = events.filter_map(|text| text.lines().find_map(|line| line.strip_prefix("data:")));
        data.filter_map(|data| serde_json::from_str(data).ok()).collect()
    }
}
