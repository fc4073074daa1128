//! What must hold in every cell, whatever the table says.

use crate::cell::{Cell, Line, Model};
use crate::run::{Facts, Seen};

/// The rules that a run breaks.
pub fn broken(cell: &Cell, model: &Model, seen: &Seen, facts: &Facts) -> Vec<&'static str> {
    let executed = |word: &str| seen.executed.starts_with(word);
    let says_paid = executed("approved") || seen.resolved == "known approved";
    let says_unpaid = executed("declined")
        || executed("cancelled")
        || executed("not started")
        || matches!(seen.resolved.as_str(), "not charged" | "known declined" | "known cancelled");
    let rules = [
        (facts.hit, "the fault was never inflicted"),
        (facts.money_commands <= 1, "the money command was sent more than once"),
        // Over TCP the line itself may bring it twice; on a serial line both ends see to it that none is taken for two.
        (facts.arrived <= 1 || cell.line == Line::Tcp, "the PT took the money command more than once"),
        (seen.stands <= 1, "booked twice"),
        (!says_paid || seen.stands == 1, "said to be paid, and no booking stands"),
        (!says_unpaid || seen.stands == 0, "said to be unpaid, and a booking stands"),
        (!facts.acknowledged || seen.recorded == "approved", "acknowledged before it was recorded"),
        (
            !cell.is_before_the_command() || !executed("in doubt") || facts.money_commands == 1,
            "in doubt although the command has not left",
        ),
        (
            !executed("not started") || facts.money_commands == 0 || facts.refused,
            "not started, after the command had left and without a refusal",
        ),
        (
            !cell.is_behind_the_acknowledgement() || model.declines() || says_paid,
            "an approval that was acknowledged does not stand",
        ),
        (!model.declines() || !says_paid, "paid at a terminal that declines"),
        (seen.resolved != "never", "never resolved"),
        (seen.resolved != "undecided" || !model.reuses_numbers, "a person is asked although the terminal tells enough"),
        (seen.next.ends_with("approved"), "the next payment does not go"),
        (facts.next_stands == 1, "the next payment is not booked once"),
    ];
    rules.into_iter().filter(|(holds, _)| !holds).map(|(_, rule)| rule).collect()
}
