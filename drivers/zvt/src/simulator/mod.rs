//! A simulated ZVT terminal: the PT's side of the protocol, scripted, with a ledger and with the faults of real ones.
//!
//! | file | question |
//! |---|---|
//! | `options` | what can be set before it starts |
//! | `step` | what a payment can be told to do, and the words for it |
//! | `encryption` | how its port is encrypted |
//! | `listener` | who may talk to it, and when it can be reached |
//! | `line` | how messages get onto the wire |
//! | `serial` | how messages get onto a serial line, and what goes wrong there |
//! | `line_fault` | what can go wrong there, and the words for it |
//! | `pty`, `socket` | what stands in for a serial device, and when it is plugged in |
//! | `conversation` | who waits for whom, and what is a fault of the ECR |
//! | `commands` | which command gets which treatment |
//! | `payment` | how a payment goes, step by step |
//! | `printing` | who prints the slips |
//! | `messages` | what its messages look like |
//! | `terminal` | what it remembers |
//! | `book` | what it has booked: ledger file, receipt numbers |
//!
//! Once a payment has started it goes on when its link breaks, as at a real counter: the customer presents the card, the
//! booking is made, and whether it stands is up to [`Options::auto_reverse`]. Meanwhile a new link hears "busy".

mod book;
mod commands;
mod conversation;
mod encryption;
mod line;
mod line_fault;
mod listener;
mod messages;
mod options;
mod payment;
mod printing;
mod pty;
mod serial;
mod socket;
mod step;
mod terminal;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tillswitch_core::conformance::Behaviour;
use tillswitch_core::ledger::LedgerEntry;
use tillswitch_core::{Money, Operation};
use tokio::io::{AsyncRead, AsyncWrite};

pub use encryption::Encryption;
pub use line_fault::{LineFault, LineNoise, ScriptedFault, UnknownFault};
pub use options::{Options, Slips, Timing};
pub use step::{Step, UnknownStep};

use crate::command::Password;
use crate::registration::config_byte;
use crate::transport::stream::ByteStream;
use book::Book;
use line::StreamLine;
use line_fault::Noise;
use listener::Listener;
use serial::SerialLine;
use terminal::Terminal;

/// A running simulated terminal, and what a test can do to it. Dropping it ends it.
pub struct Simulator {
    terminal: Arc<Terminal>,
    listener: Listener,
    device: Option<PathBuf>,
}

/// Why the keypad takes no sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeypadError {
    /// The registration has locked it (config bit 10).
    Locked,
    /// A payment is running.
    Busy,
    /// The ledger cannot be written.
    Ledger(String),
}

impl fmt::Display for KeypadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeypadError::Locked => f.write_str("the keypad is locked by the registration of the ECR"),
            KeypadError::Busy => f.write_str("a payment is running"),
            KeypadError::Ledger(error) => write!(f, "the ledger cannot be written: {error}"),
        }
    }
}

impl std::error::Error for KeypadError {}

impl Simulator {
    /// Opens the ledger and listens.
    ///
    /// # Errors
    /// When the address cannot be bound, the ledger cannot be read, or terminal id or password are not digits.
    pub async fn start(options: Options) -> io::Result<Simulator> {
        let listen = options.listen;
        let terminal = switched_on(options)?;
        let listener = Listener::start(listen, Arc::clone(&terminal)).await?;
        Ok(Simulator { terminal, listener, device: None })
    }

    /// Opens the ledger and plugs a serial device in: a pseudo terminal, reached by the link at this path. While the device is
    /// unplugged the link is gone, and afterwards it is there again.
    ///
    /// # Errors
    /// When there is something else at that path, and as for [`start`](Self::start).
    pub async fn start_serial(options: Options, link: &Path) -> io::Result<Simulator> {
        let link = std::path::absolute(link)?;
        let terminal = switched_on(options)?;
        let listener = Listener::start_serial(link.clone(), Arc::clone(&terminal))?;
        Ok(Simulator { terminal, listener, device: Some(link) })
    }

    /// The path of its serial device, if it has one.
    pub fn device(&self) -> Option<&Path> {
        self.device.as_deref()
    }

    /// Where it listens, or will listen again. On a serial line it does not, and this is the unspecified address.
    pub fn addr(&self) -> SocketAddr {
        self.listener.addr()
    }

    /// Its ledger file.
    pub fn ledger_path(&self) -> PathBuf {
        self.terminal.memory().book.path().to_owned()
    }

    /// What it has booked and taken back, what an earlier run left in the file included.
    pub fn ledger(&self) -> Vec<LedgerEntry> {
        self.terminal.memory().book.entries().to_vec()
    }

    /// How many commands that move money (06 01, 06 30, 06 31) have arrived.
    pub fn money_commands(&self) -> usize {
        self.terminal.memory().money_commands
    }

    /// The commands that have arrived (the last 10 000), in order, as `06 01`.
    pub fn commands(&self) -> Vec<String> {
        self.terminal.memory().commands().map(conversation::name).collect()
    }

    /// What the ECR did that the protocol does not allow: missing or malformed acknowledgements, commands out of turn.
    pub fn protocol_faults(&self) -> Vec<String> {
        self.terminal.memory().faults().cloned().collect()
    }

    /// Whether a payment is running, with or without its link.
    pub fn is_busy(&self) -> bool {
        self.terminal.memory().busy
    }

    /// Replaces the rest of the script. A running payment keeps its step.
    pub fn set_script(&self, script: Vec<Step>) {
        self.terminal.memory().set_script(script);
    }

    /// Makes the next payment go like this, and those after it be approved. For `Unreachable` it stops listening.
    pub async fn set_behaviour(&self, behaviour: Behaviour) -> io::Result<()> {
        self.set_script(Step::script_for(behaviour).to_vec());
        self.listen(behaviour != Behaviour::Unreachable).await
    }

    /// Makes it reachable and well-behaved again: the rest of the script and what was switched on are forgotten, and the
    /// present link is cut if it keeps silent. Ledger and last transaction stay.
    pub async fn heal(&self) -> io::Result<()> {
        {
            let mut memory = self.terminal.memory();
            memory.set_script(Vec::new());
            memory.cuts_registration = false;
            memory.greets_with_banner = false;
            memory.repeats_nothing = false;
            memory.terminal_id = self.terminal.options.terminal_id.clone();
        }
        if self.is_busy() {
            self.cut();
        }
        self.listen(true).await
    }

    /// Cuts the present link. A running payment goes on without it.
    pub fn cut(&self) {
        self.terminal.cut();
    }

    /// Whether it can be reached. `false` closes its port and cuts the present link, `true` opens the same port again.
    ///
    /// # Errors
    /// When somebody else has taken the port meanwhile.
    pub async fn listen(&self, reachable: bool) -> io::Result<()> {
        self.listener.listen(reachable).await
    }

    /// Takes a link that did not come in at its port, such as an in-memory stream: the other end of it is an ECR's.
    ///
    /// # Errors
    /// When it has been stopped.
    pub async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> io::Result<()> {
        let line = StreamLine::new(stream, self.terminal.options.timing.answer);
        self.listener.serve(Box::new(line)).await
    }

    /// The same on a serial line.
    ///
    /// # Errors
    /// When it has been stopped.
    pub async fn serve_serial(&self, stream: impl ByteStream + 'static) -> io::Result<()> {
        let line = SerialLine::new(Box::new(stream), Arc::clone(&self.terminal), None);
        self.listener.serve(Box::new(line)).await
    }

    /// Replaces what goes wrong on a serial line from now on, each fault once.
    pub fn set_line_faults(&self, faults: Vec<ScriptedFault>) {
        self.terminal.memory().line_faults = faults;
    }

    /// The faults that have not happened yet.
    pub fn line_faults(&self) -> Vec<ScriptedFault> {
        self.terminal.memory().line_faults.clone()
    }

    /// How bad a serial line is from now on.
    pub fn set_line_noise(&self, noise: LineNoise) {
        self.terminal.memory().noise = Noise::new(noise);
    }

    /// Somebody uses the keypad for a sale. The receipt number.
    ///
    /// # Errors
    /// `Locked` when config bit 10 of the registration forbids it.
    pub fn keypad_sale(&self, minor: u64) -> Result<String, KeypadError> {
        {
            let memory = self.terminal.memory();
            if memory.registered.has(config_byte::NO_PAYMENT_BY_KEYPAD) {
                return Err(KeypadError::Locked);
            }
            if memory.busy {
                return Err(KeypadError::Busy);
            }
        }
        let amount = Money::from_minor(minor, self.terminal.options.currency);
        let booked = self.terminal.book(Operation::Sale, amount, None);
        booked.map(|booking| booking.receipt).map_err(|error| KeypadError::Ledger(error.to_string()))
    }

    /// The result of its last booking was never told: it comes in front of the next answer or on the next link, as after
    /// `late-result`. `false`: there is none, or it was taken back.
    pub fn report_late(&self) -> bool {
        let mut memory = self.terminal.memory();
        memory.late = memory.book.last().filter(|booking| !booking.taken_back).cloned();
        memory.late.is_some()
    }

    /// Another terminal answers at this address from now on.
    ///
    /// # Errors
    /// When the id is not one to eight digits.
    pub fn set_terminal_id(&self, id: &str) -> io::Result<()> {
        if crate::bcd::from_digits::<4>(id).is_none() {
            return Err(invalid(format!("the terminal id {id:?} is not one to eight digits")));
        }
        self.terminal.memory().terminal_id = id.to_owned();
        Ok(())
    }

    /// How far its clock is ahead of ours, in seconds.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.terminal.memory().clock_offset_seconds = seconds;
    }

    /// Pulls the plug: the port closes, the link ends, a running payment ends where it is.
    pub async fn stop(self) {
        self.listener.stop().await;
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("addr", &self.addr()).finish_non_exhaustive()
    }
}

/// A terminal with its ledger.
fn switched_on(options: Options) -> io::Result<Arc<Terminal>> {
    let password = Password::new(&options.password).map_err(invalid)?;
    if crate::bcd::from_digits::<4>(&options.terminal_id).is_none() {
        return Err(invalid(format!("the terminal id {:?} is not one to eight digits", options.terminal_id)));
    }
    let book = Book::open(&options.ledger, options.first_receipt, options.reuses_numbers)?;
    Ok(Arc::new(Terminal::new(options, password, book)))
}

fn invalid(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
