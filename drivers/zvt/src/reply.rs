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
    /// The PT wants something chosen from a menu (04 0E), or from one with a picture (06 D0).
    Menu(Menu),
    /// The PT wants something typed (04 0D).
    InputRequest(InputRequest),
    /// The PT asks whether a card is on the ECR's list of blocked cards (06 E4).
    BlockedListQuery(Fields),
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

/// A menu (04 0E, 06 D0). `Debug` hides the texts.
#[derive(Clone, PartialEq, Eq)]
pub struct Menu {
    /// Whether a picture belongs to it (06 D0): mostly a signature, to be compared with that on the card.
    pub with_picture: bool,
    /// What can be chosen.
    pub entries: Vec<MenuEntry>,
}

/// An entry of a menu.
#[derive(Clone, PartialEq, Eq)]
pub struct MenuEntry {
    /// What the cashier reads, lines separated by `\n`.
    pub text: String,
    /// What the answer says when this one was chosen, see [`crate::answer::chosen`].
    pub result: Vec<u8>,
}

impl std::fmt::Debug for Menu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Menu({} entries, picture {})", self.entries.len(), self.with_picture)
    }
}

/// Something to be typed by the cashier (04 0D). `Debug` hides the text.
#[derive(Clone, PartialEq, Eq)]
pub struct InputRequest {
    /// What the cashier reads.
    pub text: Option<String>,
    /// 0 text, 1 number, 2 amount.
    pub mode: Option<u8>,
    /// How long there is for it.
    pub timeout_seconds: Option<u16>,
}

impl std::fmt::Debug for InputRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InputRequest(mode {:?}, timeout {:?})", self.mode, self.timeout_seconds)
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
    /// The largest APDU that the PT takes, in bytes (tag 1A).
    pub maximum_apdu: Option<u16>,
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
    /// What the PT is (tag E4), which comes with the details only.
    pub device: Option<Device>,
    /// The container.
    pub tlv: Option<Tlv>,
}

/// What a PT is (tag E4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Its name (1F40).
    pub name: Option<String>,
    /// Its software (1F41).
    pub software: Option<String>,
    /// Its serial number (1F42) in hexadecimal: the standard calls it decimal, terminals do not.
    pub serial_number: Option<String>,
    /// Its state (1F43): 0 ready, 1 initialisation needed, 2 no keys, 3 somebody has tampered with it.
    pub state: Option<u8>,
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
                Self::PrintBlock(PrintBlock::parse(bmp::find_value(data, tag::TLV).unwrap_or_default(), charset))
            }
            control::SET_CLOCK => Self::set_clock(&Fields::parse(data)),
            control::DISPLAY_TEXT => Self::display_text(&Fields::parse(data), charset),
            control::MENU => Self::Menu(Menu::parse(&Fields::parse(data), false, charset)),
            control::MENU_WITH_PICTURE => Self::Menu(Menu::parse(&Fields::parse(data), true, charset)),
            control::INPUT_REQUEST => Self::InputRequest(InputRequest::parse(&Fields::parse(data), charset)),
            control::BLOCKED_LIST_QUERY => Self::BlockedListQuery(Fields::parse(data)),
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

impl Menu {
    fn parse(fields: &Fields, with_picture: bool, charset: Charset) -> Self {
        let tlv = fields.tlv().unwrap_or_default();
        let menu = tlv.container(tlv::tag::MENU).cloned().unwrap_or_default();
        let charset = own_charset(&menu, charset);
        let entries = menu.containers(tlv::tag::MENU_ENTRY).map(|entry| MenuEntry {
            text: lines(entry, charset),
            result: entry.find(&[tlv::tag::MENU_RESULT]).unwrap_or_default().to_vec(),
        });
        Self { with_picture, entries: entries.collect() }
    }
}

impl InputRequest {
    fn parse(fields: &Fields, charset: Charset) -> Self {
        let tlv = fields.tlv().unwrap_or_default();
        let input = tlv.container(tlv::tag::INPUT).cloned().unwrap_or_default();
        let charset = own_charset(&input, charset);
        let texts = input.container(tlv::tag::DISPLAY_TEXTS).map(|texts| lines(texts, charset));
        let timeout = input.find(&[tlv::tag::INPUT_TIMEOUT]).and_then(|seconds| seconds.try_into().ok());
        Self {
            text: texts.filter(|text| !text.trim().is_empty()),
            mode: input.find(&[tlv::tag::INPUT_MODE]).and_then(|mode| mode.first().copied()),
            timeout_seconds: timeout.map(u16::from_be_bytes),
        }
    }
}

fn own_charset(tlv: &Tlv, charset: Charset) -> Charset {
    tlv.find(&[tlv::tag::CHARACTER_SET]).and_then(Charset::from_tag).unwrap_or(charset)
}

fn lines(tlv: &Tlv, charset: Charset) -> String {
    let lines: Vec<String> = tlv.values(tlv::tag::TEXT_LINE).map(|line| charset.decode(line)).collect();
    lines.join("\n")
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
            maximum_apdu: tlv.as_ref().and_then(registration::maximum_apdu),
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
            device: tlv.as_ref().and_then(device),
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
pub(crate) fn split_version(data: &[u8]) -> (Option<&[u8]>, &[u8]) {
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

fn device(tlv: &Tlv) -> Option<Device> {
    let device = tlv.container(tlv::tag::DEVICE)?;
    let text = |tag| device.find(&[tag]).map(|text| Charset::Ascii.decode(text)).filter(|text| !text.is_empty());
    let serial = device.find(&[tlv::tag::SERIAL_NUMBER]);
    Some(Device {
        name: text(tlv::tag::DEVICE_NAME),
        software: text(tlv::tag::DEVICE_SOFTWARE),
        serial_number: serial.map(|bytes| bytes.iter().map(|byte| format!("{byte:02X}")).collect()),
        state: device.find(&[tlv::tag::DEVICE_STATE]).and_then(|state| state.first().copied()),
    })
}

#[cfg(test)]
mod tests;
