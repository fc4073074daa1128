//! The task of one terminal: it owns the driver, starts one thing at a time, and never forgets a payment in doubt.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tillswitch_core::{Cause, DriverError, PaymentId, TerminalDriver, wall_clock};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::attempt::{Attempt, Job, StopRequest, expired};
use super::chores::Chores;
use super::gate::{Gate, Place, Refusal};
use super::late::LateKeeper;
use super::maintenance::{self, Report, Work};
use super::recovery::{Doubt, Doubts, ask};
use super::request::{AbortAnswer, NotSettled, Request};
use super::stop::{Stages, Stop};
use super::{Current, current, is_equal};
use crate::code::Code;
use crate::config::TerminalConfig;
use crate::desk::Person;
use crate::journal::{Actor, End, JournalError, Payment, State};
use crate::life::{self, Life};
use crate::live::Progress;

/// How long a driver may take to leave its terminal in good order.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long to wait before a driver that could not be built is built again.
const REBUILD_PAUSE: Duration = Duration::from_secs(30);

/// What connects a task with the rest of the router.
pub(super) struct Links {
    pub jobs: mpsc::Receiver<Box<Job>>,
    pub requests: mpsc::Receiver<Box<Request>>,
    pub stop: watch::Receiver<Stop>,
    /// What the terminal is at the moment.
    pub current: Arc<ArcSwap<Current>>,
}

pub(super) struct Task {
    config: Arc<TerminalConfig>,
    life: Life,
    gate: Gate,
    links: Links,
    driver: Option<Box<dyn TerminalDriver>>,
    waiting: VecDeque<Box<Job>>,
    /// Work that has its place and waits for the present activity to end.
    work: Option<(Work, Place, Reported)>,
    /// Settings for the next quiet moment.
    next: Option<(Arc<TerminalConfig>, oneshot::Sender<()>)>,
    doubts: Doubts,
    chores: Chores,
    /// An end could not be written down: only a restart knows what became of it.
    unwritten: bool,
    activity: Option<Activity>,
}

/// Where the report of a piece of work goes.
type Reported = oneshot::Sender<Result<Report, DriverError>>;

/// What the terminal is at.
struct Activity {
    running: JoinHandle<Done>,
    /// The payment that is made or asked about.
    payment: Option<PaymentId>,
    /// How to ask a payment to stop.
    abort: Option<Arc<StopRequest>>,
    /// A person has settled the payment meanwhile: what comes of this is too late.
    settled: bool,
}

/// What an activity gives back.
struct Done {
    driver: Option<Box<dyn TerminalDriver>>,
    after: After,
}

#[allow(clippy::large_enum_variant)] // one per activity
enum After {
    Nothing,
    Unwritten,
    New(Payment),
    Again(Doubt),
    Chore(Work, Result<Report, DriverError>),
}

impl Task {
    pub fn new(config: Arc<TerminalConfig>, life: Life, gate: Gate, links: Links, doubts: Doubts) -> Task {
        let chores = Chores::new(&config, jiff::ZonedDateTime::now);
        Task {
            config,
            life,
            gate,
            links,
            driver: None,
            waiting: VecDeque::new(),
            work: None,
            next: None,
            doubts,
            chores,
            unwritten: false,
            activity: None,
        }
    }

    /// Runs until it is told to stop. Gives back the payments that are still in doubt.
    pub async fn run(mut self) -> Vec<Payment> {
        loop {
            // Looked up once per round: nobody may leave before the door was shut in the same round.
            let draining = self.is_draining();
            if draining {
                self.gate.close(if self.is_removed() { Refusal::Removed } else { Refusal::Stopping });
            }
            // What is rare is boxed: a task is as large as the largest of what it awaits, for as long as it lives.
            if draining || self.waiting.iter().any(|job| !job.place.is_immediate()) {
                Box::pin(self.expire_waiting()).await;
            }
            if self.next.is_some() {
                Box::pin(self.configure()).await;
            }
            self.start_next().await;
            let wake = self.next_wake();
            if draining && self.activity.is_none() && self.is_empty() {
                break;
            }
            tokio::select! {
                // In this order, so that the same day simulated twice goes the same way. Nobody starves: whoever has a
                // place is taken in within so many rounds, and every round looks at everything else as well.
                biased;
                done = finished(&mut self.activity) => self.take_back(done).await,
                Some(job) = self.links.jobs.recv() => self.waiting.push_back(job),
                Some(request) = self.links.requests.recv() => Box::pin(self.hear(*request)).await,
                () = self.gate.changed() => {}
                () = sleep_until(wake) => {}
                () = self.links.stop.draining(), if !draining => {}
            }
        }
        self.say_goodbye().await;
        self.doubts.into_payments()
    }

    fn is_draining(&self) -> bool {
        *self.links.stop.borrow() != Stop::Run
    }

    fn is_removed(&self) -> bool {
        *self.links.stop.borrow() == Stop::Removed
    }

    /// Nobody has a place any more, not even one whose payment is still being written down.
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.links.jobs.is_empty() && !self.gate.is_busy() && self.gate.queue().0 == 0
    }

    async fn say_goodbye(&mut self) {
        if let Some(mut driver) = self.driver.take() {
            let _ = timeout(FAREWELL, driver.close()).await;
        }
    }

    async fn start_next(&mut self) {
        if self.activity.is_some() {
            return;
        }
        if !self.is_draining()
            && let Some(doubt) = self.doubts.take_due()
        {
            match self.driver() {
                Some(driver) => self.start_question(driver, doubt),
                None => self.doubts.put_back(doubt),
            }
        } else if let Some((work, place, answer)) = self.work.take() {
            self.start_work(work, place, answer);
        } else if let Some(job) = self.next_job() {
            self.start_payment(job).await;
        } else if !self.is_draining() {
            self.start_chore().await;
        }
    }

    /// The promised one goes first: on disk it is dispatched already. It also runs when the router is stopping.
    fn next_job(&mut self) -> Option<Box<Job>> {
        if let Some(place) = self.waiting.iter().position(|job| job.place.is_immediate()) {
            return self.waiting.remove(place);
        }
        if self.gate.may_start_waiting() { self.waiting.pop_front() } else { None }
    }

    async fn start_payment(&mut self, job: Box<Job>) {
        if job.payment.terminal != self.links.current.load().key {
            let message = "the terminal's settings changed while the payment waited; send it again";
            return Box::pin(turn_away(&self.life, job, Code::TerminalBusy, message)).await;
        }
        match self.driver() {
            Some(driver) => self.start_attempt(driver, job),
            None => {
                let message = "the driver cannot be built; see the log";
                Box::pin(turn_away(&self.life, job, Code::TerminalUnreachable, message)).await;
            }
        }
    }

    fn start_attempt(&mut self, driver: Box<dyn TerminalDriver>, job: Box<Job>) {
        let (config, life) = (self.config.clone(), self.life.clone());
        let (gate, stop) = (self.gate.clone(), self.links.stop.clone());
        let (payment, abort) = (Some(job.payment.id), Arc::new(StopRequest::default()));
        let attempt = Attempt { config, life, gate, stop, abort: abort.clone() };
        let running = tokio::spawn(async move {
            let attempted = attempt.run(driver, job).await;
            let after = if attempted.unwritten { After::Unwritten } else { After::Nothing };
            Done { driver: attempted.driver, after: attempted.doubt.map_or(after, After::New) }
        });
        self.activity = Some(Activity { running, payment, abort: Some(abort), settled: false });
    }

    fn start_question(&mut self, driver: Box<dyn TerminalDriver>, doubt: Doubt) {
        let (config, life) = (self.config.clone(), self.life.clone());
        let payment = Some(doubt.payment.id);
        let running = tokio::spawn(async move {
            let asked = ask(config, life, driver, doubt).await;
            Done { driver: asked.driver, after: asked.open.map_or(After::Nothing, After::Again) }
        });
        self.activity = Some(Activity { running, payment, abort: None, settled: false });
    }

    fn start_work(&mut self, work: Work, mut place: Place, answer: Reported) {
        let Some(driver) = self.driver() else {
            let message = "the driver cannot be built; see the log";
            let _ = answer.send(Err(DriverError::not_started(Cause::DriverLost, message)));
            return;
        };
        place.start();
        let (name, life) = (self.config.name.clone(), self.life.clone());
        let running = tokio::spawn(async move {
            let (driver, report) = maintenance::run(&name, &life, driver, work).await;
            drop(place);
            // Whoever asked may have left.
            let _ = answer.send(report);
            Done { driver, after: After::Nothing }
        });
        self.activity = Some(Activity { running, payment: None, abort: None, settled: false });
    }

    /// Does what nobody asks for, while nobody asks for anything and nothing is in doubt.
    async fn start_chore(&mut self) {
        if let Some(message) = self.chores.give_up() {
            self.life.alarm(&self.config.name, message).await;
        }
        let Some(work) = self.chores.due(&self.wishes()) else { return };
        let Some(place) = self.gate.claim_idle() else { return };
        let Some(driver) = self.driver() else {
            let failed = Err(DriverError::not_started(Cause::DriverLost, "the driver cannot be built; see the log"));
            return self.end_chore(&work, &failed).await;
        };
        let (name, life) = (self.config.name.clone(), self.life.clone());
        let running = tokio::spawn(async move {
            let (driver, report) = maintenance::run(&name, &life, driver, work.clone()).await;
            drop(place);
            Done { driver, after: After::Chore(work, report) }
        });
        self.activity = Some(Activity { running, payment: None, abort: None, settled: false });
    }

    async fn end_chore(&mut self, work: &Work, report: &Result<Report, DriverError>) {
        let terminal = &self.config.name;
        match report {
            Ok(Report::Status(status)) => tracing::debug!(%terminal, "it says: {}", status.message),
            Ok(Report::EndOfDay(report)) => tracing::info!(%terminal, "end of day: {}", report.message),
            Ok(Report::Service(report)) => tracing::info!(%terminal, "{work:?}: {}", report.message),
            Err(error) => tracing::warn!(%terminal, "{work:?} of its own accord: {error}"),
        }
        if let Some(message) = self.chores.done(work, report) {
            self.life.alarm(&self.config.name, message).await;
        }
    }

    /// What the driver would like to run. A crash in it must not take this task along.
    fn wishes(&self) -> Vec<String> {
        let driver = self.driver.as_deref();
        let wishes = catch_unwind(AssertUnwindSafe(|| driver.map(TerminalDriver::wishes)));
        wishes.ok().flatten().unwrap_or_default()
    }

    async fn take_back(&mut self, done: Option<Done>) {
        let settled = self.activity.take().is_some_and(|activity| activity.settled);
        let (driver, after) = match done {
            Some(done) => (done.driver, done.after),
            None => (None, After::Unwritten),
        };
        self.driver = driver;
        if !matches!(after, After::Chore(..)) {
            self.chores.note_use();
        }
        match after {
            After::Nothing => {}
            After::Chore(work, report) => self.end_chore(&work, &report).await,
            After::New(_) | After::Again(_) if settled => {}
            After::New(payment) => self.doubts.add(payment),
            After::Again(doubt) => self.doubts.put_back(doubt),
            After::Unwritten => {
                tracing::error!(terminal = %self.config.name, "an end could not be written down; the terminal takes nothing until a restart");
                self.unwritten = true;
            }
        }
        self.show_doubt();
    }

    fn show_doubt(&self) {
        self.gate.set_in_doubt(self.unwritten || !self.doubts.is_empty());
    }

    /// The driver, built anew if the last one was lost.
    fn driver(&mut self) -> Option<Box<dyn TerminalDriver>> {
        if let Some(driver) = self.driver.take() {
            return Some(driver);
        }
        let keeper = LateKeeper { life: self.life.clone(), terminal: self.config.name.as_str().into() };
        let watch = self.life.metrics.watch_line(&self.config.name).with_late(keeper);
        let watched = |mut driver: Box<dyn TerminalDriver>| {
            driver.watch_line(watch);
            driver
        };
        let build = || self.config.factory.build(&self.config.settings).map(watched);
        match catch_unwind(AssertUnwindSafe(build)) {
            Ok(Ok(driver)) => Some(driver),
            Err(_) => {
                tracing::error!(terminal = %self.config.name, "the driver crashes while it is built");
                None
            }
            Ok(Err(faults)) => {
                for fault in faults {
                    tracing::error!(terminal = %self.config.name, "the driver cannot be built: {fault}");
                }
                None
            }
        }
    }

    async fn hear(&mut self, request: Request) {
        match request {
            Request::Maintain { work, place, answer } => self.work = Some((work, place, answer)),
            // It was changed back before it could take over the change.
            Request::Configure { config, answer } if is_equal(&self.config, &config) => {
                self.next = None;
                let _ = answer.send(());
            }
            Request::Configure { config, answer } => self.next = Some((config, answer)),
            Request::Abort { id, person, answer } => {
                let _ = answer.send(self.abort(id, &person).await);
            }
            Request::Settle { id, end, force, answer } => {
                let _ = answer.send(self.settle(id, end, force).await);
            }
        }
    }

    async fn abort(&mut self, id: PaymentId, person: &Person) -> AbortAnswer {
        // It may have been handed over a moment ago.
        while let Ok(job) = self.links.jobs.try_recv() {
            self.waiting.push_back(job);
        }
        let waits = self.waiting.iter().position(|job| job.payment.id == id);
        if let Some(job) = waits.and_then(|place| self.waiting.remove(place)) {
            // The point of sale is told the name; the history also from where, and why.
            let message = format!("stopped by {} before it started", person.name);
            let (actor, now) = (Actor::Operator(person.name.clone()), wall_clock::now());
            let mut end = life::because(State::Cancelled, Code::Cancelled, message, actor, now);
            end.evidence = format!("stopped before it started by {person}");
            end_unstarted(&self.life, job, end).await;
            return AbortAnswer::Cancelled;
        }
        let running = self.activity.as_ref().filter(|activity| activity.payment == Some(id));
        match running.and_then(|activity| activity.abort.as_ref()) {
            Some(abort) => {
                abort.ask_for(person);
                AbortAnswer::Asked
            }
            None => AbortAnswer::NotRunning,
        }
    }

    /// A person's word counts once the terminal had its say, or when it is forced. The first writer wins.
    async fn settle(&mut self, id: PaymentId, end: End, force: bool) -> Result<Payment, NotSettled> {
        let is_asked_now = self.activity.as_ref().is_some_and(|activity| activity.payment == Some(id));
        if !force && (is_asked_now || self.doubts.asked(id) == Some(0)) {
            return Err(NotSettled::StillAsking);
        }
        let payment = settle(&self.life, id, end).await?;
        self.doubts.forget(id);
        if let Some(activity) = self.activity.as_mut().filter(|activity| activity.payment == Some(id)) {
            activity.settled = true;
        }
        self.show_doubt();
        Ok(payment)
    }

    /// Takes over new settings in a quiet moment: nothing runs, nobody was promised the terminal, nothing is in doubt.
    async fn configure(&mut self) {
        let is_quiet = self.activity.is_none() && !self.unwritten && self.doubts.is_empty() && !self.is_draining();
        if !is_quiet || self.next.is_none() {
            return;
        }
        let Some(place) = self.gate.claim() else { return };
        let Some((config, answer)) = self.next.take() else { return };
        self.say_goodbye().await;
        self.gate.set_queue(config.queue);
        self.links.current.store(Arc::new(current(&config)));
        self.chores = Chores::new(&config, jiff::ZonedDateTime::now);
        self.config = config;
        drop(place);
        tracing::info!(terminal = %self.config.name, "the terminal has its new settings");
        let _ = answer.send(());
    }

    async fn expire_waiting(&mut self) {
        let closing = self.is_draining();
        if closing {
            self.work = None;
        }
        let now = Instant::now();
        let mut kept = VecDeque::new();
        for job in std::mem::take(&mut self.waiting) {
            if job.place.is_immediate() || (!closing && now < job.queue_until) {
                kept.push_back(job);
            } else if closing && self.is_removed() {
                let name = &self.config.name;
                let message = format!(
                    "terminal {name:?} was taken out of the configuration while the payment waited for it; nothing was begun, send it again"
                );
                turn_away(&self.life, job, Code::TerminalBusy, &message).await;
            } else if closing {
                turn_away(&self.life, job, Code::ShuttingDown, "the router is stopping; send it again in a minute")
                    .await;
            } else if self.gate.is_in_doubt() {
                let message = "a payment on this terminal is in doubt and must be settled first";
                turn_away(&self.life, job, Code::TerminalInDoubt, message).await;
            } else {
                turn_away(&self.life, job, Code::TerminalBusy, "the terminal was busy for too long; try again").await;
            }
        }
        self.waiting = kept;
    }

    fn next_wake(&self) -> Instant {
        let idle = Instant::now() + REBUILD_PAUSE;
        let queue = self.waiting.iter().map(|job| job.queue_until).min();
        let is_free = self.activity.is_none();
        let doubt = if is_free { self.doubts.next() } else { None };
        let chore = if is_free { self.chores.next(&self.wishes()) } else { None };
        [queue, doubt, chore].into_iter().flatten().fold(idle, Instant::min)
    }
}

/// Ends a payment that nobody will ever start.
pub(super) async fn abandon(life: &Life, job: Box<Job>) {
    tracing::error!(payment = %job.payment.id, terminal = %job.payment.terminal.name, "the terminal's task is gone");
    turn_away(life, job, Code::ShuttingDown, "the terminal's task is gone; restart the router, then send it again")
        .await;
}

/// Ends a payment that never started; its request may come again.
async fn turn_away(life: &Life, job: Box<Job>, code: Code, message: &str) {
    let end = expired(code, message);
    // On disk a promised one is dispatched already; that nothing was sent is proof enough.
    let end = if job.payment.state == State::Dispatched { End { state: State::Failed, ..end } } else { end };
    end_unstarted(life, job, end).await;
}

async fn end_unstarted(life: &Life, mut job: Box<Job>, end: End) {
    let progress = match life.finish(&mut job.payment, end).await {
        Ok(()) => Progress::Ended(Arc::new(job.payment)),
        Err(error) => Progress::NotBegun { code: Code::JournalUnavailable, message: error.to_string().into() },
    };
    drop(job.place);
    job.entry.end(progress);
}

/// Writes down what a person says about a payment in doubt.
pub(super) async fn settle(life: &Life, id: PaymentId, end: End) -> Result<Payment, NotSettled> {
    let found = life.journal.payment(id).await.map_err(NotSettled::Journal)?;
    let mut payment = found.ok_or(NotSettled::Journal(JournalError::UnknownPayment(id)))?;
    if payment.state != State::InDoubt {
        return Err(NotSettled::NotInDoubt(payment.state.name().into()));
    }
    match life.try_finish(&mut payment, end).await {
        Ok(()) => Ok(payment),
        // Somebody was first, even if they said the same.
        Err(JournalError::WrongState { .. }) => {
            let found = life.journal.payment(id).await.map_err(NotSettled::Journal)?;
            Err(NotSettled::NotInDoubt(found.unwrap_or(payment).state.name().into()))
        }
        Err(error) => Err(NotSettled::Journal(error)),
    }
}

/// Completes when there is an activity and it has ended; `None` when it crashed.
async fn finished(activity: &mut Option<Activity>) -> Option<Done> {
    match activity {
        Some(activity) => (&mut activity.running).await.ok(),
        None => std::future::pending().await,
    }
}
