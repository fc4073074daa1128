//! What an event of the point of sale says: every generation of Xentral's payload.

use jiff::Timestamp;
use jiff::civil::DateTime;
use tillswitch_core::{Currency, Document, Money, Operation, Sign};

use super::json::Object;
use super::signature::Verified;
use crate::code::Code;
use crate::config::Tip;

/// The three names that the event has had, without namespace and version.
const PAYMENT_EVENTS: [&str; 3] =
    ["pos.paymentCreditCardCaptured", "pos.paymentCardCaptured", "pos.cardPaymentCaptured"];
/// The words for a direction, lower case. An unknown word is refused: a direction is never guessed.
const OPERATIONS: [(&str, Operation); 4] = [
    ("sale", Operation::Sale),
    ("sell", Operation::Sale),
    ("refund", Operation::Refund),
    ("cancellation", Operation::Refund),
];
/// The longest text that is taken over from an event, in characters. What identifies something is refused when it is
/// longer: cut off, two different documents would be the same one.
const MAX_TEXT: usize = 255;

/// What an event asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A payment.
    Payment(Box<PaymentEvent>),
    /// Something else, politely received.
    Ignored(String),
}

/// A payment, as the point of sale sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct PaymentEvent {
    /// The sender's own identity of the event.
    pub guid: Option<String>,
    /// Which way the money goes.
    pub operation: Operation,
    /// What is to be paid, tip included.
    pub amount: Money,
    /// The tip's share, in minor units.
    pub tip_minor: Option<u64>,
    /// `project.id`, as text.
    pub project_id: Option<String>,
    /// `project.number`.
    pub project_number: Option<String>,
    /// What is paid.
    pub document: Option<Document>,
    /// How it is paid, if the event says so.
    pub payment_method: Option<String>,
    /// When the point of sale made it.
    pub created_at: Option<CreatedAt>,
    /// The event's own name, if it was enveloped.
    pub event_type: Option<String>,
}

/// `createdAt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreatedAt {
    /// RFC 3339.
    Instant(Timestamp),
    /// A form without an offset: good to recognise a repeat, not to tell an age.
    Text(String),
}

/// Why an event is no payment of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadEvent {
    /// For programs.
    pub code: Code,
    /// What is wrong and what to do.
    pub message: String,
}

impl BadEvent {
    fn new(code: Code, message: impl Into<String>) -> BadEvent {
        BadEvent { code, message: message.into() }
    }
}

/// What of the configuration decides how an event is read.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// Further event names that are payments.
    pub event_types: &'a [String],
    /// Whether the total contains the tip.
    pub tip: Tip,
}

/// Reads an event whose sender is known.
pub fn read(verified: &Verified, reading: Reading<'_>) -> Result<Event, BadEvent> {
    let text = std::str::from_utf8(verified.body())
        .map_err(|_| BadEvent::new(Code::Malformed, "the body is not UTF-8 text; send JSON"))?;
    // Some senders begin a file with a byte order mark; it says nothing that UTF-8 does not.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let outer = Object::parse(text).map_err(malformed)?;
    let name = outer.text("type").unwrap_or_default();
    let inner = outer.object("body").map_err(malformed)?;
    let event = inner.as_ref().unwrap_or(&outer);
    if let Some(name) = &name
        && !is_payment_event(name, reading.event_types)
    {
        return other_event(name, event);
    }
    if is_without_terminal(event) {
        return Ok(Event::Ignored("settings.terminalMode is no_terminal_integration".to_owned()));
    }
    payment(event, name, reading).map(|payment| Event::Payment(Box::new(payment)))
}

fn malformed(error: serde_json::Error) -> BadEvent {
    BadEvent::new(Code::Malformed, format!("the body is not the JSON of an event: {error}"))
}

/// `com.xentral.pos.cardPaymentCaptured.v1`, with any namespace and any version.
fn is_payment_event(name: &str, further: &[String]) -> bool {
    let plain = without_version(name);
    let known = |event: &str| plain == event || plain.strip_suffix(event).is_some_and(|front| front.ends_with('.'));
    PAYMENT_EVENTS.into_iter().any(known) || further.iter().any(|event| event == name || known(event))
}

fn without_version(name: &str) -> &str {
    match name.rsplit_once(".v") {
        Some((front, version)) if !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()) => front,
        _ => name,
    }
}

/// An event of another name: ignored, unless it looks like a payment. A renamed event must not be lost silently.
fn other_event(name: &str, event: &Object<'_>) -> Result<Event, BadEvent> {
    let name = clipped(name);
    let has_amount = event.get("amount").is_some() || event.get("totalAmount").is_some();
    if event.get("operation").is_none() || !has_amount {
        return Ok(Event::Ignored(format!("{name} is not a card payment")));
    }
    let message = format!(
        "the event {name:?} looks like a payment and is not known by that name; if it is one, add it to `event_types` in [webhook]"
    );
    Err(BadEvent::new(Code::UnknownPaymentEvent, message))
}

fn is_without_terminal(event: &Object<'_>) -> bool {
    let settings = event.object("settings").ok().flatten();
    let mode = settings.and_then(|settings| settings.text("terminalMode").ok().flatten());
    mode.as_deref() == Some("no_terminal_integration")
}

fn payment(event: &Object<'_>, event_type: Option<String>, reading: Reading<'_>) -> Result<PaymentEvent, BadEvent> {
    let operation = operation(event)?;
    let currency = currency(event)?;
    let (amount, tip_minor) = amount(event, operation, currency, reading.tip)?;
    let project = event.object("project").map_err(|_| BadEvent::new(Code::Malformed, "`project` is not an object"))?;
    let of_project = |key: &str, name: &str| match &project {
        Some(project) => identifier(project, key, name),
        None => Ok(None),
    };
    Ok(PaymentEvent {
        guid: identifier(event, "guid", "guid")?,
        operation,
        amount,
        tip_minor,
        project_id: of_project("id", "project.id")?,
        project_number: of_project("number", "project.number")?,
        document: document(event)?,
        payment_method: label(event, "paymentMethod"),
        created_at: created_at(event)?,
        event_type: event_type.as_deref().map(clipped),
    })
}

fn operation(event: &Object<'_>) -> Result<Operation, BadEvent> {
    let Some(word) = event.scalar("operation") else {
        return Err(BadEvent::new(Code::Malformed, "`operation` is missing; expected sale or refund"));
    };
    let lower = word.to_ascii_lowercase();
    let known = OPERATIONS.iter().find(|(name, _)| *name == lower).map(|(_, operation)| *operation);
    known.ok_or_else(|| {
        let message =
            format!("unknown operation {:?}, expected one of: sale, sell, refund, cancellation", clipped(&word));
        BadEvent::new(Code::UnknownOperation, message)
    })
}

fn currency(event: &Object<'_>) -> Result<Currency, BadEvent> {
    let Some(code) = event.scalar("currency") else {
        return Err(BadEvent::new(Code::Malformed, "`currency` is missing; expected a code such as EUR"));
    };
    clipped(&code).parse().map_err(|error| BadEvent::new(Code::Malformed, format!("{error}")))
}

/// The amount to pay and the tip in it. `totalAmount` with `tip` since 2025, `amount` before.
fn amount(
    event: &Object<'_>,
    operation: Operation,
    currency: Currency,
    rule: Tip,
) -> Result<(Money, Option<u64>), BadEvent> {
    let bare = money(event, "amount", currency)?;
    let total = money(event, "totalAmount", currency)?;
    let (sign, total) = match (total, bare) {
        (Some(total), Some(bare)) if total != bare => {
            return Err(BadEvent::new(Code::BadAmount, "`amount` and `totalAmount` differ; send one of them"));
        }
        (Some(total), _) => total,
        (None, Some(bare)) => bare,
        (None, None) => return Err(BadEvent::new(Code::BadAmount, "`amount` is missing")),
    };
    if sign == Sign::Negative && operation == Operation::Sale {
        let message = "the amount of a sale is negative; a refund needs operation = refund";
        return Err(BadEvent::new(Code::BadAmount, message));
    }
    let tip = tip(event, operation, currency)?;
    let amount = match (rule, tip) {
        (Tip::Added, Some(tip)) => total.checked_add(tip).ok_or_else(too_large)?,
        (Tip::Added, None) | (Tip::Included, _) => total,
    };
    if amount.minor() > i64::MAX as u64 {
        return Err(too_large());
    }
    if tip.is_some_and(|tip| tip.minor() > amount.minor()) {
        return Err(BadEvent::new(Code::BadAmount, "`tip` is more than the whole amount"));
    }
    Ok((amount, tip.map(Money::minor)))
}

fn too_large() -> BadEvent {
    BadEvent::new(Code::BadAmount, "the amount is too large")
}

fn money(event: &Object<'_>, key: &str, currency: Currency) -> Result<Option<(Sign, Money)>, BadEvent> {
    let Some(value) = event.get(key) else { return Ok(None) };
    let text = event.scalar(key).ok_or_else(|| {
        BadEvent::new(
            Code::BadAmount,
            format!("`{key}` is {}, expected a number or decimal text", clipped(value.get())),
        )
    })?;
    let read = Money::parse_signed(text.trim(), currency);
    read.map(Some).map_err(|error| BadEvent::new(Code::BadAmount, format!("`{key}` is {:?}: {error}", clipped(&text))))
}

/// A tip of zero is no tip.
fn tip(event: &Object<'_>, operation: Operation, currency: Currency) -> Result<Option<Money>, BadEvent> {
    let is_zero = |text: String| {
        let mut digits = text.trim().trim_start_matches('-').bytes().peekable();
        digits.peek().is_some() && digits.all(|byte| byte == b'0' || byte == b'.')
    };
    if event.scalar("tip").is_some_and(is_zero) {
        return Ok(None);
    }
    match money(event, "tip", currency)? {
        Some((Sign::Negative, _)) if operation == Operation::Sale => {
            Err(BadEvent::new(Code::BadAmount, "`tip` is negative; a tip goes to the shop"))
        }
        tip => Ok(tip.map(|(_, tip)| tip)),
    }
}

fn document(event: &Object<'_>) -> Result<Option<Document>, BadEvent> {
    let kind = identifier(event, "documentType", "documentType")?;
    let number = identifier(event, "documentNumber", "documentNumber")?;
    Ok(number.map(|number| Document { number, kind }))
}

/// RFC 3339, or date and time without an offset. Anything else would be taken for an age or an identity that it is not.
fn created_at(event: &Object<'_>) -> Result<Option<CreatedAt>, BadEvent> {
    let Some(text) = identifier(event, "createdAt", "createdAt")? else { return Ok(None) };
    if let Ok(instant) = text.parse() {
        return Ok(Some(CreatedAt::Instant(instant)));
    }
    let has_time = text.contains(['T', 't', ' ']);
    if has_time && text.parse::<DateTime>().is_ok() {
        return Ok(Some(CreatedAt::Text(text)));
    }
    let message = format!("`createdAt` is {text:?}, expected a time such as 2025-06-11T15:32:00+02:00");
    Err(BadEvent::new(Code::Malformed, message))
}

/// A text or a number that identifies something, trimmed; blank ones are absent. Whatever cannot be kept as it is is
/// refused, because two different ones must never become equal, and none may silently be missing.
fn identifier(event: &Object<'_>, key: &str, name: &str) -> Result<Option<String>, BadEvent> {
    let refused = |why: String| BadEvent::new(Code::Malformed, format!("`{name}` {why}"));
    let Some(value) = event.get(key) else { return Ok(None) };
    let Some(text) = event.scalar(key) else {
        return Err(refused(format!("is {}, expected a text or a number", clipped(value.get()))));
    };
    let text = text.trim();
    if text.chars().count() > MAX_TEXT {
        return Err(refused(format!("is longer than {MAX_TEXT} characters")));
    }
    if !text.chars().all(is_printable) {
        return Err(refused("holds characters that cannot be shown".to_owned()));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// A text or a number that only describes; what else stands there is absent.
fn label(event: &Object<'_>, key: &str) -> Option<String> {
    let text = event.scalar(key)?;
    let text = text.trim();
    (!text.is_empty()).then(|| clipped(text))
}

/// At most so many characters, without any that could break a line of a log or steer a screen.
fn clipped(text: &str) -> String {
    text.chars().filter(|c| is_printable(*c)).take(MAX_TEXT).collect()
}

/// Whether a character shows itself and nothing else: it breaks no line, steers no screen, turns no text around.
pub fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::signature::verify;
    use hyper::HeaderMap;

    const GUIDE: &str = r#"{
  "operation": "sale",
  "project": {
    "id": "3f942a4b-728c-4c1b-8c7c-3499f28744a1",
    "number": "POS-01"
  },
  "currency": "EUR",
  "amount": 25.90,
  "documentNumber": "40001234",
  "documentType": "invoice",
  "createdAt": "2025-06-11T15:32:00+02:00"
}"#;

    fn event(body: &str) -> Result<Event, BadEvent> {
        event_with(body, Tip::Included, &[])
    }

    fn event_with(body: &str, tip: Tip, event_types: &[String]) -> Result<Event, BadEvent> {
        let verified = verify(&[], &HeaderMap::new(), body.to_owned().into()).unwrap();
        read(&verified, Reading { event_types, tip })
    }

    fn payment(body: &str) -> PaymentEvent {
        match event(body) {
            Ok(Event::Payment(payment)) => *payment,
            other => panic!("{body}: {other:?}"),
        }
    }

    fn check_refused(body: &str, code: Code) {
        match event(body) {
            Err(bad) => assert_eq!(bad.code, code, "{body}: {}", bad.message),
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn the_guides_payload_is_read() {
        let payment = payment(GUIDE);
        assert_eq!((payment.operation, payment.amount.minor()), (Operation::Sale, 2590));
        assert_eq!(payment.project_id.as_deref(), Some("3f942a4b-728c-4c1b-8c7c-3499f28744a1"));
        assert_eq!(payment.project_number.as_deref(), Some("POS-01"));
        assert_eq!(payment.document.unwrap().number, "40001234");
        assert_eq!(payment.created_at, Some(CreatedAt::Instant("2025-06-11T13:32:00Z".parse().unwrap())));
    }

    #[test]
    fn the_envelope_and_the_second_generation_are_read() {
        let payment = payment(
            r#"{"type":"com.xentral.pos.cardPaymentCaptured.v1","body":{"operation":"Sell","project":{"id":7},
               "currency":"EUR","totalAmount":"27.90","tip":2.0,"documentNumber":"4711","documentType":"invoice",
               "guid":"abc","paymentMethod":"creditcard","createdAt":"2026-01-01T00:00:00Z","further":[1,2]}}"#,
        );
        assert_eq!((payment.amount.minor(), payment.tip_minor), (2790, Some(200)));
        assert_eq!((payment.project_id.as_deref(), payment.guid.as_deref()), (Some("7"), Some("abc")));
    }

    #[test]
    fn all_three_names_are_payments_and_others_are_not() {
        for (name, expected) in [
            ("pos.paymentCreditCardCaptured", true),
            ("com.xentral.pos.paymentCardCaptured.v2", true),
            ("com.xentral.pos.cardPaymentCaptured.v17", true),
            ("x.pos.cardPaymentCaptured", true),
            ("xpos.cardPaymentCaptured", false),
            ("com.xentral.pos.cardPaymentCaptured.vx", false),
            ("com.xentral.pos.cardPaymentCapturedLater.v1", false),
        ] {
            assert_eq!(is_payment_event(name, &[]), expected, "{name}");
        }
        assert!(is_payment_event("com.xentral.pos.cardPaid.v1", &["pos.cardPaid".to_owned()]));
    }

    #[test]
    fn a_renamed_event_is_not_lost_silently() {
        check_refused(
            r#"{"type":"com.xentral.pos.cardPaid.v1","body":{"operation":"sale","amount":1,"currency":"EUR"}}"#,
            Code::UnknownPaymentEvent,
        );
        let other = r#"{"type":"com.xentral.salesOrder.created.v1","body":{"id":1}}"#;
        assert!(matches!(event(other), Ok(Event::Ignored(_))));
    }

    #[test]
    fn a_project_without_terminal_is_ignored() {
        let body =
            GUIDE.replace("\"currency\"", "\"settings\":{\"terminalMode\":\"no_terminal_integration\"},\"currency\"");
        assert!(matches!(event(&body), Ok(Event::Ignored(_))));
        let body = GUIDE
            .replace("\"currency\"", "\"settings\":{\"terminalMode\":\"send_and_receive_automatic\"},\"currency\"");
        assert!(matches!(event(&body), Ok(Event::Payment(_))));
    }

    #[test]
    fn bad_events_are_told_apart() {
        for body in
            ["", "[]", "null", "{", "\"sale\"", r#"{"operation":"sale","amount":1,"amount":2,"currency":"EUR"}"#]
        {
            check_refused(body, Code::Malformed);
        }
        check_refused("{}", Code::Malformed);
        check_refused(&GUIDE.replace("  \"amount\": 25.90,\n", ""), Code::BadAmount);
        for amount in ["25.905", "0", "-1", "null", "true", "\"NaN\"", "1e400", "{}", "99999999999999999999"] {
            check_refused(&GUIDE.replace("25.90", amount), Code::BadAmount);
        }
        check_refused(&GUIDE.replace("\"sale\"", "\"gift\""), Code::UnknownOperation);
        check_refused(&GUIDE.replace("\"EUR\"", "\"EURO\""), Code::Malformed);
        check_refused(&GUIDE.replace("  \"operation\": \"sale\",\n", ""), Code::Malformed);
    }

    #[test]
    fn a_negative_refund_is_its_absolute_value() {
        let body = GUIDE.replace("\"sale\"", "\"cancellation\"").replace("25.90", "-25.90");
        let payment = payment(&body);
        assert_eq!((payment.operation, payment.amount.minor()), (Operation::Refund, 2590));
    }

    #[test]
    fn the_tip_is_in_the_total_or_on_top() {
        let body = GUIDE.replace("\"amount\": 25.90", "\"totalAmount\": 25.90, \"tip\": 1.10");
        let read = |rule| match event_with(&body, rule, &[]) {
            Ok(Event::Payment(payment)) => (payment.amount.minor(), payment.tip_minor),
            other => panic!("{other:?}"),
        };
        assert_eq!(read(Tip::Included), (2590, Some(110)));
        assert_eq!(read(Tip::Added), (2700, Some(110)));
        assert_eq!(payment(&body.replace("1.10", "0.00")).tip_minor, None);
        check_refused(&body.replace("1.10", "99"), Code::BadAmount);
        check_refused(&body.replace("1.10", "-1.10"), Code::BadAmount);
    }

    #[test]
    fn a_time_without_offset_still_identifies() {
        let payment = payment(&GUIDE.replace("2025-06-11T15:32:00+02:00", "2025-06-11 15:32:00"));
        assert_eq!(payment.created_at, Some(CreatedAt::Text("2025-06-11 15:32:00".into())));
    }

    /// The guide's payload with other JSON under a key, or with one more key.
    fn with(key: &str, value: &str) -> String {
        let key = format!("\"{key}\": ");
        match GUIDE.split_once(&key) {
            Some((front, rest)) => {
                let end = rest.find([',', '\n']).unwrap();
                format!("{front}{key}{value}{}", &rest[end..])
            }
            None => GUIDE.replacen('{', &format!("{{{key}{value},"), 1),
        }
    }

    #[test]
    fn what_identifies_is_never_guessed() {
        for key in ["documentNumber", "documentType", "guid", "id", "number", "createdAt"] {
            for value in ["[\"1\"]", "{\"a\":1}", "true", "\"\\ud800\"", "\"a\\u0007b\""] {
                // The project's own keys stand inside of it.
                check_refused(&with(key, value), Code::Malformed);
            }
            for value in ["null", "\"  \""] {
                assert!(matches!(event(&with(key, value)), Ok(Event::Payment(_))), "{key} {value}");
            }
        }
    }

    #[test]
    fn what_is_too_long_to_be_kept_is_refused_and_not_cut() {
        for key in ["documentNumber", "documentType", "guid"] {
            let fits = "1".repeat(MAX_TEXT);
            assert!(matches!(event(&with(key, &format!("\"{fits}\""))), Ok(Event::Payment(_))), "{key}");
            check_refused(&with(key, &format!("\"{fits}2\"")), Code::Malformed);
        }
    }

    #[test]
    fn a_time_is_a_time() {
        for text in ["yesterday", "2025-06-11", "20250611", "2025-13-11T15:32:00", "1749648720", "11.06.2025 15:32"] {
            check_refused(&with("createdAt", &format!("\"{text}\"")), Code::Malformed);
            let Err(bad) = event(&with("createdAt", &format!("\"{text}\""))) else { panic!("{text}") };
            assert!(bad.message.contains(text) && bad.message.contains("+02:00"), "{}", bad.message);
        }
        for text in ["2025-06-11T15:32:00", "2025-06-11 15:32"] {
            let payment = payment(&with("createdAt", &format!("\"{text}\"")));
            assert_eq!(payment.created_at, Some(CreatedAt::Text(text.to_owned())));
        }
    }

    #[test]
    fn a_byte_order_mark_says_nothing() {
        assert_eq!(event(&format!("\u{feff}{GUIDE}")), event(GUIDE));
    }
}
