//! The terminals of the shop: one task each.
//!
//! | file | question |
//! |---|---|
//! | `gate` | who may use a terminal next |
//! | `task` | what a terminal does next |
//! | `attempt` | one payment, from its place to an end on disk |
//! | `recovery` | what became of the payments in doubt |
//! | `session` | what a running driver can ask of the router |
//! | `stop` | the stages of a graceful stop |

mod attempt;
mod gate;
mod recovery;
mod session;
mod stop;
mod task;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tillswitch_core::Evidence;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use attempt::Job;
pub use gate::{Place, Refusal};
pub use stop::Stop;

use crate::config::TerminalConfig;
use crate::journal::{JournalError, Payment, TerminalKey};
use crate::life::Life;
use crate::metrics::Metrics;
use gate::Gate;
use recovery::Doubts;
use task::Task;

/// What a stop takes at most behind its grace: letting go of drivers and saying good-bye.
const FAREWELL: Duration = Duration::from_secs(15);

/// All terminals of a configuration, running.
#[derive(Debug)]
pub struct Terminals {
    by_name: BTreeMap<String, Terminal>,
    stop: watch::Sender<Stop>,
    tasks: tokio::sync::Mutex<JoinSet<()>>,
}

/// The way to one terminal's task.
#[derive(Clone, Debug)]
pub struct Terminal {
    /// What it is, as kept with its payments.
    pub key: Arc<TerminalKey>,
    /// Whether an approval for less may stand there.
    pub accept_partial: bool,
    gate: Gate,
    jobs: mpsc::Sender<Job>,
}

impl Terminals {
    /// Starts a task per terminal. Payments that were in doubt go to the terminal that they were sent to, if it is still the
    /// same; the others are left to a person without asking anybody.
    pub async fn start(
        configs: impl IntoIterator<Item = Arc<TerminalConfig>>,
        life: &Life,
    ) -> Result<Terminals, JournalError> {
        let (stop, stopped) = watch::channel(Stop::Run);
        let mut doubts = life.journal.in_doubt().await?;
        let (mut tasks, mut by_name) = (JoinSet::new(), BTreeMap::new());
        for config in configs {
            let key = key_of(&config);
            let own = doubts.extract_if(.., |payment| payment.terminal == key).collect();
            let (terminal, task) = terminal(config, key, life, stopped.clone(), own);
            by_name.insert(terminal.key.name.clone(), terminal);
            tasks.spawn(task.run());
        }
        for payment in doubts {
            orphan(life, &payment).await?;
        }
        Ok(Terminals { by_name, stop, tasks: tokio::sync::Mutex::new(tasks) })
    }

    /// The terminal with this name.
    pub fn get(&self, name: &str) -> Option<&Terminal> {
        self.by_name.get(name)
    }

    /// Shows in the metrics how many payments wait, whenever they are read.
    pub fn show_queues_in(&self, metrics: &Metrics) {
        let gates: Vec<(String, Gate)> =
            self.by_name.iter().map(|(name, one)| (name.clone(), one.gate.clone())).collect();
        metrics.before_render(move |metrics| {
            for (name, gate) in &gates {
                let (waiting, capacity) = gate.queue();
                metrics.terminal_queue(name, waiting, capacity);
            }
        });
    }

    /// Starts nothing new, lets what runs end within `grace`, then drops it and says good-bye to every terminal.
    pub async fn stop(&self, grace: Duration) {
        self.stop.send_replace(Stop::Drain);
        let mut tasks = self.tasks.lock().await;
        if timeout(grace, all(&mut tasks)).await.is_err() {
            self.stop.send_replace(Stop::Now);
            let _ = timeout(FAREWELL, all(&mut tasks)).await;
        }
    }
}

impl Terminal {
    /// Takes a place, or says why there is none.
    pub fn enter(&self) -> Result<Place, Refusal> {
        self.gate.enter()
    }

    /// Hands a payment over. From here on the terminal's task owns it.
    ///
    /// There is room for every place that was given out, so this fails only when the task is gone; the job comes back then.
    #[allow(clippy::result_large_err)] // the job itself is handed back
    pub fn hand_over(&self, job: Job) -> Result<(), Job> {
        self.jobs.try_send(job).map_err(|error| error.into_inner())
    }

    /// Whether a payment in doubt keeps its door shut.
    pub fn is_in_doubt(&self) -> bool {
        self.gate.is_in_doubt()
    }
}

fn key_of(config: &TerminalConfig) -> TerminalKey {
    TerminalKey { name: config.name.clone(), driver: config.driver.clone(), identity: config.identity.clone() }
}

fn terminal(
    config: Arc<TerminalConfig>,
    key: TerminalKey,
    life: &Life,
    stop: watch::Receiver<Stop>,
    in_doubt: Vec<Payment>,
) -> (Terminal, Task) {
    let gate = Gate::new(config.queue);
    let (sender, jobs) = mpsc::channel(config.queue + 2);
    let mut doubts = Doubts::default();
    for payment in in_doubt {
        life.metrics.doubt_began(&payment);
        if !payment.waits_for_person {
            doubts.add(payment);
        }
    }
    gate.set_in_doubt(!doubts.is_empty());
    let terminal =
        Terminal { key: Arc::new(key), accept_partial: config.accept_partial, gate: gate.clone(), jobs: sender };
    (terminal, Task::new(config, life.clone(), gate, jobs, stop, doubts))
}

/// A payment in doubt whose terminal is gone or has become another one.
async fn orphan(life: &Life, payment: &Payment) -> Result<(), JournalError> {
    life.metrics.doubt_began(payment);
    if payment.waits_for_person {
        return Ok(());
    }
    let message = format!(
        "terminal {:?} ({} at {}) is gone from the configuration or has become another one, so nobody was asked",
        payment.terminal.name, payment.terminal.driver, payment.terminal.identity.address
    );
    recovery::leave(life, payment, Evidence::new(message)).await
}

async fn all(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}
