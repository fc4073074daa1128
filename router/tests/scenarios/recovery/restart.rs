//! Does a payment in doubt survive a restart, and is nobody asked who was never sent it?

use std::path::Path;
use std::time::Duration;

use tillswitch::oracle;
use tillswitch::shop::Sale;
use tillswitch_zvt::simulator::{Options, Simulator};

use super::{check_approved_as_booked, check_shut, in_doubt, is_left_to_a_person, opened, pays_again, receipt, sale};
use crate::harness::{PROJECT, Scene, check, quick, send, until};

/// A shop with a payment in doubt that was booked, at a terminal that cannot be asked yet.
async fn in_the_dark() -> (Scene, String, Sale) {
    let scene = opened(|mut options| {
        options.timing.card = Duration::from_millis(400);
        Options { auto_reverse: false, ..options }
    })
    .await;
    let sale = sale();
    let (reply, ()) = tokio::join!(send(&scene.till, &sale), async {
        scene.until_busy("counter").await;
        scene.zvt("counter").listen(false).await.unwrap();
    });
    let id = in_doubt(&reply);
    until("the customer has paid", async || receipt(scene.zvt("counter"), 2590).is_some()).await;
    (scene, id, sale)
}

fn edit(config: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(config).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(config, text.replace(from, to)).unwrap();
}

async fn recovers_once(scene: &Scene) {
    assert_eq!(oracle::recovers_once(&*scene.app.life().journal).await.unwrap(), []);
}

#[tokio::test]
async fn a_payment_in_doubt_is_settled_after_the_restart() {
    let (scene, id, sale) = in_the_dark().await;
    let scene = scene.restart().await;
    assert_eq!(scene.app.recovered.in_doubt, 0, "it was in doubt before the start");
    check_shut(&send(&scene.till, Sale::new(PROJECT, "1.00", "meanwhile")).await);
    recovers_once(&scene).await;
    scene.zvt("counter").listen(true).await.unwrap();
    check_approved_as_booked(&scene, &scene.until_state(&id, "approved").await);
    recovers_once(&scene).await;
    let again = send(&scene.till, &sale).await;
    check(&again, 200, "success", "");
    assert!(again.is_replayed());
    pays_again(&scene, "next").await;
    scene.end().await;
}

#[tokio::test]
async fn a_terminal_that_is_gone_from_the_configuration_is_not_asked() {
    let (scene, id, sale) = in_the_dark().await;
    edit(&scene.premises.config, "terminals.counter", "terminals.bar");
    edit(&scene.premises.config, "terminal = \"counter\"", "terminal = \"bar\"");
    scene.zvt("counter").listen(true).await.unwrap();
    let asked = scene.zvt("counter").commands();
    let scene = scene.restart().await;
    until("a person is asked", async || scene.payment(&id).await["waits_for_person"] == true).await;
    assert_eq!(scene.zvt("counter").commands(), asked, "nobody was asked");
    recovers_once(&scene).await;
    is_left_to_a_person(&scene, &id, &sale).await;
    let mut witnesses = scene.witnesses().await.unwrap();
    // It is one terminal under two names: each payment is looked for under the one that it was sent to.
    for payment in &mut witnesses.payments {
        payment.terminal.name = "counter".into();
    }
    assert_eq!(oracle::violations(&witnesses), []);
}

#[tokio::test]
async fn a_terminal_at_another_address_is_not_asked() {
    let (scene, id, sale) = in_the_dark().await;
    let other = Simulator::start(quick(scene.folder(), "other")).await.unwrap();
    let address = scene.zvt("counter").addr().to_string();
    edit(&scene.premises.config, &address, &other.addr().to_string());
    let scene = scene.restart().await;
    until("a person is asked", async || scene.payment(&id).await["waits_for_person"] == true).await;
    assert!(other.commands().is_empty(), "{:?}", other.commands());
    recovers_once(&scene).await;
    is_left_to_a_person(&scene, &id, &sale).await;
    assert_eq!(other.money_commands(), 1, "the next payment went there");
    let mut witnesses = scene.witnesses().await.unwrap();
    witnesses.ledgers.iter_mut().for_each(|ledger| ledger.entries.extend(other.ledger()));
    assert_eq!(oracle::violations(&witnesses), []);
}

/// A restart begins to count readings anew, and comes to the same end.
#[tokio::test]
async fn readings_from_before_a_restart_do_not_count() {
    let scene = opened(|options| options).await;
    let id = super::doubt(&scene, "cut-after-command", &sale()).await;
    until("it was asked once", async || super::questions_since_the_last_payment(scene.zvt("counter")) == 1).await;
    let scene = scene.restart().await;
    scene.until_state(&id, "failed").await;
    assert!(super::questions_since_the_last_payment(scene.zvt("counter")) >= 3);
    pays_again(&scene, "next").await;
    scene.end().await;
}
