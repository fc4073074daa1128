//! What values can be put into the fields of a data block.

use super::Fields;
use crate::bcd;
use crate::bmp::{self, BmpError, Field, Length, lookup, tag};
use crate::charset::Charset;
use crate::clock::{MonthDay, TimeOfDay};
use crate::tlv::Tlv;

/// Setters. Each appends a field and fails when the value does not fit its format.
impl Fields {
    /// Appends a field with its value as it is.
    pub fn with(mut self, tag: u8, value: &[u8]) -> Result<Self, BmpError> {
        let length = lookup(tag).ok_or(BmpError { tag })?.length;
        let fits = match length {
            Length::Fixed(size) => value.len() == size,
            Length::Llvar => value.len() <= 99,
            Length::Lllvar => value.len() <= 999,
            Length::Tlv => value.len() <= usize::from(u16::MAX),
        };
        if !fits {
            return Err(BmpError { tag });
        }
        self.fields.push(Field { tag, value: value.into() });
        Ok(self)
    }

    /// Amount in minor units (BMP 04), at most twelve digits.
    pub fn with_amount(self, minor: u64) -> Result<Self, BmpError> {
        let tag = tag::AMOUNT;
        self.with(tag, &bcd::from_number::<6>(minor).ok_or(BmpError { tag })?)
    }

    /// Currency as ISO 4217 number (BMP 49).
    pub fn with_currency(self, numeric: u16) -> Result<Self, BmpError> {
        self.with(tag::CURRENCY, &bmp::from_currency(numeric)?)
    }

    /// Trace number (BMP 0B).
    pub fn with_trace_number(self, digits: &str) -> Result<Self, BmpError> {
        self.with_digits::<3>(tag::TRACE_NUMBER, digits)
    }

    /// Receipt number (BMP 87).
    pub fn with_receipt_number(self, digits: &str) -> Result<Self, BmpError> {
        self.with_digits::<2>(tag::RECEIPT_NUMBER, digits)
    }

    /// Turnover number (BMP 88).
    pub fn with_turnover_number(self, digits: &str) -> Result<Self, BmpError> {
        self.with_digits::<3>(tag::TURNOVER_NUMBER, digits)
    }

    /// Terminal id (BMP 29).
    pub fn with_terminal_id(self, digits: &str) -> Result<Self, BmpError> {
        self.with_digits::<4>(tag::TERMINAL_ID, digits)
    }

    /// Trace number of the payment that was reversed (BMP 37).
    pub fn with_original_trace_number(self, digits: &str) -> Result<Self, BmpError> {
        self.with_digits::<3>(tag::ORIGINAL_TRACE, digits)
    }

    /// Result code (BMP 27).
    pub fn with_result_code(self, code: u8) -> Result<Self, BmpError> {
        self.with(tag::RESULT_CODE, &[code])
    }

    /// Date and time (BMP 0D, BMP 0C).
    pub fn with_clock(self, date: MonthDay, time: TimeOfDay) -> Result<Self, BmpError> {
        self.with(tag::TIME, &time.to_bcd())?.with(tag::DATE, &date.to_bcd())
    }

    /// Card number (BMP 22); `*` stands for a masked digit.
    pub fn with_card_number(self, number: &str) -> Result<Self, BmpError> {
        let tag = tag::CARD_NUMBER;
        self.with(tag, &bcd::from_card_number(number).ok_or(BmpError { tag })?)
    }

    /// Product name (BMP 8B), with the final NUL that terminals send.
    pub fn with_card_name(self, name: &str, charset: Charset) -> Result<Self, BmpError> {
        let mut bytes = charset.encode(name);
        bytes.push(0);
        self.with(tag::CARD_NAME, &bytes)
    }

    /// Authorisation code (BMP 3B), padded with NUL.
    pub fn with_authorization_code(self, code: &str) -> Result<Self, BmpError> {
        let mut bytes = Charset::Ascii.encode(code);
        bytes.resize(bytes.len().max(8), 0);
        self.with(tag::AUTHORIZATION_CODE, &bytes)
    }

    /// Text for cashier or receipt (BMP 3C).
    pub fn with_additional_text(self, text: &str, charset: Charset) -> Result<Self, BmpError> {
        self.with(tag::ADDITIONAL_TEXT, &charset.encode(text))
    }

    /// The TLV container (BMP 06); an empty one already tells the PT that it may send one.
    pub fn with_tlv(self, tlv: &Tlv) -> Result<Self, BmpError> {
        self.with(tag::TLV, &tlv.encode())
    }

    /// Payment type (BMP 19), see [`crate::tables::bit_fields::PAYMENT_TYPE`].
    pub fn with_type(self, payment_type: u8) -> Result<Self, BmpError> {
        self.with(tag::TYPE, &[payment_type])
    }

    /// Service byte (BMP 03), see [`crate::command::service_byte`].
    pub fn with_service_byte(self, bits: u8) -> Result<Self, BmpError> {
        self.with(tag::SERVICE_BYTE, &[bits])
    }

    /// How many seconds the PT waits for each answer to its 04 0F (BMP 01), and how often the ECR may ask it to come
    /// again (BMP 02). Some terminals repeat within milliseconds when they are told only the second.
    pub fn with_patience(self, seconds: u8, repeats: u8) -> Result<Self, BmpError> {
        self.with(tag::TIMEOUT, &[seconds])?.with(tag::MAXIMUM_REPEATS, &[repeats])
    }

    /// Pump number (BMP 05).
    pub fn with_pump_number(self, number: u8) -> Result<Self, BmpError> {
        self.with(tag::PUMP_NUMBER, &[number])
    }

    fn with_digits<const N: usize>(self, tag: u8, digits: &str) -> Result<Self, BmpError> {
        self.with(tag, &bcd::from_digits::<N>(digits).ok_or(BmpError { tag })?)
    }
}
