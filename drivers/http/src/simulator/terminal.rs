//! What a simulated terminal does with a payment.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use tillswitch_core::Money;
use tillswitch_core::ledger::{LedgerEntry, LedgerEvent};

use super::ledger::Ledger;
use super::payment::Payment;
use super::script::Step;
use super::{PAYMENT_PATH, SimulatorOptions};

/// An answer, and how it gets onto the wire.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub status: StatusCode,
    pub body: Vec<u8>,
    pub manner: Manner,
}

/// What happens to an answer on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Whole,
    ByteByByte,
    Twice,
    HalfThenCut,
    ThenCut,
    Cut,
    Garbage,
    Never,
}

/// The terminal behind the HTTP server.
#[derive(Debug)]
pub(super) struct Terminal {
    id: String,
    seed: u64,
    card_time: Duration,
    byte_pause: Duration,
    ledger_path: PathBuf,
    ledger: Mutex<Ledger>,
    script: Mutex<VecDeque<Step>>,
    at_work: tokio::sync::Semaphore,
    switched_off: AtomicBool,
    money_commands: AtomicUsize,
    connections: AtomicUsize,
}

impl Terminal {
    pub fn new(options: SimulatorOptions) -> io::Result<Terminal> {
        Ok(Terminal {
            id: options.terminal_id,
            seed: options.seed,
            card_time: options.card_time,
            byte_pause: options.byte_pause,
            ledger: Mutex::new(Ledger::open(&options.ledger)?),
            ledger_path: options.ledger,
            script: Mutex::new(options.script.into()),
            at_work: tokio::sync::Semaphore::new(1),
            switched_off: AtomicBool::new(false),
            money_commands: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        })
    }

    pub fn ledger_path(&self) -> &Path {
        &self.ledger_path
    }

    pub fn ledger(&self) -> Vec<LedgerEntry> {
        lock(&self.ledger).entries().to_vec()
    }

    pub fn money_commands(&self) -> usize {
        self.money_commands.load(Ordering::SeqCst)
    }

    pub fn is_busy(&self) -> bool {
        self.at_work.available_permits() == 0
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn byte_pause(&self) -> Duration {
        self.byte_pause
    }

    pub fn set_script(&self, script: VecDeque<Step>) {
        *lock(&self.script) = script;
    }

    pub fn switch_off(&self) {
        self.switched_off.store(true, Ordering::SeqCst);
    }

    pub fn note_connection(&self) {
        self.connections.fetch_add(1, Ordering::SeqCst);
    }

    /// Takes a payment to its end. Runs apart from the connection it came by: a customer pays even if the till has hung up.
    pub async fn pay(self: Arc<Terminal>, body: Vec<u8>) -> Reply {
        self.money_commands.fetch_add(1, Ordering::SeqCst);
        let payment = match Payment::parse(&body) {
            Ok(payment) => payment,
            Err(message) => return Reply::plain(400, "refused", &message),
        };
        let Ok(_at_work) = self.at_work.try_acquire() else {
            return Reply::plain(409, "busy", "another payment is running");
        };
        let step = lock(&self.script).pop_front().unwrap_or(Step::Approve);
        if !matches!(step, Step::Busy | Step::Refuse | Step::Redirect | Step::NeverAnswers) {
            tokio::time::sleep(self.card_time).await;
        }
        let reply = self.perform(step, payment).await;
        let Payment { operation, amount } = payment;
        tracing::info!(terminal = self.id, %step, %operation, %amount, status = reply.status.as_u16(), "payment");
        reply
    }

    async fn perform(self: &Arc<Terminal>, step: Step, payment: Payment) -> Reply {
        match step {
            Step::Approve => self.book(payment, payment.amount).await,
            Step::ApproveLess => self.book(payment, payment.less()).await,
            Step::ApproveMore => self.book(payment, payment.more()).await,
            Step::Decline => Reply::plain(402, "declined", "the bank declined the payment"),
            Step::Cancel => Reply::plain(402, "cancelled", "the customer cancelled the payment"),
            Step::Busy => Reply::plain(409, "busy", "the terminal is at something else"),
            Step::Refuse => Reply::plain(400, "refused", "the terminal does not take this payment"),
            Step::Redirect => Reply::plain(307, "moved", PAYMENT_PATH),
            Step::Error => Reply::plain(500, "error", "the terminal failed"),
            Step::NeverAnswers => Reply::plain(200, "", "").by(Manner::Never),
            Step::CutBeforeBooking => Reply::plain(200, "", "").by(Manner::Cut),
            Step::CutAfterBooking => self.book(payment, payment.amount).await.by(Manner::Cut),
            Step::CutInAnswer => self.book(payment, payment.amount).await.by(Manner::HalfThenCut),
            Step::Garbage => self.book(payment, payment.amount).await.by(Manner::Garbage),
            Step::Slow => self.book(payment, payment.amount).await.by(Manner::ByteByByte),
            Step::AnswerTwice => self.book(payment, payment.amount).await.by(Manner::Twice),
            Step::IdleClose => self.book(payment, payment.amount).await.by(Manner::ThenCut),
            Step::ErrorAfterBooking => {
                self.book(payment, payment.amount).await;
                Reply::plain(500, "error", "the terminal failed")
            }
            Step::TooLong => self.book(payment, payment.amount).await.padded(2 << 20),
        }
    }

    /// Books and says so, in this order.
    async fn book(self: &Arc<Terminal>, payment: Payment, amount: Money) -> Reply {
        let terminal = Arc::clone(self);
        let booking = tokio::task::spawn_blocking(move || terminal.append(payment, amount));
        match booking.await {
            Ok(Ok(entry)) => self.approval(&entry),
            Ok(Err(error)) => Reply::plain(500, "error", &format!("the ledger cannot be written: {error}")),
            Err(error) => Reply::plain(500, "error", &error.to_string()),
        }
    }

    fn append(&self, payment: Payment, amount: Money) -> io::Result<LedgerEntry> {
        let mut ledger = lock(&self.ledger);
        if self.switched_off.load(Ordering::SeqCst) {
            return Err(io::Error::other("the terminal was switched off"));
        }
        let entry = LedgerEntry {
            event: LedgerEvent::Booked,
            operation: payment.operation,
            amount,
            receipt_number: ledger.next_receipt_number(),
            terminal_id: self.id.clone(),
            at_unix_ms: unix_millis(),
            payment_id: None,
        };
        ledger.append(entry.clone())?;
        Ok(entry)
    }

    fn approval(&self, entry: &LedgerEntry) -> Reply {
        let chance = mix(self.seed, &entry.receipt_number);
        let approved = Approved {
            status: "approved",
            message: "approved",
            amount: RawValue::from_string(entry.amount.decimal()).expect("decimal text is a JSON number"),
            currency: entry.amount.currency().code(),
            operation: entry.operation.name(),
            receipt_number: &entry.receipt_number,
            trace_number: format!("{:0>6}", entry.receipt_number),
            terminal_id: &self.id,
            authorization_code: format!("{:06}", chance % 1_000_000),
            card: Card {
                scheme: SCHEMES[chance as usize % SCHEMES.len()],
                last4: format!("{:04}", chance >> 32 & 0x1fff),
            },
        };
        Reply::json(StatusCode::OK, &approved)
    }
}

const SCHEMES: &[&str] = &["Visa", "Debit Mastercard", "girocard", "Mastercard"];

#[derive(Serialize)]
struct Approved<'a> {
    status: &'static str,
    message: &'static str,
    amount: Box<RawValue>,
    currency: &'static str,
    #[serde(rename = "type")]
    operation: &'static str,
    receipt_number: &'a str,
    trace_number: String,
    terminal_id: &'a str,
    authorization_code: String,
    card: Card,
}

#[derive(Serialize)]
struct Card {
    scheme: &'static str,
    last4: String,
}

#[derive(Serialize)]
struct Plain<'a> {
    status: &'a str,
    message: &'a str,
}

impl Reply {
    /// A status with a word and a sentence.
    pub fn plain(status: u16, word: &str, message: &str) -> Reply {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Reply::json(status, &Plain { status: word, message })
    }

    fn json(status: StatusCode, body: &impl Serialize) -> Reply {
        let body = serde_json::to_vec(body).expect("texts and numbers become JSON");
        Reply { status, body, manner: Manner::Whole }
    }

    fn by(self, manner: Manner) -> Reply {
        Reply { manner, ..self }
    }

    /// The same with so many blanks behind it, which are still JSON.
    fn padded(mut self, bytes: usize) -> Reply {
        self.body.resize(self.body.len() + bytes, b' ');
        self
    }
}

/// One of the numbers that a seed stands for, by receipt (the finaliser of SplitMix64).
fn mix(seed: u64, receipt_number: &str) -> u64 {
    let step: u64 = receipt_number.parse().unwrap_or(0);
    let mut value = seed.wrapping_add(step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

fn unix_millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A panic elsewhere does not make the ledger or the script wrong.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
