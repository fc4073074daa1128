//! One payment at its terminal: from the place in front of it to an end that is on disk.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tillswitch_core::{
    AbortHandle, Cause, DriverError, Notes, Operation, Original, Outcome, PaymentRequest, Reason, TerminalDriver,
    wall_clock,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::Instrument;

use super::gate::{Gate, Place};
use super::session::JournalSession;
use super::stop::{Stages, Stop};
use crate::code::Code;
use crate::config::TerminalConfig;
use crate::desk::Person;
use crate::journal::{Actor, JournalError, Payment, State, Verdict};
use crate::life::{self, Life, persist};
use crate::live::{Entry, Progress};
use crate::log::TERMINAL_SPAN;
use crate::metrics::Stage;

/// How long a dropped driver may take to let go.
const LET_GO: Duration = Duration::from_secs(5);

/// A payment on its way to its terminal.
pub struct Job {
    /// As it stands in the journal: `received` or `dispatched`.
    pub payment: Payment,
    /// The payment that it undoes.
    pub original: Option<Box<Payment>>,
    /// Its place at the terminal.
    pub place: Place,
    /// Who waits for it.
    pub entry: Entry,
    /// When the request was received.
    pub received: Instant,
    /// If it has not started by then, it expires.
    pub queue_until: Instant,
    /// From then on the terminal is asked to stop.
    pub wait_until: Option<Instant>,
}

/// What is left of an attempt.
pub(super) struct Attempted {
    /// The driver, unless it was lost.
    pub driver: Option<Box<dyn TerminalDriver>>,
    /// The payment, if it is in doubt.
    pub doubt: Option<Payment>,
    /// Its end could not be written down: only a restart knows what became of it.
    pub unwritten: bool,
}

/// What an attempt needs besides the job and the driver.
pub(super) struct Attempt {
    pub config: Arc<TerminalConfig>,
    pub life: Life,
    pub gate: Gate,
    pub stop: watch::Receiver<Stop>,
    /// Whoever has the other half may ask the terminal to stop.
    pub abort: Arc<StopRequest>,
}

/// How a running command is asked to stop, and which person did.
#[derive(Default)]
pub(super) struct StopRequest {
    handle: AbortHandle,
    by: OnceLock<String>,
}

impl StopRequest {
    /// Asks for a person. The first one is named in the payment's history.
    pub fn ask_for(&self, person: &Person) {
        let _ = self.by.set(person.to_string());
        self.handle.request();
    }
}

impl Attempt {
    /// Runs the payment. Whatever happens, its end is on disk or whoever waits hears that it is not.
    pub async fn run(mut self, driver: Box<dyn TerminalDriver>, mut job: Box<Job>) -> Attempted {
        // Dropped before the job is, so that the door is shut before a panic gives the place back.
        let mut guard = ShutOnPanic { gate: self.gate.clone(), armed: true };
        let taken = Instant::now();
        job.place.start();
        if let Err(error) = self.dispatch(&mut job.payment).await {
            self.not_begun(job, error).await;
            guard.armed = false;
            return Attempted { driver: Some(driver), doubt: None, unwritten: false };
        }
        let in_progress = self.life.metrics.started(&job.payment);
        self.life.metrics.overhead(Stage::Dispatch, taken.elapsed());
        let (driver, result) = if Instant::now() < job.queue_until {
            self.execute(driver, &job).await
        } else {
            // The disk took so long that the answer may have gone out, or the customer may have.
            let message = "the journal took too long, so the terminal was not started; try again";
            (Some(driver), Err(DriverError::not_started(Cause::Busy, message)))
        };
        let outcome_at = Instant::now();
        self.life.note_contact(&self.config.name, result.as_ref().err());
        let mut payment = job.payment;
        let written = self.write_down(&mut payment, result).await;
        drop(in_progress);
        let doubt = (payment.state == State::InDoubt).then(|| payment.clone());
        let unwritten = written.is_err();
        // First the door is shut if need be, then the place is given back, then the end is told: whoever hears it may send
        // the next payment at once.
        if doubt.is_some() || unwritten {
            self.gate.set_in_doubt(true);
        }
        drop(job.place);
        job.entry.end(match written {
            Ok(()) => Progress::Ended(Arc::new(payment)),
            Err(error) => Progress::Unwritten(error.to_string().into()),
        });
        self.life.metrics.overhead(Stage::Reply, outcome_at.elapsed());
        guard.armed = false;
        Attempted { driver, doubt, unwritten }
    }

    async fn dispatch(&self, payment: &mut Payment) -> Result<(), JournalError> {
        if payment.state == State::Received {
            let journal = &self.life.journal;
            persist(|| journal.dispatch(payment.id)).await?;
            payment.state = State::Dispatched;
            payment.dispatched_at = Some(wall_clock::now());
            self.life.announce(payment);
        }
        Ok(())
    }

    /// The journal did not let it start: nothing was sent.
    async fn not_begun(&self, job: Box<Job>, error: JournalError) {
        self.life.note_health();
        let progress = match (&error, self.life.journal.payment(job.payment.id).await) {
            (JournalError::WrongState { .. }, Ok(Some(payment))) => Progress::Ended(Arc::new(payment)),
            (_, _) => Progress::NotBegun { code: Code::JournalUnavailable, message: error.to_string().into() },
        };
        job.entry.end(progress);
    }

    async fn execute(
        &mut self,
        driver: Box<dyn TerminalDriver>,
        job: &Job,
    ) -> (Option<Box<dyn TerminalDriver>>, Result<Outcome, DriverError>) {
        let asked = job.payment.amount.currency();
        if asked != self.config.currency {
            let message = format!(
                "terminal {:?} settles in {}, the payment is in {asked}; correct `currency` of the terminal or of the sale",
                self.config.name, self.config.currency
            );
            return (Some(driver), Err(DriverError::not_started(Cause::WrongCurrency, message)));
        }
        let span = tracing::info_span!(TERMINAL_SPAN, name = %self.config.name);
        let running = tokio::spawn(command(driver, request(job), self.session(job)).instrument(span));
        self.watch(running, job).await
    }

    fn session(&self, job: &Job) -> JournalSession {
        JournalSession {
            id: job.payment.id,
            terminal: self.config.name.as_str().into(),
            life: self.life.clone(),
            notes: Notes::default(),
            abort: self.abort.handle.abort(),
            display: Some(job.entry.display()),
        }
    }

    /// Waits for the command's end, asks it to stop when the answer's time is over, and drops it only at the payment's
    /// deadline or at the end of a shutdown's grace.
    async fn watch(
        &mut self,
        mut running: JoinHandle<Finished>,
        job: &Job,
    ) -> (Option<Box<dyn TerminalDriver>>, Result<Outcome, DriverError>) {
        let deadline = Instant::now() + self.config.payment_deadline;
        let mut wait_until = job.wait_until;
        let _never_left_alone = DropOnDrop(running.abort_handle());
        loop {
            tokio::select! {
                // A word that has come counts more than a time that is over in the same moment.
                biased;
                finished = &mut running => return finished_or_lost(finished),
                () = sleep_until(deadline) => {
                    let why = format!("no outcome within {} s (`payment_deadline`)", self.config.payment_deadline.as_secs());
                    return let_go(running, why).await;
                }
                () = self.stop.grace_is_over() => {
                    return let_go(running, "the router had to stop before the outcome".into()).await;
                }
                () = until(wait_until) => {
                    wait_until = None;
                    tracing::info!(payment = %job.payment.id, "the answer's time is over, the terminal is asked to stop");
                    self.abort.handle.request();
                }
            }
        }
    }

    async fn write_down(
        &self,
        payment: &mut Payment,
        result: Result<Outcome, DriverError>,
    ) -> Result<(), JournalError> {
        let mut end = life::end_of(result, wall_clock::now());
        if let Some(person) = self.abort.by.get() {
            end.evidence = format!("{}; asked to stop by {person}", end.evidence);
        }
        self.life.finish(payment, end).await?;
        if let Some(message) = mismatch(payment) {
            self.life.incident(payment, message, None).await;
        }
        Ok(())
    }
}

/// Shuts the door of a terminal when its payment's own code crashes: only a restart knows what became of it.
struct ShutOnPanic {
    gate: Gate,
    armed: bool,
}

impl Drop for ShutOnPanic {
    fn drop(&mut self) {
        if self.armed {
            self.gate.set_in_doubt(true);
        }
    }
}

/// Drops a command together with whoever waits for it: no second driver may meet it at the terminal.
struct DropOnDrop(tokio::task::AbortHandle);

impl Drop for DropOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

type Finished = (Box<dyn TerminalDriver>, Result<Outcome, DriverError>);

async fn command(
    mut driver: Box<dyn TerminalDriver>,
    request: PaymentRequest,
    mut session: JournalSession,
) -> Finished {
    let result = driver.execute(&request, &mut session).await;
    (driver, result)
}

fn finished_or_lost(
    finished: Result<Finished, tokio::task::JoinError>,
) -> (Option<Box<dyn TerminalDriver>>, Result<Outcome, DriverError>) {
    match finished {
        Ok((driver, result)) => (Some(driver), result),
        Err(_) => {
            let reason = Reason::new(Cause::DriverLost, "the driver crashed in the middle of the payment");
            (None, Err(DriverError::InDoubt(reason)))
        }
    }
}

/// Drops a command that is still running, and waits until it has let go of its terminal. If it ended at the last moment, its
/// word counts.
async fn let_go(
    running: JoinHandle<Finished>,
    why: String,
) -> (Option<Box<dyn TerminalDriver>>, Result<Outcome, DriverError>) {
    running.abort();
    match timeout(LET_GO, running).await {
        Ok(Ok((driver, result))) => return (Some(driver), result),
        Ok(Err(_)) => {}
        Err(_) => tracing::error!("a driver holds on to its terminal although it was dropped: {why}"),
    }
    (None, Err(DriverError::in_doubt(Cause::DriverLost, why)))
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// What the driver is asked for.
fn request(job: &Job) -> PaymentRequest {
    request_of(&job.payment, job.original.as_deref())
}

/// The request that a stored payment stands for.
pub(super) fn request_of(payment: &Payment, original: Option<&Payment>) -> PaymentRequest {
    PaymentRequest {
        id: payment.id,
        operation: payment.operation,
        amount: payment.amount,
        register: payment.register.clone(),
        document: payment.document.clone(),
        accept_partial: payment.accept_partial,
        original: original.and_then(undone),
        received_at: payment.received_at,
    }
}

fn undone(original: &Payment) -> Option<Original> {
    match &original.verdict {
        Some(Verdict::Said { outcome: Outcome::Approved(approval) }) => {
            Some(Original { id: original.id, approval: approval.clone(), notes: original.notes.clone() })
        }
        _ => None,
    }
}

/// What is to be said about an approval that is not what was asked.
pub(super) fn mismatch(payment: &Payment) -> Option<String> {
    let Some(Verdict::Said { outcome: Outcome::Approved(approval) }) = &payment.verdict else { return None };
    let (asked, approved) = (payment.amount, approval.amount);
    if approved.currency() != asked.currency() || approved.minor() < asked.minor() {
        return Some(format!(
            "the terminal approved {approved} of {asked}; collect the rest or undo it at the terminal"
        ));
    }
    // More than asked is a tip, but nobody tips a refund.
    let too_much = payment.operation != Operation::Sale && approved.minor() > asked.minor();
    too_much.then(|| format!("the terminal gave back {approved} instead of {asked}; look at its slip"))
}

/// The end of a payment that never started.
pub(super) fn expired(code: Code, message: &str) -> crate::journal::End {
    let end = life::because(State::Expired, code, message.to_owned(), Actor::Webhook, wall_clock::now());
    crate::journal::End { release_keys: true, ..end }
}
