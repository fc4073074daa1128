//! Is nothing read from a result or a completion that does not stand in it?

use tillswitch_zvt::apdu::{Apdu, control};
use tillswitch_zvt::bmp::{BmpError, tag};
use tillswitch_zvt::charset::Charset;
use tillswitch_zvt::fields::Fields;
use tillswitch_zvt::reply::{Completion, Reply};

const CHARSETS: [Charset; 7] = [
    Charset::Cp437,
    Charset::Utf8,
    Charset::Ascii,
    Charset::Iso8859_1,
    Charset::Iso8859_2,
    Charset::Iso8859_15,
    Charset::Zvt7Bit,
];

/// Input: the character set (one byte), the data block of 04 0F, or of the 06 0F to any command.
pub fn check(input: &[u8]) {
    let Some((choice, data)) = input.split_first() else { return };
    let charset = CHARSETS[usize::from(*choice) % CHARSETS.len()];
    let fields = Fields::parse(data);
    check_writing(data, &fields);
    check_numbers(data, &fields).expect("what was read fits where it was read from");
    check_order(&fields, charset);
    check_ambiguity(&fields);
    check_texts(&fields, charset);
    if let Reply::Completion(completion) = Reply::parse(&Apdu::new(control::COMPLETION, data.to_vec()), charset) {
        check_completion(data, &completion);
    }
}

fn check_writing(data: &[u8], fields: &Fields) {
    let written = fields.encode();
    assert!(written.len() <= data.len(), "bytes were invented");
    assert!(data.ends_with(fields.undecoded()), "the rest is not the end");
    assert!(Fields::parse(&written) == *fields, "fields are read as they were written");
    let half = Fields::parse(&data[..data.len() / 2]);
    assert!(fields.all().starts_with(half.all()), "the rest of a block changed its beginning");
}

/// Writes each number that was read, and finds it in the bytes.
fn check_numbers(data: &[u8], fields: &Fields) -> Result<(), BmpError> {
    let stands = |written: Fields| {
        let bytes = written.encode();
        assert!(data.windows(bytes.len()).any(|window| window == bytes), "{written:?} does not stand in the bytes");
    };
    let new = Fields::new;
    fields.result_code().map(|code| new().with_result_code(code)).transpose()?.map(stands);
    fields.amount_minor().map(|minor| new().with_amount(minor)).transpose()?.map(stands);
    fields.currency().map(|number| new().with_currency(number)).transpose()?.map(stands);
    fields.receipt_number().map(|digits| new().with_receipt_number(&digits)).transpose()?.map(stands);
    fields.terminal_id().map(|digits| new().with_terminal_id(&digits)).transpose()?.map(stands);
    fields.original_trace_number().map(|digits| new().with_original_trace_number(&digits)).transpose()?.map(stands);
    fields.turnover_number().map(|digits| new().with_turnover_number(&digits)).transpose()?.map(stands);
    if let (None, Some(digits)) = (fields.tlv(), fields.trace_number()) {
        stands(new().with_trace_number(&digits)?);
    }
    Ok(())
}

/// The order of the fields is free.
fn check_order(fields: &Fields, charset: Charset) {
    let turned = fields.all().iter().rev().fold(Fields::new(), |turned, field| {
        turned.with(field.tag, &field.value).expect("a value that was read has the form of its field")
    });
    assert!(meaning(&turned, charset) == meaning(fields, charset), "the order of the fields counts");
}

/// Everything that a payment's outcome is made of.
fn meaning(fields: &Fields, charset: Charset) -> impl PartialEq + use<> {
    let numbers = (fields.result_code(), fields.amount_minor(), fields.currency(), fields.card_type());
    let ids = (fields.receipt_number(), fields.trace_number(), fields.terminal_id(), fields.last4());
    let clock = (fields.date(), fields.time(), fields.date_with_year());
    (numbers, ids, clock, fields.card_scheme(charset), fields.message(charset), fields.authorization_code())
}

/// A second, different result takes the first one's meaning; the same one again changes nothing.
fn check_ambiguity(fields: &Fields) {
    let Some(code) = fields.result_code() else { return };
    let with = |code| fields.clone().with_result_code(code).expect("a result code is one byte");
    assert_eq!(with(code).result_code(), Some(code));
    assert_eq!(with(!code).result_code(), None, "one of two results was taken");
    assert!(fields.get(tag::RESULT_CODE).is_some());
}

/// No text steers a screen, and the last four digits are four.
fn check_texts(fields: &Fields, charset: Charset) {
    let texts = [fields.card_scheme(charset), fields.message(charset), fields.contract_number()];
    for text in texts.into_iter().flatten() {
        assert!(!text.is_empty() && !text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    }
    if let Some(digits) = fields.last4() {
        assert!(digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()));
    }
}

/// The version comes first, with its length; the status follows; the container is the rest.
fn check_completion(data: &[u8], completion: &Completion) {
    let read = completion.status_enquiry();
    let version = match read.software_version {
        Some(_) => 3 + data[..3].iter().fold(0, |length, digit| length * 10 + usize::from(digit & 0x0F)),
        None => 0,
    };
    assert_eq!(read.terminal_status, data.get(version).copied(), "the status is not the byte behind the version");
    let fields = Fields::parse(data.get(version + 1..).unwrap_or_default());
    assert!(read.tlv == fields.tlv(), "the container is not the one behind the status");
    let registration = completion.registration();
    assert!(registration.terminal_id == Fields::parse(data).terminal_id());
    assert!(registration.charset.is_none() || registration.tlv.is_some());
}
