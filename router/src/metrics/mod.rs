//! What whoever runs it can see in figures: typed handles, and the text that Prometheus reads.
//!
//! | file | question |
//! |---|---|
//! | `table` | which metrics are there, and what does each say |
//! | `layout` | which registers and terminals are counted |
//! | `shop` | what is counted per register and per terminal |
//! | `series` | which series do these have, and where do they stand |
//! | `figures` | how are a count, a level and a spread of times kept |
//! | `exposition` | how is a metric written for Prometheus |
//! | `doubts` | which payments are in doubt, and since when |
//! | `reason` | what does a decline's code mean |
//! | `webhooks`, `journal` | what is counted of them |
//! | `process` | what does the process use |
//!
//! What there is once is kept by the exporter; what every register and terminal has is kept here, in far less room, and added
//! to its text. All label values come from the configuration or from closed lists and are created at start with 0. Handles are made once
//! per register: nothing formats a label on the path of a payment.

mod doubts;
mod exposition;
mod figures;
mod journal;
mod layout;
mod process;
mod reason;
mod series;
mod shop;
mod table;
#[cfg(test)]
mod tests;
mod webhooks;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use metrics::{Counter, Gauge, Histogram, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusHandle, PrometheusRecorder};
use tillswitch_core::{Cause, LineWatch};

use crate::code::Code;
use crate::journal::{Actor, Payment, Recovered, State};
use doubts::Doubts;
pub use journal::{JournalMetrics, Op};
pub use layout::{Layout, Terminal, Till};
use process::Runtime;
use series::{PlaceSeries, Series};
use shop::{Shop, TillMetrics};
use table::{
    ADMIN_LOGINS, BUILD_INFO, CERTIFICATE_END, CERTIFICATE_OK, CONFIG_RELOAD_OK, CONFIG_RELOAD_TIME, HTTP_CONNECTIONS,
    IN_DOUBT_OLDEST, IN_DOUBT_RESOLVED, OVERHEAD, RECOVERY_DURATION, RECOVERY_RECORDS, SSE_CLIENTS,
};
pub use table::{ALL, Kind, Metric};
use webhooks::Webhooks;

/// All handles. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    recorder: PrometheusRecorder,
    exporter: PrometheusHandle,
    shop: ArcSwap<Shop>,
    series: Mutex<Series>,
    doubts: Mutex<Doubts>,
    fixed: Fixed,
    looks: Mutex<Vec<Look>>,
}

/// What notes something just before the figures are read.
type Look = Box<dyn Fn(&Metrics) + Send + Sync>;

/// The handles that no configuration changes.
struct Fixed {
    resolved: Resolved,
    oldest_doubt: Gauge,
    webhooks: Webhooks,
    overhead: [Histogram; Stage::ALL.len()],
    journal: JournalMetrics,
    recovery: Recovery,
    logins: [Counter; Login::ALL.len()],
    public_connections: Gauge,
    admin_connections: Gauge,
    listeners: Gauge,
    certificate_end: Gauge,
    certificate_ok: Gauge,
    config_ok: Gauge,
    config_time: Gauge,
    runtime: Runtime,
}

struct Resolved {
    by_question: Counter,
    by_operator: Counter,
}

struct Recovery {
    in_doubt: Counter,
    expired: Counter,
    duration: Gauge,
}

/// A part of the router's own share in a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// From a webhook's last byte to an event that was checked and understood.
    Verify,
    /// From the event to its register and terminal.
    Route,
    /// Until the payment is on disk.
    Journal,
    /// From the terminal being free to its driver's start.
    Dispatch,
    /// From the outcome until it is on disk and told to whoever waits.
    Reply,
}

impl Stage {
    /// Every stage, in the order of a payment.
    pub const ALL: [Stage; 5] = [Stage::Verify, Stage::Route, Stage::Journal, Stage::Dispatch, Stage::Reply];

    /// The word in the label.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Verify => "verify",
            Stage::Route => "route",
            Stage::Journal => "journal",
            Stage::Dispatch => "dispatch",
            Stage::Reply => "reply",
        }
    }
}

/// One of the two listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The one that faces the point of sale.
    Public,
    /// The one for page, API and metrics.
    Admin,
}

/// What somebody's admin token came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// It opened a session.
    Ok,
    /// It is wrong.
    Wrong,
    /// It came while its sender had to pause.
    Paused,
}

impl Login {
    const ALL: [Login; 3] = [Login::Ok, Login::Wrong, Login::Paused];

    fn name(self) -> &'static str {
        match self {
            Login::Ok => "ok",
            Login::Wrong => "wrong_token",
            Login::Paused => "throttled",
        }
    }
}

/// A client that is connected, until this is dropped.
pub struct Connected(Gauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// A payment that a terminal is at, until this is dropped.
pub struct InProgress(Option<Arc<PlaceSeries>>);

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.iter().for_each(|place| place.in_progress.add(-1.0));
    }
}

impl Metrics {
    /// Creates every series of a shop with 0.
    pub fn new(layout: &Layout) -> Metrics {
        let recorder = table::exporter().build_recorder();
        let fixed = with_local_recorder(&recorder, Fixed::create);
        let inner = Inner {
            exporter: recorder.handle(),
            recorder,
            shop: ArcSwap::default(),
            series: Mutex::default(),
            doubts: Mutex::default(),
            fixed,
            looks: Mutex::default(),
        };
        let metrics = Metrics(Arc::new(inner));
        metrics.configure(layout);
        metrics.config_read(SystemTime::now());
        metrics
    }

    /// Takes over another configuration: what is new gets its series, what is known goes on counting.
    pub fn configure(&self, layout: &Layout) {
        // Under the lock of the doubts: nobody may show them in the old shop any more once the new one has cleared it.
        self.change_doubts(|_| {
            let before = self.0.shop.load();
            let create = || Shop::create(layout, &before, &mut self.series());
            self.0.shop.store(Arc::new(with_local_recorder(&self.0.recorder, create)));
        });
    }

    /// The configuration in use was read without a fault.
    pub fn config_read(&self, at: SystemTime) {
        self.0.fixed.config_ok.set(1.0);
        self.0.fixed.config_time.set(epoch_seconds(at));
    }

    /// A changed configuration had faults; the one in use stays.
    pub fn config_refused(&self) {
        self.0.fixed.config_ok.set(0.0);
    }

    /// Clients of the public listener are shown a certificate that ends then.
    pub fn certificate_shown(&self, not_after: jiff::Timestamp) {
        self.0.fixed.certificate_end.set(not_after.as_second() as f64);
        self.0.fixed.certificate_ok.set(1.0);
    }

    /// Its files have changed and cannot be used; the one from before stays.
    pub fn certificate_refused(&self) {
        self.0.fixed.certificate_ok.set(0.0);
    }

    /// The text that Prometheus reads.
    pub fn render(&self) -> String {
        for look in self.looks().iter() {
            look(self);
        }
        let mut text = self.0.exporter.render();
        self.series().render(&mut text, &self.0.fixed.journal);
        process::render(&mut text);
        text
    }

    /// Has something noted each time before the figures are read. It must not keep the metrics alive, nor wait.
    pub fn before_render(&self, look: impl Fn(&Metrics) + Send + Sync + 'static) {
        self.looks().push(Box::new(look));
    }

    /// Sorts what was observed into its buckets; without it memory grows while nobody reads. Call it every few seconds.
    pub fn run_upkeep(&self) {
        self.0.exporter.run_upkeep();
        self.0.fixed.runtime.note();
    }

    /// A payment came into a state that counts as an outcome.
    pub fn outcome(&self, payment: &Payment, state: State, took: Duration) {
        if let Some(till) = self.0.shop.load().till(payment) {
            till.outcome(payment.operation, state, took);
        }
    }

    /// A payment was declined with this code of the terminal.
    pub fn declined(&self, terminal: &str, code: &str) {
        if let Some(terminal) = self.0.shop.load().counted(terminal) {
            terminal.declined(code);
        }
    }

    /// A payment was given to a terminal, which is at it until what this returns is dropped.
    pub fn started(&self, payment: &Payment) -> InProgress {
        let place = self.0.shop.load().till(payment).map(TillMetrics::place);
        place.iter().for_each(|place| place.in_progress.add(1.0));
        InProgress(place)
    }

    /// A payment is in doubt. To say so twice changes nothing. One from before a restart may belong to a register that is
    /// configured no more: its counters stand at 0 from now on, so that its end is seen.
    pub fn doubt_began(&self, payment: &Payment) {
        self.change_doubts(|doubts| {
            let shop = self.0.shop.load();
            if shop.till(payment).is_none() {
                self.0.shop.store(Arc::new(shop.with_former(payment, &mut self.series())));
            }
            doubts.add(payment);
        });
    }

    /// A payment in doubt was settled, by whom.
    pub fn doubt_ended(&self, payment: &Payment, by: &Actor) {
        self.change_doubts(|doubts| doubts.remove(payment.id));
        let resolved = &self.0.fixed.resolved;
        match by {
            Actor::Operator(_) => resolved.by_operator.increment(1),
            Actor::Webhook | Actor::Driver | Actor::Recovery => resolved.by_question.increment(1),
        }
    }

    /// Something contradicts what is known about a terminal's payments.
    pub fn incident(&self, terminal: &str) {
        if let Some(terminal) = self.0.shop.load().counted(terminal) {
            terminal.own.incidents.increment();
        }
    }

    /// A terminal answered.
    pub fn terminal_answered(&self, terminal: &str) {
        if let Some(terminal) = self.0.shop.load().terminal(terminal) {
            terminal.answered();
        }
    }

    /// A terminal was to be asked, and this went wrong.
    pub fn terminal_troubled(&self, terminal: &str, cause: Cause) {
        let shop = self.0.shop.load();
        if let Some(terminal) = shop.counted(terminal) {
            terminal.link_failed(cause);
        }
        if let Some(terminal) = shop.terminal(terminal) {
            terminal.troubled(cause);
        }
    }

    /// Counts what a driver tells of the line to this terminal.
    pub fn watch_line(&self, terminal: &str) -> LineWatch {
        let (metrics, terminal) = (self.clone(), terminal.to_owned());
        LineWatch::new(move |event| {
            if let Some(terminal) = metrics.0.shop.load().counted(&terminal) {
                terminal.happened(event);
            }
        })
    }

    /// How many payments wait in front of a terminal, and how many may.
    pub fn terminal_queue(&self, terminal: &str, waiting: usize, capacity: usize) {
        if let Some(terminal) = self.0.shop.load().terminal(terminal) {
            terminal.own.waiting.set(waiting as f64);
            terminal.own.queue.set(capacity as f64);
        }
    }

    /// A webhook was answered.
    pub fn webhook_answered(&self, status: u16) {
        self.0.fixed.webhooks.answered(status);
    }

    /// A webhook was turned away.
    pub fn webhook_rejected(&self, code: Code) {
        self.0.fixed.webhooks.rejected(code);
    }

    /// A webhook was a repeat and got the answer of its payment.
    pub fn webhook_duplicate(&self) {
        self.0.fixed.webhooks.duplicates.increment(1);
    }

    /// A webhook was signed with this key, counted from 0 in the order of the configuration.
    pub fn webhook_signed_with(&self, key: usize) {
        if let Some(counter) = self.0.shop.load().signature_keys.get(key) {
            counter.increment(1);
        }
    }

    /// A webhook is safe on disk, so long after its reception.
    pub fn webhook_safe(&self, took: Duration) {
        self.0.fixed.webhooks.ack.record(took.as_secs_f64());
    }

    /// How long one part of our own share took.
    pub fn overhead(&self, stage: Stage, took: Duration) {
        self.0.fixed.overhead[stage as usize].record(took.as_secs_f64());
    }

    /// What is counted of the journal.
    pub fn journal(&self) -> &JournalMetrics {
        &self.0.fixed.journal
    }

    /// Whether the journal takes writes.
    pub fn journal_read_only(&self, read_only: bool) {
        self.0.fixed.journal.read_only(read_only);
    }

    /// What the start found open, and how long it took to settle it.
    pub fn recovered(&self, found: Recovered, took: Duration) {
        let recovery = &self.0.fixed.recovery;
        recovery.in_doubt.increment(found.in_doubt as u64);
        recovery.expired.increment(found.expired as u64);
        recovery.duration.set(took.as_secs_f64());
    }

    /// Somebody exchanged the token for a session, or tried a token in vain.
    pub fn token_tried(&self, result: Login) {
        self.0.fixed.logins[result as usize].increment(1);
    }

    /// A client has connected.
    pub fn connected(&self, listener: Listener) -> Connected {
        let connections = match listener {
            Listener::Public => &self.0.fixed.public_connections,
            Listener::Admin => &self.0.fixed.admin_connections,
        };
        connections.increment(1.0);
        Connected(connections.clone())
    }

    /// A client of the admin listener is told events from now on.
    pub fn listens(&self) -> Connected {
        self.0.fixed.listeners.increment(1.0);
        Connected(self.0.fixed.listeners.clone())
    }

    fn change_doubts(&self, change: impl FnOnce(&mut Doubts)) {
        let mut doubts = self.0.doubts.lock().expect("nothing panics while it holds the doubts");
        change(&mut doubts);
        self.0.shop.load().show_doubts(doubts.places());
        self.0.fixed.oldest_doubt.set(doubts.oldest().map_or(0.0, epoch_seconds));
    }

    fn series(&self) -> MutexGuard<'_, Series> {
        self.0.series.lock().expect("nothing panics while it holds the series")
    }

    fn looks(&self) -> MutexGuard<'_, Vec<Look>> {
        self.0.looks.lock().expect("nothing panics while it holds the looks")
    }
}

impl Fixed {
    fn create() -> Fixed {
        table::describe();
        let [version, revision, rustc] =
            [env!("CARGO_PKG_VERSION"), env!("TILLSWITCH_REVISION"), env!("TILLSWITCH_RUSTC")];
        BUILD_INFO.gauge(&[version, revision, rustc]).set(1.0);
        Fixed {
            resolved: Resolved {
                by_question: IN_DOUBT_RESOLVED.counter(&["auto_query"]),
                by_operator: IN_DOUBT_RESOLVED.counter(&["operator"]),
            },
            oldest_doubt: IN_DOUBT_OLDEST.gauge(&[]),
            webhooks: Webhooks::create(),
            overhead: Stage::ALL.map(|stage| OVERHEAD.histogram(&[stage.name()])),
            journal: JournalMetrics::create(),
            recovery: Recovery {
                in_doubt: RECOVERY_RECORDS.counter(&["in_doubt"]),
                expired: RECOVERY_RECORDS.counter(&["expired"]),
                duration: RECOVERY_DURATION.gauge(&[]),
            },
            logins: Login::ALL.map(|result| ADMIN_LOGINS.counter(&[result.name()])),
            public_connections: HTTP_CONNECTIONS.gauge(&["public"]),
            admin_connections: HTTP_CONNECTIONS.gauge(&["admin"]),
            listeners: SSE_CLIENTS.gauge(&["admin"]),
            certificate_end: CERTIFICATE_END.gauge(&["public"]),
            certificate_ok: CERTIFICATE_OK.gauge(&["public"]),
            config_ok: CONFIG_RELOAD_OK.gauge(&[]),
            config_time: CONFIG_RELOAD_TIME.gauge(&[]),
            runtime: Runtime::create(),
        }
    }
}

fn epoch_seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
