//! What the data block of a message holds: the fields as values.

use std::fmt;

use crate::bcd;
use crate::bmp::{self, Field, tag};
use crate::charset::Charset;
use crate::clock::{Date, MonthDay, TimeOfDay};
use crate::tlv::{self, Tlv};

mod optional;
mod setters;

pub use optional::{Bonus, ConvertedAmount, Expiry};

/// A longer number in BCD may be a card number, whatever its tag says, and is no trace number.
const LONGEST_TRACE_NUMBER: usize = 6;

/// The fields of a data block, in their order, which is free in this protocol.
///
/// Reading never fails: from the first field that cannot be read, the bytes are kept in `undecoded`. A getter
/// answers `None` when the field is absent, malformed, or present twice with different values: an ambiguous
/// result is no result. The setters are for building commands and for the simulated terminal.
///
/// ```
/// use tillswitch_zvt::fields::Fields;
///
/// let fields = Fields::new().with_amount(1250)?.with_currency(978)?;
/// assert_eq!(fields.encode(), [0x04, 0, 0, 0, 0, 0x12, 0x50, 0x49, 0x09, 0x78]);
/// assert_eq!(Fields::parse(&fields.encode()).amount_minor(), Some(1250));
/// # Ok::<(), tillswitch_zvt::bmp::BmpError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields {
    fields: Vec<Field>,
    undecoded: Vec<u8>,
}

impl Fields {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a data block, or what follows its positional part.
    pub fn parse(bytes: &[u8]) -> Self {
        // A field takes four bytes on average: one allocation is enough for nearly every message.
        let mut fields = Vec::with_capacity(bytes.len().min(96) / 4);
        let mut rest = bytes;
        while let Some((field, after)) = bmp::read_field(rest) {
            fields.push(field);
            rest = after;
        }
        Self { fields, undecoded: rest.to_vec() }
    }

    /// The fields in their order.
    pub fn all(&self) -> &[Field] {
        &self.fields
    }

    /// The rest of the block from the first field that cannot be read. Empty when all was read.
    pub fn undecoded(&self) -> &[u8] {
        &self.undecoded
    }

    /// Whether there is neither a field nor an undecoded rest.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.undecoded.is_empty()
    }

    /// The value of a field, unless it is present twice with different values.
    pub fn get(&self, tag: u8) -> Option<&[u8]> {
        let mut values = self.fields.iter().filter(|field| field.tag == tag).map(|field| &*field.value);
        let first = values.next()?;
        values.all(|value| value == first).then_some(first)
    }

    /// Result code (BMP 27). `None` is not success: wait for 06 0F or 06 1E.
    pub fn result_code(&self) -> Option<u8> {
        self.byte(tag::RESULT_CODE)
    }

    /// Amount in minor units (BMP 04).
    pub fn amount_minor(&self) -> Option<u64> {
        bcd::to_number(self.get(tag::AMOUNT)?)
    }

    /// Currency as ISO 4217 number (BMP 49), 978 for EUR.
    pub fn currency(&self) -> Option<u16> {
        bmp::to_currency(self.get(tag::CURRENCY)?)
    }

    /// Trace number with its leading zeros (BMP 0B, or tag 1F2B when that is present).
    pub fn trace_number(&self) -> Option<String> {
        let tlv = self.tlv();
        let long = tlv.as_ref().and_then(|tlv| tlv.find(&[tlv::tag::LONG_TRACE_NUMBER]));
        let long = long.filter(|number| number.len() <= LONGEST_TRACE_NUMBER);
        bcd::to_digits(long.or_else(|| self.get(tag::TRACE_NUMBER))?)
    }

    /// Trace number of the payment that was reversed (BMP 37).
    pub fn original_trace_number(&self) -> Option<String> {
        bcd::to_digits(self.get(tag::ORIGINAL_TRACE)?)
    }

    /// Receipt number with its leading zeros (BMP 87). `None` for `FF FF`, which stands for no receipt.
    pub fn receipt_number(&self) -> Option<String> {
        bcd::to_digits(self.get(tag::RECEIPT_NUMBER)?)
    }

    /// Turnover number with its leading zeros (BMP 88).
    pub fn turnover_number(&self) -> Option<String> {
        bcd::to_digits(self.get(tag::TURNOVER_NUMBER)?)
    }

    /// Terminal id with its leading zeros (BMP 29).
    pub fn terminal_id(&self) -> Option<String> {
        bcd::to_digits(self.get(tag::TERMINAL_ID)?)
    }

    /// Date without a year (BMP 0D).
    pub fn date(&self) -> Option<MonthDay> {
        MonthDay::from_bcd(self.get(tag::DATE)?)
    }

    /// Date with its year (BMP AA).
    pub fn date_with_year(&self) -> Option<Date> {
        Date::from_bcd(self.get(tag::DATE_WITH_YEAR)?)
    }

    /// Time of day (BMP 0C).
    pub fn time(&self) -> Option<TimeOfDay> {
        TimeOfDay::from_bcd(self.get(tag::TIME)?)
    }

    /// Payment type, status byte or card type (BMP 19): the command decides which.
    pub fn type_byte(&self) -> Option<u8> {
        self.byte(tag::TYPE)
    }

    /// Service byte (BMP 03).
    pub fn service_byte(&self) -> Option<u8> {
        self.byte(tag::SERVICE_BYTE)
    }

    /// The last four digits of the card number (BMP 22, or BMP 23 where that is absent). The rest is not offered.
    pub fn last4(&self) -> Option<String> {
        bcd::last4(self.get(tag::CARD_NUMBER).or_else(|| self.get(tag::TRACK_2))?)
    }

    /// ZVT card type (BMP 8A, or tag 41 where that is FF or absent). Names: [`crate::tables::card_types::name`].
    pub fn card_type(&self) -> Option<u16> {
        match self.byte(tag::CARD_TYPE) {
            None | Some(0xFF) => self.long_card_type(),
            Some(id) => Some(id.into()),
        }
    }

    /// Product name to print (BMP 8B), `None` when empty.
    pub fn card_name(&self, charset: Charset) -> Option<String> {
        self.text(tag::CARD_NAME, charset)
    }

    /// The card's name as the terminal prints it, else the name of its type.
    pub fn card_scheme(&self, charset: Charset) -> Option<String> {
        let of_type = || crate::tables::card_types::name(self.card_type()?).map(str::to_owned);
        self.card_name(charset).or_else(of_type)
    }

    /// Authorisation code (BMP 3B), without its padding.
    pub fn authorization_code(&self) -> Option<String> {
        self.text(tag::AUTHORIZATION_CODE, Charset::Ascii)
    }

    /// Contract number (BMP 2A), without its padding.
    pub fn contract_number(&self) -> Option<String> {
        self.text(tag::CONTRACT_NUMBER, Charset::Ascii)
    }

    /// Text for cashier or receipt (BMP 3C), lines separated by `\n`, `None` when empty.
    pub fn additional_text(&self, charset: Charset) -> Option<String> {
        self.text(tag::ADDITIONAL_TEXT, charset)
    }

    /// Text for the display (tag 24 with 07), lines separated by `\n`, `None` when empty. A tag 14 beside it wins over
    /// `charset`.
    pub fn display_text(&self, charset: Charset) -> Option<String> {
        let tlv = self.tlv()?;
        let charset = tlv.find(&[tlv::tag::CHARACTER_SET]).and_then(Charset::from_tag).unwrap_or(charset);
        let texts = tlv.container(tlv::tag::DISPLAY_TEXTS)?;
        let lines: Vec<String> = texts.values(tlv::tag::TEXT_LINE).map(|line| charset.decode(line)).collect();
        Some(lines.join("\n")).filter(|text| !text.trim().is_empty())
    }

    /// What the terminal has to say to the cashier: BMP 3C, else tag 24, else the vendor's text 1F17.
    pub fn message(&self, charset: Charset) -> Option<String> {
        let vendor = || {
            let tlv = self.tlv()?;
            let text = charset.decode_or_utf_8(tlv.find(&[tlv::tag::EXTENDED_ERROR_TEXT])?);
            Some(text).filter(|text| !text.trim().is_empty())
        };
        self.additional_text(charset).or_else(|| self.display_text(charset)).or_else(vendor)
    }

    /// The TLV container (BMP 06), `None` when there is none.
    pub fn tlv(&self) -> Option<Tlv> {
        self.get(tag::TLV).map(Tlv::parse)
    }

    /// The data block. The undecoded rest comes last, so that what was read is written again unchanged,
    /// except that lengths take their shortest form.
    pub fn encode(&self) -> Vec<u8> {
        // Five bytes more than its value are the most that a field takes.
        let size: usize = self.fields.iter().map(|field| field.value.len() + 5).sum();
        let mut bytes = Vec::with_capacity(size + self.undecoded.len());
        for field in &self.fields {
            bmp::write_field(&mut bytes, field);
        }
        bytes.extend_from_slice(&self.undecoded);
        bytes
    }

    fn byte(&self, tag: u8) -> Option<u8> {
        self.get(tag)?.first().copied()
    }

    fn text(&self, tag: u8, charset: Charset) -> Option<String> {
        without_padding(charset.decode(self.get(tag)?))
    }

    fn long_card_type(&self) -> Option<u16> {
        let tlv = self.tlv()?;
        let direct = tlv.find(&[tlv::tag::CARD_TYPE]);
        optional::one_or_two_bytes(direct.or_else(|| tlv.find(&[tlv::tag::APPLICATION, tlv::tag::CARD_TYPE]))?)
    }
}

/// `None` when nothing is left.
fn without_padding(mut text: String) -> Option<String> {
    text.truncate(text.trim_end().len());
    Some(text).filter(|text| !text.is_empty())
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        list.entries(&self.fields);
        if !self.undecoded.is_empty() {
            list.entry(&format_args!("undecoded, {} bytes", self.undecoded.len()));
        }
        list.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bmp::BmpError;

    #[test]
    fn order_is_free_and_unknown_tags_end_the_reading() {
        let fields = Fields::parse(&[0x87, 0x04, 0x70, 0x27, 0x05, 0xC3, 0x01, 0x04]);
        assert_eq!(fields.receipt_number().as_deref(), Some("0470"));
        assert_eq!(fields.result_code(), Some(0x05));
        assert_eq!(fields.undecoded(), [0xC3, 0x01, 0x04]);
        assert_eq!(fields.encode(), [0x87, 0x04, 0x70, 0x27, 0x05, 0xC3, 0x01, 0x04]);
    }

    #[test]
    fn two_answers_are_no_answer() {
        assert_eq!(Fields::parse(&[0x27, 0x00, 0x27, 0x05]).result_code(), None);
        assert_eq!(Fields::parse(&[0x27, 0x00, 0x27, 0x00]).result_code(), Some(0));
    }

    #[test]
    fn missing_or_malformed_is_none() {
        let fields =
            Fields::parse(&[0x87, 0xFF, 0xFF, 0x04, 0xEE, 0, 0, 0, 0, 0, 0x22, 0xF0, 0xF0, 0x8B, 0xF0, 0xF1, 0]);
        assert_eq!(fields.receipt_number(), None);
        assert_eq!(fields.amount_minor(), None);
        assert_eq!(fields.last4(), None);
        assert_eq!(fields.card_name(Charset::Cp437), None);
        assert_eq!(fields.result_code(), None);
        assert!(fields.undecoded().is_empty());
    }

    #[test]
    fn card_type_from_either_place() {
        fn check(bytes: &[u8], expected: Option<u16>) {
            assert_eq!(Fields::parse(bytes).card_type(), expected);
        }
        check(&[0x8A, 0x2E], Some(46));
        check(&[0x8A, 0xFF, 0x06, 0x04, 0x41, 0x02, 0x01, 0x04], Some(260));
        check(&[0x06, 0x05, 0x60, 0x03, 0x41, 0x01, 0x05], Some(5));
        check(&[0x8A, 0xFF], None);
    }

    #[test]
    fn setters_refuse_what_does_not_fit() {
        assert_eq!(Fields::new().with_amount(1_000_000_000_000), Err(BmpError { tag: 0x04 }));
        assert_eq!(Fields::new().with_receipt_number("12345"), Err(BmpError { tag: 0x87 }));
        assert_eq!(Fields::new().with_currency(10_000), Err(BmpError { tag: 0x49 }));
        assert_eq!(Fields::new().with(0x07, &[]), Err(BmpError { tag: 0x07 }));
        let code = Fields::new().with_authorization_code("482948").expect("it fits");
        assert_eq!(code.authorization_code().as_deref(), Some("482948"));
        assert_eq!(code.encode().len(), 9);
        assert!(Fields::new().with_authorization_code("123456789").is_err());
    }

    #[test]
    fn debug_hides_the_values() {
        let fields = Fields::parse(&[0x22, 0xF0, 0xF2, 0x47, 0x71, 0x00]);
        assert_eq!(format!("{fields:?}"), "[22: 2 bytes, undecoded, 1 bytes]");
    }
}
