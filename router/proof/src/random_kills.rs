//! Does everything agree after kills at random moments, with five registers at work?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::child::Router;
use crate::load::{REGISTERS, Register, plan};
use crate::random::Random;
use crate::shop::{Shop, settled};
use crate::tally::Tally;

/// How long a customer takes.
const CARD: Duration = Duration::from_millis(20);
/// Between two customers of a register.
const PAUSE: Duration = Duration::from_millis(1);
/// The latest moment of a kill, counted from the first customer who is served after a start. A start may be killed too.
const LATEST: Duration = Duration::from_millis(120);
/// So often a router lives until all terminals have recovered, and everybody is compared.
const EXAMINED_EVERY: u64 = 25;
/// So many kills come to one shop; then another one opens. What the oracle compares grows with the square of the payments.
const SHOP: u64 = 250;
/// How long it may take until payments are made again. A terminal in doubt is asked after 2, 5, 10 and 30 s.
const PATIENCE: Duration = Duration::from_secs(180);

/// What `random-kills` takes.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Kills {
    /// How many kills
    #[arg(long, visible_alias = "runs", default_value_t = 50)]
    kills: u64,
    /// Where to begin
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs them.
pub async fn run(kills: Kills) -> Tally {
    let mut tally = Tally::new("random-kills");
    let mut left = kills.kills;
    let mut seed = kills.seed;
    while left > 0 {
        let times = left.min(SHOP);
        let which = format!("random-kills --kills {times} --seed {seed}");
        if let Err(why) = one_shop(&which, times, seed, &mut tally).await {
            tally.ran(&which, [why]);
        }
        left -= times;
        seed += 1;
    }
    for met in ["payments under way at a kill", "customers that paid", "starts that were killed"] {
        tally.require(met);
    }
    tally
}

async fn one_shop(which: &str, times: u64, seed: u64, tally: &mut Tally) -> Result<(), String> {
    let mut random = Random::new(seed);
    let shop = Shop::open(|folder| plan(folder, CARD)).await;
    let closed = Arc::new(AtomicBool::new(false));
    let mut router = start(&shop, tally).await?;
    let registers = REGISTERS.map(|name| Register::open(Arc::clone(&shop.till), name, PAUSE, Arc::clone(&closed)));
    for kill in 1..=times {
        until_served(&registers, kill % EXAMINED_EVERY == 0).await?;
        sleep(Duration::from_micros(random.below(LATEST.as_micros() as u64))).await;
        router.kill();
        if random.once_in(8) {
            shop.start_and_kill(Duration::from_millis(random.below(60))).await;
            tally.count("starts that were killed", 1);
        }
        let examined = if kill % EXAMINED_EVERY == 0 { shop.violations_so_far().await } else { Vec::new() };
        tally.ran(&format!("{which} (kill {kill})"), examined);
        router = start(&shop, tally).await?;
    }
    until_served(&registers, true).await?;
    closed.store(true, Ordering::SeqCst);
    for register in registers {
        let done = register.close().await;
        tally.count("customers that paid", done.paid.load(Ordering::SeqCst));
        tally.count("customers that were told no or in doubt", done.unpaid.load(Ordering::SeqCst));
        let strange = done.strange.lock().map(|texts| texts.clone()).unwrap_or_default();
        strange.into_iter().for_each(|text| tally.found(which, text));
    }
    settled(&router).await?;
    router.kill();
    for violation in shop.violations().await {
        tally.found(which, violation);
    }
    shop.premises.close().await;
    Ok(())
}

async fn start(shop: &Shop, tally: &mut Tally) -> Result<Router, String> {
    let router = shop.start(&[]).await.map_err(|ended| format!("the router did not start: {ended:?}"))?;
    tally.count("payments under way at a kill", router.in_doubt);
    Ok(router)
}

/// Waits until a customer has been served somewhere, or at every register.
async fn until_served(registers: &[Register], everywhere: bool) -> Result<(), String> {
    let before: Vec<u64> = registers.iter().map(Register::served).collect();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut more = registers.iter().zip(&before).map(|(register, before)| register.served() > before + 1);
        if if everywhere { more.all(|more| more) } else { more.any(|more| more) } {
            return Ok(());
        }
        if Instant::now() > deadline {
            let now: Vec<u64> = registers.iter().map(Register::served).collect();
            return Err(format!("no payments for {PATIENCE:?}: {REGISTERS:?} have served {before:?}, now {now:?}"));
        }
        sleep(Duration::from_millis(2)).await;
    }
}
