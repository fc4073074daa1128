//! What is sent.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request};
use serde::Serialize;
use serde_json::value::RawValue;
use tillswitch_core::{Cause, Currency, DriverError, Operation, PaymentRequest};

use crate::address::Endpoint;

/// The body of the Xentral guide. Its amount is a JSON number with exactly the digits of the currency, which no float can
/// promise.
#[derive(Serialize)]
struct Payment {
    amount: Box<RawValue>,
    currency: &'static str,
    #[serde(rename = "type")]
    operation: &'static str,
}

/// The request for a payment, or why this terminal cannot take it. Nothing has been sent then.
pub(crate) fn payment(
    payment: &PaymentRequest,
    settles_in: Currency,
    endpoint: &Endpoint,
) -> Result<Request<Full<Bytes>>, DriverError> {
    if payment.operation == Operation::Reversal {
        return Err(DriverError::Unsupported);
    }
    let currency = payment.amount.currency();
    if currency != settles_in {
        let message = format!("the terminal settles in {settles_in}, not in {currency}; see its `currency` setting");
        return Err(DriverError::not_started(Cause::WrongCurrency, message));
    }
    Ok(post(endpoint, body(payment)))
}

fn body(payment: &PaymentRequest) -> Vec<u8> {
    let amount = RawValue::from_string(payment.amount.decimal()).expect("decimal text is a JSON number");
    let body = Payment { amount, currency: payment.amount.currency().code(), operation: payment.operation.name() };
    serde_json::to_vec(&body).expect("two texts and a number become JSON")
}

fn post(endpoint: &Endpoint, body: Vec<u8>) -> Request<Full<Bytes>> {
    Request::builder()
        .method(Method::POST)
        .uri(&endpoint.target)
        .header(HOST, endpoint.host_header())
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, concat!("tillswitch/", env!("CARGO_PKG_VERSION")))
        .body(Full::from(body))
        .expect("the target and the host come from a URL that was parsed")
}
