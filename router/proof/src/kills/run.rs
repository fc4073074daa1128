//! What happens in one run: a payment, a kill, and what comes after it?

use crate::aftermath::{Shown, comes_back, starts_and_ends};
use crate::counter::Counter;
use crate::places::Class;
use crate::random::Random;
use crate::scene::Stage;
use crate::shim::{Call, Deed, Order, Shim};
use crate::steps::{Met, Reached, reached};

/// One run.
pub async fn one(seed: u64, class: &Class, shim: &Shim) -> Shown {
    let mut random = Random::new(seed);
    let (at, point) = class.draw(&mut random);
    let order = Order { at, point, deed: Deed::Kill, ..Order::count() };
    let mut shown = Shown::default();
    let played = async {
        let stage = Stage::set(class.scene, shim, false, &mut random).await?;
        play(stage, &order, class, &mut random, &mut shown).await
    };
    if let Err(why) = played.await {
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
    let is_met = counter.steering.met() > 0;
    router.kill();
    if is_met {
        shown.met = met(&counter, order, class, sales.len()).await?;
    } else {
        shown.met = vec!["the router was killed after everything".into()];
    }
    counter.steering.disarm();
    if random.once_in(6) {
        starts_and_ends(&counter, &Order { deed: Deed::Kill, ..Order::count() }, random).await;
        shown.met.push("killed again while it recovered".into());
    }
    comes_back(counter, &sales, random, shown).await
}

async fn met(counter: &Counter, order: &Order, class: &Class, sales: usize) -> Result<Vec<String>, String> {
    let calls: Vec<Call> = counter.steering.calls().into_iter().take(order.at as usize).collect();
    let reached = reached(&counter.state_dir(), sales).await.map_err(|error| format!("I7: {error}"))?;
    let scene = class.scene;
    // The one in front is at the terminal until it has its end; meanwhile the other one can only be received.
    let (first, last) = (reached[0], reached[sales - 1]);
    let is_first = sales > 1 && first < Reached::Finished && last == Reached::Received;
    let met = Met {
        terminal: scene.terminal,
        waits: scene.waits,
        slips: !scene.waits && !scene.declined,
        reached: if is_first { first } else { last },
        point: order.point,
    };
    Ok(met.words(&calls))
}
