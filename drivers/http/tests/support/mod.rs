//! A terminal made of bytes: what it is sent is kept, what it answers is written by the test.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use tillswitch_core::conformance::TestSession;
use tillswitch_core::{
    DriverError, DriverFactory, Money, Operation, Outcome, PaymentId, PaymentRequest, Settings, TerminalDriver,
};
use tillswitch_http::HttpFactory;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Answers the n-th request with the n-th answer, then closes unless told to keep.
pub struct Canned {
    pub addr: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Canned {
    pub async fn start(answers: Vec<Vec<u8>>) -> Canned {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        tokio::spawn(async move {
            for answer in answers {
                let (mut tcp, _) = listener.accept().await.unwrap();
                let request = read_request(&mut tcp).await;
                kept.lock().unwrap().push(request);
                // The driver may have hung up on an answer that is too long.
                let _ = tcp.write_all(&answer).await;
                let _ = tcp.shutdown().await;
            }
        });
        Canned { addr, requests }
    }

    pub async fn answering(answer: &str) -> Canned {
        Canned::start(vec![answer.as_bytes().to_vec()]).await
    }

    pub fn driver(&self) -> Box<dyn TerminalDriver> {
        driver(&format!("http://{}/payment", self.addr), "5s", "EUR")
    }

    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

pub async fn read_request(tcp: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        if tcp.read_buf(&mut bytes).await.unwrap() == 0 {
            return text;
        }
    }
}

/// `HTTP/1.1 <status>` with a JSON body.
pub fn json(status: u16, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
}

pub fn driver(url: &str, timeout: &str, currency: &str) -> Box<dyn TerminalDriver> {
    let settings = Settings { currency: currency.parse().unwrap(), ..Settings::new("counter") };
    match HttpFactory.build(&settings.with("url", url).with("timeout", timeout)) {
        Ok(driver) => driver,
        Err(faults) => panic!("{faults:?}"),
    }
}

pub fn payment(operation: Operation, amount: Money) -> PaymentRequest {
    PaymentRequest {
        id: PaymentId::generate(),
        operation,
        amount,
        register: "POS-01".into(),
        document: None,
        accept_partial: false,
        original: None,
        received_at: SystemTime::now(),
    }
}

pub fn euros(text: &str) -> PaymentRequest {
    payment(Operation::Sale, Money::parse(text, "EUR".parse().unwrap()).unwrap())
}

pub async fn execute(driver: &mut dyn TerminalDriver, request: &PaymentRequest) -> Result<Outcome, DriverError> {
    driver.execute(request, &mut TestSession::new()).await
}

/// The result in a few words: `approved 25.90 EUR`, `not started: refused`, `in doubt: link_lost`.
pub fn summary(result: &Result<Outcome, DriverError>) -> String {
    match result {
        Ok(Outcome::Approved(approval)) => format!("approved {}", approval.amount),
        Ok(other) => other.name().to_owned(),
        Err(DriverError::NotStarted(reason)) => format!("not started: {}", reason.cause.name()),
        Err(DriverError::InDoubt(reason)) => format!("in doubt: {}", reason.cause.name()),
        Err(DriverError::Unsupported) => "unsupported".into(),
    }
}
