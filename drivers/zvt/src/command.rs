//! What the ECR says to the PT: built by the driver, read by the simulated terminal.

use std::fmt;

use crate::apdu::{Apdu, ControlField, control};
use crate::bcd;
use crate::bmp::{BmpError, tag};
use crate::fields::Fields;
use crate::registration::Registration;

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

/// The payment type (BMP 19) that leaves the choice to the PT.
pub const PAYMENT_TYPE_PT_DECIDES: u8 = 0x40;

/// The terminal's password: six digits. `Debug` is masked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Password(pub(crate) [u8; 3]);

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

fn amount_and_currency(amount_minor: u64, currency: Option<u16>) -> Result<Fields, BmpError> {
    let fields = Fields::new().with_amount(amount_minor)?;
    match currency {
        Some(numeric) => fields.with_currency(numeric),
        None => Ok(fields),
    }
}

pub(crate) fn one_byte(tag: u8, value: u8) -> Fields {
    Fields::new().with(tag, &[value]).expect("the table of bitmap tags lists this field with one byte")
}

fn after_password(password: Password, fields: &Fields) -> Vec<u8> {
    [password.0.as_slice(), &fields.encode()].concat()
}

fn split_password(control: ControlField, data: &[u8]) -> Result<(Password, Fields), CommandError> {
    password_and_rest(control, data).map(|(password, rest)| (password, Fields::parse(rest)))
}

pub(crate) fn password_and_rest(control: ControlField, data: &[u8]) -> Result<(Password, &[u8]), CommandError> {
    let (bytes, rest) = data.split_first_chunk::<3>().ok_or(CommandError { control, missing: "password" })?;
    Ok((Password(*bytes), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EUR: u16 = 978;

    fn password() -> Password {
        Password::new("123456").expect("six digits")
    }

    /// `expected` is the message in hexadecimal. What was built is read again as the same.
    fn check(command: Command, expected: &str) {
        let apdu = command.encode();
        let bytes = apdu.encode().expect("commands are short");
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(hex.join(" "), expected);
        assert_eq!(Command::parse(&apdu), Ok(command));
    }

    #[test]
    fn payments() -> Result<(), BmpError> {
        check(Command::authorization(1250, None)?, "06 01 07 04 00 00 00 00 12 50");
        check(Command::authorization(11000, Some(EUR))?, "06 01 0A 04 00 00 00 01 10 00 49 09 78");
        check(Command::refund(password(), 1250, None)?, "06 31 0A 12 34 56 04 00 00 00 00 12 50");
        check(Command::reversal(password(), "0470")?, "06 30 06 12 34 56 87 04 70");
        assert!(Command::authorization(1_000_000_000_000, None).is_err());
        assert!(Command::reversal(password(), "").is_err());
        Ok(())
    }

    #[test]
    fn service() {
        check(Command::status_enquiry(password()), "05 01 03 12 34 56");
        check(Command::detailed_status_enquiry(password()), "05 01 05 12 34 56 03 04");
        check(Command::StatusEnquiry { password: None, fields: Fields::new() }, "05 01 00");
        check(Command::repeat_result(password()), "06 20 05 12 34 56 03 03");
        check(Command::end_of_day(password()), "06 50 03 12 34 56");
        check(Command::Initialisation { password: password() }, "06 93 03 12 34 56");
        check(Command::diagnosis(), "06 70 00");
        check(Command::Abort, "06 B0 00");
        check(Command::LogOff, "06 02 00");
    }

    #[test]
    fn incomplete_commands_say_what_is_missing() {
        fn check(control: ControlField, data: &[u8], missing: &'static str) {
            let apdu = Apdu::new(control, data.to_vec());
            assert_eq!(Command::parse(&apdu), Err(CommandError { control, missing }));
        }
        check(control::REVERSAL, &[0x12, 0x34], "password");
        check(control::STATUS_ENQUIRY, &[0x12], "password");
        check(control::REGISTRATION, &[0x12, 0x34, 0x56], "config byte");
        check(control::REGISTRATION, &[0x12, 0x34, 0x56, 0xBE, 0x09], "currency");
        check(control::REGISTRATION, &[0x12, 0x34, 0x56, 0xBE, 0x0F, 0x78], "currency");
    }

    #[test]
    fn passwords() {
        assert_eq!(Password::new("1"), Password::new("000001"));
        for wrong in ["", "1234567", "12345a"] {
            assert_eq!(Password::new(wrong), Err(PasswordError), "{wrong}");
        }
        assert_eq!(format!("{:?}", Command::Initialisation { password: password() }).find("12"), None);
    }

    #[test]
    fn answers() {
        assert_eq!(positive().encode(), Ok(vec![0x80, 0, 0]));
        assert_eq!(goods_not_issued().encode(), Ok(vec![0x84, 0x66, 0]));
        assert_eq!(unknown_command().encode(), Ok(vec![0x84, 0x83, 0]));
    }

    #[test]
    fn what_moves_money() -> Result<(), BmpError> {
        assert!(Command::authorization(1, None)?.moves_money());
        assert!(Command::reversal(password(), "1")?.moves_money());
        assert!(!Command::repeat_result(password()).moves_money());
        assert!(!Command::end_of_day(password()).moves_money());
        Ok(())
    }
}
