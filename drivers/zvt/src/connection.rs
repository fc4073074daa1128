//! How the line to a PT is opened, registered on, checked and kept.

use tillswitch_core::{Cause, LineEvent, LineWatch, Reason};
use tokio::time::Instant;

use crate::apdu::{Apdu, control};
use crate::bmp::BmpError;
use crate::charset::Charset;
use crate::collector;
use crate::command::{self, Command};
use crate::conversation::{Audience, Conversation, lead, requested};
use crate::enquiry::{Answer, Ended, Enquiry, Habits};
use crate::late::{Late, LateResults};
use crate::learnt::Learnt;
use crate::messages::{self, is_busy, refused};
use crate::registration::{Abilities, Registration};
use crate::reply::{Completion, Reply, StatusEnquiryCompletion};
use crate::settings::{self, Keypad, Receipts, ZvtSettings};
use crate::tables::terminal_status;
use crate::timing::Timing;
use crate::transport::{Delivery, Transport};

/// 84 9A: some terminals refuse a registration with a container so.
const PROTOCOL_FAULT: u8 = 0x9A;
/// What a PT may have said while nobody asked: more than a slip line by line.
const MAXIMUM_UNASKED: usize = 1000;
/// 84 1E with 6F or C6 behind it: the terminal does not take the currency.
const STOPPED: u8 = 0x1E;
const WRONG_CURRENCY: [u8; 2] = [0x6F, 0xC6];

/// The line to one PT.
pub(crate) struct Connection {
    transport: Box<dyn Transport>,
    pub settings: ZvtSettings,
    pub timing: Timing,
    pub watch: LineWatch,
    /// What may come, and has come, too late.
    pub late: LateResults,
    registered: Option<Registered>,
    /// When something was said last.
    last_traffic: Instant,
    /// The last booking, as far as this connection knows.
    pub learnt: Option<Learnt>,
    /// What the PT wants to be run, as its last registration told. It outlives the line.
    wishes: u8,
    /// An operator has opened the keypad, and no payment has come since.
    unlocked: bool,
}

#[derive(Clone, Debug)]
struct Registered {
    keypad: Keypad,
    terminal_id: Option<String>,
    charset: Charset,
}

/// What the PT says of itself.
pub(crate) enum Status {
    Busy,
    /// The completion of 05 01.
    Told(StatusEnquiryCompletion),
    /// It answers, and does not tell.
    NotTold,
}

/// What had come while nobody asked, the worse the later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Drained {
    Nothing,
    Chatter,
    /// An answer to nothing that was asked: what comes next may be one too.
    OutOfStep,
    /// The result of a payment that nobody waits for.
    Result,
}

impl Connection {
    pub fn new(transport: Box<dyn Transport>, settings: ZvtSettings, timing: Timing) -> Connection {
        let last_traffic = Instant::now();
        Connection {
            transport,
            settings,
            timing,
            watch: LineWatch::default(),
            late: LateResults::default(),
            registered: None,
            last_traffic,
            learnt: None,
            wishes: 0,
            unlocked: false,
        }
    }

    /// Whether the line is open, as far as this end knows.
    pub fn is_open(&self) -> bool {
        self.transport.is_open()
    }

    /// Whether a message can get lost while the line stays.
    pub fn loses_messages(&self) -> bool {
        self.transport.loses_messages()
    }

    /// The terminal id of the registration.
    pub fn terminal_id(&self) -> Option<String> {
        self.registered.as_ref()?.terminal_id.clone()
    }

    /// The agreed character set.
    pub fn charset(&self) -> Charset {
        self.registered.as_ref().map_or(Charset::default(), |registered| registered.charset)
    }

    /// Makes the line fit for a command: open, registered on, read empty, and asked when it was idle for long.
    ///
    /// Nothing that this sends moves money, so a line that was cut meanwhile is simply opened again.
    pub async fn make_ready(&mut self, audience: &mut Audience<'_>) -> Result<(), Reason> {
        self.unlocked = false;
        if self.transport.is_open() && self.check(audience).await? {
            return self.lock_as_configured(audience).await;
        }
        self.open(self.settings.keypad, audience).await
    }

    /// The same for a look at the PT: a keypad that an operator has opened stays open.
    pub async fn make_reachable(&mut self, audience: &mut Audience<'_>) -> Result<(), Reason> {
        if !self.unlocked {
            return self.make_ready(audience).await;
        }
        if self.transport.is_open() && self.check(audience).await? {
            return Ok(());
        }
        self.open(Keypad::Open, audience).await
    }

    /// What the PT wants to be run (bits of the registration's status byte). Nothing while an operator uses its keypad:
    /// running it would lock that again.
    pub fn wishes(&self) -> u8 {
        if self.unlocked { 0 } else { self.wishes }
    }

    /// What the PT wanted has been run.
    pub fn fulfilled(&mut self, bit: u8) {
        self.wishes &= !bit;
    }

    /// Asks 05 01, with details where the PT knows how to give them.
    pub async fn status(&mut self, audience: &mut Audience<'_>) -> Result<Status, Reason> {
        let password = self.settings.password;
        let detailed = self.ask(Command::detailed_status_enquiry(password), Habits::QUESTION, audience).await?;
        match detailed.ended {
            Ended::Refused { code, .. } if !is_busy(code) => self.plain_status(audience).await,
            ended => Ok(read_status(ended)),
        }
    }

    async fn plain_status(&mut self, audience: &mut Audience<'_>) -> Result<Status, Reason> {
        let enquiry = Command::status_enquiry(self.settings.password);
        let answer = self.ask(enquiry, Habits::QUESTION, audience).await?;
        Ok(read_status(answer.ended))
    }

    /// Sends a command that moves no money and waits for its end. A PT that does not answer loses the line.
    pub async fn ask(
        &mut self,
        command: Command,
        habits: Habits,
        audience: &mut Audience<'_>,
    ) -> Result<Answer, Reason> {
        let mut enquiry = Enquiry::new(command, habits, self.charset(), self.settings.currency);
        let end = self.lead(&mut enquiry, audience).await;
        if end.as_ref().is_err_and(|reason| reason.cause != Cause::Busy) {
            self.close().await;
        }
        end
    }

    /// Leads any conversation over the line.
    pub async fn lead<C: Conversation>(&mut self, conversation: &mut C, audience: &mut Audience<'_>) -> C::End {
        let charset = self.charset();
        let (transport, late) = (&mut *self.transport, &mut self.late);
        let before = late.count();
        let end = lead(transport, charset, &self.timing, &self.watch, late, audience, conversation).await;
        if self.late.count() != before {
            self.learnt = None;
        }
        (0..self.transport.repetitions()).for_each(|_| self.watch.note(LineEvent::Retransmitted));
        self.last_traffic = Instant::now();
        end
    }

    /// Registers anew with another keypad than the configured one; the next payment locks it again. Not a log-off (06 02):
    /// some terminals lock their keypad then (card complete falls back to config byte BE), and none would send us its results.
    pub async fn unlock_keypad(&mut self, audience: &mut Audience<'_>) -> Result<(), Reason> {
        self.learnt = None;
        self.unlocked = true;
        self.register(Keypad::Open, audience).await
    }

    /// Says good-bye, so that the PT works by itself again, and closes the line.
    pub async fn log_off(&mut self) {
        if self.transport.is_open() && self.registered.is_some() {
            let farewell = self.ask(Command::LogOff, Habits::LOG_OFF, &mut Audience::Nobody).await;
            if let Err(reason) = farewell {
                tracing::debug!("the log-off was not answered: {reason}");
            }
        }
        self.close().await;
    }

    /// The money command has come to its end: from now on the line closes in order.
    pub fn settled(&mut self) {
        self.transport.settled();
    }

    /// Whether the PT ended the last line itself and had read all that was sent to it.
    pub fn ended_in_order(&self) -> bool {
        self.transport.ended_in_order()
    }

    pub async fn close(&mut self) {
        self.transport.close().await;
        self.registered = None;
        self.learnt = None;
    }

    /// Whether the open line can be used as it is. `false`: it has to be opened again.
    async fn check(&mut self, audience: &mut Audience<'_>) -> Result<bool, Reason> {
        let is_idle = self.last_traffic.elapsed() > self.timing.idle_check;
        match self.drain(audience).await {
            Ok(Drained::Result) => Err(Reason::new(Cause::Busy, "the terminal is still at another payment")),
            Ok(Drained::OutOfStep) => Ok(false),
            Ok(Drained::Nothing) if !is_idle => Ok(self.registered.is_some()),
            // The terminal may have been switched off and on meanwhile, and forgotten who we are.
            Ok(Drained::Nothing | Drained::Chatter) if !self.transport.hears_restarts() => Ok(false),
            Ok(Drained::Nothing | Drained::Chatter) => match self.plain_status(audience).await {
                Ok(Status::Busy) => Err(Reason::new(Cause::Busy, "the terminal is busy")),
                Ok(Status::Told(_) | Status::NotTold) => Ok(self.registered.is_some()),
                Err(reason) if reason.cause == Cause::LinkLost => Ok(false),
                Err(reason) => Err(reason),
            },
            Err(reason) => {
                tracing::debug!("the idle line is opened again: {reason}");
                Ok(false)
            }
        }
    }

    /// Whether the line has stayed as [`make_ready`](Self::make_ready) left it.
    pub async fn is_quiet(&mut self, audience: &mut Audience<'_>) -> Result<bool, Reason> {
        match self.drain(audience).await {
            Ok(Drained::Nothing) => Ok(true),
            Ok(Drained::Chatter | Drained::OutOfStep) | Err(_) => {
                self.close().await;
                Ok(false)
            }
            Ok(Drained::Result) => Err(Reason::new(Cause::Busy, "the terminal is still at another payment")),
        }
    }

    /// Reads and answers what has come while nobody asked. Whoever was not answered in time has gone on: the PT takes the next
    /// answer for that to its latest message. So once there is a result among them, no answer up to it may be positive.
    async fn drain(&mut self, audience: &mut Audience<'_>) -> Result<Drained, Reason> {
        let (arrived, end) = self.arrived();
        let is_result = |apdu: &Apdu| apdu.control() == control::STATUS_INFORMATION;
        let results_end = arrived.iter().rposition(is_result).map_or(0, |last| last + 1);
        let mut drained = Drained::Nothing;
        for (place, apdu) in arrived.iter().enumerate() {
            drained = drained.max(self.came_unasked(apdu, audience).await);
            let answer = match apdu {
                apdu if apdu.is_answer() => continue,
                _ if place < results_end => command::goods_not_issued(),
                apdu => answer_to_chatter(&Reply::parse(apdu, self.charset())),
            };
            // A line that has ended meanwhile takes no answer; what was said on it is filed all the same.
            if end.is_none() {
                self.transport.send(&answer, Delivery::Repeatable).await.map_err(|error| error.reason)?;
            }
        }
        end.map_or(Ok(drained), Err)
    }

    /// What has arrived, and why no more will.
    fn arrived(&mut self) -> (Vec<Apdu>, Option<Reason>) {
        let mut arrived = Vec::new();
        while arrived.len() < MAXIMUM_UNASKED {
            match self.transport.arrived() {
                Ok(Some(apdu)) => arrived.push(apdu),
                Ok(None) => return (arrived, None),
                Err(reason) => return (arrived, Some(reason)),
            }
        }
        let message = format!("the terminal at {} talks without an end", self.transport.address());
        (arrived, Some(Reason::new(Cause::Garbage, message)))
    }

    async fn came_unasked(&mut self, apdu: &Apdu, audience: &mut Audience<'_>) -> Drained {
        match Reply::parse(apdu, self.charset()) {
            Reply::StatusInformation(fields) => {
                let late = Late::new(&fields, self.settings.currency, self.charset());
                self.late.file(&late, audience, &self.watch, self.timing.record).await;
                // It has got a number, whether it stands or is taken back.
                self.learnt = None;
                Drained::Result
            }
            _ if apdu.is_answer() => Drained::OutOfStep,
            _ => Drained::Chatter,
        }
    }

    async fn open(&mut self, keypad: Keypad, audience: &mut Audience<'_>) -> Result<(), Reason> {
        self.close().await;
        let mut abort = audience.abort();
        tokio::select! {
            biased;
            opened = self.transport.open() => opened?,
            () = requested(&mut abort) => return Err(messages::stopped()),
        }
        self.watch.note(LineEvent::Connected);
        self.register(keypad, audience).await
    }

    async fn lock_as_configured(&mut self, audience: &mut Audience<'_>) -> Result<(), Reason> {
        let keypad = self.settings.keypad;
        if self.registered.as_ref().is_some_and(|registered| registered.keypad == keypad) {
            return Ok(());
        }
        self.learnt = None;
        self.register(keypad, audience).await
    }

    async fn register(&mut self, keypad: Keypad, audience: &mut Audience<'_>) -> Result<(), Reason> {
        let registered = self.try_to_register(keypad, audience).await;
        match registered {
            Ok(registered) => {
                self.registered = Some(registered);
                Ok(())
            }
            Err(reason) => {
                self.close().await;
                Err(reason)
            }
        }
    }

    async fn try_to_register(&mut self, keypad: Keypad, audience: &mut Audience<'_>) -> Result<Registered, Reason> {
        let abilities = self.abilities();
        let first = self.ask_to_register(keypad, Some(&abilities), audience).await?;
        let ended = match first.ended {
            Ended::Refused { code: PROTOCOL_FAULT, .. } => self.ask_to_register(keypad, None, audience).await?.ended,
            ended => ended,
        };
        match ended {
            Ended::Completed(completion) => {
                self.wishes = completion.registration().status_byte.unwrap_or(0);
                Ok(registered(keypad, &completion))
            }
            Ended::Acknowledged => Ok(Registered { keypad, terminal_id: None, charset: Charset::default() }),
            Ended::Refused { code: STOPPED, data } if data.0.iter().any(|code| WRONG_CURRENCY.contains(code)) => {
                let message = format!("the terminal does not settle in {}", self.settings.currency);
                Err(Reason::new(Cause::WrongCurrency, message))
            }
            Ended::Refused { code, .. } => Err(refused(code)),
            Ended::Aborted(abort) => {
                let message =
                    format!("the terminal did not accept the registration: {}", messages::advised(abort.code));
                Err(Reason::new(Cause::Refused, message))
            }
        }
    }

    async fn ask_to_register(
        &mut self,
        keypad: Keypad,
        abilities: Option<&Abilities>,
        audience: &mut Audience<'_>,
    ) -> Result<Answer, Reason> {
        let registration = self
            .registration(keypad, abilities)
            .map_err(|error| Reason::new(Cause::Unsupported, format!("the registration cannot be written: {error}")))?;
        let mut enquiry = Enquiry::new(
            Command::Registration(registration),
            Habits::QUESTION,
            Charset::default(),
            self.settings.currency,
        );
        let answer = self.lead(&mut enquiry, audience).await;
        // Silence at the first command has an explanation when something else than ZVT came instead.
        answer.map_err(|reason| match self.transport.foreign() {
            Some(sentence) if reason.cause == Cause::NoAnswer => Reason::new(Cause::Garbage, sentence),
            Some(_) | None => reason,
        })
    }

    fn registration(&self, keypad: Keypad, abilities: Option<&Abilities>) -> Result<Registration, BmpError> {
        let settings = &self.settings;
        let config_byte = settings.config_byte(keypad);
        let service_byte = ZvtSettings::service_byte(keypad);
        Registration::new(settings.password, config_byte, settings.currency.numeric(), service_byte, abilities)
    }

    /// An empty container already tells the PT that it may send containers, which hold its texts.
    fn abilities(&self) -> Abilities {
        match self.settings.receipts {
            Receipts::Terminal => Abilities::default(),
            Receipts::Router => Abilities {
                printer_width: Some(collector::WIDTH),
                permitted_commands: vec![control::PRINT_BLOCK],
                ..Abilities::default()
            },
        }
    }

    /// Whether the line is closed after each payment.
    pub fn is_per_payment(&self) -> bool {
        self.settings.connection == settings::Connection::PerPayment
    }
}

/// The answer to a message that came while nobody asked and is no result.
fn answer_to_chatter(reply: &Reply) -> Apdu {
    match reply {
        Reply::Menu(_) | Reply::InputRequest(_) | Reply::BlockedListQuery(_) | Reply::Other(_) => {
            command::unknown_command()
        }
        _ => command::positive(),
    }
}

fn registered(keypad: Keypad, completion: &Completion) -> Registered {
    let said = completion.registration();
    Registered { keypad, terminal_id: said.terminal_id, charset: said.charset.unwrap_or_default() }
}

fn read_status(ended: Ended) -> Status {
    match ended {
        Ended::Completed(completion) => {
            let status = completion.status_enquiry();
            match status.terminal_status {
                Some(terminal_status::BUSY) => Status::Busy,
                Some(_) => Status::Told(status),
                None => Status::NotTold,
            }
        }
        Ended::Refused { code, .. } if is_busy(code) => Status::Busy,
        Ended::Aborted(abort) if is_busy(abort.code) => Status::Busy,
        Ended::Acknowledged | Ended::Refused { .. } | Ended::Aborted(_) => Status::NotTold,
    }
}
