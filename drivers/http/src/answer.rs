//! What an answer says about the money.
//!
//! The guide promises one thing: 2xx is success. 402 says in HTTP's own words that nothing was paid, and some of the other
//! 4xx say that the request was never taken up. Everything else leaves the payment in doubt, and so does a 2xx whose own text
//! speaks against it: a web page, half a JSON document, another currency, `"status": "declined"` at any depth, a plain `DECLINED`.
//! So does any other status whose body says that it was paid.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;
use tillswitch_core::{
    AmountError, Approval, Cause, Currency, Details, DriverError, Money, Operation, Outcome, PaymentRequest, Sign,
};

use crate::contrary;
use crate::exchange::Answer;
use crate::fields;
use crate::masking::mask_line;

/// Statuses that mean "the request was not taken up", and what to do about each.
const NOT_STARTED: &[(u16, &str)] = &[
    (400, "it did not understand the payment; check that `url` takes payments as in the Xentral guide"),
    (401, "it wants a login, and this driver has none; allow this machine at the terminal"),
    (403, "it does not take payments from this machine; allow it at the terminal"),
    (404, "there is nothing at this path; check the path in `url`"),
    (405, "this path takes no POST; check the path in `url`"),
    (415, "it does not take JSON; check that `url` takes payments as in the Xentral guide"),
    (422, "it does not accept this payment; check amount, currency and operation with its manual"),
];

/// What an answer has in its body.
enum Content {
    Nothing,
    Text(String),
    Json(Value),
    /// It looks like JSON and is not, or like a page for people.
    Unusable(&'static str),
}

/// Reads the answer to a payment.
pub(crate) fn outcome(answer: &Answer, asked: &PaymentRequest) -> Result<Outcome, DriverError> {
    let content = Content::read(answer);
    match answer.status.as_u16() {
        200..=299 => approved(answer, &content, asked),
        status => match affirmed(answer) {
            Some(word) => Err(denied_and_affirmed(status, &word)),
            None if status == 402 => Ok(refused(answer, &content)),
            None => Err(no_outcome(status, &content)),
        },
    }
}

/// What in the body says that something was paid. Whatever its type: PHP calls every answer a web page unless told otherwise.
fn affirmed(answer: &Answer) -> Option<String> {
    contrary::affirmed_in(&serde_json::from_str(&trimmed(answer)).ok()?)
}

/// The body as text, without what says nothing.
fn trimmed(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).trim().trim_start_matches('\u{feff}').to_owned()
}

impl Content {
    fn read(answer: &Answer) -> Content {
        let text = trimmed(answer);
        if text.is_empty() {
            return Content::Nothing;
        }
        if text.starts_with('<') || answer.content_type.starts_with("text/html") {
            return Content::Unusable("a web page");
        }
        match serde_json::from_str(&text) {
            Ok(value) => Content::Json(value),
            Err(_) if text.starts_with(['{', '[']) || answer.content_type.contains("json") => {
                Content::Unusable("broken JSON")
            }
            Err(_) => Content::Text(text),
        }
    }

    fn json(&self) -> Option<&Value> {
        if let Content::Json(value) = self { Some(value) } else { None }
    }

    /// What it tells besides the outcome.
    fn details(&self, status: u16, message: &str) -> Details {
        match self {
            Content::Json(value) => fields::details(value, status, message),
            Content::Text(text) => fields::details(&Value::String(text.clone()), status, message),
            Content::Nothing | Content::Unusable(_) => Details::new(status.to_string(), message),
        }
    }
}

fn approved(answer: &Answer, content: &Content, asked: &PaymentRequest) -> Result<Outcome, DriverError> {
    let status = answer.status.as_u16();
    if let Content::Unusable(what) = content {
        let message = format!("the terminal answered {status} with {what}, which says nothing about the money");
        return Err(DriverError::in_doubt(Cause::Garbage, message));
    }
    let contradiction = |what: String| {
        // It quotes the answer, and a terminal may put a card number anywhere.
        let what = mask_line(&what);
        let message = format!("the terminal answered {status}, which means success, and {what} in the same answer");
        DriverError::in_doubt(Cause::Contradiction, message)
    };
    let word = match content {
        Content::Json(json) => contrary::in_json(json),
        Content::Text(text) => contrary::in_text(text),
        Content::Nothing | Content::Unusable(_) => None,
    };
    if let Some(word) = word {
        return Err(contradiction(word));
    }
    let amount = booked(answer, content, asked).map_err(contradiction)?;
    Ok(Outcome::Approved(Approval { amount, details: content.details(status, "approved") }))
}

/// What was booked: the answer's `amount` where it can be read exactly, else what was asked.
///
/// An amount that cannot be read is an echo in a form of the terminal's own and proves nothing. One that can be read and
/// cannot be this payment (another currency, zero, a negative sale) is a contradiction: `Err` says which.
fn booked(answer: &Answer, content: &Content, asked: &PaymentRequest) -> Result<Money, String> {
    let currency = asked.amount.currency();
    let Some(json) = content.json() else {
        return Ok(asked.amount);
    };
    if let Some(other) = named_currency(json).filter(|named| *named != currency) {
        return Err(format!("the currency is {other} instead of {currency}"));
    }
    let Some(text) = amount_text(answer) else {
        return Ok(asked.amount);
    };
    // Some terminals echo minor units. A tip that makes 25.90 exactly 2590.00 is not believable.
    if text == asked.amount.minor().to_string() {
        return Ok(asked.amount);
    }
    match Money::parse_signed(&text, currency) {
        Ok((Sign::Negative, _)) if asked.operation == Operation::Sale => Err("the amount is negative".into()),
        Ok((_, amount)) => Ok(amount),
        Err(AmountError::Zero) => Err("the amount is zero".into()),
        Err(_) => Ok(asked.amount),
    }
}

/// The currency that the answer names, by letters or by number, where it is one.
fn named_currency(json: &Value) -> Option<Currency> {
    match json.get("currency")? {
        Value::String(text) => {
            let code = text.trim().to_ascii_uppercase();
            code.parse().ok().or_else(|| Currency::from_numeric(code.parse().ok()?))
        }
        Value::Number(number) => Currency::from_numeric(u16::try_from(number.as_u64()?).ok()?),
        _ => None,
    }
}

/// The text of `amount` as it stands in the answer, so that it passes through no float.
fn amount_text(answer: &Answer) -> Option<String> {
    let body = std::str::from_utf8(&answer.body).ok()?.trim().trim_start_matches('\u{feff}');
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(body).ok()?;
    let raw = fields.get("amount")?.get();
    if raw.starts_with('"') { serde_json::from_str(raw).ok() } else { Some(raw.to_owned()) }
}

/// 402: nothing was paid, whoever decided it. Which of the two words it becomes moves no money.
/// The status says that nothing was paid and the body says that something was: only a look at the terminal tells.
fn denied_and_affirmed(status: u16, word: &str) -> DriverError {
    let word = mask_line(word);
    let message = format!(
        "the terminal answered {status}, which is no success, and {word} in the same answer; look at the terminal"
    );
    DriverError::in_doubt(Cause::Contradiction, message)
}

fn refused(answer: &Answer, content: &Content) -> Outcome {
    let status = answer.status.as_u16();
    if content.json().is_some_and(was_cancelled) {
        return Outcome::Cancelled(content.details(status, "cancelled at the terminal"));
    }
    Outcome::Declined(content.details(status, "declined"))
}

fn was_cancelled(json: &Value) -> bool {
    let said = ["status", "result", "outcome", "state"].iter().filter_map(|name| json.get(*name)?.as_str());
    said.map(str::to_ascii_lowercase).any(|word| matches!(word.as_str(), "cancelled" | "canceled" | "aborted"))
}

fn no_outcome(status: u16, content: &Content) -> DriverError {
    let said = said(content);
    if let Some((_, remedy)) = NOT_STARTED.iter().find(|(code, _)| *code == status) {
        return DriverError::not_started(Cause::Refused, format!("the terminal answered {status}{said}: {remedy}"));
    }
    let meaning = match status {
        300..=399 => "a redirect, which a payment never follows; check `url`",
        409 | 429 | 503 => "it may be busy with this very payment",
        _ => "which says nothing about the money",
    };
    let message =
        format!("the terminal answered {status}{said}: {meaning}; look at the terminal before charging again");
    DriverError::in_doubt(Cause::Garbage, message)
}

/// The terminal's own words, in brackets, where it has some.
fn said(content: &Content) -> String {
    let words = match content {
        Content::Json(json) => fields::message(json),
        Content::Text(text) => Some(mask_line(text)),
        Content::Nothing | Content::Unusable(_) => None,
    };
    words.filter(|words| !words.is_empty()).map_or_else(String::new, |words| format!(" ({words})"))
}
