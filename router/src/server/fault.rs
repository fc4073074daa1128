//! Why is a request refused before any route sees it, and what is the client told?

use std::io;

use hyper::StatusCode;

use super::answer::PROTECTION;
use super::{ErrorBody, Limits};
use crate::code::Code;

/// A reason to answer without asking the routes, and to close afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The bytes are not one clear HTTP/1.1 request.
    Malformed(&'static str),
    /// The head is longer than allowed or has too many fields.
    HeadTooLarge,
    /// The body, or what surrounds its chunks, is longer than allowed.
    BodyTooLarge,
    /// The head did not arrive in time.
    SlowHead,
    /// The body did not arrive in time.
    SlowBody,
    /// All places are taken, or all that a stranger's address may have.
    TooMany,
}

/// Why no request came out of a connection.
#[derive(Debug)]
pub(super) enum Unread {
    /// The client gets an answer that says why.
    Refused(Fault),
    /// Nobody is there to be answered.
    Gone,
}

impl From<Fault> for Unread {
    fn from(fault: Fault) -> Self {
        Self::Refused(fault)
    }
}

impl From<io::Error> for Unread {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl Fault {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::SlowHead | Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::TooMany => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(super) fn code(self) -> Code {
        match self {
            Self::Malformed(_) => Code::Malformed,
            Self::HeadTooLarge | Self::BodyTooLarge => Code::TooLarge,
            Self::SlowHead | Self::SlowBody => Code::Timeout,
            Self::TooMany => Code::TooMany,
        }
    }

    /// Nothing here says what became of a payment: the connection may have brought a copy of a running one.
    fn body(self, limits: &Limits) -> ErrorBody {
        let code = self.code().name();
        match self {
            Self::Malformed(reason) => ErrorBody::new(code, format!("{reason}; send one well-formed HTTP/1.1 request")),
            Self::HeadTooLarge => ErrorBody::new(
                code,
                format!(
                    "the request's head is larger than {} bytes or has more than {} fields; send fewer headers",
                    limits.max_head, limits.max_headers
                ),
            ),
            Self::BodyTooLarge => {
                ErrorBody::new(code, format!("the body is larger than {} bytes; send a smaller one", limits.max_body))
            }
            Self::SlowHead => ErrorBody::new(
                code,
                format!(
                    "the request's head did not arrive within {:?}; this request was not read, send it again",
                    limits.header_deadline
                ),
            ),
            Self::SlowBody => ErrorBody::new(
                code,
                format!(
                    "the request's body did not arrive within {:?}; this request was not read, send it again",
                    limits.body_deadline
                ),
            ),
            Self::TooMany => ErrorBody::new(
                code,
                format!(
                    "all {} connections are taken, or all {} of an address that has sent no good webhook yet; this request \
                     was not read, send it again in a second",
                    limits.max_connections, limits.max_per_stranger
                ),
            ),
        }
    }

    /// The whole answer as it goes over the wire. Written here and not by hyper, because hyper has seen no request.
    pub(super) fn to_wire(self, limits: &Limits) -> Vec<u8> {
        let body = self.body(limits).to_bytes();
        let retry = match self {
            Self::TooMany => "retry-after: 1\r\n",
            _ => "",
        };
        let head = format!(
            "HTTP/1.1 {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\
             {}{retry}\r\n",
            self.status(),
            body.len(),
            PROTECTION.map(|(name, value)| format!("{name}: {value}\r\n")).concat()
        );
        [head.as_bytes(), &body].concat()
    }
}
