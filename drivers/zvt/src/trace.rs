//! What of a message may be read in a log.
//!
//! A message is decoded first and then printed by an allow-list: command, lengths, amount, currency, result, clock,
//! receipt and trace number, types, the last four digits of the terminal id, the vendor's error code. Everything
//! else appears as `‹tag,length›`: passwords, card numbers, tracks, texts and slips cannot reach a log, because
//! no code here prints them. What cannot be decoded appears as its length and its first two bytes.

use crate::apdu::{Apdu, ControlField, control};
use crate::bcd;
use crate::bmp::{self, Field, tag};
use crate::clock::{Date, MonthDay, TimeOfDay};
use crate::fields::Fields;
use crate::registration::Registration;
use crate::reply::Completion;
use crate::tables::{commands, intermediate_status, result_codes, terminal_status};
use crate::tlv::{self, Content, Object, Tlv};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The ECR, to the terminal.
    Ecr,
    /// The PT, to us.
    Pt,
}

/// One line about a message.
///
/// ```
/// use tillswitch_zvt::command::{Command, Password};
/// use tillswitch_zvt::trace::{self, Direction};
///
/// let refund = Command::refund(Password::new("123456")?, 1250, Some(978))?.encode();
/// let line = trace::line(Direction::Ecr, &refund);
/// assert_eq!(line, "ECR> 06 31 refund, 13 bytes: ‹password,3› amount 1250 currency 978");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn line(direction: Direction, apdu: &Apdu) -> String {
    let [class, instruction] = apdu.control();
    let name = name(apdu.control());
    let head = format!("{} {class:02X} {instruction:02X} {name}, {} bytes", prefix(direction), apdu.data.len());
    let words = describe(apdu);
    if words.is_empty() { head } else { format!("{head}: {}", words.join(" ")) }
}

/// One line about bytes that are not a message: their number and the first two of them.
pub fn undecodable(direction: Direction, bytes: &[u8]) -> String {
    let start: Vec<String> = bytes.iter().take(2).map(|byte| format!("{byte:02X}")).collect();
    format!("{} undecodable, {} bytes, starts {}", prefix(direction), bytes.len(), start.join(" "))
}

fn prefix(direction: Direction) -> &'static str {
    match direction {
        Direction::Ecr => "ECR>",
        Direction::Pt => "PT>",
    }
}

fn name(control: ControlField) -> &'static str {
    match control {
        control::POSITIVE | [control::NEGATIVE_CLASS, 0] => "positive",
        [control::NEGATIVE_CLASS, _] => "negative",
        _ => commands::lookup(control).map_or("unknown command", |row| row.name),
    }
}

fn describe(apdu: &Apdu) -> Vec<String> {
    let data = apdu.data.as_slice();
    match apdu.control() {
        control::REGISTRATION => registration(data),
        control::STATUS_ENQUIRY
        | control::REPEAT_RECEIPT
        | control::REVERSAL
        | control::REFUND
        | control::END_OF_DAY
        | control::INITIALISATION => after_password(data),
        control::AUTHORIZATION
        | control::DIAGNOSIS
        | control::STATUS_INFORMATION
        | control::SET_CLOCK
        | control::PRINT_BLOCK
        | control::DISPLAY_TEXT => fields(&Fields::parse(data)),
        control::INTERMEDIATE_STATUS => intermediate_status(data),
        control::ABORT => abort(data),
        control::COMPLETION => completion(data),
        [control::NEGATIVE_CLASS, code] if code != 0 => {
            [vec![format!("({})", result_codes::wording(code).english)], masked_data(data)].concat()
        }
        // Positive answers, printed lines, and whatever has a layout that is not known here.
        _ => masked_data(data),
    }
}

fn masked_data(data: &[u8]) -> Vec<String> {
    if data.is_empty() { Vec::new() } else { vec![masked("data", data.len())] }
}

fn masked(what: &str, length: usize) -> String {
    format!("‹{what},{length}›")
}

fn registration(data: &[u8]) -> Vec<String> {
    let Ok(read) = Registration::parse(data) else {
        return masked_data(data);
    };
    let mut words = vec![masked("password", 3), masked("config", 1)];
    words.extend(read.currency.and_then(currency));
    words.extend(fields(&read.fields));
    words
}

fn after_password(data: &[u8]) -> Vec<String> {
    if data.len() < 3 {
        return masked_data(data);
    }
    let (password, rest) = data.split_at(3);
    [vec![masked("password", password.len())], fields(&Fields::parse(rest))].concat()
}

fn intermediate_status(data: &[u8]) -> Vec<String> {
    let Some((code, rest)) = data.split_first() else {
        return Vec::new();
    };
    let wording = intermediate_status::wording(*code).map_or("", |wording| wording.english);
    let mut words = vec![format!("status {code:02X} ({wording})")];
    if let Some((_, rest)) = rest.split_first() {
        words.push(masked("timeout", 1));
        words.extend(fields(&Fields::parse(rest)));
    }
    words
}

fn abort(data: &[u8]) -> Vec<String> {
    match data.split_first() {
        Some((code, rest)) => [vec![result(*code)], fields(&Fields::parse(rest))].concat(),
        None => Vec::new(),
    }
}

fn completion(data: &[u8]) -> Vec<String> {
    let read = Completion::new(data);
    if !read.is_of_status_enquiry() {
        return fields(&read.fields());
    }
    let read = read.status_enquiry();
    let version = read.software_version.map(|version| masked("version", version.chars().count()));
    let mut words: Vec<String> = version.into_iter().collect();
    words.extend(read.terminal_status.map(|status| {
        let wording = terminal_status::wording(status).map_or("unknown", |wording| wording.english);
        format!("status {status:02X} ({wording})")
    }));
    words.extend(read.tlv.map(|tlv| container(&tlv)));
    words
}

/// When a block cannot be read to its end, its fields may not be where they seem to be, and digits that look like an
/// amount may be part of a card number. Then no value longer than one byte is printed.
fn fields(fields: &Fields) -> Vec<String> {
    let is_sound = fields.undecoded().is_empty();
    let shown = |read: &Field| if is_sound || read.value.len() == 1 { field(read) } else { masked_field(read) };
    let mut words: Vec<String> = fields.all().iter().map(shown).collect();
    if !fields.undecoded().is_empty() {
        words.push(masked("undecoded", fields.undecoded().len()));
    }
    words
}

fn field(field: &Field) -> String {
    if field.tag == tag::TLV {
        return container(&Tlv::parse(&field.value));
    }
    allowed(field).unwrap_or_else(|| masked_field(field))
}

fn masked_field(field: &Field) -> String {
    masked(&format!("{:02X}", field.tag), field.value.len())
}

/// The allow-list. A value that does not have the form of its field is not printed either.
fn allowed(field: &Field) -> Option<String> {
    let value = &*field.value;
    match field.tag {
        tag::AMOUNT => amount(value),
        tag::TRACE_NUMBER => bcd::to_digits(value).map(|digits| format!("trace {digits}")),
        tag::TIME => TimeOfDay::from_bcd(value).map(time),
        tag::DATE => MonthDay::from_bcd(value).map(|date| format!("date {:02}-{:02}", date.month, date.day)),
        tag::DATE_WITH_YEAR => Date::from_bcd(value).map(long_date),
        tag::RESULT_CODE => value.first().map(|code| result(*code)),
        tag::TERMINAL_ID => bcd::to_digits(value).map(|digits| format!("terminal ..{}", &digits[digits.len() - 4..])),
        tag::CURRENCY => bmp::to_currency(value).and_then(currency),
        tag::RECEIPT_NUMBER => bcd::to_digits(value).map(|digits| format!("receipt {digits}")),
        tag::TYPE => value.first().map(|value| format!("type {value:02X}")),
        tag::CARD_TYPE => value.first().map(|value| format!("card type {value}")),
        _ => None,
    }
}

/// Nobody pays ten million at a counter; so many digits are something else.
fn amount(value: &[u8]) -> Option<String> {
    bcd::to_number(value).filter(|minor| *minor < 1_000_000_000).map(|minor| format!("amount {minor}"))
}

fn currency(number: u16) -> Option<String> {
    (number < 1000).then(|| format!("currency {number:03}"))
}

fn time(time: TimeOfDay) -> String {
    format!("time {:02}:{:02}:{:02}", time.hour, time.minute, time.second)
}

fn long_date(date: Date) -> String {
    format!("date {}-{:02}-{:02}", date.year, date.month, date.day)
}

fn result(code: u8) -> String {
    format!("result {code:02X} ({})", result_codes::wording(code).english)
}

fn container(tlv: &Tlv) -> String {
    let mut words: Vec<String> = tlv.objects().iter().map(object).collect();
    if !tlv.undecoded().is_empty() {
        words.push(masked("undecoded", tlv.undecoded().len()));
    }
    format!("{{{}}}", words.join(" "))
}

fn object(object: &Object) -> String {
    match &object.content {
        // A slip has dozens of lines, and none of them may be printed.
        Content::Objects(_) if object.tag == tlv::tag::PRINT_TEXTS => masked("25", object.length()),
        Content::Objects(tlv) => format!("{:02X}{}", object.tag, container(tlv)),
        // The vendor's error code is short; what is long is not one.
        Content::Bytes(bytes) if object.tag == tlv::tag::EXTENDED_ERROR_CODE && bytes.len() <= 2 => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            format!("error {hex}")
        }
        Content::Bytes(bytes) => masked(&format!("{:02X}", object.tag), bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readable_lines() {
        fn check(direction: Direction, bytes: &[u8], expected: &str) {
            assert_eq!(line(direction, &Apdu::decode(bytes).expect("a whole message")), expected);
        }
        check(Direction::Ecr, &[0x80, 0, 0], "ECR> 80 00 positive, 0 bytes");
        check(Direction::Pt, &[0x84, 0x9C, 0], "PT> 84 9C negative, 0 bytes: (busy, please wait)");
        check(
            Direction::Ecr,
            &[0x06, 0x00, 0x0A, 0x12, 0x34, 0x56, 0xBE, 0x09, 0x78, 0x03, 0x01, 0x06, 0x00],
            "ECR> 06 00 registration, 10 bytes: ‹password,3› ‹config,1› currency 978 ‹03,1› {}",
        );
        check(
            Direction::Pt,
            &[0x06, 0x1E, 0x01, 0x6C],
            "PT> 06 1E abort, 1 bytes: result 6C (stopped by a timeout or the stop key)",
        );
        check(Direction::Pt, &[0x06, 0x0F, 0x01, 0x00], "PT> 06 0F completion, 1 bytes: status 00 (ready)");
        check(
            Direction::Pt,
            &[0x06, 0x0F, 0x05, 0x19, 0x00, 0x49, 0x09, 0x78],
            "PT> 06 0F completion, 5 bytes: type 00 currency 978",
        );
        check(
            Direction::Pt,
            &[0x04, 0x0F, 0x08, 0x27, 0x05, 0x87, 0x04, 0x70, 0xC3, 0x41, 0x42],
            "PT> 04 0F status information, 8 bytes: result 05 (refused by the bank) ‹87,2› ‹undecoded,3›",
        );
        check(Direction::Pt, &[0x0F, 0xA1, 0x02, 0x12, 0x34], "PT> 0F A1 device functions (Feig), 2 bytes: ‹data,2›");
    }

    #[test]
    fn undecodable_bytes() {
        assert_eq!(undecodable(Direction::Pt, b"HTTP/1.1"), "PT> undecodable, 8 bytes, starts 48 54");
        assert_eq!(undecodable(Direction::Pt, b""), "PT> undecodable, 0 bytes, starts ");
    }
}
