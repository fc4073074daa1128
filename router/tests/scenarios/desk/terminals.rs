//! What a terminal does besides payments, when somebody asks.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tillswitch::shop::get;
use tillswitch_core::Operation;
use tillswitch_core::ledger::LedgerEntry;

use super::pay::with_a_doubtful_one;
use super::{metric, order, post, start, wish, with};
use crate::harness::*;

async fn listed(scene: &Scene, name: &str) -> Value {
    let reply = get(scene.app.admin, "/api/v1/terminals").await.unwrap();
    let terminals = reply.body["terminals"].as_array().unwrap().clone();
    terminals.into_iter().find(|terminal| terminal["name"] == name).unwrap()
}

#[tokio::test]
async fn registers_and_terminals_are_listed_as_they_are() {
    let scene = Scene::open(|folder| {
        with_a_doubtful_one(folder).terminal_lines("counter", "queue = 1").webhook_lines("queue_wait = \"10s\"")
    })
    .await;
    let registers = get(scene.app.admin, "/api/v1/registers").await.unwrap().body;
    let pos = |name: &str, terminal: &str, project: &str| json!({ "name": name, "terminal": terminal, "project_ids": [project] });
    assert_eq!(registers, json!({ "registers": [pos("POS-01", "counter", PROJECT), pos("POS-02", "bar", PROJECT_2)] }));
    let free = json!({ "name": "counter", "driver": "zvt-tcp", "address": scene.zvt("counter").addr().to_string(),
                       "currency": "EUR", "state": "free", "queue": { "waiting": 0, "capacity": 1 } });
    assert_eq!(listed(&scene, "counter").await, free);

    scene.zvt("counter").set_script(steps("wait-for-abort"));
    let first = start(&scene, "payments", "first", wish("1", "1")).await;
    scene.until_busy("counter").await;
    let second = start(&scene, "payments", "second", wish("2", "2")).await;
    let now = listed(&scene, "counter").await;
    assert_eq!((&now["state"], &now["queue"]["waiting"]), (&json!("busy"), &json!(1)));
    assert_eq!(order(&scene, &format!("payments/{first}/abort")).await.status, 202);
    scene.until_state(&second, "approved").await;
    until("it is free", async || listed(&scene, "counter").await == free).await;
    scene.end().await;
}

#[tokio::test]
async fn a_terminal_says_how_it_is() {
    let scene = Scene::open(|folder| one_register(slow(folder, "counter", Duration::from_millis(400)))).await;
    let ready = order(&scene, "terminals/counter/test").await;
    assert_eq!((ready.status, &ready.body["ready"], &ready.body["terminal"]), (200, &json!(true), &json!("counter")));
    assert!(ready.body["message"].is_string() && ready.body["terminal_id"].is_string(), "{}", ready.text);

    let running = start(&scene, "payments", "running", wish("1", "1")).await;
    scene.until_busy("counter").await;
    for call in ["test", "end-of-day", "services/diagnosis"] {
        check_come_again(&order(&scene, &format!("terminals/counter/{call}")).await, "terminal-busy");
    }
    scene.until_state(&running, "approved").await;

    scene.zvt("counter").listen(false).await.unwrap();
    until("it is found to be gone", async || {
        order(&scene, "terminals/counter/test").await.code() == "terminal-unreachable"
    })
    .await;
    check(&order(&scene, "terminals/counter/test").await, 502, "error", "terminal-unreachable");
    let up = "tillswitch_terminal_up{terminal=\"counter\",driver=\"zvt-tcp\"}";
    assert_eq!(metric(&scene, up).await, Some(0.0));
    scene.zvt("counter").listen(true).await.unwrap();
    assert_eq!(order(&scene, "terminals/counter/test").await.status, 200);
    assert_eq!(metric(&scene, up).await, Some(1.0));
    scene.end().await;
}

#[tokio::test]
async fn a_day_is_closed_and_its_slips_are_kept() {
    let scene =
        Scene::open(|folder| one_register(quick(folder, "counter")).terminal_lines("counter", "receipts = \"router\""))
            .await;
    let sale = super::paid(&scene, "25.90", "4711").await;
    let closed = order(&scene, "terminals/counter/end-of-day").await;
    assert_eq!((closed.status, &closed.body["terminal"]), (200, &json!("counter")), "{}", closed.text);
    let sum = json!({ "amount_minor": 2590, "currency": "EUR" });
    assert_eq!((&closed.body["total"], &closed.body["count"]), (&sum, &json!(1)), "{}", closed.text);
    assert!(
        matches!(slips(&scene).as_slice(), [(kind, text)] if kind == "administration" && text.contains("25.90 EUR"))
    );
    // What was settled with the bank can only be paid back.
    let reversal = post(&scene, &format!("payments/{sale}/reverse"), "key-1", json!({})).await;
    scene.until_state(reversal.payment().unwrap(), "declined").await;
    let refund = start(&scene, &format!("payments/{sale}/refund"), "key-2", json!({})).await;
    scene.until_state(&refund, "approved").await;
    scene.end().await;
}

/// The slips of terminals' own work in the journal: whom each is for, and its text.
fn slips(scene: &Scene) -> Vec<(String, String)> {
    let file = scene.folder().join("tillswitch-state/payments.db");
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let journal = rusqlite::Connection::open_with_flags(file, flags).unwrap();
    let sql = "SELECT kind, text FROM receipts WHERE payment IS NULL AND terminal = 'counter'";
    let mut query = journal.prepare(sql).unwrap();
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test]
async fn the_totals_of_a_day_are_what_stands_in_the_ledger() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    let mut expected: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let mut note = |payment: &Value, count: i64, sign: i64| {
        let scheme = payment["result"]["card"]["scheme"].as_str().unwrap();
        // The terminal adds up by brand, whatever the card's product is called.
        let brand = scheme.trim_start_matches("Debit ").trim_end_matches(" Debit").to_owned();
        let total = expected.entry(brand).or_default();
        total.0 += count;
        total.1 += sign * payment["result"]["amount_minor"].as_i64().unwrap();
    };
    let mut sales = Vec::new();
    for (amount, document) in [("25.90", "1"), ("12.00", "2"), ("7.10", "3")] {
        sales.push(super::paid(&scene, amount, document).await);
        note(&scene.payment(sales.last().unwrap()).await, 1, 1);
    }
    let refund = start(&scene, &format!("payments/{}/refund", sales[1]), "key-1", json!({ "amount": "4.50" })).await;
    note(&scene.until_state(&refund, "approved").await, 1, -1);
    let reversal = post(&scene, &format!("payments/{}/reverse", sales[2]), "key-2", json!({})).await;
    scene.until_state(reversal.payment().unwrap(), "approved").await;
    note(&scene.payment(&sales[2]).await, -1, -1);
    expected.retain(|_, total| *total != (0, 0));

    let closed = order(&scene, "terminals/counter/end-of-day").await;
    let ledger = scene.zvt("counter").ledger();
    let standing = tillswitch_core::ledger::standing(&ledger);
    let signed = |entry: &&LedgerEntry| match entry.operation {
        Operation::Refund => -i64::try_from(entry.amount.minor()).unwrap(),
        Operation::Sale | Operation::Reversal => i64::try_from(entry.amount.minor()).unwrap(),
    };
    let total: i64 = standing.iter().map(signed).sum();
    assert_eq!((total, &closed.body["total"]["amount_minor"]), (3340, &json!(total)), "{}", closed.text);
    assert_eq!(closed.body["count"], json!(standing.len()));
    let told: BTreeMap<String, (i64, i64)> = closed.body["brands"].as_array().unwrap().iter().map(row).collect();
    assert_eq!((told.len(), &told), (2, &expected));
    assert_eq!(closed.body["receipts"], json!({ "first": "0001", "last": "0004" }));

    let again = order(&scene, "terminals/counter/end-of-day").await.body;
    assert_eq!(
        (&again["total"]["amount_minor"], &again["count"], &again["receipts"]),
        (&json!(0), &json!(0), &Value::Null)
    );
    scene.end().await;
}

fn row(brand: &Value) -> (String, (i64, i64)) {
    let name = brand["brand"].as_str().unwrap().to_owned();
    (name, (brand["count"].as_i64().unwrap(), brand["amount_minor"].as_i64().unwrap()))
}

#[tokio::test]
async fn services_are_the_drivers_own() {
    let scene = Scene::open(with_a_doubtful_one).await;
    for service in ["diagnosis", "keypad-unlock", "keypad-lock"] {
        let reply = order(&scene, &format!("terminals/counter/services/{service}")).await;
        assert_eq!((reply.status, reply.body["message"].is_string()), (200, true), "{service}: {}", reply.text);
    }
    check(&order(&scene, "terminals/counter/services/make-coffee").await, 502, "error", "unsupported");
    check(&order(&scene, "terminals/bar/services/diagnosis").await, 502, "error", "unsupported");
    check(&order(&scene, "terminals/bar/end-of-day").await, 502, "error", "unsupported");
    for call in ["test", "end-of-day", "services/diagnosis", "trace"] {
        let reply = order(&scene, &format!("terminals/garden/{call}")).await;
        check(&reply, 404, "error", "not-found");
        assert!(reply.body["message"].as_str().unwrap().contains("counter"), "{}", reply.text);
    }
    for body in [json!({ "minutes": 0 }), json!({ "minutes": 61 }), json!({ "hours": 1 })] {
        check(&post(&scene, "terminals/counter/trace", "x", body).await, 400, "error", "malformed");
    }
    super::paid(&scene, "1", "1").await;
    scene.end().await;
}

#[tokio::test]
async fn a_terminal_in_doubt_does_nothing_else() {
    let (hand, registry) = super::puppet::Hand::new();
    let plan = "[terminals.puppet]\ndriver = \"puppet\"\naddress = \"1\"";
    let scene = Scene::open_with(
        |_| tillswitch::shop::Plan::new().register("POS-01", PROJECT, "puppet").other_lines(plan),
        registry,
    )
    .await;
    hand.leaves_in_doubt();
    let id = start(&scene, "payments", "doubtful", with(wish("1", "1"), "document", Value::Null)).await;
    scene.until_state(&id, "in_doubt").await;
    for call in ["test", "end-of-day", "services/diagnosis"] {
        check_come_again(&order(&scene, &format!("terminals/puppet/{call}")).await, "terminal-in-doubt");
    }
    assert_eq!(listed(&scene, "puppet").await["state"], "in_doubt");
    hand.proves_not_charged();
    scene.until_state(&id, "failed").await;
    until("it is free", async || order(&scene, "terminals/puppet/test").await.status == 200).await;
    scene.end().await;
}
