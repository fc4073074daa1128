//! What of an answer must never be kept: card numbers, and whatever stands under a name that means a secret.

use serde_json::{Map, Value};

/// No text of an answer is kept longer than this many characters.
const MAX_TEXT_CHARS: usize = 256;
/// So much of a text is looked at: enough that a card number which begins in the part that is kept is seen to its end.
const LOOKED_AT_CHARS: usize = 512;
/// No more values of an answer than this are kept: it goes into the journal and onto a page.
const MAX_VALUES: usize = 512;
/// The digits that a card number has (ISO/IEC 7812).
const PAN_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
/// How many blanks or dashes may stand between two digits of one number.
const MAX_GAP: usize = 3;
/// What stands in the place of a secret.
const REMOVED: &str = "[removed]";

/// Names of secret values, in lower case, without anything but letters and digits.
#[rustfmt::skip]
const SECRET_NAMES: &[&str] = &[
    "pan", "cardnumber", "cardno", "maskedpan", "panmasked", "maskedcardnumber", "primaryaccountnumber", "accountnumber",
    "iban", "track", "track1", "track2", "track3", "trackdata", "track1data", "track2data", "track3data",
    "cvv", "cvv2", "cvc", "cvc2", "cid", "securitycode", "pin", "pinblock", "expiry", "expirydate", "expirationdate",
    "cardholder", "cardholdername", "cookie", "authorization", "authtoken", "sessionkey", "apikey", "xapikey", "privatekey",
];
/// A name that ends like this is secret as well: `access_token`, `terminalPassword`.
const SECRET_ENDINGS: &[&str] = &["token", "password", "passwd", "secret"];

/// The answer without card numbers and secrets, its texts and its size bounded.
pub(crate) fn mask(value: &Value) -> Value {
    let mut left = MAX_VALUES;
    mask_within(value, &mut left)
}

/// A text without card numbers, bounded.
pub(crate) fn mask_text(text: &str) -> String {
    let looked_at = text.char_indices().nth(LOOKED_AT_CHARS).map_or(text, |(end, _)| &text[..end]);
    cap(&scrub(looked_at))
}

/// The same as one line for a person: without control characters and without those that turn the reading direction.
pub(crate) fn mask_line(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let line: String =
        text.chars().take(LOOKED_AT_CHARS).map(|c| if c.is_control() || turns(c) { ' ' } else { c }).collect();
    mask_text(line.trim())
}

fn mask_within(value: &Value, left: &mut usize) -> Value {
    *left = left.saturating_sub(1);
    match value {
        Value::String(text) => Value::String(mask_text(text)),
        Value::Number(number) => mask_number(number),
        Value::Array(values) => mask_array(values, left),
        Value::Object(map) => mask_object(map, left),
        Value::Null | Value::Bool(_) => value.clone(),
    }
}

/// A number that holds no card number keeps its type.
fn mask_number(number: &serde_json::Number) -> Value {
    let text = number.to_string();
    let scrubbed = scrub(&text);
    if scrubbed == text { Value::Number(number.clone()) } else { Value::String(scrubbed) }
}

fn mask_array(values: &[Value], left: &mut usize) -> Value {
    let mut kept = Vec::new();
    for value in values {
        if *left == 0 {
            break;
        }
        kept.push(mask_within(value, left));
    }
    Value::Array(kept)
}

fn mask_object(map: &Map<String, Value>, left: &mut usize) -> Value {
    let mut kept = Map::new();
    for (name, value) in map {
        if *left == 0 {
            break;
        }
        let value = if is_secret(name) { Value::String(REMOVED.into()) } else { mask_within(value, left) };
        kept.insert(mask_text(name), value);
    }
    Value::Object(kept)
}

fn is_secret(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    SECRET_NAMES.contains(&plain.as_str()) || SECRET_ENDINGS.iter().any(|ending| plain.ends_with(ending))
}

fn cap(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT_CHARS) {
        None => text.to_owned(),
        Some(_) => text.chars().take(MAX_TEXT_CHARS - 1).chain(['…']).collect(),
    }
}

/// One digit, and whether it begins a group: the first one, or the first behind a gap.
struct Digit {
    place: usize,
    value: u8,
    begins_group: bool,
}

/// Replaces every digit of a card number but the last four.
fn scrub(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut run: Vec<Digit> = Vec::new();
    let mut gap = 0;
    for (place, &byte) in text.as_bytes().iter().enumerate() {
        if byte.is_ascii_digit() {
            run.push(Digit { place, value: byte - b'0', begins_group: run.is_empty() || gap > 0 });
            gap = 0;
        } else if matches!(byte, b' ' | b'-') && !run.is_empty() && gap < MAX_GAP {
            gap += 1;
        } else {
            mask_run(&mut bytes, &run);
            run.clear();
            gap = 0;
        }
    }
    mask_run(&mut bytes, &run);
    String::from_utf8(bytes).expect("one ASCII character was put in the place of another")
}

/// Masks every card number in a run of digits. One begins and ends with its groups; only in a group that is too long to be a
/// card number itself (a track without its separator, say) it may begin and end anywhere.
fn mask_run(bytes: &mut [u8], run: &[Digit]) {
    for start in 0..run.len() {
        for length in PAN_DIGITS.rev() {
            let Some(window) = run.get(start..start + length) else { continue };
            if may_stand_alone(run, start, start + length) && passes_luhn(window) {
                window[..length - 4].iter().for_each(|digit| bytes[digit.place] = b'*');
                break;
            }
        }
    }
}

fn may_stand_alone(run: &[Digit], start: usize, end: usize) -> bool {
    let edges_are_groups = run[start].begins_group && run.get(end).is_none_or(|next| next.begins_group);
    edges_are_groups || !run[start..end].iter().skip(1).any(|digit| digit.begins_group) && in_long_group(run, start)
}

fn in_long_group(run: &[Digit], place: usize) -> bool {
    let before = run[..=place].iter().rev().take_while(|digit| !digit.begins_group).count();
    let behind = run[place + 1..].iter().take_while(|digit| !digit.begins_group).count();
    before + behind + 1 > *PAN_DIGITS.end()
}

/// ISO/IEC 7812-1, annex B.
fn passes_luhn(digits: &[Digit]) -> bool {
    let sum: u32 = digits.iter().rev().enumerate().map(|(place, digit)| weigh(place, digit.value)).sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| digit.value != 0)
}

fn weigh(place_from_right: usize, value: u8) -> u32 {
    let value = u32::from(value);
    if place_from_right.is_multiple_of(2) { value } else { value * 2 / 10 + value * 2 % 10 }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn card_numbers_are_found_wherever_they_stand() {
        for (text, expected) in [
            ("4111111111111111", "************1111"),
            ("card 4111 1111 1111 1111 ok", "card **** **** **** 1111 ok"),
            ("4111-1111-1111-1111", "****-****-****-1111"),
            ("3782 822463 10005", "**** ****** *0005"),
            ("5555555555554444=2512", "************4444=2512"),
            ("0042 4111111111111111", "0042 ************1111"),
            ("4111111111111111 0042", "************1111 0042"),
            ("4222222222222", "*********2222"),
            ("6304000000000000000", "***************0000"),
            ("4111111111111112", "4111111111111112"),
            ("2025-06-11T15:32:00", "2025-06-11T15:32:00"),
            ("0000000000000000", "0000000000000000"),
            ("receipt 0042 trace 000087", "receipt 0042 trace 000087"),
            ("Grüße 4111111111111111 €", "Grüße ************1111 €"),
        ] {
            assert_eq!(mask_text(text), expected, "{text}");
        }
    }

    #[test]
    fn a_card_number_inside_a_longer_run_is_found() {
        let masked = mask_text("411111111111111125121010000012");
        assert!(!masked.contains("411111111111"), "{masked}");
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        let masked = mask(&json!({
            "PAN": "4111", "card-number": "1", "Track_2": "x", "cvv": 123, "access_token": "t", "Authorization": "Bearer x",
            "terminalPassword": ["000000"], "authorization_code": "482948", "trace_number": "000087",
            "nested": [{"token": {"deep": 1}, "amount": 25.9, "note": 4111111111111111u64}],
        }));
        let expected = json!({
            "PAN": "[removed]", "card-number": "[removed]", "Track_2": "[removed]", "cvv": "[removed]",
            "access_token": "[removed]", "Authorization": "[removed]", "terminalPassword": "[removed]",
            "authorization_code": "482948", "trace_number": "000087",
            "nested": [{"token": "[removed]", "amount": 25.9, "note": "************1111"}],
        });
        assert_eq!(masked, expected);
    }

    #[test]
    fn a_card_number_as_a_name_is_masked_too() {
        assert_eq!(mask(&json!({"4111111111111111": 1})), json!({"************1111": 1}));
    }

    #[test]
    fn texts_and_answers_are_bounded() {
        assert_eq!(mask_text(&"ü".repeat(300)).chars().count(), 256);
        let many: Vec<u32> = (0..100_000).collect();
        assert!(mask(&json!(many)).as_array().unwrap().len() <= MAX_VALUES);
        let wide = json!({"a": many, "b": 1});
        assert!(mask(&wide).to_string().len() < 8_000);
    }

    #[test]
    fn a_line_has_no_control_characters() {
        assert_eq!(mask_line("no\r\nfunds\u{1b}[31m\u{202e}"), "no  funds [31m");
    }
}
