//! Does the payload of Xentral's guide become one payment, however often it comes?

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_paid_once_and_a_second_delivery_gets_the_same_answer() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    let first = send(&scene.till, GUIDE).await;
    assert_eq!((first.status, first.word()), (200, "success"), "{}", first.text);
    assert!(!first.is_replayed());
    assert_eq!(scene.booked("counter"), [2590]);

    let second = send(&scene.till, GUIDE).await;
    assert_eq!((second.status, &second.body), (200, &first.body));
    assert!(second.is_replayed());
    assert_eq!(scene.booked("counter"), [2590]);
    scene.end().await;
}
