//! Does the history say who moved or settled money, from where, and why?

use std::time::Duration;

use serde_json::{Value, json};

use super::puppet::Hand;
use super::{paid, post, start, until_payments, wish, with};
use crate::harness::*;

/// The evidence of a payment's last transition, or of its first one.
async fn evidence(scene: &Scene, id: &str, state: &str) -> String {
    let payment = scene.until_state(id, state).await;
    let rows = payment["transitions"].as_array().unwrap();
    let of_people = |row: &&Value| row["evidence"].as_str().unwrap().contains("ann");
    rows.iter().rev().find(of_people).unwrap_or_else(|| panic!("{payment:#}"))["evidence"].as_str().unwrap().to_owned()
}

const WHY: &str = "the slip was torn";

fn why() -> Value {
    json!({ "reason": WHY })
}

#[tokio::test]
async fn who_moves_money_is_told_with_address_and_reason() {
    let scene = Scene::open(|folder| {
        one_register(scripted(
            quick(folder, "counter"),
            "approve, approve, approve, approve, approve, decline, approve",
        ))
    })
    .await;
    let expected = format!("asked for by ann from 127.0.0.1: {WHY}");
    let pay = start(&scene, "payments", "1", with(wish("1", "1"), "reason", WHY)).await;
    assert_eq!(evidence(&scene, &pay, "approved").await, expected);
    let refund = start(&scene, &format!("payments/{pay}/refund"), "2", why()).await;
    assert_eq!(evidence(&scene, &refund, "approved").await, expected);
    let second = paid(&scene, "2", "2").await;
    assert_eq!(evidence(&scene, &second, "approved").await, "asked for by ann from 127.0.0.1");
    let reversal = start(&scene, &format!("payments/{second}/reverse"), "3", why()).await;
    assert_eq!(evidence(&scene, &reversal, "approved").await, expected);
    scene.zvt("counter").set_script(steps("decline, approve"));
    let third = start(&scene, "payments", "4", wish("3", "3")).await;
    scene.until_state(&third, "declined").await;
    let again = start(&scene, &format!("payments/{third}/again"), "5", why()).await;
    assert_eq!(evidence(&scene, &again, "approved").await, expected);
    // Another reason does not make it another request.
    let replayed = post(&scene, &format!("payments/{third}/again"), "5", json!({ "reason": "x" })).await;
    assert!(replayed.is_replayed(), "{}", replayed.text);
    for reason in ["a\nb", "a\u{1b}[31mb", "a\u{202e}b", &"x".repeat(1001)] {
        let body = with(wish("9", "9"), "reason", reason);
        check(&post(&scene, "payments", "9", body).await, 400, "error", "malformed");
    }
    scene.end().await;
}

#[tokio::test]
async fn who_stops_a_payment_is_told_with_address_and_reason() {
    let scene = Scene::open(|folder| one_register(slow(folder, "counter", Duration::from_secs(5)))).await;
    let running = start(&scene, "payments", "1", wish("1", "1")).await;
    scene.until_busy("counter").await;
    let waiting = start(&scene, "payments", "2", wish("2", "2")).await;
    until_payments(&scene, 2).await;
    assert_eq!(post(&scene, &format!("payments/{waiting}/abort"), "x", why()).await.status, 200);
    let told = evidence(&scene, &waiting, "cancelled").await;
    assert_eq!(told, format!("stopped before it started by ann from 127.0.0.1: {WHY}"));
    let told = scene.payment(&waiting).await["result"]["message"].to_string();
    assert!(told.contains("stopped by ann") && !told.contains("127.0.0.1"), "the till is told the name only: {told}");
    assert_eq!(post(&scene, &format!("payments/{running}/abort"), "x", why()).await.status, 202);
    let told = evidence(&scene, &running, "cancelled").await;
    assert!(told.ends_with(&format!("; asked to stop by ann from 127.0.0.1: {WHY}")), "{told}");
    scene.end().await;
}

#[tokio::test]
async fn who_settles_a_payment_is_told_with_address_and_reason() {
    let (hand, drivers) = Hand::new();
    let bar = format!(
        "[terminals.counter]\ndriver = \"puppet\"\naddress = \"here\"\n\n\
         [registers.POS-01]\nproject_ids = [\"{PROJECT}\"]\nterminal = \"counter\""
    );
    let scene = Scene::open_with(|_| tillswitch::shop::Plan::new().other_lines(&bar), drivers).await;
    hand.leaves_in_doubt();
    hand.cannot_be_asked();
    let doubtful = start(&scene, "payments", "1", wish("1", "1")).await;
    scene.until_state(&doubtful, "in_doubt").await;
    let ruling = json!({ "state": "failed", "reason": WHY, "force": true });
    assert_eq!(post(&scene, &format!("payments/{doubtful}/resolve"), "x", ruling).await.status, 200);
    let told = evidence(&scene, &doubtful, "failed").await;
    assert_eq!(told, format!("settled by ann from 127.0.0.1: {WHY}"));
    scene.close().await;
}
