//! What a byte means that chooses one of several things.

/// Value and meaning, sorted by value.
pub type Choices = &'static [(u8, &'static str)];

/// Request to the ECR (tag 1F13).
pub const REQUEST_TO_ECR: Choices = &[
    (0x00, "extended diagnosis"),
    (0x01, "reconciliation with closure"),
    (0x02, "configuration diagnosis"),
    (0x03, "OPT initialisation"),
    (0x04, "EMV diagnosis"),
    (0x05, "tax free"),
];

/// Device state (tag 1F43).
pub const DEVICE_STATE: Choices =
    &[(0x00, "ready"), (0x01, "initialisation is needed"), (0x02, "keys are missing"), (0x03, "tampered with")];

/// Card kind (tag 1F4C).
pub const CARD_KIND: Choices = &[(0x00, "ISO 7816"), (0x01, "MIFARE"), (0x02, "FeliCa")];

/// Action request (tag 1F79).
pub const ACTION_REQUEST: Choices = &[(0x01, "rebooted, register again")];

/// Accept or deny (tag 1F19).
pub const ACCEPT_OR_DENY: Choices = &[(0x00, "accept"), (0x01, "deny")];

/// Yes or no.
pub const YES_OR_NO: Choices = &[(0x00, "no"), (0x01, "yes")];

/// File id (tag 1D).
pub const FILE: Choices = &[
    (0x01, "journal"),
    (0x02, "application log"),
    (0x03, "ECR log"),
    (0x04, "communication log"),
    (0x05, "PIN pad log"),
    (0x06, "reconciliation"),
];

/// Language of select language (08 30).
pub const LANGUAGE: Choices = &[
    (0x00, "German"),
    (0x01, "English"),
    (0x02, "French"),
    (0x03, "Italian"),
    (0x04, "Hungarian"),
    (0x05, "Slovenian"),
    (0x06, "Spanish"),
    (0x07, "Czech"),
    (0x08, "Swedish"),
    (0x09, "Dutch"),
    (0x0A, "Polish"),
    (0x0B, "Slovak"),
    (0x0C, "Danish"),
    (0x0D, "Greek"),
    (0x0E, "Portuguese"),
    (0x0F, "Lithuanian"),
];

/// Rate of change baud rate (08 40).
pub const BAUD_RATE: Choices = &[(0x00, "9600"), (0x01, "19200"), (0x06, "57600"), (0x07, "115200")];

/// Protocol of switch protocol (08 02).
pub const PROTOCOL: Choices = &[(0x01, "T=1"), (0x02, "IFSF")];

/// Payment mode of a prepaid card's top-up (06 09).
pub const TOP_UP_MODE: Choices = &[(0x01, "by card"), (0x02, "in cash"), (0x03, "by card, already paid")];

/// Display device (BMP FD).
pub const DISPLAY_DEVICE: Choices = &[(0x00, "all"), (0x01, "external"), (0x02, "internal")];

/// Card reader activation (BMP FA).
pub const CARD_READER: Choices = &[(0x00, "on"), (0xFF, "off")];

/// The meaning of a value.
pub fn meaning(choices: Choices, value: u8) -> Option<&'static str> {
    let place = choices.binary_search_by_key(&value, |row| row.0).ok()?;
    choices.get(place).map(|row| row.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_sorted_and_list_nothing_twice() {
        let all: &[Choices] = &[
            REQUEST_TO_ECR,
            DEVICE_STATE,
            CARD_KIND,
            ACTION_REQUEST,
            ACCEPT_OR_DENY,
            YES_OR_NO,
            FILE,
            LANGUAGE,
            BAUD_RATE,
            PROTOCOL,
            TOP_UP_MODE,
            DISPLAY_DEVICE,
            CARD_READER,
        ];
        for choices in all {
            assert!(choices.windows(2).all(|pair| pair[0].0 < pair[1].0), "{choices:?}");
        }
        assert_eq!(meaning(CARD_KIND, 0x02), Some("FeliCa"));
        assert_eq!(meaning(CARD_KIND, 0x03), None);
    }
}
