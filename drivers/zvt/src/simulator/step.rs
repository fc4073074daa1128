//! What a simulated terminal can be told to do with its next payment, and the words for it.

use std::fmt;
use std::str::FromStr;

use tillswitch_core::conformance::Behaviour;

/// How one payment goes; or, for the last few, how the terminal behaves from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Books and says so.
    Approve,
    /// The host refuses: 04 0F with 27 05, then 06 1E.
    Decline,
    /// The customer presses the stop key: 27 6C, then 06 1E.
    CustomerCancel,
    /// Waits for a card until 06 B0 comes.
    WaitForAbort,
    /// The same, while 04 FF trickle in byte by byte.
    WaitForAbortBytewise,
    /// Answers the command with 84 A0.
    Busy,
    /// Answers the command with 84 9C, which asks the ECR to repeat it; a command that moves money is not repeated.
    BusyAskAgain,
    /// Answers the command with 84 83.
    Refuse,
    /// Ends with 06 1E, and never sends 04 0F.
    OnlyAbort,
    /// Sends 04 0F with an error, and no 06 1E after it (CCV A920).
    ErrorWithoutCompletion,
    /// Sends 04 0F with an error, waits for the PIN once more, and approves.
    PinRetry,
    /// Approves, is acknowledged, and takes it back with 06 1E.
    ApproveThenReverse,
    /// Approves a part of the amount.
    ApproveLess,
    /// Approves the amount and a tip.
    ApproveMore,
    /// Cuts the link when the command has arrived; nothing is booked.
    CutAfterCommand,
    /// Answers the command, and cuts the link; the customer pays all the same.
    CutAfterStart,
    /// Cuts the link behind the first 04 FF; the customer pays all the same.
    CutAfterStatus,
    /// Books, and cuts the link before 04 0F leaves.
    CutBeforeResult,
    /// Books, sends 04 0F, and cuts the link before the acknowledgement is read.
    CutAfterResult,
    /// Cuts the link after the acknowledgement of 04 0F, before 06 0F.
    CutAfterAck,
    /// Cuts the link behind the first message of the slip; without slips, where it would be.
    CutAtSlip,
    /// Cuts the link behind 06 0F, before its acknowledgement is read.
    CutAfterCompletion,
    /// Approves to the end, then cuts the idle link.
    CutIdle,
    /// Approves, is acknowledged, and stays silent instead of 06 0F.
    NoCompletion,
    /// Does not answer the command.
    Silent,
    /// Answers 80 00 00, then stays silent; nothing is booked.
    SilentAfterStart,
    /// Answers the command with bytes that mean nothing.
    Garbage,
    /// Approves after many 04 FF, byte by byte.
    Slow,
    /// Approves, with several messages in one segment.
    Coalesced,
    /// Approves and sends the acknowledged 04 0F a second time.
    DuplicateResult,
    /// Books, stays silent, and sends 04 0F in front of its next answer or on the next link.
    LateResult,
    /// From here on, once: cuts the link when a registration has arrived.
    CutRegistration,
    /// From here on: greets every link with a line of text before its first message.
    Banner,
    /// From here on: presents itself with another terminal id.
    WrongId,
    /// From here on: answers 06 20 with an empty completion.
    NoRepeat,
}

/// Every step with its word, in the order in which they are listed to users.
const WORDS: &[(&str, Step)] = &[
    ("approve", Step::Approve),
    ("decline", Step::Decline),
    ("customer-cancel", Step::CustomerCancel),
    ("wait-for-abort", Step::WaitForAbort),
    ("wait-for-abort-bytewise", Step::WaitForAbortBytewise),
    ("busy", Step::Busy),
    ("busy-9C", Step::BusyAskAgain),
    ("refuse", Step::Refuse),
    ("only-06-1E", Step::OnlyAbort),
    ("error-04-0F-without-completion", Step::ErrorWithoutCompletion),
    ("pin-retry", Step::PinRetry),
    ("approve-then-reverse", Step::ApproveThenReverse),
    ("approve-less", Step::ApproveLess),
    ("approve-more", Step::ApproveMore),
    ("cut-after-command", Step::CutAfterCommand),
    ("cut-after-start", Step::CutAfterStart),
    ("cut-after-04-FF", Step::CutAfterStatus),
    ("cut-before-result", Step::CutBeforeResult),
    ("cut-after-result", Step::CutAfterResult),
    ("cut-after-ack", Step::CutAfterAck),
    ("cut-at-slip", Step::CutAtSlip),
    ("cut-after-06-0F", Step::CutAfterCompletion),
    ("cut-idle", Step::CutIdle),
    ("no-completion", Step::NoCompletion),
    ("silent", Step::Silent),
    ("silent-after-start", Step::SilentAfterStart),
    ("garbage", Step::Garbage),
    ("slow", Step::Slow),
    ("coalesced", Step::Coalesced),
    ("duplicate-04-0F", Step::DuplicateResult),
    ("late-result", Step::LateResult),
    ("cut-registration", Step::CutRegistration),
    ("banner", Step::Banner),
    ("wrong-id", Step::WrongId),
    ("no-06-20", Step::NoRepeat),
];

/// Words for a script that say the same as another one.
const SYNONYMS: &[(&str, Step)] = &[("cut-after-booking", Step::CutBeforeResult)];

impl Step {
    /// Its word.
    pub fn word(self) -> &'static str {
        let row = WORDS.iter().find(|(_, step)| *step == self);
        row.map(|(word, _)| *word).expect("a test checks that every step has a word")
    }

    /// The words of all steps.
    pub fn words() -> impl Iterator<Item = &'static str> {
        WORDS.iter().map(|(word, _)| *word)
    }

    /// Reads a script: words separated by commas. Empty text is an empty script: everything is approved.
    ///
    /// ```
    /// use tillswitch_zvt::simulator::Step;
    ///
    /// assert_eq!(Step::parse_script("decline, approve")?, [Step::Decline, Step::Approve]);
    /// # Ok::<(), tillswitch_zvt::simulator::UnknownStep>(())
    /// ```
    ///
    /// # Errors
    /// `UnknownStep` for the first word that is none; its text lists all words.
    pub fn parse_script(text: &str) -> Result<Vec<Step>, UnknownStep> {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        text.split(',').map(|word| word.trim().parse()).collect()
    }

    /// The script that shows a behaviour of the conformance suite. Afterwards payments are approved.
    ///
    /// `Unreachable` is no step: the terminal stops listening.
    pub fn script_for(behaviour: Behaviour) -> &'static [Step] {
        match behaviour {
            Behaviour::Approve => &[Step::Approve],
            Behaviour::Decline => &[Step::Decline],
            Behaviour::CustomerCancels => &[Step::CustomerCancel],
            Behaviour::WaitForAbort => &[Step::WaitForAbort],
            Behaviour::WaitForAbortBytewise => &[Step::WaitForAbortBytewise],
            Behaviour::Busy => &[Step::Busy],
            Behaviour::Refuse => &[Step::Refuse],
            Behaviour::Unreachable => &[],
            Behaviour::LinkLostAfterCommand => &[Step::CutAfterCommand],
            Behaviour::LinkLostAfterBooking => &[Step::CutBeforeResult],
            Behaviour::LinkLostAfterOutcome => &[Step::CutAfterAck],
            Behaviour::LinkLostWhileIdle => &[Step::CutIdle],
            Behaviour::Garbage => &[Step::Garbage],
            Behaviour::Slow => &[Step::Slow],
            Behaviour::NeverAnswers => &[Step::Silent],
            Behaviour::ErrorThenApproval => &[Step::PinRetry],
            Behaviour::ApprovalThenReversal => &[Step::ApproveThenReverse],
            Behaviour::ApproveLess => &[Step::ApproveLess],
            Behaviour::ApproveMore => &[Step::ApproveMore],
            Behaviour::ReportsTooLate => &[Step::LateResult],
        }
    }

    /// Whether this changes the terminal from here on instead of one payment.
    pub(super) fn is_switch(self) -> bool {
        matches!(self, Step::CutRegistration | Step::Banner | Step::WrongId | Step::NoRepeat)
    }
}

/// The word names no step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownStep(pub String);

impl fmt::Display for UnknownStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = Step::words().collect();
        write!(f, "unknown step {:?} in the script, expected words out of: {}", self.0, words.join(", "))
    }
}

impl std::error::Error for UnknownStep {}

impl FromStr for Step {
    type Err = UnknownStep;

    fn from_str(text: &str) -> Result<Step, UnknownStep> {
        let all = WORDS.iter().chain(SYNONYMS);
        let mut found = all.filter(|(word, _)| word.eq_ignore_ascii_case(text));
        found.next().map(|(_, step)| *step).ok_or_else(|| UnknownStep(text.to_owned()))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last variant tells how many there are.
    #[test]
    fn every_step_has_one_word() {
        assert_eq!(WORDS.len(), Step::NoRepeat as usize + 1);
        for (place, (word, step)) in WORDS.iter().enumerate() {
            assert_eq!(*step as usize, place, "{word}");
            assert_eq!(word.parse(), Ok(*step));
        }
    }

    #[test]
    fn scripts() {
        assert_eq!(Step::parse_script("  "), Ok(vec![]));
        let script = Step::parse_script("approve,pin-retry, cut-after-booking,only-06-1e");
        assert_eq!(script, Ok(vec![Step::Approve, Step::PinRetry, Step::CutBeforeResult, Step::OnlyAbort]));
        let error = Step::parse_script("approve,,decline").expect_err("an empty word is none");
        assert_eq!(error, UnknownStep(String::new()));
        let text = Step::parse_script("aprove").expect_err("a misspelt word").to_string();
        assert!(Step::words().all(|word| text.contains(word)), "{text}");
    }
}
