//! What goes in and out of a conversation about one command, and how it is led over a line.

use std::collections::VecDeque;
use std::future;
use std::time::Duration;

use tillswitch_core::{
    Abort, Cause, Display, LineEvent, LineWatch, NotStored, Outcome, PaymentId, Progress, Reason, Receipt, Session,
};
use tokio::time::{Instant, sleep_until, timeout};

use crate::apdu::Apdu;
use crate::charset::Charset;
use crate::command::Command;
use crate::late::{Late, LateResults};
use crate::learnt;
use crate::reply::Reply;
use crate::timing::Timing;
use crate::transport::{Delivery, Transport};

/// What a conversation learns. One at a time, in the order in which it happened.
#[derive(Debug)]
pub(crate) enum Input {
    /// A message of the PT.
    Received(Reply),
    /// Nothing came within the wait that was asked for last.
    TimedOut,
    /// Not one byte of the command left.
    NotSent(Reason),
    /// The line is gone, or what comes over it makes no sense, or it all takes too long.
    Broken(Reason),
    /// Somebody wants the command to stop. Comes at most once.
    AbortWanted,
    /// The outcome handed out last is on disk.
    Stored,
    /// It is not, or not in time.
    NotStored,
    /// An answer of ours did not leave. That the line is gone shows in the next wait.
    NotAnswered,
}

/// What a conversation wants done, in this order.
#[derive(Debug, PartialEq)]
pub(crate) enum Action<R> {
    /// Send a command of ours.
    Command(Command),
    /// Send an answer.
    Answer(Apdu),
    /// From now on wait this long for the next message.
    Wait(Wait),
    /// Tell the cashier.
    Show(Progress),
    /// Store what the PT said, and report back with `Stored` or `NotStored`.
    Record(Outcome),
    /// Store that the PT said something about another payment.
    Late(Late),
    /// Store a slip.
    Slip(Receipt),
    /// The conversation is over.
    Finish(R),
}

/// Which timer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// T3.
    Answer,
    /// T4, or as many minutes as the PT asked for.
    Completion(Option<u8>),
    /// The end of a command without card and bank.
    Enquiry,
    /// Silence after a failed 04 0F.
    AfterFailure,
}

/// One command's conversation, without I/O.
pub(crate) trait Conversation: Send {
    /// What it comes to.
    type End: Send;

    /// The first actions.
    fn start(&mut self) -> Vec<Action<Self::End>>;

    /// What follows from an input.
    fn next(&mut self, input: Input) -> Vec<Action<Self::End>>;
}

/// Who listens while a conversation runs.
pub(crate) enum Audience<'a> {
    /// A payment.
    Session(&'a mut dyn Session),
    /// The same before its command leaves: an abort ends whatever is asked.
    Preparing(&'a mut dyn Session),
    /// The looking into a payment in doubt, which nobody stops.
    Resolving(&'a mut dyn Session),
    /// A command that moves no money.
    Display(&'a mut dyn Display),
    /// A question of the driver's own.
    Nobody,
}

/// Leads a conversation over an open line until it ends.
pub(crate) async fn lead<C: Conversation>(
    transport: &mut dyn Transport,
    charset: Charset,
    timing: &Timing,
    watch: &LineWatch,
    late: &mut LateResults,
    audience: &mut Audience<'_>,
    conversation: &mut C,
) -> C::End {
    let limit = Instant::now() + timing.conversation;
    let mut leader =
        Leader { transport, charset, timing, watch, late, asked_at: None, audience, limit, deadline: limit };
    let mut abort = leader.audience.abort();
    let mut actions: VecDeque<Action<C::End>> = conversation.start().into();
    loop {
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Finish(end) => return end,
                other => {
                    if let Some(input) = leader.perform(other).await {
                        actions.extend(conversation.next(input));
                    }
                }
            }
        }
        let input = leader.wait(&mut abort).await;
        actions.extend(conversation.next(input));
    }
}

struct Leader<'a, 'b> {
    transport: &'a mut dyn Transport,
    charset: Charset,
    timing: &'a Timing,
    watch: &'a LineWatch,
    late: &'a mut LateResults,
    /// When the command was sent that the PT has not answered yet.
    asked_at: Option<Instant>,
    audience: &'a mut Audience<'b>,
    /// When the conversation has taken too long.
    limit: Instant,
    /// When the present wait ends.
    deadline: Instant,
}

impl Leader<'_, '_> {
    async fn perform<R>(&mut self, action: Action<R>) -> Option<Input> {
        match action {
            Action::Command(command) => return self.command(&command).await,
            Action::Answer(apdu) => return self.answer(&apdu).await,
            Action::Wait(wait) => self.deadline = Instant::now() + self.duration(wait),
            Action::Show(progress) => self.audience.show(progress),
            Action::Record(outcome) => return Some(self.record(&outcome).await),
            Action::Late(late) => self.late.file(&late, self.audience, self.watch, self.timing.record).await,
            Action::Slip(receipt) => self.audience.receipt(receipt).await,
            Action::Finish(_) => {}
        }
        None
    }

    async fn command(&mut self, command: &Command) -> Option<Input> {
        let delivery = if command.moves_money() { Delivery::AtMostOnce } else { Delivery::Repeatable };
        self.asked_at = Some(Instant::now());
        match self.transport.send(&command.encode(), delivery).await {
            Ok(()) => None,
            Err(error) if error.nothing_sent && command.moves_money() => Some(Input::NotSent(error.reason)),
            Err(error) => Some(Input::Broken(error.reason)),
        }
    }

    async fn answer(&mut self, apdu: &Apdu) -> Option<Input> {
        let error = self.transport.send(apdu, Delivery::Repeatable).await.err()?;
        tracing::debug!("an answer did not reach the terminal: {}", error.reason);
        Some(Input::NotAnswered)
    }

    async fn record(&mut self, outcome: &Outcome) -> Input {
        let Audience::Session(session) = &mut *self.audience else {
            return Input::NotStored;
        };
        match timeout(self.timing.record, session.record(outcome)).await {
            Ok(Ok(())) => Input::Stored,
            Ok(Err(error)) => {
                tracing::error!("{error}; the terminal is told to take the payment back");
                Input::NotStored
            }
            Err(_) => {
                tracing::error!("the journal is too slow; the terminal is told to take the payment back");
                Input::NotStored
            }
        }
    }

    fn duration(&self, wait: Wait) -> Duration {
        match wait {
            Wait::Answer => self.timing.answer,
            Wait::Completion(Some(minutes)) if minutes > 0 => self.timing.minute * minutes.into(),
            Wait::Completion(_) => self.timing.completion,
            Wait::Enquiry => self.timing.enquiry,
            Wait::AfterFailure => self.timing.after_failure,
        }
    }

    /// Whatever comes first. A message that is there already wins over the wait for it, and over nothing else: a PT that
    /// never stops talking must not outtalk an abort.
    async fn wait(&mut self, abort: &mut Option<Abort>) -> Input {
        tokio::select! {
            biased;
            () = sleep_until(self.limit) => Input::Broken(self.too_long()),
            () = requested(abort) => {
                *abort = None;
                Input::AbortWanted
            }
            received = self.transport.receive() => match received {
                Ok(apdu) => {
                    self.note_answer(&apdu);
                    Input::Received(Reply::parse(&apdu, self.charset))
                }
                Err(reason) => Input::Broken(reason),
            },
            () = sleep_until(self.deadline) => Input::TimedOut,
        }
    }

    /// The first 80 00 or 84 xx after a command is how quick the PT is; what follows takes as long as customer and bank do.
    fn note_answer(&mut self, apdu: &Apdu) {
        if apdu.is_answer()
            && let Some(asked_at) = self.asked_at.take()
        {
            self.watch.note(LineEvent::Answered { after_seconds: asked_at.elapsed().as_secs_f64() });
        }
    }

    fn too_long(&self) -> Reason {
        let message = format!("the terminal at {} talks on and on and comes to no end", self.transport.address());
        Reason::new(Cause::NoAnswer, message)
    }
}

/// Completes once, when an abort is asked for; never when nobody can ask.
pub(crate) async fn requested(abort: &mut Option<Abort>) {
    match abort {
        Some(abort) => abort.requested().await,
        None => future::pending().await,
    }
}

impl Audience<'_> {
    pub fn abort(&self) -> Option<Abort> {
        match self {
            Audience::Session(session) | Audience::Preparing(session) => Some(session.abort()),
            // These end by themselves, and stopping half-way would settle nothing.
            Audience::Resolving(_) | Audience::Display(_) | Audience::Nobody => None,
        }
    }

    fn show(&mut self, progress: Progress) {
        match self {
            Audience::Session(session) | Audience::Preparing(session) | Audience::Resolving(session) => {
                session.show(progress)
            }
            Audience::Display(display) => display.show(progress),
            Audience::Nobody => {}
        }
    }

    /// A slip that cannot be stored does not undo a payment: answering with a printer fault would.
    async fn receipt(&mut self, receipt: Receipt) {
        let stored = match self {
            Audience::Session(session) | Audience::Preparing(session) | Audience::Resolving(session) => {
                session.receipt(receipt).await
            }
            Audience::Display(display) => display.receipt(receipt).await,
            Audience::Nobody => return,
        };
        if let Err(error) = stored {
            tracing::warn!("a slip is lost: {error}");
        }
    }

    /// Whoever runs a payment hears of it there, and otherwise whoever watches the line.
    pub async fn late(
        &mut self,
        earlier: Option<PaymentId>,
        said: &Outcome,
        watch: &LineWatch,
    ) -> Result<(), NotStored> {
        match self {
            Audience::Session(session) | Audience::Preparing(session) => session.late(earlier, said).await,
            Audience::Resolving(session) => {
                let stored = session.late(earlier, said).await;
                stored.and(learnt::forget_acknowledgement(*session).await)
            }
            Audience::Display(_) | Audience::Nobody => watch.late(earlier, said).await,
        }
    }
}
