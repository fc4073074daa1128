//! How does a terminal behave that speaks plain requests and answers, and how is it driven?
//!
//! It stands for the terminals with an HTTP API: a command goes out once, the terminal works on it whatever becomes of the
//! connection, and some can be asked by the payment's id afterwards.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use tillswitch_core::ledger::{LedgerEntry, LedgerEvent};
use tillswitch_core::{
    Approval, Cause, Details, Display, DriverError, EndOfDay, Evidence, Operation, Outcome, PaymentId, PaymentRequest,
    Resolution, Session, TerminalDriver, TerminalStatus, async_trait, wall_clock,
};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::dice::Dice;
use super::gate::Gate;
use super::line::{Fate, Weather};

/// How long the whole payment may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);
/// How long a question may take.
const QUESTION_LIMIT: Duration = Duration::from_secs(10);
/// Its identity.
const TERMINAL_ID: &str = "90000001";

/// What it does with a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Approve,
    Decline,
    Cancel,
    Refuse,
    /// Approves after several minutes.
    Slow,
    /// Books, and answers that something went wrong.
    BookAndFail,
    /// Answers that something went wrong, and has booked nothing.
    Fail,
    /// Books and says nothing.
    BookSilently,
}

/// The terminal. It outlives the router.
pub struct PlainTerminal {
    dice: Dice,
    memory: Mutex<Memory>,
    /// Whether it can be asked what became of a payment.
    pub tells: bool,
}

#[derive(Default)]
struct Memory {
    ledger: Vec<LedgerEntry>,
    script: VecDeque<Deed>,
    heard: HashMap<PaymentId, Heard>,
}

#[derive(Clone)]
enum Heard {
    Working,
    Done(Answer),
}

#[derive(Clone)]
enum Answer {
    Said(Box<Outcome>),
    Refused,
    Failed,
}

impl PlainTerminal {
    /// One that does these deeds, and approves then.
    pub fn new(dice: Dice, script: Vec<Deed>) -> PlainTerminal {
        let tells = dice.percent(50);
        PlainTerminal { dice, tells, memory: Mutex::new(Memory { script: script.into(), ..Memory::default() }) }
    }

    /// What it has booked.
    pub fn ledger(&self) -> Vec<LedgerEntry> {
        self.memory().ledger.clone()
    }

    /// Whether it is at a payment.
    pub fn is_busy(&self) -> bool {
        self.memory().heard.values().any(|heard| matches!(heard, Heard::Working))
    }

    /// It approves from now on.
    pub fn behave(&self) {
        self.memory().script.clear();
    }

    /// A command arrives. Whether or not anybody waits for the answer, it is worked on.
    fn take(self: &Arc<Self>, request: &PaymentRequest) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        let deed = self.memory().script.pop_front().unwrap_or(Deed::Approve);
        // It takes whatever it is sent, as often as it is sent: nothing here protects a router from itself.
        self.memory().heard.insert(request.id, Heard::Working);
        let (terminal, request) = (self.clone(), request.clone());
        tokio::spawn(async move {
            let answer = terminal.work(deed, &request).await;
            terminal.memory().heard.insert(request.id, Heard::Done(answer.clone()));
            if deed == Deed::BookSilently {
                return;
            }
            let told = if matches!(deed, Deed::BookAndFail | Deed::Fail) { Answer::Failed } else { answer };
            let _ = reply.send(told);
        });
        answer
    }

    async fn work(&self, deed: Deed, request: &PaymentRequest) -> Answer {
        match deed {
            Deed::Refuse => return Answer::Refused,
            Deed::Slow => sleep(self.dice.millis(60_000, 400_000)).await,
            _ => sleep(self.dice.millis(1_000, 20_000)).await,
        }
        match deed {
            Deed::Decline => said(Outcome::Declined(Details::new("51", "declined"))),
            Deed::Cancel => said(Outcome::Cancelled(Details::new("x", "cancelled by the customer"))),
            Deed::Fail | Deed::Refuse => said(Outcome::Declined(Details::new("96", "system error"))),
            Deed::Approve | Deed::Slow | Deed::BookAndFail | Deed::BookSilently => self.book(request),
        }
    }

    fn book(&self, request: &PaymentRequest) -> Answer {
        let mut memory = self.memory();
        let receipt = format!("{:04}", memory.ledger.len() + 1);
        let since = wall_clock::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        memory.ledger.push(LedgerEntry {
            event: LedgerEvent::Booked,
            operation: request.operation,
            amount: request.amount,
            receipt_number: receipt.clone(),
            terminal_id: TERMINAL_ID.to_owned(),
            at_unix_ms: since.as_millis() as u64,
            payment_id: Some(request.id.to_string()),
        });
        let terminal_id = Some(TERMINAL_ID.to_owned());
        let details = Details { receipt_number: Some(receipt), terminal_id, ..Details::new("00", "approved") };
        said(Outcome::Approved(Approval { amount: request.amount, details }))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn said(outcome: Outcome) -> Answer {
    Answer::Said(Box::new(outcome))
}

/// The driver of one run of the router.
pub struct PlainDriver {
    pub terminal: Arc<PlainTerminal>,
    pub gate: Gate,
    pub weather: Weather,
}

impl PlainDriver {
    /// The command leaves. `Ok(None)`: nobody knows whether it arrived.
    async fn send(&self, request: &PaymentRequest) -> Result<Option<oneshot::Receiver<Answer>>, DriverError> {
        self.gate.pass("before a connection is opened").await;
        match self.weather.opening() {
            Some(Ok(after)) => sleep(after).await,
            Some(Err(_)) => return Err(DriverError::not_started(Cause::Unreachable, "refused")),
            None => {
                sleep(Duration::from_secs(3)).await;
                return Err(DriverError::not_started(Cause::Unreachable, "no answer"));
            }
        }
        self.gate.pass("before a message is sent").await;
        match self.weather.fate() {
            Fate::Arrives(after) => sleep(after).await,
            Fate::Late(after) => sleep(after.min(Duration::from_secs(5))).await,
            Fate::CutBefore | Fate::Garbage | Fate::Lost => return Ok(None),
            Fate::CutBehind | Fate::HalfOpen => {
                self.terminal.take(request);
                return Ok(None);
            }
        }
        // A router that is killed now has sent it all the same.
        let answer = self.terminal.take(request);
        self.gate.pass("behind a message that was sent").await;
        Ok(Some(answer))
    }

    async fn hear(&self, answer: Option<oneshot::Receiver<Answer>>) -> Result<Answer, DriverError> {
        let lost = || DriverError::in_doubt(Cause::LinkLost, "the connection ended before the answer");
        let answer = timeout(ANSWER_LIMIT, answer.ok_or_else(lost)?).await;
        self.gate.pass("before a message is read").await;
        match (answer, self.weather.fate()) {
            (Ok(Ok(answer)), Fate::Arrives(_) | Fate::Late(_) | Fate::CutBehind) => Ok(answer),
            (Ok(_), _) => Err(lost()),
            (Err(_), _) => Err(DriverError::in_doubt(Cause::NoAnswer, "no answer in time")),
        }
    }
}

#[async_trait]
impl TerminalDriver for PlainDriver {
    async fn execute(&mut self, request: &PaymentRequest, session: &mut dyn Session) -> Result<Outcome, DriverError> {
        if request.operation == Operation::Reversal {
            return Err(DriverError::Unsupported);
        }
        if session.abort().is_requested() {
            return Err(DriverError::not_started(Cause::Refused, "stopped before it was sent"));
        }
        if let Err(error) = session.remember("asked", "1").await {
            return Err(DriverError::not_started(Cause::NotStored, error.to_string()));
        }
        let answer = self.send(request).await?;
        match self.hear(answer).await? {
            Answer::Said(outcome) => {
                // What cannot be kept now is asked again or written by the router at the end.
                let _ = session.record(&outcome).await;
                Ok(*outcome)
            }
            Answer::Refused => Err(DriverError::not_started(Cause::Refused, "the terminal refused")),
            Answer::Failed => Err(DriverError::in_doubt(Cause::Garbage, "the terminal failed")),
        }
    }

    async fn resolve(&mut self, request: &PaymentRequest, _: &mut dyn Session) -> Result<Resolution, DriverError> {
        if !self.terminal.tells {
            return Err(DriverError::Unsupported);
        }
        self.gate.pass("before a terminal is asked").await;
        match (self.weather.opening(), self.weather.fate()) {
            (Some(Ok(after)), Fate::Arrives(_)) => sleep(after).await,
            _ => {
                sleep(QUESTION_LIMIT).await;
                return Err(DriverError::not_started(Cause::Unreachable, "it did not answer"));
            }
        }
        let heard = self.terminal.memory().heard.get(&request.id).cloned();
        self.gate.pass("before a terminal is heard").await;
        Ok(match heard {
            None | Some(Heard::Done(Answer::Refused)) => Resolution::NotCharged(Evidence::new("it never heard of it")),
            Some(Heard::Working) => Resolution::InProgress,
            Some(Heard::Done(Answer::Said(outcome))) => Resolution::Known(*outcome),
            Some(Heard::Done(Answer::Failed)) => Resolution::Undecided(Evidence::new("it does not know")),
        })
    }

    async fn status(&mut self) -> Result<TerminalStatus, DriverError> {
        Err(DriverError::Unsupported)
    }

    async fn end_of_day(&mut self, _: &mut dyn Display) -> Result<EndOfDay, DriverError> {
        Err(DriverError::Unsupported)
    }
}
