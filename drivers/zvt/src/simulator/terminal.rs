//! What the terminal remembers between messages, links and restarts.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp, ZonedDateTime, tz::TimeZone};
use tillswitch_core::{Money, Operation, wall_clock};
use tokio::sync::watch;

use super::book::{Book, Booking};
use super::line_fault::Noise;
use super::{LineFault, Options, ScriptedFault, Step};
use crate::apdu::{Apdu, ControlField, control};
use crate::charset::Charset;
use crate::command::Password;
use crate::registration::{Abilities, Registration, config_byte};

/// The config byte without a registration and after a log-off.
const CONFIG_AFTER_LOG_OFF: u8 = 0x86;

/// How many commands and faults are remembered: a terminal may be simulated for days.
const KEPT: usize = 10_000;

/// The terminal, shared by its links and the handle of the test.
pub(super) struct Terminal {
    pub options: Options,
    pub password: Password,
    memory: Mutex<Memory>,
    /// Counts how often the present link was cut from outside.
    pub cuts: watch::Sender<u64>,
}

/// What changes.
pub(super) struct Memory {
    pub book: Book,
    pub terminal_id: String,
    pub clock_offset_seconds: i64,
    pub registered: Registered,
    script: VecDeque<Step>,
    /// The next registration is cut.
    pub cuts_registration: bool,
    pub line_faults: Vec<ScriptedFault>,
    pub noise: Noise,
    pub greets_with_banner: bool,
    pub repeats_nothing: bool,
    /// A result that was not sent yet.
    pub late: Option<Booking>,
    /// A payment is running, perhaps without its link.
    pub busy: bool,
    /// How many commands that move money have come.
    pub money_commands: usize,
    commands: VecDeque<ControlField>,
    faults: VecDeque<String>,
}

/// What the last registration settled.
#[derive(Clone, Debug)]
pub(super) struct Registered {
    pub somebody: bool,
    pub config: u8,
    /// The ECR has sent a container, so that it takes ours.
    pub containers: bool,
    /// The character set that it asked for.
    pub charset: Option<Charset>,
    pub takes_print_blocks: bool,
}

impl Registered {
    /// Nobody has registered.
    pub fn nobody() -> Registered {
        Registered {
            somebody: false,
            config: CONFIG_AFTER_LOG_OFF,
            containers: false,
            charset: None,
            takes_print_blocks: false,
        }
    }

    pub fn has(&self, bits: u8) -> bool {
        self.config & bits == bits
    }

    /// Intermediate status is only sent to a registered ECR: the fall-back value has its bit clear.
    pub fn wants_intermediate_status(&self) -> bool {
        self.has(config_byte::INTERMEDIATE_STATUS)
    }
}

impl From<&Registration> for Registered {
    fn from(registration: &Registration) -> Registered {
        let abilities: Option<Abilities> = registration.abilities();
        Registered {
            somebody: true,
            config: registration.config_byte,
            containers: abilities.is_some(),
            charset: abilities.as_ref().and_then(|abilities| abilities.charset),
            takes_print_blocks: abilities.is_some_and(|abilities| abilities.permits(control::PRINT_BLOCK)),
        }
    }
}

impl Terminal {
    pub fn new(options: Options, password: Password, book: Book) -> Terminal {
        let mut memory = Memory {
            book,
            terminal_id: options.terminal_id.clone(),
            clock_offset_seconds: 0,
            registered: Registered::nobody(),
            script: options.script.iter().copied().collect(),
            cuts_registration: false,
            line_faults: options.line_faults.clone(),
            noise: Noise::new(options.line_noise),
            greets_with_banner: false,
            repeats_nothing: false,
            late: None,
            busy: false,
            money_commands: 0,
            commands: VecDeque::new(),
            faults: VecDeque::new(),
        };
        memory.throw_switches();
        Terminal { options, password, memory: Mutex::new(memory), cuts: watch::Sender::new(0) }
    }

    /// The memory, held for a moment and never across a wait. A panic elsewhere leaves it usable: every change is one step.
    pub fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts the present link.
    pub fn cut(&self) {
        self.cuts.send_modify(|count| *count += 1);
    }

    /// Books, or reverses what is named. Blocks its thread until the ledger is on disk, which a simulated terminal may:
    /// nothing else can happen at it before.
    pub fn book(&self, operation: Operation, amount: Money, undone: Option<&Booking>) -> std::io::Result<Booking> {
        let mut memory = self.memory();
        match undone {
            Some(undone) => memory.book.reverse(undone),
            None => {
                let terminal_id = memory.terminal_id.clone();
                memory.book.book(operation, amount, &terminal_id)
            }
        }
    }

    /// Takes a booking back by itself. A reversal stands: undoing it would need the card.
    pub fn take_back(&self, booking: &Booking) {
        if booking.undone.is_some() {
            return;
        }
        let mut memory = self.memory();
        if let Err(error) = memory.book.take_back(booking) {
            memory.fault(format!("the ledger cannot be written: {error}"));
        }
    }
}

impl Memory {
    /// Replaces the script; what its first words switch on is on at once.
    pub fn set_script(&mut self, script: Vec<Step>) {
        self.script = script.into();
        self.throw_switches();
    }

    /// How the payment that begins now goes.
    pub fn next_step(&mut self) -> Step {
        self.script.pop_front().unwrap_or(Step::Approve)
    }

    /// Carries out the switches at the front of the script. Called when a payment has ended, so that none changes midway.
    pub fn throw_switches(&mut self) {
        while let Some(step) = self.script.front().copied().filter(|step| step.is_switch()) {
            self.script.pop_front();
            match step {
                Step::CutRegistration => self.cuts_registration = true,
                Step::Banner => self.greets_with_banner = true,
                Step::NoRepeat => self.repeats_nothing = true,
                _ => self.terminal_id = other_terminal_id(&self.terminal_id),
            }
        }
    }

    /// The first of these faults that waits for such a message. It happens once.
    pub fn next_line_fault(&mut self, faults: &[LineFault], control: ControlField) -> Option<LineFault> {
        let strikes = |scripted: &ScriptedFault| {
            faults.contains(&scripted.fault) && scripted.at.is_none_or(|awaited| awaited == control)
        };
        let place = self.line_faults.iter().position(strikes)?;
        Some(self.line_faults.remove(place).fault)
    }

    pub fn note_command(&mut self, apdu: &Apdu) {
        self.money_commands += usize::from(moves_money(apdu.control()));
        keep(&mut self.commands, apdu.control());
    }

    pub fn fault(&mut self, what: impl Into<String>) {
        keep(&mut self.faults, what.into());
    }

    pub fn commands(&self) -> impl Iterator<Item = ControlField> {
        self.commands.iter().copied()
    }

    pub fn faults(&self) -> impl Iterator<Item = &String> {
        self.faults.iter()
    }

    /// The terminal's clock, at a moment or now.
    pub fn clock(&self, at_unix_ms: Option<u64>) -> ZonedDateTime {
        let at = at_unix_ms.and_then(|ms| Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok());
        let at = at.unwrap_or_else(|| Timestamp::try_from(wall_clock::now()).unwrap_or_else(|_| Timestamp::now()));
        let shifted = at.checked_add(SignedDuration::from_secs(self.clock_offset_seconds));
        shifted.unwrap_or(at).to_zoned_datetime(TimeZone::system())
    }
}

fn moves_money(control: ControlField) -> bool {
    matches!(control, control::AUTHORIZATION | control::REFUND | control::REVERSAL)
}

fn keep<T>(list: &mut VecDeque<T>, new: T) {
    if list.len() == KEPT {
        list.pop_front();
    }
    list.push_back(new);
}

/// The last digit, replaced by another one.
fn other_terminal_id(id: &str) -> String {
    let mut digits = id.to_owned();
    let last = digits.pop().and_then(|digit| digit.to_digit(10)).unwrap_or(0);
    digits.push_str(&((last + 1) % 10).to_string());
    digits
}
