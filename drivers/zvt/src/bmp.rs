//! How one bitmap field is told from the next: tags, lengths and their bytes.

use std::fmt;

use crate::bcd;
use crate::tables::bmps::BMPS;
use crate::tlv;
use crate::value::Value;

/// One row of the table of bitmap tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bmp {
    /// The tag byte.
    pub tag: u8,
    /// How its length is known.
    pub length: Length,
    /// How its value is written.
    pub encoding: Encoding,
    /// Its name.
    pub name: &'static str,
}

/// How the length of a field is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Always this many bytes.
    Fixed(usize),
    /// Two bytes Fx Fy in front: decimal digits in the low nibbles, counting bytes.
    Llvar,
    /// Three bytes Fx Fy Fz in front.
    Lllvar,
    /// A length by the TLV rules in front.
    Tlv,
}

/// How the value of a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Two digits to a byte.
    Bcd,
    /// Nibbles of a card number or track, with masks.
    CardDigits,
    /// A number or opaque data.
    Binary,
    /// Single bits with a meaning of their own.
    BitField,
    /// Characters.
    Text,
    /// Tagged objects, see [`crate::tlv`].
    Objects,
}

/// The tags that the code names.
pub mod tag {
    /// Seconds the PT waits for the answer to 04 0F (BMP 01).
    pub const TIMEOUT: u8 = 0x01;
    /// How often the ECR may ask for the result again (BMP 02).
    pub const MAXIMUM_REPEATS: u8 = 0x02;
    /// Service byte (BMP 03).
    pub const SERVICE_BYTE: u8 = 0x03;
    /// Amount in minor units (BMP 04).
    pub const AMOUNT: u8 = 0x04;
    /// Pump number (BMP 05).
    pub const PUMP_NUMBER: u8 = 0x05;
    /// TLV container (BMP 06).
    pub const TLV: u8 = 0x06;
    /// Trace number (BMP 0B).
    pub const TRACE_NUMBER: u8 = 0x0B;
    /// Time (BMP 0C).
    pub const TIME: u8 = 0x0C;
    /// Date without a year (BMP 0D).
    pub const DATE: u8 = 0x0D;
    /// Expiry date of the card (BMP 0E).
    pub const EXPIRY_DATE: u8 = 0x0E;
    /// Card sequence number (BMP 17).
    pub const CARD_SEQUENCE: u8 = 0x17;
    /// Payment type, status byte or card type (BMP 19): the command decides which.
    pub const TYPE: u8 = 0x19;
    /// Card number (BMP 22).
    pub const CARD_NUMBER: u8 = 0x22;
    /// Track 2 (BMP 23).
    pub const TRACK_2: u8 = 0x23;
    /// Result code (BMP 27).
    pub const RESULT_CODE: u8 = 0x27;
    /// Terminal id (BMP 29).
    pub const TERMINAL_ID: u8 = 0x29;
    /// Contract number (BMP 2A).
    pub const CONTRACT_NUMBER: u8 = 0x2A;
    /// Trace number of the payment that was reversed (BMP 37).
    pub const ORIGINAL_TRACE: u8 = 0x37;
    /// Authorisation attribute (BMP 3B).
    pub const AUTHORIZATION_CODE: u8 = 0x3B;
    /// Additional text (BMP 3C).
    pub const ADDITIONAL_TEXT: u8 = 0x3C;
    /// Currency, ISO 4217 numeric (BMP 49).
    pub const CURRENCY: u8 = 0x49;
    /// Goods groups that the card must not pay (BMP 4C).
    pub const BLOCKED_GOODS: u8 = 0x4C;
    /// Individual totals (BMP 60).
    pub const TOTALS: u8 = 0x60;
    /// Receipt number (BMP 87).
    pub const RECEIPT_NUMBER: u8 = 0x87;
    /// Turnover number (BMP 88).
    pub const TURNOVER_NUMBER: u8 = 0x88;
    /// ZVT card type (BMP 8A); FF: look in tag 41.
    pub const CARD_TYPE: u8 = 0x8A;
    /// Card name (BMP 8B).
    pub const CARD_NAME: u8 = 0x8B;
    /// Card type of the network operator (BMP 8C); FF: look in tag 49.
    pub const OPERATOR_CARD_TYPE: u8 = 0x8C;
    /// The host's own result (BMP A0), beside BMP 27.
    pub const HOST_RESULT: u8 = 0xA0;
    /// Date with its year (BMP AA).
    pub const DATE_WITH_YEAR: u8 = 0xAA;
    /// How many seconds a text is displayed (BMP F0); 00 is endless.
    pub const DISPLAY_DURATION: u8 = 0xF0;
    /// The first of the eight display lines (BMP F1 to F8).
    pub const DISPLAY_LINE_1: u8 = 0xF1;
    /// The last of the eight display lines.
    pub const DISPLAY_LINE_8: u8 = 0xF8;
}

/// The rows by their tags: a message is read without a search for every field.
static ROWS: [Option<&Bmp>; 256] = {
    let mut rows = [None; 256];
    let mut place = 0;
    while place < BMPS.len() {
        rows[BMPS[place].tag as usize] = Some(&BMPS[place]);
        place += 1;
    }
    rows
};

/// The row of a tag, `None` when the tag is unknown and so its length.
pub fn lookup(tag: u8) -> Option<&'static Bmp> {
    ROWS[usize::from(tag)]
}

/// Why a value cannot be put into a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BmpError {
    /// The field's tag.
    pub tag: u8,
}

/// One field: a tag and its value without tag and length.
///
/// `Debug` shows tag and length only, because the value may be card data.
#[derive(Clone, PartialEq, Eq)]
pub struct Field {
    /// The tag byte.
    pub tag: u8,
    /// The value.
    pub value: Value,
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}: {} bytes", self.tag, self.value.len())
    }
}

impl fmt::Display for BmpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = lookup(self.tag).map_or("unknown", |bmp| bmp.name);
        write!(f, "the value does not fit into BMP {:02X} ({name})", self.tag)
    }
}

impl std::error::Error for BmpError {}

/// A currency as ISO 4217 number from BCD with a leading zero.
pub(crate) fn to_currency(bytes: &[u8]) -> Option<u16> {
    u16::try_from(bcd::to_number(bytes)?).ok()
}

/// A currency as BCD with a leading zero.
pub(crate) fn from_currency(numeric: u16) -> Result<[u8; 2], BmpError> {
    bcd::from_number::<2>(numeric.into()).ok_or(BmpError { tag: tag::CURRENCY })
}

/// Reads the length in front of an LLVAR or LLLVAR value.
///
/// The high nibbles should be F. They are not checked: Feig terminals differ, and the digits alone decide.
pub(crate) fn read_decimal_length(bytes: &[u8], digits: usize) -> Option<usize> {
    bytes.get(..digits)?.iter().try_fold(0, |length, byte| {
        let digit = usize::from(byte & 0x0F);
        (digit <= 9).then_some(length * 10 + digit)
    })
}

/// The length in front of an LLVAR or LLLVAR value.
pub(crate) fn encode_decimal_length(length: usize, digits: u32) -> impl Iterator<Item = u8> {
    (0..digits).rev().map(move |place| 0xF0 | (length / 10_usize.pow(place) % 10) as u8)
}

/// Reads the first field; the field and the bytes behind it.
pub(crate) fn read_field(bytes: &[u8]) -> Option<(Field, &[u8])> {
    let (tag, value, rest) = read_value(bytes)?;
    Some((Field { tag, value: value.into() }, rest))
}

/// The value of a field as [`crate::fields::Fields::get`] answers it, without a copy. For what is long: slips.
pub(crate) fn find_value(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let fields = std::iter::successors(read_value(bytes), |(_, _, rest)| read_value(rest));
    let mut values = fields.filter(|(found, ..)| *found == tag).map(|(_, value, _)| value);
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}

/// The tag of the first field, its value and the bytes behind it.
fn read_value(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (length, header) = match lookup(tag)?.length {
        Length::Fixed(length) => (length, 0),
        Length::Llvar => (read_decimal_length(rest, 2)?, 2),
        Length::Lllvar => (read_decimal_length(rest, 3)?, 3),
        Length::Tlv => tlv::read_length(rest)?,
    };
    let (value, rest) = rest.get(header..)?.split_at_checked(length)?;
    Some((tag, value, rest))
}

/// Appends a field: its tag, its length where it has one, its value.
pub(crate) fn write_field(bytes: &mut Vec<u8>, field: &Field) {
    bytes.push(field.tag);
    match lookup(field.tag).map(|bmp| bmp.length) {
        Some(Length::Llvar) => bytes.extend(encode_decimal_length(field.value.len(), 2)),
        Some(Length::Lllvar) => bytes.extend(encode_decimal_length(field.value.len(), 3)),
        Some(Length::Tlv) => tlv::write_length(bytes, field.value.len()),
        Some(Length::Fixed(_)) | None => {}
    }
    bytes.extend_from_slice(&field.value);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected` is the tag, the length of the value and how many bytes are left.
    fn check(bytes: &[u8], expected: Option<(u8, usize, usize)>) {
        let read = read_field(bytes);
        assert_eq!(read.as_ref().map(|(field, rest)| (field.tag, field.value.len(), rest.len())), expected);
        if let Some((field, rest)) = read {
            let mut again = Vec::new();
            write_field(&mut again, &field);
            assert_eq!([&again, rest].concat(), bytes);
        }
    }

    #[test]
    fn lengths() {
        check(&[0x27, 0x00, 0x04], Some((0x27, 1, 1)));
        check(&[0x49, 0x09, 0x78], Some((0x49, 2, 0)));
        check(&[0x22, 0xF0, 0xF0], Some((0x22, 0, 0)));
        check(&[0x8B, 0xF0, 0xF1, 0x00, 0x06], Some((0x8B, 1, 1)));
        check(&[0x3C, 0xF0, 0xF0, 0xF2, 0x41, 0x42], Some((0x3C, 2, 0)));
        check(&[0x06, 0x00], Some((0x06, 0, 0)));
        check(&[0x06, 0x02, 0x24, 0x00], Some((0x06, 2, 0)));
    }

    #[test]
    fn what_cannot_be_read() {
        check(&[], None);
        check(&[0x27], None);
        check(&[0x04, 0x00], None);
        check(&[0x22, 0xF0], None);
        check(&[0x22, 0xF0, 0xFA], None);
        check(&[0x60, 0xF0, 0xF5, 0xF3, 0x00], None);
        check(&[0x06, 0x82, 0xFF], None);
        check(&[0x07, 0x00], None);
    }

    #[test]
    fn a_value_is_found_as_the_fields_have_it() {
        fn check(bytes: &[u8], expected: Option<&[u8]>) {
            assert_eq!(find_value(bytes, tag::TLV), expected);
            assert_eq!(crate::fields::Fields::parse(bytes).get(tag::TLV), expected);
        }
        check(&[0x27, 0x00, 0x06, 0x02, 0x24, 0x00, 0x07], Some(&[0x24, 0x00]));
        check(&[0x06, 0x00, 0x06, 0x00], Some(&[]));
        check(&[0x06, 0x00, 0x06, 0x02, 0x24, 0x00], None);
        check(&[0x07, 0x06, 0x00], None);
    }

    #[test]
    fn decimal_lengths() {
        assert_eq!(encode_decimal_length(17, 2).collect::<Vec<_>>(), [0xF1, 0xF7]);
        assert_eq!(encode_decimal_length(105, 3).collect::<Vec<_>>(), [0xF1, 0xF0, 0xF5]);
        assert_eq!(read_decimal_length(&[0xF1, 0xF0, 0xF5], 3), Some(105));
        assert_eq!(read_decimal_length(&[0x31, 0x37], 2), Some(17));
    }
}
