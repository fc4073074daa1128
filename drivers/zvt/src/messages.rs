//! How the PT's fields become the words of core: outcomes, details, progress.

use tillswitch_core::{Approval, Card, Cause, Details, Money, Outcome, Progress, Reason};

use crate::charset::Charset;
use crate::clock::{MonthDay, TimeOfDay};
use crate::fields::Fields;
use crate::reply::{Abort, IntermediateStatus};
use crate::tables::result_codes::{self, Category};
use crate::tables::{Wording, intermediate_status, remedies};
use crate::tlv;

/// 84 83: the PT does not know the command.
const UNKNOWN_COMMAND: u8 = 0x83;

/// A longer run of digits may be a card number and is not passed on.
const LONGEST_NUMBER: usize = 12;

/// What terminals of card complete say to a wrong password in 84 xx, where it is no code of the host.
const WRONG_PASSWORD: u8 = 0x37;

/// The code that means: look at 1F16 and 1F17.
const SYSTEM_FAULT: u8 = 0xFF;

/// What is longer is no error code (1F16).
const LONGEST_VENDOR_CODE: usize = 4;

/// An approval of `amount`, with what the PT said besides. Its own text is for the slip then: approval codes and the like.
pub(crate) fn approval(amount: Money, fields: &Fields, charset: Charset) -> Approval {
    Approval { amount, details: Details { message: "approved".into(), ..details(0, fields, charset) } }
}

/// What a result code other than 00 means for the payment.
pub(crate) fn refusal(code: u8, fields: &Fields, charset: Charset) -> Outcome {
    let details = Details { message: message(code, fields, charset), ..details(code, fields, charset) };
    match result_codes::category(code) {
        Category::User => Outcome::Cancelled(details),
        Category::Success
        | Category::Host
        | Category::Card
        | Category::Device
        | Category::Batch
        | Category::Protocol
        | Category::Amount
        | Category::Key
        | Category::Communication
        | Category::Busy
        | Category::Reversal
        | Category::PreAuthorization
        | Category::Maintenance
        | Category::Fuel
        | Category::Other => Outcome::Declined(details),
    }
}

/// What a 06 1E without any 04 0F means for the payment.
pub(crate) fn aborted(abort: &Abort, charset: Charset) -> Outcome {
    refusal(abort.code, &abort.fields, charset)
}

/// Whether a negative answer means "later" and not "no".
pub(crate) fn is_busy(code: u8) -> bool {
    matches!(code, 0x9C | 0xA0 | 0xE0)
}

/// Why a command was not begun.
pub(crate) fn refused(code: u8) -> Reason {
    if code == UNKNOWN_COMMAND {
        let remedy = "after an update, ZVT may have to be switched on again in its menu";
        return Reason::new(
            Cause::Refused,
            format!("the terminal does not know this command (83), or may not run it; {remedy}"),
        );
    }
    let cause = if is_busy(code) { Cause::Busy } else { Cause::Refused };
    let why = match code {
        WRONG_PASSWORD => "its password is wrong (code 37); check `password` in the terminal's settings".into(),
        _ => advised(code),
    };
    Reason::new(cause, format!("the terminal did not begin: {why}"))
}

/// Why nothing more was asked of the PT before a payment.
pub(crate) fn stopped() -> Reason {
    Reason::new(Cause::Refused, "stopped before the terminal had started")
}

/// A line for the cashier. The PT's own words come first.
pub(crate) fn progress(status: &IntermediateStatus) -> Progress {
    let own = status.text.as_deref().map(|text| scrubbed(&one_line(text))).filter(|text| !text.is_empty());
    let table = || intermediate_status::wording(status.code).map(|wording| wording.english.to_owned());
    let message = own.or_else(table).unwrap_or_else(|| "please look at the terminal".into());
    Progress { code: Some(format!("{:02x}", status.code)), message }
}

/// A code as users see it: two lower-case hex digits.
pub(crate) fn code_text(code: u8) -> String {
    format!("{code:02x}")
}

/// The table's sentence about a code, with the code.
pub(crate) fn explained(code: u8) -> String {
    let Wording { english, .. } = result_codes::wording(code);
    format!("{english} (code {code:02x})")
}

/// The table's sentence about a code, with the code, and what to do.
pub(crate) fn advised(code: u8) -> String {
    with_remedy(explained(code), code)
}

/// The PT's clock as text; it has no year.
pub(crate) fn clock_text(date: MonthDay, time: TimeOfDay) -> String {
    let TimeOfDay { hour, minute, second } = time;
    format!("{:02}-{:02} {hour:02}:{minute:02}:{second:02}", date.month, date.day)
}

fn details(code: u8, fields: &Fields, charset: Charset) -> Details {
    Details {
        code: code_text(code),
        message: String::new(),
        receipt_number: fields.receipt_number(),
        trace_number: fields.trace_number(),
        terminal_id: fields.terminal_id(),
        authorization_code: fields.authorization_code(),
        terminal_time: fields.date().zip(fields.time()).map(|(date, time)| clock_text(date, time)),
        card: card(fields, charset),
        response: None,
    }
}

/// The PT's own words, else the table's; then what to do, which terminals seldom say.
fn message(code: u8, fields: &Fields, charset: Charset) -> String {
    let own = fields.message(charset).map(|text| scrubbed(&one_line(&text))).filter(|text| !text.is_empty());
    with_remedy(own.unwrap_or_else(|| worded(code, fields)), code)
}

/// A system fault says nothing by itself; the vendor's own code does to his service.
fn worded(code: u8, fields: &Fields) -> String {
    let english = result_codes::wording(code).english;
    let tlv = fields.tlv().unwrap_or_default();
    match tlv.find(&[tlv::tag::EXTENDED_ERROR_CODE]) {
        Some(vendor) if code == SYSTEM_FAULT && (1..=LONGEST_VENDOR_CODE).contains(&vendor.len()) => {
            let vendor: String = vendor.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{english} (vendor's code {vendor})")
        }
        _ => english.to_owned(),
    }
}

fn with_remedy(sentence: String, code: u8) -> String {
    match remedies::remedy(code) {
        Some(Wording { english, .. }) => format!("{sentence}; {english}"),
        None => sentence,
    }
}

fn card(fields: &Fields, charset: Charset) -> Option<Card> {
    let scheme = fields.card_scheme(charset).map(|scheme| scrubbed(&scheme));
    let card = Card { scheme, last4: fields.last4() };
    (card != Card::default()).then_some(card)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text without card numbers: of every run of 13 digits or more, across the blanks and dashes that cards print between
/// them, only the last four stay. Which of them pass the check digit's sum does not matter: a mistyped card is one too.
fn scrubbed(text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let mut run = Vec::new();
    for place in 0..=chars.len() {
        match chars.get(place) {
            Some('0'..='9') => run.push(place),
            Some(' ' | '-') => {}
            Some(_) | None => mask(&mut chars, &std::mem::take(&mut run)),
        }
    }
    chars.into_iter().collect()
}

fn mask(chars: &mut [char], run: &[usize]) {
    if run.len() > LONGEST_NUMBER {
        run[..run.len() - 4].iter().for_each(|place| chars[*place] = '*');
    }
}

#[cfg(test)]
mod tests;
