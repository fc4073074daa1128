//! How a payment moves on: the journal first, then metrics and log, then whoever waits.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tillswitch_core::{Cause, DriverError, Evidence, Outcome, Reason};

use crate::code::Code;
use crate::journal::{Actor, End, Incident, Journal, JournalError, Payment, State, Verdict};
use crate::live::Live;
use crate::metrics::Metrics;

/// Journal, metrics and the running payments: what every step of a payment needs. Cheap to clone.
#[derive(Clone)]
pub struct Life {
    /// Where it is written down.
    pub journal: Arc<dyn Journal>,
    /// Where it is counted.
    pub metrics: Metrics,
    /// Who is under way.
    pub live: Live,
}

impl Life {
    /// Writes an end down and brings `payment` up to date. On [`JournalError::WrongState`] somebody else was first: `payment`
    /// is then what the journal says.
    pub async fn finish(&self, payment: &mut Payment, end: End) -> Result<(), JournalError> {
        let before = payment.state;
        match self.journal.finish(payment.id, end.clone()).await {
            Ok(()) => {
                payment.state = end.state;
                payment.verdict = Some(end.verdict);
                payment.finished_at = Some(end.at);
                self.count(payment, before, &end.actor);
                report(payment, &end.actor, &end.evidence);
                Ok(())
            }
            Err(JournalError::WrongState { .. }) => self.read_again(payment).await,
            Err(error) => {
                self.note_health();
                Err(error)
            }
        }
    }

    /// Keeps a contradiction, and raises the alarm whether or not it can be kept.
    pub async fn incident(&self, payment: &Payment, message: String, said: Option<Outcome>) {
        tracing::error!(payment = %payment.id, terminal = %payment.terminal.name, "{message}");
        self.metrics.incident(&payment.terminal.name);
        let incident = Incident { at: SystemTime::now(), message, said };
        if let Err(error) = self.journal.incident(Some(payment.id), &payment.terminal.name, incident).await {
            tracing::error!(payment = %payment.id, "the incident could not be kept: {error}");
        }
    }

    /// Shows in the metrics whether a terminal answered, or what went wrong.
    pub fn note_contact(&self, terminal: &str, error: Option<&DriverError>) {
        match error {
            None => self.metrics.terminal_answered(terminal),
            Some(DriverError::NotStarted(reason) | DriverError::InDoubt(reason)) => {
                self.metrics.terminal_troubled(terminal, reason.cause);
            }
            Some(DriverError::Unsupported) => {}
        }
    }

    /// Shows in the metrics whether the journal takes writes.
    pub fn note_health(&self) {
        self.metrics.journal_read_only(matches!(self.journal.health(), Err(JournalError::ReadOnly(_))));
    }

    async fn read_again(&self, payment: &mut Payment) -> Result<(), JournalError> {
        let found = self.journal.payment(payment.id).await?;
        *payment = found.ok_or(JournalError::UnknownPayment(payment.id))?;
        Ok(())
    }

    fn count(&self, payment: &Payment, before: State, by: &Actor) {
        let since = payment.dispatched_at.unwrap_or(payment.received_at);
        let took = payment.finished_at.and_then(|end| end.duration_since(since).ok()).unwrap_or(Duration::ZERO);
        self.metrics.outcome(&payment.register, payment.operation, payment.state, took);
        if payment.state == State::InDoubt {
            self.metrics.doubt_began(payment);
        } else if before == State::InDoubt {
            self.metrics.doubt_ended(payment, by);
        }
        if let Some(Verdict::Said { outcome: Outcome::Declined(details) }) = &payment.verdict {
            self.metrics.declined(&payment.terminal.name, &details.code);
        }
    }
}

fn report(payment: &Payment, actor: &Actor, evidence: &str) {
    let (id, state) = (payment.id, payment.state);
    let (register, terminal, amount) = (&payment.register, &payment.terminal.name, payment.amount);
    match state {
        State::InDoubt => {
            tracing::error!(payment = %id, %register, %terminal, %amount, %state, %actor, "payment in doubt: {evidence}");
        }
        State::Failed | State::Expired => {
            tracing::warn!(payment = %id, %register, %terminal, %amount, %state, %actor, "payment {state}: {evidence}");
        }
        State::Approved | State::Declined | State::Cancelled | State::Received | State::Dispatched => {
            tracing::info!(payment = %id, %register, %terminal, %amount, %state, %actor, "payment {state}: {evidence}");
        }
    }
}

/// The end that a driver's answer to `execute` makes.
pub fn end_of(result: Result<Outcome, DriverError>, at: SystemTime) -> End {
    match result {
        Ok(outcome) => said(outcome, Actor::Driver, at),
        Err(DriverError::NotStarted(reason)) => {
            because(State::Failed, code_of(reason.cause), reason.message, Actor::Driver, at)
        }
        Err(DriverError::Unsupported) => {
            let message = "this terminal cannot do that; do it at the terminal itself".to_owned();
            because(State::Failed, Code::Unsupported, message, Actor::Driver, at)
        }
        Err(DriverError::InDoubt(reason)) => in_doubt(reason, Actor::Driver, at),
    }
}

/// The end of a payment whose outcome is missing.
pub fn in_doubt(reason: Reason, actor: Actor, at: SystemTime) -> End {
    because(State::InDoubt, Code::InDoubt, reason.message, actor, at)
}

/// The end that the terminal's own word makes.
pub fn said(outcome: Outcome, actor: Actor, at: SystemTime) -> End {
    let state = match outcome {
        Outcome::Approved(_) => State::Approved,
        Outcome::Declined(_) => State::Declined,
        Outcome::Cancelled(_) => State::Cancelled,
    };
    let details = outcome.details();
    let evidence = format!("the terminal said {} ({})", details.message, details.code);
    End { state, verdict: Verdict::Said { outcome }, actor, at, evidence, release_keys: false }
}

/// The end of a payment in doubt that provably moved no money.
pub fn not_charged(evidence: Evidence, at: SystemTime) -> End {
    because(State::Failed, Code::TerminalUnreachable, evidence.message, Actor::Recovery, at)
}

/// An end without an outcome.
pub fn because(state: State, code: Code, message: String, actor: Actor, at: SystemTime) -> End {
    End { state, evidence: message.clone(), verdict: Verdict::because(code, message), actor, at, release_keys: false }
}

/// The word for programs that stands for a driver's trouble.
fn code_of(cause: Cause) -> Code {
    match cause {
        Cause::Unreachable | Cause::LinkLost | Cause::NoAnswer | Cause::Garbage => Code::TerminalUnreachable,
        Cause::Busy => Code::TerminalBusy,
        Cause::Refused | Cause::Contradiction => Code::TerminalRefused,
        Cause::Unsupported => Code::Unsupported,
        Cause::WrongCurrency => Code::WrongCurrency,
        Cause::NotStored => Code::JournalUnavailable,
        Cause::DriverLost => Code::TerminalUnreachable,
    }
}
