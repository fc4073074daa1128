//! What happens to a payment when connections are refused, kept, closed or silent?

#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod support;

use std::time::Duration;

use support::{driver, euros, execute, json, read_request, summary};
use tempfile::TempDir;
use tillswitch_core::conformance::TestSession;
use tillswitch_core::{DriverError, LineEvent, LineWatch, Resolution};
use tillswitch_http::simulator::{HttpSimulator, SimulatorOptions, Step};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn simulator(script: &[Step]) -> (HttpSimulator, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = SimulatorOptions { script: script.to_vec(), ..SimulatorOptions::new(folder.path().join("ledger")) };
    (HttpSimulator::start(options).await.expect("a free port and a new ledger"), folder)
}

fn receipts(terminal: &HttpSimulator) -> Vec<String> {
    terminal.ledger().into_iter().map(|entry| entry.receipt_number).collect()
}

#[tokio::test]
async fn payments_share_a_connection() {
    let (terminal, _folder) = simulator(&[]).await;
    let mut driver = driver(&terminal.url(), "5s", "EUR");
    for _ in 0..20 {
        assert_eq!(summary(&execute(&mut *driver, &euros("25.90")).await), "approved 25.90 EUR");
    }
    assert_eq!((terminal.connections(), terminal.money_commands(), terminal.ledger().len()), (1, 20, 20));
    driver.close().await;
    assert_eq!(summary(&execute(&mut *driver, &euros("25.90")).await), "approved 25.90 EUR");
    assert_eq!(terminal.connections(), 2);
}

#[tokio::test]
async fn each_connection_is_told_to_whoever_watches() {
    let (terminal, _folder) = simulator(&[Step::Approve, Step::IdleClose]).await;
    let mut driver = driver(&terminal.url(), "5s", "EUR");
    let (tell, told) = std::sync::mpsc::channel();
    driver.watch_line(LineWatch::new(move |event| tell.send(event).unwrap()));
    for _ in 0..3 {
        assert_eq!(summary(&execute(&mut *driver, &euros("25.90")).await), "approved 25.90 EUR");
    }
    driver.status().await.unwrap();
    let told: Vec<LineEvent> = told.try_iter().collect();
    assert_eq!(told, [LineEvent::Connected; 3], "two for three payments, and one for the look at the terminal");
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_costs_no_payment() {
    let (terminal, _folder) = simulator(&[Step::IdleClose; 5]).await;
    let mut driver = driver(&terminal.url(), "5s", "EUR");
    for _ in 0..6 {
        assert_eq!(summary(&execute(&mut *driver, &euros("25.90")).await), "approved 25.90 EUR");
    }
    assert_eq!(receipts(&terminal), ["0001", "0002", "0003", "0004", "0005", "0006"]);
    assert_eq!(terminal.money_commands(), 6);
}

#[tokio::test]
async fn a_terminal_that_restarts_between_two_payments_costs_none() {
    let (terminal, folder) = simulator(&[]).await;
    let mut driver = driver(&terminal.url(), "5s", "EUR");
    assert_eq!(summary(&execute(&mut *driver, &euros("25.90")).await), "approved 25.90 EUR");
    let options = SimulatorOptions { listen: terminal.addr(), ..SimulatorOptions::new(folder.path().join("ledger")) };
    terminal.stop().await;
    let terminal = HttpSimulator::start(options).await.unwrap();
    assert_eq!(summary(&execute(&mut *driver, &euros("25.90")).await), "approved 25.90 EUR");
    assert_eq!(receipts(&terminal), ["0001", "0002"]);
}

#[tokio::test]
async fn a_second_answer_is_not_taken_for_the_next_payment() {
    let (terminal, _folder) = simulator(&[Step::AnswerTwice, Step::Decline]).await;
    let mut driver = driver(&terminal.url(), "5s", "EUR");
    assert_eq!(summary(&execute(&mut *driver, &euros("25.90")).await), "approved 25.90 EUR");
    assert_eq!(summary(&execute(&mut *driver, &euros("25.90")).await), "declined");
    assert_eq!((terminal.ledger().len(), terminal.connections()), (1, 2));
}

#[tokio::test]
async fn an_answer_that_comes_late_is_not_taken_for_the_next_payment() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut driver = driver(&format!("http://{}/payment", listener.local_addr().unwrap()), "5s", "EUR");
    let (first, second) = (euros("25.90"), euros("10.00"));
    let (mut tcp, answer) = (None, json(200, "{}"));
    let (result, ()) = tokio::join!(execute(&mut *driver, &first), async {
        let (mut accepted, _) = listener.accept().await.unwrap();
        read_request(&mut accepted).await;
        accepted.write_all(answer.as_bytes()).await.unwrap();
        tcp = Some(accepted);
    });
    assert_eq!(summary(&result), "approved 25.90 EUR");
    tcp.as_mut().unwrap().write_all(answer.as_bytes()).await.unwrap();
    let answered = async {
        let (mut accepted, _) = listener.accept().await.unwrap();
        read_request(&mut accepted).await;
        accepted.write_all(json(402, "{}").as_bytes()).await.unwrap();
    };
    let answered = tokio::time::timeout(Duration::from_secs(3), answered);
    let (result, answered) = tokio::join!(execute(&mut *driver, &second), answered);
    assert!(answered.is_ok(), "the second payment came on no new connection");
    assert_eq!(summary(&result), "declined");
}

/// How a connection ends for the terminal that has answered so: `Ok` in order, `Err` by a reset.
async fn end_of_connection(answer: &str) -> std::io::Result<usize> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/payment", listener.local_addr().unwrap());
    let terminal = async {
        let (mut tcp, _) = listener.accept().await.unwrap();
        read_request(&mut tcp).await;
        tcp.write_all(answer.as_bytes()).await.unwrap();
        tcp
    };
    let paying = async {
        let mut driver = driver(&url, "200ms", "EUR");
        let result = execute(&mut *driver, &euros("25.90")).await;
        driver.close().await;
        result
    };
    let mut tcp: TcpStream = tokio::join!(paying, terminal).1;
    tokio::time::timeout(Duration::from_secs(5), tcp.read(&mut [0; 8])).await.expect("the connection ends")
}

#[tokio::test]
async fn a_payment_that_was_given_up_is_not_delivered_late() {
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n{}", "SSH-2.0-dropbear\r\n\r\n"] {
        let end = end_of_connection(answer).await;
        assert_eq!(end.expect_err(answer).kind(), std::io::ErrorKind::ConnectionReset);
    }
    for status in [200, 402, 503] {
        assert_eq!(end_of_connection(&json(status, "{}")).await.unwrap(), 0, "{status}");
    }
}

#[tokio::test]
async fn a_failure_leaves_the_next_payment_well() {
    let failures = [Step::CutBeforeBooking, Step::CutAfterBooking, Step::CutInAnswer, Step::Garbage, Step::TooLong];
    let (terminal, _folder) = simulator(&failures).await;
    let mut driver = driver(&terminal.url(), "5s", "EUR");
    for _ in failures {
        assert!(matches!(execute(&mut *driver, &euros("25.90")).await, Err(DriverError::InDoubt(_))));
    }
    assert_eq!(summary(&execute(&mut *driver, &euros("25.90")).await), "approved 25.90 EUR");
    assert_eq!((terminal.money_commands(), terminal.ledger().len()), (6, 5));
}

#[tokio::test]
async fn nobody_listens() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut driver = driver(&format!("http://{free}/payment"), "5s", "EUR");
    assert_eq!(summary(&execute(&mut *driver, &euros("25.90")).await), "not started: unreachable");
    assert!(matches!(driver.status().await, Err(DriverError::NotStarted(_))));
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_unreachable() {
    let mut driver = driver("http://terminal.invalid/payment", "5s", "EUR");
    assert_eq!(summary(&execute(&mut *driver, &euros("25.90")).await), "not started: unreachable");
}

#[tokio::test]
async fn a_name_cannot_hide_a_forbidden_address() {
    let (terminal, _folder) = simulator(&[]).await;
    // The system reads the name `0` as 0.0.0.0, and would reach this machine by it.
    let mut driver = driver(&format!("http://0:{}/payment", terminal.addr().port()), "5s", "EUR");
    assert_eq!(summary(&execute(&mut *driver, &euros("25.90")).await), "not started: refused");
    assert_eq!((terminal.connections(), terminal.money_commands()), (0, 0));
}

#[tokio::test]
async fn a_failed_tls_handshake_has_sent_nothing() {
    let (terminal, _folder) = simulator(&[]).await;
    let url = format!("https://{}/payment", terminal.addr());
    let mut driver = driver(&url, "5s", "EUR");
    assert_eq!(summary(&execute(&mut *driver, &euros("25.90")).await), "not started: unreachable");
    assert_eq!(terminal.money_commands(), 0);
}

#[tokio::test]
async fn a_silent_terminal_is_in_doubt_and_a_person_decides() {
    let (terminal, _folder) = simulator(&[Step::NeverAnswers]).await;
    let mut driver = driver(&terminal.url(), "200ms", "EUR");
    let request = euros("25.90");
    assert_eq!(summary(&execute(&mut *driver, &request).await), "in doubt: no_answer");
    let found = driver.resolve(&request, &mut TestSession::new()).await;
    assert!(matches!(&found, Ok(Resolution::Undecided(evidence)) if evidence.message.contains("by hand")), "{found:?}");
    assert_eq!(terminal.money_commands(), 1);
}

#[tokio::test]
async fn an_abort_while_the_customer_pays_changes_nothing_but_a_line_on_the_display() {
    let folder = tempfile::tempdir().unwrap();
    let options = SimulatorOptions {
        card_time: Duration::from_millis(100),
        ..SimulatorOptions::new(folder.path().join("ledger"))
    };
    let terminal = HttpSimulator::start(options).await.unwrap();
    let mut session = TestSession::new();
    session.abort_when_shown = true;
    let result = driver(&terminal.url(), "5s", "EUR").execute(&euros("25.90"), &mut session).await;
    assert_eq!(summary(&result), "approved 25.90 EUR");
    assert!(session.shown.iter().any(|line| line.message.contains("stop key")), "{:?}", session.shown);
}

#[tokio::test]
async fn an_abort_before_the_send_sends_nothing() {
    let (terminal, _folder) = simulator(&[]).await;
    let mut session = TestSession::new();
    session.request_abort();
    let result = driver(&terminal.url(), "5s", "EUR").execute(&euros("25.90"), &mut session).await;
    assert_eq!((summary(&result).as_str(), terminal.money_commands()), ("cancelled", 0));
}

#[tokio::test]
async fn the_terminal_finishes_when_the_till_has_hung_up() {
    let folder = tempfile::tempdir().unwrap();
    let options = SimulatorOptions {
        card_time: Duration::from_millis(300),
        ..SimulatorOptions::new(folder.path().join("ledger"))
    };
    let terminal = HttpSimulator::start(options).await.unwrap();
    let result = execute(&mut *driver(&terminal.url(), "100ms", "EUR"), &euros("25.90")).await;
    assert_eq!(summary(&result), "in doubt: no_answer");
    let booked = async {
        while terminal.ledger().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), booked).await.expect("the customer's payment is booked");
}

#[tokio::test]
async fn an_outcome_that_cannot_be_stored_is_in_doubt() {
    let (terminal, _folder) = simulator(&[]).await;
    let mut session = TestSession::new();
    session.record_fails = true;
    let result = driver(&terminal.url(), "5s", "EUR").execute(&euros("25.90"), &mut session).await;
    assert_eq!((summary(&result).as_str(), terminal.ledger().len()), ("in doubt: not_stored", 1));
}

#[tokio::test]
async fn a_terminal_that_takes_connections_is_ready() {
    let (terminal, _folder) = simulator(&[]).await;
    assert!(driver(&terminal.url(), "5s", "EUR").status().await.unwrap().ready);
    assert_eq!(terminal.money_commands(), 0);
}
