//! Do the figures say what happened, and does Prometheus read them?

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tillswitch::shop::{Plan, Sale, get};
use tillswitch_http::simulator::{SimulatorOptions, parse_script};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::*;

/// Which programs a machine has to have, by name, separated by commas.
const REQUIRE: &str = "TILLSWITCH_REQUIRE";

/// The text that Prometheus reads.
async fn scrape(scene: &Scene) -> String {
    let reply = get(scene.app.admin, "/metrics").await.unwrap();
    assert_eq!(reply.status, 200);
    reply.text
}

/// The value of a series, by its name with all labels as they are written.
#[track_caller]
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in\n{text}")).parse().unwrap()
}

/// POS-01 at ZVT; POS-02 at an HTTP terminal that leaves its first payment in doubt.
fn shop(folder: &Path) -> Plan {
    let mut bar = SimulatorOptions::new(folder.join("bar.jsonl"));
    bar.script = parse_script("cut-after-booking").unwrap();
    let counter = scripted(quick(folder, "counter"), "approve, decline, refuse");
    one_register(counter).http("bar", bar).register("POS-02", PROJECT_2, "bar")
}

#[tokio::test]
async fn every_part_of_a_payment_shows() {
    let scene = Scene::open(shop).await;
    for document in ["1", "2", "3"] {
        scene.send(sale("25.90", document)).await;
    }
    scene.send(Sale::new(PROJECT_2, "25.90", "4")).await;
    let text = scrape(&scene).await;
    for stage in ["verify", "route", "journal", "dispatch", "reply"] {
        let series = format!("tillswitch_router_overhead_seconds_count{{stage=\"{stage}\"}}");
        assert_eq!(value(&text, &series), 4.0, "{stage}");
    }
    for (series, expected) in [
        ("tillswitch_webhook_ack_duration_seconds_count{source=\"xentral\"}", 4.0),
        ("tillswitch_webhook_requests_total{source=\"xentral\",status_class=\"2xx\"}", 1.0),
        ("tillswitch_journal_records", 4.0),
        ("tillswitch_journal_read_only", 0.0),
        ("tillswitch_queue_capacity{queue=\"terminal\",terminal=\"counter\"}", 2.0),
        ("tillswitch_queue_capacity{queue=\"journal\",terminal=\"\"}", 1024.0),
        ("tillswitch_terminal_up{terminal=\"counter\",driver=\"zvt-tcp\"}", 1.0),
        ("tillswitch_link_errors_total{terminal=\"bar\",kind=\"link_lost\"}", 1.0),
        ("tillswitch_link_connects_total{terminal=\"counter\"}", 1.0),
        ("tillswitch_link_connects_total{terminal=\"bar\"}", 1.0),
        ("tillswitch_link_retransmissions_total{terminal=\"counter\"}", 0.0),
        ("tillswitch_protocol_response_seconds_count{terminal=\"bar\"}", 0.0),
        ("tillswitch_payments_in_doubt{register=\"POS-02\",terminal=\"bar\"}", 1.0),
        ("tillswitch_config_last_reload_successful", 1.0),
        ("tillswitch_recovery_records_total{result=\"in_doubt\"}", 0.0),
    ] {
        assert_eq!(value(&text, series), expected, "{series}");
    }
    let declines: f64 = text
        .lines()
        .filter(|line| line.starts_with("tillswitch_declines_total{terminal=\"counter\""))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum();
    assert_eq!(declines, 1.0);
    // Three payments, and what is asked on a new connection before the first.
    assert!(value(&text, "tillswitch_protocol_response_seconds_count{terminal=\"counter\"}") >= 6.0);
    assert!(value(&text, "tillswitch_journal_append_seconds_count") >= 8.0);
    assert!(value(&text, "tillswitch_journal_fsync_seconds_count") >= 8.0);
    assert!(value(&text, "tillswitch_in_doubt_oldest_timestamp_seconds") > 1e9);
    assert!(value(&text, "tillswitch_terminal_last_seen_timestamp_seconds{terminal=\"counter\"}") > 1e9);
    until("the journal's file is measured", async || value(&scrape(&scene).await, "tillswitch_journal_bytes") > 0.0)
        .await;
    assert!(value(&scrape(&scene).await, "tillswitch_journal_free_bytes") > 0.0);
    scene.end().await;
}

#[tokio::test]
async fn a_restart_counts_what_it_finds() {
    let scene = Scene::open(shop).await;
    check_paid(&scene.send(sale("25.90", "1")).await, false);
    scene.send(Sale::new(PROJECT_2, "25.90", "2")).await;
    let scene = scene.restart().await;
    let text = scrape(&scene).await;
    assert_eq!(value(&text, "tillswitch_journal_records"), 2.0);
    assert_eq!(value(&text, "tillswitch_payments_in_doubt{register=\"POS-02\",terminal=\"bar\"}"), 1.0);
    assert!(value(&text, "tillswitch_recovery_duration_seconds") > 0.0);
    scene.end().await;
}

#[tokio::test]
async fn connections_and_what_no_route_sees_are_counted() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    let resting = TcpStream::connect(scene.app.public).await.unwrap();
    let connections = "tillswitch_http_connections{listener=\"public\"}";
    until("the client is counted", async || value(&scrape(&scene).await, connections) == 1.0).await;
    drop(resting);
    until("the client is gone", async || value(&scrape(&scene).await, connections) == 0.0).await;
    let mut large = TcpStream::connect(scene.app.public).await.unwrap();
    large
        .write_all(b"POST /webhook/pos-payment HTTP/1.1\r\nHost: till\r\nContent-Length: 1000000\r\n\r\n")
        .await
        .unwrap();
    let rejected = "tillswitch_webhook_rejected_total{reason=\"too_large\"}";
    until("the large one is counted", async || value(&scrape(&scene).await, rejected) == 1.0).await;
    let text = scrape(&scene).await;
    assert_eq!(value(&text, "tillswitch_webhook_requests_total{source=\"xentral\",status_class=\"4xx\"}"), 1.0);
    scene.end().await;
}

#[tokio::test]
async fn prometheus_has_nothing_to_complain_about() {
    let scene = Scene::open(shop).await;
    check_paid(&scene.send(sale("25.90", "1")).await, false);
    scene.send(sale("25.90", "2")).await;
    let text = scrape(&scene).await;
    scene.end().await;
    match tokio::task::spawn_blocking(move || promtool(&text)).await.unwrap() {
        Some(output) => {
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert!(output.status.success() && said.trim().is_empty(), "promtool: {}\n{said}", output.status);
        }
        None => eprintln!("left out: promtool is not installed (Debian: apt-get install prometheus)"),
    }
}

/// What promtool says about metrics; `None` when it is not there and need not be.
fn promtool(text: &str) -> Option<Output> {
    let program = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut program = match program {
        Ok(program) => program,
        Err(error) => {
            let required = std::env::var(REQUIRE).unwrap_or_default();
            assert!(!required.split(',').any(|name| name.trim() == "prometheus"), "promtool does not start: {error}");
            return None;
        }
    };
    program.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    Some(program.wait_with_output().unwrap())
}

#[tokio::test]
async fn a_read_is_quick_and_small() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    let start = std::time::Instant::now();
    let text = scrape(&scene).await;
    assert!(text.len() < 200_000, "{} bytes", text.len());
    // 50 ms are promised; a busy machine that tests other things at the same time gets more.
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    scene.end().await;
}
