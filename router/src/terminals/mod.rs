//! The terminals of the shop: one task each.
//!
//! | file | question |
//! |---|---|
//! | `gate` | who may use a terminal next |
//! | `task` | what a terminal does next |
//! | `attempt` | one payment, from its place to an end on disk |
//! | `recovery` | what became of the payments in doubt |
//! | `maintenance` | what a terminal does besides payments |
//! | `chores` | what it does that nobody asks for at the moment |
//! | `request` | what somebody else may want of a terminal's task |
//! | `late` | what becomes of what a terminal says too late |
//! | `session` | what a running driver can ask of the router |
//! | `stop` | the stages of a graceful stop |

mod attempt;
mod chores;
mod gate;
mod late;
mod maintenance;
mod recovery;
mod request;
mod session;
mod stop;
mod task;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tillswitch_core::{Evidence, PaymentId};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

pub use attempt::Job;
pub use gate::{Place, Refusal};
pub(crate) use late::described as described_late;
pub use maintenance::{Report, Work};
pub use request::{AbortAnswer, NotDone, NotSettled};
pub use stop::Stop;

use crate::config::{TerminalConfig, resolved};
use crate::desk::Person;
use crate::journal::{End, JournalError, Payment, TerminalKey};
use crate::life::Life;
use crate::metrics::Metrics;
use gate::Gate;
use recovery::Doubts;
use request::Request;
use task::{Links, Task};

/// What a stop takes at most behind its grace: letting go of drivers and saying good-bye.
const FAREWELL: Duration = Duration::from_secs(15);
/// Requests that wait for a terminal's task at most.
const REQUESTS: usize = 16;
/// How long a reload waits for terminals that could take over their new settings at once.
const QUICK: Duration = Duration::from_millis(500);

/// All terminals of a configuration, running.
pub struct Terminals {
    life: Life,
    by_name: ArcSwap<BTreeMap<String, Terminal>>,
    tasks: Mutex<Vec<Running>>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
    stopping: AtomicBool,
}

/// A terminal's task, as it is stopped and waited for.
struct Running {
    terminal: Terminal,
    stop: watch::Sender<Stop>,
    task: JoinHandle<Vec<Payment>>,
}

/// The way to one terminal's task. Cheap to clone.
#[derive(Clone)]
pub struct Terminal {
    name: Arc<str>,
    current: Arc<ArcSwap<Current>>,
    /// What it is to become in its next quiet moment; what it is, if nothing is to change.
    wanted: Arc<ArcSwap<TerminalConfig>>,
    gate: Gate,
    // A channel keeps room for dozens of what it carries, and there is one per terminal.
    jobs: mpsc::Sender<Box<Job>>,
    requests: mpsc::Sender<Box<Request>>,
}

/// What a terminal is at the moment.
#[derive(Clone, Debug)]
pub struct Current {
    /// As kept with its payments.
    pub key: TerminalKey,
    /// Whether an approval for less may stand there.
    pub accept_partial: bool,
    /// What it was built from, to tell whether a reload changes it.
    config: Arc<TerminalConfig>,
}

impl Current {
    /// Its configuration.
    pub fn config(&self) -> &TerminalConfig {
        &self.config
    }
}

/// What a reload did to the terminals.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Reloaded {
    /// Were started.
    pub added: Vec<String>,
    /// Have their new settings.
    pub changed: Vec<String>,
    /// End after their running payment.
    pub removed: Vec<String>,
    /// Take over their new settings once their running payment has ended, or the one in doubt is settled.
    pub waiting: Vec<String>,
}

impl Terminals {
    /// Starts a task per terminal. Payments that were in doubt go to the terminal that they were sent to, if it is still the
    /// same; the others are left to a person without asking anybody.
    pub async fn start(
        configs: impl IntoIterator<Item = Arc<TerminalConfig>>,
        life: &Life,
    ) -> Result<Terminals, JournalError> {
        let mut doubts = life.journal.in_doubt().await?;
        let (mut tasks, mut by_name) = (Vec::new(), BTreeMap::new());
        for config in configs {
            let key = current(&config).key;
            let own: Vec<Payment> = doubts.extract_if(.., |payment| payment.terminal == key).collect();
            let name = config.name.clone();
            let (terminal, running) = launch(config, life, own, None);
            by_name.insert(name, terminal);
            tasks.push(running);
        }
        for payment in doubts {
            life.metrics.doubt_began(&payment);
            orphan(life, &payment).await?;
        }
        Ok(Terminals {
            life: life.clone(),
            by_name: ArcSwap::from_pointee(by_name),
            tasks: Mutex::new(tasks),
            reloading: tokio::sync::Mutex::default(),
            stopping: AtomicBool::new(false),
        })
    }

    /// The terminal with this name.
    pub fn get(&self, name: &str) -> Option<Terminal> {
        self.by_name.load().get(name).cloned()
    }

    /// Whether nothing new starts any more.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// The tasks that may have payments of the terminal with this name: besides its own, those that end after a reload.
    pub fn named(&self, name: &str) -> Vec<Terminal> {
        let mut found: Vec<Terminal> = self.ending().into_iter().filter(|terminal| &*terminal.name == name).collect();
        // One that still waits for another's driver to be gone has no payment, and hears nothing.
        found.extend(self.get(name).filter(|terminal| !terminal.gate.is_held()));
        found
    }

    /// Those that a reload has removed and that are not gone yet.
    fn ending(&self) -> Vec<Terminal> {
        let tasks = self.tasks.lock().expect("nothing panics while it holds the tasks");
        let ending = tasks.iter().filter(|running| !running.task.is_finished() && *running.stop.borrow() != Stop::Run);
        ending.map(|running| running.terminal.clone()).collect()
    }

    /// All terminals, by name.
    pub fn all(&self) -> Vec<Terminal> {
        self.by_name.load().values().cloned().collect()
    }

    /// Shows in the metrics how many payments wait, whenever they are read.
    pub fn show_queues_in(self: &Arc<Self>, metrics: &Metrics) {
        let terminals = Arc::downgrade(self);
        metrics.before_render(move |metrics| {
            let now = terminals.upgrade().map_or_else(Vec::new, |terminals| terminals.all());
            for terminal in now {
                let (waiting, capacity) = terminal.gate.queue();
                metrics.terminal_queue(&terminal.name, waiting, capacity);
            }
        });
    }

    /// Changes to another set of terminals: an unchanged one keeps its task and connection. `adopt` is called while both
    /// the old and the new terminals are there: whoever works by the old configuration finds his, and so does whoever works
    /// by the new one.
    pub async fn reload(
        &self,
        configs: &BTreeMap<String, Arc<TerminalConfig>>,
        adopt: impl FnOnce(),
    ) -> Result<Reloaded, String> {
        let _alone = self.reloading.lock().await;
        self.check(configs)?;
        let mut report = Reloaded::default();
        let mut by_name = BTreeMap::clone(&self.by_name.load());
        let mut changes = Vec::new();
        for (name, config) in configs {
            match by_name.get(name) {
                Some(terminal) if is_equal(&terminal.wanted.load(), config) => {
                    if !is_equal(terminal.current().config(), config) {
                        report.waiting.push(name.clone());
                    }
                }
                Some(terminal) => changes.push((name.clone(), terminal.configure(config.clone()).await)),
                None => {
                    by_name.insert(name.clone(), self.add(config.clone()));
                    report.added.push(name.clone());
                }
            }
        }
        self.by_name.store(Arc::new(by_name.clone()));
        adopt();
        report.removed = by_name.keys().filter(|name| !configs.contains_key(*name)).cloned().collect();
        for name in &report.removed {
            by_name.remove(name);
            self.retire(name);
        }
        self.by_name.store(Arc::new(by_name));
        let quick = Instant::now() + QUICK;
        for (name, changed) in changes {
            let at_once = matches!(timeout_at(quick, changed).await, Ok(Ok(())));
            let list = if at_once { &mut report.changed } else { &mut report.waiting };
            list.push(name);
        }
        Ok(report)
    }

    /// Whether a reload can change to these terminals. An address that moves from one running terminal to another is
    /// refused: two drivers would meet at it.
    pub fn check(&self, configs: &BTreeMap<String, Arc<TerminalConfig>>) -> Result<(), String> {
        if self.is_stopping() {
            return Err("the router is stopping".to_owned());
        }
        let (now, ending) = (self.by_name.load(), self.ending());
        for (name, config) in configs {
            let address = &config.identity.address;
            let holder = now.iter().find(|(other, terminal)| *other != name && terminal.may_be_at(address));
            if let Some((holder, _)) = holder
                && (configs.contains_key(holder) || now.contains_key(name))
            {
                return Err(format!(
                    "terminal {name:?} takes over the address {address} of {holder:?}; restart the router for that"
                ));
            }
            // A new one waits for the other's end; one that is there already would not.
            let moves = now.get(name).is_some_and(|terminal| !terminal.may_be_at(address));
            if moves && let Some(other) = ending.iter().find(|terminal| terminal.may_be_at(address)) {
                return Err(format!(
                    "terminal {:?} was removed and is still at work at {address}; reload again once it has ended",
                    other.name
                ));
            }
        }
        Ok(())
    }

    /// Starts a terminal. If one that is ending has the same address, it waits for that one's driver to be gone.
    fn add(&self, config: Arc<TerminalConfig>) -> Terminal {
        let mut tasks = self.tasks.lock().expect("nothing panics while it holds the tasks");
        tasks.retain(|running| !running.task.is_finished());
        let before = tasks.iter().filter(|running| running.terminal.may_be_at(&config.identity.address));
        let gone = before.map(|running| running.stop.clone()).collect();
        let (terminal, running) = launch(config, &self.life, Vec::new(), Some(gone));
        tasks.push(running);
        terminal
    }

    /// Ends a terminal's task; what is still in doubt then is left to a person.
    fn retire(&self, name: &str) {
        let mut tasks = self.tasks.lock().expect("nothing panics while it holds the tasks");
        let is_it = |running: &Running| &*running.terminal.name == name && *running.stop.borrow() == Stop::Run;
        let Some(place) = tasks.iter().position(is_it) else { return };
        let Running { terminal, stop, task } = tasks.swap_remove(place);
        stop.send_replace(Stop::Removed);
        let life = self.life.clone();
        let task = tokio::spawn(async move {
            for payment in task.await.unwrap_or_default() {
                if let Err(error) = orphan(&life, &payment).await {
                    tracing::error!(payment = %payment.id, "it could not be left to a person: {error}");
                }
            }
            Vec::new()
        });
        tasks.push(Running { terminal, stop, task });
    }

    /// Starts nothing new, lets what runs end within `grace`, then drops it and says good-bye to every terminal.
    pub async fn stop(&self, grace: Duration) {
        self.stopping.store(true, Ordering::Release);
        // What a reload is about to start must be stopped as well; none begins any more.
        let _alone = self.reloading.lock().await;
        let running = std::mem::take(&mut *self.tasks.lock().expect("nothing panics while it holds the tasks"));
        let (stops, mut tasks): (Vec<_>, Vec<_>) =
            running.into_iter().map(|running| (running.stop, running.task)).unzip();
        for stop in &stops {
            stop.send_replace(Stop::Drain);
        }
        if timeout(grace, all_of(&mut tasks)).await.is_err() {
            for stop in &stops {
                stop.send_replace(Stop::Now);
            }
            let _ = timeout(FAREWELL, all_of(&mut tasks)).await;
        }
    }
}

impl Terminal {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is at the moment. Ask behind [`enter`](Self::enter): whoever is promised a terminal finds it unchanged.
    pub fn current(&self) -> Arc<Current> {
        self.current.load_full()
    }

    /// Takes a place, or says why there is none.
    pub fn enter(&self) -> Result<Place, Refusal> {
        self.gate.enter()
    }

    /// Hands a payment over. From here on the terminal's task owns it.
    ///
    /// There is room for every place that was given out, so this fails only when the task is gone; the job comes back then.
    pub fn hand_over(&self, job: Job) -> Result<(), Box<Job>> {
        self.jobs.try_send(Box::new(job)).map_err(|error| error.into_inner())
    }

    /// Ends a payment whose terminal's task is gone: nothing was sent, and nobody else is let in.
    pub async fn abandon(&self, life: &Life, job: Box<Job>) {
        self.gate.close(Refusal::Stopping);
        task::abandon(life, job).await;
    }

    /// Whether a payment in doubt keeps its door shut.
    pub fn is_in_doubt(&self) -> bool {
        self.gate.is_in_doubt()
    }

    /// Whether it is at something.
    pub fn is_busy(&self) -> bool {
        self.gate.is_busy()
    }

    /// How many payments wait for it, and how many may.
    pub fn queue(&self) -> (usize, usize) {
        self.gate.queue()
    }

    /// Does something besides payments, if the terminal is free.
    pub async fn maintain(&self, work: Work) -> Result<Report, NotDone> {
        let place = self.enter().map_err(NotDone::Refused)?;
        if !place.is_immediate() {
            return Err(NotDone::Refused(Refusal::Busy));
        }
        let report = self.ask(|answer| Request::Maintain { work, place, answer }).await.ok_or(NotDone::Gone)?;
        report.map_err(NotDone::Driver)
    }

    /// Asks a payment to stop.
    pub async fn abort(&self, id: PaymentId, person: &Person) -> AbortAnswer {
        let person = person.clone();
        let answer = self.ask(|answer| Request::Abort { id, person, answer }).await;
        answer.unwrap_or(AbortAnswer::NotRunning)
    }

    /// Takes a person's word about a payment in doubt.
    pub async fn settle(&self, id: PaymentId, end: End, force: bool) -> Result<Payment, NotSettled> {
        let answer = self.ask(|answer| Request::Settle { id, end, force, answer }).await;
        answer.unwrap_or_else(|| Err(NotSettled::Journal(JournalError::ReadOnly("the router is stopping".into()))))
    }

    /// Whether its driver is at this address, or will be, by whatever name.
    fn may_be_at(&self, address: &str) -> bool {
        let is_there = |own: &str| own == address || resolved(own) == resolved(address);
        is_there(&self.current().key.identity.address) || is_there(&self.wanted.load().identity.address)
    }

    async fn configure(&self, config: Arc<TerminalConfig>) -> oneshot::Receiver<()> {
        let (answer, answered) = oneshot::channel();
        self.wanted.store(config.clone());
        // A task that is gone needs no settings.
        let _ = self.requests.send(Box::new(Request::Configure { config, answer })).await;
        answered
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Box::new(request(answer))).await.ok()?;
        answered.await.ok()
    }
}

/// Takes a person's word about a payment whose terminal is gone.
pub async fn settle_orphan(life: &Life, id: PaymentId, end: End) -> Result<Payment, NotSettled> {
    task::settle(life, id, end).await
}

/// Whether a terminal need not notice a reload.
fn is_equal(old: &TerminalConfig, new: &TerminalConfig) -> bool {
    old.driver == new.driver
        && old.settings.table == new.settings.table
        && old.settings.secrets == new.settings.secrets
        && old.settings.base_dir == new.settings.base_dir
        && old.identity == new.identity
        && old.currency == new.currency
        && old.queue == new.queue
        && old.payment_deadline == new.payment_deadline
        && old.accept_partial == new.accept_partial
        && old.end_of_day == new.end_of_day
        && old.probe == new.probe
}

fn current(config: &Arc<TerminalConfig>) -> Current {
    let key =
        TerminalKey { name: config.name.clone(), driver: config.driver.clone(), identity: config.identity.clone() };
    Current { key, accept_partial: config.accept_partial, config: config.clone() }
}

/// Starts a terminal's task; behind the ends of those that have its address now, if there are any.
fn launch(
    config: Arc<TerminalConfig>,
    life: &Life,
    in_doubt: Vec<Payment>,
    behind: Option<Vec<watch::Sender<Stop>>>,
) -> (Terminal, Running) {
    let gate = Gate::new(config.queue);
    let (stop, stopped) = watch::channel(Stop::Run);
    let (jobs, job_receiver) = mpsc::channel(config.queue + 2);
    let (requests, request_receiver) = mpsc::channel(REQUESTS);
    let mut doubts = Doubts::default();
    for payment in in_doubt {
        life.metrics.doubt_began(&payment);
        if !payment.waits_for_person {
            doubts.add(payment);
        }
    }
    gate.set_in_doubt(!doubts.is_empty());
    let now = Arc::new(ArcSwap::from_pointee(current(&config)));
    let terminal = Terminal {
        name: config.name.as_str().into(),
        current: now.clone(),
        wanted: Arc::new(ArcSwap::new(config.clone())),
        gate: gate.clone(),
        jobs,
        requests,
    };
    let links = Links { jobs: job_receiver, requests: request_receiver, stop: stopped, current: now };
    let task = Task::new(config, life.clone(), gate.clone(), links, doubts);
    let behind = behind.unwrap_or_default();
    gate.set_held(!behind.is_empty());
    // Spawned bare where it can be: an async block around it would keep room for the task twice.
    let task = if behind.is_empty() { tokio::spawn(task.run()) } else { tokio::spawn(run_behind(behind, gate, task)) };
    (terminal.clone(), Running { terminal, stop, task })
}

/// Runs a task once those that have its address are gone.
async fn run_behind(others: Vec<watch::Sender<Stop>>, gate: Gate, task: Task) -> Vec<Payment> {
    for other in others {
        // The other task holds the receiver until its driver is gone.
        other.closed().await;
    }
    gate.set_held(false);
    task.run().await
}

/// A payment in doubt whose terminal is gone or has become another one.
async fn orphan(life: &Life, payment: &Payment) -> Result<(), JournalError> {
    if payment.waits_for_person {
        return Ok(());
    }
    let message = format!(
        "terminal {:?} ({} at {}) is gone from the configuration or has become another one, so nobody was asked",
        payment.terminal.name, payment.terminal.driver, payment.terminal.identity.address
    );
    recovery::leave(life, payment, Evidence::new(message)).await
}

async fn all_of(tasks: &mut [JoinHandle<Vec<Payment>>]) {
    for task in tasks {
        if !task.is_finished() {
            let _ = task.await;
        }
    }
}
