//! What the PT says to the ECR.

use crate::apdu::{Apdu, control};
use crate::bcd;
use crate::bmp::{self, tag};
use crate::charset::Charset;
use crate::clock::{Date, TimeOfDay};
use crate::fields::Fields;
use crate::registration;
use crate::slip::{PrintBlock, PrintLine};
use crate::tlv::{self, Tlv};

/// A message of the PT: an answer to our command, or a command of its own, which we must answer.
///
/// Reading never fails; what has no place here is `Other`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Positive answer (80 00, and 84 00, which means the same).
    Positive {
        /// Empty for every command that Tillswitch sends. `Debug` hides it.
        data: Opaque,
    },
    /// Negative answer (84 xx).
    Negative {
        /// The reason, see [`crate::tables::result_codes`].
        code: u8,
        /// A second reason and more: `84 1E 01 6F` is a refused currency. `Debug` hides it.
        data: Opaque,
    },
    /// Intermediate status (04 FF). Each one restarts the wait.
    IntermediateStatus(IntermediateStatus),
    /// Status information (04 0F): the result of a transaction. May come more than once.
    StatusInformation(Fields),
    /// Completion (06 0F): the PT hands mastership back.
    Completion(Completion),
    /// Abort (06 1E): the command ended without success.
    Abort(Abort),
    /// One line of a slip (06 D1).
    PrintLine(PrintLine),
    /// A block of a slip (06 D3).
    PrintBlock(PrintBlock),
    /// The PT tells its clock (04 01).
    SetClock {
        /// Its date.
        date: Option<Date>,
        /// Its time.
        time: Option<TimeOfDay>,
    },
    /// Text for a display (06 E0).
    DisplayText(DisplayText),
    /// A message that this driver does not know. A command is answered 84 83 00, and the wait goes on.
    Other(Apdu),
}

/// Bytes that are kept and not shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Opaque(pub Vec<u8>);

impl std::fmt::Debug for Opaque {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Text for a display (06 E0). `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct DisplayText {
    /// The lines that are not empty.
    pub lines: Vec<String>,
}

impl std::fmt::Debug for DisplayText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DisplayText({} lines)", self.lines.len())
    }
}

/// Intermediate status (04 FF). `Debug` hides the text.
#[derive(Clone, PartialEq, Eq)]
pub struct IntermediateStatus {
    /// See [`crate::tables::intermediate_status`]; FF means that only the text counts.
    pub code: u8,
    /// The wait that the PT asks for from now on.
    pub timeout_minutes: Option<u8>,
    /// The PT's own words, lines separated by `\n`.
    pub text: Option<String>,
}

impl std::fmt::Debug for IntermediateStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IntermediateStatus({:02X}, {} bytes of text)", self.code, self.text.as_ref().map_or(0, String::len))
    }
}

/// Completion (06 0F), whose layout depends on the command that it completes.
#[derive(Clone, PartialEq, Eq)]
pub struct Completion {
    data: Vec<u8>,
}

/// The completion of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationCompletion {
    /// See [`registration::status_byte`]; `None` asks for nothing.
    pub status_byte: Option<u8>,
    /// Terminal id with its leading zeros.
    pub terminal_id: Option<String>,
    /// ISO 4217 number.
    pub currency: Option<u16>,
    /// The character set, if the PT accepted the one asked for.
    pub charset: Option<Charset>,
    /// The container.
    pub tlv: Option<Tlv>,
}

/// The completion of a status enquiry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusEnquiryCompletion {
    /// The PT's software version.
    pub software_version: Option<String>,
    /// See [`crate::tables::terminal_status`]; 00 is ready. `None` when the completion was empty.
    pub terminal_status: Option<u8>,
    /// Terminal id (tag 1F44), which comes with the details only.
    pub terminal_id: Option<String>,
    /// The PT's clock (tag 34), which comes with the details only.
    pub clock: Option<(Date, TimeOfDay)>,
    /// The container.
    pub tlv: Option<Tlv>,
}

/// Abort (06 1E).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abort {
    /// The reason, see [`crate::tables::result_codes`]. FF when the PT gave none.
    pub code: u8,
    /// What else it said.
    pub fields: Fields,
}

impl Reply {
    /// Reads a message of the PT. `charset` is the one agreed in the registration, CP437 without one.
    ///
    /// ```
    /// use tillswitch_zvt::apdu::Apdu;
    /// use tillswitch_zvt::charset::Charset;
    /// use tillswitch_zvt::reply::Reply;
    ///
    /// let apdu = Apdu::decode(&[0x06, 0x1E, 0x01, 0x6C])?;
    /// assert!(matches!(Reply::parse(&apdu, Charset::Cp437), Reply::Abort(abort) if abort.code == 0x6C));
    /// # Ok::<(), tillswitch_zvt::apdu::ApduError>(())
    /// ```
    pub fn parse(apdu: &Apdu, charset: Charset) -> Self {
        let data = apdu.data.as_slice();
        match apdu.control() {
            control::POSITIVE | [control::NEGATIVE_CLASS, 0] => Self::Positive { data: Opaque(data.to_vec()) },
            [control::NEGATIVE_CLASS, code] => Self::Negative { code, data: Opaque(data.to_vec()) },
            control::INTERMEDIATE_STATUS => Self::IntermediateStatus(IntermediateStatus::parse(data, charset)),
            control::STATUS_INFORMATION => Self::StatusInformation(Fields::parse(data)),
            control::COMPLETION => Self::Completion(Completion::new(data)),
            control::ABORT => Self::Abort(Abort::parse(data)),
            control::PRINT_LINE => Self::PrintLine(PrintLine::parse(data, charset)),
            control::PRINT_BLOCK => {
                Self::PrintBlock(PrintBlock::parse(&Fields::parse(data).tlv().unwrap_or_default(), charset))
            }
            control::SET_CLOCK => Self::set_clock(&Fields::parse(data)),
            control::DISPLAY_TEXT => Self::display_text(&Fields::parse(data), charset),
            _ => Self::Other(apdu.clone()),
        }
    }

    fn set_clock(fields: &Fields) -> Self {
        Self::SetClock { date: fields.date_with_year(), time: fields.time() }
    }

    fn display_text(fields: &Fields, charset: Charset) -> Self {
        let lines = (tag::DISPLAY_LINE_1..=tag::DISPLAY_LINE_8).filter_map(|line| fields.get(line));
        let lines = lines.map(|line| charset.decode(line).trim().to_owned());
        Self::DisplayText(DisplayText { lines: lines.filter(|line| !line.is_empty()).collect() })
    }
}

impl IntermediateStatus {
    fn parse(data: &[u8], charset: Charset) -> Self {
        let code = data.first().copied().unwrap_or(0xFF);
        let minutes = data.get(1).and_then(|minutes| bcd::to_number(&[*minutes]));
        // The timeout is always in front of a container, never left out.
        let text = data.get(2..).and_then(|rest| Fields::parse(rest).display_text(charset));
        Self { code, timeout_minutes: minutes.and_then(|minutes| u8::try_from(minutes).ok()), text }
    }
}

impl Abort {
    fn parse(data: &[u8]) -> Self {
        match data.split_first() {
            Some((&code, rest)) => Self { code, fields: Fields::parse(rest) },
            None => Self { code: 0xFF, fields: Fields::new() },
        }
    }
}

impl Completion {
    pub(crate) fn new(data: &[u8]) -> Self {
        Self { data: data.to_vec() }
    }

    /// Whether the data block can only be that of a status enquiry. For traces, which do not know the command.
    pub(crate) fn is_of_status_enquiry(&self) -> bool {
        split_version(&self.data).0.is_some() || !self.fields().undecoded().is_empty()
    }

    /// The data block as fields: after payments mostly empty.
    pub fn fields(&self) -> Fields {
        Fields::parse(&self.data)
    }

    /// The data block as the completion of a registration.
    pub fn registration(&self) -> RegistrationCompletion {
        let fields = self.fields();
        let tlv = fields.tlv();
        RegistrationCompletion {
            status_byte: fields.type_byte(),
            terminal_id: fields.terminal_id(),
            currency: fields.currency(),
            charset: tlv.as_ref().and_then(registration::chosen_charset),
            tlv,
        }
    }

    /// The data block as the completion of a status enquiry, which has a layout of its own: version, status, container.
    pub fn status_enquiry(&self) -> StatusEnquiryCompletion {
        let (version, rest) = split_version(&self.data);
        let tlv = rest.get(1..).and_then(|rest| Fields::parse(rest).tlv());
        let terminal_id = tlv.as_ref().and_then(|tlv| tlv.find(&[tlv::tag::TERMINAL_ID])).and_then(bcd::to_digits);
        StatusEnquiryCompletion {
            software_version: version.map(|version| Charset::Zvt7Bit.decode(version)),
            terminal_status: rest.first().copied(),
            terminal_id,
            clock: tlv.as_ref().and_then(terminal_clock),
            tlv,
        }
    }
}

impl std::fmt::Debug for Completion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Completion({} bytes)", self.data.len())
    }
}

/// The version is there when the first byte can be the first digit of an LLLVAR length and the text is complete.
///
/// A terminal status from F0 on (`06 0F 01 F0`: end of day needed) is told apart by what does not follow it.
fn split_version(data: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let has_digits = data.get(..3).is_some_and(|digits| digits.iter().all(|digit| (0xF0..=0xF9).contains(digit)));
    let length = bmp::read_decimal_length(data, 3).filter(|_| has_digits);
    let version = length.and_then(|length| data.get(3..3 + length));
    match version {
        Some(version) => (Some(version), &data[3 + version.len()..]),
        None => (None, data),
    }
}

fn terminal_clock(tlv: &Tlv) -> Option<(Date, TimeOfDay)> {
    let clock = tlv.container(tlv::tag::TERMINAL_CLOCK)?;
    let date = Date::from_long_bcd(clock.find(&[tlv::tag::DATE])?)?;
    Some((date, TimeOfDay::from_bcd(clock.find(&[tlv::tag::TIME])?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Reply {
        Reply::parse(&Apdu::decode(bytes).expect("a whole message"), Charset::Cp437)
    }

    fn completion(data: &[u8]) -> Completion {
        Completion::new(data)
    }

    #[test]
    fn answers() {
        assert_eq!(parse(&[0x80, 0x00, 0x00]), Reply::Positive { data: Opaque::default() });
        assert_eq!(parse(&[0x84, 0x00, 0x00]), Reply::Positive { data: Opaque::default() });
        assert_eq!(parse(&[0x84, 0x9C, 0x00]), Reply::Negative { code: 0x9C, data: Opaque::default() });
        let currency = Reply::Negative { code: 0x1E, data: Opaque(vec![0x6F]) };
        assert_eq!(parse(&[0x84, 0x1E, 0x01, 0x6F]), currency);
        // The second byte of 80 is always 00; anything else is not taken for a yes.
        assert!(matches!(parse(&[0x80, 0x05, 0x00]), Reply::Other(_)));
    }

    #[test]
    fn an_abort_without_a_reason() {
        assert_eq!(parse(&[0x06, 0x1E, 0x00]), Reply::Abort(Abort { code: 0xFF, fields: Fields::new() }));
    }

    #[test]
    fn intermediate_status_without_anything() {
        let empty = IntermediateStatus { code: 0xFF, timeout_minutes: None, text: None };
        assert_eq!(parse(&[0x04, 0xFF, 0x00]), Reply::IntermediateStatus(empty));
        let bad_timeout = IntermediateStatus { code: 0x0E, timeout_minutes: None, text: None };
        assert_eq!(parse(&[0x04, 0xFF, 0x02, 0x0E, 0xAA]), Reply::IntermediateStatus(bad_timeout));
    }

    #[test]
    fn the_status_may_look_like_a_length_or_a_container() {
        fn check(data: &[u8], status: Option<u8>, has_container: bool) {
            let read = completion(data).status_enquiry();
            assert_eq!((read.software_version, read.terminal_status), (None, status));
            assert_eq!(read.tlv.is_some(), has_container);
        }
        check(&[], None, false);
        check(&[0x06], Some(0x06), false);
        check(&[0x06, 0x06, 0x00], Some(0x06), true);
        check(&[0xF0], Some(0xF0), false);
        check(&[0xF0, 0x06, 0x00], Some(0xF0), true);
        // A version that is longer than the message is none.
        check(&[0xF0, 0xF9, 0xF9, 0x31], Some(0xF0), false);
    }

    #[test]
    fn an_empty_version() {
        let read = completion(&[0xF0, 0xF0, 0xF0, 0x9C]).status_enquiry();
        assert_eq!((read.software_version.as_deref(), read.terminal_status), (Some(""), Some(0x9C)));
    }

    #[test]
    fn the_terminals_clock() {
        let Reply::SetClock { date, time } = parse(&[4, 1, 8, 0xAA, 0x26, 0x11, 0x22, 0x0C, 0x09, 0x08, 0x07]) else {
            panic!("not a clock");
        };
        assert_eq!(date, Some(Date { year: 2026, month: 11, day: 22 }));
        assert_eq!(time, Some(TimeOfDay { hour: 9, minute: 8, second: 7 }));
    }

    #[test]
    fn debug_hides_what_was_said() {
        let texts = Tlv::new().with(tlv::tag::TEXT_LINE, b"MAX MUSTER");
        let tlv = Tlv::new().with_container(tlv::tag::DISPLAY_TEXTS, texts);
        let mut data = vec![0x0A, 0x01];
        data.extend(Fields::new().with_tlv(&tlv).expect("it fits").encode());
        let reply = Reply::parse(&Apdu::new(control::INTERMEDIATE_STATUS, data), Charset::Cp437);
        assert!(matches!(&reply, Reply::IntermediateStatus(read) if read.text.as_deref() == Some("MAX MUSTER")));
        assert!(!format!("{reply:?}").contains("MUSTER"));
    }
}
