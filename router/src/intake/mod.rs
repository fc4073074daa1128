//! From the bytes of a webhook to a payment at a terminal, and back to an answer.
//!
//! | file | question |
//! |---|---|
//! | `signature` | does it really come from the point of sale |
//! | `json` | how is JSON read without losing a digit |
//! | `event` | what does the event say |
//! | `identity` | how is it recognised when it comes again |
//! | `rate` | how often may the same thing happen |
//! | `refusal` | what is a sender told whose webhook starts nothing |
//! | `turn` | what happens to equal requests at the same moment |

pub mod event;
pub mod identity;
pub(crate) mod json;
mod rate;
mod refusal;
pub mod signature;
mod turn;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use bytes::Bytes;
use hyper::HeaderMap;
use tillswitch_core::{PaymentId, wall_clock};
use tokio::time::{Instant, timeout_at};

use crate::answer::Answer;
use crate::cards;
use crate::code::Code;
use crate::config::{Config, Repeat};
use crate::journal::{Admission, Begun, JournalError, NewPayment, Payment, RepeatRule, State};
use crate::life::Life;
use crate::live::{Entry, Progress, Waiter};
use crate::metrics::Stage;
use crate::server::{Callers, Origin};
use crate::terminals::{Job, Place, Terminal, Terminals};
use event::{CreatedAt, Event, PaymentEvent, Reading};
use rate::{Buckets, Rate};
use refusal::{NotNow, conflict, strained, unknown_register};
use signature::Verified;
use turn::Turns;

/// How long a terminal has to stop after it was asked to, before the answer is `pending`.
const ABORT_GRACE: Duration = Duration::from_secs(10);
/// How many requests of an address may fail the signature check.
const FAILURES: Rate = Rate { per_second: 1.0, burst: 20.0 };
/// How often one is reminded of an older key.
const REMINDERS: Rate = Rate { per_second: 1.0 / 3600.0, burst: 1.0 };
/// Bytes of a body that is checked whatever came from its address before. Those of the point of sale have about one KiB.
const USUAL: usize = 8 * 1024;
/// For how many seconds' worth of new payments a register is let through at once.
const BURST_SECONDS: f64 = 5.0;

/// What turns webhooks into payments. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    /// What a reload swaps.
    latest: Arc<ArcSwap<Config>>,
    /// What the request at hand is answered by.
    config: Arc<Config>,
    life: Life,
    terminals: Arc<Terminals>,
    turns: Turns,
    callers: Callers,
    /// Of requests whose signature was not good, by where they came from.
    failures: Buckets<Origin>,
    /// Of new payments, by register.
    begun: Buckets<String>,
    /// Of hints, by signature key.
    reminders: Buckets<usize>,
}

/// An answer, and the payment whose approval it tells.
#[derive(Debug)]
pub struct Told {
    /// The answer.
    pub answer: Answer,
    /// Note this payment as told when the answer has been read.
    pub approved: Option<PaymentId>,
}

/// When a request was received, by both clocks.
#[derive(Clone, Copy, Debug)]
struct Received {
    wall: SystemTime,
    instant: Instant,
}

impl Intake {
    /// One for a configuration and its running terminals.
    pub fn new(latest: Arc<ArcSwap<Config>>, life: Life, terminals: Arc<Terminals>, callers: Callers) -> Intake {
        let (failures, begun, reminders) = (Buckets::new(), Buckets::new(), Buckets::new());
        let config = latest.load_full();
        callers.trust_everybody(config.webhook.signature_keys.is_empty());
        Intake { latest, config, life, terminals, turns: Turns::default(), callers, failures, begun, reminders }
    }

    /// Answers a webhook. May be dropped at any time: the payment goes on without it, because everything happens in a task
    /// of its own. Between the journal's commit and the terminal's task nothing may be lost.
    pub async fn answer(&self, origin: Origin, headers: HeaderMap, body: Bytes) -> Told {
        let received = Received { wall: wall_clock::now(), instant: Instant::now() };
        let intake = Intake { config: self.latest.load_full(), ..self.clone() };
        intake.callers.trust_everybody(intake.config.webhook.signature_keys.is_empty());
        let handled = tokio::spawn(async move { intake.handle(origin, &headers, body, received).await }).await;
        let told = match handled {
            Ok(Ok(told)) => told,
            Ok(Err(answer)) => without(answer),
            Err(_) => {
                tracing::error!("the intake of a webhook crashed; its payment, if any, is settled at the next start");
                without(Answer::error(
                    self.config.answers.in_doubt,
                    Code::InDoubt,
                    "the router failed; look at the terminal, do not press again",
                ))
            }
        };
        self.count(&told.answer);
        told
    }

    /// Whether a good webhook would start a payment now, or why not.
    pub fn ready(&self) -> Result<(), (Code, String)> {
        if self.terminals.is_stopping() {
            return Err((Code::ShuttingDown, "the router is stopping".to_owned()));
        }
        self.life.journal.health().map_err(|why| (Code::JournalUnavailable, why.to_string()))
    }

    /// Notes that the till knows of an approval.
    pub fn delivered(&self, id: PaymentId) {
        self.life.journal.answer_delivered(id);
    }

    async fn handle(
        &self,
        origin: Origin,
        headers: &HeaderMap,
        body: Bytes,
        received: Received,
    ) -> Result<Told, Answer> {
        let verified = self.verify(origin, headers, body)?;
        if verified.is_fresh(received.wall) {
            self.callers.vouch(origin);
        }
        let payment = match self.read(&verified)? {
            Event::Payment(payment) => payment,
            Event::Ignored(why) => {
                tracing::debug!("webhook ignored: {why}");
                return Ok(Told { answer: Answer::ignored(&why), approved: None });
            }
        };
        let verified_at = Instant::now();
        let metrics = &self.life.metrics;
        metrics.overhead(Stage::Verify, verified_at - received.instant);
        let terminal = self.terminal(&payment)?;
        let too_old = self.too_old(&verified, &payment, received.wall);
        metrics.overhead(Stage::Route, verified_at.elapsed());
        self.begin(*payment, terminal, too_old, received).await
    }

    /// An address whose requests keep failing is told to wait, and only large bodies of it are not looked at any more: to
    /// look at one of the usual size costs less than to have received it, and the point of sale may call from that very
    /// address, behind the same tunnel as whoever fails.
    fn verify(&self, origin: Origin, headers: &HeaderMap, body: Bytes) -> Result<Verified, Answer> {
        let known = self.callers.know(origin);
        if !known && body.len() > USUAL && self.failures.is_empty(&origin, FAILURES) {
            return Err(strained(Duration::from_secs_f64(1.0 / FAILURES.per_second)));
        }
        let verified = signature::verify(&self.config.webhook.signature_keys, headers, body).map_err(|bad| {
            match self.failures.take(&origin, FAILURES) {
                Err(wait) if !known => return strained(wait),
                // A log that a stranger can fill is no log.
                Err(_) => tracing::debug!("webhook refused: {}", bad.message()),
                Ok(()) => tracing::warn!("webhook refused: {}", bad.message()),
            }
            Answer::error(401, Code::BadSignature, bad.message())
        })?;
        if let Some(key) = verified.key {
            self.life.metrics.webhook_signed_with(key);
            self.remind(key);
        }
        Ok(verified)
    }

    /// The first key is the newest one. Whoever rotates keys learns here, now and then, that another one is still in use.
    fn remind(&self, key: usize) {
        if key > 0 && self.reminders.take(&key, REMINDERS).is_ok() {
            tracing::warn!(
                "webhooks are still signed with key {} of `signature_keys`; enter the first one in the point of sale, then \
                 remove the other here",
                key + 1
            );
        }
    }

    fn read(&self, verified: &Verified) -> Result<Event, Answer> {
        let webhook = &self.config.webhook;
        let reading = Reading { event_types: &webhook.event_types, tip: webhook.tip };
        event::read(verified, reading).map_err(|bad| {
            let status = if bad.code == Code::UnknownPaymentEvent { 422 } else { 400 };
            if bad.code == Code::UnknownPaymentEvent {
                tracing::error!("a payment may be lost: {}", bad.message);
            } else {
                tracing::warn!(code = %bad.code, "webhook refused: {}", bad.message);
            }
            Answer::error(status, bad.code, bad.message)
        })
    }

    /// The register's name and terminal.
    fn terminal(&self, payment: &PaymentEvent) -> Result<(&str, Terminal), Answer> {
        let found = self.config.find_register(payment.project_id.as_deref(), payment.project_number.as_deref());
        let register = found.map_err(unknown_register)?;
        let terminal = self.terminals.get(&register.terminal);
        // Between the two looks a reload may have removed it.
        let terminal = terminal
            .ok_or_else(|| Answer::come_again(Code::TerminalBusy, "the terminals are being changed; send it again"))?;
        Ok((&register.name, terminal))
    }

    /// Says how old an event is, if it is too old, or too far in the future.
    fn too_old(&self, verified: &Verified, payment: &PaymentEvent, now: SystemTime) -> Option<String> {
        let webhook = &self.config.webhook;
        let max_age = webhook.max_age?;
        let created = match payment.created_at {
            Some(CreatedAt::Instant(instant)) => Some(instant.as_millisecond()),
            Some(CreatedAt::Text(_)) | None => None,
        };
        let signed = verified.timestamp.and_then(|seconds| seconds.checked_mul(1000));
        let now = jiff::Timestamp::try_from(now).ok()?.as_millisecond();
        let ages = [created, signed].into_iter().flatten().map(|at| now.saturating_sub(at));
        let (oldest, newest) = (ages.clone().max()?, ages.min()?);
        if oldest > millis(max_age) {
            return Some(format!("the event is {} s old, more than max_age allows", oldest / 1000));
        }
        let ahead = newest.saturating_neg();
        (ahead > millis(webhook.clock_tolerance))
            .then(|| format!("the event lies {} s in the future; compare the clocks", ahead / 1000))
    }

    async fn begin(
        &self,
        event: PaymentEvent,
        (register, terminal): (&str, Terminal),
        too_old: Option<String>,
        received: Received,
    ) -> Result<Told, Answer> {
        if event.guid.is_none() && event.created_at.is_none() {
            tracing::warn!(
                register,
                "the event has neither guid nor createdAt: a repeat cannot be recognised by its content"
            );
        }
        let turn = self.turns.take(identity::keys(&event).content()).await;
        // Entered before it is written down: whoever finds the payment in the journal finds its waiter as well.
        let entry = self.life.live.enter(PaymentId::generate());
        let place = self.place(register, &terminal);
        let new = self.new_payment(&event, register, &terminal, entry.id(), &place, too_old.clone(), received.wall);
        let stub = Payment::from(&new);
        let asked = Instant::now();
        let begun = self.life.journal.begin(new.clone()).await;
        drop(turn);
        let counted = !matches!(place, Err(NotNow::TooMany(_)));
        if counted && !matches!(begun, Ok(Begun::New { .. })) {
            // Only what is new counts: a repeat gets its answer however often it comes.
            self.begun.give_back(&register.to_owned());
        }
        if begun.is_ok() {
            self.life.metrics.overhead(Stage::Journal, asked.elapsed());
            self.life.metrics.webhook_safe(received.instant.elapsed());
        }
        match (begun, too_old, place) {
            (Ok(Begun::New { original }), None, Ok(place)) => {
                let job = self.job(stub, original, place, entry, received);
                Ok(self.run(&terminal, job, received).await)
            }
            (Ok(Begun::New { .. }), Some(why), place) => {
                drop((place, entry));
                Ok(self.expired_at_once(stub, &why).await)
            }
            (Ok(Begun::New { .. }), None, Err(not_now)) => Err(not_now.answer(register, &terminal)),
            (Ok(other), _, place) => {
                // A repeat needs no place, and it may wait for long.
                drop((place, entry));
                self.known(other, received).await
            }
            (Err(error), _, place) => {
                drop((place, entry));
                self.not_written(new, &error, received).await
            }
        }
    }

    /// A place at the terminal, if the register has not had too many new payments. Without one, the journal still looks
    /// whether this is a repeat, and writes nothing if it is new.
    fn place(&self, register: &str, terminal: &Terminal) -> Result<Place, NotNow> {
        let per_second = f64::from(self.config.webhook.new_payments_per_second);
        let rate = Rate { per_second, burst: per_second * BURST_SECONDS };
        self.begun.take(&register.to_owned(), rate).map_err(NotNow::TooMany)?;
        terminal.enter().map_err(NotNow::Terminal)
    }

    /// The journal takes no writes, but what it holds can still be read: an event that is known gets its payment's answer.
    async fn not_written(&self, new: NewPayment, error: &JournalError, received: Received) -> Result<Told, Answer> {
        let id = new.id;
        match self.life.journal.known(new).await {
            // A commit that failed may stand all the same; this very payment was not sent to its terminal.
            Ok(Some(Begun::SameEvent(payment))) if payment.id == id => Err(self.journal_failed(error)),
            Ok(Some(known)) => {
                self.life.note_health();
                self.known(known, received).await
            }
            Ok(None) | Err(_) => Err(self.journal_failed(error)),
        }
    }

    /// A request that is no new payment.
    async fn known(&self, begun: Begun, received: Received) -> Result<Told, Answer> {
        match begun {
            Begun::SameEvent(payment) => Ok(self.repeat(&payment, received, "the same event again").await),
            Begun::SameDocument(payment) => {
                Ok(self.repeat(&payment, received, "another event of the same document").await)
            }
            Begun::Conflict { code, first, .. } => Err(conflict(code, &first)),
            Begun::New { .. } => unreachable!("a new payment has been started before"),
        }
    }

    #[allow(clippy::too_many_arguments)] // the parts of one request, gathered once
    fn new_payment(
        &self,
        event: &PaymentEvent,
        register: &str,
        terminal: &Terminal,
        id: PaymentId,
        place: &Result<Place, NotNow>,
        too_old: Option<String>,
        received_at: SystemTime,
    ) -> NewPayment {
        let webhook = &self.config.webhook;
        let admission = match (too_old, place) {
            (Some(why), _) => Admission::TooOld(why),
            (None, Ok(place)) if place.is_immediate() => Admission::Dispatch,
            (None, Ok(_)) => Admission::Queue,
            (None, Err(_)) => Admission::Refuse,
        };
        let current = terminal.current();
        NewPayment {
            id,
            keys: identity::keys(event),
            operation: event.operation,
            amount: event.amount,
            tip_minor: event.tip_minor,
            register: register.to_owned(),
            terminal: current.key.clone(),
            document: event.document.clone(),
            undoes: None,
            again_of: None,
            accept_partial: current.accept_partial,
            received_at,
            admission,
            repeat: RepeatRule {
                window: webhook.repeat_window,
                allow: webhook.repeat == Repeat::Allow,
                confirmed: false,
            },
            evidence: cards::without(event.event_type.as_deref().unwrap_or("an event without envelope")).into(),
        }
    }

    fn job(
        &self,
        mut payment: Payment,
        original: Option<Box<Payment>>,
        place: Place,
        entry: Entry,
        received: Received,
    ) -> Job {
        payment.original = original.as_ref().map(|original| original.id);
        let webhook = &self.config.webhook;
        Job {
            payment,
            original,
            place,
            entry,
            received: received.instant,
            queue_until: received.instant + webhook.queue_wait,
            wait_until: Some(received.instant + webhook.wait),
        }
    }

    async fn run(&self, terminal: &Terminal, job: Job, received: Received) -> Told {
        let payment = job.payment.clone();
        tracing::info!(
            payment = %payment.id, register = %payment.register, terminal = %payment.terminal.name,
            operation = %payment.operation, amount = %payment.amount, state = %payment.state,
            document = payment.document.as_ref().map(|document| document.number.as_str()), "payment received"
        );
        self.life.announce(&payment);
        let waiter = job.entry.waiter();
        if let Err(job) = terminal.hand_over(job) {
            terminal.abandon(&self.life, job).await;
        }
        self.wait(waiter, &payment, received).await
    }

    /// Answers a repeat: with the end of the payment if it is running, otherwise with its present state.
    async fn repeat(&self, payment: &Payment, received: Received, why: &str) -> Told {
        tracing::debug!(payment = %payment.id, "a repeat: {why}");
        self.life.metrics.webhook_duplicate();
        let told = match self.life.live.waiter(payment.id) {
            Some(waiter) => self.wait(waiter, payment, received).await,
            None if payment.state.is_final() || payment.state == State::InDoubt => self.tell(payment),
            // It ended between the journal's look and this one, or its end could not be written down.
            None => self.tell_unattended(payment).await,
        };
        Told { answer: told.answer.replayed(), ..told }
    }

    async fn wait(&self, mut waiter: Waiter, payment: &Payment, received: Received) -> Told {
        let until = received.instant + self.config.webhook.wait + ABORT_GRACE;
        match timeout_at(until, waiter.end()).await {
            Ok(Progress::Ended(payment)) => self.tell(&payment),
            Ok(Progress::Unwritten(why)) => without(Answer::unwritten(payment, &why, &self.config.answers)),
            Ok(Progress::NotBegun { code, message }) => without(Answer::come_again(code, &*message)),
            Ok(Progress::Withdrawn | Progress::Running(_)) | Err(_) => self.tell_present(payment).await,
        }
    }

    /// The payment as the journal has it now.
    async fn tell_present(&self, payment: &Payment) -> Told {
        match self.life.journal.payment(payment.id).await {
            Ok(Some(payment)) => self.tell(&payment),
            // Its request was given up before it began.
            Ok(None) => without(Answer::come_again(Code::JournalUnavailable, "the payment was not begun; try again")),
            Err(error) => without(Answer::unwritten(payment, &error.to_string(), &self.config.answers)),
        }
    }

    /// A payment that nobody is at: if it is open all the same, only a restart finds out what became of it.
    async fn tell_unattended(&self, payment: &Payment) -> Told {
        match self.life.journal.payment(payment.id).await {
            Ok(Some(payment)) if payment.state == State::Dispatched => {
                without(Answer::unwritten(&payment, "the journal failed", &self.config.answers))
            }
            Ok(Some(payment)) if payment.state == State::Received => without(Answer::come_again(
                Code::JournalUnavailable,
                "the payment never started; send it again after a restart",
            )),
            _ => self.tell_present(payment).await,
        }
    }

    fn tell(&self, payment: &Payment) -> Told {
        let answer = Answer::of(payment, &self.config.answers);
        let approved = answer.approves.then_some(payment.id);
        Told { answer, approved }
    }

    /// Too old: written down as expired, and nothing starts.
    async fn expired_at_once(&self, payment: Payment, why: &str) -> Told {
        let told = self.tell_present(&payment).await;
        tracing::error!(payment = %payment.id, register = %payment.register, amount = %payment.amount, "payment expired: {why}");
        self.life.metrics.outcome(&payment, State::Expired, Duration::ZERO);
        told
    }

    fn journal_failed(&self, error: &JournalError) -> Answer {
        tracing::error!("no payment starts: {error}");
        self.life.note_health();
        Answer::come_again(Code::JournalUnavailable, error.to_string())
    }

    fn count(&self, answer: &Answer) {
        self.life.metrics.webhook_answered(answer.status);
        if let Some(code) = answer.code {
            self.life.metrics.webhook_rejected(code);
        }
    }
}

fn without(answer: Answer) -> Told {
    Told { answer, approved: None }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
