//! What a call says: its query and its JSON body, read strictly. An unknown key is a mistake, not a wish.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::HeaderMap;
use tillswitch_core::{Currency, Document, Money, Operation};

use super::table::decode;
use crate::answer::Answer;
use crate::cards;
use crate::code::Code;
use crate::desk::{Asker, Person, Ruling, Wish};
use crate::intake::event::is_printable;
use crate::intake::json::Object;
use crate::journal::{Filter, State};

/// Payments that one answer lists at most.
const MAX_LIMIT: usize = 1000;
/// The longest `Idempotency-Key`.
const MAX_KEY: usize = 255;
/// The longest reason or name.
const MAX_TEXT: usize = 1000;

fn wrong(message: impl Into<String>) -> Answer {
    Answer::error(400, Code::Malformed, message)
}

/// The JSON object of a body; an empty body is an empty object.
pub fn object(body: &Bytes) -> Result<Object<'_>, Answer> {
    let text = std::str::from_utf8(body).map_err(|_| wrong("the body is not UTF-8 text; send JSON"))?;
    let text = if text.trim().is_empty() { "{}" } else { text };
    Object::parse(text).map_err(|error| wrong(format!("the body is not a JSON object: {error}")))
}

/// Refuses keys that nobody reads.
pub fn only(object: &Object<'_>, known: &[&str]) -> Result<(), Answer> {
    match object.keys().find(|key| !known.contains(key)) {
        Some(key) => Err(wrong(format!("unknown key {key:?}, expected one of: {}", known.join(", ")))),
        None => Ok(()),
    }
}

/// Refuses a body where there is nothing to say.
pub fn nothing(body: &Bytes) -> Result<(), Answer> {
    match object(body)?.keys().next() {
        Some(key) => Err(wrong(format!("unknown key {key:?}: this call takes no body"))),
        None => Ok(()),
    }
}

fn text(object: &Object<'_>, key: &str) -> Result<Option<String>, Answer> {
    let text = object.text(key).map_err(|_| wrong(format!("`{key}` is no text")))?;
    let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    match text {
        Some(text) if text.chars().count() > MAX_TEXT => {
            Err(wrong(format!("`{key}` is longer than {MAX_TEXT} characters")))
        }
        Some(text) if !text.chars().all(is_printable) => {
            Err(wrong(format!("`{key}` has characters that cannot be shown")))
        }
        text => Ok(text),
    }
}

fn required(object: &Object<'_>, key: &str) -> Result<String, Answer> {
    text(object, key)?.ok_or_else(|| wrong(format!("`{key}` is missing")))
}

/// `true`, `false` or absent.
pub fn flag(object: &Object<'_>, key: &str) -> Result<bool, Answer> {
    match object.get(key).map(serde_json::value::RawValue::get) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(wrong(format!("`{key}` is neither true nor false"))),
    }
}

/// The text of an amount, number or decimal text.
pub fn amount(object: &Object<'_>) -> Result<Option<String>, Answer> {
    match object.get("amount") {
        None => Ok(None),
        Some(_) => object
            .scalar("amount")
            .map(Some)
            .ok_or_else(|| Answer::error(400, Code::BadAmount, "`amount` is neither a number nor decimal text")),
    }
}

/// `{minutes}`, 15 where nothing is said.
pub fn minutes(body: &Bytes) -> Result<u64, Answer> {
    let object = object(body)?;
    only(&object, &["minutes"])?;
    let Some(text) = object.scalar("minutes") else { return Ok(15) };
    let minutes = text.parse().ok().filter(|minutes| (1..=60).contains(minutes));
    minutes.ok_or_else(|| wrong(format!("`minutes` is {text:?}, expected 1 to 60")))
}

/// `{token}`.
pub fn token(body: &Bytes) -> Result<String, Answer> {
    let object = object(body)?;
    only(&object, &["token"])?;
    required(&object, "token")
}

/// A payment that is wished for.
pub fn wish(body: &Bytes) -> Result<Wish, Answer> {
    let object = object(body)?;
    only(&object, &["register", "operation", "amount", "currency", "document", "confirm_repeat", "reason"])?;
    let operation = operation(&required(&object, "operation")?)?;
    let currency: Currency = required(&object, "currency")?.parse().map_err(|error| wrong(format!("{error}")))?;
    let text = amount(&object)?.ok_or_else(|| Answer::error(400, Code::BadAmount, "`amount` is missing"))?;
    let amount =
        Money::parse(&text, currency).ok().filter(|amount| i64::try_from(amount.minor()).is_ok()).ok_or_else(|| {
            let expected = format!("more than zero, exact in {currency}, with a point before the decimals");
            Answer::error(400, Code::BadAmount, format!("`amount` is {text:?}, expected {expected}"))
        })?;
    Ok(Wish {
        register: required(&object, "register")?,
        operation,
        amount,
        document: document(&object)?,
        undoes: None,
        again_of: None,
        at: None,
        confirmed: flag(&object, "confirm_repeat")?,
    })
}

fn operation(word: &str) -> Result<Operation, Answer> {
    match word.parse() {
        Ok(Operation::Reversal) => {
            let message = "a reversal undoes a payment: POST /api/v1/payments/{id}/reverse";
            Err(Answer::error(400, Code::UnknownOperation, message))
        }
        Ok(operation) => Ok(operation),
        Err(error) => Err(Answer::error(400, Code::UnknownOperation, error)),
    }
}

fn document(object: &Object<'_>) -> Result<Option<Document>, Answer> {
    let inner = object.object("document").map_err(|_| wrong("`document` is no object {number, type}"))?;
    let Some(inner) = inner else { return Ok(None) };
    only(&inner, &["number", "type"])?;
    Ok(Some(Document { number: required(&inner, "number")?, kind: text(&inner, "type")? }))
}

/// What a person says about a payment in doubt.
pub fn ruling(body: &Bytes) -> Result<Ruling, Answer> {
    let object = object(body)?;
    only(&object, &["state", "reason", "receipt_number", "force"])?;
    let word = required(&object, "state")?;
    let state = match word.parse() {
        Ok(state @ (State::Approved | State::Declined | State::Cancelled | State::Failed)) => state,
        _ => return Err(wrong(format!("`state` is {word:?}, expected one of: approved, declined, cancelled, failed"))),
    };
    let receipt_number = text(&object, "receipt_number")?;
    if state == State::Approved && receipt_number.is_none() {
        return Err(wrong("`receipt_number` is missing: an approval is on a slip or in the terminal's journal"));
    }
    let reason = cards::without(&required(&object, "reason")?).into_owned();
    Ok(Ruling { state, reason, receipt_number, force: flag(&object, "force")? })
}

/// Who asks, and why if the body says so.
pub fn person(headers: &HeaderMap, from: IpAddr, body: &Bytes) -> Result<Person, Answer> {
    let reason = text(&object(body)?, "reason")?.map(|reason| cards::without(&reason).into_owned());
    Ok(Person { name: operator(headers), from, reason })
}

/// Who asks, under which key.
pub fn asker(headers: &HeaderMap, from: IpAddr, body: &Bytes) -> Result<Asker, Answer> {
    let key = header(headers, "idempotency-key").filter(|key| !key.is_empty() && key.len() <= MAX_KEY);
    let key = key.ok_or_else(|| {
        let message = format!(
            "a request that can move money needs an Idempotency-Key header of 1 to {MAX_KEY} characters; send the same key when you send it again"
        );
        Answer::error(400, Code::NoIdempotencyKey, message)
    })?;
    Ok(Asker { person: person(headers, from, body)?, key })
}

/// The name for the history.
fn operator(headers: &HeaderMap) -> String {
    let name = header(headers, "tillswitch-operator").unwrap_or_default();
    let clean: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    if clean.is_empty() { "admin".to_owned() } else { cards::without(&clean).into_owned() }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(|text| text.trim().to_owned())
}

/// Which payments are looked for.
pub fn search(query: &str) -> Result<Filter, Answer> {
    let mut filter = Filter { limit: 50, ..Filter::default() };
    let mut seen = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value =
            decode(&value.replace('+', " ")).ok_or_else(|| wrong(format!("{value:?} is not percent-encoded text")))?;
        if seen.contains(&key) {
            return Err(wrong(format!("the parameter {key:?} comes twice")));
        }
        seen.push(key);
        match key {
            _ if value.is_empty() => {}
            "state" => filter.state = Some(value.parse().map_err(wrong)?),
            "register" => filter.register = Some(value),
            "document" => filter.document = Some(value),
            "since" => filter.since = Some(since(&value)?),
            "limit" => filter.limit = limit(&value)?,
            _ => {
                let message =
                    format!("unknown parameter {key:?}, expected one of: state, register, document, since, limit");
                return Err(wrong(message));
            }
        }
    }
    Ok(filter)
}

fn since(text: &str) -> Result<SystemTime, Answer> {
    let instant: jiff::Timestamp = text
        .parse()
        .map_err(|_| wrong(format!("since is {text:?}, expected RFC 3339 such as 2026-01-31T08:00:00Z")))?;
    let micros = u64::try_from(instant.as_microsecond()).unwrap_or(0);
    Ok(UNIX_EPOCH + Duration::from_micros(micros))
}

fn limit(text: &str) -> Result<usize, Answer> {
    let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| wrong(format!("limit is {text:?}, expected 1 to {MAX_LIMIT}")))
}
