//! What the end of a payment's conversation means for the money.

use tillswitch_core::{Cause, Details, DriverError, Outcome};

use super::{End, Heard, Payment, SentBack};
use crate::messages;
use crate::reply::Abort;

/// Our own code for an approval of less than asked that we sent back.
const PARTIAL_REFUSED: &str = "partial-refused";

impl Payment {
    /// 06 0F alone. After an error it ends a payment that failed, unless the PT had gone on since and told no result of that:
    /// a result that was lost may have been an approval.
    pub(super) fn verdict_of_own_completion(&self) -> End {
        match (&self.sent_back, &self.heard) {
            (None, Heard::Failed(_)) if self.carried_on => Err(result_missing()),
            _ => self.verdict_of_completion(),
        }
    }

    /// Readiness in answer to 05 01, which stands for 06 0F. A line that gives a message up after its last repetition goes on
    /// without it: a PT that was at work after the error and tells no result may have told an approval.
    pub(super) fn verdict_of_readiness(&self) -> End {
        if self.asked.line_loses_messages { self.verdict_of_own_completion() } else { self.verdict_of_completion() }
    }

    /// 06 0F, or the readiness that stands for it.
    pub(super) fn verdict_of_completion(&self) -> End {
        match (&self.sent_back, &self.heard) {
            _ if self.repeats_previous => Err(told_of_before()),
            (Some(SentBack::NotStored), _) => Err(not_recorded()),
            (Some(SentBack::Unclear(why)), _) => Err(DriverError::in_doubt(Cause::Contradiction, *why)),
            (Some(SentBack::Partial), Heard::Failed(outcome)) => Ok(partial_refused(outcome.details())),
            (Some(SentBack::Partial), Heard::Nothing | Heard::Approved(_)) => Err(DriverError::in_doubt(
                Cause::Contradiction,
                "less than asked was sent back, yet the terminal ended without an error",
            )),
            (None, _) if self.contradicted => Err(contradiction()),
            (None, Heard::Approved(approval)) => Ok(Outcome::Approved(approval.clone())),
            (None, Heard::Failed(outcome)) => Ok(outcome.clone()),
            (None, Heard::Nothing) => Err(DriverError::in_doubt(
                Cause::Garbage,
                "the terminal ended without a result; look at the terminal's slip",
            )),
        }
    }

    /// 06 1E.
    pub(super) fn verdict_of_abort(&self, abort: &Abort) -> End {
        match (&self.sent_back, &self.heard) {
            _ if self.repeats_previous => Err(told_of_before()),
            (Some(SentBack::NotStored), _) => Err(not_recorded()),
            (Some(SentBack::Unclear(why)), _) => Err(DriverError::in_doubt(Cause::Contradiction, *why)),
            (Some(SentBack::Partial), Heard::Failed(outcome)) => Ok(partial_refused(outcome.details())),
            (Some(SentBack::Partial), Heard::Nothing) => Ok(partial_refused(&Details::default())),
            (Some(SentBack::Partial) | None, Heard::Approved(_)) => Err(contradiction()),
            (None, Heard::Failed(_) | Heard::Nothing) if self.contradicted => Err(contradiction()),
            (None, Heard::Failed(outcome)) => Ok(outcome.clone()),
            (None, Heard::Nothing) if abort.code == 0 => Err(contradiction()),
            (None, Heard::Nothing) => Ok(messages::aborted(abort, self.asked.charset)),
        }
    }
}

/// The end of an approval of less than asked that we sent back.
fn partial_refused(said: &Details) -> Outcome {
    let message = "the terminal approved less than was asked, so it was sent back";
    Outcome::Declined(Details { code: PARTIAL_REFUSED.into(), message: message.into(), ..said.clone() })
}

fn not_recorded() -> DriverError {
    let message = "the approval could not be stored, so the terminal was told to take it back";
    DriverError::in_doubt(Cause::NotStored, message)
}

fn result_missing() -> DriverError {
    let message = "the terminal went on after an error and ended well, yet told no result of that";
    DriverError::in_doubt(Cause::Contradiction, message)
}

fn contradiction() -> DriverError {
    DriverError::in_doubt(Cause::Contradiction, "the terminal approved and then said the opposite")
}

fn told_of_before() -> DriverError {
    let message = "the terminal told the result of the payment before this one again, and not surely that of this one";
    DriverError::in_doubt(Cause::Contradiction, message)
}
