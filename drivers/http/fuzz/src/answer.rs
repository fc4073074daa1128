//! Is nothing taken for an approval, or for a proof that nothing was paid, which is none?

use std::time::UNIX_EPOCH;

use serde_json::{Value, json};
use tillswitch_core::{Currency, DriverError, Money, Operation, Outcome, PaymentId, PaymentRequest};

/// Statuses that say that a request was never taken up.
const NOT_STARTED: [u16; 7] = [400, 401, 403, 404, 405, 415, 422];
const TYPES: [&str; 5] = ["application/json", "text/plain; charset=utf-8", "text/html", "", "application/problem+json"];
const STATUSES: [u16; 12] = [200, 201, 204, 299, 302, 400, 402, 404, 409, 422, 500, 503];
const CARD: &str = "4111111111111111";

/// Input: the status (two bytes), the content type and what was asked (one byte), the body.
pub fn check(input: &[u8]) {
    let [high, low, choice, body @ ..] = input else { return };
    let status = match u16::from_be_bytes([*high, *low]) {
        status @ 100..=999 => status,
        other => STATUSES[usize::from(other) % STATUSES.len()],
    };
    let kind = TYPES[usize::from(*choice) % TYPES.len()];
    let asked = asked(*choice);
    let judge = |status, body: &[u8]| tillswitch_http::judge(status, kind, body, &asked).expect("a status of HTTP");
    let said = judge(status, body);
    assert!(said == judge(status, body), "the same answer means two things");
    check_status(status, &said);
    check_content(body, kind, &said, &asked);
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        check_contrary(status, &value, judge);
        check_card(status, &value, judge);
    }
}

fn asked(choice: u8) -> PaymentRequest {
    let currency = if choice & 0x40 == 0 { Currency::EUR } else { "JPY".parse().expect("the yen is a currency") };
    PaymentRequest {
        id: "01990000-0000-7000-8000-000000000001".parse().unwrap_or_else(|_| PaymentId::generate()),
        operation: if choice & 0x80 == 0 { Operation::Sale } else { Operation::Refund },
        amount: Money::from_minor(2590, currency),
        register: "POS-01".into(),
        document: None,
        accept_partial: false,
        original: None,
        received_at: UNIX_EPOCH,
    }
}

type Said = Result<Outcome, DriverError>;

/// Each status may mean what the guide and HTTP say it means, or doubt.
fn check_status(status: u16, said: &Said) {
    let may_be = match said {
        Ok(Outcome::Approved(_)) => (200..300).contains(&status),
        Ok(Outcome::Declined(_) | Outcome::Cancelled(_)) => status == 402,
        Err(DriverError::NotStarted(_)) => NOT_STARTED.contains(&status),
        Err(DriverError::InDoubt(reason)) => !reason.message.is_empty(),
        Err(DriverError::Unsupported) => false,
    };
    assert!(may_be, "{status}: {said:?}");
}

/// No page, no half a document and no other currency is an approval; what is kept of an answer is bounded.
fn check_content(body: &[u8], kind: &str, said: &Said, asked: &PaymentRequest) {
    let text = String::from_utf8_lossy(body);
    let text = text.trim().trim_start_matches('\u{feff}');
    let is_json = serde_json::from_str::<Value>(text).is_ok();
    let is_page = text.starts_with('<') || (kind == "text/html" && !text.is_empty());
    let is_half = !is_json && text.starts_with(['{', '[']);
    match said {
        Ok(Outcome::Approved(approval)) => {
            assert!(!is_page && !is_half, "{text}");
            assert_eq!(approval.amount.currency(), asked.amount.currency());
            assert!(approval.amount.minor() > 0);
            check_lines(&[&approval.details.code, &approval.details.message]);
        }
        Ok(Outcome::Declined(details) | Outcome::Cancelled(details)) => check_lines(&[&details.code, &details.message]),
        Err(DriverError::InDoubt(reason) | DriverError::NotStarted(reason)) => {
            assert!(reason.message.len() < 4096 && !reason.message.contains('\n'), "{}", reason.message);
        }
        Err(DriverError::Unsupported) => {}
    }
}

fn check_lines(lines: &[&str]) {
    for line in lines {
        assert!(!line.is_empty() && line.chars().count() <= 256 && !line.chars().any(char::is_control), "{line:?}");
    }
}

/// A clear word beside the same content: a "no" is never an approval, and a "yes" never a proof that nothing was paid.
fn check_contrary(status: u16, value: &Value, judge: impl Fn(u16, &[u8]) -> Said) {
    for no in
        [json!({"status": "declined"}), json!({"paid": false}), json!({"error": "timeout"}), json!({"success": 0})]
    {
        for answer in [json!({"data": value, "outcome": no}), json!([no, value]), json!([[{"x": [value, no]}]])] {
            let said = judge(200, answer.to_string().as_bytes());
            assert!(!matches!(said, Ok(Outcome::Approved(_))), "{answer}: {said:?}");
        }
    }
    if (200..300).contains(&status) {
        return;
    }
    for yes in [json!({"status": "approved"}), json!({"paid": true}), json!({"success": 1})] {
        for answer in [json!({"data": value, "outcome": yes}), json!([value, yes])] {
            let said = judge(status, answer.to_string().as_bytes());
            assert!(matches!(said, Err(DriverError::InDoubt(_))), "{status} {answer}: {said:?}");
        }
    }
}

/// A card number is kept nowhere, wherever it stands.
fn check_card(status: u16, value: &Value, judge: impl Fn(u16, &[u8]) -> Said) {
    let answer = json!({"card": CARD, "message": format!("card {CARD} {value}"), CARD: value, "receipt_number": CARD});
    let said = format!("{:?}", judge(status, answer.to_string().as_bytes()));
    assert!(value.to_string().contains("41111111") || !said.contains("41111111"), "{said}");
}
