//! How one request gets one answer, and whether a byte of it left.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, Connection};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderMap};
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use tillswitch_core::Cause;
use tokio::time::Instant;

use crate::wire::{Wire, Written};

/// The longest answer that is read.
pub(crate) const MAX_ANSWER_BYTES: usize = 1 << 20;
/// How long a kept connection may idle where the terminal does not say so: less than the 5 s after which common servers
/// close it. A request that meets the closing would be in doubt, and a person would have to settle it.
const KEPT_IDLE: Duration = Duration::from_secs(4);

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub content_type: String,
    pub body: Bytes,
}

/// There is no whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Whether a byte of the request may have left.
    pub sent: bool,
    pub cause: Cause,
    pub message: String,
}

/// An idle connection and until when it may be used.
pub(crate) struct Kept {
    wire: Wire,
    until: Instant,
}

impl Kept {
    /// The connection, if the other side has left it open and silent.
    pub fn usable(mut self) -> Option<Wire> {
        (Instant::now() < self.until && self.wire.is_quiet()).then_some(self.wire)
    }
}

type Http = Connection<TokioIo<Wire>, Full<Bytes>>;

/// Sends the request once and reads the whole answer. No error in here leads to a second sending.
pub(crate) async fn exchange(
    wire: Wire,
    request: Request<Full<Bytes>>,
    deadline: Instant,
) -> Result<(Answer, Option<Kept>), Lost> {
    // A payment that has been given up must not be delivered afterwards.
    if let Err(error) = wire.reset_at_end(true) {
        return Err(Lost { sent: false, cause: Cause::LinkLost, message: error.to_string() });
    }
    let written = wire.written();
    let before = written.bytes();
    let running = tokio::time::timeout_at(deadline, run(wire, request));
    // When this await is over, the connection is closed or idle: what the counter says then stays so.
    let failure = match running.await {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(failure)) => failure,
        Err(_) => (Cause::NoAnswer, "no answer within `timeout`".to_owned()),
    };
    Err(lost(failure, &written, before))
}

fn lost((cause, message): (Cause, String), written: &Written, before: u64) -> Lost {
    Lost { sent: written.bytes() != before, cause, message }
}

async fn run(wire: Wire, request: Request<Full<Bytes>>) -> Result<(Answer, Option<Kept>), (Cause, String)> {
    let (mut sender, http) = http1::handshake(TokioIo::new(wire)).await.map_err(explain)?;
    let conversation = async {
        let response = sender.send_request(request).await.map_err(explain)?;
        let idle = idle_allowed(&response);
        Ok((read(response).await?, idle))
    };
    let (result, http) = drive(http, conversation).await;
    let (answer, idle) = result?;
    Ok((answer, keep(http, idle)))
}

/// Runs the connection and the conversation on it in this one task. The connection is given back if it still stands, and is
/// closed when this future is dropped: nothing of a payment goes on behind the driver's back.
async fn drive<F: Future>(http: Http, conversation: F) -> (F::Output, Option<Http>) {
    let mut conversation = pin!(conversation);
    let mut http = Some(http);
    let output = poll_fn(|cx| {
        let ended = http.as_mut().is_some_and(|http| http.poll_without_shutdown(cx).is_ready());
        if ended {
            // An ended connection is dropped at once, which ends the conversation as well if it still waits.
            http = None;
        }
        match conversation.as_mut().poll(cx) {
            Poll::Pending if ended => conversation.as_mut().poll(cx),
            polled => polled,
        }
    });
    let output = output.await;
    (output, http)
}

async fn read(response: Response<hyper::body::Incoming>) -> Result<Answer, (Cause, String)> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            (Cause::Garbage, format!("the answer {} is longer than 1 MiB", head.status.as_u16()))
        } else {
            (Cause::LinkLost, format!("the connection broke in the middle of the answer {}", head.status.as_u16()))
        }
    })?;
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Ok(Answer { status: head.status, content_type: content_type.to_ascii_lowercase(), body: body.to_bytes() })
}

fn explain(error: hyper::Error) -> (Cause, String) {
    if error.is_parse() {
        return (Cause::Garbage, format!("what came back is not HTTP: {error}"));
    }
    (Cause::LinkLost, format!("the connection broke before an answer came: {error}"))
}

/// How long the connection may idle after this answer; `None` means that it ends with it.
fn idle_allowed<B>(response: &Response<B>) -> Option<Duration> {
    let closes = words(response.headers(), CONNECTION.as_str()).any(|word| word == "close");
    if response.version() != Version::HTTP_11 || closes {
        return None;
    }
    let promised = words(response.headers(), "keep-alive").find_map(|word| word.strip_prefix("timeout=")?.parse().ok());
    // One second less than promised: the other side's clock started before ours.
    Some(promised.map_or(KEPT_IDLE, |seconds: u64| Duration::from_secs(seconds.min(3600).saturating_sub(1))))
}

fn words<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = String> + use<'a> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|word| word.trim().to_ascii_lowercase())
}

/// Takes the connection apart: bytes behind the answer mean that it must not carry another request, because they would be
/// taken for that one's answer.
fn keep(http: Option<Http>, idle: Option<Duration>) -> Option<Kept> {
    let parts = http?.into_parts();
    let wire = parts.io.into_inner();
    // The answer is whole, so the request has arrived.
    let closes_in_order = wire.reset_at_end(false).is_ok();
    let until = Instant::now() + idle?;
    (parts.read_buf.is_empty() && closes_in_order).then_some(Kept { wire, until })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_kept_as_long_as_both_sides_want() {
        for (version, headers, expected) in [
            (Version::HTTP_11, &[][..], Some(4)),
            (Version::HTTP_11, &[("connection", "keep-alive"), ("keep-alive", "timeout=10, max=5")][..], Some(9)),
            (Version::HTTP_11, &[("keep-alive", "timeout=0")][..], Some(0)),
            (Version::HTTP_11, &[("connection", "Upgrade, Close")][..], None),
            (Version::HTTP_10, &[][..], None),
        ] {
            let mut response = Response::builder().version(version);
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            let idle = idle_allowed(&response.body(()).unwrap());
            assert_eq!(idle.map(|idle| idle.as_secs()), expected, "{version:?} {headers:?}");
        }
    }
}
