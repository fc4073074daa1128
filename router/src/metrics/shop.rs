//! What is counted per register and per terminal. Made anew with each configuration; the series stay.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use metrics::Counter;
use tillswitch_core::{Cause, LineEvent, Operation};

use super::figures::Level;
use super::reason::{REASONS, reason};
use super::series::{
    DrivenSeries, LINK_TROUBLES, OUTCOMES, Place, PlaceSeries, Series, TIMED, TerminalSeries, TillSeries, TimedSeries,
};
use super::table::WEBHOOK_SIGNATURES;
use super::{Layout, Terminal, Till, epoch_seconds};
use crate::journal::{Payment, State};

/// The handles of one configuration, and of those before it: what began there may still end.
#[derive(Clone, Default)]
pub(super) struct Shop {
    tills: HashMap<String, Arc<TillMetrics>>,
    former_tills: Vec<Arc<TillMetrics>>,
    terminals: HashMap<String, Arc<TerminalMetrics>>,
    former_terminals: HashMap<String, Arc<TerminalMetrics>>,
    places: HashMap<Place, Arc<PlaceSeries>>,
    removed_in_doubt: Arc<Level>,
    pub(super) signature_keys: Vec<Counter>,
}

pub(super) struct TillMetrics {
    till: Till,
    outcomes: Arc<TillSeries>,
    durations: Arc<TimedSeries>,
    place: Arc<PlaceSeries>,
}

pub(super) struct TerminalMetrics {
    terminal: Terminal,
    pub(super) own: Arc<TerminalSeries>,
    driven: Arc<DrivenSeries>,
}

impl Shop {
    /// Creates what is not there yet. To be called with the recorder at hand.
    pub(super) fn create(layout: &Layout, before: &Shop, series: &mut Series) -> Shop {
        let tills: HashMap<_, _> = layout.tills.iter().map(|till| TillMetrics::create(till, series)).collect();
        let place = |metrics: &Arc<TillMetrics>| (metrics.till.place(), metrics.place.clone());
        let key = |key: usize| WEBHOOK_SIGNATURES.counter(&[&key.to_string()]);
        let shop = Shop {
            places: tills.values().map(place).collect(),
            tills,
            former_tills: before.tills_besides(layout),
            terminals: layout.terminals.iter().map(|terminal| TerminalMetrics::create(terminal, series)).collect(),
            former_terminals: before.terminals_besides(layout),
            removed_in_doubt: series.removed_in_doubt.clone(),
            signature_keys: (1..=layout.signature_keys).map(key).collect(),
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

    /// The same with counters for the register and terminal of a payment that no configuration since the start has named.
    pub(super) fn with_former(&self, payment: &Payment, series: &mut Series) -> Shop {
        let (register, terminal) = (payment.register.clone(), payment.terminal.name.clone());
        let till = Till { register, terminal, driver: payment.terminal.driver.clone() };
        let (_, metrics) = TillMetrics::create(&till, series);
        let mut shop = self.clone();
        shop.former_tills.push(metrics);
        shop
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
            metrics.driven.info.set(0.0);
            metrics.driven.up.set(1.0);
            if !self.terminals.contains_key(&metrics.terminal.name) {
                metrics.own.waiting.set(0.0);
            }
        }
        for metrics in self.terminals.values().filter(|metrics| !known(before, &metrics.terminal)) {
            metrics.driven.info.set(1.0);
            metrics.driven.up.set(1.0);
        }
        // What is in doubt there counts as removed from now on, and must not count twice.
        let gone = before.places.iter().filter(|(place, _)| !self.places.contains_key(place));
        gone.for_each(|(_, series)| series.in_doubt.set(0.0));
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
        let mut counts: HashMap<&Place, u32> = self.places.keys().map(|place| (place, 0)).collect();
        let mut removed = 0;
        for place in doubts {
            *counts.get_mut(place).unwrap_or(&mut removed) += 1;
        }
        for (place, count) in counts {
            self.places[place].in_doubt.set(f64::from(count));
        }
        self.removed_in_doubt.set(f64::from(removed));
    }
}

impl Till {
    fn place(&self) -> Place {
        (self.register.clone(), self.terminal.clone())
    }
}

impl TillMetrics {
    /// With its register's name, to be found by it.
    fn create(till: &Till, series: &mut Series) -> (String, Arc<TillMetrics>) {
        let terminal = Terminal { name: till.terminal.clone(), driver: till.driver.clone() };
        let metrics = TillMetrics {
            outcomes: series.till(till),
            durations: series.timed(&terminal),
            place: series.place(&till.place()),
            till: till.clone(),
        };
        (till.register.clone(), Arc::new(metrics))
    }

    fn is_of(&self, payment: &Payment) -> bool {
        let Till { register, terminal, driver } = &self.till;
        *register == payment.register && *terminal == payment.terminal.name && *driver == payment.terminal.driver
    }

    pub(super) fn outcome(&self, operation: Operation, state: State, took: Duration) {
        let row = Operation::ALL.iter().position(|other| *other == operation);
        if let (Some(row), Some(column)) = (row, OUTCOMES.iter().position(|other| *other == state)) {
            self.outcomes.0[row][column].increment();
        }
        if let Some(place) = TIMED.iter().position(|other| *other == state) {
            self.durations.0[place].record(took.as_secs_f64());
        }
    }

    /// Where a payment shows while a terminal is at it.
    pub(super) fn place(&self) -> Arc<PlaceSeries> {
        self.place.clone()
    }
}

impl TerminalMetrics {
    /// With its name, to be found by it.
    fn create(terminal: &Terminal, series: &mut Series) -> (String, Arc<TerminalMetrics>) {
        let (own, driven) = (series.terminal(&terminal.name), series.driven(terminal));
        (terminal.name.clone(), Arc::new(TerminalMetrics { terminal: terminal.clone(), own, driven }))
    }

    pub(super) fn declined(&self, code: &str) {
        let said = reason(&self.terminal.driver, code);
        if let Some(place) = REASONS.iter().position(|reason| *reason == said) {
            self.own.declines[place].increment();
        }
    }

    pub(super) fn answered(&self) {
        self.driven.up.set(1.0);
        self.own.last_seen.set(epoch_seconds(SystemTime::now()));
    }

    pub(super) fn link_failed(&self, cause: Cause) {
        if let Some(place) = LINK_TROUBLES.iter().position(|other| *other == cause) {
            self.own.link_errors[place].increment();
        }
    }

    pub(super) fn happened(&self, event: LineEvent) {
        match event {
            LineEvent::Connected => self.own.connects.increment(),
            LineEvent::Retransmitted => self.own.retransmissions.increment(),
            LineEvent::Answered { after_seconds } if after_seconds.is_finite() && after_seconds >= 0.0 => {
                self.own.response.record(after_seconds)
            }
            // No time of this world, or news that a later driver has.
            _ => {}
        }
    }

    pub(super) fn troubled(&self, cause: Cause) {
        match cause {
            Cause::Unreachable | Cause::LinkLost | Cause::NoAnswer => self.driven.up.set(0.0),
            Cause::Busy | Cause::Refused | Cause::Garbage | Cause::Contradiction => self.answered(),
            // Nothing was asked of the terminal, or nobody heard what it said.
            Cause::Unsupported | Cause::WrongCurrency | Cause::NotStored | Cause::DriverLost => {}
        }
    }
}
