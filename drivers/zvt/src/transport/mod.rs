//! What a line to a PT can do, whatever it is made of.

mod foreign;
pub mod serial;
pub mod stream;
pub mod tcp;
pub(crate) mod tls;

use async_trait::async_trait;
use tillswitch_core::Reason;

use crate::apdu::Apdu;

/// How often a message may reach the PT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// A money command. A line that repeats frames may repeat this one only when the PT said that it did not understand it.
    AtMostOnce,
    /// Anything else.
    Repeatable,
}

/// A message did not leave, or not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendError {
    /// What is wrong.
    pub reason: Reason,
    /// Proof that not one byte left.
    pub nothing_sent: bool,
}

/// A line to one PT: framing, and the acknowledgements below the level of APDUs. It knows nothing of commands.
///
/// # Contract
///
/// - After an error the line is closed, and everything fails until it is opened again.
/// - [`receive`](Self::receive) is cancel-safe: dropped before it completes, it loses no byte.
#[async_trait]
pub trait Transport: Send {
    /// Opens the line afresh; an old one is closed and what it still held is forgotten.
    async fn open(&mut self) -> Result<(), Reason>;

    /// Whether the line is open, as far as this end knows.
    fn is_open(&self) -> bool;

    /// Sends one message.
    async fn send(&mut self, apdu: &Apdu, delivery: Delivery) -> Result<(), SendError>;

    /// Waits for the next message. Cancel-safe. The caller sets the limit.
    async fn receive(&mut self) -> Result<Apdu, Reason>;

    /// The next message that has arrived already; `None` when there is none. Never waits. Notices an end of the line, and
    /// closes a line that holds half a message.
    fn arrived(&mut self) -> Result<Option<Apdu>, Reason>;

    /// The money command that was sent last has come to its end. Until then, a line that is closed or dropped takes back what
    /// has not left yet, where it can: the network must not deliver a payment that has been given up.
    fn settled(&mut self) {}

    /// Whether the PT itself ended the last line within a payment, and had read all that was sent to it. Where a line cannot
    /// tell, it did not.
    fn ended_in_order(&self) -> bool {
        false
    }

    /// Whether a PT that starts anew ends the line, so that one that is open still knows of its registration.
    fn hears_restarts(&self) -> bool {
        true
    }

    /// Whether the PT may give a message up, after its last repetition, and go on with the next one. Never, where a lost message
    /// is a lost line.
    fn loses_messages(&self) -> bool {
        false
    }

    /// How many frames had to be sent again since this was asked last. Never, where another layer sees to that.
    fn repetitions(&mut self) -> u32 {
        0
    }

    /// Closes the line.
    async fn close(&mut self);

    /// Where the PT is reached, for messages.
    fn address(&self) -> &str;

    /// What to tell somebody whose PT did not answer the first command on this line: a guess at what listens there instead.
    fn foreign(&self) -> Option<String> {
        None
    }
}
