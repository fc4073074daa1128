//! How the conversation about any command goes that moves no money, as a state machine without I/O.

use tillswitch_core::{Cause, Currency, Reason, ReceiptKind};

use crate::charset::Charset;
use crate::collector::SlipCollector;
use crate::command::{self, Command};
use crate::conversation::{Action, Conversation, Input, Wait};
use crate::fields::Fields;
use crate::late::Late;
use crate::messages;
use crate::reply::{Abort, Completion, Opaque, Reply};

/// How many 04 0F of one command are kept; an end of day has one or a few.
const MOST_RESULTS: usize = 256;

/// How the PT ended a command.
#[derive(Debug, PartialEq)]
pub(crate) enum Ended {
    /// 80 00 00, for a command that has no more to come.
    Acknowledged,
    /// 06 0F.
    Completed(Completion),
    /// 06 1E.
    Aborted(Abort),
    /// 84 xx.
    Refused { code: u8, data: Opaque },
}

/// What came of a command.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    /// The 04 0F, in order; only of commands that have some.
    pub results: Vec<Fields>,
    pub ended: Ended,
}

/// What sets one kind of command apart from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Habits {
    /// A 04 0F belongs to the command. Otherwise it is that of a payment nobody waits for, and is sent back.
    pub has_results: bool,
    /// The PT says no more than 80 00 00.
    pub ends_with_answer: bool,
    /// What it prints is news. A repetition prints an old slip, which belongs to no payment of now.
    pub keeps_slips: bool,
    /// How long the PT may be silent after its answer.
    pub wait: Wait,
}

impl Habits {
    /// Registration (06 00) and status enquiry (05 01).
    pub const QUESTION: Habits =
        Habits { has_results: false, ends_with_answer: false, keeps_slips: false, wait: Wait::Enquiry };
    /// Repeat receipt (06 20).
    pub const REPETITION: Habits = Habits { has_results: true, ..Habits::QUESTION };
    /// End of day (06 50): the PT is silent while it talks to its host.
    pub const END_OF_DAY: Habits =
        Habits { has_results: true, keeps_slips: true, wait: Wait::Completion(None), ..Habits::QUESTION };
    /// Diagnosis (06 70), initialisation (06 93).
    pub const MAINTENANCE: Habits = Habits { has_results: false, ..Habits::END_OF_DAY };
    /// Log-off (06 02).
    pub const LOG_OFF: Habits = Habits { ends_with_answer: true, ..Habits::QUESTION };
}

/// The conversation about one command that moves no money.
pub(crate) struct Enquiry {
    command: Command,
    habits: Habits,
    charset: Charset,
    currency: Currency,
    slips: SlipCollector,
    results: Vec<Fields>,
    answered: bool,
    wait: Wait,
    /// A payment's result came in between.
    disturbed: bool,
}

type Actions = Vec<Action<Result<Answer, Reason>>>;

impl Enquiry {
    pub fn new(command: Command, habits: Habits, charset: Charset, currency: Currency) -> Enquiry {
        Enquiry {
            command,
            habits,
            charset,
            currency,
            slips: SlipCollector::new(ReceiptKind::Administration),
            results: Vec::new(),
            answered: false,
            wait: habits.wait,
            disturbed: false,
        }
    }

    fn received(&mut self, reply: Reply) -> Actions {
        match reply {
            Reply::Positive { .. } if self.habits.ends_with_answer => self.finish(Ended::Acknowledged),
            Reply::Positive { .. } => {
                self.answered = true;
                vec![Action::Wait(self.wait)]
            }
            Reply::Negative { code, data } if !self.answered => self.finish(Ended::Refused { code, data }),
            Reply::Negative { .. } => Vec::new(),
            Reply::IntermediateStatus(status) => {
                if let (Wait::Completion(_), Some(_)) = (self.wait, status.timeout_minutes) {
                    self.wait = Wait::Completion(status.timeout_minutes);
                }
                self.acknowledge_after(Action::Show(messages::progress(&status)))
            }
            Reply::StatusInformation(fields) => self.result(fields),
            Reply::Completion(completion) if self.answered => self.acknowledge_and_finish(Ended::Completed(completion)),
            Reply::Abort(abort) if self.answered => self.acknowledge_and_finish(Ended::Aborted(abort)),
            // The end of an earlier conversation.
            Reply::Completion(_) | Reply::Abort(_) => self.acknowledge(),
            Reply::PrintLine(_) | Reply::PrintBlock(_) if !self.habits.keeps_slips => self.acknowledge(),
            Reply::PrintLine(line) => {
                self.slips.line(line);
                self.acknowledge()
            }
            Reply::PrintBlock(block) => {
                let mut actions: Actions = self.slips.block(block).into_iter().map(Action::Slip).collect();
                actions.extend(self.acknowledge());
                actions
            }
            Reply::SetClock { .. } | Reply::DisplayText(_) => self.acknowledge(),
            Reply::Other(apdu) if apdu.is_answer() => Vec::new(),
            Reply::Menu(_) | Reply::InputRequest(_) | Reply::BlockedListQuery(_) | Reply::Other(_) => {
                self.answer(command::unknown_command())
            }
        }
    }

    fn result(&mut self, fields: Fields) -> Actions {
        if self.habits.has_results && self.answered {
            // The last ones tell the end of it.
            if self.results.len() == MOST_RESULTS {
                self.results.remove(0);
            }
            self.results.push(fields);
            return self.acknowledge();
        }
        self.disturbed = true;
        let mut actions = vec![Action::Late(Late::new(&fields, self.currency, self.charset))];
        actions.extend(self.answer(command::goods_not_issued()));
        actions
    }

    fn acknowledge(&mut self) -> Actions {
        self.answer(command::positive())
    }

    fn acknowledge_after(&mut self, first: Action<Result<Answer, Reason>>) -> Actions {
        [first].into_iter().chain(self.acknowledge()).collect()
    }

    fn answer(&mut self, answer: crate::apdu::Apdu) -> Actions {
        let wait = self.answered.then_some(Action::Wait(self.wait));
        [Action::Answer(answer)].into_iter().chain(wait).collect()
    }

    fn acknowledge_and_finish(&mut self, ended: Ended) -> Actions {
        let slip = self.slips.rest().map(Action::Slip);
        let answer = Action::Answer(command::positive());
        slip.into_iter().chain([answer]).chain(self.finish(ended)).collect()
    }

    fn finish(&mut self, ended: Ended) -> Actions {
        let answer = Answer { results: std::mem::take(&mut self.results), ended };
        let busy = || Reason::new(Cause::Busy, "the terminal is still at another payment");
        vec![Action::Finish(if self.disturbed { Err(busy()) } else { Ok(answer) })]
    }
}

impl Conversation for Enquiry {
    type End = Result<Answer, Reason>;

    fn start(&mut self) -> Actions {
        vec![Action::Command(self.command.clone()), Action::Wait(Wait::Answer)]
    }

    fn next(&mut self, input: Input) -> Actions {
        match input {
            Input::Received(reply) => self.received(reply),
            Input::TimedOut => {
                let [class, instruction] = self.command.control();
                let message = format!("the terminal did not answer {class:02X} {instruction:02X} in time");
                vec![Action::Finish(Err(Reason::new(Cause::NoAnswer, message)))]
            }
            Input::NotSent(reason) | Input::Broken(reason) => vec![Action::Finish(Err(reason))],
            // Nothing has been started. What the PT still answers goes down with the line.
            Input::AbortWanted => vec![Action::Finish(Err(messages::stopped()))],
            Input::Stored | Input::NotStored | Input::NotAnswered => Vec::new(),
        }
    }
}
