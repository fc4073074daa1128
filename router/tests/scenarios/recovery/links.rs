//! What becomes of a payment whose link breaks, at every place where it can?

use std::net::SocketAddr;
use std::time::Duration;

use tillswitch::shop::{Plan, Sale};
use tillswitch_zvt::simulator::Options;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{
    check_approved_as_booked, check_shut, doubt, in_doubt, opened, pays_again, questions_since_the_last_payment,
    receipt, sale, states, with_a_receipt,
};
use crate::harness::{PROJECT, Scene, check, quick, send, until};

/// Cuts the link at a step behind the booking, and compares with what the terminal made of it.
async fn cut(step: &str, auto_reverse: bool, stands: bool) {
    let scene = opened(|options| Options { auto_reverse, ..options }).await;
    let sale = sale();
    let id = doubt(&scene, step, &sale).await;
    let acknowledged = step == "cut-after-ack";
    if !acknowledged {
        // Two readings with a pause between them: the door is shut for seconds.
        check_shut(&send(&scene.till, Sale::new(PROJECT, "1.00", "meanwhile")).await);
    }
    until("the payment is settled", async || scene.payment(&id).await["state"] != "in_doubt").await;
    let questions = questions_since_the_last_payment(scene.zvt("counter"));
    // What was not acknowledged may still be taken back when it is read for the first time.
    assert_eq!(questions, if acknowledged { 1 } else { 2 }, "{step}");
    let payment = scene.payment(&id).await;
    let again = send(&scene.till, &sale).await;
    assert!(again.is_replayed(), "{step}");
    if stands {
        check_approved_as_booked(&scene, &payment);
        check(&again, 200, "success", "");
    } else {
        assert_eq!((payment["state"].as_str(), receipt(scene.zvt("counter"), 2590)), (Some("failed"), None), "{step}");
        check(&again, 502, "error", "terminal-unreachable");
    }
    pays_again(&scene, "next").await;
    scene.end().await;
}

/// Side by side, because most of it is waiting.
#[tokio::test]
async fn cuts_after_the_booking_at_a_terminal_that_keeps_it() {
    tokio::join!(
        cut("cut-before-result", false, true),
        cut("cut-after-result", false, true),
        cut("cut-after-ack", false, true)
    );
}

/// What was acknowledged stands there as well.
#[tokio::test]
async fn cuts_after_the_booking_at_a_terminal_that_reverses_what_is_not_acknowledged() {
    tokio::join!(
        cut("cut-before-result", true, false),
        cut("cut-after-result", true, false),
        cut("cut-after-ack", true, true)
    );
}

#[tokio::test]
async fn a_terminal_that_cannot_be_asked_takes_nothing_until_it_was() {
    let card = Duration::from_millis(400);
    let scene = opened(|mut options| {
        options.timing.card = card;
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
    let commands = scene.zvt("counter").money_commands();
    for document in ["second", "third"] {
        check_shut(&send(&scene.till, Sale::new(PROJECT, "1.00", document)).await);
    }
    assert_eq!(scene.payments().await, 2, "nothing was journalled as started");
    assert_eq!(scene.payment(&id).await["state"], "in_doubt");
    scene.zvt("counter").listen(true).await.unwrap();
    check_approved_as_booked(&scene, &scene.until_state(&id, "approved").await);
    assert_eq!(scene.zvt("counter").money_commands(), commands, "asking only reads");
    check(&send(&scene.till, &sale).await, 200, "success", "");
    pays_again(&scene, "second").await;
    scene.end().await;
}

#[tokio::test]
async fn a_command_that_arrived_and_booked_nothing_has_failed_after_two_readings() {
    let scene = opened(|options| options).await;
    let id = doubt(&scene, "cut-after-command", &sale()).await;
    check_shut(&send(&scene.till, Sale::new(PROJECT, "1.00", "meanwhile")).await);
    let payment = scene.until_state(&id, "failed").await;
    assert_eq!(questions_since_the_last_payment(scene.zvt("counter")), 2);
    assert_eq!(states(&payment), ["received", "dispatched", "in_doubt", "failed"]);
    // Proof that nothing was paid: the cashier may press again.
    check(&send(&scene.till, sale().pressed_again(1)).await, 200, "success", "");
    scene.end().await;
}

/// Without a receipt number to compare with, nothing proves that nothing was booked.
#[tokio::test]
async fn a_terminal_without_any_booking_proves_nothing() {
    let scene = Scene::open(|folder| crate::harness::one_register(quick(folder, "counter"))).await;
    let sale = sale();
    let id = doubt(&scene, "cut-after-command", &sale).await;
    super::is_left_to_a_person(&scene, &id, &sale).await;
    scene.end().await;
}

/// A line between the router and a terminal that swallows the next authorization and breaks.
struct Line {
    address: SocketAddr,
    swallow: watch::Sender<bool>,
}

impl Line {
    async fn to(terminal: watch::Receiver<Option<SocketAddr>>) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (swallow, swallows) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((router, _)) = listener.accept().await {
                let terminal = (*terminal.borrow()).expect("the terminal was started");
                tokio::spawn(carry(router, terminal, swallows.clone()));
            }
        });
        Line { address, swallow }
    }
}

async fn carry(router: TcpStream, terminal: SocketAddr, swallow: watch::Receiver<bool>) {
    let terminal = TcpStream::connect(terminal).await.unwrap();
    let (mut from_router, mut to_router) = router.into_split();
    let (mut from_terminal, mut to_terminal) = terminal.into_split();
    let back = tokio::spawn(async move { copy(&mut from_terminal, &mut to_router).await });
    let mut bytes = [0; 2048];
    while let Ok(length @ 1..) = from_router.read(&mut bytes).await {
        if *swallow.borrow() && bytes.starts_with(&[0x06, 0x01]) {
            break;
        }
        if to_terminal.write_all(&bytes[..length]).await.is_err() {
            break;
        }
    }
    back.abort();
}

#[tokio::test]
async fn a_command_that_was_lost_on_its_way_has_failed_after_two_readings() {
    let (address, terminal) = watch::channel(None);
    let line = Line::to(terminal).await;
    let table = format!("[terminals.counter]\ndriver = \"zvt-tcp\"\naddress = \"{}\"", line.address);
    let scene = Scene::open(|folder| {
        // The register's terminal is the line; the simulated one behind it goes by another name and has no register.
        Plan::new().zvt("behind", quick(folder, "counter")).other_lines(&table).register("POS-01", PROJECT, "counter")
    })
    .await;
    address.send_replace(Some(scene.zvt("behind").addr()));
    let scene = with_a_receipt(scene).await;
    line.swallow.send_replace(true);
    let id = in_doubt(&send(&scene.till, sale()).await);
    line.swallow.send_replace(false);
    assert_eq!(scene.zvt("behind").money_commands(), 1, "the second command never arrived");
    let payment = scene.until_state(&id, "failed").await;
    assert_eq!(payment["result"]["code"], "terminal-unreachable", "{payment}");
    pays_again(&scene, "next").await;
    let mut witnesses = scene.witnesses().await.unwrap();
    witnesses.ledgers.iter_mut().for_each(|ledger| ledger.terminal = "counter".into());
    assert_eq!(tillswitch::oracle::violations(&witnesses), []);
}
