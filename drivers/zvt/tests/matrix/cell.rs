//! Which cells the matrix has: steps of a payment, ways of a frame, faults, and terminals.

use std::fmt;
use std::time::Duration;

use tillswitch_zvt::apdu::{ControlField, control};
use tillswitch_zvt::simulator::Step;

use crate::frame_fault::{self, FrameFault};

/// What the line is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    Tcp,
    Serial,
}

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToPt,
    ToEcr,
}

/// What is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The opening of the link.
    Opening,
    /// A command of either side, while this command of the ECR runs; the how-manieth.
    Command(ControlField, ControlField, usize),
    /// The answer to a command of the other side, likewise.
    AnswerTo(ControlField, ControlField, usize),
    /// 06 0F or 06 1E of the payment.
    End,
    /// The answer to it.
    AnswerToEnd,
    /// The first command after the line was idle.
    AfterIdle,
    /// A frame that the PT sends while the line is idle: its last one once more.
    WhileIdle,
}

/// A timer that an end of the line runs while it waits for the frame, or for what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    Connect,
    T3,
    Enquiry,
    /// Before the PT has named a wait of its own.
    T4,
    /// The minute that the PT asks for in its first 04 FF.
    T4OneMinute,
    /// What is left of it when the bank has been asked.
    T4BehindHost,
    /// The silence after a failed result that makes the ECR ask.
    AfterFailure,
    /// How long the PT waits for the answer to a message, other than 04 0F.
    Answer,
    /// How long the PT waits for the answer to 04 0F.
    Goods,
}

/// A place in the conversation.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub step: &'static str,
    pub way: Way,
    pub target: Target,
    pub timers: &'static [Timer],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Drop,
    Delay(Timer, Limit),
    Duplicate,
    /// The last byte is missing, and the stream goes on.
    Truncate,
    /// The second half is missing, and the stream ends.
    TruncateAndEnd,
    GarbageBefore,
    GarbageBehind,
    /// From here on nothing gets through on this link, and nobody is told.
    HalfOpen,
    /// The frame is lost, and both ends see a reset.
    Reset,
    /// The frame arrives, and then both ends see a reset.
    ResetBehind,
    /// One byte a second.
    SlowLoris,
    /// Every byte by itself.
    Fragments,
    /// In one piece with the next frame of that way, if there is one within a second.
    Coalesced,
    /// The frame is lost, and so is everything that the PT had not yet written down; it comes back after a while.
    Reboot,
    /// What happens on a serial line only.
    Frame(FrameFault),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    JustBelow,
    JustAbove,
}

/// How the terminal is made.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    pub name: &'static str,
    pub script: &'static [Step],
    pub auto_reverse: bool,
    pub reuses_numbers: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub line: Line,
    pub place: Place,
    pub fault: Fault,
}

const REGISTER: ControlField = control::REGISTRATION;
const REPEAT: ControlField = control::REPEAT_RECEIPT;
const PAY: ControlField = control::AUTHORIZATION;
const RESULT: ControlField = control::STATUS_INFORMATION;
const PROGRESS: ControlField = control::INTERMEDIATE_STATUS;

const fn place(step: &'static str, way: Way, target: Target, timers: &'static [Timer]) -> Place {
    Place { step, way, target, timers }
}

/// The steps of the fault plan, the reading of the last receipt that this driver puts before the payment (3a), and the second
/// result of a payment whose PIN was wrong at first (7b, 8b).
pub const PLACES: &[Place] = &[
    place("1", Way::ToPt, Target::Opening, &[Timer::Connect]),
    place("1", Way::ToEcr, Target::Opening, &[Timer::Connect]),
    place("2", Way::ToPt, Target::Command(REGISTER, REGISTER, 1), &[Timer::T3]),
    place("2", Way::ToEcr, Target::AnswerTo(REGISTER, REGISTER, 1), &[Timer::T3]),
    place("3", Way::ToEcr, Target::Command(control::COMPLETION, REGISTER, 1), &[Timer::Answer, Timer::Enquiry]),
    place("3", Way::ToPt, Target::AnswerTo(control::COMPLETION, REGISTER, 1), &[Timer::Answer]),
    place("3a", Way::ToPt, Target::Command(REPEAT, REPEAT, 1), &[Timer::T3]),
    place("3a", Way::ToEcr, Target::Command(RESULT, REPEAT, 1), &[Timer::Answer, Timer::Enquiry]),
    place("4", Way::ToPt, Target::Command(PAY, PAY, 1), &[Timer::T3]),
    place("5", Way::ToEcr, Target::AnswerTo(PAY, PAY, 1), &[Timer::T3]),
    place("6", Way::ToEcr, Target::Command(PROGRESS, PAY, 1), &[Timer::Answer, Timer::T4]),
    place("6", Way::ToPt, Target::AnswerTo(PROGRESS, PAY, 1), &[Timer::Answer]),
    place("7", Way::ToEcr, Target::Command(RESULT, PAY, 1), &[Timer::Goods, Timer::T4BehindHost]),
    place("8", Way::ToPt, Target::AnswerTo(RESULT, PAY, 1), &[Timer::Goods]),
    place("7b", Way::ToEcr, Target::Command(RESULT, PAY, 2), &[Timer::AfterFailure, Timer::Goods]),
    place("8b", Way::ToPt, Target::AnswerTo(RESULT, PAY, 2), &[Timer::Goods]),
    place("9", Way::ToEcr, Target::Command(control::PRINT_BLOCK, PAY, 1), &[Timer::Answer, Timer::T4OneMinute]),
    place("9", Way::ToPt, Target::AnswerTo(control::PRINT_BLOCK, PAY, 1), &[Timer::Answer]),
    place("10", Way::ToEcr, Target::End, &[Timer::Answer, Timer::T4OneMinute]),
    place("11", Way::ToPt, Target::AnswerToEnd, &[Timer::Answer]),
    place("12", Way::ToPt, Target::AfterIdle, &[Timer::T3]),
    place("12", Way::ToEcr, Target::WhileIdle, &[]),
];

/// Cells whose frame is that of another cell: the first one that goes that way after the step has begun.
pub const SAME: &[(&str, Way, &str)] = &[
    ("4", Way::ToEcr, "5 <"),
    ("5", Way::ToPt, "6 >"),
    ("7", Way::ToPt, "8 >"),
    ("8", Way::ToEcr, "9 <"),
    ("10", Way::ToPt, "11 >"),
    ("11", Way::ToEcr, "12 <"),
];

const APPROVING: Model = Model { name: "", script: &[], auto_reverse: true, reuses_numbers: true };

pub const MODELS: &[Model] = &[
    // Takes an approval back that nobody acknowledges, and forgets it.
    Model { name: "reversing", ..APPROVING },
    // The same, and shows the number as spent on a failure.
    Model { name: "spending", reuses_numbers: false, ..APPROVING },
    // Keeps it.
    Model { name: "keeping", auto_reverse: false, ..APPROVING },
    // Says 27 05 and 06 1E.
    Model { name: "declining", script: &[Step::Decline], ..APPROVING },
    // Says 27 37, waits for the PIN, and approves.
    Model { name: "retrying", script: &[Step::PinRetry], auto_reverse: false, ..APPROVING },
    // Says 84 9C to the command.
    Model { name: "busy", script: &[Step::BusyAskAgain], ..APPROVING },
    // Says nothing to the command.
    Model { name: "silent", script: &[Step::Silent], ..APPROVING },
];

const FAULTS: &[Fault] = &[
    Fault::Drop,
    Fault::Duplicate,
    Fault::Truncate,
    Fault::TruncateAndEnd,
    Fault::GarbageBefore,
    Fault::GarbageBehind,
    Fault::HalfOpen,
    Fault::Reset,
    Fault::ResetBehind,
    Fault::SlowLoris,
    Fault::Fragments,
    Fault::Coalesced,
    Fault::Reboot,
];

impl Model {
    /// Whether it never approves the payment.
    pub fn declines(&self) -> bool {
        self.script.contains(&Step::Decline)
    }
}

/// Every cell of one half of the matrix, in order.
pub fn cells(line: Line) -> impl Iterator<Item = Cell> {
    PLACES.iter().flat_map(move |place| {
        let faults: Vec<Fault> = match line {
            Line::Tcp => faults(place).collect(),
            Line::Serial => frame_fault::of(place).map(Fault::Frame).collect(),
        };
        faults.into_iter().map(move |fault| Cell { line, place: *place, fault })
    })
}

fn faults(place: &Place) -> impl Iterator<Item = Fault> {
    let delays = place
        .timers
        .iter()
        .flat_map(|timer| [Fault::Delay(*timer, Limit::JustBelow), Fault::Delay(*timer, Limit::JustAbove)].into_iter());
    FAULTS[..1].iter().copied().chain(delays).chain(FAULTS[1..].iter().copied())
}

impl Cell {
    /// Why nothing can be shown here.
    pub fn makes_no_sense(&self) -> Option<&'static str> {
        match (self.place.target, self.fault) {
            (target, Fault::Frame(fault)) => fault.makes_no_sense(target),
            (Target::Opening, Fault::Duplicate | Fault::Truncate | Fault::TruncateAndEnd) => {
                Some("TCP itself sees to it: the opening of a connection is no frame")
            }
            (Target::Opening, Fault::SlowLoris | Fault::Fragments | Fault::Coalesced | Fault::GarbageBehind) => {
                Some("the opening of a connection has no bytes")
            }
            (Target::WhileIdle, Fault::Drop) => Some("a frame that nobody waits for is lost: nothing has happened"),
            (Target::WhileIdle, Fault::Coalesced) => Some("no other frame comes while the line is idle"),
            _ => None,
        }
    }

    /// Whether the conversation with such a terminal gets here, and goes another way from here on than with `reversing`.
    pub fn concerns(&self, model: &Model) -> bool {
        let step: u32 = self.place.step.trim_end_matches(char::is_alphabetic).parse().expect("steps begin with digits");
        let is_second_result = self.place.step.ends_with('b');
        if self.line == Line::Serial && !is_second_result {
            // What the models have in common has been shown over TCP.
            match model.name {
                "retrying" => return false,
                "keeping" => return (4..=8).contains(&step),
                "spending" => return (7..=8).contains(&step),
                _ => {}
            }
        }
        match model.name {
            "declining" => (4..=11).contains(&step) && step != 9 && !is_second_result,
            "retrying" => (4..=11).contains(&step),
            "busy" => matches!(self.place.step, "4" | "5"),
            "silent" => self.place.step == "4",
            _ => !is_second_result,
        }
    }

    /// Whether the approval has been acknowledged when the fault comes.
    pub fn is_behind_the_acknowledgement(&self) -> bool {
        matches!(self.place.step, "9" | "10" | "11")
    }

    /// Whether the payment's command has not left when the fault comes.
    pub fn is_before_the_command(&self) -> bool {
        matches!(self.place.step, "1" | "2" | "3" | "3a") || (self.place.target == Target::AfterIdle)
    }
}

impl Timer {
    /// As they are in production.
    fn duration(self, line: Line) -> Duration {
        let milliseconds = match (self, line) {
            // The line has to be silent for T1 besides.
            (Timer::Connect, Line::Serial) => 7_800,
            // Two repetitions of a frame may come before the answer.
            (Timer::T3 | Timer::AfterFailure, Line::Serial) => 15_000,
            (Timer::Enquiry, Line::Serial) => 25_000,
            (timer, _) => timer.milliseconds(),
        };
        Duration::from_millis(milliseconds)
    }

    fn milliseconds(self) -> u64 {
        match self {
            Timer::Connect => 3_000,
            Timer::T3 | Timer::Answer | Timer::AfterFailure => 5_000,
            Timer::Enquiry => 15_000,
            Timer::Goods => 30_000,
            Timer::T4BehindHost => 58_500,
            Timer::T4OneMinute => 60_000,
            Timer::T4 => 180_000,
        }
    }

    pub fn delay(self, line: Line, limit: Limit) -> Duration {
        limit.of(self.duration(line), Duration::from_millis(100))
    }
}

impl Limit {
    /// A little less than this, or a little more.
    pub fn of(self, duration: Duration, little: Duration) -> Duration {
        match self {
            Limit::JustBelow => duration - little,
            Limit::JustAbove => duration + little,
        }
    }
}

impl Way {
    /// The other one.
    pub fn back(self) -> Way {
        match self {
            Way::ToPt => Way::ToEcr,
            Way::ToEcr => Way::ToPt,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Way::ToPt => ">",
            Way::ToEcr => "<",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Delay(timer, Limit::JustBelow) => write!(f, "delay<{timer:?}"),
            Fault::Delay(timer, Limit::JustAbove) => write!(f, "delay>{timer:?}"),
            Fault::Frame(fault) => fault.fmt(f),
            other => write!(f, "{other:?}"),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.place.step, self.place.way, self.fault)
    }
}
