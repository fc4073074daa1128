//! How the ECR introduces itself to the PT, and what it asks of it: registration (06 00).

use crate::apdu::{ControlField, control};
use crate::bcd;
use crate::bmp::{self, BmpError, tag};
use crate::charset::Charset;
use crate::command::{CommandError, Password, one_byte, password_and_rest};
use crate::fields::Fields;
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

/// What the status byte (BMP 19) in the completion of a registration asks for.
pub mod status_byte {
    /// Initialisation (06 93) is needed.
    pub const INITIALISATION_NEEDED: u8 = 0x01;
    /// Diagnosis (06 70) is needed.
    pub const DIAGNOSIS_NEEDED: u8 = 0x02;
    /// An OPT action (08 20) is needed.
    pub const OPT_ACTION_NEEDED: u8 = 0x04;
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

    pub(crate) fn encode(&self) -> Vec<u8> {
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
            tlv = tlv.with(tlv::tag::PRINTER_WIDTH, &[printer_width(columns)]);
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
            maximum_apdu: maximum_apdu(tlv),
            permitted_commands: commands.filter_map(|command| command.try_into().ok()).collect(),
            charset: chosen_charset(tlv),
        }
    }
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

/// The largest APDU that the sender of a container takes, in bytes (tag 1A).
pub(crate) fn maximum_apdu(tlv: &Tlv) -> Option<u16> {
    tlv.find(&[tlv::tag::MAXIMUM_APDU]).and_then(to_u16)
}

fn to_u16(bytes: &[u8]) -> Option<u16> {
    bytes.iter().try_fold(0_u16, |number, byte| number.checked_mul(256)?.checked_add((*byte).into()))
}

/// BCD, at most 99 columns.
fn printer_width(columns: u8) -> u8 {
    bcd::from_number::<1>(columns.into()).map_or(0x99, |[width]| width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;

    const EUR: u16 = 978;

    fn password() -> Password {
        Password::new("123456").expect("six digits")
    }

    /// `expected` is the data block in hexadecimal. What was built is read again as the same.
    fn check(registration: Registration, expected: &str) {
        let command = Command::Registration(registration);
        let apdu = command.encode();
        let hex: Vec<String> = apdu.data.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(hex.join(" "), expected);
        assert_eq!(Command::parse(&apdu), Ok(command));
    }

    #[test]
    fn registrations() -> Result<(), BmpError> {
        let blocks = Abilities { permitted_commands: vec![control::PRINT_BLOCK], ..Abilities::default() };
        let registration = Registration::new(password(), 0xBE, EUR, 0x01, Some(&blocks))?;
        assert_eq!(registration.abilities(), Some(blocks));
        let expected = "12 34 56 BE 09 78 03 01 06 06 26 04 0A 02 06 D3";
        check(registration, expected);
        let bare = Registration::new(password(), 0x3E, EUR, 0x01, None)?;
        assert_eq!(bare.abilities(), None);
        check(bare, "12 34 56 3E 09 78 03 01");
        let empty = Registration::new(password(), 0x3E, EUR, 0x01, Some(&Abilities::default()))?;
        check(empty, "12 34 56 3E 09 78 03 01 06 00");
        let short = Registration { password: password(), config_byte: 0x08, currency: None, fields: Fields::new() };
        check(short, "12 34 56 08");
        Ok(())
    }

    #[test]
    fn abilities_are_read_as_written() {
        let abilities = Abilities {
            printer_width: Some(40),
            maximum_apdu: Some(0x1000),
            permitted_commands: vec![control::PRINT_LINE, control::PRINT_BLOCK],
            charset: Some(Charset::Iso8859_15),
        };
        assert_eq!(Abilities::from_tlv(&abilities.to_tlv()), abilities);
        assert!(abilities.permits(control::PRINT_BLOCK) && !abilities.permits(control::DISPLAY_TEXT));
    }

    #[test]
    fn two_character_sets_choose_none() {
        let both = Tlv::new().with(tlv::tag::CHARACTER_SET, &[0x01]).with(tlv::tag::CHARACTER_SET, &[0xFF]);
        assert_eq!(chosen_charset(&Tlv::new().with_container(tlv::tag::CHARACTER_SETS, both)), None);
        assert_eq!(chosen_charset(&Tlv::new().with(tlv::tag::CHARACTER_SET, &[0xFE])), Some(Charset::Utf8));
    }
}
