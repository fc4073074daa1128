//! How a simulated terminal handles its next payments, and the words for it.

use std::fmt;
use std::str::FromStr;

/// How one payment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Books and says so.
    Approve,
    /// Books half of what was asked.
    ApproveLess,
    /// Books a tenth on top of what was asked.
    ApproveMore,
    /// The bank refuses: 402, `declined`.
    Decline,
    /// The customer presses the stop key: 402, `cancelled`.
    Cancel,
    /// 409, nothing is booked.
    Busy,
    /// 400, nothing is booked.
    Refuse,
    /// 307 to its own address, nothing is booked.
    Redirect,
    /// 500, nothing is booked.
    Error,
    /// Books and answers 500.
    ErrorAfterBooking,
    /// Closes the connection instead of booking.
    CutBeforeBooking,
    /// Books and closes the connection without an answer.
    CutAfterBooking,
    /// Books and closes the connection in the middle of the answer.
    CutInAnswer,
    /// Books and answers with bytes that are not HTTP.
    Garbage,
    /// Books and answers byte by byte.
    Slow,
    /// Takes the payment and stays silent; nothing is booked.
    NeverAnswers,
    /// Books once and answers twice.
    AnswerTwice,
    /// Books, answers with more than a mebibyte.
    TooLong,
    /// Books, answers, and closes the connection that it promised to keep.
    IdleClose,
}

/// Every step with its word and what it does.
const WORDS: &[(&str, Step, &str)] = &[
    ("approve", Step::Approve, "books and says so"),
    ("approve-less", Step::ApproveLess, "books half of what was asked"),
    ("approve-more", Step::ApproveMore, "books a tip of a tenth on top"),
    ("decline", Step::Decline, "the bank refuses (402)"),
    ("cancel", Step::Cancel, "the customer presses the stop key (402)"),
    ("busy", Step::Busy, "is at something else (409)"),
    ("refuse", Step::Refuse, "does not understand the payment (400)"),
    ("redirect", Step::Redirect, "sends the payment elsewhere (307)"),
    ("error", Step::Error, "fails before it books (500)"),
    ("error-after-booking", Step::ErrorAfterBooking, "books and fails (500)"),
    ("cut-before-booking", Step::CutBeforeBooking, "closes the connection, nothing is booked"),
    ("cut-after-booking", Step::CutAfterBooking, "books and closes the connection without an answer"),
    ("cut-in-answer", Step::CutInAnswer, "books and closes the connection in the middle of the answer"),
    ("garbage", Step::Garbage, "books and answers with bytes that are not HTTP"),
    ("slow", Step::Slow, "books and answers byte by byte"),
    ("never-answers", Step::NeverAnswers, "takes the payment and stays silent, nothing is booked"),
    ("answer-twice", Step::AnswerTwice, "books once and answers twice"),
    ("too-long", Step::TooLong, "books and answers with two mebibytes"),
    ("idle-close", Step::IdleClose, "books, answers, and closes the kept connection"),
];

impl Step {
    /// Every word of a script with a line of explanation, for help texts.
    pub fn words() -> impl Iterator<Item = (&'static str, &'static str)> {
        WORDS.iter().map(|(word, _, meaning)| (*word, *meaning))
    }

    /// The word in a script.
    pub fn word(self) -> &'static str {
        WORDS.iter().find(|(_, step, _)| *step == self).map_or("", |(word, ..)| word)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A script has a word that means no step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownStep(pub String);

impl fmt::Display for UnknownStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = Step::words().map(|(word, _)| word).collect();
        write!(f, "unknown step {:?}, expected one of: {}", self.0, words.join(", "))
    }
}

impl std::error::Error for UnknownStep {}

impl FromStr for Step {
    type Err = UnknownStep;

    fn from_str(word: &str) -> Result<Step, UnknownStep> {
        let found = WORDS.iter().find(|(known, ..)| *known == word);
        found.map(|(_, step, _)| *step).ok_or_else(|| UnknownStep(word.to_owned()))
    }
}

/// Reads a script as it is written on a command line: `decline,cut-after-booking`. Each step serves one payment; behind the
/// last one payments are approved.
pub fn parse_script(text: &str) -> Result<Vec<Step>, UnknownStep> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_a_list_of_words() {
        let script = parse_script("approve, decline,cut-after-booking,approve-less").unwrap();
        assert_eq!(script, [Step::Approve, Step::Decline, Step::CutAfterBooking, Step::ApproveLess]);
        assert_eq!(parse_script(""), Ok(Vec::new()));
    }

    #[test]
    fn a_wrong_word_is_named_with_the_right_ones() {
        let error = parse_script("approve,declien").unwrap_err().to_string();
        assert!(error.contains("\"declien\"") && error.contains("decline, cancel, busy"), "{error}");
    }

    #[test]
    fn every_step_survives_its_word_and_none_is_listed_twice() {
        for (word, step, _) in WORDS {
            assert_eq!((step.word(), word.parse()), (*word, Ok(*step)));
        }
    }
}
