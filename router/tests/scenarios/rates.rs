//! Is a flood told to wait, and nobody locked out by it?

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::HeaderMap;
use tillswitch::intake::signature::sign;
use tillswitch::shop::{Sale, Till};
use tillswitch_core::Secret;

use crate::desk::metric;
use crate::harness::*;
use crate::reload::{edit, reload};

const KEY: &str = "the-key-of-more-than-twenty-letters";
const REJECTED: &str = "tillswitch_webhook_rejected_total{reason=\"overloaded\"}";

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

fn signed(key: &str, body: &str, time: i64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("xentral-signature", sign(&Secret::new(key), body.as_bytes(), time).parse().unwrap());
    headers.insert("xentral-request-timestamp", time.to_string().parse().unwrap());
    headers
}

async fn with_key() -> Scene {
    let lines = format!("signature_keys = [{KEY:?}]");
    Scene::open(|folder| one_register(quick(folder, "counter")).webhook_lines(&lines)).await
}

/// The point of sale calls from the same address as whoever floods, as behind one tunnel.
#[tokio::test]
async fn bad_signatures_are_told_to_wait_and_good_ones_never() {
    let scene = with_key().await;
    let body: String = sale("1.00", "1").into();
    let mut answers = Vec::new();
    for number in 0..40 {
        let mut headers = signed("another key", &body, now());
        // What a sender says of itself changes nothing.
        headers.insert("x-forwarded-for", format!("192.0.2.{number}").parse().unwrap());
        headers.insert("x-real-ip", format!("192.0.2.{number}").parse().unwrap());
        answers.push(scene.till.send_with(body.clone(), headers).await.unwrap());
    }
    assert!(answers[..20].iter().all(|reply| reply.status == 401));
    let last = &answers[39];
    check(last, 429, "error", "too-many");
    assert!(last.headers.get("retry-after").is_some());
    let refused = answers.iter().filter(|reply| reply.status == 429).count();
    assert_eq!(metric(&scene, REJECTED).await, Some(refused as f64));

    // A large body is not looked at, even if its signature is good; one of the usual size is.
    let large = format!("{}{}", " ".repeat(8 * 1024), body);
    check(&scene.till.send_with(large.clone(), signed(KEY, &large, now())).await.unwrap(), 429, "error", "too-many");
    assert_eq!(scene.payments().await, 0);
    check_paid(&scene.till.send_with(body.clone(), signed(KEY, &body, now())).await.unwrap(), false);

    // From now on the address is known: everything of it is looked at, and a bad signature is called that.
    check_paid(&scene.till.send_with(large.clone(), signed(KEY, &large, now())).await.unwrap(), true);
    let bad = scene.till.send_with(body.clone(), signed("another key", &body, now())).await.unwrap();
    check(&bad, 401, "error", "bad-signature");
    scene.end().await;
}

#[tokio::test]
async fn a_register_with_too_many_new_payments_is_told_to_wait_and_repeats_are_answered() {
    let lines = "new_payments_per_second = 1";
    let scene =
        Scene::open(|folder| two_registers(quick(folder, "counter"), quick(folder, "bar")).webhook_lines(lines)).await;
    let first = sale("1.00", "0");
    let mut refused = None;
    let mut paid = 0;
    while refused.is_none() {
        let event = if paid == 0 { first.clone() } else { sale("1.00", &paid.to_string()) };
        let reply = scene.send(&event).await;
        match reply.status {
            429 => refused = Some((event, reply)),
            _ => check_paid(&reply, false),
        }
        paid += usize::from(refused.is_none());
        assert!(paid < 60, "nothing is ever refused");
    }
    let (event, reply) = refused.unwrap();
    check(&reply, 429, "error", "too-many");
    assert!(reply.headers.get("retry-after").is_some() && reply.payment().is_none(), "{}", reply.text);
    assert!(paid >= 5 && scene.payments().await == paid, "nothing of it is written down");
    assert!(metric(&scene, REJECTED).await.unwrap() >= 1.0);
    for _ in 0..20 {
        check_paid(&scene.send(&first).await, true);
    }
    check_paid(&scene.send(Sale::new(PROJECT_2, "1.00", "other register")).await, false);
    // It kept no key, so it may come again.
    until("it is let through", async || scene.send(&event).await.status == 200).await;
    assert_eq!(scene.booked("counter").len(), paid + 1);
    scene.end().await;
}

/// The key that a running payment was signed with is taken away: its answer comes all the same.
#[tokio::test]
async fn a_key_is_removed_while_its_payment_runs() {
    let keys = format!("signature_keys = [{KEY:?}, \"the-older-key-of-some-length\"]");
    let scene =
        Scene::open(|folder| one_register(slow(folder, "counter", Duration::from_millis(400))).webhook_lines(&keys))
            .await;
    let till = |key: &str| Till::new(scene.app.public, "/webhook/pos-payment").signing(Secret::new(key));
    let old = till("the-older-key-of-some-length");
    let (reply, ()) = tokio::join!(send(&old, sale("25.90", "1")), async {
        scene.until_busy("counter").await;
        edit(&scene, &[(&keys, &format!("signature_keys = [{KEY:?}]"))]);
        reload(&scene).await;
        check(&send(&old, sale("25.90", "1")).await, 401, "error", "bad-signature");
    });
    check_paid(&reply, false);
    check_paid(&send(&till(KEY), sale("1.00", "2")).await, false);
    let counted = |key: u8| format!("tillswitch_webhook_signatures_total{{key=\"{key}\"}}");
    assert_eq!(metric(&scene, &counted(1)).await, Some(1.0));
    assert_eq!(scene.booked("counter"), [2590, 100]);
    scene.end().await;
}

/// A captured webhook, sent again after a restart, byte for byte.
#[tokio::test]
async fn a_replay_after_a_restart_gets_the_same_answer_and_books_nothing() {
    let scene = with_key().await;
    let body: String = sale("25.90", "1").into();
    let captured = signed(KEY, &body, now());
    let first = scene.till.send_with(body.clone(), captured.clone()).await.unwrap();
    check_paid(&first, false);
    let scene = scene.restart().await;
    for _ in 0..3 {
        let again = scene.till.send_with(body.clone(), captured.clone()).await.unwrap();
        check_paid(&again, true);
        assert_eq!(again.payment(), first.payment());
    }
    assert_eq!(scene.booked("counter"), [2590]);
    scene.end().await;
}

/// Five minutes either way, by the clock that was signed.
#[tokio::test]
async fn a_signature_is_good_for_five_minutes_either_way() {
    let scene = with_key().await;
    for (seconds, good) in [(-299, true), (-301, false), (299, true), (302, false)] {
        let body: String = sale("1.00", &format!("signed {seconds}")).into();
        let reply = scene.till.send_with(body.clone(), signed(KEY, &body, now() + seconds)).await.unwrap();
        match good {
            true => check_paid(&reply, false),
            false => check(&reply, 409, "error", "too-old"),
        }
    }
    assert_eq!(scene.booked("counter").len(), 2);
    scene.end().await;
}
