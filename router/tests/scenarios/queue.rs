//! Do registers share terminals one after the other, and does nobody start after he was sent away?

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tillswitch::shop::{Plan, Reply, Sale};

use crate::harness::*;

const CARD: Duration = Duration::from_millis(400);

/// POS-01 and POS-02 share `counter`, POS-03 has `bar`; customers take their time.
fn three_registers(folder: &Path) -> Plan {
    Plan::new()
        .zvt("counter", slow(folder, "counter", CARD))
        .zvt("bar", slow(folder, "bar", CARD))
        .register("POS-01", PROJECT, "counter")
        .register("POS-02", PROJECT_2, "counter")
        .register("POS-03", PROJECT_3, "bar")
}

#[tokio::test]
async fn terminals_work_at_the_same_time_and_a_shared_one_one_after_the_other() {
    let scene = Scene::open(three_registers).await;
    let sales = [(PROJECT, "1", "1"), (PROJECT_2, "2", "2"), (PROJECT_3, "3", "3")];
    let sales = sales.map(|(project, amount, document)| Sale::new(project, amount, document));
    let at_once = async {
        until("both terminals are busy", async || ["counter", "bar"].iter().all(|name| scene.zvt(name).is_busy()))
            .await;
    };
    let (replies, ()) = tokio::join!(all(sales.iter().map(|sale| scene.send(sale))), at_once);
    replies.iter().for_each(|reply| check_paid(reply, false));
    let mut booked = scene.booked("counter");
    booked.sort_unstable();
    assert_eq!((booked, scene.booked("bar")), (vec![100, 200], vec![300]));

    let mut shared = [dispatched_and_ended(&scene, &replies[0]).await, dispatched_and_ended(&scene, &replies[1]).await];
    shared.sort();
    assert!(shared[0].1 <= shared[1].0, "the second one was started before the first one had ended: {shared:?}");
    assert_eq!(scene.zvt("counter").protocol_faults(), [""; 0]);
    scene.end().await;
}

/// When it was given to its terminal, and when its end was written down. RFC 3339 in UTC sorts as text.
async fn dispatched_and_ended(scene: &Scene, reply: &Reply) -> (String, String) {
    let payment = scene.payment(reply.payment().unwrap()).await;
    let at = |state: &str| {
        let rows: &Vec<Value> = payment["transitions"].as_array().unwrap();
        let row = rows.iter().find(|row| row["state"] == state).unwrap();
        row["time"].as_str().unwrap().to_owned()
    };
    (at("dispatched"), at("approved"))
}

#[tokio::test]
async fn who_finds_the_queue_full_is_sent_away_and_may_come_again() {
    let scene = Scene::open(|folder| three_registers(folder).terminal_lines("counter", "queue = 1")).await;
    let (one, two) = (sale("1", "1"), Sale::new(PROJECT_2, "2", "2"));
    let three = sale("3", "3");
    let (first, second, refused) = tokio::join!(
        scene.send(&one),
        async {
            scene.until_busy("counter").await;
            scene.send(&two).await
        },
        async {
            until("the second one waits", async || scene.payments().await == 2).await;
            scene.send(&three).await
        }
    );
    check_paid(&first, false);
    check_paid(&second, false);
    check_come_again(&refused, "terminal-busy");
    assert_eq!(scene.booked("counter"), [100, 200], "the refused one was never started");
    assert_eq!(scene.zvt("counter").money_commands(), 2);

    check_paid(&scene.send(&three).await, false);
    assert_eq!(scene.booked("counter"), [100, 200, 300]);
    scene.end().await;
}

#[tokio::test]
async fn who_waits_too_long_is_sent_away_and_may_come_again() {
    let scene = Scene::open(|folder| three_registers(folder).webhook_lines("queue_wait = \"100ms\"")).await;
    let (one, two) = (sale("1", "1"), Sale::new(PROJECT_2, "2", "2"));
    let (first, expired) = tokio::join!(scene.send(&one), async {
        scene.until_busy("counter").await;
        let reply = scene.send(&two).await;
        assert!(scene.zvt("counter").is_busy(), "the answer came before the terminal was free");
        reply
    });
    check_paid(&first, false);
    check_come_again(&expired, "terminal-busy");
    assert_eq!(expired.body["payment"]["state"], "expired");
    assert_eq!(scene.zvt("counter").money_commands(), 1, "it was never started");

    let later = scene.send(&two).await;
    check_paid(&later, false);
    assert_ne!(later.payment(), expired.payment());
    check_paid(&scene.send(&two).await, true);
    assert_eq!(scene.booked("counter"), [100, 200]);
    let states: Vec<Value> = states_of(&scene, expired.payment().unwrap()).await;
    assert_eq!(states, ["received", "expired"]);
    scene.end().await;
}

#[tokio::test]
async fn a_client_that_leaves_the_queue_does_not_take_its_payment_with_it() {
    let scene = Scene::open(three_registers).await;
    let (one, two) = (sale("1", "1"), Sale::new(PROJECT_2, "2", "2"));
    let (first, ()) = tokio::join!(scene.send(&one), async {
        scene.until_busy("counter").await;
        let gone = begin(scene.till.router(), &two).await;
        until("the second one waits", async || scene.payments().await == 2).await;
        reset(gone);
    });
    check_paid(&first, false);
    let second = scene.send(&two).await;
    check_paid(&second, true);
    assert_eq!(scene.booked("counter"), [100, 200]);
    scene.end().await;
}

async fn states_of(scene: &Scene, id: &str) -> Vec<Value> {
    let payment = scene.payment(id).await;
    payment["transitions"].as_array().unwrap().iter().map(|row| row["state"].clone()).collect()
}
