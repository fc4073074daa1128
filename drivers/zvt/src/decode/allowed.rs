//! Which fields may be shown? The allow-list: what is not named here is masked.

use super::form::Form;
use crate::apdu::{ControlField, control};
use crate::bmp::tag;
use crate::tables::{bit_fields as bits, choices};
use crate::tlv;

/// The form in which a part without a tag may be shown.
pub(super) fn position(name: &str, control: ControlField) -> Form {
    match name {
        "config byte" => Form::Bits(bits::CONFIG_BYTE),
        "currency" => Form::Currency,
        "status" if control == control::INTERMEDIATE_STATUS => Form::IntermediateStatus,
        "timeout in minutes" => Form::Minutes,
        "timeout in seconds" => Form::Seconds,
        "result code" => Form::Result,
        "first receipt" | "last receipt" | "prepaid card id" => Form::Digits(2),
        "payment mode" => Form::Choice(choices::TOP_UP_MODE),
        "line attribute" => Form::LineAttribute,
        "protocol" => Form::Choice(choices::PROTOCOL),
        "language" => Form::Choice(choices::LANGUAGE),
        "baud rate" => Form::Choice(choices::BAUD_RATE),
        "function" => Form::Hex(2),
        _ => Form::Hidden,
    }
}

/// The form in which a bitmap field may be shown.
pub(super) fn bmp(tag: u8, control: ControlField) -> Form {
    match tag {
        0x01 => Form::Seconds,
        0x02 | 0x05 | 0x73..=0x75 | 0x8C | 0xE0 | 0xE9 | 0xF9 => Form::Number(1),
        tag::SERVICE_BYTE => service_byte(control),
        tag::AMOUNT => Form::Amount,
        tag::TRACE_NUMBER | tag::ORIGINAL_TRACE | tag::TURNOVER_NUMBER => Form::Digits(3),
        tag::TIME => Form::Time,
        tag::DATE => Form::Date,
        tag::DATE_WITH_YEAR => Form::DateWithYear,
        tag::TYPE => type_byte(control),
        tag::CARD_NUMBER => Form::CardNumber,
        tag::RESULT_CODE => Form::Result,
        tag::TERMINAL_ID => Form::Digits(4),
        tag::AUTHORIZATION_CODE => Form::Code,
        tag::ADDITIONAL_TEXT | tag::CARD_NAME => Form::Text,
        tag::CURRENCY => Form::Currency,
        0x60 => Form::Totals,
        tag::RECEIPT_NUMBER => Form::Digits(2),
        tag::CARD_TYPE => Form::CardType,
        0xA0 => Form::ResultAs,
        tag::DISPLAY_LINE_1..=tag::DISPLAY_LINE_8 | 0xE1..=0xE8 => Form::Text,
        0xF0 => Form::Seconds,
        0xFA => Form::Choice(choices::CARD_READER),
        0xFB => Form::Choice(choices::YES_OR_NO),
        0xFC => Form::Bits(bits::DIALOG_CONTROL),
        0xFD => Form::Choice(choices::DISPLAY_DEVICE),
        _ => Form::Hidden,
    }
}

fn service_byte(control: ControlField) -> Form {
    match control {
        control::REGISTRATION => Form::Bits(bits::SERVICE_BYTE_OF_REGISTRATION),
        control::STATUS_ENQUIRY => Form::Bits(bits::SERVICE_BYTE_OF_STATUS_ENQUIRY),
        control::REPEAT_RECEIPT => Form::Bits(bits::SERVICE_BYTE_OF_REPEAT_RECEIPT),
        [0x08, 0x01] => Form::Bits(bits::SERVICE_BYTE_OF_SERVICE_MODE),
        _ => Form::Hex(1),
    }
}

/// BMP 19 has four roles; the command decides.
fn type_byte(control: ControlField) -> Form {
    match control {
        control::COMPLETION => Form::Bits(bits::STATUS_BYTE),
        control::STATUS_INFORMATION => Form::Bits(bits::PAYMENT_KIND),
        [0x06, 0xC0] => Form::Bits(bits::CARD_READER),
        _ => Form::Bits(bits::PAYMENT_TYPE),
    }
}

/// The form in which an object of a container may be shown. Slips (25, 64 to 68) never are.
pub(super) fn tlv(tag: u32, parent: Option<u32>) -> Form {
    match tag {
        tlv::tag::TEXT_LINE if matches!(parent, Some(tlv::tag::DISPLAY_TEXTS | 0x2C)) => Form::Text,
        tlv::tag::TEXT_ATTRIBUTE => Form::LineAttribute,
        tlv::tag::ZVT_COMMAND => Form::Command,
        0x08 | tlv::tag::PRINTER_WIDTH => Form::Digits(2),
        0x10 | 0x11 => Form::Size,
        tlv::tag::CHARACTER_SET => Form::CharacterSet,
        0x15 => Form::Text,
        0x16..=0x18 | 0x1F1E | 0x1F6D | 0x1F77 => Form::Number(1),
        tlv::tag::MAXIMUM_APDU | 0x1F39 | 0x1F5B => Form::Number(2),
        tlv::tag::DIAGNOSIS_KIND => Form::Bits(bits::DIAGNOSIS_KIND),
        0x1D => Form::Choice(choices::FILE),
        0x1E | 0x1F00 => Form::Number(4),
        0x40 => Form::BitRows(&[bits::EMV_WISHES]),
        tlv::tag::CARD_TYPE => Form::CardType,
        0x42 | 0x44 | 0x4A => Form::Text,
        0x43 => Form::ApplicationId,
        0x45 => Form::Digits(4),
        0x84 | 0x85 | 0x1F0B | 0x1F25 | 0x1F36 => Form::Amount,
        0x1F01 => Form::Bits(bits::RECEIPT_ID),
        0x1F04 => Form::BitRows(&[bits::RECEIPT_WISHES, bits::RECEIPT_WISHES_2]),
        0x1F05 => Form::BitRows(&[bits::TRANSACTION_WISHES]),
        0x1F06 => Form::Bits(bits::RESERVATION_KIND),
        tlv::tag::RECEIPT_KIND => Form::Bits(bits::RECEIPT_KIND),
        tlv::tag::DATE => Form::LongDate,
        tlv::tag::TIME => Form::Time,
        0x1F10 => Form::Bits(bits::CARDHOLDER_AUTHENTICATION),
        0x1F11 => Form::Bits(bits::ONLINE_FLAG),
        0x1F12 => Form::Bits(bits::CARD_TECHNOLOGY),
        0x1F13 => Form::Choice(choices::REQUEST_TO_ECR),
        0x1F15 => Form::BitRows(&[bits::CARD_READING_WISHES]),
        tlv::tag::EXTENDED_ERROR_CODE => Form::Hex(2),
        tlv::tag::EXTENDED_ERROR_TEXT => Form::VendorText,
        0x1F19 => Form::Choice(choices::ACCEPT_OR_DENY),
        0x1F26 => Form::Bits(bits::END_OF_DAY_MODE),
        tlv::tag::LONG_TRACE_NUMBER => Form::Digits(5),
        0x1F37 => Form::BitRows(&[bits::RECEIPT_INFORMATION]),
        0x1F3B => Form::Bits(bits::TRANSACTION_INFORMATION),
        0x1F40 | 0x1F41 => Form::Text,
        0x1F43 => Form::Choice(choices::DEVICE_STATE),
        tlv::tag::TERMINAL_ID => Form::Digits(4),
        0x1F4C => Form::Choice(choices::CARD_KIND),
        0x1F4D => Form::Hex(3),
        0x1F55 => Form::BitRows(&[bits::TERMINAL_LOCKS]),
        0x1F60 => Form::Bits(bits::ALLOWED_TECHNOLOGY),
        0x1F70 | 0x1F72 | 0x1F76 | 0x1F18 | 0x1F28 | 0x1F29 => Form::Choice(choices::YES_OR_NO),
        0x1F73 => Form::Digits(3),
        0x1F79 => Form::Choice(choices::ACTION_REQUEST),
        _ => Form::Hidden,
    }
}
