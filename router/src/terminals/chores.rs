//! What a terminal does that nobody asks for at the moment: what it wishes itself, the end of the day, a look at how it is.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::Time;
use jiff::{SignedDuration, ZonedDateTime};
use tillswitch_core::{Cause, DriverError};
use tokio::time::Instant;

use super::maintenance::{Report, Work};
use crate::config::TerminalConfig;

/// The clock on the wall may be put back or on: it is looked at this often.
const WALL_CLOCK_LOOK: Duration = Duration::from_secs(60);
/// A wish that was fulfilled and is still there is not fulfilled again before.
const FULFILLED: Duration = Duration::from_secs(3600);
/// When something is tried again that could not be done.
const RETRY: Duration = Duration::from_secs(300);
/// How long the end of the day is put off while the terminal cannot close it. Later it would close the next day.
const POSTPONED: SignedDuration = SignedDuration::from_hours(4);

/// Tells what a clock on the wall shows.
pub(super) type WallClock = fn() -> ZonedDateTime;

/// The chores of one terminal.
pub(super) struct Chores {
    clock: WallClock,
    /// Since when nobody has wanted anything of it.
    quiet_since: Instant,
    /// When it last did anything.
    active_at: Instant,
    probe: Option<Duration>,
    /// How long it must have been left alone before it does what it wishes.
    wish_after: Duration,
    closing: Option<Closing>,
    /// Wishes that rest, and until when.
    resting: BTreeMap<String, Instant>,
}

/// The next end of day.
struct Closing {
    time: Time,
    at: ZonedDateTime,
    not_before: Instant,
}

impl Chores {
    pub fn new(config: &TerminalConfig, clock: WallClock) -> Chores {
        let now = Instant::now();
        let closing = config.end_of_day.map(|time| Closing { time, at: next(time, &clock()), not_before: now });
        let (probe, wish_after) = (config.probe, config.wish_after);
        Chores { clock, quiet_since: now, active_at: now, probe, wish_after, closing, resting: BTreeMap::new() }
    }

    /// A payment or somebody's work has ended.
    pub fn note_use(&mut self) {
        self.quiet_since = Instant::now();
        self.active_at = self.quiet_since;
    }

    /// What should be done now.
    pub fn due(&self, wishes: &[String]) -> Option<Work> {
        let now = Instant::now();
        if self.is_closing_due(now) {
            return Some(Work::EndOfDay);
        }
        if now >= self.quiet_since + self.wish_after
            && let Some(wish) = wishes.iter().find(|wish| self.resting.get(*wish).is_none_or(|until| now >= *until))
        {
            return Some(Work::Service(wish.clone()));
        }
        let is_probed = self.probe.is_some_and(|probe| now >= self.active_at + probe);
        is_probed.then_some(Work::Status)
    }

    fn is_closing_due(&self, now: Instant) -> bool {
        self.closing.as_ref().is_some_and(|closing| now >= closing.not_before && (self.clock)() >= closing.at)
    }

    /// Gives up an end of day that could not be done for too long, and says so.
    pub fn give_up(&mut self) -> Option<String> {
        let clock = (self.clock)();
        let closing = self.closing.as_mut()?;
        if clock.duration_since(&closing.at) <= POSTPONED {
            return None;
        }
        let message = format!(
            "the end of day of {} was not made: the terminal was busy, in doubt or out of reach for {} hours; make it \
             with `tillswitch end-of-day`",
            closing.at.strftime("%F %R"),
            POSTPONED.as_hours()
        );
        closing.pass(&clock);
        Some(message)
    }

    /// Takes note of what became of a chore. The sentence is for a person who must do something about it.
    pub fn done(&mut self, work: &Work, report: &Result<Report, DriverError>) -> Option<String> {
        self.active_at = Instant::now();
        match work {
            Work::Status => None,
            Work::Service(wish) => {
                let rest = if report.is_ok() { FULFILLED } else { RETRY };
                self.resting.insert(wish.clone(), self.active_at + rest);
                None
            }
            Work::EndOfDay => self.closed(report.as_ref().err()),
        }
    }

    fn closed(&mut self, error: Option<&DriverError>) -> Option<String> {
        let clock = (self.clock)();
        let closing = self.closing.as_mut()?;
        match error {
            Some(DriverError::NotStarted(reason)) if may_come_later(reason.cause) => {
                closing.not_before = Instant::now() + RETRY;
                None
            }
            error => {
                closing.pass(&clock);
                error.map(|error| format!("the end of day was not made: {error}"))
            }
        }
    }

    /// When something may be due that is not now.
    pub fn next(&self, wishes: &[String]) -> Option<Instant> {
        let now = Instant::now();
        let wish = wishes.iter().map(|wish| {
            let idle = self.quiet_since + self.wish_after;
            self.resting.get(wish).map_or(idle, |until| idle.max(*until))
        });
        let probe = self.probe.map(|probe| self.active_at + probe);
        let closing = self.closing.as_ref().map(|closing| {
            let wait = (self.clock)().duration_until(&closing.at);
            closing.not_before.max(now + wait.unsigned_abs().min(WALL_CLOCK_LOOK))
        });
        // What is due already waits for something else than time.
        wish.chain(probe).chain(closing).filter(|at| *at > now).min()
    }
}

impl Closing {
    fn pass(&mut self, clock: &ZonedDateTime) {
        self.at = next(self.time, clock.max(&self.at));
    }
}

/// The next time that clocks show this, behind `after`. A time that a day lacks comes when its clocks have been put on; of one
/// that it has twice, the first counts.
fn next(time: Time, after: &ZonedDateTime) -> ZonedDateTime {
    let mut day = after.date();
    for _ in 0..3 {
        let found = day.to_datetime(time).to_zoned_datetime(after.time_zone().clone());
        if let Some(found) = found.ok().filter(|found| found > after) {
            return found;
        }
        day = day.saturating_add(jiff::Span::new().days(1));
    }
    // Only at the end of all calendars.
    after.clone()
}

fn may_come_later(cause: Cause) -> bool {
    matches!(cause, Cause::Unreachable | Cause::Busy | Cause::LinkLost | Cause::NoAnswer)
}

#[cfg(test)]
mod tests;
