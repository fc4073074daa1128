//! Does the payload of Xentral's guide become one payment, however often it comes?

use hyper::HeaderMap;
use tillswitch::intake::signature::sign;
use tillswitch_core::Secret;

use crate::harness::*;

/// As it stands in the guide.
const GUIDE: &str = r#"{
  "operation": "sale",
  "project": {
    "id": "3f942a4b-728c-4c1b-8c7c-3499f28744a1",
    "number": "POS-01"
  },
  "currency": "EUR",
  "amount": 25.90,
  "documentNumber": "40001234",
  "documentType": "invoice",
  "createdAt": "2025-06-11T15:32:00+02:00"
}"#;

/// What Xentral sends since July 2025, in its envelope.
const SECOND_GENERATION: &str = r#"{
  "type": "com.xentral.pos.cardPaymentCaptured.v1",
  "body": {
    "guid": "0197f1f4-6d2e-7d5b-9d39-0c5d5a1c4b11",
    "operation": "sell",
    "project": { "id": 42 },
    "currency": "EUR",
    "totalAmount": 27.5,
    "tip": 1.6,
    "paymentMethod": "creditcard",
    "documentNumber": "40001235",
    "documentType": "invoice",
    "settings": { "terminalMode": "send_and_receive_automatic" },
    "createdAt": "2026-08-18T09:12:44+00:00",
    "somethingNew": [1, { "two": 2 }]
  }
}"#;

#[tokio::test]
async fn it_is_paid_once_and_a_second_delivery_gets_the_same_answer() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    let first = scene.send(GUIDE).await;
    check_paid(&first, false);
    assert_eq!(scene.booked("counter"), [2590]);
    let payment = &first.body["payment"];
    assert_eq!(payment["amount"], "25.90");
    assert_eq!((&payment["register"], &payment["terminal"]), (&"POS-01".into(), &"counter".into()));
    assert_eq!(payment["document"]["number"], "40001234");
    assert_eq!(first.body["message"], "Payment processed successfully");
    assert!(first.body["terminal_response"].is_object(), "{}", first.text);

    let second = scene.send(GUIDE).await;
    check_paid(&second, true);
    assert_eq!(second.body, first.body);
    assert_eq!(scene.booked("counter"), [2590]);
    assert_eq!(scene.payments().await, 1);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_at_once_are_one_booking() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    let replies = all((0..100).map(|_| scene.send(GUIDE))).await;
    for reply in &replies {
        assert_eq!((reply.status, &reply.body), (200, &replies[0].body));
    }
    assert_eq!(replies.iter().filter(|reply| reply.is_replayed()).count(), 99, "all but the one that started it");
    assert_eq!(scene.booked("counter"), [2590]);
    assert_eq!(scene.zvt("counter").money_commands(), 1);
    scene.end().await;
}

#[tokio::test]
async fn the_second_generation_is_paid_in_its_envelope() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter")).register("POS-42", "42", "counter")).await;
    let first = scene.send(SECOND_GENERATION).await;
    check_paid(&first, false);
    assert_eq!(first.body["payment"]["register"], "POS-42");
    assert_eq!(first.body["payment"]["tip_minor"], 160);
    check_paid(&scene.send(SECOND_GENERATION).await, true);
    assert_eq!(scene.booked("counter"), [2750], "the total contains the tip unless configured otherwise");
    scene.end().await;
}

#[tokio::test]
async fn either_of_two_keys_may_sign_it() {
    let keys = ["the key of last year", "the key of this year"];
    let lines = format!("signature_keys = [{:?}, {:?}]\nmax_age = \"off\"", keys[0], keys[1]);
    let scene = Scene::open(|folder| one_register(quick(folder, "counter")).webhook_lines(&lines)).await;
    for (place, key) in keys.into_iter().enumerate() {
        let body = GUIDE.replace("40001234", &format!("4000123{place}"));
        let first = scene.till.send_with(body.clone(), signed(key, &body)).await.unwrap();
        check_paid(&first, false);
        let second = scene.till.send_with(body.clone(), signed(keys[1 - place], &body)).await.unwrap();
        check_paid(&second, true);
    }
    assert_eq!(scene.booked("counter"), [2590, 2590]);
    scene.end().await;
}

fn signed(key: &str, body: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("xentral-signature", sign(&Secret::new(key), body.as_bytes(), 1_716_910_210).parse().unwrap());
    headers.insert("xentral-request-timestamp", "1716910210".parse().unwrap());
    headers
}
