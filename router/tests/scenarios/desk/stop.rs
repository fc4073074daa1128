//! An abort: it stops what has not started, asks what runs, and changes nothing that has ended.

use std::time::Duration;

use super::{Listener, check_refused, history, order, rows, start, until_payments, wish};
use crate::harness::*;

#[tokio::test]
async fn a_waiting_one_never_starts() {
    let scene = Scene::open(|folder| one_register(slow(folder, "counter", Duration::from_millis(400)))).await;
    let first = start(&scene, "payments", "key-1", wish("1", "1")).await;
    let (waiting, reply) = tokio::join!(scene.send(sale("2", "2")), async {
        until_payments(&scene, 2).await;
        let ids = scene.ids().await;
        let second = ids.into_iter().find(|id| *id != first).unwrap();
        order(&scene, &format!("payments/{second}/abort")).await
    });
    assert_eq!((reply.status, &reply.body["payment"]["state"]), (200, &"cancelled".into()), "{}", reply.text);
    check(&waiting, 402, "cancelled", "cancelled");
    let second = waiting.payment().unwrap().to_owned();
    check_refused(&order(&scene, &format!("payments/{second}/abort")).await, "not-found", &second);
    scene.until_state(&first, "approved").await;
    assert_eq!(history(&scene, &second).await, rows(&[("received", "webhook"), ("cancelled", "operator:admin")]));
    assert_eq!((scene.booked("counter"), scene.zvt("counter").money_commands()), (vec![100], 1));
    scene.end().await;
}

/// Right behind the 202 it is handed over, waiting or running: never lost.
#[tokio::test]
async fn one_that_was_begun_a_moment_ago_is_found() {
    let scene = Scene::open(|folder| one_register(slow(folder, "counter", Duration::from_secs(5)))).await;
    for round in 0..10 {
        let id = start(&scene, "payments", &format!("key-{round}"), wish("1", &round.to_string())).await;
        let reply = order(&scene, &format!("payments/{id}/abort")).await;
        assert!(matches!(reply.status, 200 | 202), "{}", reply.text);
        scene.until_state(&id, "cancelled").await;
    }
    assert_eq!(scene.booked("counter"), [0; 0]);
    scene.end().await;
}

#[tokio::test]
async fn a_running_one_is_asked_and_its_outcome_decides() {
    let scene = Scene::open(|folder| {
        let mut counter = scripted(quick(folder, "counter"), "wait-for-abort, approve");
        counter.timing.host = Duration::from_millis(400);
        one_register(counter)
    })
    .await;
    let first = start(&scene, "payments", "key-1", wish("1", "1")).await;
    scene.until_busy("counter").await;
    let reply = order(&scene, &format!("payments/{first}/abort")).await;
    assert_eq!((reply.status, reply.payment()), (202, Some(first.as_str())), "{}", reply.text);
    scene.until_state(&first, "cancelled").await;
    assert_eq!(history(&scene, &first).await.last().unwrap().1, "driver");

    // The card was read already: the terminal does not stop, and what it says counts.
    let mut listener = Listener::open(&scene).await;
    let second = start(&scene, "payments", "key-2", wish("2", "2")).await;
    // Behind its "insert card" comes a second line, when it has the card and asks the host.
    listener.until(|heard| heard.matches("event:line").count() == 2).await;
    let reply = order(&scene, &format!("payments/{second}/abort")).await;
    assert_eq!(reply.status, 202, "{}", reply.text);
    scene.until_state(&second, "approved").await;
    check_refused(&order(&scene, &format!("payments/{second}/abort")).await, "not-found", &second);
    assert_eq!(scene.booked("counter"), [200]);
    scene.end().await;
}
