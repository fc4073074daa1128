//! Do refunds, partial approvals, tips and troubles of a terminal come out as they should?

use serde_json::json;
use tillswitch::shop::{Plan, Sale};
use tillswitch_core::{Currency, Money};
use tillswitch_http::simulator::{SimulatorOptions, parse_script};

use crate::harness::*;

/// POS-01 at an HTTP terminal called `counter`.
fn http(script: &'static str, terminal_lines: &'static str) -> impl FnOnce(&std::path::Path) -> Plan {
    move |folder| {
        let mut options = SimulatorOptions::new(folder.join("counter.jsonl"));
        options.script = parse_script(script).unwrap();
        let plan = Plan::new().http("counter", options).terminal_lines("counter", terminal_lines);
        plan.register("POS-01", PROJECT, "counter")
    }
}

/// POS-01 at a ZVT terminal called `counter`, which approves 10.00 of 25.00 when it approves less.
fn zvt(script: &'static str, terminal_lines: &'static str) -> impl FnOnce(&std::path::Path) -> Plan {
    move |folder| {
        let mut counter = scripted(quick(folder, "counter"), script);
        counter.partial_percent = 40;
        one_register(counter).terminal_lines("counter", terminal_lines)
    }
}

fn refund(amount: impl Into<serde_json::Value>, document: &str) -> Sale {
    sale("0", document).with("operation", "refund").with("amount", amount)
}

#[tokio::test]
async fn a_refund_undoes_the_one_sale_of_its_document() {
    for scene in [Scene::open(zvt("", "")).await, Scene::open(http("", "")).await] {
        let first = scene.send(sale("25.90", "4711")).await;
        check_paid(&first, false);
        let event = refund("10.00", "4711");
        let reply = scene.send(&event).await;
        check_paid(&reply, false);
        let payment = &reply.body["payment"];
        assert_eq!((&payment["operation"], &payment["amount_minor"]), (&"refund".into(), &1000.into()));
        assert_eq!(payment["original"].as_str(), first.payment());
        check_paid(&scene.send(&event).await, true);

        let over = refund("16.00", "4711");
        for _ in 0..2 {
            check_conflict(&scene.send(&over).await, "over-refund", &first);
        }
        let rest = scene.send(refund("15.90", "4711")).await;
        check_paid(&rest, false);
        assert_eq!(rest.body["payment"]["original"].as_str(), first.payment());
        check_conflict(&scene.send(refund("0.01", "4711")).await, "over-refund", &first);
        assert_eq!(scene.booked("counter"), [2590, 1000, 1590]);
        scene.end().await;
    }
}

#[tokio::test]
async fn a_refund_without_a_known_sale_stands_for_itself() {
    let scene = Scene::open(zvt("", "")).await;
    let reply = scene.send(refund("10.00", "unknown")).await;
    check_paid(&reply, false);
    assert!(reply.body["payment"]["original"].is_null(), "{}", reply.text);
    assert!(scene.zvt("counter").commands().contains(&"06 31".to_owned()));

    // Two sales of one document: nobody knows which one is meant.
    check_paid(&scene.send(sale("5.00", "4711")).await, false);
    check_paid(&scene.send(sale("6.00", "4711")).await, false);
    let reply = scene.send(refund("6.00", "4711")).await;
    check_paid(&reply, false);
    assert!(reply.body["payment"]["original"].is_null(), "{}", reply.text);
    scene.end().await;
}

#[tokio::test]
async fn the_sign_of_a_refund_does_not_count() {
    let scene = Scene::open(zvt("", "")).await;
    let first = scene.send(sale("25.90", "4711")).await;
    for (amount, operation) in [(json!(-10.5), "refund"), (json!("-2.50"), "cancellation"), (json!(1), "Cancellation")]
    {
        let reply = scene.send(refund(amount, "4711").with("operation", operation)).await;
        check_paid(&reply, false);
        assert_eq!(reply.body["payment"]["operation"], "refund");
        assert_eq!(reply.body["payment"]["original"].as_str(), first.payment());
    }
    assert_eq!(scene.booked("counter"), [2590, 1050, 250, 100]);
    scene.end().await;
}

#[tokio::test]
async fn a_declined_refund_gives_its_amount_back() {
    let scene = Scene::open(zvt("approve, decline", "")).await;
    check_paid(&scene.send(sale("25.90", "4711")).await, false);
    let event = refund("25.90", "4711");
    check(&scene.send(&event).await, 402, "declined", "declined");
    check_paid(&scene.send(event.pressed_again(1)).await, false);
    assert_eq!(scene.booked("counter"), [2590, 2590]);
    scene.end().await;
}

#[tokio::test]
async fn a_part_of_the_amount_is_refused_where_the_terminal_lets_us() {
    let scene = Scene::open(zvt("approve-less", "")).await;
    let event = sale("25.00", "4711");
    let reply = scene.send(&event).await;
    check(&reply, 402, "declined", "partial-refused");
    assert!(scene.booked("counter").is_empty());
    let again = scene.send(&event).await;
    check(&again, 402, "declined", "partial-refused");
    assert_eq!(again.body, reply.body);
    check_paid(&scene.send(event.pressed_again(1)).await, false);
    scene.end().await;
}

#[tokio::test]
async fn a_part_of_the_amount_that_stands_is_never_a_success() {
    let accepting = Scene::open(zvt("approve-less", "accept_partial = true")).await;
    let http = Scene::open(http("approve-less", "")).await;
    for (scene, approved) in [(accepting, 1000), (http, 1250)] {
        let event = sale("25.00", "4711");
        let reply = scene.send(&event).await;
        check(&reply, 409, "error", "partial-approval");
        let payment = &reply.body["payment"];
        assert_eq!((&payment["amount_minor"], &payment["result"]["amount_minor"]), (&2500.into(), &approved.into()));
        assert_eq!(payment["state"], "approved");
        let message = reply.body["message"].as_str().unwrap();
        let told = Money::from_minor(approved, Currency::EUR).decimal();
        assert!(message.contains("25.00") && message.contains(&told), "{message}");
        assert_eq!(scene.booked("counter"), [approved]);
        let kept = scene.payment(reply.payment().unwrap()).await;
        assert_eq!(kept["incidents"].as_array().unwrap().len(), 1, "{kept:#}");

        let again = scene.send(&event).await;
        check(&again, 409, "error", "partial-approval");
        assert_eq!(again.body, reply.body);
        assert_eq!(scene.booked("counter"), [approved]);
        scene.end().await;
    }
}

#[tokio::test]
async fn a_tip_is_told_with_both_amounts() {
    for scene in [Scene::open(zvt("approve-more", "")).await, Scene::open(http("approve-more", "")).await] {
        let event = sale("25.90", "4711");
        let reply = scene.send(&event).await;
        check_paid(&reply, false);
        let payment = &reply.body["payment"];
        assert_eq!((&payment["amount_minor"], &payment["result"]["amount_minor"]), (&2590.into(), &2849.into()));
        assert_eq!(reply.body["message"], "approved 28.49 EUR, 2.59 more than asked");
        check_paid(&scene.send(&event).await, true);
        assert_eq!(scene.booked("counter"), [2849]);
        scene.end().await;
    }
}

#[tokio::test]
async fn a_wrong_pin_is_not_the_end() {
    let scene = Scene::open(zvt("pin-retry", "")).await;
    let reply = scene.send(sale("25.90", "4711")).await;
    check_paid(&reply, false);
    assert_eq!(reply.body["payment"]["result"]["code"], "00");
    assert_eq!(scene.booked("counter"), [2590]);
    scene.end().await;
}

#[tokio::test]
async fn what_moved_no_money_says_why() {
    for (script, status, word, code, state) in [
        ("decline", 402, "declined", "declined", "declined"),
        ("customer-cancel", 402, "cancelled", "cancelled", "cancelled"),
        ("busy", 502, "error", "terminal-busy", "failed"),
        ("busy-9C", 502, "error", "terminal-busy", "failed"),
        ("refuse", 502, "error", "terminal-refused", "failed"),
    ] {
        let scene = Scene::open(zvt(script, "")).await;
        let reply = scene.send(sale("25.90", "4711")).await;
        check(&reply, status, word, code);
        assert_eq!(reply.body["payment"]["state"], state, "{script}");
        assert!(reply.headers.get("retry-after").is_none(), "{script}: it was dispatched");
        assert_eq!((scene.booked("counter").len(), scene.zvt("counter").money_commands()), (0, 1), "{script}");
        check_paid(&scene.send(sale("25.90", "4712")).await, false);
        scene.end().await;
    }
}

#[tokio::test]
async fn an_http_terminal_says_so_in_its_own_words() {
    for (script, status, word, code) in [
        ("decline", 402, "declined", "declined"),
        ("cancel", 402, "cancelled", "cancelled"),
        ("refuse", 502, "error", "terminal-refused"),
        ("approve", 200, "success", ""),
        ("slow", 200, "success", ""),
        ("idle-close", 200, "success", ""),
    ] {
        let scene = Scene::open(http(script, "")).await;
        let reply = scene.send(sale("25.90", "4711")).await;
        check(&reply, status, word, code);
        assert_eq!(reply.body["payment"]["driver"], "http");
        if status == 200 {
            assert_eq!(reply.body["terminal_response"]["status"], "approved", "its own JSON: {}", reply.text);
        }
        check_paid(&scene.send(sale("25.90", "4712")).await, false);
        scene.end().await;
    }
}

#[tokio::test]
async fn a_terminal_that_cannot_be_reached_has_failed_at_once() {
    let scene = Scene::open(|folder| two_registers(quick(folder, "counter"), quick(folder, "bar"))).await;
    scene.zvt("counter").listen(false).await.unwrap();
    let event = sale("25.90", "4711");
    let reply = scene.send(&event).await;
    check(&reply, 502, "error", "terminal-unreachable");
    assert_eq!(reply.body["payment"]["state"], "failed");
    assert!(reply.headers.get("retry-after").is_none());
    check_paid(&scene.send(Sale::new(PROJECT_2, "25.90", "4711")).await, false);

    scene.zvt("counter").listen(true).await.unwrap();
    check(&scene.send(&event).await, 502, "error", "terminal-unreachable");
    check_paid(&scene.send(sale("25.90", "4712")).await, false);
    assert_eq!(scene.booked("counter"), [2590]);
    scene.end().await;
}

#[tokio::test]
async fn the_shop_chooses_the_status_of_a_refusal() {
    let lines = "[webhook.answers]\ndeclined = 422\ncancelled = 423\nfailed = 424";
    let scene = Scene::open(|folder| {
        one_register(scripted(quick(folder, "counter"), "decline, customer-cancel, refuse")).other_lines(lines)
    })
    .await;
    for (document, status, word) in [("1", 422, "declined"), ("2", 423, "cancelled"), ("3", 424, "error")] {
        let reply = scene.send(sale("25.90", document)).await;
        assert_eq!((reply.status, reply.word()), (status, word), "{}", reply.text);
    }
    scene.end().await;
}
