//! The task of one terminal: it owns the driver, starts one thing at a time, and never forgets a payment in doubt.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tillswitch_core::TerminalDriver;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::attempt::{Attempt, Job, expired};
use super::gate::Gate;
use super::recovery::{Doubt, Doubts, ask};
use super::stop::{Stages, Stop};
use crate::code::Code;
use crate::config::TerminalConfig;
use crate::journal::{End, State};
use crate::life::Life;
use crate::live::Progress;

/// How long a driver may take to leave its terminal in good order.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long to wait before a driver that could not be built is built again.
const REBUILD_PAUSE: Duration = Duration::from_secs(30);

pub(super) struct Task {
    config: Arc<TerminalConfig>,
    life: Life,
    gate: Gate,
    jobs: mpsc::Receiver<Job>,
    stop: watch::Receiver<Stop>,
    driver: Option<Box<dyn TerminalDriver>>,
    waiting: VecDeque<Job>,
    doubts: Doubts,
    /// An end could not be written down: only a restart knows what became of it.
    unwritten: bool,
    activity: Option<JoinHandle<Done>>,
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
    New(crate::journal::Payment),
    Again(Doubt),
}

impl Task {
    pub fn new(
        config: Arc<TerminalConfig>,
        life: Life,
        gate: Gate,
        jobs: mpsc::Receiver<Job>,
        stop: watch::Receiver<Stop>,
        doubts: Doubts,
    ) -> Task {
        Task {
            config,
            life,
            gate,
            jobs,
            stop,
            driver: None,
            waiting: VecDeque::new(),
            doubts,
            unwritten: false,
            activity: None,
        }
    }

    /// Runs until the router stops.
    pub async fn run(mut self) {
        loop {
            self.expire_waiting().await;
            self.start_next().await;
            let wake = self.next_wake();
            let draining = *self.stop.borrow() >= Stop::Drain;
            if draining && self.activity.is_none() && self.gate_is_empty() {
                break;
            }
            tokio::select! {
                done = finished(&mut self.activity) => self.take_back(done),
                Some(job) = self.jobs.recv() => self.waiting.push_back(job),
                () = self.gate.changed() => {}
                () = sleep_until(wake) => {}
                () = self.stop.draining(), if !draining => self.gate.close(),
            }
        }
        if let Some(mut driver) = self.driver.take() {
            let _ = timeout(FAREWELL, driver.close()).await;
        }
    }

    /// Nobody is promised the terminal and nobody waits.
    fn gate_is_empty(&self) -> bool {
        self.waiting.is_empty() && self.jobs.is_empty() && !self.gate.is_busy()
    }

    async fn start_next(&mut self) {
        if self.activity.is_some() {
            return;
        }
        if *self.stop.borrow() == Stop::Run
            && let Some(doubt) = self.doubts.take_due()
        {
            match self.driver() {
                Some(driver) => self.start_question(driver, doubt),
                None => self.doubts.put_back(doubt),
            }
            return;
        }
        if let Some(job) = self.next_job() {
            match self.driver() {
                Some(driver) => self.start_attempt(driver, job),
                None => self.turn_away(job, Code::TerminalUnreachable, "the driver cannot be built; see the log").await,
            }
        }
    }

    /// The promised one goes first: on disk it is dispatched already. It also runs when the router is stopping.
    fn next_job(&mut self) -> Option<Job> {
        if let Some(place) = self.waiting.iter().position(|job| job.place.is_immediate()) {
            return self.waiting.remove(place);
        }
        if self.gate.may_start_waiting() { self.waiting.pop_front() } else { None }
    }

    fn start_attempt(&mut self, driver: Box<dyn TerminalDriver>, job: Job) {
        let (config, life) = (self.config.clone(), self.life.clone());
        let attempt = Attempt { config, life, gate: self.gate.clone(), stop: self.stop.clone() };
        self.activity = Some(tokio::spawn(async move {
            let attempted = attempt.run(driver, job).await;
            let after = if attempted.unwritten { After::Unwritten } else { After::Nothing };
            Done { driver: attempted.driver, after: attempted.doubt.map_or(after, After::New) }
        }));
    }

    fn start_question(&mut self, driver: Box<dyn TerminalDriver>, doubt: Doubt) {
        let (config, life) = (self.config.clone(), self.life.clone());
        self.activity = Some(tokio::spawn(async move {
            let asked = ask(config, life, driver, doubt).await;
            Done { driver: asked.driver, after: asked.open.map_or(After::Nothing, After::Again) }
        }));
    }

    fn take_back(&mut self, done: Option<Done>) {
        self.activity = None;
        let (driver, after) = match done {
            Some(done) => (done.driver, done.after),
            None => (None, After::Unwritten),
        };
        self.driver = driver;
        match after {
            After::Nothing => {}
            After::New(payment) => self.doubts.add(payment),
            After::Again(doubt) => self.doubts.put_back(doubt),
            After::Unwritten => {
                tracing::error!(terminal = %self.config.name, "an end could not be written down; the terminal takes nothing until a restart");
                self.unwritten = true;
            }
        }
        self.gate.set_in_doubt(self.unwritten || !self.doubts.is_empty());
    }

    /// The driver, built anew if the last one was lost.
    fn driver(&mut self) -> Option<Box<dyn TerminalDriver>> {
        if let Some(driver) = self.driver.take() {
            return Some(driver);
        }
        match self.config.factory.build(&self.config.settings) {
            Ok(driver) => Some(driver),
            Err(faults) => {
                for fault in faults {
                    tracing::error!(terminal = %self.config.name, "the driver cannot be built: {fault}");
                }
                None
            }
        }
    }

    async fn expire_waiting(&mut self) {
        let closing = *self.stop.borrow() >= Stop::Drain;
        let now = Instant::now();
        let mut kept = VecDeque::new();
        for job in std::mem::take(&mut self.waiting) {
            if job.place.is_immediate() || (!closing && now < job.queue_until) {
                kept.push_back(job);
            } else if closing {
                self.turn_away(job, Code::ShuttingDown, "the router is stopping; send it again in a minute").await;
            } else if self.gate.is_in_doubt() {
                let message = "a payment on this terminal is in doubt and must be settled first";
                self.turn_away(job, Code::TerminalInDoubt, message).await;
            } else {
                self.turn_away(job, Code::TerminalBusy, "the terminal was busy for too long; try again").await;
            }
        }
        self.waiting = kept;
    }

    /// Ends a payment that never started; its request may come again.
    async fn turn_away(&mut self, mut job: Job, code: Code, message: &str) {
        let end = expired(code, message);
        // On disk a promised one is dispatched already; that nothing was sent is proof enough.
        let end = if job.payment.state == State::Dispatched { End { state: State::Failed, ..end } } else { end };
        let progress = match self.life.finish(&mut job.payment, end).await {
            Ok(()) => Progress::Ended(Arc::new(job.payment)),
            Err(error) => Progress::NotBegun { code: Code::JournalUnavailable, message: error.to_string().into() },
        };
        drop(job.place);
        job.entry.end(progress);
    }

    fn next_wake(&self) -> Instant {
        let idle = Instant::now() + REBUILD_PAUSE;
        let queue = self.waiting.iter().map(|job| job.queue_until).min();
        let doubt = if self.activity.is_none() { self.doubts.next() } else { None };
        [queue, doubt].into_iter().flatten().fold(idle, Instant::min)
    }
}

/// Completes when there is an activity and it has ended; `None` when it crashed.
async fn finished(activity: &mut Option<JoinHandle<Done>>) -> Option<Done> {
    match activity {
        Some(running) => running.await.ok(),
        None => std::future::pending().await,
    }
}
