//! What became of a payment in doubt, by reading only.

use std::time::{Duration, SystemTime};

use tillswitch_core::{Cause, DriverError, Evidence, Outcome, PaymentRequest, Reason, Resolution, Session, wall_clock};
use tokio::time::Instant;

use crate::clock::{MonthDay, TimeOfDay};
use crate::command::Command;
use crate::connection::Status;
use crate::conversation::Audience;
use crate::driver::ZvtDriver;
use crate::enquiry::Habits;
use crate::late::{self, Suspect};
use crate::learnt::{How, Reading, Remembered, is_acknowledged, next_receipt};
use crate::messages;
use crate::settings::Keypad;
use crate::tables::terminal_status;
use crate::terminal_clock;

/// How far a booking may be dated outside the payment's own time: clocks drift, and terminals date by the minute.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(120);

/// What this driver knows of a payment in doubt beside its notes. After a restart it is gone, and counting begins anew with
/// the first reading.
#[derive(Clone, Debug)]
pub(crate) struct Doubt {
    /// When the link was lost, or the first reading taken.
    since: Instant,
    last: Option<Reading>,
}

impl Doubt {
    pub fn now() -> Doubt {
        Doubt { since: Instant::now(), last: None }
    }

    /// Whether this is the second reading of two that show the same, and late enough. One proves little: the PT may still be at
    /// the payment, and it takes an approval back that nobody acknowledged, half a minute after the link was lost.
    fn is_settled_by(&mut self, reading: &Reading, settled_after: Duration) -> bool {
        let repeated = self.last.as_ref().is_some_and(|last| last.shows_the_booking_of(reading));
        self.last = Some(reading.clone());
        repeated && self.since.elapsed() >= settled_after
    }
}

/// What a reading says about the payment.
#[derive(Debug, PartialEq)]
enum Judgement {
    /// It is this payment, approved.
    Booked(Box<Outcome>),
    /// The last booking is still the one before this payment.
    Unchanged,
    Unclear(Evidence),
}

/// What a reading is compared with.
struct Question<'a> {
    request: &'a PaymentRequest,
    remembered: &'a Remembered,
    /// The terminal id of the registration.
    registered_id: Option<&'a str>,
    keypad: Keypad,
    /// Until when the payment can have been booked.
    latest: SystemTime,
}

impl ZvtDriver {
    /// Asks 05 01 and 06 20 and compares.
    pub async fn look_into(
        &mut self,
        request: &PaymentRequest,
        session: &mut dyn Session,
    ) -> Result<Resolution, DriverError> {
        let remembered = Remembered::from_notes(session.notes());
        self.connection.late.suspect(remembered.as_ref().and_then(|remembered| Suspect::new(request, remembered)));
        let late_before = self.connection.late.count();
        let read = self.read(&mut Audience::Resolving(session), remembered.as_ref()).await;
        // What came was sent back, so the PT may be about to take the payment back.
        if self.connection.late.count() != late_before {
            self.doubts.insert(request.id, Doubt::now());
        }
        match read {
            Ok((status, reading)) => {
                let acknowledged = is_acknowledged(session.notes());
                Ok(self.decide(request, remembered, acknowledged, status, reading))
            }
            Err(reason) if reason.cause == Cause::Busy => {
                self.cancel_if_wanted(session).await;
                Ok(Resolution::InProgress)
            }
            Err(reason) => Err(DriverError::NotStarted(reason)),
        }
    }

    /// A PT that still waits for a card can be asked to stop; what became of the payment is read afterwards.
    async fn cancel_if_wanted(&mut self, session: &mut dyn Session) {
        if !session.abort().is_requested() || !self.connection.is_open() {
            return;
        }
        let mut audience = Audience::Resolving(session);
        let asked = self.connection.ask(Command::Abort, Habits::LOG_OFF, &mut audience).await;
        if let Err(reason) = asked {
            tracing::debug!("the terminal did not hear the abort: {reason}");
        }
    }

    async fn read(
        &mut self,
        audience: &mut Audience<'_>,
        remembered: Option<&Remembered>,
    ) -> Result<(Option<u8>, Option<Reading>), Reason> {
        let knows_previous = remembered.is_some_and(|remembered| remembered.previous.receipt.is_some());
        self.connection.make_ready(audience).await?;
        let status = match self.connection.status(audience).await? {
            Status::Busy => return Err(Reason::new(Cause::Busy, "the terminal is still busy")),
            Status::Told(told) => told.terminal_status,
            Status::NotTold => None,
        };
        match self.last_booking(audience).await {
            Ok(reading) => Ok((status, reading)),
            // It was as silent before the payment, or is for good: more cannot be learnt.
            Err(reason) if reason.cause == Cause::NoAnswer && (!knows_previous || self.is_mute()) => Ok((status, None)),
            Err(reason) => Err(reason),
        }
    }

    fn decide(
        &mut self,
        request: &PaymentRequest,
        remembered: Option<Remembered>,
        acknowledged: bool,
        status: Option<u8>,
        reading: Option<Reading>,
    ) -> Resolution {
        let Some(reading) = reading else {
            return self.undecided(request, Evidence::new("the terminal does not tell its last booking"));
        };
        let Some(remembered) = remembered else {
            let message = "nothing was remembered about the terminal before this payment";
            return self.undecided(request, evidence(message, &reading));
        };
        let registered_id = self.connection.terminal_id();
        let keypad = self.settings().keypad;
        let question = Question {
            request,
            remembered: &remembered,
            registered_id: registered_id.as_deref(),
            keypad,
            latest: latest(request, self.connection.timing.conversation),
        };
        match question.judge(&reading) {
            // An approval that was acknowledged stands; any other is one that the PT may be about to take back.
            Judgement::Booked(_) if !acknowledged && !self.is_settled(request, &reading) => Resolution::InProgress,
            Judgement::Booked(outcome) => {
                self.doubts.remove(&request.id);
                Resolution::Known(*outcome)
            }
            Judgement::Unchanged => self.unchanged(request, status, &reading),
            Judgement::Unclear(evidence) => self.undecided(request, evidence),
        }
    }

    fn is_settled(&mut self, request: &PaymentRequest, reading: &Reading) -> bool {
        let settled_after = self.connection.timing.second_reading;
        self.doubts.entry(request.id).or_insert_with(Doubt::now).is_settled_by(reading, settled_after)
    }

    fn unchanged(&mut self, request: &PaymentRequest, status: Option<u8>, reading: &Reading) -> Resolution {
        if !status.is_some_and(is_ready_soon) {
            let message = format!("the last booking is still the one before this payment, but {}", unready(status));
            return self.undecided(request, evidence(&message, reading));
        }
        if status != Some(terminal_status::READY) {
            return Resolution::InProgress;
        }
        if !self.is_settled(request, reading) {
            return Resolution::InProgress;
        }
        self.doubts.remove(&request.id);
        let receipt = reading.receipt.as_deref().unwrap_or_default();
        let message = format!("two readings show receipt {receipt} of before this payment as the last one");
        Resolution::NotCharged(Evidence::new(message))
    }

    fn undecided(&mut self, request: &PaymentRequest, evidence: Evidence) -> Resolution {
        self.doubts.remove(&request.id);
        Resolution::Undecided(evidence)
    }
}

impl Question<'_> {
    fn judge(&self, reading: &Reading) -> Judgement {
        let unclear = |message: &str| Judgement::Unclear(evidence(message, reading));
        if let Some(message) = self.other_terminal(reading) {
            return unclear(&message);
        }
        let Some(previous) = self.remembered.previous.receipt.as_deref() else {
            return unclear("the receipt number before this payment is not known");
        };
        let Some(receipt) = reading.receipt.as_deref() else {
            return unclear("the terminal's last result has no receipt number");
        };
        if receipt == previous {
            return match self.other_booking_of_same_receipt(reading) {
                None => Judgement::Unchanged,
                Some(why) => unclear(&why),
            };
        }
        if next_receipt(previous).as_deref() != Some(receipt) {
            return unclear(&format!("the last receipt is {receipt}, before this payment it was {previous}"));
        }
        match self.mismatch(reading) {
            Some(why) => unclear(&why),
            None => self.booked(reading),
        }
    }

    /// Why a booking with the remembered receipt number is not certainly the remembered one. At a terminal that gives no
    /// numbers, or always the same, a new booking would look like the old one.
    fn other_booking_of_same_receipt(&self, reading: &Reading) -> Option<String> {
        let previous = &self.remembered.previous;
        let (Some(before), Some(now)) = (given(&previous.trace), given(&reading.trace)) else {
            return Some(
                "the receipt number is that of before this payment, and there is no trace number to go by".into(),
            );
        };
        if before != now {
            return Some("the receipt number is that of before this payment, the trace number is not".into());
        }
        let at = reading.at?;
        let (date, time) = at;
        let dated = messages::clock_text(date, time);
        let is_later = match &previous.time {
            Some(before) => *before != dated,
            None => self.is_of_this_payments_time(at, Duration::ZERO)?,
        };
        is_later.then(|| format!("the numbers are those of before this payment, but the last booking is dated {dated}"))
    }

    /// Both the registration and the result must name the terminal of before, and at least one must name it.
    fn other_terminal(&self, reading: &Reading) -> Option<String> {
        let Some(remembered) = self.remembered.terminal_id.as_deref() else {
            return Some("it is not known which terminal this payment went to".into());
        };
        let named = [self.registered_id, reading.terminal_id.as_deref()];
        match named.into_iter().flatten().find(|id| *id != remembered) {
            Some(other) => Some(format!("terminal {other} answers, the payment went to terminal {remembered}")),
            None if named == [None, None] => Some("the terminal does not tell its id".into()),
            None => None,
        }
    }

    /// Why the next booking after the remembered one is not certainly this payment.
    fn mismatch(&self, reading: &Reading) -> Option<String> {
        let request = self.request;
        if reading.result_code != Some(0) {
            let what = reading.result_code.map_or("no result".into(), messages::explained);
            return Some(format!("the last booking is not a success: {what}"));
        }
        if reading.amount_minor != Some(request.amount.minor()) {
            return Some(format!("the last booking is not one of {}", request.amount));
        }
        if reading.currency.is_some_and(|currency| currency != request.amount.currency().numeric()) {
            return Some("the last booking is in another currency".into());
        }
        if !self.is_same_operation(reading) {
            return Some(format!("the last booking is not a {}", request.operation));
        }
        self.keypad_was_open().or_else(|| self.other_time(reading))
    }

    fn is_same_operation(&self, reading: &Reading) -> bool {
        let original = self.request.original.as_ref();
        let original_trace = original.and_then(|original| original.approval.details.trace_number.as_ref());
        late::is_of(self.request.operation, original_trace, reading.original_trace.as_ref())
    }

    fn keypad_was_open(&self) -> Option<String> {
        let message = match (self.remembered.previous.how, self.keypad) {
            (How::Answer | How::Repetition, Keypad::Locked) => return None,
            (How::KeypadOpen, _) | (_, Keypad::Open) => "payments could be started at the keypad meanwhile",
            (How::NotTold, Keypad::Locked) => "the receipt number before this payment was not told",
        };
        Some(message.into())
    }

    fn other_time(&self, reading: &Reading) -> Option<String> {
        let fits = reading.at.and_then(|at| Some((at, self.is_of_this_payments_time(at, CLOCK_TOLERANCE)?)));
        let Some(((date, time), fits)) = fits else {
            return Some("when the last booking was made is not known".into());
        };
        (!fits).then(|| format!("the last booking is dated {}", messages::clock_text(date, time)))
    }

    /// `None`: the PT's clock was never seen.
    fn is_of_this_payments_time(&self, at: (MonthDay, TimeOfDay), tolerance: Duration) -> Option<bool> {
        let difference = self.remembered.clock_difference?;
        Some(terminal_clock::is_between(at, difference, (self.request.received_at, self.latest), tolerance))
    }

    fn booked(&self, reading: &Reading) -> Judgement {
        match &reading.booking {
            Some(booking) => {
                let mut booking = booking.clone();
                let terminal_id = &mut booking.details.terminal_id;
                *terminal_id = terminal_id.take().or_else(|| self.remembered.terminal_id.clone());
                Judgement::Booked(Box::new(Outcome::Approved(booking)))
            }
            None => Judgement::Unclear(Evidence::new("the last booking has no amount")),
        }
    }
}

/// A trace number of nothing but zeros is none.
fn given(number: &Option<String>) -> Option<&str> {
    number.as_deref().filter(|digits| digits.bytes().any(|digit| digit != b'0'))
}

/// No conversation lasts longer than its limit, however late this is asked.
fn latest(request: &PaymentRequest, longest: Duration) -> SystemTime {
    let now = wall_clock::now();
    request.received_at.checked_add(longest).map_or(now, |end| end.min(now))
}

fn evidence(message: &str, reading: &Reading) -> Evidence {
    let evidence = Evidence::new(message);
    match &reading.booking {
        Some(booking) => evidence.with_candidate(booking.clone()),
        None => evidence,
    }
}

/// Ready, or in a state that ends by itself: a card in the reader, remote maintenance.
fn is_ready_soon(status: u8) -> bool {
    matches!(status, terminal_status::READY | 0xDC | 0xE0 | 0xE1)
}

fn unready(status: Option<u8>) -> String {
    match status {
        Some(code) => {
            let what = terminal_status::wording(code).map_or("its status is unknown", |wording| wording.english);
            format!("the terminal is not ready: {what} (status {code:02x})")
        }
        None => "the terminal does not tell whether it is ready".into(),
    }
}

#[cfg(test)]
mod tests;
