//! What happens after a router has died: a start, the same webhooks again, the next customer, and who contradicts whom?

use std::time::Duration;

use tillswitch::shop::Sale;

use crate::child::{Ended, Router};
use crate::counter::{Counter, PROJECT};
use crate::random::Random;
use crate::shim::{Order, Point};

/// How many calls of a start may be the last ones of it.
const CALLS_OF_A_START: u64 = 60;
/// How long the end of a router that has just started is waited for.
const SECOND_END: Duration = Duration::from_millis(400);

/// What a run has shown.
#[derive(Debug, Default)]
pub struct Shown {
    /// What was met, in words.
    pub met: Vec<String>,
    /// What is violated.
    pub violations: Vec<String>,
}

/// Starts a router again, delivers the same payments again and one more, stops it, and compares everybody.
pub async fn comes_back(
    counter: Counter,
    sales: &[Sale],
    random: &mut Random,
    shown: &mut Shown,
) -> Result<(), String> {
    let router = counter.start().await.map_err(|ended| not_started(&ended))?;
    if router.in_doubt > 0 {
        shown.met.push("a payment was in doubt when the router started again".into());
    }
    goes_on(&counter, &router, sales).await?;
    end(router, random).await?;
    shown.violations.extend(counter.violations().await);
    counter.close().await;
    Ok(())
}

/// In words, that a router did not start.
pub fn not_started(ended: &Ended) -> String {
    format!("the router ended before it was ready, code {:?}: {}", ended.code, ended.log)
}

/// The start that follows meets its end, too, in the way of `order`.
pub async fn starts_and_ends(counter: &Counter, order: &Order, random: &mut Random) {
    let at = 1 + random.below(CALLS_OF_A_START) as u32;
    let point = *random.pick(&[Point::Before, Point::Torn, Point::After]);
    counter.steering.arm(&Order { at, point, ..*order });
    let router = counter.start().await;
    // What it does after its start has calls, too; where it has none that is left, the end comes from here.
    let _ = counter.until("it has ended", SECOND_END, || counter.steering.met() > 0).await;
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
        let (status, code, message) = (next.status, next.code(), &next.body["message"]);
        return Err(format!("the next payment was answered {status} {code}: {message}"));
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
