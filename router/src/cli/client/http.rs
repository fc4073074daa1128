//! How a request gets to the router and its answer back: one connection each.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A router in the same shop accepts a connection in far less.
const CONNECT: Duration = Duration::from_secs(5);
/// A thousand payments with room to spare.
const MAX_ANSWER_BYTES: usize = 32 << 20;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// Nothing was sent.
    NotSent(String),
    /// It may have arrived.
    Lost(String),
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (NoAnswer::NotSent(why) | NoAnswer::Lost(why)) = self;
        f.write_str(why)
    }
}

/// An answer whose body is still to come. The connection lives as long as this.
pub(super) struct Opened {
    pub status: StatusCode,
    pub body: Incoming,
    _sender: SendRequest<Full<Bytes>>,
}

/// A request.
pub(super) struct Call<'a> {
    pub address: &'a str,
    pub method: Method,
    pub path: &'a str,
    pub headers: HeaderMap,
    pub body: Option<Value>,
    /// How long each half of the answer, its head and its body, may take.
    pub limit: Duration,
}

/// Sends a request and reads the whole answer.
pub(super) async fn exchange(call: Call<'_>) -> Result<(StatusCode, String), NoAnswer> {
    let limit = call.limit;
    let stream = connect(call.address).await?;
    let Opened { status, body, _sender } = open(stream, call).await?;
    let whole = timeout(limit, Limited::new(body, MAX_ANSWER_BYTES).collect()).await;
    let whole =
        whole.map_err(|_| late(limit))?.map_err(|error| NoAnswer::Lost(format!("the answer broke off: {error}")))?;
    Ok((status, String::from_utf8_lossy(&whole.to_bytes()).into_owned()))
}

/// Sends a request whose answer has no end.
///
/// The router answers clients that close only their half, so that an orderly close tells it nothing: it would keep a place for
/// a listener that is gone. A reset does.
pub(super) async fn listen(call: Call<'_>) -> Result<Opened, NoAnswer> {
    let stream = connect(call.address).await?;
    stream.set_zero_linger().map_err(|error| NoAnswer::NotSent(error.to_string()))?;
    open(stream, call).await
}

async fn open(stream: TcpStream, call: Call<'_>) -> Result<Opened, NoAnswer> {
    let request = request(&call).map_err(|error| NoAnswer::NotSent(error.to_string()))?;
    let (mut sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|error| NoAnswer::NotSent(error.to_string()))?;
    tokio::spawn(connection);
    let answer = timeout(call.limit, sender.send_request(request)).await.map_err(|_| late(call.limit))?;
    let answer = answer.map_err(|error| NoAnswer::Lost(format!("the connection broke off: {error}")))?;
    Ok(Opened { status: answer.status(), body: answer.into_body(), _sender: sender })
}

fn request(call: &Call<'_>) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let body = call.body.as_ref().map_or_else(String::new, Value::to_string);
    let request = Request::builder().method(call.method.clone()).uri(call.path);
    let request = request.header(HOST, call.address).header(CONTENT_TYPE, "application/json");
    let mut request = request.body(Full::new(Bytes::from(body)))?;
    request.headers_mut().extend(call.headers.clone());
    Ok(request)
}

async fn connect(address: &str) -> Result<TcpStream, NoAnswer> {
    let stream = timeout(CONNECT, TcpStream::connect(address)).await;
    let stream =
        stream.map_err(|_| NoAnswer::NotSent(format!("nobody took the call within {} s", CONNECT.as_secs())))?;
    stream.map_err(|error| NoAnswer::NotSent(error.to_string()))
}

fn late(limit: Duration) -> NoAnswer {
    NoAnswer::Lost(format!("no answer within {} s", limit.as_secs()))
}
