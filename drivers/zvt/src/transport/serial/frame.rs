//! What does a frame on a serial line look like, and how is it cut out of noise?

use std::collections::VecDeque;
use std::fmt;

/// Data link escape: what follows is no data, unless it is a second one.
pub const DLE: u8 = 0x10;
/// After [`DLE`]: a frame begins.
pub const STX: u8 = 0x02;
/// After [`DLE`]: the data end, and two bytes of checksum follow.
pub const ETX: u8 = 0x03;
/// Between frames: the last one was understood.
pub const ACK: u8 = 0x06;
/// Between frames: the last one was not understood.
pub const NAK: u8 = 0x15;

/// Puts the bytes of an APDU into a frame: `DLE STX`, every `DLE` doubled, `DLE ETX`, checksum.
///
/// ```
/// use tillswitch_zvt::transport::serial::encode_frame;
///
/// assert_eq!(encode_frame(&[0x80, 0x00, 0x00]), [0x10, 0x02, 0x80, 0x00, 0x00, 0x10, 0x03, 0xF5, 0x1F]);
/// ```
pub fn encode_frame(apdu: &[u8]) -> Vec<u8> {
    let mut frame = vec![DLE, STX];
    for &byte in apdu {
        frame.push(byte);
        if byte == DLE {
            frame.push(DLE);
        }
    }
    frame.extend([DLE, ETX]);
    // The checksum is not escaped, whatever its bytes are.
    frame.extend(checksum(apdu).to_le_bytes());
    frame
}

/// CRC-16/KERMIT over the bytes of the APDU, undoubled, and the `ETX` behind them. The standard calls it XModem, which is
/// the name of another one.
fn checksum(apdu: &[u8]) -> u16 {
    apdu.iter().chain(&[ETX]).fold(0, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0x8408 } else { crc >> 1 })
    })
}

/// What came over the line.
#[derive(Clone, PartialEq, Eq)]
pub enum Heard {
    /// [`ACK`] between frames.
    Ack,
    /// [`NAK`] between frames.
    Nak,
    /// The bytes of an APDU whose frame was whole.
    Frame(Vec<u8>),
    /// A frame that was not: its checksum is wrong, a `DLE` in it means nothing, or it is too long.
    Damaged,
    /// A byte between frames that means nothing.
    Noise,
}

/// Frames hold passwords and card data, so only their length may be read in a log.
impl fmt::Debug for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Heard::Ack => f.write_str("Ack"),
            Heard::Nak => f.write_str("Nak"),
            Heard::Frame(apdu) => write!(f, "Frame({} bytes)", apdu.len()),
            Heard::Damaged => f.write_str("Damaged"),
            Heard::Noise => f.write_str("Noise"),
        }
    }
}

/// Cuts frames and acknowledgements out of what a serial line brings, however it is split.
///
/// Holds no line and knows no time: `push` what was read, then iterate. Whatever came, it finds the next frame again.
///
/// ```
/// use tillswitch_zvt::transport::serial::{Deframer, Heard};
///
/// let mut deframer = Deframer::new(1024);
/// deframer.push(&[0x06, 0x10, 0x02, 0x80, 0x00]);
/// assert_eq!(deframer.next(), Some(Heard::Ack));
/// assert_eq!(deframer.next(), None);
/// assert!(deframer.is_within_frame());
/// deframer.push(&[0x00, 0x10, 0x03, 0xF5, 0x1F]);
/// assert_eq!(deframer.next(), Some(Heard::Frame(vec![0x80, 0x00, 0x00])));
/// ```
pub struct Deframer {
    arrived: VecDeque<u8>,
    place: Place,
    apdu: Vec<u8>,
    /// A `DLE` in this frame meant nothing.
    damaged: bool,
    maximum: usize,
}

/// Where in the stream the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Between,
    BetweenAfterDle,
    Within,
    WithinAfterDle,
    Checksum,
    ChecksumEnd(u8),
}

impl Deframer {
    /// A deframer for APDUs of at most `maximum` bytes, their headers included.
    pub fn new(maximum: usize) -> Deframer {
        Deframer { arrived: VecDeque::new(), place: Place::Between, apdu: Vec::new(), damaged: false, maximum }
    }

    /// Appends what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.arrived.extend(bytes);
    }

    /// Whether a frame has begun and not ended among what was read so far.
    pub fn is_within_frame(&self) -> bool {
        !matches!(self.place, Place::Between | Place::BetweenAfterDle)
    }

    /// Gives up the frame that has begun: its rest does not come.
    pub fn give_up(&mut self) {
        self.place = Place::Between;
        self.apdu.clear();
    }

    fn take(&mut self, byte: u8) -> Option<Heard> {
        match self.place {
            Place::Between => self.between(byte),
            Place::BetweenAfterDle => self.between_after_dle(byte),
            Place::Within if byte == DLE => self.go(Place::WithinAfterDle),
            Place::Within => self.keep(byte),
            Place::WithinAfterDle => self.within_after_dle(byte),
            Place::Checksum => self.go(Place::ChecksumEnd(byte)),
            Place::ChecksumEnd(low) => Some(self.finish(u16::from_le_bytes([low, byte]))),
        }
    }

    fn between(&mut self, byte: u8) -> Option<Heard> {
        match byte {
            ACK => Some(Heard::Ack),
            NAK => Some(Heard::Nak),
            DLE => self.go(Place::BetweenAfterDle),
            _ => Some(Heard::Noise),
        }
    }

    /// A `DLE` that no frame follows was noise; the second of two may still begin one.
    fn between_after_dle(&mut self, byte: u8) -> Option<Heard> {
        match byte {
            STX => self.begin(),
            DLE => Some(Heard::Noise),
            _ => {
                self.place = Place::Between;
                self.arrived.push_front(byte);
                Some(Heard::Noise)
            }
        }
    }

    /// A frame that begins within another one tells that the end of that one was lost. What is otherwise wrong in a frame is
    /// told at its end only: its sender does not listen before.
    fn within_after_dle(&mut self, byte: u8) -> Option<Heard> {
        match byte {
            DLE => self.keep(byte),
            ETX => self.go(Place::Checksum),
            STX => self.begin(),
            _ => {
                self.damaged = true;
                self.go(Place::Within)
            }
        }
    }

    fn keep(&mut self, byte: u8) -> Option<Heard> {
        if self.apdu.len() == self.maximum {
            self.give_up();
            return Some(Heard::Damaged);
        }
        self.apdu.push(byte);
        self.go(Place::Within)
    }

    fn begin(&mut self) -> Option<Heard> {
        self.apdu.clear();
        self.damaged = false;
        self.go(Place::Within)
    }

    fn finish(&mut self, told: u16) -> Heard {
        self.place = Place::Between;
        let apdu = std::mem::take(&mut self.apdu);
        if self.damaged || checksum(&apdu) != told { Heard::Damaged } else { Heard::Frame(apdu) }
    }

    fn go(&mut self, place: Place) -> Option<Heard> {
        self.place = place;
        None
    }
}

impl Iterator for Deframer {
    type Item = Heard;

    /// What comes next; `None` when more bytes are needed. It may go on after the next [`push`](Deframer::push).
    fn next(&mut self) -> Option<Heard> {
        while let Some(byte) = self.arrived.pop_front() {
            if let Some(heard) = self.take(byte) {
                return Some(heard);
            }
        }
        None
    }
}

impl fmt::Debug for Deframer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deframer({} bytes of a frame, at most {})", self.apdu.len(), self.maximum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: [u8; 9] = [0x10, 0x02, 0x80, 0x00, 0x00, 0x10, 0x03, 0xF5, 0x1F];

    fn answer() -> Heard {
        Heard::Frame(vec![0x80, 0x00, 0x00])
    }

    fn heard(bytes: &[u8]) -> Vec<Heard> {
        let mut deframer = Deframer::new(16);
        deframer.push(bytes);
        deframer.by_ref().collect()
    }

    /// Noise counts byte by byte, which nobody wants to read.
    fn check(bytes: &[u8], expected: &[Heard]) {
        let mut seen = heard(bytes);
        seen.dedup_by(|one, other| *one == Heard::Noise && *other == Heard::Noise);
        assert_eq!(seen, expected, "{bytes:02X?}");
    }

    #[test]
    fn the_checksum_is_that_of_the_catalogue() {
        // The check value of CRC-16/KERMIT is over the nine digits alone; here ETX follows.
        assert_eq!(checksum(b"12345678"), checksum_of_catalogue(b"12345678\x03"));
        assert_eq!(checksum_of_catalogue(b"123456789"), 0x2189);
    }

    fn checksum_of_catalogue(bytes: &[u8]) -> u16 {
        let reflected = bytes.iter().fold(0u16, |crc, byte| {
            (0..8).fold(crc ^ (u16::from(byte.reverse_bits()) << 8), |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            })
        });
        reflected.reverse_bits()
    }

    #[test]
    fn acknowledgements_stand_between_frames() {
        check(&[ACK], &[Heard::Ack]);
        check(&[NAK, NAK], &[Heard::Nak, Heard::Nak]);
        check(&[&[ACK], &ANSWER[..], &[NAK]].concat(), &[Heard::Ack, answer(), Heard::Nak]);
        // Within a frame they are data.
        check(&encode_frame(&[0x06, 0x15]), &[Heard::Frame(vec![0x06, 0x15])]);
    }

    #[test]
    fn the_next_frame_is_found_after_anything() {
        for noise in [
            &[0xFF][..],
            &[DLE],
            &[DLE, DLE],
            &[DLE, ETX, 0x12, 0x34],
            &[0x80, 0x00, 0x00, DLE, ETX, 0xF5, 0x1F],
            &[STX, 0x80],
        ] {
            check(&[noise, &ANSWER].concat(), &[Heard::Noise, answer()]);
        }
        check(&[&[DLE, ACK], &ANSWER[..]].concat(), &[Heard::Noise, Heard::Ack, answer()]);
        // The end of the first frame is lost.
        check(&[&ANSWER[..5], &ANSWER].concat(), &[answer()]);
    }

    #[test]
    fn a_damaged_frame_is_told_once_and_at_its_end() {
        let mut wrong = ANSWER;
        wrong[8] ^= 1;
        check(&[&wrong[..], &ANSWER].concat(), &[Heard::Damaged, answer()]);
        let meaningless = [&[DLE, STX, 0x80, DLE, 0x55, 0x00, 0x00, DLE, ETX, 0xF5, 0x1F][..], &ANSWER].concat();
        check(&meaningless, &[Heard::Damaged, answer()]);
        let too_long = encode_frame(&[0x20; 17]);
        check(&too_long[..2 + 16], &[]);
        check(&too_long[..2 + 17], &[Heard::Damaged]);
        check(&[&too_long[..], &ANSWER].concat(), &[Heard::Damaged, Heard::Noise, answer()]);
        check(&encode_frame(&[0x20; 16]), &[Heard::Frame(vec![0x20; 16])]);
    }

    #[test]
    fn every_single_wrong_bit_is_noticed() {
        for place in 0..ANSWER.len() * 8 {
            let mut wrong = ANSWER;
            wrong[place / 8] ^= 1 << (place % 8);
            assert!(!heard(&wrong).iter().any(|heard| matches!(heard, Heard::Frame(_))), "bit {place}");
        }
    }

    #[test]
    fn a_frame_whose_rest_does_not_come_is_given_up() {
        let mut deframer = Deframer::new(16);
        deframer.push(&ANSWER[..6]);
        assert_eq!((deframer.next(), deframer.is_within_frame()), (None, true));
        deframer.give_up();
        deframer.push(&ANSWER);
        assert_eq!((deframer.next(), deframer.is_within_frame()), (Some(answer()), false));
    }

    #[test]
    fn debug_hides_the_data() {
        assert_eq!(format!("{:?}", heard(&ANSWER)), "[Frame(3 bytes)]");
    }
}
