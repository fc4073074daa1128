//! Is a payment left to a person as soon as its terminal cannot prove anything?

use tillswitch_zvt::simulator::{Options, Simulator};

use super::{agree_besides, doubt, is_left_to_a_person, opened, sale, with_a_receipt};
use crate::harness::{Scene, one_register, quick};

/// The nastiest stranger: the same amount, the next receipt number.
#[tokio::test]
async fn a_sale_at_an_open_keypad_is_never_taken_for_the_payment() {
    let plan = |folder: &std::path::Path| {
        one_register(quick(folder, "counter")).terminal_lines("counter", "keypad = \"open\"")
    };
    let scene = with_a_receipt(Scene::open(plan).await).await;
    let sale = sale();
    let id = doubt(&scene, "cut-after-command", &sale).await;
    // If the terminal was asked before this, it had to say that it proves nothing, because the keypad is open.
    let keyed_in = scene.zvt("counter").keypad_sale(2590).unwrap();
    is_left_to_a_person(&scene, &id, &sale).await;
    agree_besides(&scene, &[keyed_in]).await;
}

#[tokio::test]
async fn a_receipt_number_that_does_not_follow_decides_nothing() {
    let mut scene = opened(|options| options).await;
    let sale = sale();
    let id = doubt(&scene, "cut-after-command", &sale).await;
    // Somebody pulls the plug, and pays twice before the router registers again.
    let old = scene.premises.zvt.remove("counter").unwrap();
    let listen = old.addr();
    old.stop().await;
    let booted = Simulator::start(Options { listen, ..quick(scene.folder(), "counter") }).await.unwrap();
    let keyed_in = [booted.keypad_sale(2590).unwrap(), booted.keypad_sale(2590).unwrap()];
    scene.premises.zvt.insert("counter".into(), booted);
    is_left_to_a_person(&scene, &id, &sale).await;
    agree_besides(&scene, &keyed_in).await;
}

#[tokio::test]
async fn another_terminal_at_the_address_is_not_believed() {
    let scene = opened(|options| Options { auto_reverse: true, ..options }).await;
    let sale = sale();
    // It presents itself as another one from the end of this payment on.
    let id = doubt(&scene, "cut-after-ack,wrong-id", &sale).await;
    is_left_to_a_person(&scene, &id, &sale).await;
    scene.end().await;
}

#[tokio::test]
async fn a_terminal_that_does_not_tell_its_last_booking_decides_nothing() {
    let scene = opened(|options| options).await;
    let sale = sale();
    let id = doubt(&scene, "cut-after-ack,no-06-20", &sale).await;
    is_left_to_a_person(&scene, &id, &sale).await;
    scene.end().await;
}
