//! How are payments made?

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tillswitch::shop::Sale;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::terminals::{Terminals, project};

/// No round takes longer; one that does has found a fault.
const ROUND_LIMIT: Duration = Duration::from_secs(120);
/// One payment after the other goes round so few registers, so that their connections are as warm with 1000 of them.
const SINGLE_REGISTERS: usize = 10;

/// What became of some payments.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// How long all of them took.
    pub wall: Duration,
    /// What the measured process spent.
    pub cpu: Duration,
    /// How long each took.
    pub latencies: Vec<Duration>,
    /// How many were answered 200.
    pub approved: usize,
    /// How many the terminals booked.
    pub booked: usize,
}

impl Round {
    /// Puts two rounds together.
    pub fn add(&mut self, other: Round) {
        self.wall += other.wall;
        self.cpu += other.cpu;
        self.latencies.extend(other.latencies);
        self.approved += other.approved;
        self.booked += other.booked;
    }

    /// Processor time in milliseconds for a thousand payments.
    pub fn cpu_per_1000(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.approved as f64
    }

    /// Payments in a second.
    pub fn rate(&self) -> f64 {
        self.approved as f64 / self.wall.as_secs_f64()
    }

    /// How long the given share of the payments took at most, in milliseconds.
    pub fn latency(&self, share: f64) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort();
        let place = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len()) - 1;
        sorted[place].as_secs_f64() * 1e3
    }
}

/// Payments at a terminal without anything in between, one after the other.
pub async fn direct(terminals: &Terminals, payments: usize) -> Round {
    let mut driver = terminals.driver();
    // The first one connects.
    driver.pay().await;
    let mut round = Round::default();
    for _ in 0..payments {
        round.latencies.push(driver.pay().await);
    }
    driver.close().await;
    round
}

/// The tills of a shop.
pub struct Load {
    address: SocketAddr,
    registers: usize,
    /// No two sales are of one document.
    documents: Arc<AtomicUsize>,
}

impl Load {
    /// Tills that send to this address.
    pub fn new(address: SocketAddr, registers: usize) -> Load {
        Load { address, registers, documents: Arc::default() }
    }

    /// Two payments at each register, so that everything is connected.
    pub async fn warm_up(&self) {
        self.all_at_once(0).await;
    }

    /// All registers pay at the same time, each as soon as its last customer has gone.
    pub async fn all_at_once(&self, payments: usize) -> Round {
        let each = (payments / self.registers).max(2);
        let start = Instant::now();
        let mut tills = JoinSet::new();
        for register in 0..self.registers {
            let (address, documents) = (self.address, self.documents.clone());
            tills.spawn(async move {
                let mut latencies = Vec::with_capacity(each);
                for _ in 0..each {
                    latencies.push(pay(address, register, &documents).await);
                }
                latencies
            });
        }
        let latencies: Vec<Duration> = bounded(tills.join_all()).await.into_iter().flatten().collect();
        Round { wall: start.elapsed(), approved: latencies.len(), latencies, ..Round::default() }
    }

    /// One payment after the other.
    pub async fn one_at_a_time(&self, payments: usize) -> Round {
        let start = Instant::now();
        let registers = self.registers.min(SINGLE_REGISTERS);
        let pays = async {
            let mut latencies = Vec::with_capacity(payments);
            for number in 0..payments {
                latencies.push(pay(self.address, number % registers, &self.documents).await);
            }
            latencies
        };
        let latencies = bounded(pays).await;
        Round { wall: start.elapsed(), approved: latencies.len(), latencies, ..Round::default() }
    }
}

async fn bounded<T>(round: impl Future<Output = T>) -> T {
    timeout(ROUND_LIMIT, round).await.expect("a round ends within two minutes")
}

/// One sale over a connection of its own, as webhooks come. Panics unless it is approved.
async fn pay(address: SocketAddr, register: usize, documents: &AtomicUsize) -> Duration {
    let document = documents.fetch_add(1, Ordering::Relaxed).to_string();
    let body = String::from(Sale::new(&project(register), "1.00", &document));
    let request = format!(
        "POST /webhook/pos-payment HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let start = Instant::now();
    let mut answer = Vec::with_capacity(2048);
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_end(&mut answer).await
    };
    asked.await.expect("the answer is read to its end");
    let took = start.elapsed();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    took
}
