//! Are payments made over an encrypted line, and none over one that cannot be trusted?

use std::path::Path;

use rcgen::generate_simple_self_signed;
use tillswitch::shop::Plan;
use tillswitch_zvt::simulator::Encryption;

use crate::desk::order;
use crate::harness::*;

/// A terminal with a certificate that it made for itself, and a router that believes the one in `terminal.pem`.
fn encrypted(folder: &Path, believed: impl FnOnce(String) -> String) -> Plan {
    let made = generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let mut counter = quick(folder, "counter");
    counter.encryption = Some(Encryption::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap());
    std::fs::write(folder.join("terminal.pem"), believed(certificate)).unwrap();
    one_register(counter).terminal_lines("counter", "tls = true\nca = \"terminal.pem\"")
}

#[tokio::test]
async fn a_payment_is_made_over_an_encrypted_line() {
    let mut scene = Scene::open(|folder| encrypted(folder, |certificate| certificate)).await;
    check_paid(&scene.send(sale("25.90", "1")).await, false);
    scene = scene.restart().await;
    check_paid(&scene.send(sale("4.00", "2")).await, false);
    assert_eq!(order(&scene, "terminals/counter/end-of-day").await.status, 200);
    assert_eq!(scene.booked("counter"), [2590, 400]);
    scene.end().await;
}

#[tokio::test]
async fn an_encrypted_payment_in_doubt_is_resolved() {
    let scene = Scene::open(|folder| encrypted(folder, |certificate| certificate)).await;
    check_paid(&scene.send(sale("1.00", "1")).await, false);
    scene.zvt("counter").set_script(steps("cut-after-ack"));
    let doubtful = scene.send(sale("25.90", "2")).await;
    check(&doubtful, 504, "in_doubt", "in-doubt");
    scene.until_state(doubtful.payment().unwrap(), "approved").await;
    scene.end().await;
}

#[tokio::test]
async fn nothing_is_sent_to_a_terminal_that_is_not_believed() {
    let other = || generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap().cert.pem();
    let scene = Scene::open(|folder| encrypted(folder, |_| other())).await;
    let refused = scene.send(sale("25.90", "1")).await;
    check(&refused, 502, "error", "terminal-unreachable");
    assert!(refused.body["message"].as_str().unwrap().contains("certificate"), "{}", refused.text);
    assert_eq!(scene.zvt("counter").commands(), Vec::<String>::new());
    scene.end().await;
}
