//! What is found after a kill at each step of a payment, at terminals that reverse what was not acknowledged and others?

use std::path::Path;
use std::time::Duration;

use tillswitch::shop::{Plan, Sale};
use tillswitch_zvt::simulator::Options;

use super::child::Router;
use super::held::{DOCUMENT, Hold};
use super::shop::{Shop, held_sale, receipts, settled};
use crate::harness::{check, one_register, quick, send, until};
use crate::serial::{on_a_line, one_serial_register};

/// A terminal that is patient while its acknowledgement is held back, and that leaves slips to the router.
fn plan(folder: &Path, auto_reverse: bool) -> Plan {
    let mut options = Options { auto_reverse, ..quick(folder, "counter") };
    options.timing.issue_of_goods = Duration::from_secs(20);
    options.timing.answer = Duration::from_secs(20);
    one_register(options).terminal_lines("counter", "receipts = \"router\"")
}

/// Kills the router behind a step of its journal.
async fn killed_behind(hold: Hold, auto_reverse: bool, stands: bool) {
    killed_in(Shop::open(|folder| plan(folder, auto_reverse)).await, hold, stands).await;
}

async fn killed_in(shop: Shop, hold: Hold, stands: bool) {
    let mut router = shop.start(Some(hold)).await;
    shop.pay_first().await;
    let sale = held_sale();
    let unanswered = shop.send_in_vain(&sale);
    router.until_held().await;
    router.kill();
    assert!(unanswered.await.unwrap().is_none(), "nobody was told anything");
    finds_the_truth(shop, &sale, stands).await;
}

/// The terminal comes to its end, the router starts again, and everybody hears what the terminal has.
async fn finds_the_truth(shop: Shop, sale: &Sale, stands: bool) {
    let router = shop.start(None).await;
    let payment = settled(&router, DOCUMENT).await;
    until("the terminal is done", async || !shop.terminal().is_busy()).await;
    let booked = receipts(shop.terminal());
    assert_eq!(booked.len(), usize::from(stands), "{:?}", shop.terminal().ledger());
    assert_eq!(payment["state"], if stands { "approved" } else { "failed" }, "{payment}");
    check_redelivery(&shop, sale, booked.first()).await;
    shop.pay_next().await;
    shop.close(router).await;
}

/// The same webhook once more gets the truth, and starts nothing.
async fn check_redelivery(shop: &Shop, sale: &Sale, booked: Option<&String>) {
    let commands = shop.terminal().money_commands();
    let again = send(&shop.till, sale).await;
    match booked {
        Some(receipt) => {
            check(&again, 200, "success", "");
            assert_eq!(again.body["payment"]["result"]["receipt_number"], receipt.as_str(), "{}", again.text);
        }
        None => check(&again, 502, "error", "terminal-unreachable"),
    }
    assert!(again.is_replayed());
    assert_eq!(shop.terminal().money_commands(), commands);
}

/// Kills the router while the customer holds the card. It stays away until the terminal is done, or comes back at once.
async fn killed_at_the_card(auto_reverse: bool, away: bool) {
    let shop = Shop::open(|folder| {
        let mut options = Options { auto_reverse, ..quick(folder, "counter") };
        options.timing.card = Duration::from_millis(1000);
        one_register(options)
    })
    .await;
    let router = shop.start(None).await;
    shop.pay_first().await;
    let sale = held_sale();
    let unanswered = shop.send_in_vain(&sale);
    until("the card is asked for", async || shop.terminal().is_busy()).await;
    router.kill();
    assert!(shop.terminal().is_busy() && receipts(shop.terminal()).is_empty(), "the kill came too late");
    assert!(unanswered.await.unwrap().is_none());
    if away {
        until("the terminal is done", async || !shop.terminal().is_busy()).await;
    }
    finds_the_truth(shop, &sale, !auto_reverse).await;
}

#[tokio::test]
async fn while_the_card_is_read_at_a_terminal_that_reverses() {
    killed_at_the_card(true, true).await;
}

#[tokio::test]
async fn while_the_card_is_read_at_a_terminal_that_keeps_the_booking() {
    killed_at_the_card(false, true).await;
}

/// Busy is no answer about the money, so it is asked again.
#[tokio::test]
async fn while_the_card_is_read_at_a_terminal_that_is_still_at_it_when_it_is_asked() {
    killed_at_the_card(false, false).await;
}

/// Nothing is known of the terminal before, so nothing can be compared: a person looks, and the terminal is free.
#[tokio::test]
async fn before_anything_is_remembered() {
    let shop = Shop::open(|folder| plan(folder, false)).await;
    let mut router = shop.start(Some(Hold::Begun)).await;
    shop.pay_first().await;
    let sale = held_sale();
    let unanswered = shop.send_in_vain(&sale);
    router.until_held().await;
    router.kill();
    assert!(unanswered.await.unwrap().is_none());
    let router = shop.start(None).await;
    let payment = settled(&router, DOCUMENT).await;
    assert_eq!((&payment["state"], &payment["waits_for_person"]), (&"in_doubt".into(), &true.into()), "{payment}");
    assert!(receipts(shop.terminal()).is_empty());
    check(&send(&shop.till, &sale).await, 504, "in_doubt", "in-doubt");
    shop.pay_next().await;
    shop.close(router).await;
}

#[tokio::test]
async fn before_anything_is_sent() {
    killed_behind(Hold::Remembered, false, false).await;
}

#[tokio::test]
async fn between_recording_and_acknowledging_at_a_terminal_that_reverses() {
    killed_behind(Hold::Recorded, true, false).await;
}

#[tokio::test]
async fn between_recording_and_acknowledging_at_a_terminal_that_keeps_the_booking() {
    killed_behind(Hold::Recorded, false, true).await;
}

#[tokio::test]
async fn after_the_acknowledgement_at_a_terminal_that_reverses() {
    killed_behind(Hold::Slip, true, true).await;
}

#[tokio::test]
async fn after_the_acknowledgement_at_a_terminal_that_keeps_the_booking() {
    killed_behind(Hold::Slip, false, true).await;
}

#[tokio::test]
async fn after_the_approval_before_the_answer_at_a_terminal_that_reverses() {
    killed_behind(Hold::Finished, true, true).await;
}

#[tokio::test]
async fn after_the_approval_before_the_answer_at_a_terminal_that_keeps_the_booking() {
    killed_behind(Hold::Finished, false, true).await;
}

/// The same at the end of a serial line.
async fn killed_on_a_serial_line(hold: Hold, auto_reverse: bool, stands: bool) {
    let plan = |folder: &Path| {
        let mut options = Options { auto_reverse, ..on_a_line(folder, "counter") };
        options.timing.issue_of_goods = Duration::from_secs(20);
        options.timing.answer = Duration::from_secs(20);
        one_serial_register(options).terminal_lines("counter", "receipts = \"router\"")
    };
    killed_in(Shop::open(plan).await, hold, stands).await;
}

#[tokio::test]
async fn on_a_serial_line_before_anything_is_sent() {
    killed_on_a_serial_line(Hold::Remembered, false, false).await;
}

#[tokio::test]
async fn on_a_serial_line_between_recording_and_acknowledging() {
    killed_on_a_serial_line(Hold::Recorded, true, false).await;
    killed_on_a_serial_line(Hold::Recorded, false, true).await;
}

#[tokio::test]
async fn on_a_serial_line_after_the_acknowledgement() {
    killed_on_a_serial_line(Hold::Slip, true, true).await;
    killed_on_a_serial_line(Hold::Slip, false, true).await;
}

#[tokio::test]
async fn on_a_serial_line_after_the_approval_before_the_answer() {
    killed_on_a_serial_line(Hold::Finished, true, true).await;
}

/// Killed once more in the middle of the start that follows.
#[tokio::test]
async fn during_the_recovery() {
    let shop = Shop::open(|folder| plan(folder, false)).await;
    let mut router = shop.start(Some(Hold::Recorded)).await;
    shop.pay_first().await;
    let sale = held_sale();
    let unanswered = shop.send_in_vain(&sale);
    router.until_held().await;
    router.kill();
    assert!(unanswered.await.unwrap().is_none());
    let mut recovering = Router::launch(shop.config(), Some(Hold::Recovered));
    recovering.until_held().await;
    recovering.kill();
    finds_the_truth(shop, &sale, true).await;
}
