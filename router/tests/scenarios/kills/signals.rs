//! How does the program itself end: when it is asked to, when another one runs, when its journal is no journal?

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tillswitch::shop::Sale;
use tokio::task::spawn_blocking;

use super::child::terminate;
use super::shop::Shop;
use crate::harness::{PROJECT, check, one_register, quick, send, slow, until};

fn serve(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tillswitch"));
    command.arg("serve").arg("--config").arg(config).env("TILLSWITCH_LOG", "info");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Runs the program to its end.
async fn ended(config: &Path) -> (Option<i32>, String) {
    let mut command = serve(config);
    let Output { status, stderr, .. } = spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

/// Starts the program, and reads where it listens from its log.
async fn started(config: &Path) -> (Child, SocketAddr) {
    let mut process = serve(config).spawn().unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap());
    let address = spawn_blocking(move || {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended before it was ready");
            let entry: Value = serde_json::from_str(&line).unwrap_or_default();
            if entry["message"] == "ready" {
                // What follows has to go somewhere, or the program stands still one day.
                std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
                return entry["public"].as_str().unwrap().parse().unwrap();
            }
        }
    });
    (process, address.await.unwrap())
}

#[tokio::test]
async fn a_second_router_on_the_same_state_is_told_who_holds_it() {
    let shop = Shop::open(|folder| one_register(quick(folder, "counter"))).await;
    let router = shop.start(None).await;
    let (code, said) = ended(shop.config()).await;
    assert_eq!(code, Some(75), "{said}");
    assert!(said.contains(&format!("process {}", router.id())), "{said}");
    assert!(said.contains(&shop.state_dir().display().to_string()), "{said}");
    shop.pay_first().await;
    shop.close(router).await;
}

#[tokio::test]
async fn the_end_is_waited_for_when_it_is_asked_to_stop() {
    let shop = Shop::open(|folder| one_register(slow(folder, "counter", Duration::from_millis(1000)))).await;
    let (process, address) = started(shop.config()).await;
    shop.till.moved(address);
    let sale = Sale::new(PROJECT, "25.90", "running");
    let answer = shop.send_in_vain(&sale);
    until("the card is asked for", async || shop.terminal().is_busy()).await;
    terminate(&process);
    check(&answer.await.unwrap().expect("the till gets its answer"), 200, "success", "");
    let mut process = process;
    let status = spawn_blocking(move || process.wait().unwrap()).await.unwrap();
    assert_eq!(status.code(), Some(0));
    let commands = shop.terminal().commands();
    assert_eq!(commands.last().map(String::as_str), Some("06 02"), "it logs off: {commands:?}");
    let router = shop.start(None).await;
    let again = send(&shop.till, &sale).await;
    check(&again, 200, "success", "");
    assert!(again.is_replayed());
    shop.close(router).await;
}

/// Writes over the middle of a file.
fn damage(file: &Path, from: usize, length: usize) {
    let mut bytes = std::fs::read(file).unwrap();
    let end = (from + length).min(bytes.len());
    bytes[from..end].fill(0xA5);
    std::fs::write(file, bytes).unwrap();
}

/// A journal with a payment in it, left by a router that has ended.
async fn with_a_journal() -> Shop {
    let shop = Shop::open(|folder| one_register(quick(folder, "counter"))).await;
    let router = shop.start(None).await;
    shop.pay_first().await;
    assert!(router.stop().await.success());
    shop
}

async fn is_damaged(shop: &Shop) {
    let (code, said) = ended(shop.config()).await;
    assert_eq!(code, Some(65), "{said}");
    assert!(said.contains("damaged"), "{said}");
}

#[tokio::test]
async fn a_journal_with_a_damaged_head_stops_the_start() {
    let shop = with_a_journal().await;
    damage(&shop.state_dir().join("payments.db"), 0, 100);
    is_damaged(&shop).await;
}

#[tokio::test]
async fn a_journal_with_a_damaged_middle_stops_the_start() {
    let shop = with_a_journal().await;
    damage(&shop.state_dir().join("payments.db"), 4096, 8192);
    is_damaged(&shop).await;
}

#[tokio::test]
async fn a_file_that_is_no_journal_stops_the_start() {
    let shop = with_a_journal().await;
    std::fs::write(shop.state_dir().join("payments.db"), "these are no payments\n".repeat(1000)).unwrap();
    is_damaged(&shop).await;
}
