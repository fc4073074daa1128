//! How a message of the protocol (an APDU) is cut out of a stream of bytes, and put into one.

use std::fmt;

/// CLASS and INSTR of a command, or CCRC and APRC of an answer.
pub type ControlField = [u8; 2];

/// The largest data block that the three-byte length field can express.
pub const MAXIMUM_DATA: usize = u16::MAX as usize;

/// The control fields, named as in the standard.
pub mod control {
    use super::ControlField;

    /// Set clock of the ECR (04 01), PT to ECR.
    pub const SET_CLOCK: ControlField = [0x04, 0x01];
    /// Ask for input (04 0D), PT to ECR.
    pub const INPUT_REQUEST: ControlField = [0x04, 0x0D];
    /// Show a menu (04 0E), PT to ECR.
    pub const MENU: ControlField = [0x04, 0x0E];
    /// Status information (04 0F), PT to ECR: the result of a transaction.
    pub const STATUS_INFORMATION: ControlField = [0x04, 0x0F];
    /// Intermediate status (04 FF), PT to ECR.
    pub const INTERMEDIATE_STATUS: ControlField = [0x04, 0xFF];
    /// Status enquiry (05 01).
    pub const STATUS_ENQUIRY: ControlField = [0x05, 0x01];
    /// Registration (06 00).
    pub const REGISTRATION: ControlField = [0x06, 0x00];
    /// Authorization (06 01): a payment.
    pub const AUTHORIZATION: ControlField = [0x06, 0x01];
    /// Log-off (06 02).
    pub const LOG_OFF: ControlField = [0x06, 0x02];
    /// Account balance enquiry (06 03).
    pub const BALANCE_ENQUIRY: ControlField = [0x06, 0x03];
    /// Book tip (06 0C).
    pub const TIP: ControlField = [0x06, 0x0C];
    /// Completion (06 0F), PT to ECR.
    pub const COMPLETION: ControlField = [0x06, 0x0F];
    /// Send turnover totals (06 10).
    pub const TURNOVER_TOTALS: ControlField = [0x06, 0x10];
    /// Reprint receipts (06 12).
    pub const REPRINT_RECEIPTS: ControlField = [0x06, 0x12];
    /// Restart (06 18).
    pub const RESTART: ControlField = [0x06, 0x18];
    /// Print system configuration (06 1A).
    pub const PRINT_CONFIGURATION: ControlField = [0x06, 0x1A];
    /// Set or clear terminal id (06 1B).
    pub const SET_TERMINAL_ID: ControlField = [0x06, 0x1B];
    /// Abort (06 1E), PT to ECR: a command ended without success.
    pub const ABORT: ControlField = [0x06, 0x1E];
    /// Repeat receipt (06 20).
    pub const REPEAT_RECEIPT: ControlField = [0x06, 0x20];
    /// Telephone authorization (06 21).
    pub const TELEPHONE_AUTHORIZATION: ControlField = [0x06, 0x21];
    /// Pre-authorization (06 22).
    pub const PRE_AUTHORIZATION: ControlField = [0x06, 0x22];
    /// Partial reversal of a pre-authorization (06 23).
    pub const PARTIAL_REVERSAL: ControlField = [0x06, 0x23];
    /// Book total (06 24).
    pub const BOOK_TOTAL: ControlField = [0x06, 0x24];
    /// Reversal of a pre-authorization (06 25).
    pub const PRE_AUTHORIZATION_REVERSAL: ControlField = [0x06, 0x25];
    /// Reversal of a reservation that was made elsewhere (06 26).
    pub const EXTERNAL_RESERVATION_REVERSAL: ControlField = [0x06, 0x26];
    /// Reversal (06 30).
    pub const REVERSAL: ControlField = [0x06, 0x30];
    /// Refund (06 31).
    pub const REFUND: ControlField = [0x06, 0x31];
    /// End of day (06 50).
    pub const END_OF_DAY: ControlField = [0x06, 0x50];
    /// Send offline transactions (06 51).
    pub const SEND_OFFLINE_TRANSACTIONS: ControlField = [0x06, 0x51];
    /// Diagnosis (06 70).
    pub const DIAGNOSIS: ControlField = [0x06, 0x70];
    /// Self test (06 79).
    pub const SELF_TEST: ControlField = [0x06, 0x79];
    /// Set the clock of the PT (06 91).
    pub const SET_CLOCK_OF_PT: ControlField = [0x06, 0x91];
    /// Initialisation (06 93).
    pub const INITIALISATION: ControlField = [0x06, 0x93];
    /// Change password (06 95).
    pub const CHANGE_PASSWORD: ControlField = [0x06, 0x95];
    /// Abort by the ECR (06 B0).
    pub const ABORT_BY_ECR: ControlField = [0x06, 0xB0];
    /// Show a menu with a picture (06 D0), PT to ECR: mostly a signature to be checked.
    pub const MENU_WITH_PICTURE: ControlField = [0x06, 0xD0];
    /// Print one line (06 D1), PT to ECR.
    pub const PRINT_LINE: ControlField = [0x06, 0xD1];
    /// Print a text block (06 D3), PT to ECR.
    pub const PRINT_BLOCK: ControlField = [0x06, 0xD3];
    /// Display text (06 E0).
    pub const DISPLAY_TEXT: ControlField = [0x06, 0xE0];
    /// Blocked list query (06 E4), PT to ECR.
    pub const BLOCKED_LIST_QUERY: ControlField = [0x06, 0xE4];
    /// Service mode (08 01).
    pub const SERVICE_MODE: ControlField = [0x08, 0x01];
    /// Software update (08 10).
    pub const SOFTWARE_UPDATE: ControlField = [0x08, 0x10];
    /// Select language (08 30).
    pub const SELECT_LANGUAGE: ControlField = [0x08, 0x30];
    /// Till report (0F 10), of card complete.
    pub const TILL_REPORT: ControlField = [0x0F, 0x10];
    /// Positive answer (80 00).
    pub const POSITIVE: ControlField = [0x80, 0x00];
    /// The class of a negative answer (84 xx); 84 00 counts as positive.
    pub const NEGATIVE_CLASS: u8 = 0x84;
}

/// One message: a control field and its data block.
///
/// `Debug` shows the control field and the length only, because the data may hold card data.
#[derive(Clone, PartialEq, Eq)]
pub struct Apdu {
    /// CLASS of a command, CCRC of an answer.
    pub class: u8,
    /// INSTR of a command, APRC of an answer.
    pub instruction: u8,
    /// The data block, without its length field.
    pub data: Vec<u8>,
}

/// Why bytes are not an APDU, or an APDU cannot become bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApduError {
    /// The data block is longer than allowed.
    TooLong {
        /// The length of the data block in bytes.
        length: usize,
        /// The greatest length allowed in bytes.
        maximum: usize,
    },
    /// The bytes end before the data block does.
    Truncated,
    /// Bytes follow after the data block.
    Trailing,
}

impl Apdu {
    /// Puts a control field and a data block together.
    pub fn new(control: ControlField, data: Vec<u8>) -> Self {
        let [class, instruction] = control;
        Self { class, instruction, data }
    }

    /// The control field, to be matched against the constants of [`control`].
    pub fn control(&self) -> ControlField {
        [self.class, self.instruction]
    }

    /// Whether this is an answer (80 xx, 84 xx) and not a command.
    pub fn is_answer(&self) -> bool {
        matches!(self.class, 0x80 | control::NEGATIVE_CLASS)
    }

    /// Whether this is a negative answer; 84 00 counts as positive.
    pub fn is_refusal(&self) -> bool {
        self.class == control::NEGATIVE_CLASS && self.instruction != 0
    }

    /// The bytes on TCP, and inside a serial frame.
    ///
    /// ```
    /// use tillswitch_zvt::apdu::{Apdu, control};
    ///
    /// let pay = Apdu::new(control::AUTHORIZATION, vec![0x04, 0, 0, 0, 0, 0x12, 0x50]);
    /// assert_eq!(pay.encode()?, [0x06, 0x01, 0x07, 0x04, 0, 0, 0, 0, 0x12, 0x50]);
    /// # Ok::<(), tillswitch_zvt::apdu::ApduError>(())
    /// ```
    ///
    /// # Errors
    /// `TooLong` when the data block exceeds 65535 bytes.
    pub fn encode(&self) -> Result<Vec<u8>, ApduError> {
        let length = self.data.len();
        let long = u16::try_from(length).map_err(|_| ApduError::TooLong { length, maximum: MAXIMUM_DATA })?;
        let mut bytes = Vec::with_capacity(5 + length);
        bytes.extend([self.class, self.instruction]);
        match u8::try_from(length) {
            Ok(short) if short < 0xFF => bytes.push(short),
            // The APDU length is little endian, unlike the lengths inside a TLV container.
            _ => bytes.extend([0xFF, long.to_le_bytes()[0], long.to_le_bytes()[1]]),
        }
        bytes.extend_from_slice(&self.data);
        Ok(bytes)
    }

    /// Reads bytes that must be exactly one APDU, as a serial frame delivers them.
    ///
    /// # Errors
    /// `Truncated` or `Trailing` when the length field and the bytes disagree.
    pub fn decode(bytes: &[u8]) -> Result<Self, ApduError> {
        let (start, length) = header(bytes).ok_or(ApduError::Truncated)?;
        match bytes.len().cmp(&(start + length)) {
            std::cmp::Ordering::Less => Err(ApduError::Truncated),
            std::cmp::Ordering::Greater => Err(ApduError::Trailing),
            std::cmp::Ordering::Equal => Ok(Self::new([bytes[0], bytes[1]], bytes[start..].to_vec())),
        }
    }
}

impl fmt::Debug for Apdu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Apdu({:02X} {:02X}, {} bytes)", self.class, self.instruction, self.data.len())
    }
}

impl fmt::Display for ApduError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length, maximum } => {
                write!(f, "the message has {length} bytes of data, at most {maximum} are allowed")
            }
            Self::Truncated => f.write_str("the message ends before its length says so"),
            Self::Trailing => f.write_str("the message is longer than its length says"),
        }
    }
}

impl std::error::Error for ApduError {}

/// Cuts APDUs out of a stream, however the network has split or joined them.
///
/// Holds no socket: `push` what was read, then call `next_apdu` until it returns `None`.
///
/// ```
/// use tillswitch_zvt::apdu::{ApduDecoder, control};
///
/// let mut decoder = ApduDecoder::new(1024);
/// decoder.push(&[0x80, 0x00]);
/// assert_eq!(decoder.next_apdu()?, None);
/// decoder.push(&[0x00, 0x06, 0x0F]);
/// assert_eq!(decoder.next_apdu()?.map(|apdu| apdu.control()), Some(control::POSITIVE));
/// assert_eq!(decoder.pending(), 2);
/// # Ok::<(), tillswitch_zvt::apdu::ApduError>(())
/// ```
pub struct ApduDecoder {
    buffer: Vec<u8>,
    /// How many bytes of the buffer have been handed out. They go when more come: taking them away message by message would
    /// move all the others each time.
    taken: usize,
    maximum: usize,
}

impl ApduDecoder {
    /// A decoder that accepts data blocks of at most `maximum` bytes.
    pub fn new(maximum: usize) -> Self {
        Self { buffer: Vec::new(), taken: 0, maximum }
    }

    /// Appends what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..std::mem::take(&mut self.taken));
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete APDU, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// `TooLong` as soon as a length field says so, before the data has arrived. The stream cannot be trusted
    /// any more: the error repeats until `clear`, and the connection should be dropped.
    pub fn next_apdu(&mut self) -> Result<Option<Apdu>, ApduError> {
        let pending = self.pending_bytes();
        let Some((start, length)) = header(pending) else {
            return Ok(None);
        };
        if length > self.maximum {
            return Err(ApduError::TooLong { length, maximum: self.maximum });
        }
        if pending.len() < start + length {
            return Ok(None);
        }
        let control = [pending[0], pending[1]];
        let data = pending[start..start + length].to_vec();
        self.taken += start + length;
        Ok(Some(Apdu::new(control, data)))
    }

    /// How many bytes wait for the rest of their APDU.
    pub fn pending(&self) -> usize {
        self.pending_bytes().len()
    }

    /// The bytes that wait for the rest of their APDU; only their count and first two may be logged.
    pub fn pending_bytes(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }

    /// Forgets what has arrived.
    pub fn clear(&mut self) {
        self.taken = 0;
        self.buffer.clear();
    }
}

impl fmt::Debug for ApduDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApduDecoder({} bytes pending, at most {})", self.pending(), self.maximum)
    }
}

/// Where the data block starts and how long it is, once the length field has arrived.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    match *bytes {
        // Three-byte lengths below 255 are legal too.
        [_, _, 0xFF, low, high, ..] => Some((5, usize::from(u16::from_le_bytes([low, high])))),
        [_, _, 0xFF, ..] => None,
        [_, _, length, ..] => Some((3, usize::from(length))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(length: usize, header: &[u8]) {
        let apdu = Apdu::new(control::PRINT_BLOCK, vec![0x20; length]);
        let bytes = apdu.encode().expect("the length fits");
        assert_eq!(&bytes[..header.len()], header);
        assert_eq!(bytes.len(), header.len() + length);
        assert!(Apdu::decode(&bytes) == Ok(apdu));
    }

    #[test]
    fn length_field() {
        check(0, &[0x06, 0xD3, 0x00]);
        check(254, &[0x06, 0xD3, 0xFE]);
        check(255, &[0x06, 0xD3, 0xFF, 0xFF, 0x00]);
        check(256, &[0x06, 0xD3, 0xFF, 0x00, 0x01]);
        check(1121, &[0x06, 0xD3, 0xFF, 0x61, 0x04]);
        check(65535, &[0x06, 0xD3, 0xFF, 0xFF, 0xFF]);
        let too_long = Apdu::new(control::PRINT_BLOCK, vec![0; 65536]);
        assert!(matches!(too_long.encode(), Err(ApduError::TooLong { length: 65536, .. })));
    }

    #[test]
    fn every_fragmentation_yields_the_same_messages() {
        let stream = [0x04, 0x0F, 0xFF, 0x01, 0x00, 0x6C, 0x06, 0x0F, 0x00, 0x06, 0x1E, 0x01, 0x6C];
        for size in 1..=stream.len() {
            let mut decoder = ApduDecoder::new(16);
            let mut seen = Vec::new();
            for piece in stream.chunks(size) {
                decoder.push(piece);
                while let Some(apdu) = decoder.next_apdu().expect("nothing is too long") {
                    seen.push(apdu);
                }
            }
            let expected = [
                Apdu::new(control::STATUS_INFORMATION, vec![0x6C]),
                Apdu::new(control::COMPLETION, vec![]),
                Apdu::new(control::ABORT, vec![0x6C]),
            ];
            assert_eq!(seen, expected, "pieces of {size}");
            assert_eq!(decoder.pending(), 0);
        }
    }

    #[test]
    fn what_was_handed_out_is_not_kept_for_ever() {
        let mut decoder = ApduDecoder::new(16);
        for _ in 0..1000 {
            decoder.push(&[0x80, 0x00, 0x00, 0x80, 0x00, 0x00, 0x06]);
            assert!(decoder.next_apdu().unwrap().is_some() && decoder.next_apdu().unwrap().is_some());
            assert_eq!((decoder.pending(), decoder.pending_bytes()), (1, [0x06].as_slice()));
            decoder.push(&[0x0F, 0x00]);
            assert_eq!(decoder.next_apdu(), Ok(Some(Apdu::new(control::COMPLETION, vec![]))));
        }
        assert!(decoder.buffer.len() < 32, "{} bytes are kept", decoder.buffer.len());
        decoder.push(&[0x06]);
        decoder.clear();
        assert_eq!(decoder.pending(), 0);
    }

    #[test]
    fn too_long_is_known_before_the_data_arrives() {
        let mut decoder = ApduDecoder::new(16);
        decoder.push(&[0x06, 0xD3, 0x11]);
        let error = ApduError::TooLong { length: 17, maximum: 16 };
        assert_eq!(decoder.next_apdu(), Err(error));
        assert_eq!(decoder.next_apdu(), Err(error));
        decoder.clear();
        assert_eq!(decoder.next_apdu(), Ok(None));
    }

    #[test]
    fn one_frame_is_one_message() {
        assert_eq!(Apdu::decode(&[0x06, 0x0F, 0x01]), Err(ApduError::Truncated));
        assert_eq!(Apdu::decode(&[0x06, 0x0F, 0xFF, 0x01]), Err(ApduError::Truncated));
        assert_eq!(Apdu::decode(&[0x06, 0x0F, 0x00, 0x00]), Err(ApduError::Trailing));
        assert_eq!(Apdu::decode(&[]), Err(ApduError::Truncated));
    }

    #[test]
    fn debug_hides_the_data() {
        let apdu = Apdu::new(control::END_OF_DAY, vec![0x12, 0x34, 0x56]);
        assert_eq!(format!("{apdu:?}"), "Apdu(06 50, 3 bytes)");
    }
}
