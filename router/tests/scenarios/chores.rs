//! What terminals do that nobody asks for: the end of the day at its hour, a look at a terminal that has nothing to do.

use std::time::Duration;

use jiff::{Span, ZonedDateTime};
use tillswitch::shop::Plan;
use tokio::time::Instant;

use crate::desk::puppet::Hand;
use crate::desk::{metric, order, start, wish};
use crate::harness::*;

fn times(scene: &Scene, command: &str) -> usize {
    scene.zvt("counter").commands().iter().filter(|heard| *heard == command).count()
}

#[tokio::test]
async fn the_day_is_closed_at_its_hour_once_the_running_payment_has_ended() {
    let at = ZonedDateTime::now().saturating_add(Span::new().seconds(2));
    let line = format!("end_of_day = \"{}\"", at.strftime("%H:%M:%S"));
    let scene = Scene::open(|folder| one_register(quick(folder, "counter")).terminal_lines("counter", &line)).await;
    scene.zvt("counter").set_script(steps("wait-for-abort"));
    let running = start(&scene, "payments", "key-1", wish("25.90", "1")).await;
    scene.until_busy("counter").await;
    let later = at.saturating_add(Span::new().milliseconds(300));
    until("its hour has come", async || ZonedDateTime::now() > later).await;
    assert_eq!(times(&scene, "06 50"), 0, "never while a payment runs");
    assert_eq!(order(&scene, &format!("payments/{running}/abort")).await.status, 202);
    scene.until_state(&running, "cancelled").await;
    until("the day is closed", async || times(&scene, "06 50") == 1).await;
    check_paid(&scene.send(sale("1.00", "2")).await, false);
    assert_eq!(times(&scene, "06 50"), 1);
    scene.end().await;
}

#[tokio::test]
async fn an_idle_terminal_is_looked_at() {
    let scene =
        Scene::open(|folder| one_register(quick(folder, "counter")).terminal_lines("counter", "probe = \"1s\"")).await;
    until("it was looked at", async || times(&scene, "05 01") > 0).await;
    assert_eq!(scene.zvt("counter").money_commands(), 0);
    scene.zvt("counter").listen(false).await.unwrap();
    let up = "tillswitch_terminal_up{terminal=\"counter\",driver=\"zvt-tcp\"}";
    until("it is found to be gone", async || metric(&scene, up).await == Some(0.0)).await;
    scene.zvt("counter").listen(true).await.unwrap();
    until("it is found to be back", async || metric(&scene, up).await == Some(1.0)).await;
    scene.end().await;
}

/// How long a terminal is left alone here before it does what it wishes.
const ALONE: Duration = Duration::from_millis(50);

#[tokio::test]
async fn what_a_terminal_wishes_is_run_once_it_is_left_alone() {
    let scene = Scene::open(|folder| {
        let mut counter = quick(folder, "counter");
        counter.status_byte = 0x03;
        one_register(counter).wish_after(ALONE)
    })
    .await;
    assert_eq!(times(&scene, "06 93"), 0, "nobody has talked to it yet");
    check_paid(&scene.send(sale("25.90", "1")).await, false);
    until("both wishes were run", async || times(&scene, "06 93") > 0 && times(&scene, "06 70") > 0).await;
    check_paid(&scene.send(sale("1.00", "2")).await, false);
    pass(ALONE * 4).await;
    assert_eq!((times(&scene, "06 93"), times(&scene, "06 70")), (1, 1), "once, although the registration said both");
    scene.end().await;
}

#[tokio::test]
async fn a_wish_waits_for_payments_that_wait() {
    let (hand, scene) = with_a_puppet().await;
    let running = start(&scene, "payments", "first", wish("1", "1")).await;
    until("it runs", async || hand.executions() == 1).await;
    let waiting = start(&scene, "payments", "second", wish("2", "2")).await;
    hand.grows_dull();
    pass(ALONE * 4).await;
    hand.declines();
    scene.until_state(&running, "declined").await;
    until("the next one runs", async || hand.executions() == 2).await;
    pass(ALONE * 4).await;
    assert_eq!(hand.polished(), 0, "never while a payment runs or waits");
    hand.declines();
    scene.until_state(&waiting, "declined").await;
    until("the wish was run", async || hand.polished() == 1).await;
    pass(ALONE * 4).await;
    assert_eq!(hand.polished(), 1, "not at once again");
    scene.end().await;
}

#[tokio::test]
async fn a_wish_waits_for_a_payment_in_doubt() {
    let (hand, scene) = with_a_puppet().await;
    let doubtful = start(&scene, "payments", "first", wish("1", "1")).await;
    until("it runs", async || hand.executions() == 1).await;
    hand.grows_dull();
    hand.leaves_in_doubt();
    until("it is asked about", async || hand.questions() == 1).await;
    hand.cannot_be_asked();
    // The driver is idle until it is asked about again, for far longer than a wish waits.
    until("it is asked about again", async || hand.questions() == 2).await;
    assert_eq!(hand.polished(), 0, "it could destroy the evidence");
    hand.proves_not_charged();
    scene.until_state(&doubtful, "failed").await;
    until("the wish was run", async || hand.polished() == 1).await;
    scene.end().await;
}

async fn with_a_puppet() -> (Hand, Scene) {
    let (hand, registry) = Hand::new();
    let terminal = "[terminals.puppet]\ndriver = \"puppet\"\naddress = \"1\"";
    let plan = Plan::new().register("POS-01", PROJECT, "puppet").other_lines(terminal).wish_after(ALONE);
    (hand, Scene::open_with(|_| plan, registry).await)
}

/// Lets time pass in which something wrong could happen.
async fn pass(time: Duration) {
    let end = Instant::now() + time;
    until("the time has passed", async || Instant::now() > end).await;
}
