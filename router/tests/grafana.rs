//! Do dashboards, alerts and runbook of `examples/grafana` fit what the program says, and can their checks fail?
//!
//! Grafana itself is not here: its JSON is checked by structure, and by asking a real Prometheus everything it would ask.

// Clippy takes the functions that tests share for something else than tests.
#![allow(clippy::unwrap_used, missing_docs)]

mod grafana_support;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use grafana_support::prometheus::Prometheus;
use grafana_support::questions::{Question, boards, of_annotations, of_panels, of_variables, selectors};
use grafana_support::shop::{Watched, drivers, exposition, ten_registers};
use grafana_support::tools::{Tool, are_here, folder, promtool, said, script};
use serde_json::Value;
use tillswitch::config::Config;
use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_dashboards_are_what_their_description_says() {
    if are_here(&[Tool::Python], "the JSON of the dashboards was not compared with their description") {
        script("dashboards.py", &["--check".as_ref()]);
    }
}

#[test]
fn the_linter_would_see_every_fault_that_it_looks_for() {
    if are_here(&[Tool::Python], "dashboards and alerts were not linted") {
        script("lint.py", &["--show-that-it-can-fail".as_ref()]);
        script("lint.py", &[]);
    }
}

#[test]
fn every_alert_fires_in_one_test_and_is_silent_in_another() {
    if are_here(&[Tool::Prometheus], "the rules were not tested") {
        promtool(&["check", "rules", "recording.yml", "alerts.yml"]);
        promtool(&["test", "rules", "alerts_test.yml", "alerts_slow_test.yml"]);
    }
}

#[test]
fn a_broken_alert_makes_its_tests_fail() {
    if are_here(&[Tool::Prometheus, Tool::Python], "the tests of the alerts were not shown to be able to fail") {
        script("mutants.py", &[]);
    }
}

/// Docker is not here either: what the demonstration is configured with is read by the program itself.
#[test]
fn the_demonstration_is_configured_with_what_the_program_knows() {
    let here = tempfile::tempdir().unwrap();
    let token = here.path().join("token");
    std::fs::write(&token, "a token").unwrap();
    let text = std::fs::read_to_string(folder().join("tillswitch.toml")).unwrap();
    let text = text.replace("/run/tillswitch/token", token.to_str().unwrap());
    let file = here.path().join("tillswitch.toml");
    std::fs::write(&file, text).unwrap();
    let config = Config::load(&file, &drivers()).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!((config.terminals.len(), config.registers.len()), (2, 3));

    let compose = std::fs::read_to_string(folder().join("compose.yaml")).unwrap();
    let scripts: Vec<&str> = compose.split("printf ").skip(1).map(|rest| rest.split(",;").next().unwrap()).collect();
    assert_eq!(scripts.len(), 2);
    tillswitch_zvt::simulator::Step::parse_script(scripts[0]).unwrap();
    tillswitch_http::simulator::parse_script(scripts[1]).unwrap();
}

#[tokio::test]
async fn ten_registers_make_few_series_and_a_small_answer() {
    let folder = tempfile::tempdir().unwrap();
    let shop = ten_registers(folder.path()).await;
    let (mut text, mut quickest) = (String::new(), Duration::MAX);
    // The quickest of several tells about the router, the others about what else this machine does.
    for _ in 0..10 {
        let begun = Instant::now();
        text = exposition(shop.app.admin, None).await;
        quickest = quickest.min(begun.elapsed());
    }
    let series = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count();
    assert!(series <= 2000, "{series} series");
    assert!(text.len() <= 200_000, "{} bytes", text.len());
    assert!(quickest < Duration::from_millis(50), "{quickest:?}");
    assert!(!text.lines().any(|line| line.ends_with(" summary")), "a histogram without buckets is a summary");
    println!("{series} series, {} bytes, {quickest:?}", text.len());
    shop.close().await;
}

#[tokio::test]
async fn a_real_prometheus_answers_every_question_of_dashboards_and_rules() {
    let what = "no question of the dashboards was asked";
    if !are_here(&[Tool::Prometheus, Tool::Python], what) {
        return;
    }
    let watched = Watched::open().await;
    let token = watched.folder.path().join("token");
    let prometheus = Prometheus::start(watched.shop.app.admin, &token, watched.folder.path());
    scraped(&prometheus, 5).await;
    nothing_is_nan(&prometheus).await;

    watched.do_business().await;
    until_resolved(&watched).await;
    scraped(&prometheus, 6).await;
    for board in boards() {
        panels_answer(&prometheus, &board).await;
        variables_answer(&prometheus, &board).await;
        for question in of_annotations(&board) {
            selectors_answer(&prometheus, &question.whose, &question.expr).await;
        }
    }
    nothing_is_nan(&prometheus).await;
    rules_answer(&prometheus).await;
    every_metric_is_used(&watched).await;
    pictures_are_drawn(&prometheus, &watched);
    watched.shop.close().await;
}

/// Waits until so many more scrapes succeeded and the rules were evaluated.
async fn scraped(prometheus: &Prometheus, more: u32) {
    let ready = format!(
        "count_over_time(up{{job=\"tillswitch\"}}[{more}s]) >= {more} and on () sum_over_time(up[{more}s]) >= {more}"
    );
    sleep(Duration::from_secs(more.into())).await;
    let deadline = Instant::now() + PATIENCE;
    while prometheus.ask(&ready).await.is_empty() {
        assert!(
            Instant::now() < deadline,
            "Prometheus does not read the router: {}",
            prometheus.get("/api/v1/targets").await
        );
        sleep(Duration::from_millis(200)).await;
    }
}

/// The payment whose link broke is found out about; the one at the terminal that cannot be asked stays in doubt.
async fn until_resolved(watched: &Watched) {
    let deadline = Instant::now() + PATIENCE;
    while in_doubt(&watched.exposition().await) != 1 {
        assert!(Instant::now() < deadline, "not resolved: {}", watched.exposition().await);
        sleep(Duration::from_millis(50)).await;
    }
}

fn in_doubt(exposition: &str) -> u32 {
    let lines = exposition.lines().filter(|line| line.starts_with("tillswitch_payments_in_doubt{"));
    lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap() as u32).sum()
}

async fn nothing_is_nan(prometheus: &Prometheus) {
    for question in boards().iter().flat_map(of_panels) {
        for series in answer(prometheus, &question).await {
            assert!(!series.to_string().contains("\"NaN\""), "{}: {} gives {series}", question.whose, question.expr);
        }
    }
}

async fn answer(prometheus: &Prometheus, question: &Question) -> Vec<Value> {
    match question.instant {
        true => prometheus.ask(&question.expr).await,
        false => prometheus.ask_range(&question.expr).await,
    }
}

async fn panels_answer(prometheus: &Prometheus, board: &Value) {
    let questions = of_panels(board);
    assert!(questions.len() >= 8, "the panels were not found");
    for question in questions {
        let series = answer(prometheus, &question).await;
        assert!(!series.is_empty(), "{}: {} has no answer", question.whose, question.expr);
        selectors_answer(prometheus, &question.whose, &question.expr).await;
    }
}

async fn variables_answer(prometheus: &Prometheus, board: &Value) {
    for choice in of_variables(board) {
        assert!(!prometheus.label_values(&choice.selector, &choice.label).await.is_empty(), "{choice:?} has no values");
    }
}

/// Each selector alone: an `or`, a comparison or a sum hides nothing.
async fn selectors_answer(prometheus: &Prometheus, whose: &str, expr: &str) {
    let selectors = selectors(expr);
    for selector in &selectors {
        assert!(!prometheus.ask(selector).await.is_empty(), "{whose}: {selector} has no series");
    }
    assert!(!selectors.is_empty() || expr.contains("hour()"), "{whose}: {expr} reads nothing");
}

async fn rules_answer(prometheus: &Prometheus) {
    let groups = prometheus.get("/api/v1/rules").await;
    let rules: Vec<&Value> =
        groups["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert!(rules.len() > 30, "the rules were not loaded: {groups}");
    for rule in &rules {
        let (name, expr) = (rule["name"].as_str().unwrap(), rule["query"].as_str().unwrap());
        assert_eq!((rule["health"].as_str(), rule["lastError"].as_str()), (Some("ok"), None), "{name}");
        selectors_answer(prometheus, name, expr).await;
        let series = prometheus.ask(expr).await;
        assert!(rule["type"] == "alerting" || !series.is_empty(), "{name} records nothing");
        assert!(series.iter().all(|one| one["value"][1] != "NaN"), "{name} records NaN: {series:?}");
    }
    let waiting = |name: &str| rules.iter().any(|rule| rule["name"] == name && rule["state"] != "inactive");
    assert!(
        waiting("PaymentInDoubt") && waiting("UnknownPaymentEvent"),
        "what happened in the shop alarms nobody: {groups}"
    );
    assert!(!waiting("RouterDown") && !waiting("RouterMissing"));
}

/// The linter compares with /metrics: filters fit labels, and no metric is forgotten. promtool reads it as well.
async fn every_metric_is_used(watched: &Watched) {
    let file = watched.folder.path().join("metrics.txt");
    std::fs::write(&file, watched.exposition().await).unwrap();
    script("lint.py", &["--metrics".as_ref(), file.as_os_str()]);
    let input = Stdio::from(std::fs::File::open(&file).unwrap());
    said(std::process::Command::new("promtool").args(["check", "metrics"]).stdin(input), "promtool check metrics");
}

fn pictures_are_drawn(prometheus: &Prometheus, watched: &Watched) {
    let address = format!("http://{}", prometheus.address);
    let arguments = ["--prometheus", &address, "--last", "60", "--scrape", "1", "--out"].map(OsStr::new);
    script("pictures.py", &[&arguments[..], &[watched.folder.path().as_os_str()]].concat());
    let drawn: BTreeSet<_> = ["payments", "payments-first-rows", "shop-today"]
        .map(|name| watched.folder.path().join(format!("{name}.svg")))
        .into();
    for picture in drawn {
        let text = std::fs::read_to_string(&picture).unwrap();
        assert!(text.starts_with("<svg") && text.ends_with("</svg>\n") && !text.contains("NaN"), "{picture:?}");
    }
    assert!(folder().join("pictures").is_dir(), "the pictures of a longer day are checked in");
}
