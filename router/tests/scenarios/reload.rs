//! Does a running router take over another configuration without losing anything?

mod refused;
mod terminals;

use std::cell::Cell;
use std::collections::HashMap;

use hyper::{HeaderMap, Method};
use serde_json::{Value, json};
use tillswitch::oracle;
use tillswitch::shop::{Reply, Sale, Till, request};
use tillswitch_core::Secret;
use tillswitch_zvt::simulator::Simulator;

use crate::desk::{metric, order, paid, post, wish};
use crate::harness::*;

/// Changes the configuration file: every text must be there.
pub fn edit(scene: &Scene, changes: &[(&str, &str)]) {
    let mut text = std::fs::read_to_string(&scene.premises.config).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{from:?} is not in\n{text}");
        text = text.replace(from, to);
    }
    std::fs::write(&scene.premises.config, text).unwrap();
}

/// Adds lines at the end of the configuration file.
fn append(scene: &Scene, lines: &str) {
    let text = std::fs::read_to_string(&scene.premises.config).unwrap();
    std::fs::write(&scene.premises.config, format!("{text}\n{lines}\n")).unwrap();
}

/// Reloads over the API. The report.
pub async fn reload(scene: &Scene) -> Value {
    let reply = order(scene, "reload").await;
    assert_eq!((reply.status, reply.word()), (200, "reloaded"), "{}", reply.text);
    reply.body
}

/// What a reload reports if these terminals were added, changed, removed, or wait.
pub fn report(added: &[&str], changed: &[&str], removed: &[&str], waiting: &[&str]) -> Value {
    json!({ "status": "reloaded", "added": added, "changed": changed, "removed": removed, "waiting": waiting,
            "needs_restart": [] })
}

pub fn registrations(scene: &Scene, terminal: &str) -> usize {
    scene.zvt(terminal).commands().iter().filter(|command| *command == "06 00").count()
}

/// A terminal as it is listed, `null` if it is not.
pub async fn listed(scene: &Scene, name: &str) -> Value {
    let reply = tillswitch::shop::get(scene.app.admin, "/api/v1/terminals").await.unwrap();
    let terminals = reply.body["terminals"].as_array().unwrap();
    terminals.iter().find(|terminal| terminal["name"] == name).cloned().unwrap_or_default()
}

/// Nothing contradicts anything, where every payment is looked for at the terminal that had its address then: names change.
pub async fn end_by_address(scene: Scene) {
    let address = |terminal: &Simulator| match terminal.device() {
        Some(device) => device.display().to_string(),
        None => terminal.addr().to_string(),
    };
    let names: HashMap<String, &String> =
        scene.premises.zvt.iter().map(|(name, terminal)| (address(terminal), name)).collect();
    let mut witnesses = scene.witnesses().await.unwrap();
    for payment in &mut witnesses.payments {
        payment.terminal.name = names[&payment.terminal.identity.address].clone();
    }
    let violations = oracle::violations(&witnesses);
    assert!(violations.is_empty(), "{violations:#?}");
    scene.close().await;
}

/// Pays one document after the other until it is told to stop.
async fn keep_paying(scene: &Scene, project: &str, goes_on: &Cell<bool>, paid: &Cell<usize>) {
    while goes_on.get() {
        let document = format!("{project}-{}", paid.get());
        check_paid(&scene.send(Sale::new(project, "1.00", &document)).await, false);
        paid.set(paid.get() + 1);
    }
}

#[tokio::test]
async fn under_load_nothing_is_lost_and_unchanged_terminals_keep_their_connection() {
    let scene = Scene::open(|folder| {
        two_registers(quick(folder, "counter"), quick(folder, "bar"))
            .http("garden", tillswitch_http::simulator::SimulatorOptions::new(folder.join("garden.jsonl")))
    })
    .await;
    for (project, document) in [(PROJECT, "a"), (PROJECT_2, "b")] {
        check_paid(&scene.send(Sale::new(project, "1.00", document)).await, false);
    }
    let (goes_on, counter, bar) = (Cell::new(true), Cell::new(0), Cell::new(0));
    let reloading = async {
        let mut url = String::from("/payment\"");
        for round in 0..20 {
            // Another terminal and another rule of the webhook change each time.
            let next = format!("/payment?round={round}\"");
            edit(&scene, &[(&url, &next), ("[webhook]", "[webhook]\n# another line")]);
            url = next;
            let (before, before_) = (counter.get(), bar.get());
            if round % 2 == 0 {
                assert_eq!(reload(&scene).await, report(&[], &["garden"], &[], &[]));
            } else {
                let told = scene.app.reloader().reload().await.unwrap();
                assert_eq!(told, report(&[], &["garden"], &[], &[]));
            }
            until("both tills go on", async || counter.get() > before && bar.get() > before_).await;
        }
        goes_on.set(false);
    };
    tokio::join!(
        keep_paying(&scene, PROJECT, &goes_on, &counter),
        keep_paying(&scene, PROJECT_2, &goes_on, &bar),
        reloading
    );
    for (name, count) in [("counter", counter.get()), ("bar", bar.get())] {
        assert_eq!((scene.booked(name).len(), registrations(&scene, name)), (count + 1, 1), "{name}");
        assert_eq!(scene.zvt(name).protocol_faults(), [""; 0]);
    }
    scene.end().await;
}

/// A till that signs with a key.
fn signing(scene: &Scene, key: &str) -> Till {
    Till::new(scene.app.public, "/webhook/pos-payment").signing(Secret::new(key))
}

const OLD: &str = "the-old-key-of-thirty-two-letters";
const NEW: &str = "the-new-key-of-thirty-two-letters";

#[tokio::test]
async fn signature_keys_are_rotated_without_losing_a_request() {
    let keys = |keys: &[&str]| format!("signature_keys = {keys:?}");
    let scene = Scene::open(|folder| one_register(quick(folder, "counter")).webhook_lines(&keys(&[OLD]))).await;
    let (old, new) = (signing(&scene, OLD), signing(&scene, NEW));
    let mut document = 0;
    let mut next = || {
        document += 1;
        sale("1.00", &document.to_string())
    };
    check_paid(&send(&old, next()).await, false);
    check(&send(&new, next()).await, 401, "error", "bad-signature");
    check(&scene.send(next()).await, 401, "error", "bad-signature");

    edit(&scene, &[(&keys(&[OLD]), &keys(&[OLD, NEW]))]);
    let goes_on = Cell::new(true);
    let paying = async {
        let mut count = 0;
        while goes_on.get() || count < 5 {
            check_paid(&send(&old, sale("2.00", &format!("during-{count}"))).await, false);
            count += 1;
        }
    };
    let ((), ()) = tokio::join!(paying, async {
        for _ in 0..5 {
            assert_eq!(reload(&scene).await, report(&[], &[], &[], &[]));
        }
        goes_on.set(false);
    });
    check_paid(&send(&new, next()).await, false);

    edit(&scene, &[(&keys(&[OLD, NEW]), &keys(&[NEW]))]);
    assert_eq!(reload(&scene).await, report(&[], &[], &[], &[]));
    check(&send(&old, next()).await, 401, "error", "bad-signature");
    check_paid(&send(&new, next()).await, false);
    assert_eq!(registrations(&scene, "counter"), 1);
    scene.end().await;
}

#[tokio::test]
async fn an_admin_token_counts_from_the_next_request_on() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    edit(&scene, &[("[admin]\n", "[admin]\ntoken = \"a-token-of-some-length\"\n")]);
    reload(&scene).await;
    check(&order(&scene, "reload").await, 401, "error", "unauthorized");
    let headers =
        HeaderMap::from_iter([("authorization".parse().unwrap(), "Bearer a-token-of-some-length".parse().unwrap())]);
    let reply = request(scene.app.admin, Method::POST, "/api/v1/reload", headers, String::new()).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text);
    scene.end().await;
}

#[tokio::test]
async fn what_needs_a_restart_is_named_until_there_is_one() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter")).webhook_lines("wait = \"100s\"")).await;
    edit(&scene, &[("[server]\n", "max_connections = 7\n")]);
    let text = std::fs::read_to_string(&scene.premises.config).unwrap();
    let text = format!(
        "state_dir = \"elsewhere\"\nmin_free = \"1MiB\"\n[journal]\nurl = \"sqlite:other.db\"\nretention = \"3000d\"\n[server]\n{text}"
    );
    std::fs::write(&scene.premises.config, text.replace("wait = \"100s\"", "wait = \"90s\"\npath = \"/other\""))
        .unwrap();
    let expected =
        json!(["server.max_connections", "webhook.path", "state_dir", "min_free", "journal.url", "journal.retention"]);
    for _ in 0..2 {
        assert_eq!(reload(&scene).await["needs_restart"], expected);
    }
    // The old path, the old journal.
    check_paid(&scene.send(sale("1.00", "1")).await, false);
    assert!(!scene.folder().join("elsewhere").exists());
    scene.end().await;
}

#[tokio::test]
async fn a_stop_lets_nothing_begin_and_says_so() {
    let scene =
        Scene::open(|folder| one_register(slow(folder, "counter", std::time::Duration::from_millis(600)))).await;
    let (public, admin) = (scene.app.public, scene.app.admin);
    let ready = async |address| tillswitch::shop::get(address, "/health/ready").await.map(|reply| reply.status);
    assert_eq!((ready(public).await.unwrap(), ready(admin).await.unwrap()), (200, 200));
    let running = crate::desk::start(&scene, "payments", "key-1", wish("1", "1")).await;
    scene.until_busy("counter").await;
    let call = async |path: &str, key: &str, body: Value| -> Reply {
        let headers = HeaderMap::from_iter([("idempotency-key".parse().unwrap(), key.parse().unwrap())]);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        request(admin, Method::POST, &format!("/api/v1/{path}"), headers, body).await.unwrap()
    };
    let (scene, ()) = tokio::join!(scene.restart(), async {
        until("it stops", async || matches!(ready(public).await, Ok(503))).await;
        assert_eq!(ready(admin).await.unwrap(), 503);
        check_come_again(&call("payments", "key-2", wish("2", "2")).await, "shutting-down");
        check_come_again(&call("terminals/counter/test", "", Value::Null).await, "shutting-down");
        let refused = call("reload", "", Value::Null).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
        assert!(refused.text.contains("stopping"), "{}", refused.text);
    });
    assert_eq!(scene.payment(&running).await["state"], "approved");
    assert_eq!(scene.payments().await, 1);
    let again = post(&scene, "payments", "key-2", wish("2", "2")).await;
    scene.until_state(again.payment().unwrap(), "approved").await;
    scene.end().await;
}

/// A file that the router does not like changes nothing; one that it likes afterwards does.
#[tokio::test]
async fn the_metrics_say_whether_the_last_reload_worked() {
    const WORKED: &str = "tillswitch_config_last_reload_successful";
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    assert_eq!(metric(&scene, WORKED).await, Some(1.0));
    append(&scene, "[garden]");
    assert_eq!(order(&scene, "reload").await.status, 400);
    assert_eq!(metric(&scene, WORKED).await, Some(0.0));
    edit(&scene, &[("[garden]", "")]);
    reload(&scene).await;
    assert_eq!(metric(&scene, WORKED).await, Some(1.0));
    paid(&scene, "1.00", "1").await;
    scene.end().await;
}
