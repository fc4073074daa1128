//! Refunds and reversals: linked, and never more than was approved.

use std::time::Duration;

use serde_json::json;
use tillswitch::shop::Reply;

use super::{check_refused, check_replayed, order, paid, post, start, wish, with};
use crate::harness::*;

async fn refund(scene: &Scene, id: &str, key: &str, amount: Option<&str>) -> Reply {
    let body = amount.map_or(json!({}), |amount| json!({ "amount": amount, "confirm_repeat": true }));
    post(scene, &format!("payments/{id}/refund"), key, body).await
}

async fn refunded(scene: &Scene, id: &str, key: &str, amount: Option<&str>) -> String {
    let reply = refund(scene, id, key, amount).await;
    assert_eq!((reply.status, reply.is_replayed()), (202, false), "{}", reply.text);
    let refund = reply.payment().unwrap().to_owned();
    let payment = scene.until_state(&refund, "approved").await;
    assert_eq!((&payment["operation"], &payment["original"]), (&json!("refund"), &json!(id)));
    refund
}

#[tokio::test]
async fn a_sale_goes_back_once_as_a_whole() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    let sale = paid(&scene, "25.90", "4711").await;
    let back = refunded(&scene, &sale, "key-1", None).await;
    check_replayed(&refund(&scene, &sale, "key-1", None).await, 200, &back);
    check_refused(&refund(&scene, &sale, "key-1", Some("1")).await, "conflicting-repeat", &back);
    check_refused(&refund(&scene, &sale, "key-2", None).await, "over-refund", &sale);
    let by_document = with(wish("25.90", "4711"), "operation", "refund");
    check_refused(&post(&scene, "payments", "key-2", by_document).await, "over-refund", &sale);
    check_refused(&refund(&scene, &sale, "key-3", Some("25.90")).await, "over-refund", &sale);
    check_refused(&refund(&scene, &sale, "key-4", Some("0.01")).await, "over-refund", &sale);
    check_refused(&refund(&scene, &back, "key-5", None).await, "original-not-found", &back);
    let reversal = post(&scene, &format!("payments/{sale}/reverse"), "key-6", json!({})).await;
    check_refused(&reversal, "over-refund", &sale);
    assert_eq!((scene.zvt("counter").money_commands(), scene.payments().await), (2, 2));
    scene.end().await;
}

#[tokio::test]
async fn parts_go_back_up_to_the_whole() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    let sale = paid(&scene, "25.90", "4711").await;
    for (amount, code) in [("25.91", "over-refund"), ("99999", "over-refund")] {
        check_refused(&refund(&scene, &sale, "too-much", Some(amount)).await, code, &sale);
    }
    for amount in ["0", "-1", "1.005", "x", ""] {
        let reply = refund(&scene, &sale, "wrong", Some(amount)).await;
        assert_eq!((reply.status, reply.code()), (400, "bad-amount"), "{amount}: {}", reply.text);
    }
    let first = refunded(&scene, &sale, "part-1", Some("10")).await;
    check_refused(&refund(&scene, &sale, "rest", Some("15.91")).await, "over-refund", &sale);
    let unconfirmed = post(&scene, &format!("payments/{sale}/refund"), "part-2", json!({ "amount": "10.00" })).await;
    check_refused(&unconfirmed, "suspected-repeat", &first);
    refunded(&scene, &sale, "part-2", Some("10.00")).await;
    refunded(&scene, &sale, "part-3", Some("5.90")).await;
    check_refused(&refund(&scene, &sale, "part-4", Some("0.01")).await, "over-refund", &sale);
    assert_eq!(scene.booked("counter"), [2590, 1000, 1000, 590]);
    scene.end().await;
}

#[tokio::test]
async fn refunds_at_the_same_time_never_exceed_the_sale() {
    let scene = Scene::open(|folder| {
        one_register(slow(folder, "counter", Duration::from_millis(20))).terminal_lines("counter", "queue = 20")
    })
    .await;
    let sale = paid(&scene, "25.90", "4711").await;
    // Each another amount, so that none is taken for a second press of another.
    let amounts: Vec<String> = (0..12).map(|cents| format!("6.{cents:02}")).collect();
    let asked = amounts.iter().map(|amount| refund(&scene, &sale, amount, Some(amount)));
    let replies = all(asked).await;
    let begun: Vec<&Reply> = replies.iter().filter(|reply| reply.status == 202).collect();
    assert_eq!(begun.len(), 4, "4 times about 6 of 25.90: {replies:?}");
    replies.iter().filter(|reply| reply.status != 202).for_each(|reply| check_refused(reply, "over-refund", &sale));
    for reply in begun {
        scene.until_state(reply.payment().unwrap(), "approved").await;
    }
    assert_eq!(scene.booked("counter").len(), 5);
    scene.end().await;
}

#[tokio::test]
async fn what_is_no_approved_sale_is_not_undone() {
    let scene = Scene::open(|folder| one_register(scripted(quick(folder, "counter"), "decline"))).await;
    let declined = start(&scene, "payments", "key-1", wish("1", "1")).await;
    scene.until_state(&declined, "declined").await;
    for call in ["refund", "reverse"] {
        let path = format!("payments/{declined}/{call}");
        check_refused(&post(&scene, &path, "key-2", json!({})).await, "original-not-found", &declined);
        check(&order(&scene, &path).await, 400, "error", "no-idempotency-key");
        let unknown = post(&scene, &path, "key-3", json!({ "amuont": "1" })).await;
        check(&unknown, 400, "error", "malformed");
    }
    let whole = post(&scene, &format!("payments/{declined}/reverse"), "key-4", json!({ "amount": "1" })).await;
    check(&whole, 400, "error", "malformed");
    assert_eq!(scene.payments().await, 1);
    scene.end().await;
}

/// A declined refund gives what it had taken of the sale back.
#[tokio::test]
async fn a_declined_refund_counts_for_nothing_and_may_be_tried_again() {
    let scene = Scene::open(|folder| one_register(scripted(quick(folder, "counter"), "approve, decline"))).await;
    let sale = paid(&scene, "25.90", "4711").await;
    let reply = refund(&scene, &sale, "key-1", None).await;
    let declined = reply.payment().unwrap();
    scene.until_state(declined, "declined").await;
    let again = start(&scene, &format!("payments/{declined}/again"), "key-2", json!({})).await;
    let payment = scene.until_state(&again, "approved").await;
    assert_eq!((&payment["original"], &payment["again_of"]), (&json!(sale), &json!(declined)));
    check_refused(&refund(&scene, &sale, "key-3", Some("0.01")).await, "over-refund", &sale);
    scene.end().await;
}

#[tokio::test]
async fn a_reversal_takes_the_booking_back() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    let sale = paid(&scene, "25.90", "4711").await;
    let other = paid(&scene, "3.00", "4712").await;
    let path = format!("payments/{sale}/reverse");
    let reversal = start(&scene, &path, "key-1", json!({})).await;
    let payment = scene.until_state(&reversal, "approved").await;
    assert_eq!((&payment["operation"], &payment["original"]), (&json!("reversal"), &json!(sale)));
    assert_eq!(scene.booked("counter"), [300], "the sale does not stand any more, the other one does");
    check_replayed(&post(&scene, &path, "key-1", json!({})).await, 200, &reversal);
    for body in [json!({}), json!({ "confirm_repeat": true })] {
        check_refused(&post(&scene, &path, "key-2", body).await, "over-refund", &sale);
    }
    check_refused(&refund(&scene, &sale, "key-3", Some("1")).await, "over-refund", &sale);
    check_refused(&refund(&scene, &reversal, "key-4", None).await, "original-not-found", &reversal);
    let part = refunded(&scene, &other, "key-5", Some("1")).await;
    let late = post(&scene, &format!("payments/{other}/reverse"), "key-6", json!({})).await;
    check_refused(&late, "over-refund", &other);
    assert_ne!(part, other);
    scene.end().await;
}

/// An operator's own refund of a document counts as one of its sale.
#[tokio::test]
async fn a_refund_by_document_counts_for_its_sale() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    let sale = paid(&scene, "25.90", "4711").await;
    let by_document = with(wish("20", "4711"), "operation", "refund");
    let first = start(&scene, "payments", "key-1", by_document).await;
    assert_eq!(scene.until_state(&first, "approved").await["original"], sale.as_str());
    check_refused(&refund(&scene, &sale, "key-2", Some("6")).await, "over-refund", &sale);
    refunded(&scene, &sale, "key-3", Some("5.90")).await;
    scene.end().await;
}
