//! Whether the text of an answer speaks against its status.
//!
//! 2xx is success, and most terminals that take payments so leave it at that. Some put the outcome into the body instead, each
//! in a form of its own, so every form counts in which a person would read "no". A word too many costs a look at the
//! terminal; a word overlooked costs the money.

use serde_json::Value;

/// Words that say that nothing was paid.
#[rustfmt::skip]
const DENIALS: &[&str] = &[
    "declined", "decline", "denied", "refused", "rejected", "failed", "failure", "cancelled", "canceled", "aborted", "expired",
    "voided", "unsuccessful", "unpaid", "abgelehnt", "abgebrochen", "abbruch", "fehlgeschlagen", "storniert",
];
/// Words that say that something was paid.
#[rustfmt::skip]
const AFFIRMATIONS: &[&str] = &[
    "approved", "success", "successful", "succeeded", "paid", "captured", "completed", "genehmigt", "bezahlt",
];
/// Words that say that it is not over, or that something is wrong. In a sentence for people they may stand for anything.
#[rustfmt::skip]
const NO_SUCCESS: &[&str] = &[
    "error", "fehler", "timeout", "pending", "processing", "progress", "busy", "not", "nicht",
];
/// Names under which terminals tell whether it worked, in lower case, without anything but letters and digits.
#[rustfmt::skip]
const FLAGS: &[&str] = &[
    "success", "successful", "succeeded", "approved", "paid", "accepted", "completed", "ispaid", "isapproved", "issuccess",
    "issuccessful",
];
/// Names under which they tell the outcome as a word.
#[rustfmt::skip]
const OUTCOMES: &[&str] = &[
    "status", "result", "outcome", "state", "paymentstatus", "paymentresult", "paymentstate", "transactionstatus",
    "transactionresult", "transactionstate", "resulttext", "resultmessage", "response", "responsetext",
];
/// Names under which they tell an error.
const ERRORS: &[&str] = &["error", "errors"];
/// Names of sentences for people.
const SENTENCES: &[&str] = &["message", "text", "description", "errormessage", "statusmessage"];

/// What in a JSON answer denies its status, wherever it stands.
pub(crate) fn in_json(json: &Value) -> Option<String> {
    match json {
        Value::Bool(false) => Some("`false` stands".into()),
        Value::String(text) => in_text(text),
        Value::Array(values) => values.iter().filter(|value| !value.is_boolean()).find_map(in_json),
        Value::Object(fields) => fields.iter().find_map(|(name, value)| in_field(name, value)),
        Value::Null | Value::Bool(true) | Value::Number(_) => None,
    }
}

/// What in a JSON answer says that something was paid, wherever it stands, for an answer whose status says the opposite.
pub(crate) fn affirmed_in(json: &Value) -> Option<String> {
    match json {
        Value::Array(values) => values.iter().find_map(affirmed_in),
        Value::Object(fields) => fields.iter().find_map(|(name, value)| affirmed_field(name, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn affirmed_field(name: &str, value: &Value) -> Option<String> {
    let plain = plain(name);
    let is = |names: &[&str]| names.contains(&plain.as_str());
    let affirms = match value {
        Value::Bool(said) => is(FLAGS) && *said,
        Value::Number(number) => is(FLAGS) && number.as_u64() == Some(1),
        Value::String(text) if is(FLAGS) => matches!(text.trim().to_ascii_lowercase().as_str(), "true" | "yes" | "1"),
        Value::String(text) if is(OUTCOMES) => {
            word_of(text, &[AFFIRMATIONS]).is_some() && word_of(text, &[DENIALS, NO_SUCCESS]).is_none()
        }
        Value::String(_) | Value::Null => false,
        Value::Array(_) | Value::Object(_) => return affirmed_in(value),
    };
    affirms.then(|| format!("{name:?} is {value}"))
}

/// The word in a plain text that denies its status.
pub(crate) fn in_text(text: &str) -> Option<String> {
    word_of(text, &[DENIALS, NO_SUCCESS]).map(|word| format!("{word:?} stands"))
}

fn in_field(name: &str, value: &Value) -> Option<String> {
    let plain = plain(name);
    let is = |names: &[&str]| names.contains(&plain.as_str());
    let denies = match value {
        Value::Bool(said) => (is(FLAGS) || is(OUTCOMES)) && !said || is(ERRORS) && *said,
        Value::Number(number) => is(FLAGS) && number.as_u64() == Some(0),
        Value::String(text) if is(FLAGS) => is_no(text) || word_of(text, &[DENIALS, NO_SUCCESS]).is_some(),
        Value::String(text) if is(OUTCOMES) || is(ERRORS) => word_of(text, &[DENIALS, NO_SUCCESS]).is_some(),
        Value::String(text) if is(SENTENCES) => word_of(text, &[DENIALS]).is_some(),
        Value::Array(_) | Value::Object(_) => return inside(value),
        Value::String(_) | Value::Null => false,
    };
    denies.then(|| format!("`{name}` is {value}"))
}

/// A text in a list means nothing without the list's name.
fn inside(value: &Value) -> Option<String> {
    match value {
        Value::Array(values) => values.iter().find_map(inside),
        Value::Object(_) => in_json(value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// A name in lower case, without anything but letters and digits.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn is_no(text: &str) -> bool {
    ["false", "no", "n", "0", "nein"].contains(&text.trim().to_ascii_lowercase().as_str())
}

/// The first of these words. "No error" is none.
fn word_of(text: &str, lists: &[&[&str]]) -> Option<String> {
    let mut before = String::new();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let word = word.to_lowercase();
        let is_negated = matches!(before.as_str(), "no" | "without" | "kein" | "keine" | "ohne");
        if !is_negated && lists.iter().any(|list| list.contains(&word.as_str())) {
            return Some(word);
        }
        before = word;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: Option<&str>) {
        let said = match serde_json::from_str(body) {
            Ok(json) => in_json(&json),
            Err(_) => in_text(body),
        };
        assert_eq!(said.as_deref(), expected, "{body}");
    }

    #[test]
    fn every_form_of_no_is_heard() {
        check("DECLINED", Some("\"declined\" stands"));
        check("Payment not approved", Some("\"not\" stands"));
        check("Zahlung abgelehnt.", Some("\"abgelehnt\" stands"));
        check("\"declined\"", Some("\"declined\" stands"));
        check("false", Some("`false` stands"));
        check(r#"{"status": "declined"}"#, Some("`status` is \"declined\""));
        check(r#"{"status": "IN_PROGRESS"}"#, Some("`status` is \"IN_PROGRESS\""));
        check(r#"{"result": {"status": "declined"}}"#, Some("`status` is \"declined\""));
        check(
            r#"{"data": [{"payment": {"transactionStatus": "Card declined"}}]}"#,
            Some("`transactionStatus` is \"Card declined\""),
        );
        check(r#"[{"approved": false}]"#, Some("`approved` is false"));
        check(r#"{"success": "false"}"#, Some("`success` is \"false\""));
        check(r#"{"is_paid": 0}"#, Some("`is_paid` is 0"));
        check(r#"{"result": false}"#, Some("`result` is false"));
        check(r#"{"error": true}"#, Some("`error` is true"));
        check(r#"{"error": "declined by host"}"#, Some("`error` is \"declined by host\""));
        check(r#"{"message": "The card was declined"}"#, Some("`message` is \"The card was declined\""));
    }

    #[test]
    fn whatever_else_is_said_is_none() {
        for body in [
            "OK",
            "Payment approved, no errors",
            "\"approved\"",
            "true",
            "0",
            "null",
            "[]",
            r#"["ok", false]"#,
            r#"{"status": "success", "success": true, "error": null, "errors": []}"#,
            r#"{"status": 0, "error": "", "error_code": 0, "paid": 1}"#,
            r#"{"error": false, "result": {"status": "approved, no error"}}"#,
            r#"{"message": "Thank you. Please do not forget your card", "settlement": "pending"}"#,
            r#"{"offline": false, "receipt": {"lines": ["no error", "declined: 0"]}}"#,
        ] {
            check(body, None);
        }
    }
}
