//! How long each wait may take.

use std::time::Duration;

/// Every timer of the driver. Not a setting of users: the defaults are the standard's, tests use [`Timing::fast`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Until the connection stands.
    pub connect: Duration,
    /// T1, on a serial line: between two bytes of a frame.
    pub byte_gap: Duration,
    /// T2, on a serial line: between the end of a frame and its acknowledgement.
    pub acknowledgement: Duration,
    /// T3: between a command and its answer 80 xx or 84 xx.
    pub answer: Duration,
    /// T4: between the answer and the end of a payment. Every message of the PT restarts it.
    pub completion: Duration,
    /// What one minute of the wait is that the PT asks for in 04 FF.
    pub minute: Duration,
    /// The wait for the end of a command that touches neither card nor bank (06 00, 05 01, 06 20). Restartable.
    pub enquiry: Duration,
    /// The silence after a failed 04 0F that makes us ask with 05 01 whether the PT is done.
    pub after_failure: Duration,
    /// How long the journal may take to store what 04 0F said, while the PT waits for our answer.
    pub record: Duration,
    /// A line that was idle for longer is asked with 05 01 before it gets a money command.
    pub idle_check: Duration,
    /// How long after the loss of the link a reading of the last receipt may prove that nothing was booked, or that an approval
    /// which nobody acknowledged stands.
    pub second_reading: Duration,
    /// The longest conversation about one command, however lively the PT is.
    pub conversation: Duration,
}

impl Timing {
    /// Timers for tests against a simulated terminal: milliseconds.
    pub fn fast() -> Timing {
        Timing {
            connect: Duration::from_secs(1),
            byte_gap: Duration::from_millis(20),
            acknowledgement: Duration::from_millis(100),
            answer: Duration::from_millis(500),
            completion: Duration::from_millis(800),
            minute: Duration::from_millis(800),
            enquiry: Duration::from_millis(500),
            after_failure: Duration::from_millis(100),
            record: Duration::from_secs(1),
            idle_check: Duration::from_millis(200),
            second_reading: Duration::from_millis(300),
            conversation: Duration::from_secs(10),
        }
    }

    /// The same on a line that repeats frames: the PT's may come as late as its last repetition, so silence tells less.
    #[must_use]
    pub fn with_repetitions(&self) -> Timing {
        let repetitions = self.acknowledgement * 2;
        Timing {
            answer: self.answer + repetitions,
            enquiry: self.enquiry + repetitions,
            after_failure: self.after_failure + repetitions,
            ..self.clone()
        }
    }

    /// How often 05 01 may be asked in the silence after a failed 04 0F: until T4 would have ended the wait.
    pub(crate) fn enquiries_after_failure(&self) -> u32 {
        let rounds = self.completion.as_millis() / self.after_failure.as_millis().max(1);
        u32::try_from(rounds).unwrap_or(u32::MAX).max(1)
    }
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            connect: Duration::from_secs(3),
            byte_gap: Duration::from_millis(200),
            acknowledgement: Duration::from_secs(5),
            answer: Duration::from_secs(5),
            completion: Duration::from_secs(180),
            minute: Duration::from_secs(60),
            enquiry: Duration::from_secs(15),
            after_failure: Duration::from_secs(5),
            record: Duration::from_secs(3),
            idle_check: Duration::from_secs(10),
            second_reading: Duration::from_secs(30),
            conversation: Duration::from_secs(1800),
        }
    }
}
