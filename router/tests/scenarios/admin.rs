//! What does whoever runs the shop see of the payments?

mod calls;
mod door;

use std::path::Path;

use hyper::header::{AUTHORIZATION, HOST};
use hyper::{HeaderMap, Method};
use serde_json::Value;
use tillswitch::shop::{Plan, Reply, Sale, get, request};
use tillswitch_http::simulator::{SimulatorOptions, parse_script};

use crate::harness::*;

/// Asks the admin listener, with further header fields.
async fn ask(scene: &Scene, path: &str, fields: &[(hyper::header::HeaderName, &str)]) -> Reply {
    let headers: HeaderMap = fields.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
    request(scene.app.admin, Method::GET, path, headers, String::new()).await.unwrap()
}

async fn admin(scene: &Scene, path: &str) -> Reply {
    get(scene.app.admin, path).await.unwrap()
}

/// The value of a series, by its name with all labels as they are written.
async fn metric(scene: &Scene, series: &str) -> f64 {
    let reply = admin(scene, "/metrics").await;
    assert_eq!(reply.status, 200);
    let line = reply.text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let value = line.unwrap_or_else(|| panic!("{series} is not in\n{}", reply.text));
    value.parse().unwrap()
}

async fn outcomes(scene: &Scene, register: &str, operation: &str, outcome: &str) -> f64 {
    let (terminal, driver) = if register == "POS-01" { ("counter", "zvt-tcp") } else { ("bar", "http") };
    let labels = format!(
        "register=\"{register}\",terminal=\"{terminal}\",driver=\"{driver}\",operation=\"{operation}\",outcome=\"{outcome}\""
    );
    metric(scene, &format!("tillswitch_payments_total{{{labels}}}")).await
}

/// POS-01 at ZVT, and POS-02 at an HTTP terminal that leaves its first payment in doubt.
fn with_a_doubtful_one(folder: &Path) -> Plan {
    let mut bar = SimulatorOptions::new(folder.join("bar.jsonl"));
    bar.script = parse_script("cut-after-booking").unwrap();
    let counter = scripted(quick(folder, "counter"), "approve, decline, customer-cancel, refuse, approve-less");
    one_register(counter).http("bar", bar).register("POS-02", PROJECT_2, "bar")
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let scene = Scene::open(with_a_doubtful_one).await;
    for outcome in ["approved", "declined", "cancelled", "failed", "expired", "in_doubt"] {
        for operation in ["sale", "refund", "reversal"] {
            assert_eq!(outcomes(&scene, "POS-01", operation, outcome).await, 0.0);
        }
    }
    let first = sale("25.90", "1");
    check_paid(&scene.send(&first).await, false);
    check_paid(&scene.send(&first).await, true);
    for document in ["2", "3", "4", "5"] {
        scene.send(sale("25.90", document)).await;
    }
    check_paid(&scene.send(sale("10", "1").with("operation", "refund")).await, false);
    scene.send(Sale::new(PROJECT_2, "25.90", "6")).await;
    scene.send("{").await;
    scene.send(sale("25.905", "7")).await;

    for (outcome, count) in
        [("approved", 1.0), ("declined", 2.0), ("cancelled", 1.0), ("failed", 1.0), ("in_doubt", 0.0)]
    {
        assert_eq!(outcomes(&scene, "POS-01", "sale", outcome).await, count, "{outcome}");
    }
    assert_eq!(outcomes(&scene, "POS-01", "refund", "approved").await, 1.0);
    assert_eq!(outcomes(&scene, "POS-02", "sale", "in_doubt").await, 1.0);
    for (series, value) in [
        ("tillswitch_payments_in_doubt{register=\"POS-02\",terminal=\"bar\"}", 1.0),
        ("tillswitch_payments_in_doubt{register=\"POS-01\",terminal=\"counter\"}", 0.0),
        ("tillswitch_payments_in_progress{register=\"POS-01\",terminal=\"counter\"}", 0.0),
        ("tillswitch_webhook_duplicates_total{source=\"xentral\"}", 1.0),
        ("tillswitch_webhook_rejected_total{reason=\"malformed\"}", 1.0),
        ("tillswitch_webhook_rejected_total{reason=\"bad_amount\"}", 1.0),
        ("tillswitch_webhook_rejected_total{reason=\"bad_signature\"}", 0.0),
        ("tillswitch_journal_read_only", 0.0),
    ] {
        assert_eq!(metric(&scene, series).await, value, "{series}");
    }
    let durations =
        "tillswitch_payment_duration_seconds_count{terminal=\"counter\",driver=\"zvt-tcp\",outcome=\"approved\"}";
    assert_eq!(metric(&scene, durations).await, 2.0);
    scene.end().await;
}

#[tokio::test]
async fn a_running_payment_is_counted_while_it_runs() {
    let scene =
        Scene::open(|folder| one_register(slow(folder, "counter", std::time::Duration::from_millis(300)))).await;
    let series = "tillswitch_payments_in_progress{register=\"POS-01\",terminal=\"counter\"}";
    let (reply, ()) = tokio::join!(scene.send(sale("1", "1")), async {
        scene.until_busy("counter").await;
        assert_eq!(metric(&scene, series).await, 1.0);
        let running = admin(&scene, "/api/v1/payments?state=dispatched").await;
        assert_eq!(running.body["payments"].as_array().unwrap().len(), 1);
    });
    check_paid(&reply, false);
    assert_eq!(metric(&scene, series).await, 0.0);
    scene.end().await;
}

/// The document numbers that a query finds, in its order.
async fn found(scene: &Scene, query: &str) -> Vec<String> {
    let reply = admin(scene, &format!("/api/v1/payments{query}")).await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.text);
    let payments = reply.body["payments"].as_array().unwrap();
    payments.iter().map(|payment| payment["document"]["number"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn payments_are_found_by_every_filter() {
    let scene = Scene::open(with_a_doubtful_one).await;
    for document in ["1", "2", "3"] {
        scene.send(sale("25.90", document)).await;
    }
    let before = jiff::Timestamp::now();
    let doubtful = scene.send(Sale::new(PROJECT_2, "25.90", "4")).await;
    check(&doubtful, 504, "in_doubt", "in-doubt");

    assert_eq!(found(&scene, "").await, ["4", "3", "2", "1"], "newest first");
    for (query, documents) in [
        ("?state=approved", &["1"][..]),
        ("?state=declined", &["2"]),
        ("?state=cancelled", &["3"]),
        ("?state=in_doubt", &["4"]),
        ("?state=failed", &[]),
        ("?register=POS-01", &["3", "2", "1"]),
        ("?register=POS-02", &["4"]),
        ("?register=POS-99", &[]),
        ("?document=2", &["2"]),
        ("?limit=2", &["4", "3"]),
        ("?register=POS-01&state=declined&document=2&limit=9", &["2"]),
        (&format!("?since={before}"), &["4"]),
        ("?since=2099-01-01T00:00:00Z", &[]),
        ("?since=2020-01-01T00:00:00%2B01:00", &["4", "3", "2", "1"]),
    ] {
        assert_eq!(found(&scene, query).await, documents, "{query}");
    }
    for query in ["?stat=approved", "?state=paid", "?since=yesterday", "?limit=0", "?limit=1001", "?limit=x"] {
        check(&admin(&scene, &format!("/api/v1/payments{query}")).await, 400, "error", "malformed");
    }
    for path in ["/api/v1/payments/0199f1f4-6d2e-7d5b-9d39-0c5d5a1c4b11", "/api/v1/payments/x", "/api/v1/nothing", "/x"]
    {
        check(&admin(&scene, path).await, 404, "error", "not-found");
    }
    scene.end().await;
}

#[tokio::test]
async fn one_payment_is_told_with_its_history() {
    let scene = Scene::open(|folder| {
        one_register(scripted(quick(folder, "counter"), "approve, approve-less"))
            .terminal_lines("counter", "receipts = \"router\"\naccept_partial = true")
    })
    .await;
    let reply = scene.send(sale("25.90", "4711")).await;
    check_paid(&reply, false);
    let payment = scene.payment(reply.payment().unwrap()).await;
    for (key, value) in reply.body["payment"].as_object().unwrap() {
        assert_eq!(&payment[key], value, "the answer and the API name the same {key}");
    }
    let transitions = payment["transitions"].as_array().unwrap();
    let told = |key: &str| transitions.iter().map(|row| row[key].clone()).collect::<Vec<Value>>();
    assert_eq!(told("state"), ["received", "dispatched", "approved"]);
    assert_eq!(told("actor"), ["webhook", "webhook", "driver"]);
    assert_eq!(told("number"), [1, 2, 3]);
    assert!(told("time").is_sorted_by_key(|time| time.as_str().unwrap().to_owned()), "{transitions:?}");
    let receipts = payment["receipts"].as_array().unwrap();
    assert!(!receipts.is_empty());
    for receipt in receipts {
        assert_eq!(receipt["kind"], "customer");
        assert!(receipt["text"].as_str().unwrap().contains("25.90 EUR"), "{receipts:?}");
    }
    assert_eq!(payment["incidents"].as_array().unwrap().len(), 0);

    let partial = scene.send(sale("25.90", "4712")).await;
    check(&partial, 409, "error", "partial-approval");
    let payment = scene.payment(partial.payment().unwrap()).await;
    assert_eq!(payment["incidents"].as_array().unwrap().len(), 1);
    assert_eq!(metric(&scene, "tillswitch_incidents_total{terminal=\"counter\"}").await, 1.0);
    scene.end().await;
}

const TOKEN: &str = "token-4c1b-of-whoever-runs-it";

/// A configuration whose `[admin]` has a token and a further name.
async fn guarded() -> Scene {
    let lines = format!("token = {TOKEN:?}\nhosts = [\"till.example\"]");
    Scene::open(|folder| one_register(quick(folder, "counter")).admin_lines(&lines)).await
}

#[tokio::test]
async fn a_token_guards_everything_but_health() {
    let scene = guarded().await;
    let bearer = format!("Bearer {TOKEN}");
    for path in ["/metrics", "/api/v1/payments", "/api/v1/payments/x", "/x"] {
        for wrong in ["", "Bearer ", "Bearer x", TOKEN, &bearer[..bearer.len() - 1], &format!("{bearer}x")] {
            check(&ask(&scene, path, &[(AUTHORIZATION, wrong)]).await, 401, "error", "unauthorized");
        }
        check(&admin(&scene, path).await, 401, "error", "unauthorized");
        assert_ne!(ask(&scene, path, &[(AUTHORIZATION, &bearer)]).await.status, 401, "{path}");
    }
    assert_eq!(ask(&scene, "/metrics", &[(AUTHORIZATION, &bearer)]).await.status, 200);
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(admin(&scene, path).await.status, 200, "{path}");
    }
    scene.end().await;
}

#[tokio::test]
async fn only_names_of_our_own_are_answered() {
    let scene = guarded().await;
    let bearer = format!("Bearer {TOKEN}");
    for (host, status) in [
        ("evil.example", 421),
        ("evil.example:80", 421),
        ("till.example.evil.example", 421),
        ("localhost.evil.example", 421),
        ("till.example", 200),
        ("TILL.example:5001", 200),
        ("localhost:5001", 200),
        ("127.0.0.1", 200),
        ("[::1]:5001", 200),
    ] {
        let reply = ask(&scene, "/metrics", &[(AUTHORIZATION, &bearer), (HOST, host)]).await;
        assert_eq!(reply.status, status, "{host}: {}", reply.text);
    }
    scene.end().await;
}
