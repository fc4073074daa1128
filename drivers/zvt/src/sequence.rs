//! How a payment's conversation with the PT goes, as a state machine without I/O.

use tillswitch_core::{Approval, Cause, DriverError, Money, Outcome, ReceiptKind};

use crate::charset::Charset;
use crate::clock::{MonthDay, TimeOfDay};
use crate::collector::SlipCollector;
use crate::command::{self, Command, Password};
use crate::conversation::{Action, Conversation, Input, Wait};
use crate::fields::Fields;
use crate::late::Late;
use crate::learnt::Learnt;
use crate::messages::{self, is_busy};
use crate::reply::{Abort, Completion, IntermediateStatus, Reply};
use crate::slip::PrintBlock;
use crate::tables::terminal_status;

mod booked;
mod verdict;

use booked::Booked;

type End = Result<Outcome, DriverError>;
type Actions = Vec<Action<End>>;

/// What a payment's conversation is about.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The money command.
    pub command: Command,
    /// The amount in it, or the amount that a reversal should bring back.
    pub amount: Money,
    /// Whether less may stand.
    pub accept_partial: bool,
    /// For 05 01.
    pub password: Password,
    /// The terminal id of the registration, for results that do not repeat it.
    pub terminal_id: Option<String>,
    /// The PT's last booking before this payment.
    pub previous: Option<Learnt>,
    pub charset: Charset,
    /// How often 05 01 may be asked in one silence after a failed 04 0F.
    pub enquiries: u32,
    /// Whether a message can get lost while the line stays, so that readiness does not prove that all was told.
    pub line_loses_messages: bool,
}

/// The conversation about one payment: 06 01, 06 31 or 06 30.
pub(crate) struct Payment {
    asked: Asked,
    slips: SlipCollector,
    stage: Stage,
    /// Anything but an answer has come since the command left, so a later 84 xx proves nothing.
    may_have_started: bool,
    heard: Heard,
    /// Why we answered a 04 0F with 84 66.
    sent_back: Option<SentBack>,
    /// The PT said 27 00 and then something that does not go with it.
    contradicted: bool,
    /// The PT went on after a failed 04 0F, as it does for a second PIN. The result of that must come.
    carried_on: bool,
    /// Our 80 00 00 to a 27 00 was sent: if it arrived, the PT keeps the payment.
    acknowledged: bool,
    /// The PT told the result of the payment before this one once more.
    repeats_previous: bool,
    /// How often 05 01 was asked since the PT said something.
    enquiries: u32,
    /// How many 05 01 have got neither their completion nor an 84 xx that is surely theirs.
    enquiries_open: u32,
    /// How many 05 01 and 06 B0 have got no 80 xx or 84 xx.
    answers_owed: u32,
    abort: AbortWish,
    /// The wait in minutes that the PT asked for.
    minutes: Option<u8>,
    /// What the PT's clock showed in its last 04 0F.
    clock: Option<(MonthDay, TimeOfDay)>,
}

/// How far the conversation is.
// There is one of them per payment: a box would save nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, PartialEq)]
enum Stage {
    /// The command left; its 80 xx or 84 xx is missing.
    Commanded,
    /// The PT is master.
    Running,
    /// 04 0F said 27 00 and waits for our answer until the journal has it.
    Recording(Approval),
    Ended,
}

/// The last 04 0F with a result.
#[derive(Debug, PartialEq)]
enum Heard {
    Nothing,
    Failed(Outcome),
    /// Recorded and acknowledged.
    Approved(Approval),
}

#[derive(Debug, PartialEq)]
enum SentBack {
    /// Less than asked.
    Partial,
    /// The journal did not take it.
    NotStored,
    /// What was booked cannot be told, or is not what was asked.
    Unclear(&'static str),
}

#[derive(Debug, PartialEq)]
enum AbortWish {
    None,
    /// Wanted before the PT had answered the command.
    Waiting,
    Sent,
}

impl Payment {
    pub fn new(asked: Asked) -> Payment {
        Payment {
            asked,
            slips: SlipCollector::new(ReceiptKind::Customer),
            stage: Stage::Commanded,
            may_have_started: false,
            heard: Heard::Nothing,
            sent_back: None,
            contradicted: false,
            carried_on: false,
            acknowledged: false,
            repeats_previous: false,
            enquiries: 0,
            enquiries_open: 0,
            answers_owed: 0,
            abort: AbortWish::None,
            minutes: None,
            clock: None,
        }
    }

    /// What the PT's clock showed at the end.
    pub fn clock(&self) -> Option<(MonthDay, TimeOfDay)> {
        self.clock
    }

    /// Whether something is still to come that the next command on this line would take for its own answer.
    pub fn leaves_answers_behind(&self) -> bool {
        self.enquiries_open > 0 || self.answers_owed > 0
    }

    /// Whether the PT holds the payment for good if it has read our answer, whatever the conversation came to.
    pub fn is_acknowledged(&self) -> bool {
        self.acknowledged && !self.contradicted && !self.repeats_previous && self.sent_back.is_none()
    }

    fn received(&mut self, reply: Reply) -> Actions {
        match reply {
            Reply::Positive { .. } => self.positive(),
            Reply::Negative { code, .. } => self.negative(code),
            Reply::IntermediateStatus(status) => self.intermediate_status(&status),
            Reply::StatusInformation(fields) => self.status_information(&fields),
            Reply::Completion(completion) => self.completion(&completion),
            Reply::Abort(abort) => self.aborted(&abort),
            Reply::PrintLine(line) => {
                self.slips.line(line);
                self.acknowledge()
            }
            Reply::PrintBlock(block) => self.print_block(block),
            Reply::SetClock { .. } | Reply::DisplayText(_) => self.acknowledge(),
            Reply::Other(apdu) if apdu.is_answer() => Vec::new(),
            Reply::Menu(_) | Reply::InputRequest(_) | Reply::BlockedListQuery(_) | Reply::Other(_) => {
                self.answer(command::unknown_command())
            }
        }
    }

    fn positive(&mut self) -> Actions {
        match self.stage {
            Stage::Commanded => self.running(),
            // The answer to our 06 B0 or 05 01; neither says anything about the payment.
            Stage::Running | Stage::Recording(_) | Stage::Ended => {
                self.answers_owed = self.answers_owed.saturating_sub(1);
                Vec::new()
            }
        }
    }

    fn running(&mut self) -> Actions {
        self.stage = Stage::Running;
        let mut actions = vec![self.wait()];
        if self.abort == AbortWish::Waiting {
            actions.extend(self.send_abort());
        }
        actions
    }

    fn negative(&mut self, code: u8) -> Actions {
        match self.stage {
            Stage::Commanded if self.may_have_started => {
                let message = "the terminal refused the command after it had begun to talk";
                self.finish(Err(DriverError::in_doubt(Cause::Contradiction, message)))
            }
            Stage::Commanded => self.finish(Err(DriverError::NotStarted(messages::refused(code)))),
            // "Too late" to our 06 B0, or "busy" to our 05 01: the payment goes on.
            Stage::Running | Stage::Recording(_) | Stage::Ended => {
                self.answers_owed = self.answers_owed.saturating_sub(1);
                if is_busy(code) {
                    self.went_on_unheard();
                }
                // With a 06 B0 about, nobody can tell whose answer it is.
                if self.abort != AbortWish::Sent {
                    self.enquiries_open = self.enquiries_open.saturating_sub(1);
                }
                Vec::new()
            }
        }
    }

    fn intermediate_status(&mut self, status: &IntermediateStatus) -> Actions {
        if status.timeout_minutes.is_some() {
            self.minutes = status.timeout_minutes;
        }
        self.carried_on |= matches!(self.heard, Heard::Failed(_));
        let mut actions = self.acknowledge();
        actions.push(Action::Show(messages::progress(status)));
        actions
    }

    fn status_information(&mut self, fields: &Fields) -> Actions {
        let result = fields.result_code();
        if self.stage == Stage::Running {
            self.clock = fields.date().zip(fields.time()).or(self.clock);
        }
        match (&self.stage, result) {
            // Every command gets its answer before anything else: this result belongs to another payment.
            (Stage::Commanded, _) => self.result_of_another(fields),
            (Stage::Running | Stage::Recording(_) | Stage::Ended, Some(0)) => self.success(fields),
            (Stage::Running | Stage::Recording(_) | Stage::Ended, Some(code)) => self.failure(code, fields),
            // Without BMP 27 nothing is known; 06 0F or 06 1E must tell.
            (Stage::Running | Stage::Recording(_) | Stage::Ended, None) => self.acknowledge(),
        }
    }

    fn result_of_another(&mut self, fields: &Fields) -> Actions {
        let late = Late::new(fields, self.asked.amount.currency(), self.asked.charset);
        let mut actions = vec![Action::Late(late)];
        actions.extend(self.answer(command::goods_not_issued()));
        actions
    }

    fn success(&mut self, fields: &Fields) -> Actions {
        if let Some(why) = self.sent_back.take() {
            return self.send_back(why);
        }
        match self.booked(fields) {
            Booked::Before => self.result_of_before(fields),
            Booked::Enough(approval) => self.approval(approval),
            Booked::Less => self.send_back(SentBack::Partial),
            Booked::Unclear(why) => self.send_back(SentBack::Unclear(why)),
        }
    }

    /// That payment was final long ago, and 84 66 might undo it. What became of this one, the PT has yet to tell.
    fn result_of_before(&mut self, fields: &Fields) -> Actions {
        self.repeats_previous = true;
        let late = Late::new(fields, self.asked.amount.currency(), self.asked.charset);
        let mut actions = vec![Action::Late(late)];
        actions.extend(self.acknowledge());
        actions
    }

    fn approval(&mut self, approval: Approval) -> Actions {
        if let Heard::Approved(known) = &self.heard {
            if is_same_booking(known, &approval) {
                return self.acknowledge();
            }
            self.contradicted = true;
        }
        self.stage = Stage::Recording(approval.clone());
        vec![Action::Record(Outcome::Approved(approval))]
    }

    fn stored(&mut self) -> Actions {
        match std::mem::replace(&mut self.stage, Stage::Running) {
            Stage::Recording(approval) => {
                self.heard = Heard::Approved(approval);
                self.acknowledged = true;
                self.carried_on = false;
                self.acknowledge()
            }
            other @ (Stage::Commanded | Stage::Running | Stage::Ended) => {
                self.stage = other;
                Vec::new()
            }
        }
    }

    fn not_stored(&mut self) -> Actions {
        self.stage = Stage::Running;
        self.send_back(SentBack::NotStored)
    }

    /// An error of before says nothing about what is sent back: only one after it can tell that the money did not move.
    fn send_back(&mut self, why: SentBack) -> Actions {
        if matches!(self.heard, Heard::Failed(_)) {
            self.heard = Heard::Nothing;
        }
        self.sent_back = Some(why);
        self.answer(command::goods_not_issued())
    }

    fn failure(&mut self, code: u8, fields: &Fields) -> Actions {
        self.contradicted |= matches!(self.heard, Heard::Approved(_));
        let mut outcome = messages::refusal(code, fields, self.asked.charset);
        if let Outcome::Declined(details) | Outcome::Cancelled(details) = &mut outcome {
            details.terminal_id = details.terminal_id.take().or_else(|| self.asked.terminal_id.clone());
        }
        self.heard = Heard::Failed(outcome);
        self.carried_on = false;
        self.acknowledge()
    }

    fn completion(&mut self, completion: &Completion) -> Actions {
        match self.stage {
            Stage::Commanded => self.acknowledge(),
            Stage::Running | Stage::Recording(_) | Stage::Ended if self.enquiries_open > 0 => {
                self.completion_after_enquiry(completion)
            }
            Stage::Running | Stage::Recording(_) | Stage::Ended => {
                let end = self.verdict_of_own_completion();
                self.acknowledge_and_finish(end)
            }
        }
    }

    /// The payment's own completion is empty, that of 05 01 is not. Where both are possible, the money decides.
    fn completion_after_enquiry(&mut self, completion: &Completion) -> Actions {
        let status = completion.status_enquiry().terminal_status;
        if status.is_some() {
            self.enquiries_open -= 1;
        }
        // If that was the payment's own, a result is missing, however ready the PT is afterwards.
        self.contradicted |= status.is_none() && self.carried_on;
        match (status, &self.heard) {
            (Some(terminal_status::READY), Heard::Failed(_)) | (None, Heard::Approved(_)) => {
                let end = self.verdict_of_readiness();
                self.acknowledge_and_finish(end)
            }
            (Some(_), Heard::Failed(_)) => {
                self.went_on_unheard();
                self.acknowledge()
            }
            (Some(_), Heard::Approved(_) | Heard::Nothing) | (None, Heard::Failed(_) | Heard::Nothing) => {
                self.acknowledge()
            }
        }
    }

    /// The PT is at work although its last word was an error. On a line that loses messages, its next word may have been lost.
    fn went_on_unheard(&mut self) {
        self.carried_on |= self.asked.line_loses_messages && matches!(self.heard, Heard::Failed(_));
    }

    fn aborted(&mut self, abort: &Abort) -> Actions {
        match self.stage {
            Stage::Commanded => self.acknowledge(),
            // Some PTs say "busy" to a 05 01 so: the payment goes on.
            Stage::Running | Stage::Recording(_) | Stage::Ended if self.enquiries_open > 0 && is_busy(abort.code) => {
                self.enquiries_open -= 1;
                self.went_on_unheard();
                self.acknowledge()
            }
            Stage::Running | Stage::Recording(_) | Stage::Ended => {
                self.contradicted |= matches!(self.heard, Heard::Approved(_));
                let end = self.verdict_of_abort(abort);
                self.acknowledge_and_finish(end)
            }
        }
    }

    fn print_block(&mut self, block: PrintBlock) -> Actions {
        let mut actions: Actions = self.slips.block(block).into_iter().map(Action::Slip).collect();
        actions.extend(self.acknowledge());
        actions
    }

    fn timed_out(&mut self) -> Actions {
        match (&self.stage, &self.heard) {
            (Stage::Commanded, _) => {
                let message = "the terminal did not answer the command; it may have started";
                self.finish(Err(DriverError::in_doubt(Cause::NoAnswer, message)))
            }
            (Stage::Running, Heard::Failed(_)) => match self.sent_back {
                // Its own error is all that the PT has to say about an amount that we sent back.
                Some(SentBack::Partial) => {
                    let end = self.verdict_of_completion();
                    self.finish(end)
                }
                Some(SentBack::NotStored | SentBack::Unclear(_)) | None => self.ask_whether_ready(),
            },
            (Stage::Running | Stage::Recording(_) | Stage::Ended, _) => self.fell_silent(),
        }
    }

    /// Some PTs end with the failed 04 0F; at others the customer is typing the PIN again.
    fn ask_whether_ready(&mut self) -> Actions {
        if self.enquiries >= self.asked.enquiries {
            return self.fell_silent();
        }
        self.enquiries += 1;
        self.enquiries_open += 1;
        self.answers_owed += 1;
        vec![Action::Command(Command::status_enquiry(self.asked.password)), self.wait()]
    }

    fn fell_silent(&mut self) -> Actions {
        let message = "the terminal fell silent before it had come to an end";
        self.finish(Err(DriverError::in_doubt(Cause::NoAnswer, message)))
    }

    fn abort_wanted(&mut self) -> Actions {
        match (&self.stage, &self.heard) {
            (Stage::Commanded, _) => {
                self.abort = AbortWish::Waiting;
                Vec::new()
            }
            (Stage::Running, Heard::Nothing | Heard::Failed(_)) => self.send_abort(),
            // The money has moved; the end is a matter of moments.
            (Stage::Running, Heard::Approved(_)) | (Stage::Recording(_) | Stage::Ended, _) => Vec::new(),
        }
    }

    fn send_abort(&mut self) -> Actions {
        self.abort = AbortWish::Sent;
        self.answers_owed += 1;
        vec![Action::Command(Command::Abort)]
    }

    fn acknowledge(&mut self) -> Actions {
        self.answer(command::positive())
    }

    /// Every message of the PT shows that it lives, and restarts the wait. Only T3 is not restarted by anything.
    fn answer(&mut self, answer: crate::apdu::Apdu) -> Actions {
        self.may_have_started = true;
        self.enquiries = 0;
        let wait = match self.stage {
            Stage::Commanded => None,
            Stage::Running | Stage::Recording(_) | Stage::Ended => Some(self.wait()),
        };
        [Action::Answer(answer)].into_iter().chain(wait).collect()
    }

    fn wait(&self) -> Action<End> {
        match self.heard {
            Heard::Failed(_) => Action::Wait(Wait::AfterFailure),
            Heard::Nothing | Heard::Approved(_) => Action::Wait(Wait::Completion(self.minutes)),
        }
    }

    /// The slips are stored before the PT learns that all is well.
    fn acknowledge_and_finish(&mut self, end: End) -> Actions {
        self.stage = Stage::Ended;
        let slip = self.slips.rest().map(Action::Slip);
        let ending = [Action::Answer(command::positive()), Action::Finish(end)];
        slip.into_iter().chain(ending).collect()
    }

    fn finish(&mut self, end: End) -> Actions {
        self.stage = Stage::Ended;
        self.slips.rest().map(Action::Slip).into_iter().chain([Action::Finish(end)]).collect()
    }
}

impl Conversation for Payment {
    type End = End;

    fn start(&mut self) -> Actions {
        vec![Action::Command(self.asked.command.clone()), Action::Wait(Wait::Answer)]
    }

    fn next(&mut self, input: Input) -> Actions {
        match input {
            Input::Received(reply) => self.received(reply),
            Input::TimedOut => self.timed_out(),
            Input::NotSent(reason) => self.finish(Err(DriverError::NotStarted(reason))),
            Input::Broken(reason) => self.finish(Err(DriverError::InDoubt(reason))),
            Input::AbortWanted => self.abort_wanted(),
            Input::Stored => self.stored(),
            Input::NotStored => self.not_stored(),
            Input::NotAnswered => {
                self.acknowledged = false;
                Vec::new()
            }
        }
    }
}

/// PTs repeat 04 0F when they missed our answer.
fn is_same_booking(known: &Approval, again: &Approval) -> bool {
    let numbers =
        |approval: &Approval| (approval.details.receipt_number.clone(), approval.details.trace_number.clone());
    known.amount == again.amount && numbers(known) == numbers(again)
}

#[cfg(test)]
mod tests;
