//! What else an answer tells, where it tells it.
//!
//! The guide leaves the answer's body open. These are the names that such terminals use; the first one that is there counts.

use serde_json::Value;
use tillswitch_core::{Card, Details};

use crate::masking::{mask, mask_line};

const CODE: &[&str] = &["code", "result_code", "resultCode", "response_code", "responseCode"];
const MESSAGE: &[&str] = &["message", "error", "error_message", "errorMessage"];
const RECEIPT_NUMBER: &[&str] = &["receipt_number", "receiptNumber", "receipt_no", "receiptNo"];
const TRACE_NUMBER: &[&str] = &["trace_number", "traceNumber", "trace_no", "traceNo"];
const TERMINAL_ID: &[&str] = &["terminal_id", "terminalId", "tid"];
const AUTHORIZATION_CODE: &[&str] = &["authorization_code", "authorizationCode", "auth_code", "authCode"];
const TERMINAL_TIME: &[&str] = &["terminal_time", "terminalTime", "timestamp"];
const SCHEME: &[&str] =
    &["card_scheme", "cardScheme", "card_brand", "cardBrand", "card_type", "cardType", "scheme", "brand"];
const LAST4: &[&str] = &["last4", "last_four", "lastFour", "card_last4", "cardLast4"];

/// The details of an outcome. The answer itself goes along, masked.
pub(crate) fn details(json: &Value, status: u16, default_message: &str) -> Details {
    Details {
        code: text(json, CODE).unwrap_or_else(|| status.to_string()),
        message: message(json).unwrap_or_else(|| default_message.to_owned()),
        receipt_number: text(json, RECEIPT_NUMBER),
        trace_number: text(json, TRACE_NUMBER),
        terminal_id: text(json, TERMINAL_ID),
        authorization_code: text(json, AUTHORIZATION_CODE),
        terminal_time: text(json, TERMINAL_TIME),
        card: card(json),
        response: Some(mask(json)),
    }
}

/// The answer's sentence for a person: a text, or the `message` inside an object.
pub(crate) fn message(json: &Value) -> Option<String> {
    let inner = |name: &&str| json.get(*name).filter(|value| value.is_object()).and_then(|value| text(value, MESSAGE));
    text(json, MESSAGE).or_else(|| MESSAGE.iter().find_map(inner))
}

fn card(json: &Value) -> Option<Card> {
    let inside = json.get("card").filter(|card| card.is_object()).unwrap_or(json);
    let named = || text(json, &["card"]);
    let scheme = text(inside, SCHEME).or_else(|| text(inside, &["type"]).filter(|_| inside != json)).or_else(named);
    let last4 = text(inside, LAST4).filter(|digits| digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()));
    (scheme.is_some() || last4.is_some()).then_some(Card { scheme, last4 })
}

/// A text, or an integer as text. Masked like everything else: a terminal may put a card number anywhere.
fn text(json: &Value, names: &[&str]) -> Option<String> {
    let found = names.iter().filter_map(|name| json.get(*name)).find_map(|value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_u64() => Some(number.to_string()),
        _ => None,
    });
    found.map(|text| mask_line(&text)).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn known_fields_are_read_by_their_usual_names() {
        let answer = json!({"receiptNumber": "0042", "traceNo": 87, "tid": "29001612", "authCode": "482948",
            "message": "Danke", "code": "00", "card": {"brand": "Visa", "last4": "4771"}});
        let details = details(&answer, 200, "approved");
        assert_eq!((details.code.as_str(), details.message.as_str()), ("00", "Danke"));
        assert_eq!(details.receipt_number.as_deref(), Some("0042"));
        assert_eq!(details.trace_number.as_deref(), Some("87"));
        assert_eq!(details.terminal_id.as_deref(), Some("29001612"));
        assert_eq!(details.authorization_code.as_deref(), Some("482948"));
        assert_eq!(details.card, Some(Card { scheme: Some("Visa".into()), last4: Some("4771".into()) }));
    }

    #[test]
    fn an_answer_without_them_has_none() {
        let details = details(&json!(["ok"]), 204, "approved");
        assert_eq!(details, Details { response: Some(json!(["ok"])), ..Details::new("204", "approved") });
    }

    #[test]
    fn a_card_number_reaches_no_field() {
        let pan = "4111111111111111";
        let answer = json!({"receipt_number": pan, "message": pan, "error": pan, "last4": pan, "card": pan, "code": pan,
            "trace_number": 4111111111111111u64});
        let text = serde_json::to_string(&details(&answer, 200, "approved")).unwrap();
        assert!(!text.contains("41111111"), "{text}");
    }

    #[test]
    fn an_error_may_be_an_object() {
        assert_eq!(message(&json!({"error": {"message": "no funds"}})).as_deref(), Some("no funds"));
    }
}
