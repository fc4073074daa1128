//! An operator's payment: begun once, told as it happens, under the document rules.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tillswitch::shop::{Plan, Sale};
use tillswitch_http::simulator::{SimulatorOptions, parse_script};

use super::{
    Listener, check_refused, check_replayed, history, order, paid, post, rows, start, until_payments, wish, with,
};
use crate::harness::*;

#[tokio::test]
async fn it_is_begun_told_as_it_happens_and_booked_once() {
    let scene = Scene::open(|folder| one_register(slow(folder, "counter", Duration::from_millis(50)))).await;
    let mut listener = Listener::open(&scene).await;
    let id = start(&scene, "payments", "key-1", wish("25.90", "4711")).await;
    listener.until(|heard| heard.contains("\"state\":\"approved\"")).await;

    let states: Vec<Value> = listener.events("payment").iter().map(|event| event["state"].clone()).collect();
    assert_eq!(states, ["dispatched", "approved"]);
    assert!(listener.events("payment").iter().all(|event| event["id"] == id.as_str()));
    let lines = listener.events("line");
    assert!(!lines.is_empty(), "{}", listener.heard);
    assert!(lines.iter().all(|line| line["payment"] == id.as_str() && line["terminal"] == "counter"), "{lines:?}");

    let payment = scene.payment(&id).await;
    assert_eq!((&payment["state"], &payment["amount"]), (&json!("approved"), &json!("25.90")));
    let expected = [("received", "operator:ann"), ("dispatched", "operator:ann"), ("approved", "driver")];
    assert_eq!(history(&scene, &id).await, rows(&expected));
    assert_eq!(scene.booked("counter"), [2590]);
    scene.end().await;
}

#[tokio::test]
async fn the_same_key_is_the_same_payment() {
    let scene = Scene::open(|folder| one_register(slow(folder, "counter", Duration::from_millis(200)))).await;
    let id = start(&scene, "payments", "key-1", wish("25.90", "4711")).await;
    check_replayed(&post(&scene, "payments", "key-1", wish("25.90", "4711")).await, 202, &id);
    scene.until_state(&id, "approved").await;
    check_replayed(&post(&scene, "payments", "key-1", wish("25.9", "4711")).await, 200, &id);
    for other in [
        wish("25.91", "4711"),
        wish("25.90", "4712"),
        with(wish("25.90", "4711"), "operation", "refund"),
        with(wish("25.90", "4711"), "document", json!({ "number": "4711", "type": "order" })),
    ] {
        check_refused(&post(&scene, "payments", "key-1", other).await, "conflicting-repeat", &id);
    }
    assert_eq!((scene.booked("counter"), scene.payments().await), (vec![2590], 1));
    scene.end().await;
}

#[tokio::test]
async fn many_presses_at_once_are_one_payment() {
    let scene = Scene::open(|folder| one_register(slow(folder, "counter", Duration::from_millis(100)))).await;
    let presses = (0..10).map(|_| post(&scene, "payments", "key-1", wish("25.90", "4711")));
    let replies = all(presses).await;
    let id = replies[0].payment().unwrap();
    assert!(replies.iter().all(|reply| reply.payment() == Some(id)), "{replies:?}");
    assert_eq!(replies.iter().filter(|reply| !reply.is_replayed()).count(), 1);
    scene.until_state(id, "approved").await;
    assert_eq!(scene.booked("counter"), [2590]);
    scene.end().await;
}

#[tokio::test]
async fn a_second_press_needs_a_confirmation() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    let first = paid(&scene, "25.90", "4711").await;
    check_refused(&post(&scene, "payments", "key-2", wish("25.90", "4711")).await, "suspected-repeat", &first);
    // The same key may be used again: nothing was begun under it.
    check_refused(&post(&scene, "payments", "key-2", wish("25.90", "4711")).await, "suspected-repeat", &first);
    let second = start(&scene, "payments", "key-2", with(wish("25.90", "4711"), "confirm_repeat", true)).await;
    scene.until_state(&second, "approved").await;
    assert_ne!(first, second);
    check_replayed(&post(&scene, "payments", "key-2", wish("25.90", "4711")).await, 200, &second);

    // What the till has paid, with or without having heard of it, is no reason to pay again either.
    let told = scene.send(sale("3.00", "4712")).await;
    check_refused(
        &post(&scene, "payments", "key-3", wish("3.00", "4712")).await,
        "suspected-repeat",
        told.payment().unwrap(),
    );
    assert_eq!(scene.booked("counter"), [2590, 2590, 300]);
    scene.end().await;
}

#[tokio::test]
async fn a_running_one_is_joined_by_operator_and_till() {
    let scene = Scene::open(|folder| one_register(slow(folder, "counter", Duration::from_millis(300)))).await;
    let id = start(&scene, "payments", "key-1", wish("25.90", "4711")).await;
    check_replayed(&post(&scene, "payments", "key-2", wish("25.90", "4711")).await, 202, &id);
    let reply = scene.send(sale("25.90", "4711")).await;
    check_paid(&reply, true);
    assert_eq!((reply.payment(), scene.booked("counter")), (Some(id.as_str()), vec![2590]));
    scene.end().await;
}

/// POS-01 at ZVT, and POS-02 at an HTTP terminal that leaves its first payment in doubt, for a person.
pub(super) fn with_a_doubtful_one(folder: &Path) -> Plan {
    let mut bar = SimulatorOptions::new(folder.join("bar.jsonl"));
    bar.script = parse_script("cut-after-booking").unwrap();
    one_register(quick(folder, "counter")).http("bar", bar).register("POS-02", PROJECT_2, "bar")
}

#[tokio::test]
async fn nothing_passes_a_document_in_doubt() {
    let scene = Scene::open(with_a_doubtful_one).await;
    let bar = |document: &str| with(wish("25.90", document), "register", "POS-02");
    let doubtful = start(&scene, "payments", "key-1", bar("4711")).await;
    let payment = scene.until_state(&doubtful, "in_doubt").await;
    assert!(payment["finished_at"].is_string(), "{payment}");
    until("a person is asked", async || scene.payment(&doubtful).await["waits_for_person"] == true).await;
    for (register, amount) in [("POS-02", "25.90"), ("POS-01", "25.90"), ("POS-01", "1.00")] {
        let wish = with(with(wish(amount, "4711"), "register", register), "confirm_repeat", true);
        check_refused(&post(&scene, "payments", "key-2", wish).await, "document-in-doubt", &doubtful);
    }
    check_replayed(&post(&scene, "payments", "key-1", bar("4711")).await, 202, &doubtful);
    let again = post(&scene, &format!("payments/{doubtful}/again"), "key-3", json!({ "confirm_repeat": true })).await;
    check_refused(&again, "document-in-doubt", &doubtful);
    let other = start(&scene, "payments", "key-4", bar("4712")).await;
    scene.until_state(&other, "approved").await;
    scene.end().await;
}

#[tokio::test]
async fn it_has_no_wait() {
    let scene = Scene::open(|folder| {
        one_register(slow(folder, "counter", Duration::from_millis(900)))
            .webhook_lines("wait = \"1200ms\"\nqueue_wait = \"1200ms\"")
    })
    .await;
    let first = start(&scene, "payments", "key-1", wish("1", "1")).await;
    // It waits in the queue for most of a webhook's time, and runs for the rest and longer.
    let second = start(&scene, "payments", "key-2", wish("2", "2")).await;
    scene.until_state(&first, "approved").await;
    scene.until_state(&second, "approved").await;
    assert_eq!(scene.booked("counter"), [100, 200]);
    assert!(!scene.zvt("counter").commands().iter().any(|command| command == "06 B0"), "it was asked to stop");
    scene.end().await;
}

#[tokio::test]
async fn what_is_wished_wrongly_begins_nothing() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    let whole = || wish("25.90", "4711");
    for (body, status, code) in [
        (with(whole(), "amuont", "1"), 400, "malformed"),
        (with(whole(), "document", json!({ "number": "1", "kind": "x" })), 400, "malformed"),
        (with(whole(), "document", "4711"), 400, "malformed"),
        (with(whole(), "document", json!({ "type": "invoice" })), 400, "malformed"),
        (with(whole(), "confirm_repeat", "yes"), 400, "malformed"),
        (with(whole(), "register", Value::Null), 400, "malformed"),
        (with(whole(), "currency", "EURO"), 400, "malformed"),
        (with(whole(), "currency", Value::Null), 400, "malformed"),
        (with(whole(), "amount", Value::Null), 400, "bad-amount"),
        (with(whole(), "amount", "25.905"), 400, "bad-amount"),
        (with(whole(), "amount", "0"), 400, "bad-amount"),
        (with(whole(), "amount", "-1"), 400, "bad-amount"),
        (with(whole(), "amount", "99999999999999999999"), 400, "bad-amount"),
        (with(whole(), "operation", "reversal"), 400, "unknown-operation"),
        (with(whole(), "operation", "sell it"), 400, "unknown-operation"),
        (with(whole(), "register", "POS-99"), 404, "unknown-register"),
        (json!([]), 400, "malformed"),
        (json!("x"), 400, "malformed"),
    ] {
        let reply = post(&scene, "payments", "key-1", body.clone()).await;
        assert_eq!((reply.status, reply.code()), (status, code), "{body}: {}", reply.text);
    }
    check(&order(&scene, "payments").await, 400, "error", "no-idempotency-key");
    for key in ["", &"k".repeat(256)] {
        check(&post(&scene, "payments", key, whole()).await, 400, "error", "no-idempotency-key");
    }
    assert_eq!(scene.payments().await, 0);
    start(&scene, "payments", &"k".repeat(255), whole()).await;
    until_payments(&scene, 1).await;
    scene.until_state(&scene.ids().await[0], "approved").await;
    scene.end().await;
}

#[tokio::test]
async fn a_full_queue_keeps_no_key() {
    let scene = Scene::open(|folder| {
        one_register(slow(folder, "counter", Duration::from_millis(300))).terminal_lines("counter", "queue = 0")
    })
    .await;
    let first = start(&scene, "payments", "key-1", wish("1", "1")).await;
    check_come_again(&post(&scene, "payments", "key-2", wish("2", "2")).await, "terminal-busy");
    scene.until_state(&first, "approved").await;
    let second = start(&scene, "payments", "key-2", wish("2", "2")).await;
    scene.until_state(&second, "approved").await;
    assert_eq!(scene.booked("counter"), [100, 200]);
    scene.end().await;
}

#[tokio::test]
async fn what_came_to_nothing_may_be_started_again() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    for (document, script, state) in
        [("1", "decline", "declined"), ("2", "customer-cancel", "cancelled"), ("3", "refuse", "failed")]
    {
        scene.zvt("counter").set_script(steps(script));
        let first = start(&scene, "payments", &format!("first-{document}"), wish("1", document)).await;
        scene.until_state(&first, state).await;
        let path = format!("payments/{first}/again");
        let key = format!("again-{document}");
        let second = start(&scene, &path, &key, json!({})).await;
        let payment = scene.until_state(&second, "approved").await;
        assert_eq!((&payment["again_of"], &payment["document"]["number"]), (&json!(first), &json!(document)));
        check_replayed(&post(&scene, &path, &key, json!({})).await, 200, &second);
        check_refused(&post(&scene, &path, "another", json!({})).await, "suspected-repeat", &second);
        check_refused(
            &post(&scene, &format!("payments/{second}/again"), "x", json!({})).await,
            "suspected-repeat",
            &second,
        );
    }
    check(
        &order(&scene, &format!("payments/{}/again", scene.ids().await[0])).await,
        400,
        "error",
        "no-idempotency-key",
    );
    assert_eq!(scene.booked("counter"), [100, 100, 100]);
    scene.end().await;
}

#[tokio::test]
async fn an_expired_one_may_be_started_again() {
    let scene = Scene::open(|folder| {
        one_register(slow(folder, "counter", Duration::from_millis(400))).webhook_lines("queue_wait = \"100ms\"")
    })
    .await;
    let first = start(&scene, "payments", "key-1", wish("1", "1")).await;
    let expired = scene.send(Sale::new(PROJECT, "2", "2")).await;
    check_come_again(&expired, "terminal-busy");
    scene.until_state(&first, "approved").await;
    let path = format!("payments/{}/again", expired.payment().unwrap());
    let second = start(&scene, &path, "key-2", json!({})).await;
    scene.until_state(&second, "approved").await;
    assert_eq!(scene.booked("counter"), [100, 200]);
    scene.end().await;
}
