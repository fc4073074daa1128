//! What is counted per register and per terminal. Made anew with each configuration; the series stay.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use metrics::{Counter, Gauge, Histogram};
use tillswitch_core::{Cause, LineEvent, Operation};

use super::reason::{REASONS, reason};
use super::table::{self, DECLINES, IN_DOUBT, LINK_ERRORS, PAYMENT_DURATION, PAYMENTS, TERMINAL_INFO, TERMINAL_UP};
use super::{Layout, Terminal, Till, epoch_seconds};
use crate::journal::{Payment, State};

/// The states that count as an outcome in `tillswitch_payments_total`.
pub(super) const OUTCOMES: [State; 6] =
    [State::Approved, State::Declined, State::Cancelled, State::Failed, State::Expired, State::InDoubt];
/// The outcomes that have a duration. All of them with all their buckets would make too many series.
const TIMED: [State; 3] = [State::Approved, State::Declined, State::Cancelled];
/// The troubles that are the link's or the terminal's, not ours.
const LINK_TROUBLES: [Cause; 4] = [Cause::Unreachable, Cause::LinkLost, Cause::NoAnswer, Cause::Garbage];
/// Register and terminal of a payment in doubt that no register of the configuration stands for. No name has brackets
/// by accident.
const REMOVED: &str = "(removed)";

/// Register and terminal.
pub(super) type Place = (String, String);

/// The handles of one configuration, and of those before it: what began there may still end.
#[derive(Default)]
pub(super) struct Shop {
    tills: HashMap<String, Arc<TillMetrics>>,
    former_tills: Vec<Arc<TillMetrics>>,
    terminals: HashMap<String, Arc<TerminalMetrics>>,
    former_terminals: HashMap<String, Arc<TerminalMetrics>>,
    in_doubt: HashMap<Place, Gauge>,
    pub(super) signature_keys: Vec<Counter>,
}

pub(super) struct TillMetrics {
    till: Till,
    /// By operation and state, in their order.
    outcomes: [[Counter; OUTCOMES.len()]; Operation::ALL.len()],
    durations: HashMap<State, Histogram>,
    pub(super) in_progress: Gauge,
}

pub(super) struct TerminalMetrics {
    terminal: Terminal,
    pub(super) incidents: Counter,
    /// In the order of [`REASONS`].
    declines: [Counter; REASONS.len()],
    link_errors: HashMap<Cause, Counter>,
    connects: Counter,
    retransmissions: Counter,
    response: Histogram,
    up: Gauge,
    last_seen: Gauge,
    info: Gauge,
    pub(super) waiting: Gauge,
    pub(super) queue: Gauge,
}

impl Shop {
    /// Creates what is not there yet. To be called with the recorder at hand.
    pub(super) fn create(layout: &Layout, before: &Shop) -> Shop {
        let place = |till: &Till| (till.register.clone(), till.terminal.clone());
        let gauge = |(register, terminal): Place| {
            let gauge = IN_DOUBT.gauge(&[&register, &terminal]);
            ((register, terminal), gauge)
        };
        let removed = (REMOVED.to_owned(), REMOVED.to_owned());
        let till = |till: &Till| (till.register.clone(), Arc::new(TillMetrics::create(till)));
        let terminal = |terminal: &Terminal| (terminal.name.clone(), Arc::new(TerminalMetrics::create(terminal)));
        let shop = Shop {
            tills: layout.tills.iter().map(till).collect(),
            former_tills: before.tills_besides(layout),
            terminals: layout.terminals.iter().map(terminal).collect(),
            former_terminals: before.terminals_besides(layout),
            in_doubt: layout.tills.iter().map(place).chain([removed]).map(gauge).collect(),
            signature_keys: (1..=layout.signature_keys)
                .map(|key| table::WEBHOOK_SIGNATURES.counter(&[&key.to_string()]))
                .collect(),
        };
        shop.take_over(before);
        shop
    }

    /// Every till that there was and that a new configuration does not name. A counter that stopped before its payment ended
    /// would lose that payment for good, and one that vanished could not go on when the register comes back.
    fn tills_besides(&self, layout: &Layout) -> Vec<Arc<TillMetrics>> {
        let named: HashSet<&Till> = layout.tills.iter().collect();
        let all = self.former_tills.iter().chain(self.tills.values());
        all.filter(|metrics| !named.contains(&metrics.till)).cloned().collect()
    }

    fn terminals_besides(&self, layout: &Layout) -> HashMap<String, Arc<TerminalMetrics>> {
        let named: HashSet<&str> = layout.terminals.iter().map(|terminal| terminal.name.as_str()).collect();
        let all = self.former_terminals.iter().chain(&self.terminals);
        all.filter(|(name, _)| !named.contains(name.as_str())).map(|(name, one)| (name.clone(), one.clone())).collect()
    }

    /// What is new is up until it shows otherwise; what has gone can neither be down nor be part of the shop, and nobody waits.
    fn take_over(&self, before: &Shop) {
        let known = |shop: &Shop, terminal: &Terminal| {
            shop.terminals.get(&terminal.name).is_some_and(|found| found.terminal == *terminal)
        };
        for metrics in before.terminals.values().filter(|metrics| !known(self, &metrics.terminal)) {
            metrics.info.set(0.0);
            metrics.up.set(1.0);
            if !self.terminals.contains_key(&metrics.terminal.name) {
                metrics.waiting.set(0.0);
            }
        }
        for metrics in self.terminals.values().filter(|metrics| !known(before, &metrics.terminal)) {
            metrics.info.set(1.0);
            metrics.up.set(1.0);
        }
    }

    /// Where a payment counts: at its own register and terminal, also when those are configured no more. One that its
    /// register has at another terminal (a refund where the sale was booked) counts at the register's own.
    pub(super) fn till(&self, payment: &Payment) -> Option<&TillMetrics> {
        let present = self.tills.get(&payment.register);
        let own = present.filter(|metrics| metrics.is_of(payment));
        let former = || self.former_tills.iter().find(|metrics| metrics.is_of(payment));
        own.or_else(former).or(present).map(|metrics| &**metrics)
    }

    /// A terminal of the configuration.
    pub(super) fn terminal(&self, name: &str) -> Option<&TerminalMetrics> {
        self.terminals.get(name).map(|metrics| &**metrics)
    }

    /// A terminal of this configuration or of one before, for what is only counted.
    pub(super) fn counted(&self, name: &str) -> Option<&TerminalMetrics> {
        self.terminal(name).or_else(|| self.former_terminals.get(name).map(|metrics| &**metrics))
    }

    /// Shows how many payments are in doubt where.
    pub(super) fn show_doubts<'a>(&self, doubts: impl Iterator<Item = &'a Place>) {
        let removed = (REMOVED.to_owned(), REMOVED.to_owned());
        let mut counts: HashMap<&Place, u32> = self.in_doubt.keys().map(|place| (place, 0)).collect();
        for place in doubts {
            let known = if self.in_doubt.contains_key(place) { place } else { &removed };
            if let Some(count) = counts.get_mut(known) {
                *count += 1;
            }
        }
        for (place, count) in counts {
            self.in_doubt[place].set(f64::from(count));
        }
    }
}

impl TillMetrics {
    fn create(till: &Till) -> TillMetrics {
        let Till { register, terminal, driver } = till;
        let outcome = |operation: Operation, state: State| {
            PAYMENTS.counter(&[register, terminal, driver, operation.name(), state.name()])
        };
        let duration = |state: State| (state, PAYMENT_DURATION.histogram(&[terminal, driver, state.name()]));
        TillMetrics {
            till: till.clone(),
            outcomes: Operation::ALL.map(|operation| OUTCOMES.map(|state| outcome(operation, state))),
            durations: TIMED.map(duration).into(),
            in_progress: table::IN_PROGRESS.gauge(&[register, terminal]),
        }
    }

    fn is_of(&self, payment: &Payment) -> bool {
        let Till { register, terminal, driver } = &self.till;
        *register == payment.register && *terminal == payment.terminal.name && *driver == payment.terminal.driver
    }

    pub(super) fn outcome(&self, operation: Operation, state: State, took: Duration) {
        let place = Operation::ALL.iter().position(|other| *other == operation);
        if let (Some(row), Some(column)) = (place, OUTCOMES.iter().position(|other| *other == state)) {
            self.outcomes[row][column].increment(1);
        }
        if let Some(histogram) = self.durations.get(&state) {
            histogram.record(took.as_secs_f64());
        }
    }
}

impl TerminalMetrics {
    fn create(terminal: &Terminal) -> TerminalMetrics {
        let (name, driver) = (terminal.name.as_str(), terminal.driver.as_str());
        let decline = |reason: &'static str| DECLINES.counter(&[name, reason]);
        let error = |cause: Cause| (cause, LINK_ERRORS.counter(&[name, cause.name()]));
        TerminalMetrics {
            terminal: terminal.clone(),
            incidents: table::INCIDENTS.counter(&[name]),
            declines: REASONS.map(decline),
            link_errors: LINK_TROUBLES.map(error).into(),
            connects: table::LINK_CONNECTS.counter(&[name]),
            retransmissions: table::LINK_RETRANSMISSIONS.counter(&[name]),
            response: table::PROTOCOL_RESPONSE.histogram(&[name]),
            up: TERMINAL_UP.gauge(&[name, driver]),
            last_seen: table::TERMINAL_LAST_SEEN.gauge(&[name]),
            info: TERMINAL_INFO.gauge(&[name, driver, transport(driver)]),
            waiting: table::QUEUE_DEPTH.gauge(&["terminal", name]),
            queue: table::QUEUE_CAPACITY.gauge(&["terminal", name]),
        }
    }

    pub(super) fn declined(&self, code: &str) {
        let said = reason(&self.terminal.driver, code);
        if let Some(place) = REASONS.iter().position(|reason| *reason == said) {
            self.declines[place].increment(1);
        }
    }

    pub(super) fn answered(&self) {
        self.up.set(1.0);
        self.last_seen.set(epoch_seconds(SystemTime::now()));
    }

    pub(super) fn link_failed(&self, cause: Cause) {
        if let Some(counter) = self.link_errors.get(&cause) {
            counter.increment(1);
        }
    }

    pub(super) fn happened(&self, event: LineEvent) {
        match event {
            LineEvent::Connected => self.connects.increment(1),
            LineEvent::Retransmitted => self.retransmissions.increment(1),
            LineEvent::Answered { after_seconds } if after_seconds.is_finite() && after_seconds >= 0.0 => {
                self.response.record(after_seconds)
            }
            // No time of this world, or news that a later driver has.
            _ => {}
        }
    }

    pub(super) fn troubled(&self, cause: Cause) {
        match cause {
            Cause::Unreachable | Cause::LinkLost | Cause::NoAnswer => self.up.set(0.0),
            Cause::Busy | Cause::Refused | Cause::Garbage | Cause::Contradiction => self.answered(),
            // Nothing was asked of the terminal, or nobody heard what it said.
            Cause::Unsupported | Cause::WrongCurrency | Cause::NotStored | Cause::DriverLost => {}
        }
    }
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
