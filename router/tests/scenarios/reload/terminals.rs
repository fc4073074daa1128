//! Terminals that change, come, go, or get another name, while they are at something.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tillswitch::shop::{Plan, Sale};

use super::{append, edit, end_by_address, listed, metric, order, paid, post, registrations, reload, report, wish};
use crate::desk::puppet::Hand;
use crate::desk::{start, with};
use crate::harness::*;

#[tokio::test]
async fn a_changed_terminal_ends_its_payment_first() {
    let scene = Scene::open(|folder| {
        one_register(slow(folder, "counter", Duration::from_millis(900)))
            .terminal_lines("counter", "payment_deadline = \"4m\"")
    })
    .await;
    let running = start(&scene, "payments", "key-1", wish("1", "1")).await;
    scene.until_busy("counter").await;
    edit(&scene, &[("payment_deadline = \"4m\"", "payment_deadline = \"3m\"\nqueue = 7")]);
    assert_eq!(reload(&scene).await, report(&[], &[], &[], &["counter"]));
    assert_eq!(reload(&scene).await, report(&[], &[], &[], &["counter"]), "it still waits");
    assert_eq!(listed(&scene, "counter").await["queue"]["capacity"], 2);
    scene.until_state(&running, "approved").await;
    until("it has its settings", async || listed(&scene, "counter").await["queue"]["capacity"] == 7).await;
    assert_eq!(reload(&scene).await, report(&[], &[], &[], &[]));
    paid(&scene, "2", "2").await;
    assert_eq!(registrations(&scene, "counter"), 2, "its driver was built anew");
    assert_eq!(scene.booked("counter"), [100, 200]);
    scene.end().await;
}

#[tokio::test]
async fn a_free_one_has_its_settings_at_once() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    paid(&scene, "1", "1").await;
    edit(&scene, &[("driver = \"zvt-tcp\"", "driver = \"zvt-tcp\"\nconnection = \"per-payment\"")]);
    assert_eq!(reload(&scene).await, report(&[], &["counter"], &[], &[]));
    paid(&scene, "2", "2").await;
    paid(&scene, "3", "3").await;
    assert_eq!(registrations(&scene, "counter"), 3);
    scene.end().await;
}

fn at_a_puppet(_folder: &Path) -> Plan {
    Plan::new()
        .register("POS-01", PROJECT, "puppet")
        .other_lines("[terminals.puppet]\ndriver = \"puppet\"\naddress = \"one\"\nqueue = 2")
}

#[tokio::test]
async fn one_in_doubt_changes_once_that_is_settled() {
    let (hand, registry) = Hand::new();
    let scene = Scene::open_with(at_a_puppet, registry).await;
    hand.leaves_in_doubt();
    let id = start(&scene, "payments", "key-1", wish("1", "1")).await;
    scene.until_state(&id, "in_doubt").await;
    until("it is asked", async || hand.questions() == 1).await;
    edit(&scene, &[("queue = 2", "queue = 5"), ("\"one\"", "\"two\"")]);
    assert_eq!(reload(&scene).await, report(&[], &[], &[], &["puppet"]));
    assert_eq!(listed(&scene, "puppet").await["address"], "one");
    let before = hand.executed_by();
    hand.proves_not_charged();
    scene.until_state(&id, "failed").await;
    until("it has changed", async || listed(&scene, "puppet").await["address"] == "two").await;
    hand.declines();
    let next = start(&scene, "payments", "key-2", wish("2", "2")).await;
    scene.until_state(&next, "declined").await;
    assert_ne!(hand.executed_by(), before, "the driver was built anew");
    scene.end().await;
}

#[tokio::test]
async fn what_was_changed_back_does_not_happen_later() {
    let (hand, registry) = Hand::new();
    let scene = Scene::open_with(at_a_puppet, registry).await;
    let id = start(&scene, "payments", "key-1", wish("1", "1")).await;
    until("it runs", async || hand.executions() == 1).await;
    edit(&scene, &[("\"one\"", "\"two\"")]);
    assert_eq!(reload(&scene).await, report(&[], &[], &[], &["puppet"]));
    edit(&scene, &[("\"two\"", "\"one\"")]);
    let before = hand.executed_by();
    assert_eq!(reload(&scene).await, report(&[], &["puppet"], &[], &[]));
    hand.declines();
    scene.until_state(&id, "declined").await;
    let next = start(&scene, "payments", "key-2", wish("2", "2")).await;
    hand.declines();
    scene.until_state(&next, "declined").await;
    assert_eq!((&listed(&scene, "puppet").await["address"], hand.executed_by()), (&json!("one"), before));
    scene.end().await;
}

/// Who waits was promised the terminal as it was; as another one it would not be his.
#[tokio::test]
async fn who_waits_for_a_terminal_that_becomes_another_may_come_again() {
    let (hand, registry) = Hand::new();
    let scene = Scene::open_with(at_a_puppet, registry).await;
    let first = start(&scene, "payments", "key-1", wish("1", "1")).await;
    until("it runs", async || hand.executions() == 1).await;
    let second = start(&scene, "payments", "key-2", wish("2", "2")).await;
    edit(&scene, &[("\"one\"", "\"two\"")]);
    assert_eq!(reload(&scene).await, report(&[], &[], &[], &["puppet"]));
    hand.declines();
    scene.until_state(&first, "declined").await;
    scene.until_state(&second, "expired").await;
    let again = start(&scene, "payments", "key-2", wish("2", "2")).await;
    hand.declines();
    scene.until_state(&again, "declined").await;
    assert_eq!(hand.executions(), 2);
    scene.end().await;
}

#[tokio::test]
async fn registers_and_terminals_come_and_go() {
    let scene = Scene::open(|folder| {
        one_register(quick(folder, "counter")).zvt("bar", slow(folder, "bar", Duration::from_millis(900)))
    })
    .await;
    let bar = format!("[terminals.bar]\ndriver = \"zvt-tcp\"\naddress = \"{}\"\n", scene.zvt("bar").addr());
    edit(&scene, &[(&bar, "")]);
    assert_eq!(reload(&scene).await, report(&[], &[], &["bar"], &[]));
    let series = "tillswitch_payments_in_progress{register=\"POS-02\",terminal=\"bar\"}";
    assert_eq!(metric(&scene, series).await, None);
    check(&scene.send(Sale::new(PROJECT_2, "1.00", "1")).await, 404, "error", "unknown-register");

    append(&scene, &bar);
    let register = format!("[registers.POS-02]\nproject_ids = [{PROJECT_2:?}]\nterminal = \"bar\"");
    append(&scene, &register);
    assert_eq!(reload(&scene).await, report(&["bar"], &[], &[], &[]));
    assert_eq!(metric(&scene, series).await, Some(0.0));
    for outcome in ["approved", "in_doubt"] {
        let labels =
            format!("register=\"POS-02\",terminal=\"bar\",driver=\"zvt-tcp\",operation=\"sale\",outcome=\"{outcome}\"");
        assert_eq!(metric(&scene, &format!("tillswitch_payments_total{{{labels}}}")).await, Some(0.0));
    }
    check_paid(&scene.send(Sale::new(PROJECT_2, "1.00", "1")).await, false);

    // It goes while it is at one payment and another one waits.
    let at_bar = |document: &str| with(wish("2", document), "register", "POS-02");
    let running = start(&scene, "payments", "running", at_bar("2")).await;
    scene.until_busy("bar").await;
    let waiting = start(&scene, "payments", "waiting", at_bar("3")).await;
    let event = Sale::new(PROJECT_2, "3.00", "4");
    let (told, ()) = tokio::join!(scene.send(&event), async {
        until("both wait", async || listed(&scene, "bar").await["queue"]["waiting"] == 2).await;
        edit(&scene, &[(&bar, ""), (&register, "")]);
        assert_eq!(reload(&scene).await, report(&[], &[], &["bar"], &[]));
        assert_eq!(listed(&scene, "bar").await, Value::Null);
    });
    check_come_again(&told, "terminal-busy");
    assert!(told.text.contains("taken out of the configuration"), "{}", told.text);
    scene.until_state(&waiting, "expired").await;
    check(&scene.send(&event).await, 404, "error", "unknown-register");
    scene.until_state(&running, "approved").await;
    assert_eq!(scene.booked("bar"), [100, 200]);
    for (outcome, count) in [("approved", 2.0), ("expired", 2.0)] {
        let labels =
            format!("register=\"POS-02\",terminal=\"bar\",driver=\"zvt-tcp\",operation=\"sale\",outcome=\"{outcome}\"");
        assert_eq!(metric(&scene, &format!("tillswitch_payments_total{{{labels}}}")).await, Some(count), "{outcome}");
    }
    assert_eq!(metric(&scene, series).await, Some(0.0));
    scene.end().await;
}

#[tokio::test]
async fn a_payment_of_a_removed_terminal_can_still_be_stopped() {
    let scene = Scene::open(|folder| {
        one_register(quick(folder, "counter"))
            .zvt("bar", scripted(quick(folder, "bar"), "wait-for-abort"))
            .register("POS-02", PROJECT_2, "bar")
    })
    .await;
    let running = start(&scene, "payments", "running", with(wish("2", "2"), "register", "POS-02")).await;
    scene.until_busy("bar").await;
    edit(&scene, &[("terminal = \"bar\"", "terminal = \"counter\"")]);
    edit(
        &scene,
        &[(&format!("[terminals.bar]\ndriver = \"zvt-tcp\"\naddress = \"{}\"\n", scene.zvt("bar").addr()), "")],
    );
    assert_eq!(reload(&scene).await, report(&[], &[], &["bar"], &[]));
    check_paid(&scene.send(Sale::new(PROJECT_2, "1.00", "1")).await, false);
    assert_eq!(order(&scene, &format!("payments/{running}/abort")).await.status, 202);
    scene.until_state(&running, "cancelled").await;
    assert_eq!((scene.booked("counter"), scene.booked("bar")), (vec![100], vec![]));
    scene.end().await;
}

#[tokio::test]
async fn a_terminal_gets_another_name_when_its_payment_has_ended() {
    let scene = Scene::open(|folder| one_register(slow(folder, "counter", Duration::from_millis(700)))).await;
    let running = start(&scene, "payments", "running", wish("1", "1")).await;
    scene.until_busy("counter").await;
    edit(&scene, &[("[terminals.counter]", "[terminals.desk]"), ("terminal = \"counter\"", "terminal = \"desk\"")]);
    assert_eq!(reload(&scene).await, report(&["desk"], &[], &["counter"], &[]));
    check_come_again(&scene.send(sale("2.00", "2")).await, "terminal-busy");
    assert_eq!(scene.payment(&running).await["state"], "dispatched", "two drivers must not meet at a terminal");
    scene.until_state(&running, "approved").await;
    until("the new one is open", async || scene.send(sale("2.00", "2")).await.status == 200).await;
    assert_eq!(scene.booked("counter"), [100, 200]);
    assert_eq!(scene.zvt("counter").protocol_faults(), [""; 0]);
    end_by_address(scene).await;
}

/// The new terminal is at the address that the old one was moved to, not at the one where it began.
#[tokio::test]
async fn a_terminal_that_moved_is_waited_for_where_it_is() {
    let (hand, registry) = Hand::new();
    let scene = Scene::open_with(at_a_puppet, registry).await;
    edit(&scene, &[("\"one\"", "\"two\"")]);
    assert_eq!(reload(&scene).await, report(&[], &["puppet"], &[], &[]));
    let running = start(&scene, "payments", "key-1", wish("1", "1")).await;
    until("it runs", async || hand.executions() == 1).await;
    edit(&scene, &[("[terminals.puppet]", "[terminals.doll]"), ("terminal = \"puppet\"", "terminal = \"doll\"")]);
    assert_eq!(reload(&scene).await, report(&["doll"], &[], &["puppet"], &[]));
    check_come_again(&post(&scene, "payments", "key-2", wish("2", "2")).await, "terminal-busy");
    hand.declines();
    scene.until_state(&running, "declined").await;
    hand.declines();
    until("the new one is open", async || post(&scene, "payments", "key-2", wish("2", "2")).await.status == 202).await;
    until("it was begun", async || hand.executions() == 2).await;
    until("nothing runs", async || scene.violations().await.unwrap().is_empty()).await;
    scene.end().await;
}

#[tokio::test]
async fn a_reversal_needs_the_terminal_that_booked() {
    let scene = Scene::open(|folder| two_registers(quick(folder, "counter"), quick(folder, "bar"))).await;
    let sale = paid(&scene, "25.90", "4711").await;
    let (counter, bar) = (scene.zvt("counter").addr().to_string(), scene.zvt("bar").addr().to_string());
    edit(&scene, &[("terminal = \"bar\"", "terminal = \"counter\"")]);
    edit(&scene, &[(&format!("[terminals.bar]\ndriver = \"zvt-tcp\"\naddress = \"{bar}\"\n"), "")]);
    assert_eq!(reload(&scene).await, report(&[], &[], &["bar"], &[]));
    edit(&scene, &[(&counter, &bar)]);
    until("the address is free", async || order(&scene, "reload").await.status == 200).await;
    until("it has changed", async || listed(&scene, "counter").await["address"] == bar.as_str()).await;

    let path = format!("payments/{sale}/reverse");
    check(&post(&scene, &path, "key-1", json!({})).await, 409, "error", "terminal-refused");
    let refund = start(&scene, &format!("payments/{sale}/refund"), "key-2", json!({ "amount": "5" })).await;
    scene.until_state(&refund, "approved").await;
    assert_eq!((scene.booked("counter"), scene.booked("bar")), (vec![2590], vec![500]));
    end_by_address(scene).await;
}

#[tokio::test]
async fn a_payment_whose_terminal_is_gone_is_settled_by_the_first_who_speaks() {
    let scene = Scene::open(|folder| {
        let mut bar = tillswitch_http::simulator::SimulatorOptions::new(folder.join("bar.jsonl"));
        bar.script = tillswitch_http::simulator::parse_script("cut-before-booking").unwrap();
        one_register(quick(folder, "counter")).http("bar", bar).register("POS-02", PROJECT_2, "bar")
    })
    .await;
    let id = start(&scene, "payments", "doubtful", with(wish("25.90", "4711"), "register", "POS-02")).await;
    scene.until_state(&id, "in_doubt").await;
    edit(
        &scene,
        &[("terminal = \"bar\"", "terminal = \"counter\""), ("[terminals.bar]\ndriver", "[terminals.bad]\ndriver")],
    );
    until("it is renamed", async || order(&scene, "reload").await.status == 200).await;
    until("a person is asked", async || scene.payment(&id).await["waits_for_person"] == true).await;
    let place = "tillswitch_payments_in_doubt{register=\"(removed)\",terminal=\"(removed)\"}";
    assert_eq!(metric(&scene, place).await, Some(1.0));

    let says = json!({ "state": "failed", "reason": "nothing is on the slip" });
    let path = format!("payments/{id}/resolve");
    let words = (0..6).map(|_| post(&scene, &path, "none-needed", says.clone()));
    let replies = all(words).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1, "{replies:?}");
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        check(reply, 409, "error", "conflicting-repeat");
    }
    assert_eq!(metric(&scene, place).await, Some(0.0));
    assert_eq!(metric(&scene, "tillswitch_in_doubt_resolved_total{how=\"operator\"}").await, Some(1.0));
    let again = start(&scene, &format!("payments/{id}/again"), "again", json!({})).await;
    scene.until_state(&again, "approved").await;
    assert_eq!(scene.booked("counter"), [2590]);
    scene.end().await;
}
