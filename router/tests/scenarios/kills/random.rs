//! Does everything agree after kills at random moments under load?
//!
//! `TILLSWITCH_KILLS` asks for more of them, `TILLSWITCH_SEED` for other moments.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tillswitch::shop::{Sale, Till};
use tillswitch_zvt::simulator::Options;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::child::Router;
use super::shop::Shop;
use crate::harness::{PROJECT, PROJECT_2, one_register, quick, until};

const KILLS: u64 = 20;
/// The latest moment of a kill, counted from the first success after a start.
const LATEST: Duration = Duration::from_millis(120);
/// So often a kill waits until both terminals have recovered; the one that reverses needs seconds for it.
const BOTH_EVERY: u64 = 10;

/// A number from the environment.
fn asked(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().map_or(otherwise, |text| text.parse().unwrap())
}

/// Numbers that look random and are the same for the same seed (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

/// A register at which one customer follows the other. A sale that got no answer is delivered again.
struct Register {
    successes: Arc<AtomicUsize>,
    work: JoinHandle<()>,
}

impl Register {
    fn open(till: Arc<Till>, project: &'static str, closed: Arc<AtomicBool>) -> Register {
        let successes = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&successes);
        let work = tokio::spawn(async move {
            let mut number = 0;
            while !closed.load(Ordering::SeqCst) {
                number += 1;
                let amount = format!("{}.{:02}", 1 + number % 90, number % 100);
                serve_customer(&till, &Sale::new(project, &amount, &format!("{project}/{number}")), &closed).await;
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Register { successes, work }
    }

    fn successes(&self) -> usize {
        self.successes.load(Ordering::SeqCst)
    }
}

/// Delivers a sale until it has an answer that is not "come again".
async fn serve_customer(till: &Till, sale: &Sale, closed: &AtomicBool) {
    while !closed.load(Ordering::SeqCst) {
        match till.send(sale).await {
            Ok(reply) if reply.status != 503 => {
                assert!(matches!(reply.status, 200 | 502 | 504), "{}", reply.text);
                return;
            }
            Ok(_) | Err(_) => sleep(Duration::from_millis(5)).await,
        }
    }
}

async fn until_paid(registers: &[Register], all: bool) {
    let before: Vec<usize> = registers.iter().map(Register::successes).collect();
    until("payments are made again", async || {
        let mut paid = registers.iter().zip(&before).map(|(register, before)| register.successes() > before + 1);
        if all { paid.all(|paid| paid) } else { paid.any(|paid| paid) }
    })
    .await;
}

async fn nothing_is_asked(router: &Router) {
    until("nothing is in doubt that a terminal could tell", async || {
        let path = "/api/v1/payments?state=in_doubt&limit=1000";
        let reply = tillswitch::shop::get(router.admin, path).await.unwrap();
        let payments = reply.body["payments"].as_array().unwrap_or_else(|| panic!("{}", reply.text));
        payments.iter().all(|payment| payment["waits_for_person"] == true)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_at_random_moments_under_load() {
    let (kills, seed) = (asked("TILLSWITCH_KILLS", KILLS), asked("TILLSWITCH_SEED", 0x7115));
    let mut random = Random(seed | 1);
    let shop = Shop::open(|folder| {
        one_register(Options { auto_reverse: false, ..quick(folder, "counter") })
            .zvt("bar", Options { auto_reverse: true, ..quick(folder, "bar") })
            .register("POS-02", PROJECT_2, "bar")
    })
    .await;
    let closed = Arc::new(AtomicBool::new(false));
    let mut router = shop.start(None).await;
    let registers =
        [PROJECT, PROJECT_2].map(|project| Register::open(Arc::clone(&shop.till), project, Arc::clone(&closed)));
    let mut hit = 0;
    for kill in 0..kills {
        until_paid(&registers, kill % BOTH_EVERY == 0).await;
        sleep(Duration::from_micros(random.below(LATEST.as_micros() as u64))).await;
        router.kill();
        router = shop.start(None).await;
        hit += router.recovered;
    }
    until_paid(&registers, true).await;
    closed.store(true, Ordering::SeqCst);
    for register in registers {
        register.work.await.unwrap();
    }
    nothing_is_asked(&router).await;
    assert!(hit > 0, "no kill met a payment under way: nothing was shown");
    shop.close(router).await;
}
