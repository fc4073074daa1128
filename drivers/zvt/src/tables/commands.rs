//! Which commands the standard knows, who sends each, and how its data block is laid out.

use crate::apdu::ControlField;
use crate::bmp::Encoding::{self, Bcd, Binary, BitField};

/// One row of the table of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandRow {
    /// CLASS and INSTR.
    pub control: ControlField,
    /// Who sends it.
    pub sender: Sender,
    /// Its name.
    pub name: &'static str,
    /// What stands in front without a tag, in this order. A block may end after any part: what is optional in the
    /// standard is optional from there on.
    pub positional: &'static [Positional],
    /// What follows the positional parts.
    pub rest: Rest,
    /// Whether it moves money, so that it is sent at most once.
    pub moves_money: bool,
}

/// Who sends a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The ECR, to the terminal.
    Ecr,
    /// The PT, to us.
    Pt,
    /// Either.
    Both,
}

/// A part of a data block that has no tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Positional {
    /// Its name.
    pub name: &'static str,
    /// Its length in bytes.
    pub size: usize,
    /// How it is written.
    pub encoding: Encoding,
}

/// What a data block holds behind its positional parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Tagged fields, or nothing.
    Fields,
    /// A text.
    Text,
    /// What has no layout known here.
    Opaque,
}

/// All commands, those of vendors included, sorted by control field. The answers 80 00 and 84 xx are no commands.
///
/// The completion (06 0F) of a status enquiry has a layout of its own: [`crate::reply::Completion::status_enquiry`].
#[rustfmt::skip]
pub const COMMANDS: &[CommandRow] = &[
    row([0x04, 0x01], Sender::Pt, "set clock of the ECR", &[], Rest::Fields, false),
    row([0x04, 0x0C], Sender::Pt, "request next file block", &[], Rest::Fields, false),
    row([0x04, 0x0D], Sender::Pt, "ask for input", &[], Rest::Fields, false),
    row([0x04, 0x0E], Sender::Pt, "show a menu", &[], Rest::Fields, false),
    row([0x04, 0x0F], Sender::Pt, "status information", &[], Rest::Fields, false),
    row([0x04, 0xFF], Sender::Pt, "intermediate status", &[STATUS, TIMEOUT_MINUTES], Rest::Fields, false),
    row([0x05, 0x01], Sender::Ecr, "status enquiry", &[PASSWORD], Rest::Fields, false),
    row([0x06, 0x00], Sender::Ecr, "registration", &[PASSWORD, CONFIG_BYTE, CURRENCY], Rest::Fields, false),
    row([0x06, 0x01], Sender::Ecr, "authorization", &[], Rest::Fields, true),
    row([0x06, 0x02], Sender::Ecr, "log-off", &[], Rest::Fields, false),
    row([0x06, 0x03], Sender::Ecr, "account balance enquiry", &[], Rest::Fields, false),
    row([0x06, 0x04], Sender::Ecr, "activate card", &[], Rest::Fields, true),
    row([0x06, 0x05], Sender::Ecr, "procurement", &[], Rest::Fields, true),
    row([0x06, 0x09], Sender::Ecr, "prepaid card top-up", &[CARD_ID, PAYMENT_MODE], Rest::Fields, true),
    row([0x06, 0x0A], Sender::Ecr, "tax free cheque", &[], Rest::Fields, true),
    row([0x06, 0x0C], Sender::Ecr, "book tip", &[], Rest::Fields, true),
    row([0x06, 0x0F], Sender::Pt, "completion", &[], Rest::Fields, false),
    row([0x06, 0x10], Sender::Ecr, "send turnover totals", &[PASSWORD], Rest::Fields, false),
    row([0x06, 0x12], Sender::Ecr, "reprint receipts", &[PASSWORD, FROM, TO], Rest::Fields, false),
    row([0x06, 0x18], Sender::Ecr, "restart terminal", &[], Rest::Fields, false),
    row([0x06, 0x1A], Sender::Ecr, "print system configuration", &[], Rest::Fields, false),
    row([0x06, 0x1B], Sender::Ecr, "set or clear terminal id", &[PASSWORD], Rest::Fields, false),
    row([0x06, 0x1E], Sender::Pt, "abort", &[RESULT_CODE], Rest::Fields, false),
    row([0x06, 0x20], Sender::Ecr, "repeat receipt", &[PASSWORD], Rest::Fields, false),
    row([0x06, 0x21], Sender::Ecr, "telephone authorization", &[PASSWORD], Rest::Fields, true),
    row([0x06, 0x22], Sender::Ecr, "pre-authorization", &[], Rest::Fields, true),
    row([0x06, 0x23], Sender::Ecr, "partial reversal", &[], Rest::Fields, true),
    row([0x06, 0x24], Sender::Ecr, "book total", &[], Rest::Fields, true),
    row([0x06, 0x25], Sender::Ecr, "pre-authorization reversal", &[], Rest::Fields, true),
    row([0x06, 0x26], Sender::Ecr, "reversal of an external reservation", &[], Rest::Fields, true),
    row([0x06, 0x30], Sender::Ecr, "reversal", &[PASSWORD], Rest::Fields, true),
    row([0x06, 0x31], Sender::Ecr, "refund", &[PASSWORD], Rest::Fields, true),
    row([0x06, 0x50], Sender::Ecr, "end of day", &[PASSWORD], Rest::Fields, false),
    row([0x06, 0x51], Sender::Ecr, "send offline transactions", &[PASSWORD], Rest::Fields, false),
    row([0x06, 0x52], Sender::Ecr, "partial reconciliation", &[PASSWORD], Rest::Fields, false),
    row([0x06, 0x70], Sender::Ecr, "diagnosis", &[], Rest::Fields, false),
    row([0x06, 0x79], Sender::Ecr, "self test", &[], Rest::Fields, false),
    row([0x06, 0x85], Sender::Ecr, "display text (old)", &[], Rest::Text, false),
    row([0x06, 0x86], Sender::Ecr, "display text with numeric input (old)", &[], Rest::Opaque, false),
    row([0x06, 0x87], Sender::Ecr, "PIN check (old)", &[], Rest::Opaque, false),
    row([0x06, 0x88], Sender::Ecr, "display text with function key (old)", &[], Rest::Opaque, false),
    row([0x06, 0x91], Sender::Ecr, "set clock of the PT", &[PASSWORD], Rest::Fields, false),
    row([0x06, 0x93], Sender::Ecr, "initialisation", &[PASSWORD], Rest::Fields, false),
    row([0x06, 0x95], Sender::Ecr, "change password", &[PASSWORD, NEW_PASSWORD], Rest::Fields, false),
    row([0x06, 0xB0], Sender::Ecr, "abort by the ECR", &[], Rest::Fields, false),
    row([0x06, 0xC0], Sender::Ecr, "read card", &[TIMEOUT_SECONDS], Rest::Fields, false),
    row([0x06, 0xC5], Sender::Ecr, "close card session", &[], Rest::Fields, false),
    row([0x06, 0xC6], Sender::Ecr, "send card APDUs", &[], Rest::Fields, false),
    row([0x06, 0xD0], Sender::Pt, "show a menu with a picture", &[], Rest::Fields, false),
    row([0x06, 0xD1], Sender::Both, "print line", &[ATTRIBUTE], Rest::Text, false),
    row([0x06, 0xD3], Sender::Pt, "print block", &[], Rest::Fields, false),
    row([0x06, 0xD4], Sender::Both, "reserved", &[], Rest::Opaque, false),
    row([0x06, 0xD8], Sender::Pt, "dial up", &[], Rest::Opaque, false),
    row([0x06, 0xD9], Sender::Pt, "send data over the dialled line", &[], Rest::Opaque, false),
    row([0x06, 0xDA], Sender::Pt, "fetch data from the dialled line", &[], Rest::Opaque, false),
    row([0x06, 0xDB], Sender::Pt, "hang up", &[], Rest::Opaque, false),
    row([0x06, 0xDD], Sender::Pt, "transparent mode", &[], Rest::Opaque, false),
    row([0x06, 0xE0], Sender::Ecr, "display text", &[], Rest::Fields, false),
    row([0x06, 0xE1], Sender::Ecr, "display text with function key", &[], Rest::Fields, false),
    row([0x06, 0xE2], Sender::Ecr, "display text with numeric input", &[], Rest::Fields, false),
    row([0x06, 0xE3], Sender::Ecr, "PIN check", &[], Rest::Fields, false),
    row([0x06, 0xE4], Sender::Pt, "blocked list query", &[], Rest::Fields, false),
    row([0x06, 0xE5], Sender::Ecr, "MAC calculation", &[], Rest::Fields, false),
    row([0x06, 0xE6], Sender::Ecr, "card poll with authorization", &[], Rest::Fields, true),
    row([0x06, 0xE7], Sender::Ecr, "encrypted numeric input", &[], Rest::Fields, false),
    row([0x06, 0xE8], Sender::Ecr, "reference number in BMP 60", &[], Rest::Opaque, false),
    row([0x06, 0xE9], Sender::Ecr, "reference number in BMP 58", &[], Rest::Opaque, false),
    row([0x06, 0xF0], Sender::Ecr, "display picture", &[], Rest::Fields, false),
    row([0x06, 0xF1], Sender::Ecr, "display picture with function key", &[], Rest::Fields, false),
    row([0x08, 0x01], Sender::Ecr, "service mode", &[PASSWORD], Rest::Fields, false),
    row([0x08, 0x02], Sender::Ecr, "switch protocol", &[PROTOCOL], Rest::Fields, false),
    row([0x08, 0x03], Sender::Ecr, "power management", &[], Rest::Opaque, false),
    row([0x08, 0x10], Sender::Ecr, "software update", &[], Rest::Fields, false),
    row([0x08, 0x11], Sender::Ecr, "read file", &[], Rest::Fields, false),
    row([0x08, 0x12], Sender::Ecr, "delete file", &[], Rest::Fields, false),
    row([0x08, 0x13], Sender::Ecr, "change configuration", &[], Rest::Fields, false),
    row([0x08, 0x14], Sender::Ecr, "write file", &[PASSWORD], Rest::Fields, false),
    row([0x08, 0x20], Sender::Ecr, "start OPT action", &[], Rest::Fields, false),
    row([0x08, 0x21], Sender::Ecr, "set OPT time", &[PASSWORD], Rest::Fields, false),
    row([0x08, 0x22], Sender::Ecr, "OPT pre-initialisation", &[], Rest::Fields, false),
    row([0x08, 0x23], Sender::Ecr, "print OPT data", &[PASSWORD], Rest::Fields, false),
    row([0x08, 0x24], Sender::Ecr, "OPT out of order", &[], Rest::Fields, false),
    row([0x08, 0x30], Sender::Ecr, "select language", &[LANGUAGE], Rest::Fields, false),
    row([0x08, 0x40], Sender::Ecr, "change baud rate", &[BAUD_RATE], Rest::Fields, false),
    row([0x08, 0x50], Sender::Ecr, "activate motor card reader", &[], Rest::Fields, false),
    row([0x0F, 0x10], Sender::Ecr, "till report (card complete)", &[PASSWORD], Rest::Fields, false),
    row([0x0F, 0x11], Sender::Ecr, "system info (vendor)", &[PASSWORD], Rest::Fields, false),
    row([0x0F, 0xA1], Sender::Ecr, "device functions (Feig)", &[FUNCTION], Rest::Opaque, false),
    row([0x0F, 0xCA], Sender::Ecr, "chip activator (vendor)", &[], Rest::Opaque, false),
];

/// The row of a command, `None` when the standard does not list it.
pub fn lookup(control: ControlField) -> Option<&'static CommandRow> {
    COMMANDS.binary_search_by_key(&control, |row| row.control).ok().and_then(|place| COMMANDS.get(place))
}

const PASSWORD: Positional = Positional { name: "password", size: 3, encoding: Bcd };
const NEW_PASSWORD: Positional = Positional { name: "new password", size: 3, encoding: Bcd };
const CONFIG_BYTE: Positional = Positional { name: "config byte", size: 1, encoding: BitField };
const CURRENCY: Positional = Positional { name: "currency", size: 2, encoding: Bcd };
const STATUS: Positional = Positional { name: "status", size: 1, encoding: Binary };
const TIMEOUT_MINUTES: Positional = Positional { name: "timeout in minutes", size: 1, encoding: Bcd };
const TIMEOUT_SECONDS: Positional = Positional { name: "timeout in seconds", size: 1, encoding: Binary };
const RESULT_CODE: Positional = Positional { name: "result code", size: 1, encoding: Binary };
const CARD_ID: Positional = Positional { name: "prepaid card id", size: 2, encoding: Bcd };
const PAYMENT_MODE: Positional = Positional { name: "payment mode", size: 1, encoding: Binary };
const FROM: Positional = Positional { name: "first receipt", size: 2, encoding: Bcd };
const TO: Positional = Positional { name: "last receipt", size: 2, encoding: Bcd };
const ATTRIBUTE: Positional = Positional { name: "line attribute", size: 1, encoding: BitField };
const PROTOCOL: Positional = Positional { name: "protocol", size: 1, encoding: Binary };
const LANGUAGE: Positional = Positional { name: "language", size: 1, encoding: Binary };
const BAUD_RATE: Positional = Positional { name: "baud rate", size: 1, encoding: Binary };
const FUNCTION: Positional = Positional { name: "function", size: 2, encoding: Binary };

const fn row(
    control: ControlField,
    sender: Sender,
    name: &'static str,
    positional: &'static [Positional],
    rest: Rest,
    moves_money: bool,
) -> CommandRow {
    CommandRow { control, sender, name, positional, rest, moves_money }
}
