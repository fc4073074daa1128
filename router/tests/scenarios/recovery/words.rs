//! Is what a terminal says, takes back or never says understood as what it is?

use std::path::Path;
use std::time::Duration;

use tillswitch::shop::{Plan, Sale};
use tillswitch_zvt::Timing;
use tillswitch_zvt::simulator::Options;

use super::{
    check_approved_as_booked, check_shut, doubt, is_left_to_a_person, opened, pays_again, receipt, sale, states,
    with_a_receipt,
};
use crate::harness::{PROJECT, Scene, check, drivers, one_register, patient, quick, send, steps};

/// Timers that run out at once where the terminal keeps silent.
fn impatient() -> Timing {
    let short = Duration::from_millis(300);
    Timing { answer: short, completion: short, ..patient() }
}

async fn silence(script: &str) {
    let plan = |folder: &Path| one_register(quick(folder, "counter"));
    let scene = with_a_receipt(Scene::open_with(plan, drivers(impatient())).await).await;
    let id = doubt(&scene, script, &sale()).await;
    check_shut(&send(&scene.till, Sale::new(PROJECT, "1.00", "meanwhile")).await);
    // Two readings prove it; silence alone never did.
    let payment = scene.until_state(&id, "failed").await;
    assert_eq!(states(&payment), ["received", "dispatched", "in_doubt", "failed"], "{script}");
    pays_again(&scene, "next").await;
    scene.end().await;
}

/// Neither the command's answer nor the payment's end comes. Side by side, because most of it is waiting.
#[tokio::test]
async fn silence_is_in_doubt_and_never_a_decline() {
    tokio::join!(silence("silent"), silence("silent-after-start"));
}

#[tokio::test]
async fn an_acknowledged_booking_without_completion_is_in_doubt_at_the_deadline_and_then_approved() {
    let plan = |folder: &Path| -> Plan {
        one_register(quick(folder, "counter")).terminal_lines("counter", "payment_deadline = \"1s\"")
    };
    let scene = with_a_receipt(Scene::open(plan).await).await;
    let id = doubt(&scene, "no-completion", &sale()).await;
    check_approved_as_booked(&scene, &scene.until_state(&id, "approved").await);
    pays_again(&scene, "next").await;
    scene.end().await;
}

#[tokio::test]
async fn an_approval_that_is_taken_back_is_in_doubt_until_the_terminal_was_asked() {
    let scene = opened(|options| options).await;
    let id = doubt(&scene, "approve-then-reverse", &sale()).await;
    let payment = scene.until_state(&id, "failed").await;
    assert_eq!(states(&payment), ["received", "dispatched", "in_doubt", "failed"]);
    assert_eq!(receipt(scene.zvt("counter"), 2590), None);
    pays_again(&scene, "next").await;
    scene.end().await;
}

/// Here the number of the booking is spent, so that a reading proves nothing.
#[tokio::test]
async fn an_approval_that_is_taken_back_under_its_own_number_is_left_to_a_person() {
    let scene = opened(|options| Options { reuses_numbers: false, ..options }).await;
    let sale = sale();
    let id = doubt(&scene, "approve-then-reverse", &sale).await;
    is_left_to_a_person(&scene, &id, &sale).await;
    scene.end().await;
}

/// The driver waits longer for the PIN than the silence after which it asks.
#[tokio::test]
async fn a_failure_then_the_right_pin_is_an_approval() {
    let scene = opened(|mut options| {
        options.timing.pin_entry = Duration::from_millis(700);
        options
    })
    .await;
    scene.zvt("counter").set_script(steps("pin-retry"));
    let reply = send(&scene.till, sale()).await;
    check(&reply, 200, "success", "");
    assert_eq!(reply.body["payment"]["result"]["receipt_number"], receipt(scene.zvt("counter"), 2590).unwrap());
    scene.end().await;
}
