//! What becomes of a payment in doubt at a terminal that cannot be asked?

use tillswitch::shop::Plan;
use tillswitch_http::simulator::{SimulatorOptions, Step};

use super::{in_doubt, is_left_to_a_person, sale};
use crate::harness::{PROJECT, Scene, send};

async fn doubt(step: Step, is_booked: bool) {
    let scene = Scene::open(|folder| {
        let options = SimulatorOptions { script: vec![step], ..SimulatorOptions::new(folder.join("counter.jsonl")) };
        Plan::new().http("counter", options).register("POS-01", PROJECT, "counter")
    })
    .await;
    let sale = sale();
    let id = in_doubt(&send(&scene.till, &sale).await);
    is_left_to_a_person(&scene, &id, &sale).await;
    assert_eq!(scene.booked("counter").contains(&2590), is_booked);
    let payment = scene.payment(&id).await;
    assert_eq!(super::states(&payment).iter().filter(|state| **state == "dispatched").count(), 1);
    scene.end().await;
}

#[tokio::test]
async fn a_link_that_breaks_after_the_booking_leaves_it_to_a_person() {
    doubt(Step::CutAfterBooking, true).await;
}

#[tokio::test]
async fn a_link_that_breaks_before_the_booking_leaves_it_to_a_person() {
    doubt(Step::CutBeforeBooking, false).await;
}

#[tokio::test]
async fn a_failure_of_the_terminal_after_the_booking_leaves_it_to_a_person() {
    doubt(Step::ErrorAfterBooking, true).await;
}
