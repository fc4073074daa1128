//! Does a long day leave anything behind: memory, descriptors, slower answers, a journal without end?
//!
//! A day of 24 hours is pressed into 24 minutes, at two shops side by side: the router of one lives through the whole day and
//! is measured, the router of the other is killed every other minute. At both a terminal is lost now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::child::Router;
use crate::load::{Done, REGISTERS, Register, plan};
use crate::random::Random;
use crate::shop::{Shop, settled};
use crate::tally::Tally;
use crate::usage::{Usage, growth_an_hour, percentile};

/// How long a customer takes.
const CARD: Duration = Duration::from_millis(20);
/// Between two customers of a register: both shops together see about 20,000 of them in 24 minutes.
const PAUSE: Duration = Duration::from_millis(650);
/// How often the process is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How many kills and how many losses of a terminal a day has, however short it is.
const KILLS: u32 = 12;
const LOSSES: u32 = 5;
/// How long a lost terminal is away.
const AWAY: Duration = Duration::from_secs(2);
/// From so many minutes on a day is long enough to be judged by the limits of the plan.
const LONG: f64 = 20.0;

/// What `soak` takes.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Day {
    /// How long the day is
    #[arg(long, default_value_t = 24.0)]
    minutes: f64,
    /// Where to begin
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What a day must not exceed.
struct Limits {
    growth_an_hour: f64,
    descriptors: usize,
    slower: f64,
    journal_bytes_a_payment: u64,
    log_bytes: u64,
}

/// Runs the day.
pub async fn run(day: Day) -> Tally {
    let mut tally = Tally::new("soak");
    let which = format!("soak --minutes {} --seed {}", day.minutes, day.seed);
    let (lived, killed) = tokio::join!(live_through(day), kill_now_and_then(day));
    match lived {
        Ok(lived) => judge(&which, day, lived, &mut tally),
        Err(why) => tally.ran(&which, [why]),
    }
    match killed {
        Ok((found, kills, done)) => {
            tally.ran(&format!("{which}, the killed router"), found);
            tally.count("kills", kills);
            count(&which, &done, &mut tally);
        }
        Err(why) => tally.ran(&which, [why]),
    }
    for met in ["kills", "losses of a terminal", "customers that paid"] {
        tally.require(met);
    }
    tally
}

/// What was seen of a router that lived through the day.
struct Lived {
    usages: Vec<Usage>,
    done: Vec<Arc<Done>>,
    journal: [u64; 2],
    losses: u64,
    found: Vec<String>,
}

async fn live_through(day: Day) -> Result<Lived, String> {
    let shop = Shop::open(|folder| plan(folder, CARD)).await;
    let router = start(&shop).await?;
    let (closed, registers) = open(&shop);
    let (began, end) = span(day);
    let mut losses = 0;
    let mut usages = Vec::new();
    let losing = async {
        for loss in 1..LOSSES {
            until(began, (end - began) * loss / LOSSES).await;
            lose_a_terminal(&shop, loss).await;
            losses += 1;
        }
    };
    let looking = async {
        while Instant::now() < end {
            usages.extend(Usage::of(router.id(), began.elapsed().as_secs_f64()));
            sleep(LOOK).await;
        }
    };
    tokio::join!(losing, looking);
    let done = close(&closed, registers).await;
    settled(&router).await?;
    let size = |suffix: &str| {
        let path = format!("{}{suffix}", shop.journal().display());
        std::fs::metadata(path).map_or(0, |file| file.len())
    };
    let journal = [size(""), size("-wal")];
    router.kill();
    let found = shop.violations().await;
    shop.premises.close().await;
    Ok(Lived { usages, done, journal, losses, found })
}

async fn kill_now_and_then(day: Day) -> Result<(Vec<String>, u64, Vec<Arc<Done>>), String> {
    let mut random = Random::new(day.seed);
    let shop = Shop::open(|folder| plan(folder, CARD)).await;
    let mut router = start(&shop).await?;
    let (closed, registers) = open(&shop);
    let (began, end) = span(day);
    let mut kills = 0;
    for kill in 1..KILLS {
        until(began, (end - began) * kill / KILLS).await;
        if random.once_in(3) {
            lose_a_terminal(&shop, kill).await;
        }
        sleep(Duration::from_millis(random.below(500))).await;
        router.kill();
        kills += 1;
        router = start(&shop).await?;
    }
    until(began, end - began).await;
    let done = close(&closed, registers).await;
    settled(&router).await?;
    router.kill();
    let found = shop.violations().await;
    shop.premises.close().await;
    Ok((found, kills, done))
}

async fn start(shop: &Shop) -> Result<Router, String> {
    shop.start(&[]).await.map_err(|ended| format!("the router did not start: {ended:?}"))
}

fn open(shop: &Shop) -> (Arc<AtomicBool>, [Register; REGISTERS.len()]) {
    let closed = Arc::new(AtomicBool::new(false));
    let registers = REGISTERS.map(|name| Register::open(Arc::clone(&shop.till), name, PAUSE, Arc::clone(&closed)));
    (closed, registers)
}

async fn close(closed: &AtomicBool, registers: [Register; REGISTERS.len()]) -> Vec<Arc<Done>> {
    closed.store(true, Ordering::SeqCst);
    let mut done = Vec::new();
    for register in registers {
        done.push(register.close().await);
    }
    done
}

fn span(day: Day) -> (Instant, Instant) {
    let began = Instant::now();
    (began, began + Duration::from_secs_f64(day.minutes * 60.0))
}

async fn until(began: Instant, after: Duration) {
    tokio::time::sleep_until(began + after).await;
}

/// One of the ZVT terminals loses its network, or its plug, in the middle of whatever it does.
async fn lose_a_terminal(shop: &Shop, which: u32) {
    let terminals: Vec<_> = shop.premises.zvt.values().collect();
    let terminal = terminals[which as usize % terminals.len()];
    // A port that somebody else has taken meanwhile stays closed, and the customers there are served no more.
    let _ = terminal.listen(false).await;
    sleep(AWAY).await;
    let _ = terminal.listen(true).await;
}

fn limits(day: Day) -> Limits {
    if day.minutes >= LONG {
        let (descriptors, journal_bytes_a_payment, log_bytes) = (8, 8 << 10, 17 << 20);
        return Limits { growth_an_hour: 1.0, descriptors, slower: 1.2, journal_bytes_a_payment, log_bytes };
    }
    // A short day is mostly warming up, on a machine that does other things besides.
    let (descriptors, journal_bytes_a_payment, log_bytes) = (16, 32 << 10, 17 << 20);
    Limits { growth_an_hour: 1000.0, descriptors, slower: 10.0, journal_bytes_a_payment, log_bytes }
}

fn judge(which: &str, day: Day, lived: Lived, tally: &mut Tally) {
    let limits = limits(day);
    let warm = &lived.usages[lived.usages.len() / 3..];
    let growth = growth_an_hour(warm);
    let most = |usages: &[Usage]| usages.iter().map(|usage| usage.descriptors).max().unwrap_or_default();
    let (half, all) = (warm.len() / 2, warm.len());
    let descriptors = (most(&warm[..half]), most(&warm[half..all]));
    let halves = halves(&lived.done);
    let paid: u64 = lived.done.iter().map(|done| done.paid.load(Ordering::SeqCst)).sum();
    let a_payment = lived.journal[0] / paid.max(1);
    let resident = (warm.first().map(|usage| usage.resident), warm.last().map(|usage| usage.resident));
    println!("| | |\n|---|---|");
    println!("| payments at the router that lived | {paid} |");
    println!("| resident memory after warming up, at the end | {resident:.1?} MiB |");
    println!("| growth of resident memory | {growth:.2} MiB an hour |");
    println!("| open descriptors at most, first and second half | {descriptors:?} |");
    println!("| p99 of an answer, first and second half | {halves:?} ms |");
    println!(
        "| journal | {} KiB, {a_payment} bytes a payment; its log {} KiB |",
        lived.journal[0] / 1024,
        lived.journal[1] / 1024
    );
    let mut found = lived.found;
    let mut exceeds = |what: &str, too_much: bool| {
        if too_much {
            found.push(format!("too much: {what}"))
        }
    };
    exceeds("growth of memory", growth > limits.growth_an_hour);
    exceeds("descriptors", descriptors.1 > descriptors.0 + limits.descriptors);
    exceeds("time for an answer", halves.1 > (halves.0 * limits.slower).max(halves.0 + 20.0));
    exceeds("journal", a_payment > limits.journal_bytes_a_payment);
    exceeds("log of the journal", lived.journal[1] > limits.log_bytes);
    tally.ran(which, found);
    tally.count("losses of a terminal", lived.losses);
    count(which, &lived.done, tally);
}

/// The 99th percentile of all registers' answers, in milliseconds, in the first and the second half of the day.
fn halves(done: &[Arc<Done>]) -> (f64, f64) {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for done in done {
        let took = done.took.lock().map(|took| took.clone()).unwrap_or_default();
        let (early, late) = took.split_at(took.len() / 2);
        first.extend_from_slice(early);
        second.extend_from_slice(late);
    }
    (percentile(&first, 99) as f64 / 1000.0, percentile(&second, 99) as f64 / 1000.0)
}

fn count(which: &str, done: &[Arc<Done>], tally: &mut Tally) {
    for done in done {
        tally.count("customers that paid", done.paid.load(Ordering::SeqCst));
        tally.count("customers that were told no or in doubt", done.unpaid.load(Ordering::SeqCst));
        let strange = done.strange.lock().map(|texts| texts.clone()).unwrap_or_default();
        strange.into_iter().for_each(|text| tally.found(which, text));
    }
}
