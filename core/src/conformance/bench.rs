//! What a driver brings along to be examined: a simulated terminal that misbehaves on demand.

use async_trait::async_trait;

use crate::driver::TerminalDriver;
use crate::ledger::LedgerEntry;

/// A simulated terminal, and drivers for it.
///
/// # Contract
///
/// Each [`start`](Self::start) forgets the run before it: a fresh terminal with an empty ledger and a fresh driver whose
/// timers are as short as the real clock allows, so that a battery ends within seconds.
#[async_trait]
pub trait Bench: Send {
    /// Whether this terminal's protocol can express the behaviour; if not, why. What is left out is printed by the suite.
    fn supports(&self, behaviour: Behaviour) -> Result<(), &'static str>;

    /// Starts a terminal whose next payment goes like this, and a driver for it. The payments after the next are approved.
    async fn start(&mut self, behaviour: Behaviour) -> Box<dyn TerminalDriver>;

    /// Makes the terminal reachable and well-behaved again, with its ledger and its last receipt as they are.
    async fn heal(&mut self);

    /// What the terminal has booked since `start`.
    fn ledger(&self) -> Vec<LedgerEntry>;

    /// How many commands that move money have reached the terminal since `start`.
    fn money_commands(&self) -> usize;
}

/// How a simulated terminal handles its next payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Behaviour {
    /// Books and says so.
    Approve,
    /// The bank refuses.
    Decline,
    /// The customer presses the stop key.
    CustomerCancels,
    /// Waits for a card until it is asked to stop; then it stops.
    WaitForAbort,
    /// The same, while progress frames trickle in byte by byte: an abort must not lose half a frame.
    WaitForAbortBytewise,
    /// Answers the command with "busy".
    Busy,
    /// Answers the command with a refusal to start (not permitted, wrong parameter).
    Refuse,
    /// Nobody listens at its address.
    Unreachable,
    /// The link breaks once the command has arrived; nothing is booked.
    LinkLostAfterCommand,
    /// It books, and the link breaks before the result has left.
    LinkLostAfterBooking,
    /// It books and reports, and the link breaks before the conversation has ended.
    LinkLostAfterOutcome,
    /// Approves, then the idle link is cut; it listens on.
    LinkLostWhileIdle,
    /// Answers the command with bytes that mean nothing.
    Garbage,
    /// Approves after a long conversation in small pieces.
    Slow,
    /// Takes the command and stays silent.
    NeverAnswers,
    /// Reports an error (a wrong PIN), goes on, and approves.
    ErrorThenApproval,
    /// Reports an approval and takes it back before the conversation ends.
    ApprovalThenReversal,
    /// Approves half of what was asked.
    ApproveLess,
    /// Approves a tip on top of what was asked.
    ApproveMore,
    /// Takes the command, books, and stays silent; once it is healed and somebody talks to it, it reports the booking.
    ReportsTooLate,
}
