//! Which messages does a line of text hold: hexadecimal of one, of several, of what a serial line carried?

use std::fmt;

use crate::apdu::{Apdu, control};
use crate::tables::commands::Sender;
use crate::transport::serial::{Deframer, Heard, encode_frame};

/// A line of text with bytes, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Who said it, when the line begins with `ECR>` or `PT>`.
    pub sender: Option<Sender>,
    /// What it holds, in its order.
    pub pieces: Vec<Piece>,
}

/// What a line may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A message.
    Message(Apdu),
    /// A message in a serial frame whose checksum is right.
    Framed(Apdu),
    /// The acknowledgement of a serial frame.
    Ack,
    /// The refusal of a serial frame.
    Nak,
    /// What is wrong, and what could be read of it all the same.
    Wrong {
        /// What is wrong.
        fault: String,
        /// What could be read, with the data that are there.
        read: Option<Apdu>,
    },
}

/// A text that is not hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError(String);

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ReadError {}

/// Reads a line of hexadecimal, with or without blanks, colons, dashes and `0x`, behind `ECR>` or `PT>` or alone.
///
/// # Errors
/// `ReadError` when the text is not hexadecimal. Bytes that are no message are a [`Piece::Wrong`].
///
/// ```
/// use tillswitch_zvt::decode::{Piece, read};
///
/// let frame = read("PT> 80 00 00 060f00")?;
/// assert_eq!(frame.pieces.len(), 2);
/// assert_eq!(read("0x06")?.pieces, [Piece::Ack]);
/// assert!(read("80 0").is_err());
/// # Ok::<(), tillswitch_zvt::decode::ReadError>(())
/// ```
pub fn read(line: &str) -> Result<Frame, ReadError> {
    let (sender, text) = split_sender(line);
    let bytes = bytes_of(text)?;
    let pieces = serial(&bytes).unwrap_or_else(|| stream(&bytes));
    Ok(Frame { sender, pieces })
}

/// Lines of a log have more in front of the sign.
fn split_sender(line: &str) -> (Option<Sender>, &str) {
    let after = |sign| line.split_once(sign).map(|(_, text)| text);
    match (after("ECR>"), after("PT>")) {
        (Some(text), _) => (Some(Sender::Ecr), text),
        (None, Some(text)) => (Some(Sender::Pt), text),
        (None, None) => (None, line),
    }
}

fn bytes_of(text: &str) -> Result<Vec<u8>, ReadError> {
    let text = text.replace("0x", " ").replace("0X", " ");
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace() && !matches!(c, ':' | '-' | ',')).collect();
    if digits.is_empty() {
        return Err(ReadError("there are no bytes".to_owned()));
    }
    if let Some(place) = digits.iter().position(|c| !c.is_ascii_hexdigit()) {
        // The text may hold a card number, so that only the one character is repeated.
        let wrong = digits[place].escape_debug();
        return Err(ReadError(format!("`{wrong}` is no hexadecimal digit (digit {} of the line)", place + 1)));
    }
    if digits.len() % 2 == 1 {
        return Err(ReadError(format!("{} hexadecimal digits are not whole bytes: one is missing", digits.len())));
    }
    let nibble = |c: &char| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or_default();
    Ok(digits.chunks(2).map(|pair| (nibble(&pair[0]) << 4) | nibble(&pair[1])).collect())
}

/// The bytes as a serial line carries them, `None` when they do not look like that.
fn serial(bytes: &[u8]) -> Option<Vec<Piece>> {
    let acknowledgements = bytes.iter().take_while(|byte| matches!(byte, 0x06 | 0x15)).count();
    let frames = &bytes[acknowledgements..];
    let mut deframer = Deframer::new(bytes.len());
    deframer.push(bytes);
    let heard: Vec<Heard> = deframer.by_ref().collect();
    let is_whole =
        !deframer.is_within_frame() && heard.iter().all(|heard| !matches!(heard, Heard::Damaged | Heard::Noise));
    // 06 10 02 may also begin a message (06 10): then the checksum decides.
    let looks_serial = frames.is_empty() || frames.starts_with(&[0x10, 0x02]);
    if !looks_serial || (acknowledgements > 0 && !is_whole) {
        return None;
    }
    let mut pieces: Vec<Piece> = heard.into_iter().map(|heard| piece(heard, bytes)).collect();
    if deframer.is_within_frame() {
        pieces.push(wrong_frame(bytes, "the serial frame has no end (10 03 and two bytes of checksum)"));
    }
    Some(pieces)
}

fn piece(heard: Heard, bytes: &[u8]) -> Piece {
    match heard {
        Heard::Ack => Piece::Ack,
        Heard::Nak => Piece::Nak,
        Heard::Noise => Piece::Wrong { fault: "a byte between serial frames means nothing".to_owned(), read: None },
        Heard::Damaged => wrong_frame(bytes, &checksum_fault(bytes)),
        Heard::Frame(apdu) => {
            match Apdu::decode(&apdu) {
                Ok(apdu) => Piece::Framed(apdu),
                Err(_) => stream(&apdu).into_iter().find(|piece| matches!(piece, Piece::Wrong { .. })).unwrap_or(
                    Piece::Wrong { fault: "the serial frame holds more than one message".to_owned(), read: None },
                ),
            }
        }
    }
}

/// A damaged frame is shown where it is the only one, so that there is no doubt which bytes are meant.
fn wrong_frame(bytes: &[u8], fault: &str) -> Piece {
    let inner = undoubled(bytes);
    Piece::Wrong { fault: fault.to_owned(), read: inner.and_then(|(apdu, _)| lenient(&apdu)) }
}

fn checksum_fault(bytes: &[u8]) -> String {
    match undoubled(bytes) {
        Some((apdu, Some(found))) => {
            let whole = encode_frame(&apdu);
            let right = &whole[whole.len() - 2..];
            format!(
                "the serial frame is damaged: its checksum is {:02X} {:02X}, its bytes ask for {:02X} {:02X}",
                found[0], found[1], right[0], right[1]
            )
        }
        _ => "the serial frame is damaged".to_owned(),
    }
}

/// The bytes of the first frame without framing, and its checksum, whether it is right or not.
fn undoubled(bytes: &[u8]) -> Option<(Vec<u8>, Option<[u8; 2]>)> {
    let start = bytes.windows(2).position(|pair| pair == [0x10, 0x02])? + 2;
    let mut apdu = Vec::new();
    let mut rest = bytes[start..].iter().copied();
    while let Some(byte) = rest.next() {
        match (byte, if byte == 0x10 { rest.next() } else { None }) {
            (0x10, Some(0x03)) => {
                let checksum = rest.next().zip(rest.next()).map(|(low, high)| [low, high]);
                return Some((apdu, checksum));
            }
            _ => apdu.push(byte),
        }
    }
    Some((apdu, None))
}

/// The bytes as TCP carries them: one message behind the other.
fn stream(bytes: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, after) = next(rest);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

fn next(bytes: &[u8]) -> (Piece, &[u8]) {
    let Some((start, length)) = header(bytes).filter(|_| is_plausible(bytes[0])) else {
        let fault = format!("{} begin no message: no class {:02X}, or no length", count(bytes.len()), bytes[0]);
        return (Piece::Wrong { fault, read: None }, &[]);
    };
    let there = bytes.len() - start;
    if there < length {
        let fault = format!("the length field says {}, {} follow", count(length), count(there));
        return (Piece::Wrong { fault, read: lenient(bytes) }, &[]);
    }
    let apdu = Apdu::new([bytes[0], bytes[1]], bytes[start..start + length].to_vec());
    (Piece::Message(apdu), &bytes[start + length..])
}

fn count(bytes: usize) -> String {
    format!("{bytes} byte{}", if bytes == 1 { "" } else { "s" })
}

/// A message with whatever data are there.
fn lenient(bytes: &[u8]) -> Option<Apdu> {
    let (start, length) = header(bytes)?;
    let end = bytes.len().min(start + length);
    Some(Apdu::new([bytes[0], bytes[1]], bytes[start..end].to_vec()))
}

/// Where the data begin, and how many there should be.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    match *bytes {
        [_, _, 0xFF, low, high, ..] => Some((5, u16::from_le_bytes([low, high]).into())),
        [_, _, 0xFF, ..] => None,
        [_, _, length, ..] => Some((3, length.into())),
        _ => None,
    }
}

fn is_plausible(class: u8) -> bool {
    matches!(class, 0x04 | 0x05 | 0x06 | 0x08 | 0x0F | 0x80 | control::NEGATIVE_CLASS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected` names the pieces: M message, F framed, A, N, and W for wrong.
    fn check(text: &str, expected: &str) {
        let kind = |piece: &Piece| match piece {
            Piece::Message(_) => 'M',
            Piece::Framed(_) => 'F',
            Piece::Ack => 'A',
            Piece::Nak => 'N',
            Piece::Wrong { .. } => 'W',
        };
        let found: String = read(text).expect("it is hexadecimal").pieces.iter().map(kind).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn what_lines_hold() {
        check("80 00 00", "M");
        check("0x80 0x00 0x00", "M");
        check("80:00:00:06:0f:00", "MM");
        check("06", "A");
        check("15", "N");
        check("10 02 80 00 00 10 03 F5 1F", "F");
        check("06 10 02 80 00 00 10 03 F5 1F 06", "AFA");
        check("10 02 80 00 00 10 03 F5 1E", "W");
        check("10 02 80 00 00", "W");
        check("06 10 02 12 34", "M");
        check("06 0F 05 19", "W");
        check("48 54 54 50", "W");
        check("80 00 00 48 54", "MW");
        check("04 0F FF 01 00 6C", "M");
        check("04 0F FF 01", "W");
    }

    #[test]
    fn faults_say_what_is_wrong_and_keep_what_could_be_read() {
        let pieces = |text| read(text).expect("it is hexadecimal").pieces;
        let short = Piece::Wrong {
            fault: "the length field says 5 bytes, 2 bytes follow".to_owned(),
            read: Some(Apdu::new([0x06, 0x0F], vec![0x19, 0x00])),
        };
        assert_eq!(pieces("06 0F 05 19 00"), [short]);
        let damaged = Piece::Wrong {
            fault: "the serial frame is damaged: its checksum is F5 1E, its bytes ask for F5 1F".to_owned(),
            read: Some(Apdu::new([0x80, 0x00], Vec::new())),
        };
        assert_eq!(pieces("10 02 80 00 00 10 03 F5 1E"), [damaged]);
    }

    #[test]
    fn who_speaks() {
        let sender = |text: &str| read(text).map(|frame| frame.sender);
        assert_eq!(sender("ECR> 06 B0 00"), Ok(Some(Sender::Ecr)));
        assert_eq!(sender("2026-11-22T09:08:07 PT> 80 00 00"), Ok(Some(Sender::Pt)));
        assert_eq!(sender("80 00 00"), Ok(None));
    }

    #[test]
    fn texts_that_are_not_hexadecimal() {
        let error = |text| read(text).expect_err("it is not hexadecimal").to_string();
        assert_eq!(error("80 0g"), "`g` is no hexadecimal digit (digit 4 of the line)");
        assert_eq!(error("80 0"), "3 hexadecimal digits are not whole bytes: one is missing");
        assert_eq!(error("  "), "there are no bytes");
    }
}
