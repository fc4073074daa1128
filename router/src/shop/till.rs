//! A till that sends webhooks and remembers what it was told.

use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::handshake;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tillswitch_core::Secret;
use tokio::net::TcpStream;

use crate::intake::signature::sign;
use crate::oracle::Told;

/// What it was told once.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The JSON, `null` if it was none.
    pub body: Value,
    /// The text as it came.
    pub text: String,
}

impl Reply {
    /// The `status` of the answer, such as `success`.
    pub fn word(&self) -> &str {
        self.body["status"].as_str().unwrap_or_default()
    }

    /// The `code` of the answer, empty for a success.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The id of the payment that it tells of, if it does.
    pub fn payment(&self) -> Option<&str> {
        self.body["payment"]["id"].as_str()
    }

    /// Whether it was marked as the answer to a repeat.
    pub fn is_replayed(&self) -> bool {
        self.headers.get("idempotent-replayed").is_some_and(|value| value == "true")
    }
}

/// A till. Every request goes over a connection of its own, as webhooks do.
#[derive(Debug)]
pub struct Till {
    router: Mutex<SocketAddr>,
    path: String,
    key: Option<Secret>,
    told: Mutex<Vec<Told>>,
}

impl Till {
    /// A till that sends to this router.
    pub fn new(router: SocketAddr, path: &str) -> Till {
        Till { router: Mutex::new(router), path: path.to_owned(), key: None, told: Mutex::default() }
    }

    /// The same, signing with a key.
    pub fn signing(self, key: Secret) -> Till {
        Till { key: Some(key), ..self }
    }

    /// The router listens elsewhere now.
    pub fn moved(&self, router: SocketAddr) {
        *self.router.lock().expect("nothing panics while it holds the address") = router;
    }

    /// Where the router listens.
    pub fn router(&self) -> SocketAddr {
        *self.router.lock().expect("nothing panics while it holds the address")
    }

    /// Every answer so far.
    pub fn told(&self) -> Vec<Told> {
        self.told.lock().expect("nothing panics while it holds the answers").clone()
    }

    /// Sends a webhook and waits for its answer.
    pub async fn send(&self, body: impl Into<String>) -> io::Result<Reply> {
        let body = body.into();
        let mut headers = HeaderMap::new();
        if let Some(key) = &self.key {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
            for (name, value) in
                [("xentral-signature", sign(key, body.as_bytes(), now)), ("xentral-request-timestamp", now.to_string())]
            {
                headers.insert(name, value.parse().map_err(io::Error::other)?);
            }
        }
        self.send_with(body, headers).await
    }

    /// Sends a webhook with these header fields.
    pub async fn send_with(&self, body: impl Into<String>, headers: HeaderMap) -> io::Result<Reply> {
        let reply = request(self.router(), Method::POST, &self.path, headers, body.into()).await?;
        let told = Told { status: reply.status, body: reply.body.clone() };
        self.told.lock().expect("nothing panics while it holds the answers").push(told);
        Ok(reply)
    }
}

/// Asks for a path with GET.
pub async fn get(address: SocketAddr, path: &str) -> io::Result<Reply> {
    request(address, Method::GET, path, HeaderMap::new(), String::new()).await
}

/// One request over a connection of its own.
pub async fn request(
    address: SocketAddr,
    method: Method,
    path: &str,
    headers: HeaderMap,
    body: String,
) -> io::Result<Reply> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, address.to_string())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(io::Error::other)?;
    request.headers_mut().extend(headers);
    let answer = sender.send_request(request).await.map_err(io::Error::other)?;
    let (parts, body) = answer.into_parts();
    let bytes = body.collect().await.map_err(io::Error::other)?.to_bytes();
    drop(sender);
    connection.abort();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body, text })
}

/// The body of a webhook in its first form, with what a test or the demo wants to change.
#[derive(Clone, Debug)]
pub struct Sale {
    /// The JSON.
    pub json: Value,
}

impl Sale {
    /// A sale of a document at a project's register, made now.
    pub fn new(project: &str, amount: &str, document: &str) -> Sale {
        let now = crate::answer::rfc3339(SystemTime::now());
        Sale {
            json: json!({ "operation": "sale", "project": { "id": project }, "currency": "EUR", "amount": amount,
                          "documentNumber": document, "documentType": "invoice", "createdAt": now }),
        }
    }

    /// The same with another value.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Sale {
        self.json[key] = value.into();
        self
    }

    /// The same without a key.
    pub fn without(mut self, key: &str) -> Sale {
        if let Some(object) = self.json.as_object_mut() {
            object.remove(key);
        }
        self
    }

    /// Another event of the same document: as if the cashier pressed again.
    pub fn pressed_again(&self, seconds_later: i64) -> Sale {
        let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds_later);
        self.clone().with("createdAt", format!("{at:.6}"))
    }
}

impl From<Sale> for String {
    fn from(sale: Sale) -> String {
        sale.json.to_string()
    }
}

impl From<&Sale> for String {
    fn from(sale: &Sale) -> String {
        sale.json.to_string()
    }
}
