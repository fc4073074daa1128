//! Does a whole shop keep its promises on days that a seed makes up?
//!
//! | file | question |
//! |---|---|
//! | `day` | how does a day go, and what is compared at its end |
//! | `shop` | which terminals and registers are there, and how is a router started |
//! | `till`, `operator` | what do tills and people do |
//! | `gate` | how is a router killed that shares its process with the rest of the day |
//! | `journal`, `disk` | how does a router write down what it does, and what goes wrong there |
//! | `line`, `net`, `cable` | how does it reach its terminals, and what goes wrong there |
//! | `plain` | a terminal without a protocol of its own |
//! | `promises` | what must hold besides what the oracle compares |
//! | `dice`, `trace` | what does a seed decide, and what happened |
//!
//! Router, journal, ZVT drivers and simulated terminals are the real ones; lines are in memory, time is paused, and nothing but
//! the seed decides. So a day is repeated by its seed, to the line.

mod cable;
mod day;
mod dice;
mod disk;
mod gate;
mod journal;
mod line;
mod net;
mod operator;
mod plain;
mod promises;
mod shop;
mod till;
mod trace;

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Args;

use crate::tally::Tally;
use day::Day;

/// Seeds on which something was found once. They are run for ever.
const FOUND: &[u64] = &[61, 75, 3740, 4150, 5100, 7313, 8592];

/// Every how many seeds a day is run twice.
const TWICE: u64 = 50;

/// What the days must have met, each at least once.
const MUST_MEET: &[&str] = &[
    "ended approved",
    "ended declined",
    "ended cancelled",
    "ended failed",
    "ended expired",
    "ended in_doubt",
    "doubt became approved by recovery",
    "doubt became failed by recovery",
    "doubt became approved by operator",
    "doubt became failed by operator",
    "told success",
    "told declined",
    "told cancelled",
    "told in-doubt",
    "told pending",
    "told terminal-busy",
    "told terminal-in-doubt",
    "told document-in-doubt",
    "told suspected-repeat",
    "told conflicting-repeat",
    "told journal-unavailable",
    "told over-refund",
    "an incident",
    "a till hung up",
    "a commit failed",
    "a commit failed and was written",
    "the disk is full",
    "the disk is slow",
    "the router is stopped in order",
    "killed before the journal is asked",
    "killed before the journal is heard",
    "killed before a commit",
    "killed behind a commit",
    "killed before a message is sent",
    "killed behind a message that was sent",
    "killed before a message is read",
    "killed before a connection is opened",
    "killed before an answer is sent",
    "killed behind an answer",
    "a message is late",
    "a line is cut before a message",
    "a line is cut behind a message",
    "garbage comes before a message",
    "a line is half open",
    "a message is lost",
    "a connection is refused",
    "a connection is not answered",
];

/// How many days.
#[derive(Debug, Args)]
pub struct Days {
    /// So many seeds
    #[arg(long, default_value_t = 500)]
    seeds: u64,
    /// From this one on
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Only this one
    #[arg(long)]
    seed: Option<u64>,
    /// Print what happened on it
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Stop at the first seed with a violation
    #[arg(long)]
    stop: bool,
}

/// Runs the days on all processors: each has a world of its own.
pub fn run(days: &Days) -> Tally {
    let mut tally = Tally::new("simulated days");
    if let Some(seed) = days.seed {
        // This thread leads a runtime already.
        let day = std::thread::scope(|scope| scope.spawn(|| day::run(seed, true)).join());
        let day = day.expect("a day comes to its end");
        if days.trace {
            print!("{}", day.trace);
        }
        take(&mut tally, seed, day);
        return tally;
    }
    let began = Instant::now();
    let tally = Mutex::new(tally);
    let all = days.first..days.first + days.seeds;
    in_parallel(&all, days.stop, &tally);
    let mut tally = tally.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    MUST_MEET.iter().for_each(|what| tally.require(what));
    let runs = days.seeds + FOUND.len() as u64;
    println!("{:.1} seeds a second", runs as f64 / began.elapsed().as_secs_f64());
    tally
}

fn in_parallel(all: &Range<u64>, stop: bool, tally: &Mutex<Tally>) {
    let next = AtomicU64::new(0);
    let seed_at =
        |place: u64| FOUND.get(place as usize).copied().or_else(|| all.clone().nth(place as usize - FOUND.len()));
    let work = || {
        while let Some(seed) = seed_at(next.fetch_add(1, Ordering::Relaxed)) {
            let mut day = day::run(seed, false);
            if seed.is_multiple_of(TWICE) && day::run(seed, false).hash != day.hash {
                day.violations.push("the same seed went another way the second time".to_owned());
            }
            let is_bad = !day.violations.is_empty();
            take(&mut tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner), seed, day);
            if is_bad && stop {
                next.store(u64::MAX / 2, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
}

fn take(tally: &mut Tally, seed: u64, day: Day) {
    let again = format!("seed {seed} (tillswitch-proof simulate --seed {seed} --trace)");
    tally.ran(&again, day.violations);
    for (what, times) in day.counts {
        tally.count(what, times);
    }
}
