//! What a terminal status means: the untagged byte in the completion of a status enquiry (05 01).

use crate::apdu::{ControlField, control};
use crate::tables::Wording;

/// Ready for a command.
pub const READY: u8 = 0x00;
/// Busy; ask again.
pub const BUSY: u8 = 0x9C;

/// Status, wording, and the command that may cure it, sorted by status.
#[rustfmt::skip]
pub const TERMINAL_STATUS: &[(u8, Wording, Option<ControlField>)] = &[
    (0x00, Wording { german: "Bereit", english: "ready" }, None),
    (0x51, Wording { german: "Initialisierung nötig", english: "initialisation is needed" }, Some(control::INITIALISATION)),
    (0x62, Wording { german: "Die Uhr geht falsch", english: "the clock is wrong" }, Some(control::DIAGNOSIS)),
    (0x9C, Wording { german: "Beschäftigt, bitte warten", english: "busy, please wait" }, None),
    (0x9D, Wording { german: "Nur ein Teil der Ware wurde ausgegeben", english: "only part of the goods was issued" }, None),
    (0xB1, Wording { german: "Speicher des Terminals voll", english: "the terminal has no storage left" }, Some(control::END_OF_DAY)),
    (0xB2, Wording { german: "Das Händlerjournal ist voll", english: "the merchant journal is full" }, None),
    (0xBF, Wording { german: "Versorgungsspannung zu niedrig", english: "the supply voltage is too low" }, None),
    (0xC0, Wording { german: "Kartenverriegelung defekt", english: "the card lock is broken" }, None),
    (0xC1, Wording { german: "Die Händlerkarte ist gesperrt", english: "the merchant's own card is blocked" }, Some(control::DIAGNOSIS)),
    (0xC2, Wording { german: "Diagnose nötig", english: "diagnosis is needed" }, Some(control::DIAGNOSIS)),
    (0xC4, Wording { german: "Kartenprofile müssen neu geladen werden", english: "the card profiles must be reloaded" }, None),
    (0xCC, Wording { german: "Drucken zurzeit nicht möglich", english: "printing is not possible now" }, None),
    (0xDC, Wording { german: "Eine Karte steckt im Leser", english: "a card sits in the reader" }, None),
    (0xDF, Wording { german: "Das Terminal ist außer Betrieb", english: "the terminal is out of use" }, None),
    (0xE0, Wording { german: "Fernwartung läuft", english: "remote maintenance is running" }, None),
    (0xE1, Wording { german: "Die Karte ist nicht ganz entnommen", english: "the card is not fully removed" }, None),
    (0xE2, Wording { german: "Kartenleser defekt", english: "the card reader is broken" }, None),
    (0xE3, Wording { german: "Der Kartenschacht ist geschlossen", english: "the reader's slot is shut" }, None),
    (0xE4, Wording { german: "Aktivierung nötig", english: "activation is needed" }, None),
    (0xF0, Wording { german: "Kassenschnitt nötig", english: "end of day is needed" }, Some(control::END_OF_DAY)),
    (0xF6, Wording { german: "OPT-Daten fehlen", english: "OPT data are missing" }, None),
];

/// The wording of a status, `None` when the standard does not list it.
pub fn wording(status: u8) -> Option<Wording> {
    row(status).map(|row| row.1)
}

/// The command that may cure a status: initialisation, diagnosis or end of day. `None`: nothing, waiting, or service.
pub fn remedy(status: u8) -> Option<ControlField> {
    row(status).and_then(|row| row.2)
}

fn row(status: u8) -> Option<&'static (u8, Wording, Option<ControlField>)> {
    let place = TERMINAL_STATUS.binary_search_by_key(&status, |row| row.0).ok()?;
    TERMINAL_STATUS.get(place)
}
