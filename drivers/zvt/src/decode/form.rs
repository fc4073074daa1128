//! What does a value mean, if it has the form that its field asks for?

use tillswitch_core::{Currency, Money};

use super::Place;
use super::text::{bytes_are_text, holds_card_number, letters_tell_a_number, without_numbers};
use crate::apdu::ControlField;
use crate::bcd;
use crate::bmp::{self, Encoding};
use crate::charset::Charset;
use crate::clock::{Date, MonthDay, TimeOfDay};
use crate::slip::LineAttribute;
use crate::tables::bit_fields::{self, Meaning as Row};
use crate::tables::choices::{self, Choices};
use crate::tables::{card_types, intermediate_status, result_codes, terminal_status};
use crate::totals::BRANDS;

/// The form of a value that may be shown; what does not have it is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Nothing of it is shown.
    Hidden,
    /// Its last four digits are shown.
    CardNumber,
    Amount,
    /// Digits with leading zeros, at most so many bytes.
    Digits(usize),
    /// A big endian number, at most so many bytes.
    Number(usize),
    /// Bytes without a meaning that is known here, at most so many.
    Hex(usize),
    /// An EMV application id.
    ApplicationId,
    Time,
    Date,
    DateWithYear,
    LongDate,
    Result,
    ResultAs,
    IntermediateStatus,
    TerminalStatus,
    Currency,
    CardType,
    Minutes,
    Seconds,
    Bits(&'static [Row]),
    /// Bit fields of several bytes.
    BitRows(&'static [&'static [Row]]),
    Choice(Choices),
    LineAttribute,
    Command,
    CharacterSet,
    /// Columns and rows.
    Size,
    Totals,
    /// A short code in ASCII letters and digits, too short for a card number.
    Code,
    /// Text without the digits of a card number.
    Text,
    /// Text that may be UTF-8 whatever was agreed.
    VendorText,
    Version,
}

/// What is needed to read a value besides the value.
#[derive(Clone, Copy)]
pub(super) struct Context {
    pub control: ControlField,
    pub parent: Option<u32>,
    pub charset: Charset,
    pub currency: Option<u16>,
}

/// A further line about an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// Which bits it is about, `None` when it is not about bits.
    pub bits: Option<Bits>,
    /// What it says.
    pub text: String,
}

/// Bits of one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// Which ones.
    pub mask: u8,
    /// How they are set.
    pub value: u8,
}

impl Detail {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { bits: None, text: text.into() }
    }

    fn of_row(row: &Row, byte: u8) -> Self {
        let bits = Bits { mask: row.mask, value: byte & row.mask };
        Self { bits: Some(bits), text: row.english.to_owned() }
    }
}

/// What of a value leaves this module.
pub(super) struct Shown {
    pub raw: String,
    pub value: Option<String>,
    pub details: Vec<Detail>,
    pub masked: bool,
}

type Meaning = (String, Vec<Detail>);

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Only what the form lets through.
pub(super) fn masked(form: Form, bytes: &[u8], context: &Context) -> Shown {
    if bytes.is_empty() {
        return Shown { raw: String::new(), value: None, details: Vec::new(), masked: false };
    }
    match form {
        Form::Hidden => hidden(bytes),
        Form::CardNumber => card_number(bytes),
        Form::Code if is_code(bytes) => {
            Shown { raw: hex(bytes), value: Some(text(form, bytes, context)), details: Vec::new(), masked: false }
        }
        Form::Text | Form::VendorText | Form::Version => masked_text(form, bytes, context),
        _ => match meaning(form, bytes, context) {
            Some((value, details)) => Shown { raw: hex(bytes), value: Some(value), details, masked: false },
            None => hidden(bytes),
        },
    }
}

/// Everything, with the meaning where there is one.
pub(super) fn unmasked(form: Form, place: Place, bytes: &[u8], context: &Context) -> Shown {
    let meant = match form {
        Form::Hidden | Form::CardNumber => plain(place, bytes, context.charset).map(|value| (value, Vec::new())),
        Form::Code | Form::Text | Form::VendorText | Form::Version => Some((text(form, bytes, context), Vec::new())),
        _ => meaning(form, bytes, context),
    };
    let (value, details) = meant.map_or((None, Vec::new()), |(value, details)| (Some(value), details));
    Shown { raw: hex(bytes), value: value.filter(|value| !value.is_empty()), details, masked: false }
}

fn is_code(bytes: &[u8]) -> bool {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, 0 | b' ');
    bytes.len() <= 8 && bytes.iter().all(fits) && !bytes_are_digits(bytes)
}

/// Nibbles where letters belong.
fn bytes_are_digits(bytes: &[u8]) -> bool {
    holds_card_number(bytes) && !bytes.iter().all(|byte| byte.is_ascii_digit() || *byte == 0)
}

fn hidden(bytes: &[u8]) -> Shown {
    Shown { raw: "*".repeat(2 * bytes.len()), value: None, details: Vec::new(), masked: true }
}

fn card_number(bytes: &[u8]) -> Shown {
    let Some(last4) = bcd::last4(bytes) else { return hidden(bytes) };
    let length = bcd::card_number(bytes).chars().count();
    let value = format!("{}{last4}", "*".repeat(length - 4));
    let filler = 2 * bytes.len() - length;
    let raw = format!("{value}{}", "*".repeat(filler));
    Shown { raw, value: Some(value), details: Vec::new(), masked: true }
}

fn masked_text(form: Form, bytes: &[u8], context: &Context) -> Shown {
    let (value, has_hidden) = without_numbers(&text(form, bytes, context));
    let shows_bytes = !has_hidden && bytes_are_text(bytes, context.charset);
    let raw = if shows_bytes { hex(bytes) } else { "*".repeat(2 * bytes.len()) };
    // Whoever has the letters has the bytes again, and with them the digits.
    let tells_number = !shows_bytes && letters_tell_a_number(bytes, context.charset);
    let value = if tells_number { format!("‹text,{}›", bytes.len()) } else { value };
    Shown { raw, value: Some(value).filter(|value| !value.is_empty()), details: Vec::new(), masked: !shows_bytes }
}

fn text(form: Form, bytes: &[u8], context: &Context) -> String {
    let is_utf8 = form == Form::VendorText && std::str::from_utf8(bytes).is_ok();
    let charset = match form {
        Form::Version => Charset::Zvt7Bit,
        _ if is_utf8 => Charset::Utf8,
        _ => context.charset,
    };
    charset.decode(bytes).trim_end().to_owned()
}

/// A value without a form, by the encoding of its field.
fn plain(place: Place, bytes: &[u8], charset: Charset) -> Option<String> {
    let encoding = match place {
        Place::Bmp(tag) => bmp::lookup(tag).map(|row| row.encoding),
        Place::Position | Place::Tlv(_) | Place::Undecoded => None,
    };
    match encoding {
        Some(Encoding::CardDigits) => Some(card_digits(bytes)),
        Some(Encoding::Bcd) => bcd::to_digits(bytes),
        Some(Encoding::Text) => Some(charset.decode(bytes).trim_end().to_owned()),
        _ if bytes_are_text(bytes, charset) => Some(charset.decode(bytes).trim_end().to_owned()),
        _ => None,
    }
}

/// All of a card number or track; `*` for what the terminal has masked, `=` for the separator.
fn card_digits(bytes: &[u8]) -> String {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
    let shown = nibbles.filter(|nibble| *nibble != 0xF).map(|nibble| match nibble {
        digit @ 0..=9 => char::from(b'0' + digit),
        0xD => '=',
        _ => '*',
    });
    shown.collect()
}

fn meaning(form: Form, bytes: &[u8], context: &Context) -> Option<Meaning> {
    let plain = |value: String| Some((value, Vec::new()));
    match form {
        Form::Amount => plain(amount(bcd::to_number(bytes).filter(|_| bytes.len() <= 6)?, context.currency)),
        Form::Digits(most) => digits(bytes, most).and_then(plain),
        Form::Number(most) if bytes.len() <= most => plain(number(bytes).to_string()),
        Form::Hex(most) if bytes.len() <= most => plain(String::new()),
        Form::ApplicationId if is_application_id(bytes) => plain(String::new()),
        Form::Time => TimeOfDay::from_bcd(bytes).map(time).and_then(plain),
        Form::Date => {
            MonthDay::from_bcd(bytes).map(|date| format!("{:02}-{:02}", date.month, date.day)).and_then(plain)
        }
        Form::DateWithYear => Date::from_bcd(bytes).map(long_date).and_then(plain),
        Form::LongDate => Date::from_long_bcd(bytes).map(long_date).and_then(plain),
        Form::Currency => plain(currency(bmp::to_currency(two(bytes)?)?)),
        Form::CardType => plain(card_type(bytes)?),
        Form::Command => plain(command(bytes)?),
        Form::Size => plain(size(bytes)?),
        Form::Totals => totals(bytes, context.currency),
        Form::BitRows(tables) => bit_rows(tables, bytes),
        _ => one_byte(form, one(bytes)?),
    }
}

fn one_byte(form: Form, byte: u8) -> Option<Meaning> {
    let plain = |value: String| Some((value, Vec::new()));
    match form {
        Form::Result => plain(result_codes::wording(byte).english.to_owned()),
        Form::ResultAs => plain(format!("the host's code {byte}")),
        Form::IntermediateStatus => plain(status_wording(byte)),
        Form::TerminalStatus => {
            plain(terminal_status::wording(byte).map_or("not in the standard", |wording| wording.english).to_owned())
        }
        Form::Minutes => plain(bcd::to_number(&[byte]).map(|minutes| counted(minutes, "minute"))?),
        Form::Seconds if byte == 0 => plain("endless".to_owned()),
        Form::Seconds => plain(counted(byte.into(), "second")),
        Form::Bits(table) => Some(bits_or_value(table, byte)),
        Form::Choice(choices) => plain(choices::meaning(choices, byte).unwrap_or("not in the standard").to_owned()),
        Form::LineAttribute => Some(line_attribute(byte)),
        Form::CharacterSet => plain(character_set(byte)),
        _ => None,
    }
}

fn amount(minor: u64, currency: Option<u16>) -> String {
    match currency.map(Currency::from_numeric) {
        Some(Some(known)) => format!("{} {}", Money::from_minor(minor, known).decimal(), known.code()),
        // Two decimals are a guess without a currency, and right for all but a few.
        _ => format!("{}.{:02}", minor / 100, minor % 100),
    }
}

fn digits(bytes: &[u8], most: usize) -> Option<String> {
    match bytes {
        [0xFF, 0xFF] => Some("none".to_owned()),
        _ => bcd::to_digits(bytes).filter(|_| bytes.len() <= most),
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// Registered ids begin with A or D; a card number never does.
fn is_application_id(bytes: &[u8]) -> bool {
    (5..=16).contains(&bytes.len()) && bytes[0] >= 0xA0 && !holds_card_number(&bytes[1..])
}

fn time(time: TimeOfDay) -> String {
    format!("{:02}:{:02}:{:02}", time.hour, time.minute, time.second)
}

fn long_date(date: Date) -> String {
    format!("{}-{:02}-{:02}", date.year, date.month, date.day)
}

fn currency(numeric: u16) -> String {
    Currency::from_numeric(numeric).map_or_else(|| format!("currency {numeric:03}"), |known| known.code().to_owned())
}

fn card_type(bytes: &[u8]) -> Option<String> {
    let id = match *bytes {
        [0xFF] => return Some("see tag 41".to_owned()),
        [id] => id.into(),
        [high, low] => u16::from_be_bytes([high, low]),
        _ => return None,
    };
    Some(card_types::name(id).map_or_else(|| format!("type {id}"), |name| format!("{name} (type {id})")))
}

fn command(bytes: &[u8]) -> Option<String> {
    Some(super::names::command(two(bytes)?.try_into().ok()?).to_owned())
}

fn size(bytes: &[u8]) -> Option<String> {
    let [columns, rows] = two(bytes)? else { return None };
    Some(format!("{} columns, {} rows", bcd::to_number(&[*columns])?, bcd::to_number(&[*rows])?))
}

fn status_wording(code: u8) -> String {
    match intermediate_status::wording(code) {
        Some(wording) => wording.english.to_owned(),
        None if code == 0xFF => "only the text counts".to_owned(),
        None => "not in the standard".to_owned(),
    }
}

fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A table of whole values gives a value, one of bits a line for each that is set.
fn bits_or_value(table: &'static [Row], byte: u8) -> Meaning {
    let whole = table.iter().find(|row| row.mask == 0xFF && row.value == byte);
    match whole {
        Some(row) => (row.english.to_owned(), Vec::new()),
        None if table.iter().all(|row| row.mask == 0xFF) => ("not in the standard".to_owned(), Vec::new()),
        None => (if byte == 0 { "none set".to_owned() } else { String::new() }, bits(table, byte)),
    }
}

fn bits(table: &'static [Row], byte: u8) -> Vec<Detail> {
    let set = |row: &&Row| row.mask != 0 && row.mask != 0xFF && byte & row.mask == row.value;
    let mut details: Vec<Detail> = table.iter().filter(set).map(|row| Detail::of_row(row, byte)).collect();
    // A row without bits holds for what no other row knows.
    if details.is_empty() {
        details.extend(table.iter().filter(|row| row.mask == 0).map(|row| Detail::new(row.english)));
    }
    details
}

fn bit_rows(tables: &'static [&'static [Row]], bytes: &[u8]) -> Option<Meaning> {
    let details = tables.iter().zip(bytes).flat_map(|(table, byte)| bits(table, *byte)).collect();
    (bytes.len() <= 2).then_some((String::new(), details))
}

fn line_attribute(byte: u8) -> Meaning {
    let attribute = LineAttribute(byte);
    if attribute == LineAttribute::LINE_FEED {
        return ("line feed".to_owned(), Vec::new());
    }
    let indent = attribute.indent();
    let value = if byte == 0 {
        "plain".to_owned()
    } else if indent == 0 {
        String::new()
    } else {
        format!("indented by {indent}")
    };
    let details = bits(bit_fields::LINE_ATTRIBUTE, byte)
        .into_iter()
        .filter(|detail| detail.bits.is_some_and(|bits| bits.value != 0));
    (value, details.collect())
}

fn character_set(byte: u8) -> String {
    match byte {
        0x00 => "ASCII".to_owned(),
        0x01..=0x10 => format!("ISO-8859-{byte}"),
        0xFE => "UTF-8".to_owned(),
        0xFF => "CP437".to_owned(),
        _ => "not in the standard".to_owned(),
    }
}

/// First and last receipt, then a count and a sum for each kind of card.
fn totals(bytes: &[u8], currency: Option<u16>) -> Option<Meaning> {
    let (receipts, sums) = bytes.split_at_checked(4)?;
    let value = format!("receipts {} to {}", bcd::to_digits(&receipts[..2])?, bcd::to_digits(&receipts[2..])?);
    let rows = sums.chunks_exact(7).zip(BRANDS).map(|(row, name)| {
        let sum = amount(bcd::to_number(&row[1..])?, currency);
        Some(Detail::new(format!("{name}: {} for {sum}", row[0])))
    });
    let rows: Option<Vec<Detail>> = rows.collect();
    (sums.len() == 7 * BRANDS.len()).then_some((value, rows?))
}

fn one(bytes: &[u8]) -> Option<u8> {
    match bytes {
        [byte] => Some(*byte),
        _ => None,
    }
}

fn two(bytes: &[u8]) -> Option<&[u8]> {
    (bytes.len() == 2).then_some(bytes)
}
