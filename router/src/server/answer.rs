//! What does an answer look like that carries no payment?

use bytes::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// The JSON of an error: `{"status":"error","code":"…","message":"…"}`.
///
/// A route that has more to say flattens this into its own type.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorBody {
    /// Always `error`.
    pub status: &'static str,
    /// One of the published codes, such as `too-large`.
    pub code: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

impl ErrorBody {
    /// An error with one of the published codes.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: "error", code, message: message.into() }
    }

    /// The JSON text.
    pub fn to_bytes(&self) -> Bytes {
        serde_json::to_vec(self).expect("a struct of three texts always serialises").into()
    }
}

/// An error as a warp reply.
///
/// ```
/// use hyper::StatusCode;
/// let reply = tillswitch::server::error(StatusCode::NOT_FOUND, "not-found", "nothing is served here");
/// assert_eq!(reply.status(), 404);
/// ```
pub fn error(status: StatusCode, code: &'static str, message: impl Into<String>) -> warp::reply::Response {
    let mut response = Response::new(ErrorBody::new(code, message).to_bytes().into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What every answer says to a browser: keep nothing, guess no type, load nothing from elsewhere, put it into no frame, tell
/// nobody where a link was.
pub(super) const PROTECTION: [(HeaderName, &str); 4] = [
    (CACHE_CONTROL, "no-store"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
];

/// Adds the header fields that every answer carries, unless the route has decided otherwise.
pub(super) fn protect(headers: &mut HeaderMap) {
    for (name, value) in PROTECTION {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}
