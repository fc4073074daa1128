//! What terminals do that nobody asks for: the end of the day at its hour, a look at a terminal that has nothing to do.

use jiff::{Span, ZonedDateTime};

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
