//! How is the journal of this version made, for the versions to come?
//!
//! `cargo test -p tillswitch --test journal -- --ignored the_journal_of_this_version` writes it into the folder that
//! `TILLSWITCH_JOURNAL` names. A real router makes it, with payments in every state; it is copied while one of them is at the
//! terminal and another one waits for its turn.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::{HeaderMap, Method};
use rusqlite::Connection;
use serde_json::{Value, json};
use tillswitch::journal::SqliteJournal;
use tillswitch::shop::{Plan, Reply, Shop, request};
use tillswitch_http::simulator::{SimulatorOptions, parse_script};
use tillswitch_zvt::simulator::{Options, Step};
use tokio::time::{Instant, sleep};

use crate::bench::options;
use crate::old::{PROJECT, event, told};

/// The register with the HTTP terminal.
const BAR: &str = "00000000-0000-0000-0000-000000000002";

#[tokio::test]
#[ignore = "writes a journal to be kept"]
async fn the_journal_of_this_version() {
    let target = PathBuf::from(std::env::var_os("TILLSWITCH_JOURNAL").expect("the folder to write to"));
    fs::create_dir_all(&target).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(plan(folder.path()), folder.path(), tillswitch::drivers::builtin()).await.unwrap();
    ended(&shop).await;
    by_a_person(&shop).await;
    let running = async {
        shop.premises.zvt["counter"].set_script(vec![Step::WaitForAbort]);
        tokio::join!(shop.till.send(event("dispatched", "16.00")), async {
            until("it is at the terminal", async || shop.premises.zvt["counter"].is_busy()).await;
            shop.till.send(event("received", "17.00")).await
        })
    };
    let copying = async {
        until("both are open", async || of_state(&shop, "received").await + of_state(&shop, "dispatched").await == 2)
            .await;
        keep(&folder.path().join("tillswitch-state/payments.db"), &target).await;
    };
    tokio::select! {
        _ = running => panic!("they were to run until the end"),
        () = copying => {}
    }
}

fn plan(folder: &Path) -> Plan {
    let bar = SimulatorOptions::new(folder.join("bar.jsonl"));
    Plan::new()
        .zvt("counter", Options { auto_reverse: false, ..Options::fast(folder.join("counter.jsonl")) })
        .http("bar", bar)
        .register("POS-01", PROJECT, "counter")
        .register("POS-02", BAR, "bar")
        .webhook_lines("queue_wait = \"2s\"")
        .terminal_lines("counter", "receipts = \"router\"")
}

/// Payments that end in every way that there is.
async fn ended(shop: &Shop) {
    let at_bar = |document: &str, amount: &str| event(document, amount).with("project", json!({ "id": BAR }));
    check(shop.till.send(event("approved", "25.90")).await, 200);
    check(shop.till.send(event("approved", "25.90")).await, 200);
    check(shop.till.send(event("approved", "25.91")).await, 409);
    check(shop.till.send(event("approved", "25.90").with("guid", "second press")).await, 409);
    check(shop.till.send(event("tip", "27.90").with("tip", "2.00").with("documentType", "ticket")).await, 200);
    check(shop.till.send(event("approved", "5.90").with("operation", "refund").with("guid", "refund")).await, 200);
    for (step, document, amount, status) in [
        ("decline", "declined", "11.00", 402),
        ("customer-cancel", "cancelled", "12.00", 402),
        ("refuse", "failed", "13.00", 502),
        ("cut-after-result", "resolved", "14.00", 504),
    ] {
        shop.premises.zvt["counter"].set_script(Step::parse_script(step).unwrap());
        check(shop.till.send(event(document, amount)).await, status);
    }
    until("nothing is asked about", async || of_state(shop, "in_doubt").await == 0).await;
    expired(shop).await;
    let script = "cut-after-booking,cut-before-booking,approve-less";
    shop.premises.http["bar"].set_script(parse_script(script).unwrap());
    for (document, amount) in [("in doubt", "15.00"), ("settled", "15.25")] {
        check(shop.till.send(at_bar(document, amount)).await, 504);
        until("nothing is asked about", async || of_state(shop, "in_doubt").await == 0).await;
    }
    check(shop.till.send(at_bar("a part", "15.50")).await, 409);
}

/// One waits for its turn until it has waited too long, behind another one that a person stops.
async fn expired(shop: &Shop) {
    shop.premises.zvt["counter"].set_script(vec![Step::WaitForAbort]);
    let stopping = async {
        until("it is at the terminal", async || shop.premises.zvt["counter"].is_busy()).await;
        check(shop.till.send(event("expired", "18.00")).await, 503);
        let running = tillswitch::shop::get(shop.app.admin, "/api/v1/payments?state=dispatched").await.unwrap().body;
        post(shop, &format!("payments/{}/abort", listed(&running, "stopped")), "abort", json!({})).await;
    };
    let (stopped, ()) = tokio::join!(shop.till.send(event("stopped", "19.00")), stopping);
    check(stopped, 402);
}

/// The newest listed payment of a document.
fn listed(body: &Value, document: &str) -> String {
    let payments = body["payments"].as_array().unwrap();
    let found = payments.iter().find(|payment| payment["document"]["number"] == document);
    found.unwrap()["id"].as_str().unwrap().to_owned()
}

/// What a person does with them.
async fn by_a_person(shop: &Shop) {
    let all = tillswitch::shop::get(shop.app.admin, "/api/v1/payments").await.unwrap().body;
    post(shop, &format!("payments/{}/again", listed(&all, "declined")), "again", json!({})).await;
    post(shop, &format!("payments/{}/reverse", listed(&all, "tip")), "reverse", json!({})).await;
    let settled = json!({ "state": "failed", "reason": "looked at the terminal: nothing was booked" });
    post(shop, &format!("payments/{}/resolve", listed(&all, "settled")), "settle", settled).await;
    until("nothing is open", async || of_state(shop, "received").await + of_state(shop, "dispatched").await == 0).await;
    post(shop, "terminals/counter/end-of-day", "close", json!({})).await;
}

async fn post(shop: &Shop, path: &str, key: &str, body: Value) {
    let headers = [("idempotency-key", key), ("tillswitch-operator", "ann")];
    let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let path = format!("/api/v1/{path}");
    let headers = HeaderMap::from_iter(headers);
    let reply = request(shop.app.admin, Method::POST, &path, headers, body.to_string()).await.unwrap();
    assert!(reply.status < 300, "{path}: {}", reply.text);
}

#[track_caller]
fn check(reply: std::io::Result<Reply>, status: u16) {
    let reply = reply.unwrap();
    assert_eq!(reply.status, status, "{}", reply.text);
}

async fn of_state(shop: &Shop, state: &str) -> usize {
    let path = format!("/api/v1/payments?state={state}");
    let reply = tillswitch::shop::get(shop.app.admin, &path).await.unwrap();
    let payments = reply.body["payments"].as_array().unwrap();
    payments.iter().filter(|payment| payment["waits_for_person"] != true).count()
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !condition().await {
        assert!(Instant::now() < deadline, "never: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Copies a journal, whose router has nothing to write now, and writes down what it says.
async fn keep(journal: &Path, target: &Path) {
    let other = Connection::open(journal).unwrap();
    let left: i64 = other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0, "the router was writing");
    let kept = target.join("payments.db");
    fs::copy(journal, &kept).unwrap();
    let read = tempfile::tempdir().unwrap();
    let path = read.path().join("payments.db");
    fs::copy(&kept, &path).unwrap();
    fs::write(target.join("payments.txt"), told(&SqliteJournal::open(&path, options()).unwrap()).await).unwrap();
}
