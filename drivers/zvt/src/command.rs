//! What the ECR says to the PT: built by the driver, read by the simulated terminal.

use std::fmt;

use crate::apdu::{Apdu, ControlField, control};
use crate::bcd;
use crate::bmp::tag;
use crate::fields::Fields;
use crate::registration::Registration;
use crate::tables::commands;

mod builders;
mod layout;

pub(crate) use layout::password_and_rest;

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
    /// Account balance enquiry (06 03).
    BalanceEnquiry {
        /// The kind of balance, and more.
        fields: Fields,
    },
    /// Book tip (06 0C) onto an earlier payment.
    Tip {
        /// The tip, the receipt number of the payment, and more.
        fields: Fields,
    },
    /// Send turnover totals (06 10): reads, and does not close the day.
    TurnoverTotals {
        /// The terminal's password.
        password: Password,
    },
    /// Reprint receipts (06 12).
    ReprintReceipts {
        /// The terminal's password.
        password: Password,
        /// The first receipt number and the last.
        receipts: (u16, u16),
    },
    /// Restart (06 18): expect the link to drop.
    Restart,
    /// Print system configuration (06 1A).
    PrintConfiguration,
    /// Set or clear the terminal id (06 1B); initialisation is needed afterwards.
    SetTerminalId {
        /// The terminal's password.
        password: Password,
        /// The terminal id, or nothing to clear it.
        fields: Fields,
    },
    /// Telephone authorization (06 21).
    TelephoneAuthorization {
        /// The terminal's password.
        password: Password,
        /// Amount, authorisation code and more.
        fields: Fields,
    },
    /// Pre-authorization or reservation (06 22).
    PreAuthorization {
        /// Amount, currency, payment type and more.
        fields: Fields,
    },
    /// Partial reversal of a pre-authorization, or booking of a reservation (06 23).
    PartialReversal {
        /// The receipt number, and the amount that is *not* used.
        fields: Fields,
    },
    /// Book total (06 24): takes what was used of a reservation.
    BookTotal {
        /// The receipt number, the amount that *is* used, and the original's trace number and authorisation code.
        fields: Fields,
    },
    /// Reversal of a pre-authorization (06 25).
    PreAuthorizationReversal {
        /// The receipt number, and more.
        fields: Fields,
    },
    /// Reversal of a reservation that was made elsewhere (06 26).
    ExternalReservationReversal {
        /// Amount, currency, trace number, authorisation code and the kind of reservation.
        fields: Fields,
    },
    /// Send offline transactions (06 51) that the PT has stored.
    SendOfflineTransactions {
        /// The terminal's password.
        password: Password,
    },
    /// Self test (06 79).
    SelfTest,
    /// Set the clock of the PT (06 91).
    SetClock {
        /// The terminal's password.
        password: Password,
        /// Date with its year, and time.
        fields: Fields,
    },
    /// Change password (06 95).
    ChangePassword {
        /// The password until now.
        old: Password,
        /// The password from now on.
        new: Password,
    },
    /// Display text (06 E0).
    DisplayText {
        /// Up to eight lines, how long they stay, and beeps.
        fields: Fields,
    },
    /// Service mode (08 01): the PT shows its own menu, and is master until somebody leaves it.
    ServiceMode {
        /// The terminal's password.
        password: Password,
        /// The service byte.
        fields: Fields,
    },
    /// Software update (08 10).
    SoftwareUpdate {
        /// A job number in a container.
        fields: Fields,
    },
    /// Select language (08 30).
    SelectLanguage {
        /// See [`crate::tables::languages`].
        language: u8,
    },
    /// Till report (0F 10), of card complete only.
    TillReport {
        /// The terminal's password.
        password: Password,
        /// The service byte: 00 short, 01 detailed.
        fields: Fields,
    },
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
            Self::BalanceEnquiry { .. } => control::BALANCE_ENQUIRY,
            Self::Tip { .. } => control::TIP,
            Self::PreAuthorization { .. } => control::PRE_AUTHORIZATION,
            Self::PartialReversal { .. } => control::PARTIAL_REVERSAL,
            Self::BookTotal { .. } => control::BOOK_TOTAL,
            Self::PreAuthorizationReversal { .. } => control::PRE_AUTHORIZATION_REVERSAL,
            Self::ExternalReservationReversal { .. } => control::EXTERNAL_RESERVATION_REVERSAL,
            Self::DisplayText { .. } => control::DISPLAY_TEXT,
            Self::SoftwareUpdate { .. } => control::SOFTWARE_UPDATE,
            Self::SetTerminalId { .. } => control::SET_TERMINAL_ID,
            Self::TelephoneAuthorization { .. } => control::TELEPHONE_AUTHORIZATION,
            Self::SetClock { .. } => control::SET_CLOCK_OF_PT,
            Self::ServiceMode { .. } => control::SERVICE_MODE,
            Self::TillReport { .. } => control::TILL_REPORT,
            Self::TurnoverTotals { .. } => control::TURNOVER_TOTALS,
            Self::SendOfflineTransactions { .. } => control::SEND_OFFLINE_TRANSACTIONS,
            Self::Restart => control::RESTART,
            Self::PrintConfiguration => control::PRINT_CONFIGURATION,
            Self::SelfTest => control::SELF_TEST,
            Self::ReprintReceipts { .. } => control::REPRINT_RECEIPTS,
            Self::ChangePassword { .. } => control::CHANGE_PASSWORD,
            Self::SelectLanguage { .. } => control::SELECT_LANGUAGE,
            Self::Other(apdu) => apdu.control(),
        }
    }

    /// Whether this command moves money, so that it is sent at most once.
    ///
    /// The table of commands decides. A command that the standard does not list is taken for one that does: nobody
    /// knows better. The question for open pre-authorizations has the control field of a partial reversal and moves none.
    pub fn moves_money(&self) -> bool {
        match self {
            Self::PartialReversal { fields } => !asks_for_open_pre_authorizations(fields),
            Self::Other(apdu) if apdu.is_answer() => false,
            _ => commands::lookup(self.control()).is_none_or(|row| row.moves_money),
        }
    }

    /// The password that the command carries.
    pub fn password(&self) -> Option<Password> {
        match self {
            Self::Registration(registration) => Some(registration.password),
            Self::StatusEnquiry { password, .. } => *password,
            Self::ChangePassword { old, .. } => Some(*old),
            Self::Initialisation { password } | Self::ReprintReceipts { password, .. } => Some(*password),
            Self::Refund { password, .. }
            | Self::Reversal { password, .. }
            | Self::RepeatReceipt { password, .. }
            | Self::EndOfDay { password, .. }
            | Self::SetTerminalId { password, .. }
            | Self::TelephoneAuthorization { password, .. }
            | Self::SetClock { password, .. }
            | Self::ServiceMode { password, .. }
            | Self::TillReport { password, .. }
            | Self::TurnoverTotals { password, .. }
            | Self::SendOfflineTransactions { password, .. } => Some(*password),
            Self::Authorization { .. }
            | Self::Diagnosis { .. }
            | Self::SelectLanguage { .. }
            | Self::BalanceEnquiry { .. }
            | Self::Tip { .. }
            | Self::PreAuthorization { .. }
            | Self::PartialReversal { .. }
            | Self::BookTotal { .. }
            | Self::PreAuthorizationReversal { .. }
            | Self::ExternalReservationReversal { .. }
            | Self::DisplayText { .. }
            | Self::SoftwareUpdate { .. }
            | Self::Abort
            | Self::LogOff
            | Self::Restart
            | Self::PrintConfiguration
            | Self::SelfTest
            | Self::Other(_) => None,
        }
    }
}

/// `87 FF FF` and nothing else.
fn asks_for_open_pre_authorizations(fields: &Fields) -> bool {
    fields.encode() == [tag::RECEIPT_NUMBER, 0xFF, 0xFF]
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

pub(crate) fn one_byte(tag: u8, value: u8) -> Fields {
    Fields::new().with(tag, &[value]).expect("the table of bitmap tags lists this field with one byte")
}

#[cfg(test)]
mod tests;
