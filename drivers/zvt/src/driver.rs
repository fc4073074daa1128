//! How a ZVT terminal is driven: payments, status, end of day, services.

use std::collections::HashMap;

use async_trait::async_trait;
use tillswitch_core::{
    Cause, Details, Display, DriverError, EndOfDay, LineWatch, Operation, Outcome, PaymentId, PaymentRequest, Reason,
    Resolution, ServiceReport, Session, TerminalDriver, TerminalStatus, wall_clock,
};

use crate::bmp::BmpError;
use crate::command::Command;
use crate::connection::{Connection, Status};
use crate::conversation::Audience;
use crate::day;
use crate::enquiry::{Answer, Ended, Habits};
use crate::late::Suspect;
use crate::learnt::{How, Learnt, Reading, Remembered, remember_acknowledgement};
use crate::messages::{self, is_busy, refused};
use crate::registration::status_byte;
use crate::reply::StatusEnquiryCompletion;
use crate::resolve::Doubt;
use crate::sequence::{Asked, Payment};
use crate::settings::{Keypad, ZvtSettings};
use crate::tables::terminal_status;
use crate::terminal_clock;
use crate::timing::Timing;
use crate::transport::Transport;

const DIAGNOSIS: &str = "diagnosis";
const INITIALISATION: &str = "initialisation";
const KEYPAD_LOCK: &str = "keypad-lock";
const KEYPAD_UNLOCK: &str = "keypad-unlock";

/// What the status byte of a registration can ask for, in the order in which it is run.
const WISHES: [(&str, u8); 2] =
    [(INITIALISATION, status_byte::INITIALISATION_NEEDED), (DIAGNOSIS, status_byte::DIAGNOSIS_NEEDED)];

/// After so many unanswered 06 20 the PT is taken not to know it, and payments go on without.
const TOO_SILENT: u32 = 2;
/// After so many, a payment in doubt is left to a person: the router's pauses between them add up to minutes.
const MUTE: u32 = 6;
/// How often a payment is prepared anew because the line did not stay fit meanwhile.
const PREPARATIONS: usize = 3;

/// Drives one PT over any line.
pub(crate) struct ZvtDriver {
    pub connection: Connection,
    /// How many seconds the PT's clock is ahead of ours, as it was seen last.
    pub clock_difference: Option<i64>,
    /// How often in a row the PT did not answer 06 20 at all.
    silent_repetitions: u32,
    /// The payments in doubt that this driver has begun or looked into.
    pub doubts: HashMap<PaymentId, Doubt>,
}

impl ZvtDriver {
    pub fn new(transport: Box<dyn Transport>, settings: ZvtSettings, timing: Timing) -> ZvtDriver {
        ZvtDriver {
            connection: Connection::new(transport, settings, timing),
            clock_difference: None,
            silent_repetitions: 0,
            doubts: HashMap::new(),
        }
    }

    pub fn settings(&self) -> &ZvtSettings {
        &self.connection.settings
    }

    /// Everything up to the last byte before the money command. While the journal writes, the line may end or begin to talk.
    async fn prepare(&mut self, session: &mut dyn Session) -> Result<(), DriverError> {
        for _ in 0..PREPARATIONS {
            self.get_ready(session).await.map_err(DriverError::NotStarted)?;
            self.remember(session).await?;
            let mut audience = Audience::Preparing(&mut *session);
            if self.connection.is_quiet(&mut audience).await.map_err(DriverError::NotStarted)? {
                return Ok(());
            }
        }
        Err(DriverError::not_started(
            Cause::LinkLost,
            "the terminal closes its line again and again, or is at something else",
        ))
    }

    async fn remember(&mut self, session: &mut dyn Session) -> Result<(), DriverError> {
        let notes = self.to_remember().to_notes();
        session.remember_all(&notes).await.map_err(|error| {
            DriverError::not_started(Cause::NotStored, format!("nothing was sent to the terminal: {error}"))
        })
    }

    async fn get_ready(&mut self, session: &mut dyn Session) -> Result<(), Reason> {
        let mut audience = Audience::Preparing(session);
        self.connection.make_ready(&mut audience).await?;
        self.learn_clock(&mut audience).await?;
        self.learn_last_booking(&mut audience).await
    }

    /// Where the PT tells its clock, a later reading of a booking can be dated.
    async fn learn_clock(&mut self, audience: &mut Audience<'_>) -> Result<(), Reason> {
        if self.clock_difference.is_some() || self.connection.learnt.is_some() {
            return Ok(());
        }
        match self.connection.status(audience).await? {
            Status::Busy => Err(Reason::new(Cause::Busy, "the terminal is busy")),
            Status::Told(status) => {
                self.note_clock(&status);
                Ok(())
            }
            Status::NotTold => Ok(()),
        }
    }

    fn note_clock(&mut self, status: &StatusEnquiryCompletion) {
        if let Some((date, time)) = status.clock {
            self.clock_difference = Some(terminal_clock::difference_of_date(date, time, wall_clock::now()));
        }
    }

    async fn learn_last_booking(&mut self, audience: &mut Audience<'_>) -> Result<(), Reason> {
        if self.connection.learnt.is_some() {
            return Ok(());
        }
        let reading = match self.silent_repetitions {
            TOO_SILENT.. => None,
            _ => self.last_booking(audience).await?,
        };
        self.connection.learnt = Some(learnt(reading, How::Repetition));
        Ok(())
    }

    /// Asks 06 20. `None`: the PT has booked nothing yet, or does not tell.
    pub async fn last_booking(&mut self, audience: &mut Audience<'_>) -> Result<Option<Reading>, Reason> {
        let command = Command::repeat_result(self.settings().password);
        let answer = self.connection.ask(command, Habits::REPETITION, audience).await;
        self.silent_repetitions = match &answer {
            // Its answer may still come, so this connection is gone.
            Err(reason) if reason.cause == Cause::NoAnswer => self.silent_repetitions.saturating_add(1),
            Ok(_) | Err(_) => 0,
        };
        let answer = answer?;
        if let Some(busy) = busy(&answer.ended) {
            return Err(busy);
        }
        let last = answer.results.iter().rev().find(|fields| fields.result_code().is_some());
        Ok(last.map(|fields| Reading::new(fields, self.settings().currency, self.connection.charset())))
    }

    /// Whether the PT, which answers otherwise, has not answered 06 20 for so long that it never will. By then even a payment
    /// that was still running would have ended.
    pub fn is_mute(&self) -> bool {
        self.silent_repetitions >= MUTE
    }

    fn to_remember(&self) -> Remembered {
        let previous = self.connection.learnt.clone().unwrap_or(learnt(None, How::NotTold));
        let how = match self.settings().keypad {
            Keypad::Locked => previous.how,
            Keypad::Open => How::KeypadOpen,
        };
        Remembered {
            terminal_id: self.connection.terminal_id(),
            previous: Learnt { how, ..previous },
            clock_difference: self.clock_difference,
        }
    }

    async fn converse(
        &mut self,
        command: Command,
        request: &PaymentRequest,
        session: &mut dyn Session,
    ) -> Result<Outcome, DriverError> {
        let mut payment = Payment::new(Asked {
            command,
            amount: request.amount,
            accept_partial: request.accept_partial,
            password: self.settings().password,
            terminal_id: self.connection.terminal_id(),
            previous: self.connection.learnt.clone(),
            charset: self.connection.charset(),
            enquiries: self.connection.timing.enquiries_after_failure(),
            line_loses_messages: self.connection.loses_messages(),
        });
        let remembered = self.to_remember();
        let end = self.connection.lead(&mut payment, &mut Audience::Session(session)).await;
        if let Some((date, time)) = payment.clock() {
            self.clock_difference = Some(terminal_clock::difference(date, time, wall_clock::now()));
        }
        if !matches!(end, Err(DriverError::InDoubt(_))) {
            self.connection.settled();
        }
        self.connection.late.suspect(suspect(request, &remembered, &end));
        self.conclude(request, &end).await;
        if end.is_err() && payment.is_acknowledged() && self.connection.ended_in_order() {
            remember_acknowledgement(session).await;
        }
        // The next command on this line would take them for its own.
        if payment.leaves_answers_behind() || self.connection.is_per_payment() {
            self.connection.close().await;
        }
        end
    }

    /// What the end of a payment means for the next one.
    async fn conclude(&mut self, request: &PaymentRequest, end: &Result<Outcome, DriverError>) {
        match end {
            Ok(Outcome::Approved(approval)) => self.connection.learnt = self.learnt_from(&approval.details),
            // Whether a refusal has used up a number, terminals do not agree: the next payment asks.
            Ok(Outcome::Declined(_) | Outcome::Cancelled(_)) => self.connection.learnt = None,
            Err(DriverError::NotStarted(_) | DriverError::Unsupported) => {}
            Err(DriverError::InDoubt(_)) => {
                self.doubts.insert(request.id, Doubt::now());
                self.connection.close().await;
            }
        }
    }

    /// With an open keypad the next number may be anybody's.
    fn learnt_from(&self, details: &Details) -> Option<Learnt> {
        match self.settings().keypad {
            Keypad::Locked => Some(Learnt {
                receipt: Some(details.receipt_number.clone()?),
                trace: details.trace_number.clone(),
                time: details.terminal_time.clone(),
                how: How::Answer,
            }),
            Keypad::Open => None,
        }
    }

    fn money_command(&self, request: &PaymentRequest) -> Result<Command, Reason> {
        let settings = self.settings();
        if request.amount.currency() != settings.currency {
            let message = format!(
                "the terminal settles in {}, the request is in {}",
                settings.currency,
                request.amount.currency()
            );
            return Err(Reason::new(Cause::WrongCurrency, message));
        }
        // Some terminals dislike a currency in 06 01, and all of them take euro without one.
        let currency = (settings.currency != tillswitch_core::Currency::EUR).then(|| settings.currency.numeric());
        let minor = request.amount.minor();
        let command = match request.operation {
            Operation::Sale => Command::authorization(minor, currency),
            Operation::Refund => Command::refund(settings.password, minor, currency),
            Operation::Reversal => Command::reversal(settings.password, &original_receipt(request)?),
        };
        command
            .map_err(|error: BmpError| Reason::new(Cause::Refused, format!("the command cannot be written: {error}")))
    }

    /// A receipt number means something at the terminal that gave it, and only there.
    fn check_original(&self, request: &PaymentRequest) -> Result<(), DriverError> {
        let original = request.original.as_ref().filter(|_| request.operation == Operation::Reversal);
        let booked_at = original.and_then(|original| original.approval.details.terminal_id.as_ref());
        match (booked_at, self.connection.terminal_id()) {
            (Some(booked_at), Some(here)) if *booked_at != here => {
                let message = format!("the payment to reverse was booked by terminal {booked_at}, this one is {here}");
                Err(DriverError::not_started(Cause::Refused, message))
            }
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// A command of an operator's. What it reports is lost when the PT does not come to an end.
    async fn run(
        &mut self,
        command: Command,
        habits: Habits,
        display: &mut dyn Display,
    ) -> Result<Answer, DriverError> {
        let mut audience = Audience::Display(display);
        self.connection.make_ready(&mut audience).await.map_err(DriverError::NotStarted)?;
        let answer = self.connection.ask(command, habits, &mut audience).await;
        // Afterwards receipt numbers may begin anew.
        self.connection.learnt = None;
        if self.connection.is_per_payment() {
            self.connection.close().await;
        }
        let answer = answer.map_err(DriverError::InDoubt)?;
        match answer.ended {
            Ended::Completed(_) | Ended::Acknowledged => Ok(answer),
            Ended::Refused { code, .. } => Err(DriverError::NotStarted(refused(code))),
            Ended::Aborted(abort) => Err(DriverError::not_started(Cause::Refused, messages::advised(abort.code))),
        }
    }

    async fn set_keypad(&mut self, keypad: Keypad, display: &mut dyn Display) -> Result<ServiceReport, DriverError> {
        let mut audience = Audience::Display(display);
        self.connection.make_ready(&mut audience).await.map_err(DriverError::NotStarted)?;
        let message = match keypad {
            Keypad::Locked => "payments start at the register only",
            Keypad::Open => {
                self.connection.unlock_keypad(&mut audience).await.map_err(DriverError::NotStarted)?;
                "payments can be started at the keypad, until the next payment from the register"
            }
        };
        Ok(ServiceReport { message: message.into() })
    }
}

#[async_trait]
impl TerminalDriver for ZvtDriver {
    async fn execute(&mut self, request: &PaymentRequest, session: &mut dyn Session) -> Result<Outcome, DriverError> {
        let command = self.money_command(request).map_err(DriverError::NotStarted)?;
        let prepared = if session.abort().is_requested() { Ok(()) } else { self.prepare(session).await };
        // Whatever else went wrong: nothing was started, and nothing is wanted any more.
        if session.abort().is_requested() {
            return Ok(Outcome::Cancelled(Details::new("aborted", messages::stopped().message)));
        }
        prepared?;
        self.check_original(request)?;
        self.converse(command, request, session).await
    }

    async fn resolve(
        &mut self,
        request: &PaymentRequest,
        session: &mut dyn Session,
    ) -> Result<Resolution, DriverError> {
        let found = self.look_into(request, session).await;
        if self.connection.is_per_payment() {
            self.connection.close().await;
        }
        found
    }

    async fn status(&mut self) -> Result<TerminalStatus, DriverError> {
        let mut audience = Audience::Nobody;
        let told = match self.connection.make_reachable(&mut audience).await {
            Ok(()) => self.connection.status(&mut audience).await.map_err(DriverError::NotStarted)?,
            Err(reason) if reason.cause == Cause::Busy => Status::Busy,
            Err(reason) => return Err(DriverError::NotStarted(reason)),
        };
        let terminal_id = self.connection.terminal_id();
        if self.connection.is_per_payment() {
            self.connection.close().await;
        }
        Ok(terminal_status_of(told, terminal_id))
    }

    async fn end_of_day(&mut self, display: &mut dyn Display) -> Result<EndOfDay, DriverError> {
        let command = Command::end_of_day(self.settings().password);
        let answer = self.run(command, Habits::END_OF_DAY, display).await?;
        let last = answer.results.iter().rev().find_map(|fields| fields.result_code());
        let at_the_end = match &answer.ended {
            Ended::Completed(completion) => completion.fields().result_code(),
            Ended::Acknowledged | Ended::Aborted(_) | Ended::Refused { .. } => None,
        };
        let failed = at_the_end.or(last).filter(|code| *code != 0);
        if let Some(code) = failed {
            return Err(DriverError::not_started(Cause::Refused, messages::advised(code)));
        }
        Ok(day::closed(&answer.results, self.settings().currency))
    }

    fn services(&self) -> Vec<String> {
        [DIAGNOSIS, INITIALISATION, KEYPAD_LOCK, KEYPAD_UNLOCK].map(str::to_owned).to_vec()
    }

    async fn service(&mut self, name: &str, display: &mut dyn Display) -> Result<ServiceReport, DriverError> {
        let command = match name {
            DIAGNOSIS => Command::diagnosis(),
            INITIALISATION => Command::Initialisation { password: self.settings().password },
            KEYPAD_LOCK => return self.set_keypad(Keypad::Locked, display).await,
            KEYPAD_UNLOCK => return self.set_keypad(Keypad::Open, display).await,
            _ => return Err(DriverError::Unsupported),
        };
        self.run(command, Habits::MAINTENANCE, display).await?;
        WISHES.iter().filter(|(service, _)| *service == name).for_each(|(_, bit)| self.connection.fulfilled(*bit));
        Ok(ServiceReport { message: format!("{name} ended well") })
    }

    /// Bit 2 of the status byte, 08 20, is for petrol pumps.
    fn wishes(&self) -> Vec<String> {
        let wished = |bit: u8| self.connection.wishes() & bit != 0;
        WISHES.iter().filter(|(_, bit)| wished(*bit)).map(|(service, _)| (*service).to_owned()).collect()
    }

    fn watch_line(&mut self, watch: LineWatch) {
        self.connection.watch = watch;
    }

    async fn close(&mut self) {
        self.connection.log_off().await;
    }
}

/// The payment as it may be told about later; `None`: it did not start, or there is nothing to know it by.
fn suspect(request: &PaymentRequest, remembered: &Remembered, end: &Result<Outcome, DriverError>) -> Option<Suspect> {
    match end {
        Ok(Outcome::Approved(approval)) => Suspect::approved(request, approval),
        Ok(Outcome::Declined(_) | Outcome::Cancelled(_)) | Err(DriverError::InDoubt(_)) => {
            Suspect::new(request, remembered)
        }
        Err(DriverError::NotStarted(_) | DriverError::Unsupported) => None,
    }
}

/// The last booking in the form in which a payment remembers it.
fn learnt(reading: Option<Reading>, how: How) -> Learnt {
    match reading {
        Some(Reading { receipt: Some(receipt), trace, at, .. }) => {
            let time = at.map(|(date, time)| messages::clock_text(date, time));
            Learnt { receipt: Some(receipt), trace, time, how }
        }
        Some(Reading { receipt: None, .. }) | None => {
            Learnt { receipt: None, trace: None, time: None, how: How::NotTold }
        }
    }
}

/// The reason why a reading says nothing now and may later.
fn busy(ended: &Ended) -> Option<Reason> {
    let code = match ended {
        Ended::Refused { code, .. } => *code,
        Ended::Aborted(abort) => abort.code,
        Ended::Acknowledged | Ended::Completed(_) => return None,
    };
    is_busy(code).then(|| refused(code))
}

/// 06 30 takes back a whole receipt.
fn original_receipt(request: &PaymentRequest) -> Result<String, Reason> {
    let refuse = |message: &str| Reason::new(Cause::Refused, message);
    let original = request.original.as_ref().ok_or_else(|| refuse("a reversal needs the payment that it undoes"))?;
    if original.approval.amount != request.amount {
        return Err(refuse("a reversal takes back the whole payment; use a refund for a part of it"));
    }
    let receipt = original.approval.details.receipt_number.clone();
    receipt.ok_or_else(|| refuse("the payment to reverse has no receipt number; use a refund"))
}

fn terminal_status_of(status: Status, registered_id: Option<String>) -> TerminalStatus {
    let (ready, message, told) = match status {
        Status::Busy => (false, "busy; it will take payments when it is done".into(), None),
        Status::NotTold => (true, "it answers, and does not tell its status".into(), None),
        Status::Told(told) => {
            let code = told.terminal_status.unwrap_or(terminal_status::READY);
            (code == terminal_status::READY, status_sentence(code), Some(told))
        }
    };
    let (told_id, software) = told.map_or((None, None), |told| (told.terminal_id, told.software_version));
    TerminalStatus { ready, message, terminal_id: registered_id.or(told_id), software }
}

fn status_sentence(code: u8) -> String {
    let what = terminal_status::wording(code).map_or("unknown status", |wording| wording.english);
    let remedy = terminal_status::remedy(code).and_then(remedy_text);
    match remedy {
        _ if code == terminal_status::READY => what.into(),
        Some(remedy) => format!("{what} (status {code:02x}): {remedy}"),
        None => format!("{what} (status {code:02x})"),
    }
}

fn remedy_text(command: crate::apdu::ControlField) -> Option<&'static str> {
    use crate::apdu::control;
    match command {
        control::INITIALISATION => Some("run the service `initialisation`"),
        control::DIAGNOSIS => Some("run the service `diagnosis`"),
        control::END_OF_DAY => Some("close the day with `tillswitch end-of-day`"),
        _ => None,
    }
}
