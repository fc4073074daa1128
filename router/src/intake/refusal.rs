//! What is a sender told whose webhook starts nothing?

use std::time::Duration;

use crate::answer::Answer;
use crate::code::Code;
use crate::config::UnknownRegister;
use crate::journal::Payment;
use crate::terminals::{Refusal, Terminal};

/// Why a new payment cannot begin now.
#[derive(Clone, Copy, Debug)]
pub(super) enum NotNow {
    /// Its terminal does not let it in.
    Terminal(Refusal),
    /// Its register has had more new payments than `new_payments_per_second`; so long until the next one.
    TooMany(Duration),
}

impl NotNow {
    pub(super) fn answer(self, register: &str, terminal: &Terminal) -> Answer {
        match self {
            NotNow::Terminal(refusal) => refused(refusal, terminal),
            NotNow::TooMany(wait) => {
                let message = format!(
                    "register {register:?} has more new payments than new_payments_per_second allows; nothing was started, \
                     send it again"
                );
                tracing::warn!(register, code = %Code::TooMany, "webhook refused: {message}");
                Answer::too_many(wait, message)
            }
        }
    }
}

/// A sender whose signatures keep failing.
pub(super) fn strained(wait: Duration) -> Answer {
    let message =
        "too many requests of this address had no good signature; this one was not looked at, compare the keys";
    Answer::too_many(wait, message)
}

pub(super) fn unknown_register(unknown: UnknownRegister) -> Answer {
    let code = if unknown.project.is_some() { Code::UnknownRegister } else { Code::AmbiguousRegister };
    tracing::warn!(%code, "webhook refused: {unknown}");
    Answer::error(404, code, unknown.to_string())
}

fn refused(refusal: Refusal, terminal: &Terminal) -> Answer {
    let name = terminal.name();
    let (code, message) = match refusal {
        Refusal::InDoubt => (
            Code::TerminalInDoubt,
            format!(
                "a payment on terminal {name:?} is in doubt; look at the terminal, it takes no other until that is settled"
            ),
        ),
        Refusal::Busy => (Code::TerminalBusy, format!("terminal {name:?} is busy and its queue is full; try again")),
        Refusal::Stopping => (Code::ShuttingDown, "the router is stopping; send it again in a minute".to_owned()),
        Refusal::Removed => {
            (Code::TerminalBusy, format!("terminal {name:?} was taken out of the configuration; send it again"))
        }
    };
    tracing::warn!(terminal = %name, %code, "webhook refused: {message}");
    Answer::come_again(code, message)
}

pub(super) fn conflict(code: Code, first: &Payment) -> Answer {
    let (id, state) = (first.id, first.state);
    let message = match code {
        Code::ConflictingRepeat => {
            format!("this event was here before with other content, as payment {id}; nothing was started")
        }
        Code::DocumentInDoubt => {
            format!(
                "payment {id} of this document is in doubt; look at the terminal and settle that first, do not press again"
            )
        }
        Code::OverRefund => format!("more would go back than payment {id} brought in; nothing was started"),
        _ => format!(
            "payment {id} of this document and amount is {state}: this looks like a second press, nothing was started"
        ),
    };
    tracing::warn!(payment = %id, %code, "webhook refused: {message}");
    Answer::conflict(code, message, first)
}
