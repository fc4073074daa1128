//! What happens in one run: a payment, a kill, a start, the same payment again, the next payment.

use std::time::Duration;

use tillswitch::shop::Sale;

use super::places::Class;
use super::scene::{Stage, not_started};
use super::steps::{Met, reached};
use crate::child::Router;
use crate::counter::{Counter, PROJECT};
use crate::random::Random;
use crate::shim::{Call, Deed, Order, Point, Shim};

/// How many calls of a start may be the last ones of it.
const CALLS_OF_A_START: u64 = 60;
/// How long a second kill is waited for.
const SECOND_KILL: Duration = Duration::from_millis(400);

/// What a run has shown.
#[derive(Debug, Default)]
pub struct Shown {
    /// What was met, in words.
    pub met: Vec<String>,
    /// What is violated.
    pub violations: Vec<String>,
}

/// One run. `deed` is what ends the router.
pub async fn one(seed: u64, class: &Class, deed: Deed, shim: &Shim) -> Shown {
    let mut random = Random::new(seed);
    let (at, point) = class.draw(&mut random);
    let power = matches!(deed, Deed::PowerAll | Deed::PowerSome);
    let order = Order { at, point, deed, seed: random.next() as u32, ..Order::count() };
    let stage = match Stage::set(class.scene, shim, power, &mut random).await {
        Ok(stage) => stage,
        Err(why) => return Shown { violations: vec![why], ..Shown::default() },
    };
    let mut shown = Shown::default();
    if let Err(why) = play(stage, &order, class, &mut random, &mut shown).await {
        shown.violations.push(why);
    }
    shown
}

async fn play(
    stage: Stage,
    order: &Order,
    class: &Class,
    random: &mut Random,
    shown: &mut Shown,
) -> Result<(), String> {
    stage.play(order).await?;
    let Stage { counter, router, sales, .. } = stage;
    let met_it = counter.steering.met() > 0;
    router.kill();
    if met_it {
        shown.met = met(&counter, order, class, sales.len()).await?;
    } else {
        shown.met = vec!["the router was killed after everything".into()];
    }
    counter.steering.disarm();
    if random.once_in(6) {
        second_kill(&counter, random).await;
        shown.met.push("killed again while it recovered".into());
    }
    let router = counter.start().await.map_err(|ended| not_started(&ended))?;
    if router.in_doubt > 0 {
        shown.met.push("a payment was in doubt when it started again".into());
    }
    goes_on(&counter, &router, &sales).await?;
    end(router, random).await?;
    shown.violations.extend(counter.violations().await);
    counter.close().await;
    Ok(())
}

async fn met(counter: &Counter, order: &Order, class: &Class, sales: usize) -> Result<Vec<String>, String> {
    let calls: Vec<Call> = counter.steering.calls().into_iter().take(order.at as usize).collect();
    let reached = reached(&counter.state_dir(), sales).await.map_err(|error| format!("I7: {error}"))?;
    let scene = class.scene;
    // The one in front is at the terminal until it has its end; meanwhile the other one can only be received.
    let (first, last) = (reached[0], reached[sales - 1]);
    let is_first = sales > 1 && first < super::steps::Reached::Finished && last == super::steps::Reached::Received;
    let reached = if is_first { first } else { last };
    let met = Met {
        terminal: scene.terminal,
        waits: scene.waits,
        slips: !scene.waits && !scene.declined,
        reached,
        point: order.point,
    };
    Ok(met.words(&calls))
}

/// The start that follows is killed, too.
async fn second_kill(counter: &Counter, random: &mut Random) {
    let at = 1 + random.below(CALLS_OF_A_START) as u32;
    counter.steering.arm(&Order {
        at,
        point: *random.pick(&[Point::Before, Point::Torn, Point::After]),
        deed: Deed::Kill,
        ..Order::count()
    });
    let router = counter.start().await;
    let _ = counter.until("it is killed", SECOND_KILL, || counter.steering.met() > 0).await;
    drop(router);
    counter.steering.disarm();
}

/// The same webhooks again, at once and when everything is settled; and the next customer.
async fn goes_on(counter: &Counter, router: &Router, sales: &[Sale]) -> Result<(), String> {
    for sale in sales {
        // Whatever it hears is remembered by the till and compared at the end.
        let _ = counter.till.send(sale).await;
    }
    counter.settled(router).await?;
    for sale in sales {
        counter.deliver(sale).await?;
    }
    counter.rests().await?;
    let next = counter.deliver(&Sale::new(PROJECT, "3.00", "next")).await?;
    if next.status != 200 {
        return Err(format!("the next payment was answered {} {}: {}", next.status, next.code(), next.body["message"]));
    }
    counter.settled(router).await.map(drop)
}

async fn end(router: Router, random: &mut Random) -> Result<(), String> {
    if random.once_in(2) {
        router.kill();
        return Ok(());
    }
    let status = tokio::task::spawn_blocking(move || router.stop()).await.expect("waiting does not panic");
    if status.success() { Ok(()) } else { Err(format!("asked to stop, the router ended with {status}")) }
}
