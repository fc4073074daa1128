//! What becomes of a payment whose terminal never finishes, answers behind the deadline, or starts anew in the middle?
//!
//! Over TCP, on a serial line and by HTTP. A late approval resolves the payment; where nobody can be asked, it stays in doubt
//! for a person. It never disappears.

use std::path::Path;
use std::time::Duration;

use tillswitch::shop::{Plan, Reply};
use tillswitch_http::simulator::{HttpSimulator, SimulatorOptions, parse_script};
use tillswitch_zvt::simulator::{Options, Simulator};

use crate::harness::*;
use crate::serial::{on_a_line, one_serial_register};

const DEADLINE: &str = "payment_deadline = \"3s\"";
/// Longer than the deadline.
const LATE: Duration = Duration::from_secs(5);

/// How a ZVT terminal is reached.
#[derive(Clone, Copy, PartialEq)]
enum Link {
    Tcp,
    Serial,
}

use Link::{Serial, Tcp};

/// A shop whose terminal has approved a payment, with little time for each.
async fn opened(link: Link, change: impl Fn(&mut Options)) -> Scene {
    let plan = |folder: &Path| {
        let mut options = if link == Serial { on_a_line(folder, "counter") } else { quick(folder, "counter") };
        change(&mut options);
        let plan = if link == Serial { one_serial_register(options) } else { one_register(options) };
        plan.terminal_lines("counter", DEADLINE)
    };
    let scene = Scene::open(plan).await;
    check_paid(&scene.send(sale("10.00", "first")).await, false);
    scene
}

/// The sale is in doubt at the deadline. Its payment.
async fn in_doubt(scene: &Scene) -> String {
    let reply = scene.send(sale("25.90", "overdue")).await;
    check(&reply, 504, "in_doubt", "in-doubt");
    reply.payment().unwrap().to_owned()
}

/// The terminal takes the next payment again.
async fn goes_on(scene: Scene) {
    until("the terminal takes the next payment", async || {
        let reply = scene.send(sale("3.00", "next")).await;
        assert!(matches!(reply.status, 200 | 503), "{}", reply.text);
        reply.status == 200
    })
    .await;
    scene.end().await;
}

async fn never_finishes(link: Link) {
    let scene = opened(link, |_| {}).await;
    scene.zvt("counter").set_script(steps("silent-after-start"));
    let id = in_doubt(&scene).await;
    scene.zvt("counter").heal().await.unwrap();
    scene.until_state(&id, "failed").await;
    assert_eq!(scene.booked("counter"), [1000]);
    goes_on(scene).await;
}

#[tokio::test]
async fn a_terminal_that_never_finishes_has_booked_nothing() {
    tokio::join!(never_finishes(Tcp), never_finishes(Serial));
}

/// The host takes its time; what was booked behind the deadline is found.
async fn approves_late(link: Link) {
    let scene = opened(link, |options| {
        options.auto_reverse = false;
        options.timing.pin_entry = LATE;
        options.script = steps("approve,pin-retry");
    })
    .await;
    let id = in_doubt(&scene).await;
    assert_eq!(scene.booked("counter"), [1000], "the deadline came first");
    let payment = scene.until_state(&id, "approved").await;
    assert_eq!(payment["result"]["receipt_number"], "0002", "{payment:#}");
    assert_eq!(scene.booked("counter"), [1000, 2590]);
    goes_on(scene).await;
}

#[tokio::test]
async fn an_approval_behind_the_deadline_resolves_the_payment() {
    tokio::join!(approves_late(Tcp), approves_late(Serial));
}

/// What it booked behind the deadline it takes back, because nobody acknowledges it.
async fn takes_back_late(link: Link) {
    let scene = opened(link, |options| {
        options.timing.pin_entry = LATE;
        options.script = steps("approve,pin-retry");
    })
    .await;
    let id = in_doubt(&scene).await;
    scene.until_state(&id, "failed").await;
    assert_eq!(scene.booked("counter"), [1000]);
    goes_on(scene).await;
}

#[tokio::test]
async fn a_booking_behind_the_deadline_that_is_taken_back_is_no_payment() {
    tokio::join!(takes_back_late(Tcp), takes_back_late(Serial));
}

/// The plug is pulled while the customer holds the card.
async fn starts_anew(link: Link) {
    let mut scene = opened(link, |options| options.timing.card = Duration::from_millis(300)).await;
    let event = sale("25.90", "overdue");
    let (reply, ()) = tokio::join!(scene.send(&event), async {
        scene.until_busy("counter").await;
        scene.zvt("counter").listen(false).await.unwrap();
    });
    check(&reply, 504, "in_doubt", "in-doubt");
    let id = reply.payment().unwrap().to_owned();
    let terminal = scene.premises.zvt.remove("counter").unwrap();
    let (listen, device, ledger) = (terminal.addr(), terminal.device().map(Path::to_owned), terminal.ledger_path());
    terminal.stop().await;
    let options = Options { listen, ..Options::fast(ledger) };
    let started = match device {
        Some(device) => Simulator::start_serial(options, &device).await,
        None => Simulator::start(options).await,
    };
    scene.premises.zvt.insert("counter".into(), started.unwrap());
    let booked = scene.booked("counter").len();
    let expected = if booked == 2 { "approved" } else { "failed" };
    scene.until_state(&id, expected).await;
    goes_on(scene).await;
}

#[tokio::test]
async fn a_terminal_that_starts_anew_says_what_it_has_booked() {
    tokio::join!(starts_anew(Tcp), starts_anew(Serial));
}

/// A shop with an HTTP terminal, whose customer takes this long.
async fn by_http(card_time: Duration) -> Scene {
    Scene::open(|folder| {
        let counter = SimulatorOptions { card_time, ..SimulatorOptions::new(folder.join("counter.jsonl")) };
        Plan::new().http("counter", counter).register("POS-01", PROJECT, "counter").terminal_lines("counter", DEADLINE)
    })
    .await
}

/// Nobody can be asked: the payment waits for a person, now and after a restart, and is told so.
async fn is_left_to_a_person(scene: Scene, id: &str) -> Scene {
    until("it is left to a person", async || scene.payment(id).await["waits_for_person"] == true).await;
    let payment = scene.payment(id).await;
    assert!(payment["incidents"].as_array().is_some_and(|incidents| !incidents.is_empty()), "{payment:#}");
    let scene = scene.restart().await;
    let again: Reply = scene.send(sale("25.90", "overdue").pressed_again(1)).await;
    check(&again, 409, "error", "document-in-doubt");
    assert_eq!(again.payment(), Some(id));
    scene
}

#[tokio::test]
async fn an_http_terminal_that_never_finishes_is_left_to_a_person() {
    let scene = by_http(Duration::ZERO).await;
    scene.premises.http["counter"].set_script(parse_script("never-answers").unwrap());
    let id = in_doubt(&scene).await;
    let scene = is_left_to_a_person(scene, &id).await;
    assert!(scene.booked("counter").is_empty());
    scene.end().await;
}

#[tokio::test]
async fn an_http_terminal_that_books_behind_the_deadline_is_left_to_a_person() {
    let scene = by_http(LATE).await;
    let id = in_doubt(&scene).await;
    let scene = is_left_to_a_person(scene, &id).await;
    until("the customer has paid, or the cut link has stopped it", async || !scene.premises.http["counter"].is_busy())
        .await;
    assert_eq!(scene.payment(&id).await["state"], "in_doubt");
    scene.end().await;
}

#[tokio::test]
async fn an_http_terminal_that_starts_anew_is_left_to_a_person() {
    let mut scene = by_http(Duration::from_millis(300)).await;
    let event = sale("25.90", "overdue");
    let terminal = scene.premises.http.remove("counter").unwrap();
    let (listen, ledger) = (terminal.addr(), terminal.ledger_path().to_owned());
    let (reply, ()) = tokio::join!(scene.send(&event), async {
        until("it is at the payment", async || terminal.money_commands() == 1).await;
        terminal.stop().await;
    });
    check(&reply, 504, "in_doubt", "in-doubt");
    let id = reply.payment().unwrap().to_owned();
    let anew = HttpSimulator::start(SimulatorOptions { listen, ..SimulatorOptions::new(ledger) }).await.unwrap();
    scene.premises.http.insert("counter".into(), anew);
    let scene = is_left_to_a_person(scene, &id).await;
    check_paid(&scene.send(sale("3.00", "next")).await, false);
    scene.end().await;
}
