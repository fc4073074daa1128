//! What must be on disk, and when.

mod change;
mod disk;
mod failure;
mod identity;
mod insert;
mod lock;
mod measured;
mod read;
mod reader;
pub mod record;
mod retention;
mod schema;
mod sqlite;
mod value;
mod watch;
mod writer;

use std::fmt;
use std::ops::AddAssign;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tillswitch_core::{Document, Money, Notes, Operation, Outcome, PaymentId, Receipt};

use crate::code::Code;
pub use disk::{Disk, RealDisk};
pub use lock::{Held, NotTaken, StateLock};
pub use measured::{Measured, MeasuredDisk, note_room};
pub use record::{Actor, History, Incident, Payment, State, TerminalKey, Transition, Verdict};
pub use sqlite::{Hand, Options, SqliteJournal};

/// The store of all payments.
///
/// # Contract
///
/// - Every method that changes something has committed durably when it returns `Ok`; [`answer_delivered`](Self::answer_delivered)
///   alone does not wait.
/// - A transition that [`State::may_become`] forbids is refused with [`JournalError::WrongState`]: the first writer wins.
/// - Every transition is a row in an append-only history; only [`forget`](Self::forget) ends one, as a whole.
/// - After an I/O error from a commit the journal is read-only until a restart: a later successful sync proves nothing.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Looks whether the request is a repeat, and writes it down if it is not. One transaction.
    async fn begin(&self, new: NewPayment) -> Result<Begun, JournalError>;

    /// Looks whether the same event was here before, by the rules of [`begin`](Self::begin), and writes nothing: it works
    /// on a disk that takes no writes. `None`: it was not. Never [`Begun::New`], never [`Begun::SameDocument`].
    async fn known(&self, new: NewPayment) -> Result<Option<Begun>, JournalError>;

    /// `received` -> `dispatched`.
    async fn dispatch(&self, id: PaymentId) -> Result<(), JournalError>;

    /// Keeps notes of the driver; the last value of a key stands.
    async fn remember(&self, id: PaymentId, notes: Vec<(String, String)>) -> Result<(), JournalError>;

    /// Keeps what the terminal said. Evidence: the state stays.
    async fn record(&self, id: PaymentId, said: Outcome) -> Result<(), JournalError>;

    /// Keeps a slip.
    async fn receipt(&self, id: PaymentId, receipt: Receipt) -> Result<(), JournalError>;

    /// Keeps a slip of a terminal's own work, such as an end of day.
    async fn terminal_receipt(&self, terminal: &str, receipt: Receipt) -> Result<(), JournalError>;

    /// Moves a payment on: into a final state or into `in_doubt`.
    async fn finish(&self, id: PaymentId, end: End) -> Result<(), JournalError>;

    /// Marks a payment in doubt as one that a person decides, with the evidence; it stays in doubt.
    async fn leave_to_person(&self, id: PaymentId, evidence: String) -> Result<(), JournalError>;

    /// Keeps something that contradicts what is known. `None`: about a payment that is not known.
    async fn incident(&self, id: Option<PaymentId>, terminal: &str, incident: Incident) -> Result<(), JournalError>;

    /// Notes, without waiting, that an answer with this payment's approval was written to its end.
    fn answer_delivered(&self, id: PaymentId);

    /// What a start does before the listeners open: every `dispatched` payment becomes `in_doubt`, every `received` one
    /// `expired` and gives its keys back. Returns how many of each.
    async fn recover(&self) -> Result<Recovered, JournalError>;

    /// Forgets final payments that ended longer ago than this, with everything that was kept of them, and slips and
    /// incidents of terminals that are as old. In small steps: other work goes in between, and one that is cut off is
    /// harmless.
    ///
    /// A payment stays as long as it is in doubt, as another one that stays refers to it, or as something younger was kept
    /// of it. An event that comes again after its payment was forgotten is a new one. How old something is counts back from
    /// the newest payment, or from now if that is earlier: a clock that runs years ahead empties no journal.
    async fn forget(&self, older_than: Duration) -> Result<Forgotten, JournalError>;

    /// All payments that are in doubt, oldest first.
    async fn in_doubt(&self) -> Result<Vec<Payment>, JournalError>;

    /// One payment as it stands.
    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, JournalError>;

    /// One payment with everything that was kept of it.
    async fn history(&self, id: PaymentId) -> Result<Option<History>, JournalError>;

    /// Payments, newest first.
    async fn search(&self, filter: Filter) -> Result<Vec<Payment>, JournalError>;

    /// How many payments there are; `None` where nobody counts them.
    async fn count(&self) -> Result<Option<u64>, JournalError> {
        Ok(None)
    }

    /// Whether it takes writes. A probe, without touching the disk.
    fn health(&self) -> Result<(), JournalError>;

    /// How long the writer has been at the commit or the checkpoint it is at; `None` while it waits for work.
    fn writing_for(&self) -> Option<Duration> {
        None
    }

    /// Commits what is queued up and closes. Nothing is accepted afterwards.
    async fn close(&self);
}

/// A request that may become a payment.
#[derive(Clone, Debug)]
pub struct NewPayment {
    /// The identity that it gets if it is new.
    pub id: PaymentId,
    /// How the same request is recognised when it comes again.
    pub keys: Keys,
    /// Which way the money goes.
    pub operation: Operation,
    /// How much.
    pub amount: Money,
    /// The share of the amount that is a tip, in minor units.
    pub tip_minor: Option<u64>,
    /// The register that asks.
    pub register: String,
    /// The terminal that it would go to.
    pub terminal: TerminalKey,
    /// The document that is paid.
    pub document: Option<Document>,
    /// The payment that it undoes, where that was said. Otherwise a refund undoes the one approved sale of its document.
    pub undoes: Option<PaymentId>,
    /// The payment that it is started in place of.
    pub again_of: Option<PaymentId>,
    /// Whether a partial approval may stand.
    pub accept_partial: bool,
    /// When the request was received.
    pub received_at: SystemTime,
    /// What is done with it if it is new.
    pub admission: Admission,
    /// The rule for a second press.
    pub repeat: RepeatRule,
    /// What the first row of the history says, masked.
    pub evidence: String,
}

impl From<&NewPayment> for Payment {
    /// The payment that `begin` writes down if the request is new.
    fn from(new: &NewPayment) -> Payment {
        let dispatched = new.admission == Admission::Dispatch;
        Payment {
            id: new.id,
            state: if dispatched { State::Dispatched } else { State::Received },
            verdict: None,
            operation: new.operation,
            amount: new.amount,
            tip_minor: new.tip_minor,
            register: new.register.clone(),
            terminal: new.terminal.clone(),
            document: new.document.clone(),
            original: new.undoes,
            again_of: new.again_of,
            accept_partial: new.accept_partial,
            received_at: new.received_at,
            dispatched_at: dispatched.then_some(new.received_at),
            finished_at: None,
            notes: Notes::default(),
            recorded: None,
            waits_for_person: false,
            answer_delivered: false,
        }
    }
}

/// How the same request is recognised when it comes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// An event of the point of sale.
    Event {
        /// The sender's own identity of the event; unique in the store.
        guid: Option<String>,
        /// `v1:` and the SHA-256 of the parsed content.
        content: String,
        /// Whether the content names its time. Without it the content does not identify the event.
        has_created_at: bool,
    },
    /// A request of a person at the admin API.
    Operator {
        /// Who.
        name: String,
        /// The `Idempotency-Key`, prefixed so that it equals no guid of an event.
        key: String,
        /// `v1:` and the SHA-256 of what was asked.
        content: String,
    },
}

impl Keys {
    /// The hash of the content.
    pub fn content(&self) -> &str {
        match self {
            Keys::Event { content, .. } | Keys::Operator { content, .. } => content,
        }
    }

    /// What the sender calls the request, unique in the store.
    pub fn guid(&self) -> Option<&str> {
        match self {
            Keys::Event { guid, .. } => guid.as_deref(),
            Keys::Operator { key, .. } => Some(key),
        }
    }

    /// Whether a person asks, not the point of sale.
    pub fn is_of_operator(&self) -> bool {
        matches!(self, Keys::Operator { .. })
    }

    /// Whether the content identifies the request by itself.
    pub fn has_created_at(&self) -> bool {
        match self {
            Keys::Event { has_created_at, .. } => *has_created_at,
            Keys::Operator { .. } => false,
        }
    }
}

/// What is done with a request that turns out to be new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The terminal is free and kept for it: `received` and `dispatched` in one commit.
    Dispatch,
    /// The terminal is busy and has a place in its queue: `received`.
    Queue,
    /// It cannot begin now: nothing is written, no key is kept.
    Refuse,
    /// It is too old: it is written as `expired`, and its keys are kept. The text says how old.
    TooOld(String),
}

/// The rule for a second press after a delivered approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepeatRule {
    /// How long after an approval the same document is suspected.
    pub window: Duration,
    /// `repeat = "allow"`: at the same register nothing is suspected.
    pub allow: bool,
    /// A person has said that it is no second press.
    pub confirmed: bool,
}

/// What `begin` found.
#[derive(Clone, Debug, PartialEq)]
pub enum Begun {
    /// It is new, and it was written down as [`Admission`] said (`Refuse`: it was not).
    New {
        /// The one approved sale of the same document that a refund undoes.
        original: Option<Box<Payment>>,
    },
    /// The same event was here before: the payment as it stands.
    SameEvent(Box<Payment>),
    /// Another event of the same document joins this payment, as it stands.
    SameDocument(Box<Payment>),
    /// It is refused because of this payment. `repeated`: the same event was refused before.
    Conflict {
        /// `conflicting-repeat`, `suspected-repeat`, `document-in-doubt` or `over-refund`.
        code: Code,
        /// The payment that stands in its way.
        first: Box<Payment>,
        /// Whether this very event was refused before.
        repeated: bool,
    },
}

/// Where a payment goes, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// Into which state.
    pub state: State,
    /// Why.
    pub verdict: Verdict,
    /// Who says so.
    pub actor: Actor,
    /// When: given by the caller, so that the answer and every later reading name the same instant.
    pub at: SystemTime,
    /// A sentence for the history.
    pub evidence: String,
    /// Whether the request may come again as a new one (it expired in the queue or at a restart).
    pub release_keys: bool,
}

/// How many payments a start found open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Were `dispatched`, are `in_doubt` now.
    pub in_doubt: usize,
    /// Were `received`, are `expired` now.
    pub expired: usize,
}

/// What went after its years of retention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Payments, each with all that was kept of it.
    pub payments: usize,
    /// Slips and incidents that belonged to a terminal and to no payment.
    pub of_terminals: usize,
}

impl AddAssign for Forgotten {
    fn add_assign(&mut self, more: Forgotten) {
        self.payments += more.payments;
        self.of_terminals += more.of_terminals;
    }
}

/// Which payments are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// In this state.
    pub state: Option<State>,
    /// Of this register.
    pub register: Option<String>,
    /// Of the document with this number.
    pub document: Option<String>,
    /// Received at this time or later.
    pub since: Option<SystemTime>,
    /// So many at most; 0 stands for 50.
    pub limit: usize,
}

/// Why the journal did not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalError {
    /// It cannot be written: the disk failed, or it was closed. Nothing starts until a restart.
    ReadOnly(String),
    /// Less room is left than `min_free` keeps for running payments: new ones do not begin.
    NoRoom(String),
    /// More is waiting to be written than the queue holds.
    Overloaded,
    /// The payment is not where the change would start from.
    WrongState {
        /// Which payment.
        id: PaymentId,
        /// Where it stands.
        found: State,
        /// Where it was to go.
        wanted: State,
    },
    /// There is no such payment.
    UnknownPayment(PaymentId),
    /// The file cannot be read as a journal of this version.
    Damaged(String),
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalError::ReadOnly(why) => {
                write!(f, "the journal cannot be written ({why}); free the disk or repair it, then restart")
            }
            JournalError::NoRoom(why) => write!(f, "the disk is almost full ({why}); make room"),
            JournalError::Overloaded => f.write_str("the journal has too much to write; try again"),
            JournalError::WrongState { id, found, wanted } => {
                write!(f, "payment {id} is {found} and cannot become {wanted}")
            }
            JournalError::UnknownPayment(id) => write!(f, "there is no payment {id}"),
            JournalError::Damaged(why) => write!(f, "the journal is damaged: {why}"),
        }
    }
}

impl std::error::Error for JournalError {}
