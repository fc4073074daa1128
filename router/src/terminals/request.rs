//! What somebody else may want of a terminal's task.

use std::sync::Arc;

use tillswitch_core::{DriverError, PaymentId};
use tokio::sync::oneshot;

use super::gate::{Place, Refusal};
use super::maintenance::{Report, Work};
use crate::config::TerminalConfig;
use crate::desk::Person;
use crate::journal::{End, JournalError, Payment};

/// A request to the task of a terminal. Each is answered; a dropped answer means that the task is gone.
#[allow(clippy::large_enum_variant)] // a handful of them is under way
pub(super) enum Request {
    /// Do this, at once: the place is kept for it.
    Maintain { work: Work, place: Place, answer: oneshot::Sender<Result<Report, DriverError>> },
    /// Stop this payment.
    Abort { id: PaymentId, person: Person, answer: oneshot::Sender<AbortAnswer> },
    /// A person says what became of this payment.
    Settle { id: PaymentId, end: End, force: bool, answer: oneshot::Sender<Result<Payment, NotSettled>> },
    /// Work with these settings from the next quiet moment on. Answered when it does.
    Configure { config: Arc<TerminalConfig>, answer: oneshot::Sender<()> },
}

/// What became of the wish to stop a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortAnswer {
    /// It had not started; it never will.
    Cancelled,
    /// The terminal was asked; the outcome decides.
    Asked,
    /// It is not running here.
    NotRunning,
}

/// Why a person's word about a payment was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSettled {
    /// The terminal is being asked, or was never asked.
    StillAsking,
    /// The payment is not in doubt (any more).
    NotInDoubt(Box<str>),
    /// It could not be written down.
    Journal(JournalError),
}

/// Why a terminal does not do what was asked of it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// It is at something else, in doubt or closing.
    Refused(Refusal),
    /// The driver says why.
    Driver(DriverError),
    /// Its task is gone: the router is stopping.
    Gone,
}
