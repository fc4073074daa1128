//! Terminals with an HTTP API: the map of the code.
//!
//! | file | question |
//! |---|---|
//! | `factory` | what the settings of such a terminal are |
//! | `address` | which place a `url` means, and whether a money command may go there |
//! | `wire` | how a connection is opened, kept, and known to be dead |
//! | `exchange` | how one request gets one answer, and whether a byte of it left |
//! | `request` | what is sent |
//! | `answer` | what an answer says about the money |
//! | `fields` | what else an answer tells |
//! | `masking` | what of an answer must never be kept |
//! | `driver` | the contract of a driver, kept over HTTP |
//! | [`simulator`] | a terminal to test against |
//!
//! Deliberately absent: redirects, cookies, proxies, HTTP/2, and any repetition of a request.

mod address;
mod answer;
mod contrary;
mod driver;
mod exchange;
mod factory;
mod fields;
mod masking;
mod request;
pub mod simulator;
mod wire;

pub use factory::HttpFactory;

use tillswitch_core::{DriverError, Outcome, PaymentRequest};

/// What an answer with this status and body says about the money. For whoever tries answers that no terminal gives.
#[doc(hidden)]
pub fn judge(
    status: u16,
    content_type: &str,
    body: &[u8],
    asked: &PaymentRequest,
) -> Option<Result<Outcome, DriverError>> {
    let status = hyper::StatusCode::from_u16(status).ok()?;
    let answer =
        exchange::Answer { status, content_type: content_type.to_ascii_lowercase(), body: body.to_vec().into() };
    Some(answer::outcome(&answer, asked))
}
