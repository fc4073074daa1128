//! What can go wrong on a simulated serial line, and the words for it.

use std::fmt;
use std::str::FromStr;

use super::messages::draw;
use crate::apdu::ControlField;

/// Something that happens once to a frame, or to its acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFault {
    /// The PT says NAK to a frame that was right.
    NakFrame,
    /// The PT's ACK does not arrive.
    LoseAck,
    /// The PT's ACK arrives as a NAK.
    AckAsNak,
    /// The PT answers a frame with a thousand NAKs.
    NakStorm,
    /// A frame of the ECR does not arrive.
    LoseCommand,
    /// A frame of the PT does not arrive.
    LoseFrame,
    /// A frame of the PT arrives twice.
    RepeatFrame,
    /// A frame of the PT has a wrong checksum.
    WrongChecksum,
    /// Bytes that mean nothing come before a frame of the PT.
    Noise,
    /// Each byte of a frame of the PT comes by itself.
    Gaps,
    /// The adapter is unplugged when the ECR's frame has arrived, or in front of the PT's.
    Unplug,
}

const WORDS: &[(&str, LineFault)] = &[
    ("nak-frame", LineFault::NakFrame),
    ("lose-ack", LineFault::LoseAck),
    ("ack-as-nak", LineFault::AckAsNak),
    ("nak-storm", LineFault::NakStorm),
    ("lose-command", LineFault::LoseCommand),
    ("lose-frame", LineFault::LoseFrame),
    ("repeat-frame", LineFault::RepeatFrame),
    ("wrong-checksum", LineFault::WrongChecksum),
    ("noise", LineFault::Noise),
    ("gaps", LineFault::Gaps),
    ("unplug", LineFault::Unplug),
];

/// A fault, and the message that it waits for: any, or one with this control field.
///
/// ```
/// use tillswitch_zvt::simulator::{LineFault, ScriptedFault};
///
/// let faults = ScriptedFault::parse_list("lose-ack@0601, wrong-checksum")?;
/// assert_eq!(faults[0], ScriptedFault { fault: LineFault::LoseAck, at: Some([0x06, 0x01]) });
/// assert_eq!(faults[1], ScriptedFault { fault: LineFault::WrongChecksum, at: None });
/// # Ok::<(), tillswitch_zvt::simulator::UnknownFault>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptedFault {
    /// What happens.
    pub fault: LineFault,
    /// To which message.
    pub at: Option<ControlField>,
}

impl ScriptedFault {
    /// The words of all faults.
    pub fn words() -> impl Iterator<Item = &'static str> {
        WORDS.iter().map(|(word, _)| *word)
    }

    /// Reads faults separated by commas.
    ///
    /// # Errors
    /// `UnknownFault` for the first that is none; its text lists all words.
    pub fn parse_list(text: &str) -> Result<Vec<ScriptedFault>, UnknownFault> {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        text.split(',').map(|word| word.trim().parse()).collect()
    }
}

impl FromStr for ScriptedFault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<ScriptedFault, UnknownFault> {
        let unknown = || UnknownFault(text.to_owned());
        let (word, at) = match text.split_once('@') {
            Some((word, at)) => (word, Some(control_field(at).ok_or_else(unknown)?)),
            None => (text, None),
        };
        let row = WORDS.iter().find(|(known, _)| *known == word).ok_or_else(unknown)?;
        Ok(ScriptedFault { fault: row.1, at })
    }
}

/// Four hexadecimal digits.
fn control_field(text: &str) -> Option<ControlField> {
    let is_hex = text.len() == 4 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let number = u16::from_str_radix(text, 16).ok().filter(|_| is_hex)?;
    Some(number.to_be_bytes())
}

/// The words name no fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFault(pub String);

impl fmt::Display for UnknownFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = ScriptedFault::words().collect();
        let words = words.join(", ");
        write!(
            f,
            "unknown line fault {:?}, expected words out of: {words}; with @0601 it waits for that message",
            self.0
        )
    }
}

impl std::error::Error for UnknownFault {}

/// How bad the line is all the time: chances out of a million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineNoise {
    /// Decides what happens, so that two runs are equal.
    pub seed: u64,
    /// That a bit, in either direction, arrives as its opposite.
    pub wrong_bit: u64,
    /// That a byte, in either direction, does not arrive.
    pub lost_byte: u64,
    /// That a byte which nobody sent arrives before a frame or an acknowledgement of the PT.
    pub stray_byte: u64,
    /// That a frame or an acknowledgement of the PT does not arrive.
    pub lost_output: u64,
    /// That a frame or an acknowledgement of the PT arrives twice.
    pub doubled_output: u64,
}

/// Noise as it goes on.
pub(super) struct Noise {
    how_bad: LineNoise,
    drawn: u64,
}

impl Noise {
    pub fn new(how_bad: LineNoise) -> Noise {
        Noise { how_bad, drawn: 0 }
    }

    /// Whether something happens whose chance is this.
    fn happens(&mut self, chance: u64) -> bool {
        chance > 0 && self.draw() % 1_000_000 < chance
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        draw(self.how_bad.seed, self.drawn)
    }

    /// What becomes of a frame or an acknowledgement of the PT on its way.
    pub fn distort(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        let mut arrives = Vec::new();
        if self.happens(self.how_bad.stray_byte) {
            arrives.push(self.draw().to_le_bytes()[0]);
        }
        if !self.happens(self.how_bad.lost_output) {
            arrives.extend(&bytes);
        }
        if self.happens(self.how_bad.doubled_output) {
            arrives.extend(&bytes);
        }
        self.spoil(arrives)
    }

    /// What becomes of bytes on their way.
    pub fn spoil(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        if self.how_bad.wrong_bit == 0 && self.how_bad.lost_byte == 0 {
            return bytes;
        }
        let mut spoilt = Vec::with_capacity(bytes.len());
        for byte in bytes {
            let wrong = (0..8).fold(0, |bits, bit| bits | u8::from(self.happens(self.how_bad.wrong_bit)) << bit);
            if !self.happens(self.how_bad.lost_byte) {
                spoilt.push(byte ^ wrong);
            }
        }
        spoilt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_one_word() {
        assert_eq!(WORDS.len(), LineFault::Unplug as usize + 1);
        for (place, (word, fault)) in WORDS.iter().enumerate() {
            assert_eq!(*fault as usize, place, "{word}");
        }
    }

    #[test]
    fn what_is_no_fault_is_told() {
        for text in ["loose-ack", "lose-ack@06", "lose-ack@06011", "lose-ack@", ""] {
            assert!(text.parse::<ScriptedFault>().is_err(), "{text}");
        }
        assert!("x".parse::<ScriptedFault>().unwrap_err().to_string().contains("nak-storm"));
    }
}
