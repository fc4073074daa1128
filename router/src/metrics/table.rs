//! Every metric: its name, kind, unit, labels and help line. Names live here and nowhere else.

use metrics::{Counter, Gauge, Histogram, Label, Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

/// Seconds that a card payment takes.
const PAYMENT_BUCKETS: &[f64] =
    &[0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0];
/// Seconds that our own work takes.
const FAST_BUCKETS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
/// Seconds that a terminal takes to confirm a command.
const ANSWER_BUCKETS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// What it is called.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// What is counted or measured; `None` for things that are counted.
    pub unit: Option<Unit>,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says, in a sentence.
    pub help: &'static str,
}

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It comes and goes.
    Gauge,
    /// It is sorted into buckets with these upper ends.
    Histogram(&'static [f64]),
}

const PAYMENT_TIMES: Kind = Kind::Histogram(PAYMENT_BUCKETS);
const FAST_TIMES: Kind = Kind::Histogram(FAST_BUCKETS);
const ANSWER_TIMES: Kind = Kind::Histogram(ANSWER_BUCKETS);
const COUNTER: Kind = Kind::Counter;
const GAUGE: Kind = Kind::Gauge;
const SECONDS: Option<Unit> = Some(Unit::Seconds);
const BYTES: Option<Unit> = Some(Unit::Bytes);
const THINGS: Option<Unit> = None;

macro_rules! table {
    ($($id:ident $name:literal $kind:ident $unit:ident [$($label:literal),*] $help:literal;)*) => {
        $(pub(super) const $id: Metric =
            Metric { name: $name, kind: $kind, unit: $unit, labels: &[$($label),*], help: $help };)*

        /// Every metric, in the order of the README's table.
        pub const ALL: &[Metric] = &[$($id),*];
    };
}

#[rustfmt::skip]
table! {
    PAYMENTS "tillswitch_payments_total" COUNTER THINGS ["register", "terminal", "driver", "operation", "outcome"]
        "Payments that came into this state; one in doubt and later approved counts under both.";
    PAYMENT_DURATION "tillswitch_payment_duration_seconds" PAYMENT_TIMES SECONDS ["terminal", "driver", "outcome"]
        "Time from the terminal's start to its outcome.";
    DECLINES "tillswitch_declines_total" COUNTER THINGS ["terminal", "reason"]
        "Declined payments by what the terminal's code means.";
    IN_PROGRESS "tillswitch_payments_in_progress" GAUGE THINGS ["register", "terminal"]
        "Payments that a terminal is at.";
    IN_DOUBT "tillswitch_payments_in_doubt" GAUGE THINGS ["register", "terminal"]
        "Payments whose outcome is missing; must be 0. Those of what is configured no more stand under (removed).";
    IN_DOUBT_OLDEST "tillswitch_in_doubt_oldest_timestamp_seconds" GAUGE SECONDS []
        "When the oldest payment in doubt was received; 0 when none is.";
    IN_DOUBT_RESOLVED "tillswitch_in_doubt_resolved_total" COUNTER THINGS ["how"]
        "Payments in doubt that were settled, by the terminal's answer or by a person.";
    INCIDENTS "tillswitch_incidents_total" COUNTER THINGS ["terminal"]
        "Contradictions and late words of a terminal; each wants a person's look.";
    TERMINAL_UP "tillswitch_terminal_up" GAUGE THINGS ["terminal", "driver"]
        "0 from when a terminal could not be reached until it answers again; 1 otherwise, also before it was ever asked.";
    TERMINAL_LAST_SEEN "tillswitch_terminal_last_seen_timestamp_seconds" GAUGE SECONDS ["terminal"]
        "When the terminal answered last; 0 when it has not since the start.";
    TERMINAL_INFO "tillswitch_terminal_info" GAUGE THINGS ["terminal", "driver", "transport"]
        "Always 1 for a terminal of the configuration; the labels describe it.";
    LINK_ERRORS "tillswitch_link_errors_total" COUNTER THINGS ["terminal", "kind"]
        "Payments and questions that ended without the terminal's answer, by what went wrong.";
    LINK_CONNECTS "tillswitch_link_connects_total" COUNTER THINGS ["terminal"]
        "Connections to the terminal that came to stand.";
    LINK_RETRANSMISSIONS "tillswitch_link_retransmissions_total" COUNTER THINGS ["terminal"]
        "Frames that had to be sent again on a serial line; 0 where the network sees to that.";
    PROTOCOL_RESPONSE "tillswitch_protocol_response_seconds" ANSWER_TIMES SECONDS ["terminal"]
        "Time from a command to the terminal's confirmation that it has it; none where the first answer is the outcome.";
    WEBHOOK_REQUESTS "tillswitch_webhook_requests_total" COUNTER THINGS ["source", "status_class"]
        "Webhooks by the class of their answer.";
    WEBHOOK_REJECTED "tillswitch_webhook_rejected_total" COUNTER THINGS ["reason"]
        "Webhooks that started no payment, by why they were turned away.";
    WEBHOOK_DUPLICATES "tillswitch_webhook_duplicates_total" COUNTER THINGS ["source"]
        "Webhooks that were repeats and got the answer of their payment.";
    WEBHOOK_SIGNATURES "tillswitch_webhook_signatures_total" COUNTER THINGS ["key"]
        "Webhooks by the signature key that fitted, counted from 1.";
    WEBHOOK_ACK "tillswitch_webhook_ack_duration_seconds" FAST_TIMES SECONDS ["source"]
        "Time from a webhook's reception until it is safe on disk; its answer waits for the terminal.";
    OVERHEAD "tillswitch_router_overhead_seconds" FAST_TIMES SECONDS ["stage"]
        "Time that the router itself takes of a payment, without terminal and customer.";
    QUEUE_DEPTH "tillswitch_queue_depth" GAUGE THINGS ["queue", "terminal"]
        "What waits: payments in front of a terminal, writes in front of the journal (no terminal).";
    QUEUE_CAPACITY "tillswitch_queue_capacity" GAUGE THINGS ["queue", "terminal"]
        "How much may wait there; more is refused.";
    JOURNAL_APPEND "tillswitch_journal_append_seconds" FAST_TIMES SECONDS []
        "Time from asking the journal to write until it is safe on disk.";
    JOURNAL_FSYNC "tillswitch_journal_fsync_seconds" FAST_TIMES SECONDS []
        "Time of one commit, which makes all that has queued up durable.";
    JOURNAL_ERRORS "tillswitch_journal_errors_total" COUNTER THINGS ["op"]
        "What the journal could not do.";
    JOURNAL_READ_ONLY "tillswitch_journal_read_only" GAUGE THINGS []
        "1 when the journal cannot be written and no payment starts.";
    JOURNAL_SIZE "tillswitch_journal_bytes" GAUGE BYTES []
        "Size of the journal's file and of its log.";
    JOURNAL_FREE "tillswitch_journal_free_bytes" GAUGE BYTES []
        "Room that is left beside the journal.";
    JOURNAL_RECORDS "tillswitch_journal_records" GAUGE THINGS []
        "Payments in the journal.";
    RECOVERY_RECORDS "tillswitch_recovery_records_total" COUNTER THINGS ["result"]
        "Payments that the start found open, by what they became.";
    RECOVERY_DURATION "tillswitch_recovery_duration_seconds" GAUGE SECONDS []
        "Time that the start took to settle what was open.";
    ADMIN_LOGINS "tillswitch_admin_logins_total" COUNTER THINGS ["result"]
        "Exchanges of the admin token for a session of the page, and tokens that were wrong or came in a pause, wherever they came.";
    HTTP_CONNECTIONS "tillswitch_http_connections" GAUGE THINGS ["listener"]
        "Clients that are connected.";
    SSE_CLIENTS "tillswitch_sse_clients" GAUGE THINGS ["listener"]
        "Clients that are told events as they happen.";
    CERTIFICATE_END "tillswitch_tls_certificate_not_after_timestamp_seconds" GAUGE SECONDS ["listener"]
        "When the certificate that clients are shown ends; 0 without TLS.";
    CERTIFICATE_OK "tillswitch_tls_certificate_last_reload_successful" GAUGE THINGS ["listener"]
        "0 when the certificate's files have changed and could not be used; the one from before is shown.";
    CONFIG_RELOAD_OK "tillswitch_config_last_reload_successful" GAUGE THINGS []
        "1 when the configuration was read without a fault the last time.";
    CONFIG_RELOAD_TIME "tillswitch_config_last_reload_timestamp_seconds" GAUGE SECONDS []
        "When the configuration in use was read.";
    BUILD_INFO "tillswitch_build_info" GAUGE THINGS ["version", "revision", "rustc"]
        "Always 1; the labels name what was built.";
    RUNTIME_TASKS "tillswitch_runtime_alive_tasks" GAUGE THINGS []
        "Tasks of the program that have not ended.";
    RUNTIME_BUSY "tillswitch_runtime_busy_ratio" GAUGE THINGS []
        "Share of the last seconds in which the program's threads were busy; 1 is all of them.";
    PROCESS_CPU "process_cpu_seconds_total" COUNTER SECONDS []
        "Processor time used.";
    PROCESS_RESIDENT "process_resident_memory_bytes" GAUGE BYTES []
        "Memory in use.";
    PROCESS_VIRTUAL "process_virtual_memory_bytes" GAUGE BYTES []
        "Address space in use.";
    PROCESS_FDS "process_open_fds" GAUGE THINGS []
        "Open files and connections.";
    PROCESS_MAX_FDS "process_max_fds" GAUGE THINGS []
        "How many files and connections may be open.";
    PROCESS_THREADS "process_threads" GAUGE THINGS []
        "Threads of the process.";
    PROCESS_START "process_start_time_seconds" GAUGE SECONDS []
        "When the process started.";
}

impl Metric {
    /// The series with these values of the labels, created with 0 if it is not there yet.
    pub(super) fn counter(&self, values: &[&str]) -> Counter {
        let counter = metrics::counter!(self.name, self.with(values));
        counter.increment(0);
        counter
    }

    /// The same for a gauge.
    pub(super) fn gauge(&self, values: &[&str]) -> Gauge {
        let gauge = metrics::gauge!(self.name, self.with(values));
        gauge.increment(0.0);
        gauge
    }

    /// The same for a histogram.
    pub(super) fn histogram(&self, values: &[&str]) -> Histogram {
        metrics::histogram!(self.name, self.with(values))
    }

    fn with(&self, values: &[&str]) -> Vec<Label> {
        assert_eq!(values.len(), self.labels.len(), "{} has the labels {:?}", self.name, self.labels);
        self.labels.iter().zip(values).map(|(label, value)| Label::new(*label, (*value).to_owned())).collect()
    }

    fn describe(&self) {
        let unit = self.unit.unwrap_or(Unit::Count);
        match self.kind {
            Kind::Counter => describe_counter!(self.name, unit, self.help),
            Kind::Gauge => describe_gauge!(self.name, unit, self.help),
            Kind::Histogram(_) => describe_histogram!(self.name, unit, self.help),
        }
    }
}

/// An exporter with explicit buckets: without them it exports summaries, which cannot be added up.
pub(super) fn exporter() -> PrometheusBuilder {
    ALL.iter().fold(PrometheusBuilder::new(), |exporter, metric| match metric.kind {
        Kind::Histogram(buckets) => exporter
            .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)
            .expect("the lists of buckets are not empty"),
        Kind::Counter | Kind::Gauge => exporter,
    })
}

/// Tells the exporter the help lines.
pub(super) fn describe() {
    ALL.iter().for_each(Metric::describe);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_metric_has_a_sentence_and_the_unit_that_its_name_promises() {
        for metric in ALL {
            assert!(metric.help.ends_with('.') && metric.help.len() > 10, "{} has no sentence", metric.name);
            let base = metric.name.trim_end_matches("_total");
            let promised = match base.rsplit('_').next() {
                Some("seconds") => SECONDS,
                Some("bytes") => BYTES,
                _ => THINGS,
            };
            assert_eq!(metric.unit, promised, "{}", metric.name);
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
        }
    }

    #[test]
    fn no_name_is_listed_twice_and_buckets_grow() {
        let names: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(
            [PAYMENT_BUCKETS, FAST_BUCKETS, ANSWER_BUCKETS].iter().all(|buckets| buckets.is_sorted_by(|a, b| a < b))
        );
    }
}
