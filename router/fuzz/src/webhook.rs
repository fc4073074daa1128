//! Is every event read exactly, or refused in words?

use hyper::HeaderMap;
use serde_json::json;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use tillswitch::config::Tip;
use tillswitch::intake::event::{BadEvent, CreatedAt, Event, PaymentEvent, Reading, read};
use tillswitch::intake::identity;
use tillswitch::intake::signature::verify;
use tillswitch_core::Money;

/// The longest text that is taken over, in characters.
const MAX_TEXT: usize = 255;

/// Input: how tips are read (one byte), the body of a webhook.
pub fn check(input: &[u8]) {
    let Some((choice, body)) = input.split_first() else { return };
    let tip = if choice & 1 == 0 { Tip::Included } else { Tip::Added };
    let found = event(body, tip);
    assert!(found == event(body, tip), "the same bytes are read in two ways");
    match &found {
        Ok(Event::Payment(payment)) => {
            check_texts(payment);
            check_amount(body, payment, tip);
            check_meaning(payment);
            check_noise(body, payment, tip);
        }
        Ok(Event::Ignored(why)) => assert!(is_line(why, 400), "{why:?}"),
        // What serde_json and this program say of a body quotes at most one text of it.
        Err(bad) => assert!(is_line(&bad.message, 2000), "{:?}", bad.message),
    }
}

fn event(body: &[u8], tip: Tip) -> Result<Event, BadEvent> {
    let verified = verify(&[], &HeaderMap::new(), body.to_vec().into()).expect("without keys every body is believed");
    read(&verified, Reading { event_types: &["pos.cardPaid".to_owned()], tip })
}

fn is_line(text: &str, longest: usize) -> bool {
    !text.is_empty() && text.len() <= longest * 4 && !text.chars().any(char::is_control)
}

fn check_texts(payment: &PaymentEvent) {
    let document = payment.document.as_ref();
    let created = match &payment.created_at {
        Some(CreatedAt::Text(text)) => Some(text.as_str()),
        Some(CreatedAt::Instant(_)) | None => None,
    };
    let texts = [
        payment.guid.as_deref(),
        payment.project_id.as_deref(),
        payment.project_number.as_deref(),
        payment.payment_method.as_deref(),
        payment.event_type.as_deref(),
        document.map(|document| document.number.as_str()),
        document.and_then(|document| document.kind.as_deref()),
        created,
    ];
    for text in texts.into_iter().flatten() {
        assert!(text.chars().count() <= MAX_TEXT && !text.chars().any(char::is_control), "{text:?}");
    }
    assert!(payment.amount.minor() > 0 && payment.tip_minor.unwrap_or(0) <= payment.amount.minor());
}

/// The amount is the one in the text, read here without the program's own code.
fn check_amount(body: &[u8], payment: &PaymentEvent, tip: Tip) {
    let text = std::str::from_utf8(body).expect("an event was read").trim_start_matches('\u{feff}');
    let fields = |text: &str| serde_json::from_str::<BTreeMap<String, &RawValue>>(text).ok().map(owned);
    let Some(outer) = fields(text) else { return };
    let inner = outer.get("body").filter(|body| body.as_str() != "null").and_then(|body| fields(body));
    let event = inner.unwrap_or(outer);
    let stated = ["totalAmount", "amount"].iter().find_map(|key| event.get(*key).filter(|text| *text != "null"));
    let added = if tip == Tip::Added { payment.tip_minor.unwrap_or(0) } else { 0 };
    let Some(minor) = stated.and_then(|text| minor_units(text, payment.amount.currency().exponent())) else { return };
    assert_eq!(minor + u128::from(added), u128::from(payment.amount.minor()), "{stated:?}");
}

fn owned(fields: BTreeMap<String, &RawValue>) -> BTreeMap<String, String> {
    fields.into_iter().map(|(key, value)| (key, value.get().to_owned())).collect()
}

/// Of a plain decimal with no more digits than the currency has. Dust and exponents are left to others.
fn minor_units(json: &str, exponent: u32) -> Option<u128> {
    let text = json.trim_matches('"').trim().trim_start_matches('-');
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part = part.trim_end_matches('0');
    let digits = format!("{whole}{part:0<width$}", width = exponent as usize);
    let is_plain = !whole.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_plain && part.len() <= exponent as usize && digits.len() < 30).then(|| digits.parse().ok()).flatten()
}

/// The same event in other words is the same event.
fn check_meaning(payment: &PaymentEvent) {
    let currency = payment.amount.currency();
    let decimal = |minor| Money::from_minor(minor, currency).decimal();
    let document = payment.document.as_ref();
    let words = json!({
        "createdAt": payment.created_at.as_ref().map(|created| match created {
            CreatedAt::Instant(instant) => instant.to_string(),
            CreatedAt::Text(text) => text.clone(),
        }),
        "paymentMethod": payment.payment_method,
        "documentType": document.and_then(|document| document.kind.clone()),
        "documentNumber": document.map(|document| document.number.clone()),
        "project": { "number": payment.project_number, "id": payment.project_id },
        "tip": payment.tip_minor.map(decimal),
        "totalAmount": decimal(payment.amount.minor()),
        "currency": currency.code(),
        "operation": payment.operation.name().to_uppercase(),
        "guid": payment.guid,
        "further": [1, { "amount": 2 }],
    });
    let again = match event(words.to_string().as_bytes(), Tip::Included) {
        Ok(Event::Payment(again)) => again,
        other => panic!("{words}: {other:?}"),
    };
    let (first, second) = (identity::keys(payment), identity::keys(&again));
    assert_eq!(first.content(), second.content(), "{words}");
    assert_eq!(first.guid(), second.guid());
    // A type without a number is of no document, and an envelope is not part of the event.
    assert!(PaymentEvent { event_type: payment.event_type.clone(), ..*again } == *payment, "{words}: {payment:?}");
}

/// Blanks around a body say nothing.
fn check_noise(body: &[u8], payment: &PaymentEvent, tip: Tip) {
    let spaced = [b" \r\n\t".as_slice(), body, b"\n "].concat();
    if !body.starts_with("\u{feff}".as_bytes()) {
        assert!(event(&spaced, tip) == Ok(Event::Payment(Box::new(payment.clone()))), "blanks changed an event");
    }
}
