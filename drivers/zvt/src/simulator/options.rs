//! What can be set at a simulated terminal before it starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tillswitch_core::Currency;

use super::{Encryption, LineNoise, ScriptedFault, Step};

/// The settings of a simulated terminal.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens. Port 0 lets the system choose one, which then stays the same until the terminal is stopped.
    pub listen: SocketAddr,
    /// The file that every booking is appended to. An existing file is continued: its last booking is the last transaction.
    pub ledger: PathBuf,
    /// Terminal id (BMP 29), at most eight digits.
    pub terminal_id: String,
    /// Its password, one to six digits.
    pub password: String,
    /// Whether a wrong password is refused with 84 37. Many terminals do not look at it in a registration.
    pub check_password: bool,
    /// The only currency that it takes.
    pub currency: Currency,
    /// Decides cards, authorisation codes and garbage, so that two runs are equal.
    pub seed: u64,
    /// How the next payments go. Afterwards every payment is approved.
    pub script: Vec<Step>,
    /// What goes wrong on a serial line, each fault once.
    pub line_faults: Vec<ScriptedFault>,
    /// How bad a serial line is all the time.
    pub line_noise: LineNoise,
    /// How long everything takes.
    pub timing: Timing,
    /// The receipt number of the first booking of a new ledger, 1 to 9999.
    pub first_receipt: u16,
    /// Whether it takes a booking back when 04 0F stays unacknowledged, or when the link breaks before.
    pub auto_reverse: bool,
    /// Whether it forgets a booking that it took back by itself, and uses the receipt number again. If not, 06 20 repeats
    /// that transaction with result 6C, and its number is spent.
    pub reuses_numbers: bool,
    /// What `approve-less` approves, in percent of what was asked.
    pub partial_percent: u64,
    /// What `approve-more` adds, in percent of what was asked.
    pub tip_percent: u64,
    /// How it hands slips to an ECR that asks for them in its registration (config bits 02 or 04, with 80).
    pub slips: Slips,
    /// The certificate with which it encrypts its port. `None`: plain TCP.
    pub encryption: Option<Encryption>,
    /// The status byte in the completion of a registration: what should be run next.
    pub status_byte: u8,
}

/// How slips reach the ECR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slips {
    /// Never: it prints them itself, whatever the registration says.
    None,
    /// Line by line (06 D1).
    Lines,
    /// In blocks (06 D3), or line by line if the ECR does not list 06 D3.
    Block,
}

/// How long the simulated customer, host and protocol take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Until the card is presented; up to here an abort is accepted.
    pub card: Duration,
    /// What the host takes.
    pub host: Duration,
    /// The wait for the answer to a message (T3), and for the present link to end when a second one comes.
    pub answer: Duration,
    /// T1, on a serial line: between two bytes of a frame.
    pub byte_gap: Duration,
    /// T2, on a serial line: between a frame and its acknowledgement.
    pub acknowledgement: Duration,
    /// The wait for the answer to 04 0F (BMP 01, which can only shorten it).
    pub issue_of_goods: Duration,
    /// From an answer 84 9C to the repeated 04 0F.
    pub ask_again: Duration,
    /// From a wrong PIN to the right one.
    pub pin_entry: Duration,
    /// How long anything lasts that waits for the other side: an abort, the end of a silence.
    pub patience: Duration,
    /// Between two bytes of a slow message, and between two of many messages.
    pub trickle: Duration,
}

impl Timing {
    /// As a quick customer at a real terminal.
    pub fn real() -> Timing {
        Timing {
            card: Duration::from_secs(3),
            host: Duration::from_millis(1500),
            answer: Duration::from_secs(5),
            byte_gap: Duration::from_millis(200),
            acknowledgement: Duration::from_secs(5),
            issue_of_goods: Duration::from_secs(30),
            ask_again: Duration::from_secs(2),
            pin_entry: Duration::from_secs(30),
            patience: Duration::from_secs(180),
            trickle: Duration::from_millis(20),
        }
    }

    /// The same, with a customer and a host that many times as quick. What the protocol allows the ECR stays as it is.
    pub fn hurried(self, times: u32) -> Timing {
        let hurry = |duration: Duration| duration / times.max(1);
        Timing {
            card: hurry(self.card),
            host: hurry(self.host),
            ask_again: hurry(self.ask_again),
            pin_entry: hurry(self.pin_entry),
            trickle: hurry(self.trickle),
            ..self
        }
    }

    /// A payment within milliseconds, for tests.
    pub fn fast() -> Timing {
        Timing {
            card: Duration::from_millis(10),
            host: Duration::from_millis(2),
            answer: Duration::from_secs(2),
            byte_gap: Duration::from_millis(20),
            acknowledgement: Duration::from_millis(100),
            issue_of_goods: Duration::from_millis(1500),
            ask_again: Duration::from_millis(10),
            pin_entry: Duration::from_millis(150),
            patience: Duration::from_secs(20),
            trickle: Duration::from_millis(1),
        }
    }
}

impl Options {
    /// A terminal on a free loopback port that approves everything, at the pace of a real one.
    pub fn new(ledger: impl Into<PathBuf>) -> Options {
        Options {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            ledger: ledger.into(),
            terminal_id: "29001612".into(),
            password: "000000".into(),
            check_password: false,
            currency: Currency::EUR,
            seed: 1,
            script: Vec::new(),
            line_faults: Vec::new(),
            line_noise: LineNoise::default(),
            timing: Timing::real(),
            first_receipt: 1,
            auto_reverse: true,
            reuses_numbers: true,
            partial_percent: 50,
            tip_percent: 10,
            slips: Slips::Block,
            encryption: None,
            status_byte: 0,
        }
    }

    /// The same at the pace of a test.
    pub fn fast(ledger: impl Into<PathBuf>) -> Options {
        Options { timing: Timing::fast(), ..Options::new(ledger) }
    }
}
