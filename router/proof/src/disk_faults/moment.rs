//! What is seen of a disk that fails, and does a restart on a good one heal it?

use std::time::Duration;

use tillswitch::metrics::ALL;
use tillswitch::shop::{Reply, Sale, get};
use tokio::time::timeout;

use super::case::{Case, Doing, NO_START, NOT_MET, READ_ONLY, WENT_ON};
use crate::aftermath::{Shown, comes_back, not_started};
use crate::child::Router;
use crate::counter::{Counter, PROJECT, Terminal};
use crate::random::Random;
use crate::scene::{Scene, Stage};
use crate::shim::{Deed, Shim};

/// The exit code of a router that cannot use its disk.
const UNAVAILABLE: i32 = 69;
/// After so many payments there surely was a checkpoint.
const PAYMENTS: usize = 120;
/// How long a router with a broken journal may take to stop.
const STOP: Duration = Duration::from_secs(30);

/// One run.
pub async fn one(seed: u64, case: Case, shim: &Shim) -> Shown {
    let mut random = Random::new(seed);
    let mut shown = Shown::default();
    let played = play(&case, shim, &mut random, &mut shown).await;
    shown.violations.extend(played.err());
    shown
}

async fn play(case: &Case, shim: &Shim, random: &mut Random, shown: &mut Shown) -> Result<(), String> {
    let (counter, router, mut sales) = match case.doing {
        Doing::Payment => pay(case, shim, random).await?,
        Doing::FirstStart | Doing::Start => start(case, shim, random, shown).await?,
        Doing::Checkpoint => checkpoint(case, shim, random).await?,
    };
    let is_met = counter.steering.met() > 0;
    shown.met.push(if is_met { case.name() } else { NOT_MET.into() });
    if let Some(router) = router {
        if is_met {
            let seen = look(&counter, &router, case, &mut sales, shown).await;
            shown.violations.extend(seen.err());
        }
        ends(&counter, router, case, random).await?;
    }
    counter.steering.disarm();
    comes_back(counter, &sales, random, shown).await
}

type Scenery = (Counter, Option<Router>, Vec<Sale>);

async fn pay(case: &Case, shim: &Shim, random: &mut Random) -> Result<Scenery, String> {
    let stage = Stage::set(case.scene, shim, true, random).await?;
    stage.play(&case.order()).await?;
    Ok((stage.counter, Some(stage.router), stage.sales))
}

async fn start(case: &Case, shim: &Shim, random: &mut Random, shown: &mut Shown) -> Result<Scenery, String> {
    let (counter, sales) = if case.doing == Doing::FirstStart {
        (Counter::open(case.scene.manner(random), shim, true).await, vec![Sale::new(PROJECT, "10.00", "1")])
    } else {
        let Stage { counter, router, sales, .. } = Stage::set(case.scene, shim, true, random).await?;
        counter.deliver(&sales[0]).await?;
        router.kill();
        (counter, sales)
    };
    counter.steering.arm(&case.order());
    match counter.start().await {
        Ok(router) => Ok((counter, Some(router), sales)),
        Err(ended) if ended.code == Some(UNAVAILABLE) && !case.is_harmless() => {
            shown.met.push(NO_START.into());
            Ok((counter, None, sales))
        }
        Err(ended) => Err(not_started(&ended)),
    }
}

/// Payment after payment, until the log is brought into the database.
async fn checkpoint(case: &Case, shim: &Shim, random: &mut Random) -> Result<Scenery, String> {
    let scene = Scene { terminal: Terminal::Http, declined: false, waits: false };
    let counter = Counter::open(scene.manner(random), shim, true).await;
    let router = counter.start().await.map_err(|ended| not_started(&ended))?;
    counter.steering.arm(&case.order());
    let mut sales: Vec<Sale> = Vec::new();
    while sales.len() < PAYMENTS && counter.steering.count() == 0 {
        let number = sales.len() + 1;
        sales.push(Sale::new(PROJECT, &format!("{number}.10"), &number.to_string()));
        let _ = counter.till.send(&sales[number - 1]).await;
    }
    // The checkpoint runs on while its payment has long been answered.
    let _ = counter.until("the call is met", STOP / 60, || counter.steering.met() > 0).await;
    let last = sales.len().saturating_sub(2);
    Ok((counter, Some(router), sales.split_off(last)))
}

/// What everybody sees once the call has failed.
async fn look(
    counter: &Counter,
    router: &Router,
    case: &Case,
    sales: &mut Vec<Sale>,
    shown: &mut Shown,
) -> Result<(), String> {
    let new = Sale::new(PROJECT, "7.77", "behind the fault");
    let before = counter.money_commands();
    let reply = counter.till.send(&new).await.map_err(|error| format!("the router does not answer: {error}"))?;
    sales.push(new);
    if case.is_harmless() || case.may_be_harmless() && reply.status == 200 {
        shown.met.push(WENT_ON.into());
        return is(reply.status == 200, || format!("a write that was repeated left {}", words(&reply)));
    }
    is(is_refused(&reply), || format!("a new payment was {}", words(&reply)))?;
    is(counter.money_commands() == before, || "a refused payment reached the terminal".into())?;
    let metrics = get(router.admin, "/metrics").await.map_err(|error| error.to_string())?.text;
    is(sum(&metrics, "journal_read_only") == 1, || "the metric does not say that it is read-only".into())?;
    is(sum(&metrics, "journal_errors_total") > 0, || "no error was counted".into())?;
    let ready = get(router.admin, "/health/ready").await.map_err(|error| error.to_string())?;
    is(ready.status == 503, || format!("it says that it is ready: {}", ready.text))?;
    shown.met.push(READ_ONLY.into());
    Ok(())
}

/// Whether nothing was begun because of the journal, and the till may come again.
pub fn is_refused(reply: &Reply) -> bool {
    reply.status == 503 && reply.code() == "journal-unavailable" && reply.headers.contains_key("retry-after")
}

/// An error unless it is so.
pub fn is(so: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if so { Ok(()) } else { Err(otherwise()) }
}

/// An answer in words.
pub fn words(reply: &Reply) -> String {
    format!("answered {} {}: {}", reply.status, reply.code(), reply.body["message"])
}

/// A metric, over all its labels, by its name without the program's.
fn sum(metrics: &str, name: &str) -> u64 {
    let known = ALL.iter().find(|metric| metric.name.strip_prefix("tillswitch_") == Some(name));
    let name = known.expect("the router has this metric").name;
    let lines = metrics.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// A router with a broken journal stops as well as any other, and may be killed. What a failed sync left behind shows when the
/// power is cut.
async fn ends(counter: &Counter, router: Router, case: &Case, random: &mut Random) -> Result<(), String> {
    if case.is_of_syncs() || random.once_in(3) {
        counter.cut_power(router, Deed::PowerAll, 0).await;
        return Ok(());
    }
    if random.once_in(2) {
        router.kill();
        return Ok(());
    }
    let stopped = timeout(STOP, tokio::task::spawn_blocking(move || router.stop())).await;
    stopped.map(drop).map_err(|_| "it did not stop when it was asked to".into())
}
