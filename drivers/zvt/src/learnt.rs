//! What is known of the PT's last booking, and what of it a payment remembers.

use tillswitch_core::{Approval, Currency, Money, NotStored, Notes, Session};

use crate::charset::Charset;
use crate::clock::{MonthDay, TimeOfDay};
use crate::fields::Fields;
use crate::messages;

const TERMINAL_ID: &str = "zvt.terminal_id";
const PREVIOUS_RECEIPT: &str = "zvt.previous_receipt";
const PREVIOUS_TRACE: &str = "zvt.previous_trace";
const PREVIOUS_TIME: &str = "zvt.previous_time";
const LEARNT: &str = "zvt.learnt";
const CLOCK_DIFFERENCE: &str = "zvt.clock_difference";
const ACKNOWLEDGED: &str = "zvt.acknowledged";
const YES: &str = "yes";
const NO_LONGER: &str = "no longer";

/// What stands in BMP 87 where there is no receipt.
const NO_RECEIPT: &str = "0000";

/// A last booking as 06 20 tells it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reading {
    pub result_code: Option<u8>,
    pub terminal_id: Option<String>,
    pub receipt: Option<String>,
    pub trace: Option<String>,
    /// Of the payment that was reversed; only reversals have one.
    pub original_trace: Option<String>,
    pub amount_minor: Option<u64>,
    pub currency: Option<u16>,
    pub at: Option<(MonthDay, TimeOfDay)>,
    /// The booking to show to a person, where the PT calls it a success.
    pub booking: Option<Approval>,
}

impl Reading {
    pub fn new(fields: &Fields, currency: Currency, charset: Charset) -> Reading {
        let amount_minor = fields.amount_minor();
        let succeeded = fields.result_code() == Some(0);
        let amount = amount_minor.filter(|_| succeeded).map(|minor| Money::from_minor(minor, currency));
        Reading {
            result_code: fields.result_code(),
            terminal_id: fields.terminal_id(),
            receipt: fields.receipt_number(),
            trace: fields.trace_number(),
            original_trace: fields.original_trace_number(),
            amount_minor,
            currency: fields.currency(),
            at: fields.date().zip(fields.time()),
            booking: amount.map(|amount| messages::approval(amount, fields, charset)),
        }
    }
}

impl Reading {
    /// Whether both readings show the same booking. Some PTs date a repetition anew.
    pub fn shows_the_booking_of(&self, other: &Reading) -> bool {
        let numbers = |reading: &Reading| (reading.receipt.clone(), reading.trace.clone(), reading.terminal_id.clone());
        let money = |reading: &Reading| (reading.result_code, reading.amount_minor, reading.currency);
        numbers(self) == numbers(other) && money(self) == money(other)
    }
}

/// How the last booking became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// The last payment on this connection.
    Answer,
    /// 06 20.
    Repetition,
    /// The PT does not tell, or has booked nothing yet.
    NotTold,
    /// Told, yet worth little: payments may be started at the keypad meanwhile.
    KeypadOpen,
}

impl How {
    const ALL: [How; 4] = [How::Answer, How::Repetition, How::NotTold, How::KeypadOpen];

    fn name(self) -> &'static str {
        match self {
            How::Answer => "answer",
            How::Repetition => "06 20",
            How::NotTold => "not told",
            How::KeypadOpen => "keypad open",
        }
    }
}

/// The PT's last booking before a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Learnt {
    pub receipt: Option<String>,
    pub trace: Option<String>,
    /// When it was made by the PT's own clock, in the form of [`messages::clock_text`].
    pub time: Option<String>,
    pub how: How,
}

impl Learnt {
    /// Whether a result is that of this booking. A terminal that has begun to count anew may come upon the same receipt number
    /// once more, but not with the same trace number.
    pub fn is_told_by(&self, fields: &Fields) -> bool {
        let is_same = |receipt: &String| receipt != NO_RECEIPT && fields.receipt_number().as_ref() == Some(receipt);
        let traces = self.trace.as_ref().zip(fields.trace_number());
        self.receipt.as_ref().is_some_and(is_same) && traces.is_none_or(|(before, now)| *before == now)
    }
}

/// What a payment remembers before its command leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub terminal_id: Option<String>,
    pub previous: Learnt,
    /// How many seconds the PT's clock is ahead of ours.
    pub clock_difference: Option<i64>,
}

impl Remembered {
    pub fn to_notes(&self) -> Vec<(&'static str, String)> {
        let known = [
            (TERMINAL_ID, self.terminal_id.clone()),
            (PREVIOUS_RECEIPT, self.previous.receipt.clone()),
            (PREVIOUS_TRACE, self.previous.trace.clone()),
            (PREVIOUS_TIME, self.previous.time.clone()),
            (LEARNT, Some(self.previous.how.name().to_owned())),
            (CLOCK_DIFFERENCE, self.clock_difference.map(|seconds| seconds.to_string())),
        ];
        known.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }

    /// `None` when this payment remembered nothing.
    pub fn from_notes(notes: &Notes) -> Option<Remembered> {
        let text = |key| notes.get(key).map(str::to_owned);
        let how = notes.get(LEARNT)?;
        let how = How::ALL.into_iter().find(|known| known.name() == how)?;
        Some(Remembered {
            terminal_id: text(TERMINAL_ID),
            previous: Learnt {
                receipt: text(PREVIOUS_RECEIPT),
                trace: text(PREVIOUS_TRACE),
                time: text(PREVIOUS_TIME),
                how,
            },
            clock_difference: notes.get(CLOCK_DIFFERENCE).and_then(|text| text.parse().ok()),
        })
    }
}

/// Remembered at the end of a payment in doubt whose approval was acknowledged. It only spares `resolve` a second look, so a
/// journal that does not take it does no harm.
pub(crate) async fn remember_acknowledgement(session: &mut dyn Session) {
    if let Err(error) = session.remember(ACKNOWLEDGED, YES).await {
        tracing::warn!("that the approval was acknowledged is not remembered: {error}");
    }
}

/// Whether the PT surely holds the approval for good.
pub(crate) fn is_acknowledged(notes: &Notes) -> bool {
    notes.get(ACKNOWLEDGED) == Some(YES)
}

/// A result that is told once more and sent back may be that of this payment, and may be taken back for it.
pub(crate) async fn forget_acknowledgement(session: &mut dyn Session) -> Result<(), NotStored> {
    match is_acknowledged(session.notes()) {
        true => session.remember(ACKNOWLEDGED, NO_LONGER).await,
        false => Ok(()),
    }
}

/// The receipt number after this one; 0000 is none, so 9999 is followed by 0001.
pub(crate) fn next_receipt(receipt: &str) -> Option<String> {
    match receipt.parse::<u16>().ok()? {
        9999 => Some("0001".into()),
        number @ 0..9999 => Some(format!("{:04}", number + 1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_survives_the_notes() {
        for how in How::ALL {
            let previous =
                Learnt { receipt: Some("0042".into()), trace: None, time: Some("02-16 12:00:00".into()), how };
            let remembered =
                Remembered { terminal_id: Some("29001612".into()), previous, clock_difference: Some(-3600) };
            let notes = remembered.to_notes().into_iter().collect();
            assert_eq!(Remembered::from_notes(&notes), Some(remembered));
        }
        assert_eq!(Remembered::from_notes(&Notes::default()), None);
    }

    #[test]
    fn receipt_numbers_wrap() {
        for (receipt, next) in [("0042", Some("0043")), ("9999", Some("0001")), ("0999", Some("1000")), ("x", None)] {
            assert_eq!(next_receipt(receipt).as_deref(), next);
        }
    }
}
