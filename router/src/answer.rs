//! What the point of sale is told: a status, a word and the payment.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tillswitch_core::{Money, Outcome};

use crate::cards;
use crate::code::Code;
use crate::config::Answers;
use crate::journal::{Payment, State, Verdict};

/// How long a sender should wait before it sends the same again, in seconds.
const RETRY_AFTER_SECONDS: u32 = 10;

/// An answer, ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON.
    pub body: Value,
    /// Whether the request was a repeat.
    pub replayed: bool,
    /// After how many seconds it may come again; only where nothing was begun.
    pub retry_after: Option<u32>,
    /// The code of an answer that is no success.
    pub code: Option<Code>,
    /// Whether this tells of an approval.
    pub approves: bool,
}

impl Answer {
    /// An answer without a payment.
    pub fn error(status: u16, code: Code, message: impl Into<String>) -> Answer {
        // What was wrong is often repeated, and it may be anything.
        let message = message.into();
        let body = json!({ "status": "error", "code": code, "message": cards::without(&message) });
        Answer { status, body, replayed: false, retry_after: None, code: Some(code), approves: false }
    }

    /// Nothing was begun: the same may come again.
    pub fn come_again(code: Code, message: impl Into<String>) -> Answer {
        Answer { retry_after: Some(RETRY_AFTER_SECONDS), ..Answer::error(503, code, message) }
    }

    /// Nothing was begun, because too much came before it: the same may come again after a while.
    pub fn too_many(wait: Duration, message: impl Into<String>) -> Answer {
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        Answer { retry_after: Some(seconds), ..Answer::error(429, Code::TooMany, message) }
    }

    /// An event that is none of our business.
    pub fn ignored(why: &str) -> Answer {
        let body = json!({ "status": "ignored", "message": cards::without(why) });
        Answer { status: 200, body, replayed: false, retry_after: None, code: None, approves: false }
    }

    /// The same answer to a repeat.
    pub fn replayed(self) -> Answer {
        Answer { replayed: true, ..self }
    }

    /// A refusal because of another payment.
    pub fn conflict(code: Code, message: impl Into<String>, first: &Payment) -> Answer {
        let mut answer = Answer::error(409, code, message);
        answer.body["payment"] = describe(first);
        answer
    }

    /// What became of a payment, as it stands.
    pub fn of(payment: &Payment, answers: &Answers) -> Answer {
        let Words { status, word, code, message } = words(payment, answers);
        let mut body = Map::new();
        body.insert("status".into(), word.into());
        if let Some(code) = code {
            body.insert("code".into(), code.name().into());
        }
        body.insert("message".into(), message.into());
        body.insert("payment".into(), describe(payment));
        if let Some(said) = terminal_response(payment) {
            body.insert("terminal_response".into(), said);
        }
        // Only what never started, and gave its keys back, may come again.
        let may_come_again = payment.state == State::Expired && code != Some(Code::TooOld);
        let retry_after = may_come_again.then_some(RETRY_AFTER_SECONDS);
        let approves = payment.state == State::Approved && code.is_none();
        Answer { status, body: Value::Object(body), replayed: false, retry_after, code, approves }
    }

    /// A payment as it stands, for a person.
    pub fn described(status: u16, payment: &Payment) -> Answer {
        let body = json!({ "payment": describe(payment) });
        Answer { status, body, replayed: false, retry_after: None, code: None, approves: false }
    }

    /// Anything else that a person asked to see.
    pub fn value(status: u16, body: Value) -> Answer {
        Answer { status, body, replayed: false, retry_after: None, code: None, approves: false }
    }

    /// The end of a payment could not be written down.
    pub fn unwritten(payment: &Payment, why: &str, answers: &Answers) -> Answer {
        let message = format!(
            "the outcome could not be written down ({why}); look at the terminal and its slip, do not press again"
        );
        let mut answer = Answer::error(answers.in_doubt, Code::InDoubt, message);
        answer.body["status"] = "in_doubt".into();
        answer.body["payment"] = describe(payment);
        answer
    }
}

struct Words {
    status: u16,
    word: &'static str,
    code: Option<Code>,
    message: String,
}

fn words(payment: &Payment, answers: &Answers) -> Words {
    let told = |status, word, code, message: &str| Words { status, word, code, message: message.to_owned() };
    let said = said(payment);
    match payment.state {
        State::Approved => approved(payment),
        State::Declined => told(answers.declined, "declined", Some(declined_code(payment)), &said),
        State::Cancelled => told(answers.cancelled, "cancelled", Some(Code::Cancelled), &said),
        State::Failed => told(answers.failed, "error", because(payment), &said),
        State::Expired => told(expired_status(payment), "error", because(payment), &said),
        State::InDoubt => {
            let advice = "the outcome is missing; look at the terminal and its slip, do not press again";
            told(answers.in_doubt, "in_doubt", Some(Code::InDoubt), &format!("{said}: {advice}"))
        }
        State::Received | State::Dispatched => {
            let message = "the terminal is still at it; look at the terminal, do not press again";
            told(answers.pending, "pending", Some(Code::Pending), message)
        }
    }
}

/// An approval for less than was asked is never a success; one for more (a tip) says how much.
fn approved(payment: &Payment) -> Words {
    let asked = payment.amount;
    match approved_amount(payment) {
        Some(approved) if !covers(approved, asked) => Words {
            status: 409,
            word: "error",
            code: Some(Code::PartialApproval),
            message: format!(
                "the terminal approved {approved} of {asked}; collect the rest or undo it at the terminal"
            ),
        },
        Some(approved) if approved.minor() > asked.minor() => {
            let more = Money::from_minor(approved.minor() - asked.minor(), asked.currency());
            paid(format!("approved {approved}, {} more than asked", more.decimal()))
        }
        _ => paid("Payment processed successfully".to_owned()),
    }
}

fn paid(message: String) -> Words {
    Words { status: 200, word: "success", code: None, message }
}

fn covers(approved: Money, asked: Money) -> bool {
    approved.currency() == asked.currency() && approved.minor() >= asked.minor()
}

/// What was approved, if it was.
pub fn approved_amount(payment: &Payment) -> Option<Money> {
    match &payment.verdict {
        Some(Verdict::Said { outcome: Outcome::Approved(approval) }) => Some(approval.amount),
        _ => None,
    }
}

fn expired_status(payment: &Payment) -> u16 {
    match because(payment) {
        Some(Code::TooOld) => 409,
        _ => 503,
    }
}

/// `partial-refused` is a decline of its own.
fn declined_code(payment: &Payment) -> Code {
    match &payment.verdict {
        Some(Verdict::Said { outcome }) if outcome.details().code == Code::PartialRefused.name() => {
            Code::PartialRefused
        }
        _ => Code::Declined,
    }
}

fn because(payment: &Payment) -> Option<Code> {
    match &payment.verdict {
        Some(Verdict::Because { code, .. }) => Some(*code),
        Some(Verdict::Said { .. }) | None => None,
    }
}

fn said(payment: &Payment) -> String {
    match &payment.verdict {
        Some(Verdict::Said { outcome }) => outcome.details().message.clone(),
        Some(Verdict::Because { message, .. }) => message.clone(),
        None => String::new(),
    }
}

/// The payment, as it appears in every answer.
pub fn describe(payment: &Payment) -> Value {
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    put("id", payment.id.to_string().into());
    put("state", payment.state.name().into());
    put("register", payment.register.as_str().into());
    put("terminal", payment.terminal.name.as_str().into());
    put("driver", payment.terminal.driver.as_str().into());
    put("operation", payment.operation.name().into());
    put("amount", payment.amount.decimal().into());
    put("amount_minor", payment.amount.minor().into());
    if let Some(tip) = payment.tip_minor {
        put("tip_minor", tip.into());
    }
    put("currency", payment.amount.currency().code().into());
    if let Some(document) = &payment.document {
        put("document", json!(document));
    }
    if let Some(original) = payment.original {
        put("original", original.to_string().into());
    }
    if let Some(first) = payment.again_of {
        put("again_of", first.to_string().into());
    }
    put("received_at", rfc3339(payment.received_at).into());
    if let Some(finished) = payment.finished_at {
        put("finished_at", rfc3339(finished).into());
    }
    if payment.waits_for_person {
        put("waits_for_person", true.into());
    }
    if let Some(result) = result(payment) {
        put("result", result);
    }
    Value::Object(object)
}

/// What the terminal said or why nothing came of it, without the terminal's own JSON.
fn result(payment: &Payment) -> Option<Value> {
    match payment.verdict.as_ref()? {
        Verdict::Because { code, message } => Some(json!({ "code": code, "message": message })),
        Verdict::Said { outcome } => Some(details(outcome)),
    }
}

fn details(outcome: &Outcome) -> Value {
    let mut value = serde_json::to_value(outcome.details()).expect("details are plain JSON");
    let object = value.as_object_mut().expect("a struct is an object");
    object.remove("response");
    if let Outcome::Approved(approval) = outcome {
        object.insert("amount_minor".into(), approval.amount.minor().into());
        object.insert("currency".into(), approval.amount.currency().code().into());
    }
    value
}

/// What the terminal itself said: its own JSON where it speaks JSON, otherwise the same fields as `result`.
fn terminal_response(payment: &Payment) -> Option<Value> {
    match payment.verdict.as_ref()? {
        Verdict::Said { outcome } => Some(outcome.details().response.clone().unwrap_or_else(|| details(outcome))),
        Verdict::Because { .. } => None,
    }
}

/// UTC with milliseconds.
pub fn rfc3339(time: SystemTime) -> String {
    match Timestamp::try_from(time) {
        Ok(instant) => format!("{instant:.3}"),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_utc_with_milliseconds() {
        let instant = SystemTime::UNIX_EPOCH + std::time::Duration::from_micros(1_716_910_210_123_456);
        assert_eq!(rfc3339(instant), "2024-05-28T15:30:10.123Z");
    }
}
