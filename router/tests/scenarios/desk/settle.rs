//! What a person says about a payment in doubt: the first word counts, and the terminal's comes before.

use std::path::Path;

use serde_json::{Value, json};
use tillswitch::shop::{Plan, Reply};
use tillswitch_core::ledger::standing;

use super::pay::with_a_doubtful_one;
use super::puppet::Hand;
use super::{check_refused, history, metric, post, rows, start, wish, with};
use crate::harness::*;

/// POS-01 at a puppet.
fn at_a_puppet(_folder: &Path) -> Plan {
    Plan::new()
        .register("POS-01", PROJECT, "puppet")
        .other_lines("[terminals.puppet]\ndriver = \"puppet\"\naddress = \"1\"")
}

async fn resolve(scene: &Scene, id: &str, body: Value) -> Reply {
    post(scene, &format!("payments/{id}/resolve"), "none-needed", body).await
}

fn says(state: &str) -> Value {
    json!({ "state": state, "reason": "looked at the slip" })
}

async fn resolved_by_people(scene: &Scene) -> f64 {
    metric(scene, "tillswitch_in_doubt_resolved_total{how=\"operator\"}").await.unwrap()
}

/// A payment at `bar` that was booked and is left to a person. Its id.
async fn left_to_a_person(scene: &Scene) -> String {
    let id = start(scene, "payments", "doubtful", with(wish("25.90", "4711"), "register", "POS-02")).await;
    scene.until_state(&id, "in_doubt").await;
    until("a person is asked", async || scene.payment(&id).await["waits_for_person"] == true).await;
    id
}

fn receipt(scene: &Scene, terminal: &str) -> String {
    let ledger = scene.premises.ledgers().into_iter().find(|ledger| ledger.terminal == terminal).unwrap();
    standing(&ledger.entries)[0].receipt_number.clone()
}

const BAR_IN_DOUBT: &str = "tillswitch_payments_in_doubt{register=\"POS-02\",terminal=\"bar\"}";

#[tokio::test]
async fn of_many_people_at_once_one_is_the_first() {
    let scene = Scene::open(with_a_doubtful_one).await;
    let id = left_to_a_person(&scene).await;
    assert_eq!(metric(&scene, BAR_IN_DOUBT).await, Some(1.0));
    let approved = with(says("approved"), "receipt_number", receipt(&scene, "bar"));
    let words = (0..8).map(|_| resolve(&scene, &id, approved.clone()));
    let replies = all(words).await;
    let first: Vec<&Reply> = replies.iter().filter(|reply| reply.status == 200).collect();
    assert_eq!(first.len(), 1, "{replies:?}");
    assert_eq!(first[0].body["payment"]["state"], "approved");
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        check_refused(reply, "conflicting-repeat", &id);
    }
    check_refused(&resolve(&scene, &id, with(says("declined"), "force", true)).await, "conflicting-repeat", &id);

    let payment = scene.payment(&id).await;
    assert_eq!(payment["result"]["receipt_number"], receipt(&scene, "bar"));
    let incidents = payment["incidents"].as_array().unwrap();
    assert_eq!(incidents.len(), 1, "that it was left to a person, and no word of those who were late: {incidents:?}");
    let mut expected = vec![("received", "operator:ann"), ("dispatched", "operator:ann"), ("in_doubt", "driver")];
    expected.push(("approved", "operator:ann"));
    let told: Vec<_> = history(&scene, &id).await.into_iter().filter(|(_, actor)| actor != "recovery").collect();
    assert_eq!(told, rows(&expected));
    assert_eq!(metric(&scene, BAR_IN_DOUBT).await, Some(0.0));
    assert_eq!(resolved_by_people(&scene).await, 1.0);

    // Now that it is approved it can go back.
    let refund = start(&scene, &format!("payments/{id}/refund"), "refund", json!({})).await;
    scene.until_state(&refund, "approved").await;
    scene.end().await;
}

#[tokio::test]
async fn what_is_said_must_be_whole() {
    let scene = Scene::open(with_a_doubtful_one).await;
    let id = left_to_a_person(&scene).await;
    for body in [
        says("approved"),
        with(says("approved"), "receipt_number", ""),
        says("in_doubt"),
        says("expired"),
        says("paid"),
        json!({ "state": "declined" }),
        with(says("declined"), "reason", "  "),
        json!({ "reason": "because" }),
        with(says("declined"), "forced", true),
        with(says("declined"), "force", "yes"),
    ] {
        let reply = resolve(&scene, &id, body.clone()).await;
        assert_eq!((reply.status, reply.code()), (400, "malformed"), "{body}: {}", reply.text);
    }
    let unknown = "0199f1f4-6d2e-7d5b-9d39-0c5d5a1c4b11";
    check(&resolve(&scene, unknown, says("declined")).await, 404, "error", "not-found");
    assert_eq!(scene.payment(&id).await["state"], "in_doubt");
    assert_eq!(resolved_by_people(&scene).await, 0.0);
    scene.end().await;
}

/// The terminal had nothing to say; a settled document may be paid anew.
#[tokio::test]
async fn a_settled_payment_frees_its_document() {
    let scene = Scene::open(with_a_doubtful_one).await;
    let id = left_to_a_person(&scene).await;
    let anew = with(wish("25.90", "4711"), "register", "POS-02");
    check_refused(&post(&scene, "payments", "anew", anew.clone()).await, "document-in-doubt", &id);
    let approved = with(says("approved"), "receipt_number", receipt(&scene, "bar"));
    assert_eq!(resolve(&scene, &id, approved).await.status, 200);
    check_refused(&post(&scene, "payments", "anew", anew.clone()).await, "suspected-repeat", &id);
    let second = start(&scene, "payments", "anew", with(anew, "confirm_repeat", true)).await;
    scene.until_state(&second, "approved").await;
    scene.end().await;
}

/// A payment at the puppet that is in doubt, and the terminal is being asked. Its id.
async fn being_asked(scene: &Scene, hand: &Hand) -> String {
    hand.leaves_in_doubt();
    let id = start(scene, "payments", "doubtful", wish("25.90", "4711")).await;
    scene.until_state(&id, "in_doubt").await;
    until("the terminal is asked", async || hand.questions() == 1).await;
    id
}

#[tokio::test]
async fn while_the_terminal_is_asked_only_force_helps() {
    let (hand, registry) = Hand::new();
    let scene = Scene::open_with(at_a_puppet, registry).await;
    let id = being_asked(&scene, &hand).await;
    check_refused(&resolve(&scene, &id, says("declined")).await, "still-asking", &id);
    check_come_again(&post(&scene, "payments", "next", wish("1", "2")).await, "terminal-in-doubt");
    assert_eq!(scene.payment(&id).await["state"], "in_doubt");

    let forced = resolve(&scene, &id, with(says("declined"), "force", true)).await;
    assert_eq!((forced.status, &forced.body["payment"]["state"]), (200, &json!("declined")), "{}", forced.text);
    // The door is open, and nothing starts before the question has ended.
    let next = start(&scene, "payments", "next", wish("1", "2")).await;
    assert_eq!(hand.executions(), 1);

    // What the terminal says now contradicts, and changes nothing.
    hand.proves_not_charged();
    until("the contradiction is kept", async || {
        scene.payment(&id).await["incidents"].as_array().is_some_and(|incidents| incidents.len() == 1)
    })
    .await;
    assert_eq!(scene.payment(&id).await["state"], "declined");
    assert_eq!(metric(&scene, "tillswitch_incidents_total{terminal=\"puppet\"}").await, Some(1.0));
    assert_eq!(resolved_by_people(&scene).await, 1.0);
    hand.declines();
    scene.until_state(&next, "declined").await;
    scene.end().await;
}

/// A question that comes to nothing must not shut the door again because of a payment that is settled.
#[tokio::test]
async fn a_forced_word_frees_the_terminal_for_good() {
    let (hand, registry) = Hand::new();
    let scene = Scene::open_with(at_a_puppet, registry).await;
    let id = being_asked(&scene, &hand).await;
    assert_eq!(resolve(&scene, &id, with(says("failed"), "force", true)).await.status, 200);
    hand.cannot_be_asked();
    hand.declines();
    let next = start(&scene, "payments", "next", wish("1", "2")).await;
    scene.until_state(&next, "declined").await;
    assert_eq!(hand.questions(), 1);
    assert_eq!(scene.payment(&id).await["incidents"], json!([]));
    let free = start(&scene, "payments", "free", wish("1", "3")).await;
    hand.declines();
    scene.until_state(&free, "declined").await;
    scene.end().await;
}

/// Once it was asked in vain, a person's word counts without force, and frees the terminal.
#[tokio::test]
async fn between_two_questions_a_person_may_speak() {
    let (hand, registry) = Hand::new();
    let scene = Scene::open_with(at_a_puppet, registry).await;
    let id = being_asked(&scene, &hand).await;
    hand.cannot_be_asked();
    let reply = loop {
        let reply = resolve(&scene, &id, says("failed")).await;
        if reply.code() != "still-asking" {
            break reply;
        }
    };
    assert_eq!((reply.status, &reply.body["payment"]["state"]), (200, &json!("failed")), "{}", reply.text);
    hand.declines();
    let next = start(&scene, "payments", "next", wish("25.90", "4711")).await;
    scene.until_state(&next, "declined").await;
    scene.end().await;
}

#[tokio::test]
async fn what_is_not_in_doubt_is_not_settled() {
    let (hand, registry) = Hand::new();
    let scene = Scene::open_with(at_a_puppet, registry).await;
    let running = start(&scene, "payments", "running", wish("1", "1")).await;
    until("it runs", async || hand.executions() == 1).await;
    check_refused(&resolve(&scene, &running, says("failed")).await, "still-asking", &running);
    let forced = resolve(&scene, &running, with(says("failed"), "force", true)).await;
    check_refused(&forced, "conflicting-repeat", &running);
    hand.declines();
    scene.until_state(&running, "declined").await;
    until("it is over", async || resolve(&scene, &running, says("failed")).await.code() == "conflicting-repeat").await;
    assert_eq!(resolved_by_people(&scene).await, 0.0);
    scene.end().await;
}
