//! Which series does every register and terminal have, and where do they stand?
//!
//! They are kept here and not by the exporter because they are so many. Once there, a series stays: Prometheus takes one that
//! vanishes and comes back for a new one.

use std::collections::BTreeMap;
use std::iter::zip;
use std::sync::Arc;

use tillswitch_core::{Cause, Operation};

use super::exposition::family;
use super::figures::{Count, Level, Times};
use super::journal::JournalMetrics;
use super::reason::REASONS;
use super::table::{
    DECLINES, IN_DOUBT, IN_PROGRESS, INCIDENTS, LINK_CONNECTS, LINK_ERRORS, LINK_RETRANSMISSIONS, Metric,
    PAYMENT_DURATION, PAYMENTS, PROTOCOL_RESPONSE, QUEUE_CAPACITY, QUEUE_DEPTH, TERMINAL_INFO, TERMINAL_LAST_SEEN,
    TERMINAL_UP,
};
use super::{Terminal, Till};
use crate::journal::State;

/// The states that count as an outcome in `tillswitch_payments_total`.
pub(super) const OUTCOMES: [State; 6] =
    [State::Approved, State::Declined, State::Cancelled, State::Failed, State::Expired, State::InDoubt];
/// The outcomes that have a duration. All of them with all their buckets would make too many series.
pub(super) const TIMED: [State; 3] = [State::Approved, State::Declined, State::Cancelled];
/// The troubles that are the link's or the terminal's, not ours.
pub(super) const LINK_TROUBLES: [Cause; 4] = [Cause::Unreachable, Cause::LinkLost, Cause::NoAnswer, Cause::Garbage];
/// Register and terminal of a payment in doubt that no register of the configuration stands for. No name has brackets
/// by accident.
const REMOVED: &str = "(removed)";

/// Register and terminal.
pub(super) type Place = (String, String);

/// All of them, by their labels.
#[derive(Default)]
pub(super) struct Series {
    tills: BTreeMap<Till, Arc<TillSeries>>,
    places: BTreeMap<Place, Arc<PlaceSeries>>,
    terminals: BTreeMap<String, Arc<TerminalSeries>>,
    driven: BTreeMap<Terminal, Arc<DrivenSeries>>,
    timed: BTreeMap<Terminal, Arc<TimedSeries>>,
    /// Payments in doubt of what is configured no more.
    pub(super) removed_in_doubt: Arc<Level>,
}

/// Of a register with a terminal of one driver: its outcomes by operation and state, in their order.
#[derive(Default)]
pub(super) struct TillSeries(pub(super) [[Count; OUTCOMES.len()]; Operation::ALL.len()]);

/// Of a register with a terminal.
#[derive(Default)]
pub(super) struct PlaceSeries {
    pub(super) in_progress: Level,
    pub(super) in_doubt: Level,
}

/// Of a terminal, whatever drives it.
pub(super) struct TerminalSeries {
    pub(super) incidents: Count,
    /// In the order of [`REASONS`].
    pub(super) declines: [Count; REASONS.len()],
    /// In the order of [`LINK_TROUBLES`].
    pub(super) link_errors: [Count; LINK_TROUBLES.len()],
    pub(super) connects: Count,
    pub(super) retransmissions: Count,
    pub(super) response: Times,
    pub(super) last_seen: Level,
    pub(super) waiting: Level,
    pub(super) queue: Level,
}

impl Default for TerminalSeries {
    fn default() -> TerminalSeries {
        TerminalSeries {
            incidents: Count::default(),
            declines: Default::default(),
            link_errors: Default::default(),
            connects: Count::default(),
            retransmissions: Count::default(),
            response: Times::of(&PROTOCOL_RESPONSE),
            last_seen: Level::default(),
            waiting: Level::default(),
            queue: Level::default(),
        }
    }
}

/// Of a terminal with one driver.
#[derive(Default)]
pub(super) struct DrivenSeries {
    pub(super) up: Level,
    pub(super) info: Level,
}

/// Of a terminal with one driver that a register has: its durations in the order of [`TIMED`].
pub(super) struct TimedSeries(pub(super) [Times; TIMED.len()]);

impl Default for TimedSeries {
    fn default() -> TimedSeries {
        TimedSeries(TIMED.map(|_| Times::of(&PAYMENT_DURATION)))
    }
}

/// The series with these labels, created with 0 if they are not there yet.
fn kept<K: Ord + Clone, S: Default>(all: &mut BTreeMap<K, Arc<S>>, key: &K) -> Arc<S> {
    if let Some(series) = all.get(key) {
        return series.clone();
    }
    all.entry(key.clone()).or_default().clone()
}

impl Series {
    pub(super) fn till(&mut self, till: &Till) -> Arc<TillSeries> {
        kept(&mut self.tills, till)
    }

    pub(super) fn place(&mut self, place: &Place) -> Arc<PlaceSeries> {
        kept(&mut self.places, place)
    }

    pub(super) fn terminal(&mut self, name: &String) -> Arc<TerminalSeries> {
        kept(&mut self.terminals, name)
    }

    pub(super) fn driven(&mut self, terminal: &Terminal) -> Arc<DrivenSeries> {
        kept(&mut self.driven, terminal)
    }

    pub(super) fn timed(&mut self, terminal: &Terminal) -> Arc<TimedSeries> {
        kept(&mut self.timed, terminal)
    }

    /// Adds all of them. The journal has a queue as well, and a metric is written in one piece.
    pub(super) fn render(&self, text: &mut String, journal: &JournalMetrics) {
        self.render_tills(text);
        self.render_terminals(text);
        self.render_lines(text);
        self.render_driven(text);
        self.render_queue(text, QUEUE_DEPTH, &journal.waiting, |series| &series.waiting);
        self.render_queue(text, QUEUE_CAPACITY, &journal.queue, |series| &series.queue);
    }

    fn render_tills(&self, text: &mut String) {
        family(text, PAYMENTS, |family| {
            for (Till { register, terminal, driver }, TillSeries(outcomes)) in pairs(&self.tills) {
                for (operation, counts) in zip(Operation::ALL, outcomes) {
                    for (state, count) in zip(OUTCOMES, counts) {
                        family.sample(&[register, terminal, driver, operation.name(), state.name()], count.value());
                    }
                }
            }
        });
        family(text, IN_PROGRESS, |family| {
            for ((register, terminal), series) in pairs(&self.places) {
                family.sample(&[register, terminal], series.in_progress.value());
            }
        });
        family(text, IN_DOUBT, |family| {
            for ((register, terminal), series) in pairs(&self.places) {
                family.sample(&[register, terminal], series.in_doubt.value());
            }
            family.sample(&[REMOVED, REMOVED], self.removed_in_doubt.value());
        });
    }

    fn render_terminals(&self, text: &mut String) {
        family(text, INCIDENTS, |family| {
            pairs(&self.terminals).for_each(|(name, series)| family.sample(&[name], series.incidents.value()));
        });
        family(text, TERMINAL_LAST_SEEN, |family| {
            pairs(&self.terminals).for_each(|(name, series)| family.sample(&[name], series.last_seen.value()));
        });
        family(text, DECLINES, |family| {
            for (name, series) in pairs(&self.terminals) {
                zip(REASONS, &series.declines)
                    .for_each(|(reason, count)| family.sample(&[name, reason], count.value()));
            }
        });
    }

    fn render_lines(&self, text: &mut String) {
        family(text, LINK_ERRORS, |family| {
            for (name, series) in pairs(&self.terminals) {
                let errors = zip(LINK_TROUBLES, &series.link_errors);
                errors.for_each(|(cause, count)| family.sample(&[name, cause.name()], count.value()));
            }
        });
        family(text, LINK_CONNECTS, |family| {
            pairs(&self.terminals).for_each(|(name, series)| family.sample(&[name], series.connects.value()));
        });
        family(text, LINK_RETRANSMISSIONS, |family| {
            pairs(&self.terminals).for_each(|(name, series)| family.sample(&[name], series.retransmissions.value()));
        });
        family(text, PROTOCOL_RESPONSE, |family| {
            pairs(&self.terminals).for_each(|(name, series)| family.times(&[name], &series.response));
        });
    }

    fn render_driven(&self, text: &mut String) {
        family(text, PAYMENT_DURATION, |family| {
            for (Terminal { name, driver }, TimedSeries(durations)) in pairs(&self.timed) {
                zip(TIMED, durations).for_each(|(state, times)| family.times(&[name, driver, state.name()], times));
            }
        });
        family(text, TERMINAL_UP, |family| {
            for (Terminal { name, driver }, series) in pairs(&self.driven) {
                family.sample(&[name, driver], series.up.value());
            }
        });
        family(text, TERMINAL_INFO, |family| {
            for (Terminal { name, driver }, series) in pairs(&self.driven) {
                family.sample(&[name, driver, transport(driver)], series.info.value());
            }
        });
    }

    fn render_queue(&self, text: &mut String, metric: Metric, journal: &Level, of: fn(&TerminalSeries) -> &Level) {
        family(text, metric, |family| {
            family.sample(&["journal", ""], journal.value());
            pairs(&self.terminals).for_each(|(name, series)| family.sample(&["terminal", name], of(series).value()));
        });
    }
}

fn pairs<K, S>(all: &BTreeMap<K, Arc<S>>) -> impl Iterator<Item = (&K, &S)> {
    all.iter().map(|(key, series)| (key, &**series))
}

/// How the terminal is connected, as far as its driver's name says.
fn transport(driver: &str) -> &'static str {
    match driver {
        "http" => "http",
        _ if driver.ends_with("-tcp") => "tcp",
        _ if driver.ends_with("-serial") => "serial",
        _ => "other",
    }
}
