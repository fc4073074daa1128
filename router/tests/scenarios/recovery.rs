//! Does a payment in doubt become what its terminal says, and nothing else?

mod disk;
mod drivers;
mod http;
mod links;
mod restart;
mod strangers;
mod words;

use std::path::Path;

use serde_json::Value;
use tillswitch::oracle;
use tillswitch::shop::{Reply, Sale};
use tillswitch_core::ledger::standing;
use tillswitch_zvt::simulator::{Options, Simulator};

use crate::harness::{PROJECT, Scene, check, one_register, quick, send, steps, until};

/// A shop with one terminal, and one payment that it approved: from then on there is a receipt number to remember.
async fn opened(counter: impl FnOnce(Options) -> Options) -> Scene {
    let plan = |folder: &Path| one_register(counter(quick(folder, "counter")));
    with_a_receipt(Scene::open(plan).await).await
}

async fn with_a_receipt(scene: Scene) -> Scene {
    check(&send(&scene.till, Sale::new(PROJECT, "10.00", "first")).await, 200, "success", "");
    scene
}

/// The sale that everything here is about.
fn sale() -> Sale {
    Sale::new(PROJECT, "25.90", "40001234")
}

/// Sends a sale that goes as the script says and ends in doubt. The payment's id.
async fn doubt(scene: &Scene, script: &str, sale: &Sale) -> String {
    scene.zvt("counter").set_script(steps(script));
    in_doubt(&send(&scene.till, sale).await)
}

/// The id of a payment that was answered as in doubt.
#[track_caller]
fn in_doubt(reply: &Reply) -> String {
    check(reply, 504, "in_doubt", "in-doubt");
    reply.payment().expect("an answer in doubt names its payment").to_owned()
}

/// The terminal takes nothing now, and the request may come again.
#[track_caller]
fn check_shut(reply: &Reply) {
    check(reply, 503, "error", "terminal-in-doubt");
    assert!(reply.headers.contains_key("retry-after"), "{:?}", reply.headers);
    assert_eq!(reply.payment(), None, "nothing was begun");
}

/// A new document is paid as soon as the terminal takes payments again.
async fn pays_again(scene: &Scene, document: &str) {
    let sale = Sale::new(PROJECT, "3.00", document);
    until("the terminal takes the next payment", async || {
        let reply = send(&scene.till, &sale).await;
        assert!(matches!(reply.status, 200 | 503), "{}", reply.text);
        reply.status == 200
    })
    .await;
}

/// The receipt number of the only standing booking of this amount.
fn receipt(terminal: &Simulator, minor: u64) -> Option<String> {
    let entries = terminal.ledger();
    let mut found = standing(&entries).into_iter().filter(|entry| entry.amount.minor() == minor);
    let receipt = found.next().map(|entry| entry.receipt_number.clone());
    assert!(found.next().is_none(), "booked more than once: {entries:?}");
    receipt
}

/// The payment ended as approved with the ledger's receipt number.
fn check_approved_as_booked(scene: &Scene, payment: &Value) {
    let booked = receipt(scene.zvt("counter"), 2590).expect("the booking stands");
    assert_eq!(payment["state"], "approved", "{payment}");
    assert_eq!(payment["result"]["receipt_number"], booked.as_str(), "{payment}");
}

/// Every state that a payment was in.
fn states(payment: &Value) -> Vec<&str> {
    let transitions = payment["transitions"].as_array().expect("a payment has a history");
    transitions.iter().filter_map(|transition| transition["state"].as_str()).collect()
}

/// How often the terminal was asked for its last booking since its last money command.
fn questions_since_the_last_payment(terminal: &Simulator) -> usize {
    let commands = terminal.commands();
    commands.iter().rev().take_while(|command| *command != "06 01").filter(|command| *command == "06 20").count()
}

/// The payment waits for a person, its terminal is free for others, and its document is not.
async fn is_left_to_a_person(scene: &Scene, id: &str, sale: &Sale) {
    until("a person is asked", async || scene.payment(id).await["waits_for_person"] == true).await;
    let payment = scene.payment(id).await;
    assert_eq!(payment["state"], "in_doubt", "{payment}");
    pays_again(scene, "next").await;
    let again = send(&scene.till, sale.pressed_again(1)).await;
    check(&again, 409, "error", "document-in-doubt");
    assert_eq!(again.payment(), Some(id));
    let repeated = send(&scene.till, sale).await;
    assert_eq!((in_doubt(&repeated).as_str(), repeated.is_replayed()), (id, true));
}

/// Nothing contradicts anything, besides what somebody keyed in at the terminal: no router knows of that.
async fn agree_besides(scene: &Scene, keyed_in: &[String]) {
    let mut witnesses = scene.witnesses().await.unwrap();
    for ledger in &mut witnesses.ledgers {
        ledger.entries.retain(|entry| !keyed_in.contains(&entry.receipt_number));
    }
    let violations = oracle::violations(&witnesses);
    assert!(violations.is_empty(), "{violations:#?}");
}
