//! Is one event, sent a thousand times at the same moment, one payment, and does everybody hear the same?

mod variants;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tillswitch::shop::Plan;
use tillswitch_core::ledger::standing;
use tillswitch_http::simulator::SimulatorOptions;
use tillswitch_zvt::simulator::Options;
use tokio::sync::Barrier;
use tokio::time::sleep;

use crate::child::Router;
use crate::random::Random;
use crate::sender::{Heard, Wired, connect, post, stranger};
use crate::shop::{Shop, settled};
use crate::tally::Tally;
use variants::{Event, KEYS, VARIANTS};

/// How often an event is sent at once.
const TIMES: usize = 1000;
/// How long the customer takes: most senders find the payment running.
const CARD: Duration = Duration::from_millis(400);
/// The latest moment of a kill, counted from the first byte of a storm. Behind it everybody has been answered.
const LATEST_KILL: u64 = 900;
/// Projects, each with its register and its terminal.
const PROJECTS: [&str; 4] = ["tcp", "reversing", "serial", "http"];

/// What `storm` takes.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Rounds {
    /// How many rounds: each is five storms, one of them cut by a kill
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// Where to begin
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs the rounds.
pub async fn run(rounds: Rounds) -> Tally {
    let mut tally = Tally::new("storm");
    let shop = Shop::open(plan).await;
    for seed in rounds.seed..rounds.seed + rounds.runs {
        let which = format!("storm --runs 1 --seed {seed}");
        let found = round(&shop, seed, &mut tally).await.unwrap_or_else(|why| vec![why]);
        tally.ran(&which, found);
    }
    tally.ran("the witnesses of all rounds", shop.violations().await);
    shop.premises.close().await;
    for met in ["approvals told to the one who asked", "approvals told to repeats", "refusals of another amount"] {
        tally.require(met);
    }
    tally
}

fn plan(folder: &Path) -> Plan {
    let terminal = |name: &str, auto_reverse: bool| {
        let mut options = Options { auto_reverse, ..Options::fast(folder.join(format!("{name}.jsonl"))) };
        options.timing.card = CARD;
        options
    };
    let http = SimulatorOptions { card_time: CARD, ..SimulatorOptions::new(folder.join("http.jsonl")) };
    let plan = Plan::new()
        .zvt("tcp", terminal("tcp", false))
        .zvt("reversing", terminal("reversing", true))
        .zvt_serial("serial", terminal("serial", false))
        .http("http", http)
        // A connection keeps its place for a second behind its answer, and one storm follows the other.
        .server_lines(&format!("max_connections = {}", 5 * TIMES))
        .webhook_lines(&format!("signature_keys = [\"{}\", \"{}\"]", KEYS[0], KEYS[1]));
    PROJECTS.into_iter().fold(plan, |plan, name| plan.register(&name.to_uppercase(), name, name))
}

/// Storms at one terminal. What contradicts the promises.
async fn round(shop: &Shop, seed: u64, tally: &mut Tally) -> Result<Vec<String>, String> {
    let mut random = Random::new(seed);
    let project = PROJECTS[(seed % PROJECTS.len() as u64) as usize];
    let event = |place: u64| Event::new(project, &format!("{seed}/{place}"), 10_000 * (seed + 1) + place);
    let router = start(shop).await?;
    let (one, contested, killed) = (event(1), event(2), event(3));
    let mut found = alone(shop, &router, &one, tally).await;
    found.extend(another_amount(shop, &router, &one, tally).await);
    found.extend(rivals(shop, &router, &contested).await);
    let router = storm_with_a_kill(shop, router, &killed, &mut random, tally).await?;
    found.extend(after_a_kill(shop, &router, &killed, tally).await?);
    router.kill();
    Ok(found)
}

async fn start(shop: &Shop) -> Result<Router, String> {
    shop.start(&[]).await.map_err(|ended| format!("the router did not start: {ended:?}"))
}

/// The event so many times, in all its ways.
fn said(event: &Event, times: usize) -> Vec<Wired> {
    let ways: Vec<Wired> = (0..VARIANTS).map(|variant| event.said(variant)).collect();
    (0..times).map(|number| ways[number % VARIANTS].clone()).collect()
}

/// The same, and always with its guid: without one, another amount is another payment of the document.
fn said_by_guid(event: &Event, times: usize) -> Vec<Wired> {
    said(event, 2 * times).into_iter().filter(|wired| wired.body.contains(&event.guid)).take(times).collect()
}

/// Sends everything at the same moment, each over a connection of its own. Who got no answer is missing.
async fn storm(shop: &Shop, to: SocketAddr, wired: Vec<Wired>) -> Vec<Heard> {
    let start = Arc::new(Barrier::new(wired.len()));
    let mut senders = Vec::new();
    for (number, wired) in wired.into_iter().enumerate() {
        let start = Arc::clone(&start);
        senders.push(tokio::spawn(async move {
            let stream = connect(stranger(number), to).await;
            start.wait().await;
            post(&mut stream?, &wired).await
        }));
    }
    let mut answers = Vec::new();
    for sender in senders {
        answers.extend(sender.await.expect("sending does not panic").ok());
    }
    shop.hear(answers.iter().map(Heard::told));
    answers
}

/// Everybody has the approval, one of them as the one who asked.
async fn alone(shop: &Shop, router: &Router, event: &Event, tally: &mut Tally) -> Vec<String> {
    let answers = storm(shop, router.public, said(event, TIMES)).await;
    let (first, repeats) = (paid(&answers, false), paid(&answers, true));
    tally.count("approvals told to the one who asked", first as u64);
    tally.count("approvals told to repeats", repeats as u64);
    let mut found = unequal(&answers);
    if (first, repeats, bookings(shop, event.minor)) != (1, TIMES - 1, 1) {
        found.push(format!("one event: {} bookings; {}", bookings(shop, event.minor), summary(&answers)));
    }
    found
}

/// All are refused, and nothing is begun.
async fn another_amount(shop: &Shop, router: &Router, event: &Event, tally: &mut Tally) -> Vec<String> {
    let other = Event { minor: event.minor + 50, ..event.clone() };
    let answers = storm(shop, router.public, said_by_guid(&other, TIMES / 2)).await;
    let refused = conflicting(&answers);
    tally.count("refusals of another amount", refused as u64);
    let fine = refused == TIMES / 2 && bookings(shop, other.minor) == 0;
    if fine { Vec::new() } else { vec![format!("another amount under a guid: {}", summary(&answers))] }
}

/// The same guid with two amounts at once: one of the two is paid, and everybody who sent the other one is refused.
async fn rivals(shop: &Shop, router: &Router, event: &Event) -> Vec<String> {
    let rival = Event { minor: event.minor + 50, ..event.clone() };
    let pairs = said_by_guid(event, TIMES / 2).into_iter().zip(said_by_guid(&rival, TIMES / 2));
    let answers = storm(shop, router.public, pairs.flat_map(|(one, other)| [one, other]).collect()).await;
    let booked = bookings(shop, event.minor) + bookings(shop, rival.minor);
    let told = (paid(&answers, false), paid(&answers, true), conflicting(&answers));
    let fine = booked == 1 && told == (1, TIMES / 2 - 1, TIMES / 2);
    if fine { Vec::new() } else { vec![format!("two amounts under a guid: {booked} bookings; {}", summary(&answers))] }
}

/// Kills the router somewhere in a storm, and starts it again.
async fn storm_with_a_kill(
    shop: &Shop,
    router: Router,
    event: &Event,
    random: &mut Random,
    tally: &mut Tally,
) -> Result<Router, String> {
    let moment = Duration::from_millis(random.below(LATEST_KILL));
    let to = router.public;
    let killing = async {
        sleep(moment).await;
        router.kill();
    };
    let (answers, ()) = tokio::join!(storm(shop, to, said(event, TIMES)), killing);
    tally.count("kills in a storm", 1);
    tally.count("answers before a kill", answers.len() as u64);
    let router = start(shop).await?;
    tally.count("kills that left the payment dispatched", router.in_doubt);
    Ok(router)
}

/// The same storm while the terminal is asked, and once more when it has told.
async fn after_a_kill(shop: &Shop, router: &Router, event: &Event, tally: &mut Tally) -> Result<Vec<String>, String> {
    let answers = storm(shop, router.public, said(event, TIMES)).await;
    let strange = answers.iter().filter(|heard| !matches!(heard.status, 200 | 502 | 503 | 504)).count();
    let mut found = Vec::new();
    if strange > 0
        || answers.len() != TIMES
        || answers.iter().filter(|heard| !heard.replayed && heard.status != 503).count() > 1
    {
        found.push(format!("after the restart: {}", summary(&answers)));
    }
    settled(router).await?;
    let answers = storm(shop, router.public, said(event, TIMES)).await;
    found.extend(unequal(&answers));
    if answers.iter().any(|heard| !heard.replayed) || bookings(shop, event.minor) > 1 {
        found.push(format!("after a kill: {} bookings; {}", bookings(shop, event.minor), summary(&answers)));
    }
    if let Some(heard) = answers.first() {
        tally.count(format!("storms after a kill that were told {} {}", heard.status, heard.code()), 1);
    }
    Ok(found)
}

/// Unless everybody was answered, and with the same bytes.
fn unequal(answers: &[Heard]) -> Vec<String> {
    let texts: BTreeSet<&str> = answers.iter().map(|heard| heard.text.as_str()).collect();
    if texts.len() == 1 && answers.len() == TIMES {
        return Vec::new();
    }
    let different: Vec<String> = texts.iter().take(3).map(|text| text.chars().take(300).collect()).collect();
    vec![format!("not one answer for all: {}; {different:?}", summary(answers))]
}

fn paid(answers: &[Heard], replayed: bool) -> usize {
    answers.iter().filter(|heard| heard.status == 200 && heard.replayed == replayed).count()
}

fn conflicting(answers: &[Heard]) -> usize {
    answers.iter().filter(|heard| heard.status == 409 && heard.code() == "conflicting-repeat").count()
}

/// How many bookings of this amount stand. Every event has an amount of its own.
fn bookings(shop: &Shop, minor: u64) -> usize {
    let ledgers = shop.premises.ledgers();
    ledgers.iter().flat_map(|ledger| standing(&ledger.entries)).filter(|entry| entry.amount.minor() == minor).count()
}

/// How often which answer.
fn summary(answers: &[Heard]) -> String {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for heard in answers {
        *kinds.entry(format!("{} {} replayed {}", heard.status, heard.code(), heard.replayed)).or_default() += 1;
    }
    format!("{} answers: {kinds:?}", answers.len())
}
