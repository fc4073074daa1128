//! Every metric: its name, unit, help line and labels. Names live here and nowhere else.
//!
//! All label values come from the configuration or from closed lists and are created at start with 0. Handles are made once
//! per register: nothing formats a label on the path of a payment.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Label, SharedString, with_local_recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tillswitch_core::Operation;

use crate::code::Code;
use crate::journal::State;

/// Seconds that a card payment takes.
const PAYMENT_BUCKETS: &[f64] =
    &[0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0];
/// Seconds that our own work takes.
const FAST_BUCKETS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

const PAYMENTS_TOTAL: &str = "tillswitch_payments_total";
const PAYMENT_DURATION: &str = "tillswitch_payment_duration_seconds";
const PAYMENTS_IN_PROGRESS: &str = "tillswitch_payments_in_progress";
const PAYMENTS_IN_DOUBT: &str = "tillswitch_payments_in_doubt";
const INCIDENTS_TOTAL: &str = "tillswitch_incidents_total";
const WEBHOOK_REQUESTS: &str = "tillswitch_webhook_requests_total";
const WEBHOOK_REJECTED: &str = "tillswitch_webhook_rejected_total";
const WEBHOOK_DUPLICATES: &str = "tillswitch_webhook_duplicates_total";
const WEBHOOK_SIGNATURES: &str = "tillswitch_webhook_signatures_total";
const OVERHEAD: &str = "tillswitch_router_overhead_seconds";
const JOURNAL_READ_ONLY: &str = "tillswitch_journal_read_only";
const BUILD_INFO: &str = "tillswitch_build_info";

/// The states that count as an outcome in `tillswitch_payments_total`.
const OUTCOMES: [State; 6] =
    [State::Approved, State::Declined, State::Cancelled, State::Failed, State::Expired, State::InDoubt];
/// The outcomes that have a duration.
const TIMED: [State; 3] = [State::Approved, State::Declined, State::Cancelled];
/// Why a webhook was turned away.
const REJECTIONS: &[Code] = &[
    Code::Malformed,
    Code::BadAmount,
    Code::UnknownOperation,
    Code::BadSignature,
    Code::UnknownRegister,
    Code::AmbiguousRegister,
    Code::UnknownPaymentEvent,
    Code::ConflictingRepeat,
    Code::SuspectedRepeat,
    Code::DocumentInDoubt,
    Code::OverRefund,
    Code::TooOld,
    Code::TerminalBusy,
    Code::TerminalInDoubt,
    Code::JournalUnavailable,
    Code::ShuttingDown,
];
const STATUS_CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// A register as the metrics know it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Till {
    /// The register's name.
    pub register: String,
    /// Its terminal's name.
    pub terminal: String,
    /// The terminal's driver.
    pub driver: String,
}

/// All handles. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    exporter: PrometheusHandle,
    tills: HashMap<String, TillMetrics>,
    statuses: [Counter; 4],
    rejected: HashMap<Code, Counter>,
    duplicates: Counter,
    signature_keys: Vec<Counter>,
    incidents: HashMap<String, Counter>,
    overhead: Histogram,
    journal_read_only: Gauge,
}

struct TillMetrics {
    outcomes: HashMap<(Operation, State), Counter>,
    durations: HashMap<State, Histogram>,
    in_progress: Gauge,
    in_doubt: Gauge,
}

impl Metrics {
    /// Creates every series with 0. `signature_keys` is how many keys the webhook accepts.
    pub fn new(tills: &[Till], signature_keys: usize) -> Metrics {
        let recorder = builder().build_recorder();
        let exporter = recorder.handle();
        let inner = with_local_recorder(&recorder, || Inner::create(exporter, tills, signature_keys));
        Metrics(Arc::new(inner))
    }

    /// The text that Prometheus reads.
    pub fn render(&self) -> String {
        self.0.exporter.render()
    }

    /// Sorts what was observed into its buckets; without it memory grows while nobody reads. Call it every few seconds.
    pub fn run_upkeep(&self) {
        self.0.exporter.run_upkeep();
    }

    /// A payment came into a state that counts as an outcome.
    pub fn outcome(&self, register: &str, operation: Operation, state: State, took: Duration) {
        let Some(till) = self.0.tills.get(register) else { return };
        if let Some(counter) = till.outcomes.get(&(operation, state)) {
            counter.increment(1);
        }
        if let Some(histogram) = till.durations.get(&state) {
            histogram.record(took.as_secs_f64());
        }
    }

    /// A payment was given to a terminal.
    pub fn started(&self, register: &str) {
        self.change(register, |till| till.in_progress.increment(1.0));
    }

    /// The terminal is done with it.
    pub fn ended(&self, register: &str) {
        self.change(register, |till| till.in_progress.decrement(1.0));
    }

    /// A payment of this register came into doubt (+1) or out of it (-1).
    pub fn doubt(&self, register: &str, change: f64) {
        self.change(register, |till| till.in_doubt.increment(change));
    }

    /// Something contradicts what is known about a terminal's payments.
    pub fn incident(&self, terminal: &str) {
        if let Some(counter) = self.0.incidents.get(terminal) {
            counter.increment(1);
        }
    }

    /// A webhook was answered.
    pub fn webhook_answered(&self, status: u16) {
        let class = usize::from(status / 100).clamp(2, 5) - 2;
        self.0.statuses[class].increment(1);
    }

    /// A webhook was turned away.
    pub fn webhook_rejected(&self, code: Code) {
        if let Some(counter) = self.0.rejected.get(&code) {
            counter.increment(1);
        }
    }

    /// A webhook was a repeat and got the answer of its payment.
    pub fn webhook_duplicate(&self) {
        self.0.duplicates.increment(1);
    }

    /// A webhook was signed with this key, counted from 0 in the order of the configuration.
    pub fn webhook_signed_with(&self, key: usize) {
        if let Some(counter) = self.0.signature_keys.get(key) {
            counter.increment(1);
        }
    }

    /// Our own share of an answer: reception to the terminal's start, and its outcome to the answer.
    pub fn overhead(&self, took: Duration) {
        self.0.overhead.record(took.as_secs_f64());
    }

    /// Whether the journal takes writes.
    pub fn journal_read_only(&self, read_only: bool) {
        self.0.journal_read_only.set(f64::from(u8::from(read_only)));
    }

    fn change(&self, register: &str, change: impl Fn(&TillMetrics)) {
        if let Some(till) = self.0.tills.get(register) {
            change(till);
        }
    }
}

fn builder() -> PrometheusBuilder {
    let mut builder = PrometheusBuilder::new();
    for (name, buckets) in [(PAYMENT_DURATION, PAYMENT_BUCKETS), (OVERHEAD, FAST_BUCKETS)] {
        let matcher = Matcher::Full(name.to_owned());
        builder = builder.set_buckets_for_metric(matcher, buckets).expect("the lists of buckets are not empty");
    }
    builder
}

impl Inner {
    fn create(exporter: PrometheusHandle, tills: &[Till], signature_keys: usize) -> Inner {
        describe();
        metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        let terminals = tills.iter().map(|till| till.terminal.clone());
        Inner {
            exporter,
            tills: tills.iter().map(|till| (till.register.clone(), TillMetrics::create(till))).collect(),
            statuses: STATUS_CLASSES.map(|class| touched(WEBHOOK_REQUESTS, vec![label("status_class", class)])),
            rejected: REJECTIONS
                .iter()
                .map(|code| (*code, touched(WEBHOOK_REJECTED, vec![label("reason", code.name())])))
                .collect(),
            duplicates: touched(WEBHOOK_DUPLICATES, Vec::new()),
            signature_keys: (0..signature_keys)
                .map(|key| touched(WEBHOOK_SIGNATURES, vec![label("key", (key + 1).to_string())]))
                .collect(),
            incidents: terminals
                .map(|name| (name.clone(), touched(INCIDENTS_TOTAL, vec![label("terminal", name)])))
                .collect(),
            overhead: metrics::histogram!(OVERHEAD),
            journal_read_only: zeroed(JOURNAL_READ_ONLY, Vec::new()),
        }
    }
}

impl TillMetrics {
    fn create(till: &Till) -> TillMetrics {
        let place = vec![label("register", till.register.clone()), label("terminal", till.terminal.clone())];
        let mut outcomes = HashMap::new();
        for operation in Operation::ALL {
            for state in OUTCOMES {
                let mut labels = place.clone();
                labels.push(label("driver", till.driver.clone()));
                labels.push(label("operation", operation.name()));
                labels.push(label("outcome", state.name()));
                outcomes.insert((operation, state), touched(PAYMENTS_TOTAL, labels));
            }
        }
        let durations = TIMED.map(|state| (state, duration(till, state)));
        TillMetrics {
            outcomes,
            durations: durations.into(),
            in_progress: zeroed(PAYMENTS_IN_PROGRESS, place.clone()),
            in_doubt: zeroed(PAYMENTS_IN_DOUBT, place),
        }
    }
}

fn duration(till: &Till, state: State) -> Histogram {
    let labels = vec![
        label("terminal", till.terminal.clone()),
        label("driver", till.driver.clone()),
        label("outcome", state.name()),
    ];
    metrics::histogram!(PAYMENT_DURATION, labels)
}

fn label(key: &'static str, value: impl Into<SharedString>) -> Label {
    Label::new(key, value)
}

fn touched(name: &'static str, labels: Vec<Label>) -> Counter {
    let counter = metrics::counter!(name, labels);
    counter.increment(0);
    counter
}

fn zeroed(name: &'static str, labels: Vec<Label>) -> Gauge {
    let gauge = metrics::gauge!(name, labels);
    gauge.set(0.0);
    gauge
}

fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_counter!(
        PAYMENTS_TOTAL,
        "Payments that came into this state; one in doubt and later approved counts under both."
    );
    describe_histogram!(PAYMENT_DURATION, Unit::Seconds, "Time from the terminal's start to its outcome.");
    describe_gauge!(PAYMENTS_IN_PROGRESS, "Payments that a terminal is at.");
    describe_gauge!(PAYMENTS_IN_DOUBT, "Payments whose outcome is missing; must be 0.");
    describe_counter!(INCIDENTS_TOTAL, "Contradictions and late words of a terminal; each wants a person's look.");
    describe_counter!(WEBHOOK_REQUESTS, "Webhooks by the class of their answer.");
    describe_counter!(WEBHOOK_REJECTED, "Webhooks that started no payment, by the code of their answer.");
    describe_counter!(WEBHOOK_DUPLICATES, "Webhooks that were repeats and got the answer of their payment.");
    describe_counter!(WEBHOOK_SIGNATURES, "Webhooks by the signature key that fitted, counted from 1.");
    describe_histogram!(
        OVERHEAD,
        Unit::Seconds,
        "Time that the router itself takes of a payment, without terminal and customer."
    );
    describe_gauge!(JOURNAL_READ_ONLY, "1 when the journal cannot be written and no payment starts.");
    describe_gauge!(BUILD_INFO, "Always 1; the label names the version.");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> Metrics {
        Metrics::new(&[Till { register: "POS-01".into(), terminal: "counter".into(), driver: "zvt-tcp".into() }], 2)
    }

    #[test]
    fn every_label_value_is_there_from_the_start() {
        let text = metrics().render();
        for state in OUTCOMES {
            for operation in Operation::ALL {
                let line = format!(
                    "tillswitch_payments_total{{register=\"POS-01\",terminal=\"counter\",driver=\"zvt-tcp\",operation=\"{operation}\",outcome=\"{state}\"}} 0"
                );
                assert!(text.contains(&line), "{line} is not in\n{text}");
            }
        }
        assert!(text.contains("tillswitch_payments_in_doubt{register=\"POS-01\",terminal=\"counter\"} 0"), "{text}");
        assert!(text.contains("tillswitch_webhook_signatures_total{key=\"2\"} 0"), "{text}");
    }

    #[test]
    fn durations_are_histograms_with_our_buckets() {
        let metrics = metrics();
        metrics.outcome("POS-01", Operation::Sale, State::Approved, Duration::from_secs(4));
        let text = metrics.render();
        assert!(text.contains("le=\"3\"} 0") && text.contains("le=\"5\"} 1"), "{text}");
        assert!(text.contains("# TYPE tillswitch_payment_duration_seconds histogram"), "{text}");
    }

    #[test]
    fn an_unknown_register_counts_nowhere() {
        let metrics = metrics();
        metrics.outcome("POS-99", Operation::Sale, State::Approved, Duration::ZERO);
        assert!(!metrics.render().contains("POS-99"));
    }
}
