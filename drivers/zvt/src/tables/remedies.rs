//! What to do about a result code, where a cashier or whoever runs the shop can do something.

use crate::tables::Wording;

const CLOSE_THE_DAY: Wording = Wording {
    german: "Kassenschnitt mit `tillswitch end-of-day` ausführen, danach noch einmal versuchen",
    english: "close the business day with `tillswitch end-of-day`, then try again",
};
const CHECK_THE_NETWORK: Wording = Wording {
    german: "Netzanschluss des Terminals prüfen, danach noch einmal versuchen",
    english: "check the terminal's own network, then try again",
};
const TRY_LATER: Wording = Wording {
    german: "einen Augenblick warten, danach noch einmal versuchen",
    english: "wait a moment, then try again",
};
const RUN_A_DIAGNOSIS: Wording =
    Wording { german: "den Dienst `diagnosis` ausführen", english: "run the service `diagnosis`" };
const CALL_SERVICE: Wording =
    Wording { german: "den Service des Terminals anrufen", english: "call the terminal's service" };

/// Code and remedy, sorted by code.
///
/// FC is what some terminals also say while they restart after an end of day.
#[rustfmt::skip]
pub const REMEDIES: &[(u8, Wording)] = &[
    (0x6A, CLOSE_THE_DAY),
    (0x74, CALL_SERVICE),
    (0x77, Wording { german: "später noch einmal abschließen", english: "close the day again later" }),
    (0x7D, CHECK_THE_NETWORK),
    (0x85, CALL_SERVICE),
    (0x89, CALL_SERVICE),
    (0x9B, CHECK_THE_NETWORK),
    (0x9C, TRY_LATER),
    (0xA0, TRY_LATER),
    (0xA1, CHECK_THE_NETWORK),
    (0xA3, CHECK_THE_NETWORK),
    (0xB1, CLOSE_THE_DAY),
    (0xB2, CALL_SERVICE),
    (0xB8, Wording { german: "zuerst die offenen Vorautorisierungen abschließen", english: "settle the open pre-authorisations first" }),
    (0xBF, CALL_SERVICE),
    (0xC0, CALL_SERVICE),
    (0xC1, RUN_A_DIAGNOSIS),
    (0xC2, RUN_A_DIAGNOSIS),
    (0xC4, CALL_SERVICE),
    (0xDC, Wording { german: "Karte entnehmen, danach noch einmal versuchen", english: "take the card out, then try again" }),
    (0xDD, CALL_SERVICE),
    (0xDE, CALL_SERVICE),
    (0xDF, CALL_SERVICE),
    (0xE0, Wording { german: "warten, bis das Terminal wieder bereit ist", english: "wait until the terminal is ready again" }),
    (0xE2, CALL_SERVICE),
    (0xE4, CALL_SERVICE),
    (0xED, CALL_SERVICE),
    (0xF0, CLOSE_THE_DAY),
    (0xF6, CALL_SERVICE),
    (0xFA, Wording { german: "Netzanschluss des Terminals prüfen, danach abschließen", english: "check the terminal's own network, then close the day" }),
    (0xFB, CALL_SERVICE),
    (0xFC, Wording { german: "Anschlüsse des Terminals prüfen; nach einem Kassenschnitt startet es vielleicht gerade neu", english: "check what is plugged into the terminal; after an end of day it may be starting again" }),
];

/// What to do about a result code, `None` when nobody at the counter can do anything.
pub fn remedy(code: u8) -> Option<Wording> {
    crate::tables::find(REMEDIES, code)
}

/// Whether a result code says that the business day must be closed before the terminal takes another payment.
pub fn is_end_of_day_due(code: u8) -> bool {
    remedy(code) == Some(CLOSE_THE_DAY)
}
