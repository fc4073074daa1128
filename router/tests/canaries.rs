//! Does a card number or a secret come out anywhere, whoever puts one in wherever?
//!
//! Five thousand card numbers, the same in every run, go through a running router that logs all it can: in every field of a
//! webhook that nobody should read, in every field of a ZVT terminal's and an HTTP terminal's answers, on slips, in every form.
//! Then everything that the router tells and keeps is searched for twelve digits in a row of any of them.
//!
//! Deliberately not searched for: a document's number, a guid and a project, which the shop itself sent as such and which must
//! stay what they are, and the digits of a number that a slip prints in hexadecimal, which no terminal does.

#![allow(clippy::unwrap_used)]

#[path = "canaries/http.rs"]
mod http;
#[path = "canaries/numbers.rs"]
mod numbers;
#[path = "canaries/router.rs"]
mod router;
#[path = "canaries/zvt.rs"]
mod zvt;

use std::sync::{Arc, Mutex};

use hyper::HeaderMap;
use numbers::{Finder, Numbers};
use router::{KEY, PASSWORD, Router, TOKEN};
use serde_json::{Value, json};
use tillswitch::shop::Sale;

const POS_1: &str = "3f942a4b-728c-4c1b-8c7c-3499f28744a1";
const POS_2: &str = "00000000-0000-0000-0000-000000000002";

/// The numbers that are still to be put somewhere.
type Pool = Arc<Mutex<Numbers>>;

fn number(pool: &Pool) -> String {
    pool.lock().unwrap().next()
}

fn printed(pool: &Pool) -> String {
    pool.lock().unwrap().printed()
}

fn in_any_form(pool: &Pool) -> String {
    pool.lock().unwrap().in_any_form()
}

/// Texts by where they come from.
type Told = Vec<(String, String)>;

/// A sale with card numbers wherever a sender could put them and nobody reads them.
fn sale(pool: &Pool, project: &str, document: usize) -> Sale {
    let any = || Value::String(in_any_form(pool));
    let digits = || number(pool).parse::<u64>().unwrap();
    let named = number(pool);
    Sale::new(project, "25.90", &format!("RE-{document}"))
        .with("cardNumber", any())
        .with("pan", digits())
        .with("note", format!("Karte {}, sonst {}", number(pool), in_any_form(pool)))
        .with("paymentMethod", any())
        .with("merchant", json!({ "name": any(), "city": [any(), { "deep": any() }], "id": digits() }))
        .with("card", json!({ "number": any(), "track2": format!("{}=25121010000012", number(pool)), "cvv": "123" }))
        .with(&named, any())
        .with("settings", json!({ "terminalMode": any() }))
        .with("lines", json!([any(), any(), any(), digits(), { "a": any(), "b": any() }]))
}

/// Events that are refused because of what stands where something else is expected.
fn spoilt(pool: &Pool) -> Vec<String> {
    let good = |document| sale(pool, POS_1, document);
    let any = || in_any_form(pool);
    let digits = || number(pool).parse::<u64>().unwrap();
    let mut spoilt: Vec<String> = vec![
        good(9001).with("amount", any()).into(),
        good(9002).with("amount", json!({ "a": digits() })).into(),
        good(9003).with("totalAmount", any()).without("amount").into(),
        good(9004).with("tip", any()).into(),
        good(9005).with("currency", any()).into(),
        good(9006).with("operation", any()).into(),
        good(9007).with("createdAt", any()).into(),
        good(9008).with("guid", json!([any()])).into(),
        good(9009).with("documentNumber", json!({ "a": any() })).into(),
        good(9010).with("documentType", json!([digits()])).into(),
        good(9011).with("project", any()).into(),
        good(9012).with("project", json!({ "id": any() })).into(),
        good(9013).with("project", json!({ "id": digits(), "number": any() })).into(),
        good(9014).with("project", json!({ "id": [any()] })).into(),
        json!({ "type": any(), "body": { "operation": "sale", "amount": any() } }).to_string(),
        json!({ "type": any(), "body": { "id": any() } }).to_string(),
        json!({ "type": digits() }).to_string(),
        json!({ "type": format!("{}.pos.cardPaymentCaptured.v1", number(pool)), "body": good(9015).json }).to_string(),
    ];
    let twice = number(pool);
    spoilt.push(format!("{{\"{twice}\":1,\"{twice}\":2}}"));
    spoilt.push(format!("{{\"a\": {}", number(pool)));
    spoilt.push(any());
    spoilt
}

/// What the router tells everybody who asks it.
async fn everything_told(router: &Router, payments: &[String]) -> Told {
    let mut told = router.get_everything(payments).await;
    for arguments in [&["payments", "--json"][..], &["payments"], &["terminals"], &["check"], &["check", "--json"]] {
        told.push((arguments.join(" "), router.run(arguments)));
    }
    for id in payments.iter().take(10) {
        told.push((format!("payments {id}"), router.run(&["payments", id])));
        told.push((format!("payments {id} --json"), router.run(&["payments", id, "--json"])));
    }
    told
}

#[track_caller]
fn search(finder: &Finder, told: &Told) {
    let mut finds = Vec::new();
    for (place, text) in told {
        finds.extend(
            [KEY, TOKEN].iter().filter(|secret| text.contains(**secret)).map(|secret| format!("{place}: {secret}")),
        );
        finds.extend(finder.find(text).map(|found| format!("{place}: {found}")));
    }
    assert!(
        finds.is_empty(),
        "{} finds:\n{}",
        finds.len(),
        finds.iter().take(20).cloned().collect::<Vec<_>>().join("\n\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_card_numbers_nor_secrets_come_out_anywhere() {
    let pool: Pool = Arc::new(Mutex::new(Numbers::new()));
    let (counter, bar) = (zvt::start(pool.clone()).await, http::start(pool.clone()).await);
    let router = Router::start(&counter, &bar, POS_1, POS_2).await;
    let events = router.listen().await;
    let mut told: Told = Vec::new();
    let mut payments = Vec::new();
    let mut document = 0;
    while pool.lock().unwrap().drawn() < Numbers::COUNT {
        document += 1;
        let project = if document % 2 == 0 { POS_1 } else { POS_2 };
        let reply = router.till.send(sale(&pool, project, document)).await.unwrap();
        assert!(matches!(reply.status, 200 | 402 | 502 | 504), "{}", reply.text);
        payments.push(reply.payment().unwrap().to_owned());
        told.push((format!("the answer about {document}"), reply.text));
    }
    let garbled = router.till.send(sale(&pool, POS_1, 9000).with("amount", "66.60")).await.unwrap();
    assert_eq!(garbled.status, 504, "{}", garbled.text);
    payments.push(garbled.payment().unwrap().to_owned());
    told.push(("the answer about the garbled one".to_owned(), garbled.text));
    for body in spoilt(&pool) {
        let reply = router.till.send(&*body).await.unwrap();
        told.push((format!("the answer to {body}"), reply.text));
        let reply = router.till.send_with(body, HeaderMap::new()).await.unwrap();
        assert_eq!(reply.status, 401);
        told.push(("the answer to an unsigned one".to_owned(), reply.text));
    }
    told.extend(router.spoil_admin(&pool).await);
    told.extend(everything_told(&router, &payments).await);
    told.push(("the events".to_owned(), events.heard()));
    let log = router.log();
    assert!(
        log.contains("\"TRACE\"") && log.contains("04 0F") && log.contains("payment received"),
        "it logs all it can"
    );
    assert!(
        !log.contains(&format!("\"{PASSWORD}\"")) && !log.contains("98 76 54"),
        "the terminal's password is in the log"
    );
    told.push(("the log".to_owned(), log));
    assert!(told.iter().any(|(place, text)| place == "the events" && text.contains("approved")));
    for word in ["approved", "declined", "in_doubt"] {
        assert!(told.iter().any(|(_, text)| text.contains(&format!("\"state\":\"{word}\""))), "no payment was {word}");
    }
    let finder = Finder::new();
    search(&finder, &told);
    for (name, bytes) in router.files() {
        let text = String::from_utf8_lossy(&bytes);
        search(&finder, &vec![(name.clone(), text.into_owned())]);
        assert_eq!(finder.find_packed(&bytes), None, "{name} has a packed one");
    }
    // Once more what was closed in good order: nothing comes up when the log of the journal is written back.
    for (name, bytes) in router.stop() {
        search(&finder, &vec![(name, String::from_utf8_lossy(&bytes).into_owned())]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_documents_number_stays_what_it_is_whatever_it_looks_like() {
    let pool: Pool = Arc::new(Mutex::new(Numbers::new()));
    let (counter, bar) = (zvt::start(pool.clone()).await, http::start(pool.clone()).await);
    let router = Router::start(&counter, &bar, POS_1, POS_2).await;
    let (one, other) = ("4111111111111111", "4111111111111129");
    let event = |document: &str| Sale::new(POS_2, "1.00", document);
    let first = event(one);
    let paid = router.till.send(&first).await.unwrap();
    assert_eq!((paid.status, &paid.body["payment"]["document"]["number"]), (200, &one.into()), "{}", paid.text);
    assert!(router.till.send(&first).await.unwrap().is_replayed(), "the same event is known");
    let again = router.till.send(event(one).pressed_again(1)).await.unwrap();
    // It joins the first one as long as it is not noted that the till has read its answer, and is refused afterwards.
    assert_eq!(again.payment(), paid.payment(), "the same document is known: {}", again.text);
    let another = router.till.send(event(other)).await.unwrap();
    assert_ne!(another.payment(), paid.payment(), "one that ends alike is another");
    assert!(router.run(&["payments", "--document", one, "--json"]).contains(one), "and each is found by its number");
    assert!(!router.log().contains(one) && router.log().contains("************1111"), "only the log shortens it");
    router.stop();
}

#[test]
fn the_explanation_of_a_frame_shows_none() {
    let mut numbers = Numbers::new();
    let finder = Finder::new();
    let mut frames = String::new();
    for _ in 0..20 {
        for frame in zvt::frames(&mut numbers) {
            frames.extend(frame.iter().map(|byte| format!("{byte:02X}")));
            frames.push('\n');
        }
    }
    for arguments in [&["zvt", "decode", "-"][..], &["zvt", "decode", "-", "--json"]] {
        let shown = router::run_with_input(arguments, &frames);
        assert!(shown.len() > 10_000, "{shown}");
        search(&finder, &vec![(arguments.join(" "), shown)]);
    }
}

#[test]
fn what_is_searched_for_is_found() {
    let finder = Finder::new();
    for count in [0, 1, 7, 4999] {
        let number = numbers::of(count);
        let spaced: Vec<&str> = number.as_bytes().chunks(4).map(|group| std::str::from_utf8(group).unwrap()).collect();
        let hex: String = number.bytes().map(|byte| format!("{byte:02X}")).collect();
        let (front, back) = number.split_at(7);
        for text in [
            number.clone(),
            spaced.join(" "),
            spaced.join("-"),
            hex,
            format!("{front}\n{back}"),
            format!("{front}\\n {back}"),
        ] {
            assert!(finder.find(&format!("x: {text}!")).is_some(), "{text}");
        }
        let digits = if number.len().is_multiple_of(2) { number.clone() } else { format!("{number}0") };
        let packed: Vec<u8> =
            digits.as_bytes().chunks(2).map(|pair| (pair[0] - b'0') << 4 | (pair[1] - b'0')).collect();
        assert!(finder.find_packed(&[b"ab".as_slice(), &packed, b"c"].concat()).is_some(), "{number}");
    }
    assert_eq!(finder.find("2026-11-24T20:21:27 0199f1f4-6d2e-7d5b-9d39-0c5d5a1c4b11 ************1111"), None);
}
