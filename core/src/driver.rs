//! The contract between the router and the code for one kind of terminal.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::abort::Abort;
use crate::line::LineWatch;
use crate::outcome::{Outcome, Receipt, Resolution};
use crate::payment::{PaymentId, PaymentRequest};

/// One terminal. `&mut self`: one command at a time is a matter of types.
///
/// # Contract
///
/// - Building a driver does not touch the terminal. The driver connects when it needs to and survives a lost link.
/// - [`execute`](Self::execute) sends the money command **at most once**. Only a start that carries the provider's own
///   idempotency key may be repeated, inside the same `execute`, while that key is valid.
/// - Silence is never a decline. Without an outcome the answer is [`DriverError::InDoubt`], or
///   [`DriverError::NotStarted`] where there is proof.
/// - The router never drops a running `execute` except at the payment's deadline or at the end of a shutdown's grace; then
///   it drops the driver as well and builds a new one.
/// - Every wait inside has a limit, and an [`Abort`] is looked at during all of them.
/// - An outcome that belongs to no command of now never disappears, whichever method comes upon it: during `execute` and
///   `resolve` it goes to [`Session::late`], otherwise (`status`, a service, the end of day, `close`) to [`LineWatch::late`],
///   before the terminal is answered. It is never accepted on behalf of a payment that nobody waits for, if the protocol can say so.
#[async_trait]
pub trait TerminalDriver: Send {
    /// Sends the money command once and waits for the outcome.
    ///
    /// What the terminal said is given to [`Session::record`] before the terminal is told that it was understood. Only the
    /// value that this returns makes a payment final. If [`Session::remember`] fails before the send, the answer is
    /// `NotStarted`; after the send the driver goes on.
    async fn execute(&mut self, request: &PaymentRequest, session: &mut dyn Session) -> Result<Outcome, DriverError>;

    /// Finds out what became of a request in doubt. Only reads; when an abort is asked for meanwhile, it may ask the terminal
    /// to cancel.
    ///
    /// An `Err`, whichever variant, says that it could not ask: the router asks again later. `Unsupported` counts as
    /// [`Resolution::Undecided`].
    async fn resolve(&mut self, request: &PaymentRequest, session: &mut dyn Session)
    -> Result<Resolution, DriverError>;

    /// Asks the terminal whether it is ready. Never moves money, never runs while a command runs.
    async fn status(&mut self) -> Result<TerminalStatus, DriverError>;

    /// Closes the business day at the terminal.
    async fn end_of_day(&mut self, display: &mut dyn Display) -> Result<EndOfDay, DriverError>;

    /// Names of what else the terminal can do for an operator, such as `diagnosis`.
    fn services(&self) -> Vec<String> {
        Vec::new()
    }

    /// Runs one of [`services`](Self::services). Never moves money.
    async fn service(&mut self, _name: &str, _display: &mut dyn Display) -> Result<ServiceReport, DriverError> {
        Err(DriverError::Unsupported)
    }

    /// Those of [`services`](Self::services) that the terminal has asked to be run, such as a diagnosis that is due. The router
    /// asks often and runs them one by one once nobody has wanted anything of the terminal for a minute, never while a payment
    /// waits or is in doubt, and not at once again what has just been run. Cheap: it looks at what the driver knows already.
    fn wishes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Says whom to tell what happens on the line to the terminal, and where an outcome goes that comes while neither `execute`
    /// nor `resolve` runs. Called before the first command, if at all; a driver that has nothing to tell forgets it.
    fn watch_line(&mut self, _watch: LineWatch) {}

    /// Leaves the terminal in good order before the driver is dropped (a log-off, a closed connection). Runs only while no
    /// command runs; the router waits a few seconds for it. A driver that is dropped without it must be fit to be dropped.
    async fn close(&mut self) {}
}

/// What any running command can ask of the router.
#[async_trait]
pub trait Display: Send {
    /// A line for the cashier ("insert card"). Cheap, may be dropped.
    fn show(&mut self, progress: Progress);

    /// A whole slip, stored durably before this returns.
    async fn receipt(&mut self, receipt: Receipt) -> Result<(), NotStored>;

    /// A clone that completes when an abort is asked for, and never otherwise.
    fn abort(&self) -> Abort;
}

/// What a money command can ask besides.
#[async_trait]
pub trait Session: Display {
    /// What was remembered for this payment, by this run or an earlier one.
    fn notes(&self) -> &Notes;

    /// Stores a note durably before it returns (a provider's id, the last receipt number). The last value of a key stands.
    async fn remember(&mut self, key: &str, value: &str) -> Result<(), NotStored>;

    /// Stores several notes in one durable write. Worth it where a driver remembers more than one thing at once: a payment
    /// waits for the disk once instead of once per note.
    async fn remember_all(&mut self, notes: &[(&str, String)]) -> Result<(), NotStored> {
        for (key, value) in notes {
            self.remember(key, value).await?;
        }
        Ok(())
    }

    /// Stores what the terminal said, durably, before it is acknowledged. May be called again; the last one stands. Not final.
    async fn record(&mut self, said: &Outcome) -> Result<(), NotStored>;

    /// What the terminal said about an earlier payment (`None`: about one we do not know): an incident there, never a state.
    /// Outside of `execute` and `resolve`, [`LineWatch::late`] is the same.
    async fn late(&mut self, earlier: Option<PaymentId>, said: &Outcome) -> Result<(), NotStored>;
}

/// What a driver remembered about one payment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Notes(BTreeMap<String, String>);

impl Notes {
    /// The value that was remembered last under this key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Keeps a value; an earlier one under the same key is replaced.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.insert(key.into(), value.into());
    }

    /// All of them, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Notes {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Notes {
        Notes(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

/// Why there is no outcome. Exhaustive on purpose: whoever matches it decides about money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DriverError {
    /// Proof that no money moved: no byte of the money command left, or the terminal answered this first send that it did not
    /// start.
    NotStarted(Reason),
    /// The command may have reached the terminal and the outcome is missing.
    InDoubt(Reason),
    /// The driver cannot do this at all. Nothing was sent.
    Unsupported,
}

impl DriverError {
    /// `NotStarted` with a cause and a sentence.
    pub fn not_started(cause: Cause, message: impl Into<String>) -> DriverError {
        DriverError::NotStarted(Reason::new(cause, message))
    }

    /// `InDoubt` with a cause and a sentence.
    pub fn in_doubt(cause: Cause, message: impl Into<String>) -> DriverError {
        DriverError::InDoubt(Reason::new(cause, message))
    }
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DriverError::NotStarted(reason) => write!(f, "not started: {reason}"),
            DriverError::InDoubt(reason) => write!(f, "in doubt: {reason}"),
            DriverError::Unsupported => f.write_str("this terminal cannot do that"),
        }
    }
}

impl std::error::Error for DriverError {}

/// What went wrong, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The kind of trouble, from a closed list.
    pub cause: Cause,
    /// What is wrong, where, and what to do. No card data, no secrets.
    pub message: String,
}

impl Reason {
    /// A cause and a sentence.
    pub fn new(cause: Cause, message: impl Into<String>) -> Reason {
        Reason { cause, message: message.into() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The kinds of trouble that the router tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Nobody answers at the terminal's address, or the provider says that the terminal is offline.
    Unreachable,
    /// The terminal is at something else.
    Busy,
    /// The terminal answered that it will not do this.
    Refused,
    /// The driver or the terminal cannot do this operation.
    Unsupported,
    /// The terminal settles in another currency.
    WrongCurrency,
    /// The journal did not take what had to be stored first.
    NotStored,
    /// The link broke.
    LinkLost,
    /// Nothing came within the time that was allowed.
    NoAnswer,
    /// What came cannot be understood.
    Garbage,
    /// The terminal said one thing and then its opposite.
    Contradiction,
    /// The driver crashed, or was dropped at a deadline.
    DriverLost,
}

impl Cause {
    /// The word in journals, logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Unreachable => "unreachable",
            Cause::Busy => "busy",
            Cause::Refused => "refused",
            Cause::Unsupported => "unsupported",
            Cause::WrongCurrency => "wrong_currency",
            Cause::NotStored => "not_stored",
            Cause::LinkLost => "link_lost",
            Cause::NoAnswer => "no_answer",
            Cause::Garbage => "garbage",
            Cause::Contradiction => "contradiction",
            Cause::DriverLost => "driver_lost",
        }
    }
}

/// The journal did not take it; the sentence says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotStored(pub String);

impl fmt::Display for NotStored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the journal could not store it: {}", self.0)
    }
}

impl std::error::Error for NotStored {}

/// A line for the cashier while a command runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The terminal's own code, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The line.
    pub message: String,
}

/// What a terminal says when asked how it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalStatus {
    /// Whether it would take a payment now.
    pub ready: bool,
    /// What it said, in a sentence; if it is not ready, with what to do.
    pub message: String,
    /// Its identity, where it tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminal_id: Option<String>,
    /// Make, model or software, where it tells them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software: Option<String>,
}

/// What an end of day reported. What a terminal does not tell is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EndOfDay {
    /// What the terminal said, in a sentence.
    pub message: String,
    /// The sum that was settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<crate::Money>,
    /// How many transactions were settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Between which receipts they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipts: Option<ReceiptRange>,
    /// What was settled of each card brand that was used, in the terminal's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub brands: Vec<BrandTotal>,
}

/// The first and the last of several receipts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptRange {
    /// The number of the first one.
    pub first: String,
    /// The number of the last one; less than the first, if numbers began anew in between.
    pub last: String,
}

/// What was settled of one card brand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrandTotal {
    /// Its name.
    pub brand: String,
    /// How many transactions.
    pub count: u32,
    /// Their sum, as the terminal adds them up.
    #[serde(flatten)]
    pub amount: crate::Money,
}

/// What a service reported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceReport {
    /// What the terminal said, in a sentence.
    pub message: String,
}
