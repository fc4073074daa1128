//! What becomes of a payment that was still waiting for its turn?

use std::time::Duration;

use tillswitch::shop::Sale;
use tillswitch_zvt::simulator::Options;

use super::held::DOCUMENT;
use super::shop::{Shop, held_sale, payments_of, receipts, settled};
use crate::harness::{PROJECT, check, one_register, quick, send, until};

#[tokio::test]
async fn a_payment_in_the_queue_expires_and_may_come_again() {
    let shop = Shop::open(|folder| {
        let mut options = Options { auto_reverse: false, ..quick(folder, "counter") };
        options.timing.card = Duration::from_millis(1000);
        one_register(options)
    })
    .await;
    let router = shop.start(None).await;
    shop.pay_first().await;
    let running = shop.send_in_vain(&held_sale());
    until("the first one is running", async || shop.terminal().is_busy()).await;
    let sale = Sale::new(PROJECT, "4.00", "waiting");
    let waiting = shop.send_in_vain(&sale);
    let is_waiting =
        async || payments_of(&router, "waiting").await.iter().any(|payment| payment["state"] == "received");
    until("the second one is written down", is_waiting).await;
    router.kill();
    assert!(running.await.unwrap().is_none() && waiting.await.unwrap().is_none());

    until("the terminal is done", async || !shop.terminal().is_busy()).await;
    let router = shop.start(None).await;
    assert_eq!(payments_of(&router, "waiting").await[0]["state"], "expired");
    assert_eq!(settled(&router, DOCUMENT).await["state"], "approved");
    assert_eq!(receipts(shop.terminal()).len(), 1);
    assert_eq!(shop.terminal().money_commands(), 2, "the one that waited was never sent");
    until("it may come again", async || send(&shop.till, &sale).await.status != 503).await;
    let again = send(&shop.till, &sale).await;
    check(&again, 200, "success", "");
    let payments = payments_of(&router, "waiting").await;
    let states: Vec<&str> = payments.iter().filter_map(|payment| payment["state"].as_str()).collect();
    assert_eq!(states, ["approved", "expired"], "a new payment, once");
    shop.close(router).await;
}
