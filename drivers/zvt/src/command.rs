//! What the ECR says to the PT: built by the driver, read by the simulated terminal.

use std::fmt;

use crate::apdu::{Apdu, ControlField, control};
use crate::bcd;
use crate::bmp::{self, BmpError, tag};
use crate::charset::Charset;
use crate::fields::Fields;
use crate::slip;
use crate::tlv::{self, Tlv};

/// What the config byte of a registration switches on.
pub mod config_byte {
    /// The ECR takes care of payment receipts; otherwise the PT prints them.
    pub const PAYMENT_RECEIPTS_BY_ECR: u8 = 0x02;
    /// The ECR takes care of administration receipts.
    pub const ADMINISTRATION_RECEIPTS_BY_ECR: u8 = 0x04;
    /// The PT sends intermediate status (04 FF).
    pub const INTERMEDIATE_STATUS: u8 = 0x08;
    /// No payment can be started on the PT's keypad.
    pub const NO_PAYMENT_BY_KEYPAD: u8 = 0x10;
    /// No administration can be started on the PT's keypad.
    pub const NO_ADMINISTRATION_BY_KEYPAD: u8 = 0x20;
    /// Receipts come as 06 D1 or 06 D3; only looked at with one of the first two.
    pub const PRINT_COMMANDS: u8 = 0x80;
}

/// What the service byte (BMP 03) asks for; its bits depend on the command.
pub mod service_byte {
    /// In 06 00: the PT's service menu cannot be reached by a function key.
    pub const NO_SERVICE_MENU: u8 = 0x01;
    /// In 05 01: the completion comes without the software version.
    pub const NO_SOFTWARE_VERSION: u8 = 0x02;
    /// In 05 01: the completion comes with TLV details.
    pub const TLV_DETAILS: u8 = 0x04;
    /// In 06 20: send the 04 0F of the last transaction again, without paper.
    pub const RESULT_ONLY: u8 = 0x03;
}

/// What the status byte (BMP 19) in the completion of a registration asks for.
pub mod status_byte {
    /// Initialisation (06 93) is needed.
    pub const INITIALISATION_NEEDED: u8 = 0x01;
    /// Diagnosis (06 70) is needed.
    pub const DIAGNOSIS_NEEDED: u8 = 0x02;
    /// An OPT action (08 20) is needed.
    pub const OPT_ACTION_NEEDED: u8 = 0x04;
}

/// The payment type (BMP 19) that leaves the choice to the PT.
pub const PAYMENT_TYPE_PT_DECIDES: u8 = 0x40;

/// The terminal's password: six digits. `Debug` is masked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Password([u8; 3]);

/// A password that is not one to six digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordError;

impl Password {
    /// From one to six digits; shorter ones are padded with zeros on the left, as terminals do.
    ///
    /// # Errors
    /// `PasswordError` for anything else.
    pub fn new(digits: &str) -> Result<Self, PasswordError> {
        bcd::from_digits(digits).map(Self).ok_or(PasswordError)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(******)")
    }
}

impl fmt::Display for PasswordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the password of a terminal is one to six digits, often 000000 or 123456")
    }
}

impl std::error::Error for PasswordError {}

/// A command of the ECR.
///
/// `encode` and `parse` are inverse. What a command carries besides its positional part is in `fields`, so that the
/// reader sees fields that this builder never sends.
///
/// ```
/// use tillswitch_zvt::command::{Command, Password};
///
/// let command = Command::reversal(Password::new("000000")?, "0470")?;
/// let apdu = command.encode();
/// assert_eq!(apdu.encode()?, [0x06, 0x30, 0x06, 0, 0, 0, 0x87, 0x04, 0x70]);
/// assert_eq!(Command::parse(&apdu)?, command);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Registration (06 00).
    Registration(Registration),
    /// Authorization (06 01): a payment.
    Authorization {
        /// Amount, currency, payment type and more.
        fields: Fields,
    },
    /// Refund (06 31).
    Refund {
        /// The terminal's password.
        password: Password,
        /// Amount, currency and more.
        fields: Fields,
    },
    /// Reversal (06 30) of an earlier payment.
    Reversal {
        /// The terminal's password.
        password: Password,
        /// The receipt number of that payment, and more.
        fields: Fields,
    },
    /// Repeat receipt (06 20): the way to learn the last result again.
    RepeatReceipt {
        /// The terminal's password.
        password: Password,
        /// The service byte.
        fields: Fields,
    },
    /// End of day (06 50).
    EndOfDay {
        /// The terminal's password.
        password: Password,
        /// Rarely anything.
        fields: Fields,
    },
    /// Initialisation (06 93).
    Initialisation {
        /// The terminal's password.
        password: Password,
    },
    /// Status enquiry (05 01).
    StatusEnquiry {
        /// The terminal's password; the fields need one in front.
        password: Option<Password>,
        /// The service byte, and more.
        fields: Fields,
    },
    /// Diagnosis (06 70).
    Diagnosis {
        /// The kind of diagnosis in a container.
        fields: Fields,
    },
    /// Abort by the ECR (06 B0).
    Abort,
    /// Log-off (06 02).
    LogOff,
    /// Any other command, or an answer.
    Other(Apdu),
}

/// Registration (06 00), whose layout is positional: password, config byte, currency, then fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The terminal's password.
    pub password: Password,
    /// See [`config_byte`].
    pub config_byte: u8,
    /// ISO 4217 number, without a tag on the wire. The fields need one in front.
    pub currency: Option<u16>,
    /// The service byte and the container.
    pub fields: Fields,
}

/// What a registration tells the PT about the ECR, in its container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Columns of the ECR's printer (tag 12).
    pub printer_width: Option<u8>,
    /// The largest APDU the ECR takes, in bytes (tag 1A).
    pub maximum_apdu: Option<u16>,
    /// Commands that the PT may send (tag 26). Without 06 D3 among them slips come line by line.
    pub permitted_commands: Vec<ControlField>,
    /// The character set that the ECR asks for (tag 27 with 14). It counts only if the completion repeats it.
    pub charset: Option<Charset>,
}

/// A command whose positional part is missing or no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// The command.
    pub control: ControlField,
    /// What is missing.
    pub missing: &'static str,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [class, instruction] = self.control;
        write!(f, "the command {class:02X} {instruction:02X} has no valid {}", self.missing)
    }
}

impl std::error::Error for CommandError {}

/// Builders of the usual commands.
impl Command {
    /// A payment of `amount_minor`. Some terminals dislike a currency here; in EUR all do without.
    pub fn authorization(amount_minor: u64, currency: Option<u16>) -> Result<Self, BmpError> {
        Ok(Self::Authorization { fields: amount_and_currency(amount_minor, currency)? })
    }

    /// A refund of `amount_minor`.
    pub fn refund(password: Password, amount_minor: u64, currency: Option<u16>) -> Result<Self, BmpError> {
        Ok(Self::Refund { password, fields: amount_and_currency(amount_minor, currency)? })
    }

    /// A reversal of the payment with this receipt number.
    pub fn reversal(password: Password, receipt_number: &str) -> Result<Self, BmpError> {
        Ok(Self::Reversal { password, fields: Fields::new().with_receipt_number(receipt_number)? })
    }

    /// A request for the last result, without paper (service byte 03).
    pub fn repeat_result(password: Password) -> Self {
        Self::RepeatReceipt { password, fields: one_byte(tag::SERVICE_BYTE, service_byte::RESULT_ONLY) }
    }

    /// A status enquiry without details.
    pub fn status_enquiry(password: Password) -> Self {
        Self::StatusEnquiry { password: Some(password), fields: Fields::new() }
    }

    /// A status enquiry that asks for the software version and the details (service byte 04).
    pub fn detailed_status_enquiry(password: Password) -> Self {
        let fields = one_byte(tag::SERVICE_BYTE, service_byte::TLV_DETAILS);
        Self::StatusEnquiry { password: Some(password), fields }
    }

    /// End of day.
    pub fn end_of_day(password: Password) -> Self {
        Self::EndOfDay { password, fields: Fields::new() }
    }

    /// Diagnosis of the PT's choice.
    pub fn diagnosis() -> Self {
        Self::Diagnosis { fields: Fields::new() }
    }
}

impl Command {
    /// The control field.
    pub fn control(&self) -> ControlField {
        match self {
            Self::Registration(_) => control::REGISTRATION,
            Self::Authorization { .. } => control::AUTHORIZATION,
            Self::Refund { .. } => control::REFUND,
            Self::Reversal { .. } => control::REVERSAL,
            Self::RepeatReceipt { .. } => control::REPEAT_RECEIPT,
            Self::EndOfDay { .. } => control::END_OF_DAY,
            Self::Initialisation { .. } => control::INITIALISATION,
            Self::StatusEnquiry { .. } => control::STATUS_ENQUIRY,
            Self::Diagnosis { .. } => control::DIAGNOSIS,
            Self::Abort => control::ABORT_BY_ECR,
            Self::LogOff => control::LOG_OFF,
            Self::Other(apdu) => apdu.control(),
        }
    }

    /// Whether this command moves money, so that it is sent at most once.
    pub fn moves_money(&self) -> bool {
        matches!(self, Self::Authorization { .. } | Self::Refund { .. } | Self::Reversal { .. })
    }

    /// The message.
    pub fn encode(&self) -> Apdu {
        let data = match self {
            Self::Registration(registration) => registration.encode(),
            Self::Authorization { fields } | Self::Diagnosis { fields } => fields.encode(),
            Self::Refund { password, fields }
            | Self::Reversal { password, fields }
            | Self::RepeatReceipt { password, fields }
            | Self::EndOfDay { password, fields }
            | Self::StatusEnquiry { password: Some(password), fields } => after_password(*password, fields),
            Self::Initialisation { password } => password.0.to_vec(),
            // The fields of 05 01 are only allowed after a password.
            Self::StatusEnquiry { password: None, .. } | Self::Abort | Self::LogOff => Vec::new(),
            Self::Other(apdu) => apdu.data.clone(),
        };
        Apdu::new(self.control(), data)
    }

    /// Reads a message of the ECR. Commands without a place here become `Other`.
    ///
    /// # Errors
    /// `CommandError` when the positional part is incomplete; a PT answers that with 84 9A.
    pub fn parse(apdu: &Apdu) -> Result<Self, CommandError> {
        let read_password = || split_password(apdu.control(), &apdu.data);
        Ok(match apdu.control() {
            control::REGISTRATION => Self::Registration(Registration::parse(&apdu.data)?),
            control::AUTHORIZATION => Self::Authorization { fields: Fields::parse(&apdu.data) },
            control::REFUND => read_password().map(|(password, fields)| Self::Refund { password, fields })?,
            control::REVERSAL => read_password().map(|(password, fields)| Self::Reversal { password, fields })?,
            control::REPEAT_RECEIPT => {
                read_password().map(|(password, fields)| Self::RepeatReceipt { password, fields })?
            }
            control::END_OF_DAY => read_password().map(|(password, fields)| Self::EndOfDay { password, fields })?,
            control::INITIALISATION => read_password().map(|(password, _)| Self::Initialisation { password })?,
            control::STATUS_ENQUIRY if apdu.data.is_empty() => {
                Self::StatusEnquiry { password: None, fields: Fields::new() }
            }
            control::STATUS_ENQUIRY => {
                read_password().map(|(password, fields)| Self::StatusEnquiry { password: Some(password), fields })?
            }
            control::DIAGNOSIS => Self::Diagnosis { fields: Fields::parse(&apdu.data) },
            control::ABORT_BY_ECR => Self::Abort,
            control::LOG_OFF => Self::LogOff,
            _ => Self::Other(apdu.clone()),
        })
    }
}

impl Registration {
    /// A registration with everything that Tillswitch sends. Without `abilities` it has no container; a few
    /// terminals refuse one with 84 9A.
    pub fn new(
        password: Password,
        config_byte: u8,
        currency: u16,
        service_byte: u8,
        abilities: Option<&Abilities>,
    ) -> Result<Self, BmpError> {
        bmp::from_currency(currency)?;
        let fields = one_byte(tag::SERVICE_BYTE, service_byte);
        let fields = match abilities {
            Some(abilities) => fields.with_tlv(&abilities.to_tlv())?,
            None => fields,
        };
        Ok(Self { password, config_byte, currency: Some(currency), fields })
    }

    /// What the container says, `None` when there is no container.
    pub fn abilities(&self) -> Option<Abilities> {
        self.fields.tlv().map(|tlv| Abilities::from_tlv(&tlv))
    }

    fn encode(&self) -> Vec<u8> {
        let mut data = self.password.0.to_vec();
        data.push(self.config_byte);
        // A currency that does not fit is left out, and with it the fields, which need one in front.
        if let Some(Ok(currency)) = self.currency.map(bmp::from_currency) {
            data.extend(currency);
            data.extend(self.fields.encode());
        }
        data
    }

    pub(crate) fn parse(data: &[u8]) -> Result<Self, CommandError> {
        let control = control::REGISTRATION;
        let (password, rest) = password_and_rest(control, data)?;
        let (&config_byte, rest) = rest.split_first().ok_or(CommandError { control, missing: "config byte" })?;
        if rest.is_empty() {
            return Ok(Self { password, config_byte, currency: None, fields: Fields::new() });
        }
        let currency = rest.get(..2).and_then(bmp::to_currency).ok_or(CommandError { control, missing: "currency" })?;
        Ok(Self { password, config_byte, currency: Some(currency), fields: Fields::parse(&rest[2..]) })
    }
}

impl Abilities {
    /// Whether the PT may send this command.
    pub fn permits(&self, control: ControlField) -> bool {
        self.permitted_commands.contains(&control)
    }

    fn to_tlv(&self) -> Tlv {
        let mut tlv = Tlv::new();
        if let Some(columns) = self.printer_width {
            tlv = tlv.with(tlv::tag::PRINTER_WIDTH, &[slip::printer_width(columns)]);
        }
        if let Some(bytes) = self.maximum_apdu {
            tlv = tlv.with(tlv::tag::MAXIMUM_APDU, &bytes.to_be_bytes());
        }
        if !self.permitted_commands.is_empty() {
            let list = self.permitted_commands.iter();
            let list = list.fold(Tlv::new(), |list, command| list.with(tlv::tag::ZVT_COMMAND, command));
            tlv = tlv.with_container(tlv::tag::PERMITTED_COMMANDS, list);
        }
        if let Some(charset) = self.charset {
            let chosen = Tlv::new().with(tlv::tag::CHARACTER_SET, &[charset.tag_value()]);
            tlv = tlv.with_container(tlv::tag::CHARACTER_SETS, chosen);
        }
        tlv
    }

    fn from_tlv(tlv: &Tlv) -> Self {
        let width = tlv.find(&[tlv::tag::PRINTER_WIDTH]).and_then(bcd::to_number);
        let permitted = tlv.container(tlv::tag::PERMITTED_COMMANDS);
        let commands = permitted.into_iter().flat_map(|list| list.values(tlv::tag::ZVT_COMMAND));
        Self {
            printer_width: width.and_then(|width| u8::try_from(width).ok()),
            maximum_apdu: tlv.find(&[tlv::tag::MAXIMUM_APDU]).and_then(to_u16),
            permitted_commands: commands.filter_map(|command| command.try_into().ok()).collect(),
            charset: chosen_charset(tlv),
        }
    }
}

/// The positive answer: exactly `80 00 00`. A fourth byte puts some terminals out of step.
pub fn positive() -> Apdu {
    Apdu::new(control::POSITIVE, Vec::new())
}

/// A negative answer (84 xx 00).
pub fn negative(code: u8) -> Apdu {
    Apdu::new([control::NEGATIVE_CLASS, code], Vec::new())
}

/// The answer to 04 0F that makes the PT take the payment back (84 66 00).
pub fn goods_not_issued() -> Apdu {
    negative(0x66)
}

/// The answer to a command that the ECR does not know (84 83 00).
pub fn unknown_command() -> Apdu {
    negative(0x83)
}

/// The character set that a container chooses: exactly one tag 14 inside 27, or one beside it. Both are in use.
pub(crate) fn chosen_charset(tlv: &Tlv) -> Option<Charset> {
    let sets = tlv.container(tlv::tag::CHARACTER_SETS).unwrap_or(tlv);
    let mut values = sets.values(tlv::tag::CHARACTER_SET);
    match (values.next(), values.next()) {
        (Some(only), None) => Charset::from_tag(only),
        _ => None,
    }
}

fn amount_and_currency(amount_minor: u64, currency: Option<u16>) -> Result<Fields, BmpError> {
    let fields = Fields::new().with_amount(amount_minor)?;
    match currency {
        Some(numeric) => fields.with_currency(numeric),
        None => Ok(fields),
    }
}

fn one_byte(tag: u8, value: u8) -> Fields {
    Fields::new().with(tag, &[value]).expect("the table of bitmap tags lists this field with one byte")
}

fn after_password(password: Password, fields: &Fields) -> Vec<u8> {
    [password.0.as_slice(), &fields.encode()].concat()
}

fn split_password(control: ControlField, data: &[u8]) -> Result<(Password, Fields), CommandError> {
    password_and_rest(control, data).map(|(password, rest)| (password, Fields::parse(rest)))
}

fn password_and_rest(control: ControlField, data: &[u8]) -> Result<(Password, &[u8]), CommandError> {
    let (bytes, rest) = data.split_first_chunk::<3>().ok_or(CommandError { control, missing: "password" })?;
    Ok((Password(*bytes), rest))
}

fn to_u16(bytes: &[u8]) -> Option<u16> {
    bytes.iter().try_fold(0_u16, |number, byte| number.checked_mul(256)?.checked_add((*byte).into()))
}
