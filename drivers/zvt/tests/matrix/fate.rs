//! Which frame is hit, and what was seen on the line: shared by all links of one run.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tillswitch_zvt::apdu::{Apdu, ControlField, control};
use tillswitch_zvt::fields::Fields;

use crate::cell::{Cell, Target, Way};

/// What one run does to the line.
pub struct Fate {
    pub cell: Cell,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    armed: bool,
    hit: bool,
    matches: usize,
    /// The command of the ECR that runs.
    running: ControlField,
    ended: bool,
    /// What the ECR and the PT said last that is no answer.
    last_of_ecr: ControlField,
    last_of_pt: ControlField,
    /// The last 04 0F told of an approval.
    approval: bool,
    money_commands: usize,
    /// The ECR has been told since that the last one was not understood.
    may_repeat: bool,
    acknowledged: bool,
    refused: bool,
}

impl Fate {
    pub fn new(cell: Cell) -> Fate {
        Fate { cell, seen: Mutex::default() }
    }

    /// From here on the fault may come, and what is seen counts.
    pub fn arm(&self) {
        let mut seen = self.seen();
        *seen = Seen { armed: true, last_of_pt: seen.last_of_pt, ..Seen::default() };
    }

    /// How many money commands the ECR has sent since, the approval was acknowledged, the PT refused the command.
    pub fn disarm(&self) -> (usize, bool, bool) {
        let mut seen = self.seen();
        seen.armed = false;
        (seen.money_commands, seen.acknowledged, seen.refused)
    }

    /// A money command leaves the driver, whether it gets anywhere or not. One that follows a NAK is not another one.
    pub fn note_money_command(&self) {
        let mut seen = self.seen();
        if !std::mem::take(&mut seen.may_repeat) {
            seen.money_commands += 1;
        }
    }

    /// The ECR is told that its last frame was not understood.
    pub fn note_nak_to_ecr(&self) {
        let mut seen = self.seen();
        seen.may_repeat = seen.last_of_ecr == control::AUTHORIZATION && seen.running == control::AUTHORIZATION;
    }

    pub fn has_hit(&self) -> bool {
        self.seen().hit
    }

    /// Whether the opening of a link is hit.
    pub fn hits_opening(&self) -> bool {
        let mut seen = self.seen();
        let hits = seen.armed && !seen.hit && self.cell.place.target == Target::Opening;
        seen.hit |= hits;
        hits
    }

    /// Whether the frame that the PT shall say while the line is idle is due.
    pub fn hits_idle(&self) -> bool {
        let mut seen = self.seen();
        let hits = seen.armed && !seen.hit && self.cell.place.target == Target::WhileIdle;
        seen.hit |= hits;
        hits
    }

    /// Looks at a frame. Whether it is the one that is hit.
    pub fn hits(&self, way: Way, apdu: &Apdu) -> bool {
        let mut seen = self.seen();
        seen.note(way, apdu);
        if !seen.armed || seen.hit || way != self.cell.place.way || !seen.is(self.cell.place.target, way, apdu) {
            return false;
        }
        seen.matches += 1;
        seen.hit = match self.cell.place.target {
            Target::Command(_, _, nth) | Target::AnswerTo(_, _, nth) => seen.matches == nth,
            _ => true,
        };
        seen.hit
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn note(&mut self, way: Way, apdu: &Apdu) {
        match (way, apdu.is_answer()) {
            (Way::ToPt, false) => self.note_command(apdu.control()),
            (Way::ToEcr, false) => {
                self.last_of_pt = apdu.control();
                self.ended |= is_end(apdu.control());
                if apdu.control() == control::STATUS_INFORMATION {
                    let result = Fields::parse(&apdu.data).result_code();
                    self.approval = self.running == control::AUTHORIZATION && result == Some(0);
                }
            }
            (Way::ToPt, true) => {
                let is_result = self.last_of_pt == control::STATUS_INFORMATION;
                self.acknowledged |= is_result && self.approval && apdu.control() == control::POSITIVE;
            }
            (Way::ToEcr, true) => {
                let is_to_payment = self.last_of_ecr == control::AUTHORIZATION;
                self.refused |= is_to_payment && apdu.control() != control::POSITIVE;
            }
        }
    }

    fn note_command(&mut self, command: ControlField) {
        self.last_of_ecr = command;
        let within = !self.ended && self.running == control::AUTHORIZATION;
        let asks_only = matches!(command, control::STATUS_ENQUIRY | control::ABORT_BY_ECR);
        if !(within && asks_only) {
            self.running = command;
            self.ended = false;
        }
    }

    fn is(&self, target: Target, way: Way, apdu: &Apdu) -> bool {
        let other_side = match way {
            Way::ToPt => self.last_of_pt,
            Way::ToEcr => self.last_of_ecr,
        };
        let in_payment = self.running == control::AUTHORIZATION;
        match target {
            Target::Command(command, running, _) => apdu.control() == command && self.running == running,
            Target::AnswerTo(command, running, _) => {
                apdu.is_answer() && other_side == command && self.running == running
            }
            Target::End => in_payment && is_end(apdu.control()),
            Target::AnswerToEnd => in_payment && apdu.is_answer() && is_end(other_side),
            Target::AfterIdle => !apdu.is_answer(),
            Target::Opening | Target::WhileIdle => false,
        }
    }
}

fn is_end(command: ControlField) -> bool {
    matches!(command, control::COMPLETION | control::ABORT)
}
