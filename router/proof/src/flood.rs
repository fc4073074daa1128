//! Does the good till get through while others do their worst from the same network?

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tillswitch::intake::signature::sign;
use tillswitch::shop::{Plan, Sale, Till, get};
use tillswitch_core::Secret;
use tillswitch_zvt::simulator::Options;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::random::Random;
use crate::sender::{Wired, connect, post, stranger};
use crate::shop::{Shop, settled};
use crate::tally::Tally;
use crate::usage::{Usage, percentile};

/// The webhook's key. Whoever has it may still send too much.
const KEY: &str = "the key of the flood, 32 letters long";
/// The till that pays at a steady pace.
const GOOD: &str = "good";
/// Another register of the shop, to which the flood sends payments with valid signatures.
const BUSY: &str = "busy";
/// Between two sales of the good till, and between two looks of the operator.
const PACE: Duration = Duration::from_millis(250);
/// Between two bytes of a slow connection.
const SLOWLY: Duration = Duration::from_millis(400);
/// How many webhooks are on their way at once.
const SENDERS: usize = 50;

/// What `flood` takes.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Flood {
    /// How many webhooks the strangers send
    #[arg(long, visible_alias = "runs", default_value_t = 10_000)]
    webhooks: usize,
    /// How many of each kind of connection: idle, slow head, slow body
    #[arg(long, default_value_t = 500)]
    connections: usize,
    /// How many readers of the event stream that do not read
    #[arg(long, default_value_t = 200)]
    readers: usize,
    /// How many seconds it takes at least
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How long the good till may wait, in milliseconds
    #[arg(long, default_value_t = 1000)]
    till: u64,
    /// How long the operator may wait, in milliseconds
    #[arg(long, default_value_t = 500)]
    operator: u64,
    /// How much resident memory the router may use, in MiB
    #[arg(long, default_value_t = 128)]
    memory: u64,
    /// Where to begin
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What the strangers met.
#[derive(Debug, Default)]
struct Met {
    webhooks: [AtomicUsize; 6],
    connections: AtomicUsize,
}

/// Runs it.
pub async fn run(flood: Flood) -> Tally {
    let mut tally = Tally::new("flood");
    let which =
        format!("flood --webhooks {} --connections {} --seed {}", flood.webhooks, flood.connections, flood.seed);
    match pour(flood, &mut tally).await {
        Ok(found) => tally.ran(&which, found),
        Err(why) => tally.ran(&which, [why]),
    }
    for met in ["payments of the good till", "looks of the operator", "connections of strangers"] {
        tally.require(met);
    }
    tally
}

fn plan(folder: &Path) -> Plan {
    let terminal = |name: &str| Options::fast(folder.join(format!("{name}.jsonl")));
    let names = [GOOD, BUSY];
    let plan = Plan::new().webhook_lines(&format!("signature_keys = [\"{KEY}\"]"));
    names.into_iter().fold(plan, |plan, name| plan.zvt(name, terminal(name)).register(name, name, name))
}

async fn pour(flood: Flood, tally: &mut Tally) -> Result<Vec<String>, String> {
    let shop = Shop::open(plan).await;
    let router = shop.start(&[]).await.map_err(|ended| format!("the router did not start: {ended:?}"))?;
    let till = Till::new(router.public, "/webhook/pos-payment").signing(Secret::new(KEY));
    let (met, over) = (Arc::new(Met::default()), Arc::new(AtomicBool::new(false)));
    let mut strangers = connections(flood, router.public, router.admin, &met, &over);
    let pouring = async {
        let end = Instant::now() + Duration::from_secs(flood.seconds);
        webhooks(flood, router.public, &met).await;
        tokio::time::sleep_until(end).await;
        over.store(true, Ordering::SeqCst);
    };
    let ((), sales, looks, most) =
        tokio::join!(pouring, sell(&till, &over), look(router.admin, &over), measure(router.id(), &over));
    strangers.shutdown().await;
    let found = judge(flood, &sales, &looks, most);
    count(&met, &sales, &looks, tally);
    settled(&router).await?;
    shop.hear(till.told());
    router.kill();
    let violations = shop.violations().await;
    shop.premises.close().await;
    Ok(found.into_iter().chain(violations).collect())
}

/// What somebody waited for: how long each time, and what went wrong.
#[derive(Debug, Default)]
struct Waited {
    micros: Vec<u64>,
    wrong: Vec<String>,
}

/// The good till sells at a steady pace, from 127.0.0.1.
async fn sell(till: &Till, over: &AtomicBool) -> Waited {
    let mut waited = Waited::default();
    let mut number = 0;
    while !over.load(Ordering::SeqCst) {
        number += 1;
        let sale = Sale::new(GOOD, &format!("{}.{:02}", 1 + number / 100, number % 100), &format!("good/{number}"));
        let began = Instant::now();
        match till.send(&sale).await {
            Ok(reply) if reply.status == 200 => waited.micros.push(began.elapsed().as_micros() as u64),
            Ok(reply) => waited.wrong.push(format!("{} {}", reply.status, reply.code())),
            Err(error) => waited.wrong.push(error.to_string()),
        }
        sleep(PACE).await;
    }
    waited
}

/// The operator asks for the figures and the last payments, as the page and a monitoring system do.
async fn look(admin: SocketAddr, over: &AtomicBool) -> Waited {
    let mut waited = Waited::default();
    while !over.load(Ordering::SeqCst) {
        for path in ["/metrics", "/api/v1/payments"] {
            let began = Instant::now();
            match get(admin, path).await {
                Ok(reply) if reply.status == 200 => waited.micros.push(began.elapsed().as_micros() as u64),
                Ok(reply) => waited.wrong.push(format!("{path}: {} {}", reply.status, reply.text)),
                Err(error) => waited.wrong.push(format!("{path}: {error}")),
            }
        }
        sleep(PACE).await;
    }
    waited
}

/// The most that the router uses.
async fn measure(process: u32, over: &AtomicBool) -> (f64, usize) {
    let mut most = (0.0_f64, 0);
    while !over.load(Ordering::SeqCst) {
        if let Some(usage) = Usage::of(process, 0.0) {
            most = (most.0.max(usage.resident), most.1.max(usage.descriptors));
        }
        sleep(Duration::from_millis(100)).await;
    }
    most
}

/// Sends all webhooks, several at once, from as many addresses.
async fn webhooks(flood: Flood, to: SocketAddr, met: &Arc<Met>) {
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let (met, mut random) = (Arc::clone(met), Random::new(flood.seed * 1000 + sender as u64));
        senders.spawn(async move {
            for number in (sender..flood.webhooks).step_by(SENDERS) {
                let wired = webhook(number, &mut random);
                let answer = async { post(&mut connect(stranger(sender), to).await?, &wired).await };
                let place = answer.await.map_or(0, |heard: crate::sender::Heard| usize::from(heard.status / 100));
                met.webhooks[place.min(5)].fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    while senders.join_next().await.is_some() {}
}

/// A webhook that nobody has sent before: with no signature, with a wrong one, with one that was made for other bytes; signed
/// for a project that nobody knows, for a busy register, and as nonsense.
fn webhook(number: usize, random: &mut Random) -> Wired {
    let project = if number % 6 == 4 { BUSY } else { "nobody's" };
    let sale: String =
        Sale::new(project, &format!("{}.{:02}", 1 + random.below(90), random.below(100)), &number.to_string()).into();
    let at =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    let head = |key: &str, signed: &str| {
        let signature = sign(&Secret::new(key), signed.as_bytes(), at);
        format!("Xentral-Signature: {signature}\r\nXentral-Request-Timestamp: {at}\r\n")
    };
    match number % 6 {
        0 => Wired { head: String::new(), body: sale },
        1 => Wired { head: head("another key, of nobody in particular", &sale), body: sale },
        2 => Wired { head: head(KEY, "{}"), body: sale },
        5 => {
            let nonsense = format!("{{\"number\":{number},\"deep\":{}", "[".repeat(random.below(200) as usize));
            Wired { head: head(KEY, &nonsense), body: nonsense }
        }
        _ => Wired { head: head(KEY, &sale), body: sale },
    }
}

/// Everybody who connects and does not send a request, or does not read its answer. Who is cut off comes again.
fn connections(
    flood: Flood,
    public: SocketAddr,
    admin: SocketAddr,
    met: &Arc<Met>,
    over: &Arc<AtomicBool>,
) -> JoinSet<()> {
    const HEAD: &str =
        "POST /webhook/pos-payment HTTP/1.1\r\nHost: till\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const BODY: &str = "POST /webhook/pos-payment HTTP/1.1\r\nHost: till\r\nContent-Length: 60000\r\n\r\n";
    const EVENTS: &str = "GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    let mut strangers = JoinSet::new();
    let kinds = [
        (flood.connections, public, "", ""),
        (flood.connections, public, "", HEAD),
        (flood.connections, public, BODY, HEAD),
        (flood.readers, admin, EVENTS, ""),
    ];
    let mut address = SENDERS;
    for (times, to, at_once, slowly) in kinds {
        for _ in 0..times {
            let (met, over, from) = (Arc::clone(met), Arc::clone(over), stranger(address));
            address += 1;
            strangers.spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    met.connections.fetch_add(1, Ordering::SeqCst);
                    // Whatever ends it, the next one follows.
                    let _: io::Result<()> = stay(from, to, at_once, slowly).await;
                    sleep(SLOWLY).await;
                }
            });
        }
    }
    strangers
}

/// One connection, until the router closes it. A reader of events never reads.
async fn stay(from: std::net::Ipv4Addr, to: SocketAddr, at_once: &str, slowly: &str) -> io::Result<()> {
    let mut stream = connect(from, to).await?;
    stream.write_all(at_once.as_bytes()).await?;
    for byte in slowly.as_bytes().iter().cycle().take(if slowly.is_empty() { 0 } else { 50 }) {
        stream.write_all(&[*byte]).await?;
        sleep(SLOWLY).await;
    }
    if at_once.starts_with("GET") {
        return std::future::pending().await;
    }
    stream.read_to_end(&mut Vec::new()).await.map(|_| ())
}

fn judge(flood: Flood, sales: &Waited, looks: &Waited, (resident, descriptors): (f64, usize)) -> Vec<String> {
    let millis = |waited: &Waited, percent: usize| percentile(&waited.micros, percent) as f64 / 1000.0;
    println!("| | median | p99 | worst | wrong |\n|---|---|---|---|---|");
    for (name, waited) in [("the good till, ms", sales), ("the operator, ms", looks)] {
        let [median, p99, worst] = [50, 99, 100].map(|percent| millis(waited, percent));
        println!("| {name} | {median:.1} | {p99:.1} | {worst:.1} | {} |", waited.wrong.len());
    }
    println!("| resident memory at most, MiB | | | {resident:.1} | |\n| descriptors at most | | | {descriptors} | |");
    let mut found = Vec::new();
    for (name, waited, limit) in [("the good till", sales, flood.till), ("the operator", looks, flood.operator)] {
        if millis(waited, 100) > limit as f64 {
            found.push(format!("{name} waited {:.0} ms, {limit} are allowed", millis(waited, 100)));
        }
        if let Some(first) = waited.wrong.first() {
            found.push(format!("{name} was turned away {} times, first: {first}", waited.wrong.len()));
        }
    }
    if resident > flood.memory as f64 {
        found.push(format!("{resident:.1} MiB of resident memory, {} are allowed", flood.memory));
    }
    found
}

fn count(met: &Met, sales: &Waited, looks: &Waited, tally: &mut Tally) {
    tally.count("payments of the good till", sales.micros.len() as u64);
    tally.count("looks of the operator", looks.micros.len() as u64);
    tally.count("connections of strangers", met.connections.load(Ordering::SeqCst) as u64);
    for (place, name) in [(0, "cut off"), (2, "answered 2xx"), (4, "answered 4xx"), (5, "answered 5xx")] {
        tally.count(format!("webhooks of strangers {name}"), met.webhooks[place].load(Ordering::SeqCst) as u64);
    }
}
