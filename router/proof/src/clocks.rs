//! What happens when the clock on the wall jumps, at any step of a payment?
//!
//! Waits and deadlines count by a clock that only counts, so nothing may wait longer or shorter. Ages are told by the clock on
//! the wall, whichever it is. No jump may charge twice, lose a payment, or make the journal forget.

mod wall;

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tillswitch::answer::rfc3339;
use tillswitch::intake::signature::sign;
use tillswitch::shop::{Plan, Sale};
use tillswitch_core::Secret;
use tillswitch_zvt::simulator::{Options, Simulator, Step};
use tokio::time::{Instant, sleep};

use crate::child::Router;
use crate::sender::{Heard, Wired, connect, post, stranger};
use crate::shop::{Shop, payments, settled};
use crate::tally::Tally;
use wall::{Jump, Wall};

const KEY: &str = "the key of the clocks, 32 letters";
const PROJECT: &str = "counter";
/// How long the customer takes, and how long an answer may wait for one who takes longer.
const CARD: Duration = Duration::from_millis(400);
const WAIT: Duration = Duration::from_secs(2);
/// What a busy machine may add to a wait.
const NOISE: Duration = Duration::from_secs(5);
/// Older than `max_age`, and further ahead than `clock_tolerance`.
const TOO_LONG: Duration = Duration::from_secs(600);
const PATIENCE: Duration = Duration::from_secs(60);

/// The jumps of the plan. The night of the change is one second before three o'clock becomes two, and the last second of 31
/// bits is in January 2038.
const JUMPS: [(&str, Jump); 7] = [
    ("an hour on", Jump::By(3600)),
    ("an hour back", Jump::By(-3600)),
    ("a year back", Jump::By(-365 * 86_400)),
    ("ten years on", Jump::By(3653 * 86_400)),
    ("the end of 31 bits", Jump::To(2_147_483_646)),
    ("the end of summer time", Jump::To(1_792_889_999)),
    ("standing still", Jump::Stop),
];

/// When it jumps.
const MOMENTS: [Moment; 5] =
    [Moment::Before, Moment::AtCard, Moment::AtTheEndOfWait, Moment::InDoubt, Moment::Answered];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Before,
    AtCard,
    AtTheEndOfWait,
    InDoubt,
    Answered,
}

/// What `clocks` takes.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Clocks {
    /// How many runs: 35 are every jump at every moment
    #[arg(long, default_value_t = 35)]
    runs: u64,
    /// Where to begin
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Runs them.
pub async fn run(clocks: Clocks) -> Tally {
    let mut tally = Tally::new("clocks");
    for seed in clocks.seed..clocks.seed + clocks.runs {
        let (name, jump) = JUMPS[(seed % JUMPS.len() as u64) as usize];
        // Seven and five have no common divisor: 35 seeds in a row meet every pair.
        let moment = MOMENTS[(seed % MOMENTS.len() as u64) as usize];
        let which = format!("clocks --runs 1 --seed {seed} ({name}, {moment:?})");
        let found = one(jump, moment, seed.is_multiple_of(2), &mut tally).await.unwrap_or_else(|why| vec![why]);
        tally.ran(&which, found);
    }
    for met in ["looks at a moved clock", "payments on a moved clock", "refusals of what is too old"] {
        tally.require(met);
    }
    tally
}

fn plan(folder: &Path, auto_reverse: bool) -> Plan {
    let mut options = Options { auto_reverse, ..Options::fast(folder.join("counter.jsonl")) };
    options.timing.card = CARD;
    Plan::new()
        .zvt("counter", options)
        .register("POS-01", PROJECT, "counter")
        .webhook_lines(&format!("signature_keys = [\"{KEY}\"]\nwait = \"2s\"\nqueue_wait = \"2s\""))
}

/// One shop, its clock, and what was found.
struct Day {
    shop: Shop,
    router: Router,
    wall: Wall,
    found: Vec<String>,
}

async fn one(jump: Jump, moment: Moment, auto_reverse: bool, tally: &mut Tally) -> Result<Vec<String>, String> {
    let shop = Shop::open(|folder| plan(folder, auto_reverse)).await;
    let wall = Wall::hang(shop.premises.config.parent().expect("the configuration is in a folder"));
    let router = start(&shop, &wall).await?;
    let mut day = Day { shop, router, wall, found: Vec::new() };
    let first = day.event("first", "10.00", Duration::ZERO);
    day.expect(&first, "200  first-hand").await?;
    let event = day.jumped(jump, moment).await?;
    let commands = day.terminal().money_commands();
    let again = day.send(&event).await?;
    day.check("the event again", again.replayed, &again.text);
    day.check("the event again", day.terminal().money_commands() == commands, "the terminal heard of it");
    day.ages(tally).await?;
    day.survives_a_restart().await?;
    tally.count("looks at a moved clock", day.wall.looks());
    tally.count("payments on a moved clock", 2);
    day.wall.set_right();
    let right = day.event("right again", "13.00", Duration::ZERO);
    day.expect(&right, "200  first-hand").await?;
    day.survives_a_restart().await?;
    day.end().await
}

impl Day {
    /// A payment during which the clock jumps. The event that asked for it.
    async fn jumped(&mut self, jump: Jump, moment: Moment) -> Result<Wired, String> {
        // Or the payment before would be taken for this one.
        self.until_busy(false).await?;
        if moment == Moment::Before {
            self.wall.jump(jump);
        }
        let event = self.event("jumped", "25.90", Duration::ZERO);
        if moment == Moment::AtTheEndOfWait {
            self.terminal().set_script(vec![Step::WaitForAbort]);
        }
        let began = Instant::now();
        let sent = tokio::spawn(send(self.router.public, event.clone()));
        if moment != Moment::Before && moment != Moment::Answered {
            self.until_busy(true).await?;
            if moment == Moment::InDoubt {
                self.kill(jump).await?;
                return Ok(event);
            }
            self.wall.jump(jump);
        }
        let heard = sent.await.expect("sending does not panic")?;
        let (took, least) = (began.elapsed(), if moment == Moment::AtTheEndOfWait { WAIT } else { Duration::ZERO });
        let expected = if moment == Moment::AtTheEndOfWait { 402 } else { 200 };
        self.check("the payment", heard.status == expected, &format!("{} {}", heard.status, heard.text));
        self.check("how long it took", took >= least && took < least + CARD + NOISE, &format!("{took:?}"));
        if moment == Moment::Answered {
            self.wall.jump(jump);
        }
        Ok(event)
    }

    /// Kills the router, moves the clock while nobody looks at it, and lets the next one find out.
    async fn kill(&mut self, jump: Jump) -> Result<(), String> {
        self.wall.jump(jump);
        self.restart().await?;
        settled(&self.router).await
    }

    async fn restart(&mut self) -> Result<(), String> {
        self.router.kill_now();
        self.router = start(&self.shop, &self.wall).await?;
        Ok(())
    }

    /// What is old and what is not is told by the clock on the wall.
    async fn ages(&mut self, tally: &mut Tally) -> Result<(), String> {
        let old = self.event_at(self.wall.shows() - TOO_LONG, "old", "11.00");
        let ahead = self.event_at(self.wall.shows() + TOO_LONG, "ahead", "11.50");
        for event in [old, ahead] {
            self.expect(&event, "409 too-old first-hand").await?;
            tally.count("refusals of what is too old", 1);
        }
        let new = self.event("new", "12.00", Duration::ZERO);
        self.expect(&new, "200  first-hand").await?;
        let received = payments(&self.router, "document=new").await?[0]["received_at"].clone();
        let sooner = rfc3339(self.wall.shows() - NOISE - CARD);
        self.check("the clock", received.as_str() >= Some(sooner.as_str()), &format!("{received} after {sooner}"));
        Ok(())
    }

    /// Nothing is forgotten, and every history is still in order.
    async fn survives_a_restart(&mut self) -> Result<(), String> {
        let before = self.histories().await?;
        self.restart().await?;
        // What is too old is forgotten at the start, which nobody sees the end of; what comes later is in time as well.
        let after = self.histories().await?;
        self.check("the journal after a restart", before == after, &format!("{before:#?} became {after:#?}"));
        Ok(())
    }

    async fn histories(&self) -> Result<Vec<(Value, Vec<Value>)>, String> {
        let mut histories = Vec::new();
        for payment in payments(&self.router, "").await? {
            let path = format!("/api/v1/payments/{}", payment["id"].as_str().unwrap_or_default());
            let reply = tillswitch::shop::get(self.router.admin, &path).await.map_err(|error| error.to_string())?;
            let rows = reply.body["transitions"].as_array().cloned().unwrap_or_default();
            histories.push((payment["id"].clone(), rows.iter().map(|row| row["state"].clone()).collect()));
        }
        histories.sort_by_key(|(id, _)| id.to_string());
        Ok(histories)
    }

    async fn end(mut self) -> Result<Vec<String>, String> {
        settled(&self.router).await?;
        self.router.kill_now();
        // The terminal's book and the journal have different clocks, so nothing can be said of what was first.
        let violations = self.shop.violations().await;
        self.found.extend(violations.into_iter().filter(|violation| !violation.starts_with("I5")));
        self.shop.premises.close().await;
        Ok(self.found)
    }

    fn terminal(&self) -> &Simulator {
        &self.shop.premises.zvt["counter"]
    }

    /// Waits until the terminal is at a payment, or at none.
    async fn until_busy(&self, busy: bool) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while self.terminal().is_busy() != busy {
            if Instant::now() > deadline {
                return Err(format!("the terminal is never busy: {busy}"));
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// A sale that is made by the clock of the router, so long ago.
    fn event(&self, document: &str, amount: &str, ago: Duration) -> Wired {
        self.event_at(self.wall.shows() - ago, document, amount)
    }

    fn event_at(&self, made: SystemTime, document: &str, amount: &str) -> Wired {
        let sale = Sale::new(PROJECT, amount, document).with("createdAt", rfc3339(made));
        let body: String = sale.with("guid", format!("guid of {document}")).into();
        let at = made.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
        let signature = sign(&Secret::new(KEY), body.as_bytes(), at);
        Wired { head: format!("Xentral-Signature: {signature}\r\nXentral-Request-Timestamp: {at}\r\n"), body }
    }

    async fn send(&self, event: &Wired) -> Result<Heard, String> {
        let heard = send(self.router.public, event.clone()).await?;
        self.shop.hear([heard.told()]);
        Ok(heard)
    }

    /// Delivers until it is not "come again", and compares.
    async fn expect(&mut self, event: &Wired, expected: &str) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        let heard = loop {
            let heard = self.send(event).await?;
            if heard.status != 503 || Instant::now() > deadline {
                break heard;
            }
            sleep(Duration::from_millis(50)).await;
        };
        let told =
            format!("{} {} {}", heard.status, heard.code(), if heard.replayed { "replayed" } else { "first-hand" });
        self.check(expected, told == expected, &format!("{told}: {}", heard.text));
        Ok(())
    }

    fn check(&mut self, what: &str, holds: bool, seen: &str) {
        if !holds {
            self.found.push(format!("{what}: {seen}"));
        }
    }
}

async fn start(shop: &Shop, wall: &Wall) -> Result<Router, String> {
    shop.start(&wall.environment()).await.map_err(|ended| format!("the router did not start: {ended:?}"))
}

async fn send(to: std::net::SocketAddr, event: Wired) -> Result<Heard, String> {
    let mut stream = connect(stranger(0), to).await.map_err(|error| error.to_string())?;
    post(&mut stream, &event).await.map_err(|error| error.to_string())
}
