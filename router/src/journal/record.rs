//! What the journal keeps of a payment.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tillswitch_core::{Document, Identity, Money, Notes, Operation, Outcome, PaymentId, Receipt};

use crate::code::Code;

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Written down, not yet sent.
    Received,
    /// Given to the terminal's driver.
    Dispatched,
    /// The money moved. Final.
    Approved,
    /// Refused. Final.
    Declined,
    /// Stopped. Final.
    Cancelled,
    /// Proof that no money moved. Final.
    Failed,
    /// Never given to a terminal in time. Final.
    Expired,
    /// The command may have reached the terminal and the outcome is missing.
    InDoubt,
}

impl State {
    /// Every state, in the order of a payment's life.
    pub const ALL: [State; 8] = [
        State::Received,
        State::Dispatched,
        State::Approved,
        State::Declined,
        State::Cancelled,
        State::Failed,
        State::Expired,
        State::InDoubt,
    ];

    /// The word that users and programs see.
    pub fn name(self) -> &'static str {
        match self {
            State::Received => "received",
            State::Dispatched => "dispatched",
            State::Approved => "approved",
            State::Declined => "declined",
            State::Cancelled => "cancelled",
            State::Failed => "failed",
            State::Expired => "expired",
            State::InDoubt => "in_doubt",
        }
    }

    /// Whether nothing changes it any more.
    pub fn is_final(self) -> bool {
        match self {
            State::Approved | State::Declined | State::Cancelled | State::Failed | State::Expired => true,
            State::Received | State::Dispatched | State::InDoubt => false,
        }
    }

    /// Whether a payment may go from here to `next`. The one place that knows the state machine.
    pub fn may_become(self, next: State) -> bool {
        use State::*;
        match self {
            Received => matches!(next, Dispatched | Cancelled | Expired),
            Dispatched => matches!(next, Approved | Declined | Cancelled | Failed | InDoubt),
            InDoubt => matches!(next, Approved | Declined | Cancelled | Failed),
            Approved | Declined | Cancelled | Failed | Expired => false,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<State, String> {
        let known = State::ALL.into_iter().find(|state| state.name() == text);
        known.ok_or_else(|| {
            let words: Vec<&str> = State::ALL.iter().map(|state| state.name()).collect();
            format!("unknown state {text:?}, expected one of: {}", words.join(", "))
        })
    }
}

/// Who made a transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// An event from the point of sale.
    Webhook,
    /// The value that `execute` returned.
    Driver,
    /// The start after a crash, or `resolve`.
    Recovery,
    /// A person, by name.
    Operator(String),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Webhook => f.write_str("webhook"),
            Actor::Driver => f.write_str("driver"),
            Actor::Recovery => f.write_str("recovery"),
            Actor::Operator(name) => write!(f, "operator:{name}"),
        }
    }
}

/// Why a payment stands where it stands.
// One per payment: a box would save nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Verdict {
    /// The terminal said so.
    Said {
        /// What it said.
        #[serde(flatten)]
        outcome: Outcome,
    },
    /// There is no outcome; this is why.
    Because {
        /// For programs.
        code: Code,
        /// For people: what is wrong and what to do.
        message: String,
    },
}

impl Verdict {
    /// A code and a sentence.
    pub fn because(code: Code, message: impl Into<String>) -> Verdict {
        Verdict::Because { code, message: message.into() }
    }
}

/// Which terminal a payment went to, kept with the payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalKey {
    /// Its name in the configuration of that day.
    pub name: String,
    /// Its driver.
    pub driver: String,
    /// Address and account, without secrets. Only a terminal with an equal one may be asked about the payment.
    pub identity: Identity,
}

/// A payment as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Payment {
    /// Its identity.
    pub id: PaymentId,
    /// Where it stands.
    pub state: State,
    /// Why it stands there; `None` while it is running.
    pub verdict: Option<Verdict>,
    /// Which way the money goes.
    pub operation: Operation,
    /// What was asked.
    pub amount: Money,
    /// The share of the amount that is a tip, in minor units.
    pub tip_minor: Option<u64>,
    /// The register that asked.
    pub register: String,
    /// The terminal that it went to.
    pub terminal: TerminalKey,
    /// The document that is paid.
    pub document: Option<Document>,
    /// The payment that it undoes.
    pub original: Option<PaymentId>,
    /// The payment that came to nothing before this one was started in its place.
    pub again_of: Option<PaymentId>,
    /// Whether a partial approval may stand, as the terminal's settings said when it was received.
    pub accept_partial: bool,
    /// When the request was received.
    pub received_at: SystemTime,
    /// When it was given to the driver.
    pub dispatched_at: Option<SystemTime>,
    /// When the last transition into a final state or into `in_doubt` happened.
    pub finished_at: Option<SystemTime>,
    /// What the driver remembered.
    pub notes: Notes,
    /// What the terminal said on the way: evidence, not final.
    pub recorded: Option<Outcome>,
    /// In doubt, and asking has ended without a result: a person decides.
    pub waits_for_person: bool,
    /// Whether an answer with its approval was written to its end.
    pub answer_delivered: bool,
}

/// One line of a payment's history.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// 1 for the first of a payment.
    pub number: u32,
    /// When.
    pub at: SystemTime,
    /// Into which state.
    pub state: State,
    /// Who made it, as text: `webhook`, `driver`, `recovery`, `operator:<name>`.
    pub actor: String,
    /// Masked evidence: a sentence.
    pub evidence: String,
}

/// Something that contradicts what is known, or must not be forgotten.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// When it was written down.
    pub at: SystemTime,
    /// A sentence for a person.
    pub message: String,
    /// What the terminal said, where it said something.
    pub said: Option<Outcome>,
}

/// A payment with everything that was kept of it.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// As it stands.
    pub payment: Payment,
    /// How it came there, oldest first.
    pub transitions: Vec<Transition>,
    /// Its slips.
    pub receipts: Vec<Receipt>,
    /// What contradicts it.
    pub incidents: Vec<Incident>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_states_stay() {
        for state in State::ALL {
            assert_eq!(state.name().parse(), Ok(state));
            assert_eq!(state.is_final(), State::ALL.iter().all(|next| !state.may_become(*next)), "{state}");
        }
    }

    #[test]
    fn nothing_is_final_that_was_never_dispatched_except_cancelled_and_expired() {
        let next: Vec<State> = State::ALL.into_iter().filter(|next| State::Received.may_become(*next)).collect();
        assert_eq!(next, [State::Dispatched, State::Cancelled, State::Expired]);
    }
}
