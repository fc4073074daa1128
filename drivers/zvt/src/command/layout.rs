//! How the data block of each command is laid out.

use super::{Command, CommandError, Password};
use crate::apdu::{Apdu, ControlField, control};
use crate::bcd;
use crate::fields::Fields;
use crate::registration::Registration;

impl Command {
    /// The message.
    pub fn encode(&self) -> Apdu {
        let data = match self {
            Self::Registration(registration) => registration.encode(),
            Self::Authorization { fields }
            | Self::Diagnosis { fields }
            | Self::BalanceEnquiry { fields }
            | Self::Tip { fields }
            | Self::PreAuthorization { fields }
            | Self::PartialReversal { fields }
            | Self::BookTotal { fields }
            | Self::PreAuthorizationReversal { fields }
            | Self::ExternalReservationReversal { fields }
            | Self::DisplayText { fields }
            | Self::SoftwareUpdate { fields } => fields.encode(),
            Self::Refund { password, fields }
            | Self::Reversal { password, fields }
            | Self::RepeatReceipt { password, fields }
            | Self::EndOfDay { password, fields }
            | Self::SetTerminalId { password, fields }
            | Self::TelephoneAuthorization { password, fields }
            | Self::SetClock { password, fields }
            | Self::ServiceMode { password, fields }
            | Self::TillReport { password, fields }
            | Self::StatusEnquiry { password: Some(password), fields } => after_password(*password, fields),
            Self::Initialisation { password }
            | Self::TurnoverTotals { password }
            | Self::SendOfflineTransactions { password } => password.0.to_vec(),
            Self::ReprintReceipts { password, receipts: (first, last) } => {
                [password.0.as_slice(), &receipt_number(*first), &receipt_number(*last)].concat()
            }
            Self::ChangePassword { old, new } => [old.0, new.0].concat(),
            Self::SelectLanguage { language } => vec![*language],
            // The fields of 05 01 are only allowed after a password.
            Self::StatusEnquiry { password: None, .. }
            | Self::Abort
            | Self::LogOff
            | Self::Restart
            | Self::PrintConfiguration
            | Self::SelfTest => Vec::new(),
            Self::Other(apdu) => apdu.data.clone(),
        };
        Apdu::new(self.control(), data)
    }

    /// Reads a message of the ECR. Commands without a place here become `Other`.
    ///
    /// # Errors
    /// `CommandError` when the positional part is incomplete; a PT answers that with 84 9A.
    pub fn parse(apdu: &Apdu) -> Result<Self, CommandError> {
        if let Some(command) = Self::of_fields(apdu) {
            return Ok(command);
        }
        let control = apdu.control();
        let read_password = || split_password(control, &apdu.data);
        let only_password = || read_password().map(|(password, _)| password);
        Ok(match control {
            control::REGISTRATION => Self::Registration(Registration::parse(&apdu.data)?),
            control::STATUS_ENQUIRY if apdu.data.is_empty() => {
                Self::StatusEnquiry { password: None, fields: Fields::new() }
            }
            control::STATUS_ENQUIRY => {
                read_password().map(|(password, fields)| Self::StatusEnquiry { password: Some(password), fields })?
            }
            control::REFUND => read_password().map(|(password, fields)| Self::Refund { password, fields })?,
            control::REVERSAL => read_password().map(|(password, fields)| Self::Reversal { password, fields })?,
            control::REPEAT_RECEIPT => {
                read_password().map(|(password, fields)| Self::RepeatReceipt { password, fields })?
            }
            control::END_OF_DAY => read_password().map(|(password, fields)| Self::EndOfDay { password, fields })?,
            control::SET_TERMINAL_ID => {
                read_password().map(|(password, fields)| Self::SetTerminalId { password, fields })?
            }
            control::TELEPHONE_AUTHORIZATION => {
                read_password().map(|(password, fields)| Self::TelephoneAuthorization { password, fields })?
            }
            control::SET_CLOCK_OF_PT => {
                read_password().map(|(password, fields)| Self::SetClock { password, fields })?
            }
            control::SERVICE_MODE => {
                read_password().map(|(password, fields)| Self::ServiceMode { password, fields })?
            }
            control::TILL_REPORT => read_password().map(|(password, fields)| Self::TillReport { password, fields })?,
            control::INITIALISATION => Self::Initialisation { password: only_password()? },
            control::TURNOVER_TOTALS => Self::TurnoverTotals { password: only_password()? },
            control::SEND_OFFLINE_TRANSACTIONS => Self::SendOfflineTransactions { password: only_password()? },
            control::REPRINT_RECEIPTS => Self::reprint(&apdu.data)?,
            control::CHANGE_PASSWORD => Self::change_password(&apdu.data)?,
            control::SELECT_LANGUAGE => match apdu.data.first() {
                Some(&language) => Self::SelectLanguage { language },
                None => return Err(CommandError { control, missing: "language" }),
            },
            _ => Self::Other(apdu.clone()),
        })
    }

    /// The commands that have no positional part: they can always be read.
    fn of_fields(apdu: &Apdu) -> Option<Self> {
        let fields = || Fields::parse(&apdu.data);
        Some(match apdu.control() {
            control::AUTHORIZATION => Self::Authorization { fields: fields() },
            control::DIAGNOSIS => Self::Diagnosis { fields: fields() },
            control::BALANCE_ENQUIRY => Self::BalanceEnquiry { fields: fields() },
            control::TIP => Self::Tip { fields: fields() },
            control::PRE_AUTHORIZATION => Self::PreAuthorization { fields: fields() },
            control::PARTIAL_REVERSAL => Self::PartialReversal { fields: fields() },
            control::BOOK_TOTAL => Self::BookTotal { fields: fields() },
            control::PRE_AUTHORIZATION_REVERSAL => Self::PreAuthorizationReversal { fields: fields() },
            control::EXTERNAL_RESERVATION_REVERSAL => Self::ExternalReservationReversal { fields: fields() },
            control::DISPLAY_TEXT => Self::DisplayText { fields: fields() },
            control::SOFTWARE_UPDATE => Self::SoftwareUpdate { fields: fields() },
            control::ABORT_BY_ECR => Self::Abort,
            control::LOG_OFF => Self::LogOff,
            control::RESTART => Self::Restart,
            control::PRINT_CONFIGURATION => Self::PrintConfiguration,
            control::SELF_TEST => Self::SelfTest,
            _ => return None,
        })
    }

    fn reprint(data: &[u8]) -> Result<Self, CommandError> {
        let control = control::REPRINT_RECEIPTS;
        let (password, rest) = password_and_rest(control, data)?;
        let number = |place: usize| {
            let digits = rest.get(place..place + 2).and_then(bcd::to_number);
            digits
                .and_then(|number| u16::try_from(number).ok())
                .ok_or(CommandError { control, missing: "receipt number" })
        };
        Ok(Self::ReprintReceipts { password, receipts: (number(0)?, number(2)?) })
    }

    fn change_password(data: &[u8]) -> Result<Self, CommandError> {
        let control = control::CHANGE_PASSWORD;
        let (old, rest) = password_and_rest(control, data)?;
        let missing = CommandError { control, missing: "new password" };
        let (new, _) = password_and_rest(control, rest).map_err(|_| missing)?;
        Ok(Self::ChangePassword { old, new })
    }
}

/// Four digits; a number of more, which no receipt has, becomes the greatest.
fn receipt_number(number: u16) -> [u8; 2] {
    bcd::from_number::<2>(number.into()).unwrap_or([0x99, 0x99])
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
