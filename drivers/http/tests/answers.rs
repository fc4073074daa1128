//! What does each answer of a terminal become?

mod support;

use serde_json::json;
use support::{Canned, driver, euros, execute, json, payment, summary};
use tillswitch_core::conformance::TestSession;
use tillswitch_core::{Money, Operation, Outcome};

async fn check(answer: &str, expected: &str) {
    let terminal = Canned::answering(answer).await;
    let result = execute(&mut *terminal.driver(), &euros("25.90")).await;
    assert_eq!(summary(&result), expected, "{answer:.200}");
    assert_eq!(terminal.requests().len(), 1, "one request, whatever the answer");
}

#[tokio::test]
async fn every_status_has_its_meaning() {
    for status in [200, 201, 202, 204, 299] {
        let body = if status == 204 { String::new() } else { "{}".into() };
        check(&json(status, &body), "approved 25.90 EUR").await;
    }
    check(&json(402, "{}"), "declined").await;
    for status in [400, 401, 403, 404, 405, 415, 422] {
        check(&json(status, "{}"), "not started: refused").await;
    }
    for status in [301, 302, 303, 307, 308, 406, 408, 409, 410, 413, 418, 423, 429, 500, 502, 503, 504, 599] {
        check(&json(status, "{}"), "in doubt: garbage").await;
    }
}

#[tokio::test]
async fn a_refusal_names_the_status_and_the_remedy() {
    let terminal = Canned::answering(&json(404, r#"{"error": "no such path"}"#)).await;
    let error = execute(&mut *terminal.driver(), &euros("25.90")).await.unwrap_err().to_string();
    assert!(error.contains("404") && error.contains("no such path") && error.contains("`url`"), "{error}");
}

#[tokio::test]
async fn nobody_is_told_not_paid_when_the_body_says_paid() {
    check(&json(402, r#"{"status": "not approved", "success": false}"#), "declined").await;
    // The body says the opposite: nobody is told "not paid".
    for status in [402, 400, 404] {
        for body in [r#"{"status": "approved"}"#, r#"{"success": true}"#, r#"{"payment": {"state": "PAID"}}"#] {
            check(&json(status, body), "in doubt: contradiction").await;
        }
    }
    // Whatever the terminal calls it.
    let page = "HTTP/1.1 402 Payment Required\r\ncontent-type: text/html\r\n\r\n{\"status\": \"approved\"}";
    check(page, "in doubt: contradiction").await;
}

#[tokio::test]
async fn a_contradiction_is_told_without_card_numbers_in_one_short_line() {
    let long = "x".repeat(10_000);
    for (status, body) in [
        (200, format!(r#"{{"message": "card 4111111111111111 declined\n{long}"}}"#)),
        (402, format!(r#"{{"status": "approved for 4111111111111111\n{long}"}}"#)),
    ] {
        let terminal = Canned::answering(&json(status, &body)).await;
        let error = execute(&mut *terminal.driver(), &euros("25.90")).await.unwrap_err().to_string();
        assert!(!error.contains("41111111") && !error.contains('\n') && error.len() < 1000, "{error}");
        assert!(error.contains("declined") || error.contains("approved"), "{error}");
    }
}

#[tokio::test]
async fn the_customer_may_cancel() {
    check(&json(402, r#"{"status": "cancelled"}"#), "cancelled").await;
    check(&json(402, r#"{"status": "declined"}"#), "declined").await;
    check(&json(402, "no funds"), "declined").await;
}

#[tokio::test]
async fn the_booked_amount_is_read_exactly() {
    for (body, expected) in [
        (r#"{"amount": 25.90}"#, "approved 25.90 EUR"),
        (r#"{"amount": 25.9, "currency": "EUR"}"#, "approved 25.90 EUR"),
        (r#"{"amount": "28.50", "currency": "eur"}"#, "approved 28.50 EUR"),
        (r#"{"amount": 10.00, "currency": 978}"#, "approved 10.00 EUR"),
        (r#"{"amount": 90071992547409.93}"#, "approved 90071992547409.93 EUR"),
        (r#"{"amount": 2590}"#, "approved 25.90 EUR"),
        (r#"{"amount": "25,90"}"#, "approved 25.90 EUR"),
        (r#"{"amount": 25.905}"#, "approved 25.90 EUR"),
        (r#"{"amount": null}"#, "approved 25.90 EUR"),
        (r#"{"amount": {"value": 1}}"#, "approved 25.90 EUR"),
        (r#"["ok"]"#, "approved 25.90 EUR"),
        ("OK", "approved 25.90 EUR"),
        (r#"{"amount": 0}"#, "in doubt: contradiction"),
        (r#"{"amount": -25.90}"#, "in doubt: contradiction"),
        (r#"{"amount": 25.90, "currency": "USD"}"#, "in doubt: contradiction"),
    ] {
        let answer =
            json(200, body).replace("application/json", if body == "OK" { "text/plain" } else { "application/json" });
        check(&answer, expected).await;
    }
}

#[tokio::test]
async fn a_success_that_speaks_against_itself_is_no_success() {
    for body in [
        r#"{"status": "declined"}"#,
        r#"{"result": "PENDING"}"#,
        r#"{"success": false}"#,
        r#"{"approved": false}"#,
        r#"{"success": "false"}"#,
        r#"{"result": {"status": "declined"}}"#,
        r#""declined""#,
    ] {
        check(&json(200, body), "in doubt: contradiction").await;
    }
    for body in ["DECLINED", "payment failed"] {
        let answer = json(200, body).replace("application/json", "text/plain");
        check(&answer, "in doubt: contradiction").await;
    }
    check(&json(200, r#"{"status": "success", "success": true}"#), "approved 25.90 EUR").await;
    check(&json(200, r#"{"status": "appr"#), "in doubt: garbage").await;
    check("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\nPlease log in", "in doubt: garbage").await;
    check("HTTP/1.1 200 OK\r\n\r\n<!doctype html>", "in doubt: garbage").await;
}

#[tokio::test]
async fn an_answer_that_is_not_whole_is_no_answer() {
    check("", "in doubt: link_lost").await;
    check("HTTP/1.1 200 OK\r\ncontent-le", "in doubt: link_lost").await;
    check("HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n{\"status\"", "in doubt: link_lost").await;
    check("HTTP/1.1 402 No\r\ncontent-length: 40\r\n\r\n{\"status\"", "in doubt: link_lost").await;
    check("HTTP/1.1 404 No\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"a\"", "in doubt: link_lost").await;
    check("SSH-2.0-dropbear\r\n\r\n", "in doubt: garbage").await;
}

#[tokio::test]
async fn an_answer_of_two_mebibytes_is_not_read_to_its_end() {
    let body = format!("{{\"pad\":\"{}\"}}", "x".repeat(2 << 20));
    check(&json(200, &body), "in doubt: garbage").await;
}

#[tokio::test]
async fn an_answer_of_just_under_a_mebibyte_is_read() {
    let body = format!("{{\"pad\":\"{}\"}}", "x".repeat((1 << 20) - 20));
    check(&json(200, &body), "approved 25.90 EUR").await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Canned::answering(&json(200, "{}")).await;
    let answer = format!("HTTP/1.1 307 X\r\nlocation: http://{}/payment\r\ncontent-length: 0\r\n\r\n", target.addr);
    check(&answer, "in doubt: garbage").await;
    assert!(target.requests().is_empty());
}

#[tokio::test]
async fn a_final_answer_survives_interim_ones() {
    check(&format!("HTTP/1.1 102 X\r\n\r\n{}", json(402, "{}")), "declined").await;
}

#[tokio::test]
async fn the_bytes_of_the_request_are_exact() {
    for (minor, currency, operation, body) in [
        (2590, "EUR", Operation::Sale, r#"{"amount":25.90,"currency":"EUR","type":"sale"}"#),
        (5, "EUR", Operation::Refund, r#"{"amount":0.05,"currency":"EUR","type":"refund"}"#),
        (1500, "JPY", Operation::Sale, r#"{"amount":1500,"currency":"JPY","type":"sale"}"#),
        (1_234, "KWD", Operation::Sale, r#"{"amount":1.234,"currency":"KWD","type":"sale"}"#),
        (
            9_007_199_254_740_993,
            "EUR",
            Operation::Sale,
            r#"{"amount":90071992547409.93,"currency":"EUR","type":"sale"}"#,
        ),
    ] {
        let terminal = Canned::answering(&json(200, "{}")).await;
        let mut driver = driver(&format!("http://{}/payment?till=1", terminal.addr), "5s", currency);
        let request = payment(operation, Money::from_minor(minor, currency.parse().unwrap()));
        assert!(matches!(execute(&mut *driver, &request).await, Ok(Outcome::Approved(_))));
        let expected = format!(
            "POST /payment?till=1 HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\naccept: application/json\r\n\
             user-agent: tillswitch/{}\r\ncontent-length: {}\r\n\r\n{body}",
            terminal.addr,
            env!("CARGO_PKG_VERSION"),
            body.len()
        );
        assert_eq!(terminal.requests(), [expected]);
    }
}

#[tokio::test]
async fn what_the_terminal_cannot_do_sends_nothing() {
    let terminal = Canned::answering(&json(200, "{}")).await;
    let mut driver = terminal.driver();
    let amount = Money::from_minor(1500, "JPY".parse().unwrap());
    let result = execute(&mut *driver, &payment(Operation::Sale, amount)).await;
    assert_eq!(summary(&result), "not started: wrong_currency");
    let result = execute(&mut *driver, &payment(Operation::Reversal, euros("1").amount)).await;
    assert_eq!(summary(&result), "unsupported");
    let mut session = TestSession::new();
    assert!(driver.end_of_day(&mut session).await.is_err() && driver.services().is_empty());
    assert!(terminal.requests().is_empty());
}

#[tokio::test]
async fn no_card_data_and_no_secret_passes() {
    let body = json!({
        "message": "card 4111 1111 1111 1111 accepted", "pan": "4111111111111111", "track2": "4111111111111111=2512",
        "receipt_number": "0042", "nested": {"note": 5555555555554444u64, "access_token": "hunter2"},
        "authorization_code": "482948", "card": {"scheme": "Visa", "last4": "1111"}, "long": "x".repeat(1000),
    });
    for status in [200, 402, 400, 500] {
        let terminal = Canned::answering(&json(status, &body.to_string())).await;
        let mut session = TestSession::new();
        let result = terminal.driver().execute(&euros("25.90"), &mut session).await;
        let everything = format!("{result:?} {:?} {:?}", session.recorded, session.shown);
        for secret in ["41111111", "4111 1111", "55555555", "hunter2", "2512"] {
            assert!(!everything.contains(secret), "{status}: {secret} in {everything}");
        }
        assert!(!everything.contains(&"x".repeat(257)));
    }
}

#[tokio::test]
async fn an_outcome_is_recorded_with_what_the_terminal_told() {
    let body = r#"{"receipt_number": "0042", "trace_number": "000087", "terminal_id": "29001612", "message": "Danke"}"#;
    let terminal = Canned::answering(&json(200, body)).await;
    let mut session = TestSession::new();
    let outcome = terminal.driver().execute(&euros("25.90"), &mut session).await.unwrap();
    assert_eq!(session.recorded, std::slice::from_ref(&outcome));
    let details = outcome.details();
    assert_eq!((details.code.as_str(), details.message.as_str()), ("200", "Danke"));
    assert_eq!(details.receipt_number.as_deref(), Some("0042"));
    assert_eq!(details.response, Some(serde_json::from_str(body).unwrap()));
}
