//! Is the same document charged once, whatever comes twice?

use std::time::Duration;

use tillswitch::shop::{Plan, Reply, Sale};
use tillswitch_http::simulator::{SimulatorOptions, parse_script};

use crate::harness::*;

/// A customer who leaves time for a second press.
const CARD: Duration = Duration::from_millis(250);

/// What is asked of `counter` comes twice, the second press while the card is read. Returns both events with their answers.
async fn pressed_while_running(scene: &Scene, sale: &Sale) -> [(Sale, Reply); 2] {
    let again = sale.pressed_again(1);
    let (first, second) = tokio::join!(scene.send(sale), async {
        scene.until_busy("counter").await;
        scene.send(&again).await
    });
    [(sale.clone(), first), (again, second)]
}

/// Every one of these events, delivered again, gets its payment's approval.
async fn all_paid_again(scene: &Scene, events: impl IntoIterator<Item = &Sale>, first: &Reply) {
    for event in events {
        let reply = scene.send(event).await;
        check_paid(&reply, true);
        assert_eq!(reply.body, first.body);
    }
}

/// Refused, and when it comes again as well.
async fn refused_twice(scene: &Scene, event: &Sale, code: &str, first: &Reply) {
    for _ in 0..2 {
        check_conflict(&scene.send(event).await, code, first);
    }
}

#[tokio::test]
async fn a_second_press_while_the_first_runs_joins_it() {
    let scene = Scene::open(|folder| one_register(slow(folder, "counter", CARD))).await;
    let [(one, first), (two, second)] = pressed_while_running(&scene, &sale("25.90", "4711")).await;
    check_paid(&first, false);
    check_paid(&second, true);
    assert_eq!(first.body, second.body);
    all_paid_again(&scene, [&one, &two], &first).await;
    assert_eq!(scene.booked("counter"), [2590]);
    assert_eq!((scene.zvt("counter").money_commands(), scene.payments().await), (1, 1));
    scene.end().await;
}

#[tokio::test]
async fn a_second_press_joins_one_that_is_still_in_the_queue() {
    let scene = Scene::open(|folder| one_register(slow(folder, "counter", CARD))).await;
    let (before, waiting) = (sale("5", "1"), sale("25.90", "4711"));
    let again = waiting.pressed_again(1);
    let (other, first, second) = tokio::join!(
        scene.send(&before),
        async {
            scene.until_busy("counter").await;
            scene.send(&waiting).await
        },
        async {
            until("the second one waits", async || scene.payments().await == 2).await;
            scene.send(&again).await
        }
    );
    check_paid(&other, false);
    check_paid(&first, false);
    check_paid(&second, true);
    assert_eq!(first.body, second.body);
    assert_eq!(scene.booked("counter"), [500, 2590]);
    scene.end().await;
}

#[tokio::test]
async fn a_second_press_gets_the_approval_that_nobody_read() {
    let scene = Scene::open(|folder| one_register(slow(folder, "counter", CARD))).await;
    let one = sale("25.90", "4711");
    let unread = begin(scene.till.router(), &one).await;
    scene.until_busy("counter").await;
    reset(unread);
    let id = scene.ids().await.remove(0);
    scene.until_state(&id, "approved").await;

    let two = one.pressed_again(1);
    let second = scene.send(&two).await;
    check_paid(&second, true);
    assert_eq!(second.payment(), Some(&*id));
    all_paid_again(&scene, [&one, &two], &second).await;
    scene.until_told(&second).await;
    refused_twice(&scene, &one.pressed_again(2), "suspected-repeat", &second).await;
    assert_eq!(scene.booked("counter"), [2590]);
    scene.end().await;
}

#[tokio::test]
async fn a_second_press_after_an_approval_that_was_read_is_refused() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    let one = sale("25.90", "4711");
    let first = scene.send(&one).await;
    check_paid(&first, false);
    scene.until_told(&first).await;
    refused_twice(&scene, &one.pressed_again(1), "suspected-repeat", &first).await;
    all_paid_again(&scene, [&one], &first).await;
    for other in [sale("25.91", "4711"), sale("25.90", "4712"), sale("25.90", "4711").with("documentType", "receipt")] {
        check_paid(&scene.send(&other).await, false);
    }
    assert_eq!(scene.booked("counter"), [2590, 2591, 2590, 2590]);
    scene.end().await;
}

#[tokio::test]
async fn beyond_the_window_a_second_press_is_a_second_payment() {
    let scene =
        Scene::open(|folder| one_register(quick(folder, "counter")).webhook_lines("repeat_window = \"0s\"")).await;
    let one = sale("25.90", "4711");
    let first = scene.send(&one).await;
    scene.until_told(&first).await;
    let two = one.pressed_again(1);
    let second = scene.send(&two).await;
    check_paid(&second, false);
    all_paid_again(&scene, [&one], &first).await;
    all_paid_again(&scene, [&two], &second).await;
    assert_eq!(scene.booked("counter"), [2590, 2590]);
    scene.end().await;
}

#[tokio::test]
async fn a_second_press_after_a_payment_that_moved_no_money_is_a_new_payment() {
    for (script, status, word, code) in [
        ("decline", 402, "declined", "declined"),
        ("customer-cancel", 402, "cancelled", "cancelled"),
        ("refuse", 502, "error", "terminal-refused"),
        ("busy", 502, "error", "terminal-busy"),
    ] {
        let scene = Scene::open(|folder| one_register(scripted(quick(folder, "counter"), script))).await;
        let one = sale("25.90", "4711");
        let first = scene.send(&one).await;
        check(&first, status, word, code);
        let two = one.pressed_again(1);
        let second = scene.send(&two).await;
        check_paid(&second, false);
        assert_ne!(first.payment(), second.payment());

        let again = scene.send(&one).await;
        check(&again, status, word, code);
        assert!(again.is_replayed() && again.body == first.body, "{}", again.text);
        all_paid_again(&scene, [&two], &second).await;
        assert_eq!(scene.booked("counter"), [2590]);
        scene.end().await;
    }
}

#[tokio::test]
async fn the_same_document_at_the_other_register_is_refused_while_it_runs_and_after() {
    let scene = Scene::open(|folder| two_registers(slow(folder, "counter", CARD), quick(folder, "bar"))).await;
    let here = sale("25.90", "4711");
    let there = Sale::new(PROJECT_2, "25.90", "4711");
    let (first, running) = tokio::join!(scene.send(&here), async {
        scene.until_busy("counter").await;
        scene.send(&there).await
    });
    check_paid(&first, false);
    check_conflict(&running, "suspected-repeat", &first);
    check_conflict(&scene.send(&there).await, "suspected-repeat", &first);
    refused_twice(&scene, &there.pressed_again(1), "suspected-repeat", &first).await;
    all_paid_again(&scene, [&here], &first).await;
    assert_eq!(scene.zvt("bar").money_commands(), 0);
    scene.end().await;
}

#[tokio::test]
async fn an_approval_that_nobody_read_is_not_told_at_the_other_register() {
    let scene = Scene::open(|folder| two_registers(slow(folder, "counter", CARD), quick(folder, "bar"))).await;
    let here = sale("25.90", "4711");
    let unread = begin(scene.till.router(), &here).await;
    scene.until_busy("counter").await;
    reset(unread);
    let id = scene.ids().await.remove(0);
    scene.until_state(&id, "approved").await;

    let there = Sale::new(PROJECT_2, "25.90", "4711");
    let refused = scene.send(&there).await;
    check(&refused, 409, "error", "suspected-repeat");
    assert_eq!(refused.payment(), Some(&*id));
    check_conflict(&scene.send(&there).await, "suspected-repeat", &refused);
    assert_eq!((scene.booked("counter"), scene.zvt("bar").money_commands()), (vec![2590], 0));
    scene.end().await;
}

/// POS-01 at an HTTP terminal that leaves its first payment in doubt for a person, and POS-02 at a good one.
async fn with_a_payment_in_doubt(sale: &Sale, webhook_lines: &str) -> (Scene, Reply) {
    let scene = Scene::open(|folder| {
        let mut options = SimulatorOptions::new(folder.join("counter.jsonl"));
        options.script = parse_script("cut-after-booking").unwrap();
        Plan::new()
            .http("counter", options)
            .zvt("bar", quick(folder, "bar"))
            .register("POS-01", PROJECT, "counter")
            .register("POS-02", PROJECT_2, "bar")
            .webhook_lines(webhook_lines)
    })
    .await;
    let first = scene.send(sale).await;
    check(&first, 504, "in_doubt", "in-doubt");
    let id = first.payment().unwrap();
    until("a person is asked", async || scene.payment(id).await["waits_for_person"] == true).await;
    (scene, first)
}

#[tokio::test]
async fn a_document_in_doubt_is_refused_at_any_register_for_any_amount() {
    for lines in ["", "repeat = \"allow\""] {
        let one = sale("25.90", "4711");
        let (scene, first) = with_a_payment_in_doubt(&one, lines).await;
        let there = |amount| Sale::new(PROJECT_2, amount, "4711");
        for event in [one.pressed_again(1), sale("3.00", "4711"), there("25.90"), there("3.00")] {
            refused_twice(&scene, &event, "document-in-doubt", &first).await;
        }
        let again = scene.send(&one).await;
        check(&again, 504, "in_doubt", "in-doubt");
        assert!(again.is_replayed());
        assert_eq!(again.payment(), first.payment());

        check_paid(&scene.send(sale("25.90", "4712")).await, false);
        assert_eq!((scene.booked("counter"), scene.booked("bar")), (vec![2590, 2590], vec![]));
        scene.end().await;
    }
}

#[tokio::test]
async fn without_a_number_only_the_same_amount_at_the_same_register_is_refused_in_doubt() {
    let one = sale("25.90", "").without("documentNumber");
    let (scene, first) = with_a_payment_in_doubt(&one, "").await;
    refused_twice(&scene, &one.pressed_again(1), "document-in-doubt", &first).await;
    let unlike = sale("25.91", "").without("documentNumber");
    let there = Sale::new(PROJECT_2, "25.90", "").without("documentNumber");
    check_paid(&scene.send(&unlike).await, false);
    check_paid(&scene.send(&there).await, false);
    assert_eq!((scene.booked("counter"), scene.booked("bar")), (vec![2590, 2591], vec![2590]));
    scene.end().await;
}

#[tokio::test]
async fn an_event_refused_in_doubt_gets_the_approval_when_it_comes_again_later() {
    let scene = Scene::open(|folder| {
        // The first payment is there to be remembered: a terminal without a past cannot tell what is new.
        let mut counter = scripted(quick(folder, "counter"), "approve, no-completion");
        counter.auto_reverse = false;
        two_registers(counter, quick(folder, "bar"))
    })
    .await;
    check_paid(&scene.send(sale("5", "4710")).await, false);
    let one = sale("25.90", "4711");
    let (first, ()) = tokio::join!(scene.send(&one), async {
        until("it is booked", async || scene.booked("counter").len() == 2).await;
        scene.zvt("counter").listen(false).await.unwrap();
    });
    check(&first, 504, "in_doubt", "in-doubt");
    let (same, more) = (one.pressed_again(1), sale("26.00", "4711"));
    let there = Sale::new(PROJECT_2, "25.90", "4711");
    for event in [&same, &more, &there] {
        check_conflict(&scene.send(event).await, "document-in-doubt", &first);
    }
    check_come_again(&scene.send(sale("1", "4712")).await, "terminal-in-doubt");

    scene.zvt("counter").listen(true).await.unwrap();
    let id = first.payment().unwrap();
    let settled = scene.until_state(id, "approved").await;
    assert_eq!(settled["result"]["receipt_number"], "0002");
    for event in [&one, &same] {
        let reply = scene.send(event).await;
        check_paid(&reply, true);
        assert_eq!(reply.payment(), Some(id));
    }
    for event in [&more, &there] {
        check_conflict(&scene.send(event).await, "document-in-doubt", &first);
    }
    assert_eq!((scene.booked("counter"), scene.booked("bar")), (vec![500, 2590], vec![]));
    scene.end().await;
}

#[tokio::test]
async fn a_guid_stands_for_one_content() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    let one = sale("25.90", "4711").with("guid", "5a1c4b11");
    let first = scene.send(&one).await;
    check_paid(&first, false);
    for other in [one.clone().with("amount", "25.91"), one.clone().with("documentNumber", "4712")] {
        refused_twice(&scene, &other, "conflicting-repeat", &first).await;
    }
    // The same in other words, and once without the guid.
    let reworded = one.clone().with("amount", 25.9).with("operation", "SELL");
    all_paid_again(&scene, [&one, &reworded, &one.clone().without("guid")], &first).await;
    scene.until_told(&first).await;
    refused_twice(&scene, &one.clone().with("guid", "another"), "suspected-repeat", &first).await;
    assert_eq!(scene.booked("counter"), [2590]);
    scene.end().await;
}

#[tokio::test]
async fn events_without_a_document_number_are_never_the_same_document() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    let one = sale("25.90", "").without("documentNumber");
    let two = one.pressed_again(1);
    let first = scene.send(&one).await;
    let second = scene.send(&two).await;
    check_paid(&first, false);
    check_paid(&second, false);
    all_paid_again(&scene, [&one], &first).await;
    all_paid_again(&scene, [&two], &second).await;
    assert_eq!(scene.booked("counter"), [2590, 2590]);
    scene.end().await;
}

#[tokio::test]
async fn without_guid_and_time_the_document_alone_protects() {
    for document in ["4711", ""] {
        let scene = Scene::open(|folder| one_register(slow(folder, "counter", CARD))).await;
        let event = sale("25.90", document).without("createdAt");
        let (first, second) = tokio::join!(scene.send(&event), async {
            scene.until_busy("counter").await;
            scene.send(&event).await
        });
        check_paid(&first, false);
        check_paid(&second, true);
        assert_eq!(first.body, second.body);
        scene.until_told(&first).await;
        refused_twice(&scene, &event, "suspected-repeat", &first).await;
        check_paid(&scene.send(sale("25.91", document).without("createdAt")).await, false);
        assert_eq!(scene.booked("counter"), [2590, 2591]);
        scene.end().await;
    }
}

#[tokio::test]
async fn allowing_repeats_allows_only_the_press_after_an_approval_that_was_read() {
    let scene = Scene::open(|folder| {
        two_registers(slow(folder, "counter", CARD), quick(folder, "bar")).webhook_lines("repeat = \"allow\"")
    })
    .await;
    let [(one, first), (two, second)] = pressed_while_running(&scene, &sale("25.90", "4711")).await;
    check_paid(&second, true);
    scene.until_told(&first).await;
    let there = Sale::new(PROJECT_2, "25.90", "4711");
    refused_twice(&scene, &there, "suspected-repeat", &first).await;

    let three = one.pressed_again(2);
    let third = scene.send(&three).await;
    check_paid(&third, false);
    all_paid_again(&scene, [&one, &two], &first).await;
    all_paid_again(&scene, [&three], &third).await;
    assert_eq!(scene.booked("counter"), [2590, 2590]);
    scene.end().await;
}

#[tokio::test]
async fn what_is_too_old_or_from_the_future_starts_no_terminal() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter")).webhook_lines("max_age = \"5m\"")).await;
    for (document, seconds) in [("1", -600), ("2", 600)] {
        let event = sale("25.90", document).pressed_again(seconds);
        let first = scene.send(&event).await;
        check(&first, 409, "error", "too-old");
        assert_eq!(first.body["payment"]["state"], "expired");
        let again = scene.send(&event).await;
        check(&again, 409, "error", "too-old");
        assert!(again.is_replayed() && again.payment() == first.payment(), "{}", again.text);
        assert!(first.headers.get("retry-after").is_none() && again.headers.get("retry-after").is_none());
    }
    assert_eq!(scene.zvt("counter").money_commands(), 0);
    check_paid(&scene.send(sale("25.90", "1")).await, false);
    for seconds in [-290, 290] {
        check_paid(&scene.send(sale("7", &format!("in time {seconds}")).pressed_again(seconds)).await, false);
    }
    scene.end().await;
}

#[tokio::test]
async fn an_event_that_found_no_place_may_come_again() {
    let scene =
        Scene::open(|folder| one_register(slow(folder, "counter", CARD)).terminal_lines("counter", "queue = 0")).await;
    let (one, other) = (sale("1", "1"), sale("2", "2"));
    let (first, refused) = tokio::join!(scene.send(&one), async {
        scene.until_busy("counter").await;
        scene.send(&other).await
    });
    check_paid(&first, false);
    check_come_again(&refused, "terminal-busy");
    assert!(refused.payment().is_none(), "nothing is journalled: {}", refused.text);
    assert_eq!(scene.payments().await, 1);

    let later = scene.send(&other).await;
    check_paid(&later, false);
    all_paid_again(&scene, [&other], &later).await;
    assert_eq!(scene.booked("counter"), [100, 200]);
    scene.end().await;
}
