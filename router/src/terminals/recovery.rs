//! What became of the payments in doubt: when a terminal is asked, and what its answer makes of them.

use std::sync::Arc;
use std::time::Duration;

use tillswitch_core::{
    AbortHandle, Cause, DriverError, Evidence, PaymentId, Reason, Resolution, TerminalDriver, wall_clock,
};
use tokio::time::{Instant, timeout};
use tracing::Instrument;

use super::attempt::{mismatch, request_of};
use super::session::JournalSession;
use crate::config::TerminalConfig;
use crate::journal::{Actor, JournalError, Payment, State};
use crate::life::{self, Life};
use crate::log::TERMINAL_SPAN;

/// Pauses before the second, third … question.
const PAUSES: [Duration; 6] = [
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(300),
];
/// A question takes no longer than this: a driver's own limits are shorter.
const QUESTION_LIMIT: Duration = Duration::from_secs(120);

/// The payments of one terminal that are in doubt and being asked about.
#[derive(Debug, Default)]
pub(super) struct Doubts(Vec<Doubt>);

/// One of them.
#[derive(Debug)]
pub(super) struct Doubt {
    pub payment: Payment,
    asked: usize,
    next: Instant,
}

impl Doubts {
    /// Adds one; it is asked about at once.
    pub fn add(&mut self, payment: Payment) {
        self.0.push(Doubt { payment, asked: 0, next: Instant::now() });
    }

    /// Takes the one that is due, oldest first.
    pub fn take_due(&mut self) -> Option<Doubt> {
        let now = Instant::now();
        let place = self.0.iter().position(|doubt| doubt.next <= now)?;
        Some(self.0.remove(place))
    }

    /// Puts one back that is still open, to be asked about later.
    pub fn put_back(&mut self, mut doubt: Doubt) {
        doubt.next = Instant::now() + PAUSES[doubt.asked.min(PAUSES.len() - 1)];
        doubt.asked += 1;
        self.0.push(doubt);
        self.0.sort_by_key(|doubt| doubt.payment.id);
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<Instant> {
        self.0.iter().map(|doubt| doubt.next).min()
    }

    /// Whether this payment waits here, and how often its terminal was asked about it.
    pub fn asked(&self, id: PaymentId) -> Option<usize> {
        self.0.iter().find(|doubt| doubt.payment.id == id).map(|doubt| doubt.asked)
    }

    /// Forgets a payment that somebody has settled.
    pub fn forget(&mut self, id: PaymentId) {
        self.0.retain(|doubt| doubt.payment.id != id);
    }

    /// What is still open, when nobody will ask any more.
    pub fn into_payments(self) -> Vec<Payment> {
        self.0.into_iter().map(|doubt| doubt.payment).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What is left after a question.
pub(super) struct Asked {
    /// The driver, unless it was lost.
    pub driver: Option<Box<dyn TerminalDriver>>,
    /// The payment, if it must be asked about again.
    pub open: Option<Doubt>,
}

/// Asks once, and writes down what the answer decides.
pub(super) async fn ask(
    config: Arc<TerminalConfig>,
    life: Life,
    driver: Box<dyn TerminalDriver>,
    mut doubt: Doubt,
) -> Asked {
    let (driver, answer) = match life.journal.payment(doubt.payment.id).await {
        Ok(Some(payment)) if payment.state == State::InDoubt && !payment.waits_for_person => {
            doubt.payment = payment;
            question(&config, &life, driver, &doubt.payment).await
        }
        // Somebody has settled it meanwhile.
        Ok(_) => return Asked { driver: Some(driver), open: None },
        Err(error) => {
            tracing::warn!(payment = %doubt.payment.id, "the journal cannot be read: {error}");
            return Asked { driver: Some(driver), open: Some(doubt) };
        }
    };
    life.note_contact(&config.name, answer.as_ref().err());
    let open = match settle(&life, &mut doubt.payment, answer).await {
        Ok(true) => None,
        Ok(false) => Some(doubt),
        Err(error) => {
            tracing::error!(payment = %doubt.payment.id, "what the terminal said could not be written down: {error}");
            Some(doubt)
        }
    };
    Asked { driver, open }
}

async fn question(
    config: &TerminalConfig,
    life: &Life,
    mut driver: Box<dyn TerminalDriver>,
    payment: &Payment,
) -> (Option<Box<dyn TerminalDriver>>, Result<Resolution, DriverError>) {
    let request = match original(life, payment).await {
        Ok(original) => request_of(payment, original.as_ref()),
        Err(error) => return (Some(driver), Err(DriverError::in_doubt(Cause::NotStored, error.to_string()))),
    };
    let mut session = JournalSession {
        id: payment.id,
        terminal: config.name.as_str().into(),
        life: life.clone(),
        notes: payment.notes.clone(),
        abort: AbortHandle::new().abort(),
        display: None,
    };
    let asking = async move {
        let answer = driver.resolve(&request, &mut session).await;
        (driver, answer)
    };
    let running = tokio::spawn(asking.instrument(tracing::info_span!(TERMINAL_SPAN, name = %config.name)));
    let abort = running.abort_handle();
    match timeout(QUESTION_LIMIT, running).await {
        Ok(Ok((driver, answer))) => (Some(driver), answer),
        Ok(Err(_)) => (None, Err(DriverError::in_doubt(Cause::DriverLost, "the driver crashed while it asked"))),
        Err(_) => {
            abort.abort();
            (None, Err(DriverError::in_doubt(Cause::NoAnswer, "the driver took too long to ask")))
        }
    }
}

async fn original(life: &Life, payment: &Payment) -> Result<Option<Payment>, JournalError> {
    match payment.original {
        Some(id) => life.journal.payment(id).await,
        None => Ok(None),
    }
}

/// Writes down what the answer decides. `true`: nothing more is to be asked.
async fn settle(
    life: &Life,
    payment: &mut Payment,
    answer: Result<Resolution, DriverError>,
) -> Result<bool, JournalError> {
    let now = wall_clock::now();
    match answer {
        Ok(Resolution::Known(outcome)) => {
            life.finish(payment, life::said(outcome, Actor::Recovery, now)).await?;
            if let Some(message) = mismatch(payment) {
                life.incident(payment, message, None).await;
            }
        }
        Ok(Resolution::NotCharged(evidence)) => life.finish(payment, life::not_charged(evidence, now)).await?,
        Ok(Resolution::Undecided(evidence)) => leave(life, payment, evidence).await?,
        Err(DriverError::Unsupported) => {
            let evidence =
                Evidence::new("this kind of terminal cannot be asked; look at its slips or its merchant portal");
            leave(life, payment, evidence).await?;
        }
        Ok(Resolution::InProgress) => {
            tracing::debug!(payment = %payment.id, "the terminal is still at it");
            return Ok(false);
        }
        Err(DriverError::NotStarted(reason) | DriverError::InDoubt(reason)) => {
            could_not_ask(payment, &reason);
            return Ok(false);
        }
    }
    Ok(true)
}

fn could_not_ask(payment: &Payment, reason: &Reason) {
    tracing::warn!(payment = %payment.id, terminal = %payment.terminal.name, "the terminal could not be asked: {reason}");
}

/// Leaves a payment to a person: it stays in doubt, its terminal is free.
pub(super) async fn leave(life: &Life, payment: &Payment, evidence: Evidence) -> Result<(), JournalError> {
    let text = match &evidence.candidate {
        Some(candidate) => {
            let receipt = candidate.details.receipt_number.as_deref().unwrap_or("unknown");
            format!("{}; the terminal shows {} with receipt {receipt}", evidence.message, candidate.amount)
        }
        None => evidence.message,
    };
    tracing::error!(payment = %payment.id, terminal = %payment.terminal.name, "a person must settle this payment: {text}");
    life.journal.leave_to_person(payment.id, text).await?;
    life.announce(&Payment { waits_for_person: true, ..payment.clone() });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_grow_to_five_minutes() {
        let seconds: Vec<u64> = PAUSES.iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, [2, 5, 10, 30, 60, 300]);
    }
}
