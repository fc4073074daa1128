//! How the commands that a cash register sends are put together.

use super::{Command, Password, one_byte, service_byte};
use crate::bmp::{BmpError, tag};
use crate::charset::Charset;
use crate::clock::{Date, TimeOfDay};
use crate::fields::Fields;
use crate::tables::languages;
use crate::tlv::{self, Tlv};

/// Builders of the usual commands.
impl Command {
    /// A payment of `amount_minor`. Some terminals dislike a currency here; in EUR all do without.
    pub fn authorization(amount_minor: u64, currency: Option<u16>) -> Result<Self, BmpError> {
        Ok(Self::Authorization { fields: amount_and_currency(amount_minor, currency)? })
    }

    /// A refund of `amount_minor`.
    pub fn refund(password: Password, amount_minor: u64, currency: Option<u16>) -> Result<Self, BmpError> {
        Ok(Self::Refund { password, fields: amount_and_currency(amount_minor, currency)? })
    }

    /// A reversal of the payment with this receipt number.
    pub fn reversal(password: Password, receipt_number: &str) -> Result<Self, BmpError> {
        Ok(Self::Reversal { password, fields: Fields::new().with_receipt_number(receipt_number)? })
    }

    /// A request for the last result, without paper (service byte 03).
    pub fn repeat_result(password: Password) -> Self {
        Self::RepeatReceipt { password, fields: one_byte(tag::SERVICE_BYTE, service_byte::RESULT_ONLY) }
    }

    /// A status enquiry without details.
    pub fn status_enquiry(password: Password) -> Self {
        Self::StatusEnquiry { password: Some(password), fields: Fields::new() }
    }

    /// A status enquiry that asks for the software version and the details (service byte 04).
    pub fn detailed_status_enquiry(password: Password) -> Self {
        let fields = one_byte(tag::SERVICE_BYTE, service_byte::TLV_DETAILS);
        Self::StatusEnquiry { password: Some(password), fields }
    }

    /// End of day.
    pub fn end_of_day(password: Password) -> Self {
        Self::EndOfDay { password, fields: Fields::new() }
    }

    /// Diagnosis of the PT's choice.
    pub fn diagnosis() -> Self {
        Self::Diagnosis { fields: Fields::new() }
    }

    /// A question for open pre-authorizations, which the PT answers with 06 1E and B8. Moves no money.
    pub fn open_pre_authorizations() -> Self {
        let fields = Fields::new().with(tag::RECEIPT_NUMBER, &[0xFF, 0xFF]);
        Self::PartialReversal { fields: fields.expect("the table of bitmap tags lists this field with two bytes") }
    }

    /// A pre-authorization of `amount_minor`.
    pub fn pre_authorization(amount_minor: u64, currency: Option<u16>) -> Result<Self, BmpError> {
        Ok(Self::PreAuthorization { fields: amount_and_currency(amount_minor, currency)? })
    }

    /// Gives back `unused_minor` of the pre-authorization with this receipt number, and takes the rest.
    pub fn partial_reversal(receipt_number: &str, unused_minor: u64, currency: Option<u16>) -> Result<Self, BmpError> {
        Ok(Self::PartialReversal { fields: receipt_and_amount(receipt_number, unused_minor, currency)? })
    }

    /// Takes `used_minor` of the reservation with this receipt number. Some terminals refuse a currency here, and most
    /// need the trace number and the authorisation code of the reservation besides.
    pub fn book_total(receipt_number: &str, used_minor: u64, currency: Option<u16>) -> Result<Self, BmpError> {
        Ok(Self::BookTotal { fields: receipt_and_amount(receipt_number, used_minor, currency)? })
    }

    /// Gives back the whole pre-authorization with this receipt number.
    pub fn pre_authorization_reversal(receipt_number: &str) -> Result<Self, BmpError> {
        Ok(Self::PreAuthorizationReversal { fields: Fields::new().with_receipt_number(receipt_number)? })
    }

    /// Adds a tip to the payment with this receipt number, if that allows one.
    pub fn tip(receipt_number: &str, tip_minor: u64) -> Result<Self, BmpError> {
        Ok(Self::Tip { fields: Fields::new().with_amount(tip_minor)?.with_receipt_number(receipt_number)? })
    }

    /// Diagnosis of one kind (tag 1B), see [`crate::tables::bit_fields::DIAGNOSIS_KIND`].
    pub fn diagnosis_of(kind: u8) -> Result<Self, BmpError> {
        let tlv = Tlv::new().with(tlv::tag::DIAGNOSIS_KIND, &[kind]);
        Ok(Self::Diagnosis { fields: Fields::new().with_tlv(&tlv)? })
    }

    /// Sets the terminal id, or clears it.
    pub fn set_terminal_id(password: Password, terminal_id: Option<&str>) -> Result<Self, BmpError> {
        let fields = match terminal_id {
            Some(digits) => Fields::new().with_terminal_id(digits)?,
            None => Fields::new(),
        };
        Ok(Self::SetTerminalId { password, fields })
    }

    /// Sets the clock of the PT.
    pub fn set_clock(password: Password, date: Date, time: TimeOfDay) -> Result<Self, BmpError> {
        let fields = Fields::new().with(tag::DATE_WITH_YEAR, &date.to_bcd())?.with(tag::TIME, &time.to_bcd())?;
        Ok(Self::SetClock { password, fields })
    }

    /// Text on the PT's display: at most eight lines, for `seconds` (0: until something else is shown).
    pub fn display_text(lines: &[&str], seconds: u8, charset: Charset) -> Result<Self, BmpError> {
        let mut fields = one_byte(tag::DISPLAY_DURATION, seconds);
        for (line, place) in lines.iter().zip(tag::DISPLAY_LINE_1..) {
            if place > tag::DISPLAY_LINE_8 {
                return Err(BmpError { tag: tag::DISPLAY_LINE_8 });
            }
            fields = fields.with(place, &charset.encode(line))?;
        }
        Ok(Self::DisplayText { fields })
    }

    /// The language of the PT's texts, by its code of two letters. `None` when the standard has no number for it.
    pub fn select_language(code: &str) -> Option<Self> {
        languages::number(code).map(|language| Self::SelectLanguage { language })
    }
}

fn amount_and_currency(amount_minor: u64, currency: Option<u16>) -> Result<Fields, BmpError> {
    let fields = Fields::new().with_amount(amount_minor)?;
    match currency {
        Some(numeric) => fields.with_currency(numeric),
        None => Ok(fields),
    }
}

fn receipt_and_amount(receipt_number: &str, amount_minor: u64, currency: Option<u16>) -> Result<Fields, BmpError> {
    let fields = Fields::new().with_receipt_number(receipt_number)?.with_amount(amount_minor)?;
    match currency {
        Some(numeric) => fields.with_currency(numeric),
        None => Ok(fields),
    }
}
