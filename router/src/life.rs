//! How a payment moves on: the journal first, then metrics and log, then whoever waits.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tillswitch_core::{Cause, DriverError, Evidence, Outcome, Reason, wall_clock};
use tokio::time::{Instant, sleep};

use crate::code::Code;
use crate::events::{Event, Events};
use crate::journal::{Actor, End, Incident, Journal, JournalError, Payment, State, Verdict};
use crate::live::Live;
use crate::metrics::Metrics;

/// How long a busy journal is asked again for a payment that has begun.
const PATIENCE: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Journal, metrics and the running payments: what every step of a payment needs. Cheap to clone.
#[derive(Clone)]
pub struct Life {
    /// Where it is written down.
    pub journal: Arc<dyn Journal>,
    /// Where it is counted.
    pub metrics: Metrics,
    /// Who is under way.
    pub live: Live,
    /// Who looks on.
    pub events: Events,
}

impl Life {
    /// Writes an end down and brings `payment` up to date. On [`JournalError::WrongState`] somebody else was first: `payment`
    /// is then what the journal says.
    pub async fn finish(&self, payment: &mut Payment, end: End) -> Result<(), JournalError> {
        match self.try_finish(payment, end.clone()).await {
            Err(JournalError::WrongState { .. }) => self.second(payment, end).await,
            result => result,
        }
    }

    /// The same for somebody who must know whether he was the first: on [`JournalError::WrongState`] nothing has changed.
    pub async fn try_finish(&self, payment: &mut Payment, end: End) -> Result<(), JournalError> {
        let before = payment.state;
        match persist(|| self.journal.finish(payment.id, end.clone())).await {
            Ok(()) => {
                payment.state = end.state;
                payment.verdict = Some(end.verdict);
                payment.finished_at = Some(end.at);
                self.count(payment, before, &end.actor);
                self.announce(payment);
                report(payment, &end.actor, &end.evidence);
                Ok(())
            }
            Err(error @ JournalError::WrongState { .. }) => Err(error),
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
        let terminal = payment.terminal.name.as_str().into();
        self.events.send(Event::Incident { terminal, payment: Some(payment.id), message: message.clone() });
        let incident = Incident { at: wall_clock::now(), message, said };
        if let Err(error) = self.journal.incident(Some(payment.id), &payment.terminal.name, incident).await {
            tracing::error!(payment = %payment.id, "the incident could not be kept: {error}");
        }
    }

    /// Calls for a person because of a terminal's own work, whether or not that can be kept.
    pub async fn alarm(&self, terminal: &str, message: String) {
        tracing::error!(%terminal, "{message}");
        self.metrics.incident(terminal);
        self.events.send(Event::Incident { terminal: terminal.into(), payment: None, message: message.clone() });
        let incident = Incident { at: wall_clock::now(), message, said: None };
        if let Err(error) = self.journal.incident(None, terminal, incident).await {
            tracing::error!(%terminal, "the alarm could not be kept: {error}");
        }
    }

    /// Tells whoever looks on how a payment stands.
    pub fn announce(&self, payment: &Payment) {
        if self.events.is_heard() {
            self.events.send(Event::Payment(Arc::new(payment.clone())));
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

    /// Somebody else was first. If they said something else, that is an incident; the state stays.
    async fn second(&self, payment: &mut Payment, end: End) -> Result<(), JournalError> {
        let found = self.journal.payment(payment.id).await?;
        *payment = found.ok_or(JournalError::UnknownPayment(payment.id))?;
        if payment.state != end.state {
            let said = match end.verdict {
                Verdict::Said { outcome } => Some(outcome),
                Verdict::Because { .. } => None,
            };
            let message =
                format!("{} says {} after it had become {}: {}", end.actor, end.state, payment.state, end.evidence);
            self.incident(payment, message, said).await;
        }
        Ok(())
    }

    fn count(&self, payment: &Payment, before: State, by: &Actor) {
        let since = payment.dispatched_at.unwrap_or(payment.received_at);
        let took = payment.finished_at.and_then(|end| end.duration_since(since).ok()).unwrap_or(Duration::ZERO);
        self.metrics.outcome(payment, payment.state, took);
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

/// Tries again while the journal is only busy: what a payment has come to must not be lost because somebody holds the file
/// for a few seconds.
pub async fn persist<F: Future<Output = Result<(), JournalError>>>(write: impl Fn() -> F) -> Result<(), JournalError> {
    let until = Instant::now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    loop {
        match write().await {
            Err(JournalError::Overloaded) if Instant::now() + pause < until => sleep(pause).await,
            result => return result,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
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
pub fn code_of(cause: Cause) -> Code {
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
