//! How the PT's fields become the words of core: outcomes, details, progress.

use tillswitch_core::{Approval, Card, Cause, Details, Money, Outcome, Progress, Reason};

use crate::charset::Charset;
use crate::clock::{MonthDay, TimeOfDay};
use crate::fields::Fields;
use crate::reply::{Abort, IntermediateStatus};
use crate::tables::result_codes::{self, Category};
use crate::tables::{Wording, intermediate_status};

/// A longer run of digits may be a card number and is not passed on.
const LONGEST_NUMBER: usize = 12;

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
    let cause = if is_busy(code) { Cause::Busy } else { Cause::Refused };
    Reason::new(cause, format!("the terminal did not begin: {}", explained(code)))
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

fn message(code: u8, fields: &Fields, charset: Charset) -> String {
    let own = fields.message(charset).map(|text| scrubbed(&one_line(&text))).filter(|text| !text.is_empty());
    own.unwrap_or_else(|| result_codes::wording(code).english.to_owned())
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
mod tests {
    use super::*;

    #[test]
    fn card_numbers_in_texts_are_scrubbed() {
        for (text, expected) in [
            ("GEN.NR.:482948", "GEN.NR.:482948"),
            ("4111 1111 1111 1111", "**** **** **** 1111"),
            ("4111-1111-1111-1111 ok", "****-****-****-1111 ok"),
            ("Karte 4111111111111112 gesperrt", "Karte ************1112 gesperrt"),
            ("4111111111111", "*********1111"),
            ("6304000000000000000", "***************0000"),
            ("12345678901234567890123", "*******************0123"),
            ("123456789012", "123456789012"),
            ("Beleg 0343 Trace 000087", "Beleg 0343 Trace 000087"),
        ] {
            assert_eq!(scrubbed(text), expected);
        }
    }

    #[test]
    fn the_cashier_sees_no_card_number() {
        fn check(text: Option<&str>, expected: &str) {
            let text = text.map(str::to_owned);
            let status = IntermediateStatus { code: 0x0A, timeout_minutes: None, text };
            assert_eq!(progress(&status).message, expected);
        }
        check(Some("Karte\n4111111111111111\nunlesbar"), "Karte ************1111 unlesbar");
        check(Some("Karte vorhalten"), "Karte vorhalten");
        check(None, intermediate_status::wording(0x0A).unwrap().english);
    }

    #[test]
    fn the_terminals_own_words_come_first() {
        fn check(code: u8, text: Option<&str>, expected: &str) {
            let fields = match text {
                Some(text) => Fields::new().with_additional_text(text, Charset::Cp437).unwrap(),
                None => Fields::new(),
            };
            assert_eq!(refusal(code, &fields, Charset::Cp437).details().message, expected);
        }
        check(0x05, Some("Abgelehnt\nbitte andere Karte"), "Abgelehnt bitte andere Karte");
        check(0x05, None, "refused by the bank");
        check(0x05, Some("4111111111111111"), "************1111");
        check(0x78, None, "the card has expired");
    }

    #[test]
    fn only_the_stop_key_is_a_cancellation() {
        let of = |code| refusal(code, &Fields::new(), Charset::Cp437).name().to_owned();
        assert_eq!((of(0x6C).as_str(), of(0x05).as_str(), of(0xFF).as_str()), ("cancelled", "declined", "declined"));
    }
}
