//! Does a payment go on when the one who waits for it leaves, and does nobody wait for ever?

use std::sync::Arc;
use std::time::Duration;

use tillswitch::shop::{Sale, Till};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::*;

const CARD: Duration = Duration::from_millis(300);

/// How a client leaves.
#[derive(Debug)]
enum Leaves {
    Closes,
    Resets,
}

#[tokio::test]
async fn a_client_that_leaves_changes_nothing() {
    for leaves in [Leaves::Closes, Leaves::Resets] {
        let scene = Scene::open(|folder| one_register(slow(folder, "counter", CARD))).await;
        let event = sale("25.90", "4711");
        let client = begin(scene.till.router(), &event).await;
        scene.until_busy("counter").await;
        match leaves {
            Leaves::Closes => drop(client),
            Leaves::Resets => reset(client),
        }
        let id = scene.ids().await.remove(0);
        scene.until_state(&id, "approved").await;
        let told = scene.send(&event).await;
        check_paid(&told, true);
        assert_eq!(told.payment(), Some(&*id), "{leaves:?}");
        assert_eq!((scene.booked("counter"), scene.zvt("counter").money_commands()), (vec![2590], 1));
        scene.end().await;
    }
}

#[tokio::test]
async fn the_next_delivery_joins_what_the_first_client_left() {
    let scene = Scene::open(|folder| one_register(slow(folder, "counter", CARD))).await;
    let event = sale("25.90", "4711");
    let client = begin(scene.till.router(), &event).await;
    scene.until_busy("counter").await;
    reset(client);
    let told = scene.send(&event).await;
    check_paid(&told, true);
    assert_eq!((scene.booked("counter"), scene.zvt("counter").money_commands()), (vec![2590], 1));
    scene.end().await;
}

#[tokio::test]
async fn a_client_that_only_closed_its_sending_side_is_answered() {
    let scene = Scene::open(|folder| one_register(slow(folder, "counter", CARD))).await;
    let mut client = begin(scene.till.router(), sale("25.90", "4711")).await;
    client.shutdown().await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    scene.end().await;
}

#[tokio::test]
async fn a_client_that_reads_slowly_holds_up_nobody() {
    let scene = Scene::open(|folder| one_register(slow(folder, "counter", CARD))).await;
    let mut client = begin(scene.till.router(), sale("25.90", "4711")).await;
    scene.until_busy("counter").await;
    check_paid(&scene.send(sale("3", "4712")).await, false);
    let answer = byte_by_byte(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"success\""), "{answer}");
    assert_eq!(scene.booked("counter"), [2590, 300]);
    scene.end().await;
}

async fn byte_by_byte(client: &mut TcpStream) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while client.read(&mut byte).await.unwrap() > 0 {
        text.extend(byte);
        tokio::task::yield_now().await;
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn when_the_answers_time_is_over_the_terminal_is_asked_to_stop() {
    let scene = Scene::open(|folder| {
        let counter = scripted(quick(folder, "counter"), "wait-for-abort");
        one_register(counter).webhook_lines("wait = \"200ms\"")
    })
    .await;
    let event = sale("25.90", "4711");
    let reply = scene.send(&event).await;
    check(&reply, 402, "cancelled", "cancelled");
    assert!(scene.zvt("counter").commands().contains(&"06 B0".to_owned()), "{:?}", scene.zvt("counter").commands());
    let again = scene.send(&event).await;
    check(&again, 402, "cancelled", "cancelled");
    assert_eq!(again.body, reply.body);
    assert!(scene.booked("counter").is_empty());
    check_paid(&scene.send(event.pressed_again(1)).await, false);
    scene.end().await;
}

#[tokio::test]
async fn an_abort_that_comes_too_late_leaves_the_approval() {
    let scene = Scene::open(|folder| {
        let mut counter = quick(folder, "counter");
        counter.timing.host = Duration::from_millis(800);
        one_register(counter).webhook_lines("wait = \"200ms\"")
    })
    .await;
    check_paid(&scene.send(sale("25.90", "4711")).await, false);
    assert_eq!(scene.booked("counter"), [2590]);
    scene.end().await;
}

/// The one test that waits for real: ten seconds after `wait` the answer is `pending`, whatever the terminal does.
#[tokio::test]
async fn a_terminal_that_cannot_stop_is_pending_and_told_later() {
    let mut timing = patient();
    (timing.completion, timing.minute) = (Duration::from_secs(30), Duration::from_secs(30));
    let scene = Scene::open_with(
        |folder| {
            let mut counter = quick(folder, "counter");
            counter.timing.host = Duration::from_millis(11_500);
            one_register(counter).webhook_lines("wait = \"200ms\"")
        },
        drivers(timing),
    )
    .await;
    let event = sale("25.90", "4711");
    let (first, second) = tokio::join!(scene.send(&event), async {
        scene.until_busy("counter").await;
        scene.send(&event).await
    });
    check(&first, 504, "pending", "pending");
    check(&second, 504, "pending", "pending");
    assert!(second.is_replayed() && second.payment() == first.payment());
    assert!(scene.zvt("counter").is_busy());

    let id = first.payment().unwrap();
    scene.until_state(id, "approved").await;
    let told = scene.send(&event).await;
    check_paid(&told, true);
    assert_eq!(told.payment(), Some(id));
    assert_eq!((scene.booked("counter"), scene.zvt("counter").money_commands()), (vec![2590], 1));
    scene.end().await;
}

#[tokio::test]
async fn a_stop_lets_the_running_payment_end_and_takes_no_other() {
    let scene = Scene::open(|folder| one_register(slow(folder, "counter", CARD))).await;
    // Stopping takes the whole scene, so another till asks meanwhile.
    let till = Arc::new(Till::new(scene.till.router(), "/webhook/pos-payment"));
    let (one, two) = (sale("25.90", "4711"), sale("3", "4712"));
    let running = tokio::spawn(sent(till.clone(), one.clone()));
    scene.until_busy("counter").await;
    let (scene, refused) = tokio::join!(scene.restart(), send(&till, &two));
    let first = running.await.unwrap();
    check_paid(&first, false);
    check_come_again(&refused, "shutting-down");
    assert_eq!(scene.booked("counter"), [2590]);

    let told = scene.send(&one).await;
    check_paid(&told, true);
    assert_eq!(told.body, first.body);
    check_paid(&scene.send(&two).await, false);
    assert_eq!(scene.booked("counter"), [2590, 300]);
    assert!(scene.zvt("counter").commands().contains(&"06 02".to_owned()), "the terminal was left in good order");
    scene.end().await;
}

async fn sent(till: Arc<Till>, sale: Sale) -> tillswitch::shop::Reply {
    send(&till, sale).await
}
