//! Does the running router keep what `openapi.json` says, whatever it is asked, and never fail with 500?
#![allow(clippy::unwrap_used)] // a panic is the report of a test

mod required;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use required::{is_here, root, said};
use tempfile::TempDir;
use tillswitch::shop::{Plan, Sale, Shop};
use tillswitch_core::DriverRegistry;
use tillswitch_http::HttpFactory;
use tillswitch_http::simulator::SimulatorOptions;
use tillswitch_zvt::simulator::Options;
use tillswitch_zvt::{Timing, ZvtTcpFactory};

const TOKEN: &str = "the-token-of-whoever-tries";

/// Schemathesis: `TILLSWITCH_SCHEMATHESIS`, or the one that the check installs below `target`.
fn program() -> PathBuf {
    let made = root().join("target/openapi-venv/bin/schemathesis");
    std::env::var_os("TILLSWITCH_SCHEMATHESIS").map_or(made, PathBuf::from)
}

async fn shop(folder: &Path) -> Shop {
    let mut drivers = DriverRegistry::new();
    drivers.register(HttpFactory);
    drivers.register(ZvtTcpFactory { timing: Timing::fast() });
    let plan = Plan::new()
        .zvt("counter", Options::fast(folder.join("counter.jsonl")))
        .http("kiosk", SimulatorOptions::new(folder.join("kiosk.jsonl")))
        .register("POS-01", "1", "counter")
        .register("POS-02", "2", "kiosk")
        .admin_lines(&format!("token = {TOKEN:?}"));
    Shop::open(plan, folder, drivers).await.unwrap_or_else(|why| panic!("{why}"))
}

/// What it is told of the shop, so that it asks for what there is as well as for what there is not. A terminal that does not
/// answer is no failure of the router (502 to 504); everything else from 500 on is.
fn settings(payment: &str) -> String {
    format!(
        "[checks.not_a_server_error]\nexpected-statuses = [\"2xx\", \"3xx\", \"4xx\", 502, 503, 504]\n\n\
         [parameters]\nid = {payment:?}\nname = \"counter\"\n"
    )
}

fn run(shop: &Shop, folder: &Path, settings: &str) -> String {
    let file = folder.join("schemathesis.toml");
    fs::write(&file, settings).unwrap();
    let document = format!("http://{}/api/v1/openapi.json", shop.app.admin);
    let mut run = Command::new(program());
    // No report and no examples of an earlier run: the same seed asks the same.
    run.current_dir(folder).arg("--config-file").arg(file).args(["run", &document, "--no-color"]);
    run.args(["--header", &format!("Authorization: Bearer {TOKEN}")]);
    run.args([
        "--exclude-path",
        "/api/v1/events",
        "--phases",
        "coverage,fuzzing",
        "--max-examples",
        "5",
        "--seed",
        "1",
    ]);
    run.args(["--generation-database", "none", "--max-time", "45", "--request-timeout", "20"]);
    let form = "status_code_conformance,content_type_conformance,response_schema_conformance";
    run.args(["--checks", &format!("not_a_server_error,ignored_auth,{form}")]);
    said(&mut run)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_asked_ends_in_500_or_in_another_form_than_promised() {
    if !is_here("schemathesis", program(), &["--version"], "whether the admin API keeps to openapi.json") {
        return;
    }
    let folder: TempDir = tempfile::tempdir().unwrap();
    let shop = shop(folder.path()).await;
    let sold = shop.till.send(&Sale::new("1", "25.90", "4711")).await.unwrap();
    assert_eq!(sold.status, 200, "{}", sold.text);
    let sold: serde_json::Value = serde_json::from_str(&sold.text).unwrap();
    let settings = settings(sold["payment"]["id"].as_str().unwrap());
    let report = tokio::task::block_in_place(|| run(&shop, folder.path(), &settings));
    assert!(report.contains(" generated, ") && report.contains(" passed"), "{report}");
}
