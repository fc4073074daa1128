//! What a result code means: BMP 27 in 04 0F, the byte of 06 1E, the second byte of 84 xx.

use crate::tables::Wording;

/// What kind of trouble a code reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// It worked.
    Success,
    /// 01 to 63: the host's own code, whose meaning differs between operators.
    Host,
    /// The card, or this way of paying with it.
    Card,
    /// The terminal's hardware.
    Device,
    /// The batch: store full, end of day.
    Batch,
    /// The conversation between ECR and PT.
    Protocol,
    /// Somebody pressed stop, or nobody did anything.
    User,
    /// Amount or currency.
    Amount,
    /// Keys and PIN procedures.
    Key,
    /// The way to the host.
    Communication,
    /// The terminal is busy.
    Busy,
    /// A reversal.
    Reversal,
    /// A pre-authorisation.
    PreAuthorization,
    /// The terminal needs maintenance or has it.
    Maintenance,
    /// Fuel cards and goods groups.
    Fuel,
    /// Anything else, unknown codes included.
    Other,
}

/// Code, category and wording, sorted by code. 01 to 63 are absent: they belong to the operator of the host.
#[rustfmt::skip]
pub const RESULT_CODES: &[(u8, Category, Wording)] = &[
    (0x00, Category::Success, Wording { german: "Erfolgreich", english: "success" }),
    (0x64, Category::Card, Wording { german: "Karte nicht lesbar", english: "the card could not be read" }),
    (0x65, Category::Card, Wording { german: "Keine brauchbaren Kartendaten", english: "no usable card data" }),
    (0x66, Category::Device, Wording { german: "Verarbeitung fehlgeschlagen", english: "processing failed" }),
    (0x67, Category::Card, Wording { german: "Für girocard und Maestro nicht erlaubt", english: "not allowed for girocard and Maestro" }),
    (0x68, Category::Card, Wording { german: "Für Kredit- und Tankkarten nicht erlaubt", english: "not allowed for credit and fuel cards" }),
    (0x6A, Category::Batch, Wording { german: "Der Umsatzspeicher ist voll", english: "the turnover store is full" }),
    (0x6B, Category::Protocol, Wording { german: "Die Kasse ist am Terminal nicht angemeldet", english: "the register is not logged on to the terminal" }),
    (0x6C, Category::User, Wording { german: "Abbruch durch Zeitablauf oder Stopptaste", english: "stopped by a timeout or the stop key" }),
    (0x6E, Category::Card, Wording { german: "Die Karte ist gesperrt", english: "the card is blocked" }),
    (0x6F, Category::Amount, Wording { german: "Währung nicht zugelassen", english: "the currency is not accepted" }),
    (0x71, Category::Card, Wording { german: "Guthaben auf dem Chip reicht nicht", english: "not enough credit on the chip" }),
    (0x72, Category::Card, Wording { german: "Chipfehler", english: "chip fault" }),
    (0x73, Category::Card, Wording { german: "Kartendaten fehlerhaft", english: "faulty card data" }),
    (0x74, Category::Key, Wording { german: "Die Schlüssel des Terminals sind verbraucht", english: "the keys of the terminal are used up" }),
    (0x75, Category::Key, Wording { german: "Anzeigetext nicht beglaubigt", english: "the display text is not authentic" }),
    (0x76, Category::Card, Wording { german: "Karte nicht auf der Freigabeliste", english: "the card is not on the list of permitted cards" }),
    (0x77, Category::Batch, Wording { german: "Kassenschnitt nicht möglich", english: "end of day is not possible" }),
    (0x78, Category::Card, Wording { german: "Die Karte ist abgelaufen", english: "the card has expired" }),
    (0x79, Category::Card, Wording { german: "Die Karte ist noch nicht gültig", english: "the card is not valid yet" }),
    (0x7A, Category::Card, Wording { german: "Unbekannte Karte", english: "unknown card" }),
    (0x7B, Category::Card, Wording { german: "Magnetstreifen statt Chip bei girocard nicht möglich", english: "no fallback to the stripe for girocard" }),
    (0x7C, Category::Card, Wording { german: "Magnetstreifen statt Chip bei dieser Karte nicht möglich", english: "no fallback to the stripe for this card" }),
    (0x7D, Category::Communication, Wording { german: "Keine Verbindung, oder ein Modul fehlt", english: "communication failed, or a module is missing" }),
    (0x7E, Category::Card, Wording { german: "Magnetstreifen nicht möglich, Lastschrift ginge", english: "no fallback to the stripe, direct debit would work" }),
    (0x83, Category::Protocol, Wording { german: "Funktion nicht möglich", english: "the function is not possible" }),
    (0x85, Category::Key, Wording { german: "Ein nötiger Schlüssel fehlt", english: "a needed key is not loaded" }),
    (0x89, Category::Device, Wording { german: "PIN-Pad defekt (1)", english: "the PIN pad is broken (1)" }),
    (0x9A, Category::Protocol, Wording { german: "Nachricht nicht verstanden", english: "the message was not understood" }),
    (0x9B, Category::Communication, Wording { german: "Wähl- oder Leitungsfehler", english: "fault while dialling or on the line" }),
    (0x9C, Category::Busy, Wording { german: "Beschäftigt, bitte warten", english: "busy, please wait" }),
    (0xA0, Category::Busy, Wording { german: "Empfänger beschäftigt", english: "the receiver is busy" }),
    (0xA1, Category::Communication, Wording { german: "Die Bank antwortet nicht", english: "the bank does not answer" }),
    (0xA3, Category::Communication, Wording { german: "Netzverbindung nicht möglich", english: "the line or network could not be opened" }),
    (0xA4, Category::Batch, Wording { german: "Einreichung der GeldKarte fehlgeschlagen", english: "the GeldKarte submission failed" }),
    (0xA5, Category::Protocol, Wording { german: "Durch Kartensicherheitsregeln verboten", english: "forbidden by the rules of card security" }),
    (0xB1, Category::Batch, Wording { german: "Speicher des Terminals voll", english: "the terminal has no storage left" }),
    (0xB2, Category::Batch, Wording { german: "Das Händlerjournal ist voll", english: "the merchant journal is full" }),
    (0xB4, Category::Reversal, Wording { german: "Bereits storniert", english: "was reversed before" }),
    (0xB5, Category::Reversal, Wording { german: "Storno nicht möglich", english: "cannot be reversed" }),
    (0xB7, Category::PreAuthorization, Wording { german: "Betrag der Vorautorisierung falsch oder zu hoch", english: "the pre-authorisation amount is wrong or too high" }),
    (0xB8, Category::PreAuthorization, Wording { german: "Fehler bei der Vorautorisierung", english: "problem with a pre-authorisation" }),
    (0xBF, Category::Device, Wording { german: "Versorgungsspannung zu niedrig", english: "the supply voltage is too low" }),
    (0xC0, Category::Device, Wording { german: "Kartenverriegelung defekt", english: "the card lock is broken" }),
    (0xC1, Category::Key, Wording { german: "Die Händlerkarte ist gesperrt", english: "the merchant's own card is blocked" }),
    (0xC2, Category::Maintenance, Wording { german: "Diagnose nötig", english: "diagnosis is needed" }),
    (0xC3, Category::Amount, Wording { german: "Betrag zu hoch", english: "the amount is above the maximum" }),
    (0xC4, Category::Maintenance, Wording { german: "Kartenprofile ungültig, neu laden", english: "the card profiles are invalid, load new ones" }),
    (0xC5, Category::Card, Wording { german: "Zahlart nicht verfügbar", english: "this way of paying is not offered" }),
    (0xC6, Category::Amount, Wording { german: "Währung nicht möglich", english: "the currency cannot be used here" }),
    (0xC8, Category::Amount, Wording { german: "Betrag zu klein", english: "the amount is too low" }),
    (0xC9, Category::Amount, Wording { german: "Transaktionslimit zu klein", english: "the transaction limit is too low" }),
    (0xCB, Category::Amount, Wording { german: "Nur in EUR möglich", english: "only possible in EUR" }),
    (0xCC, Category::Device, Wording { german: "Drucken zurzeit nicht möglich", english: "printing is not possible now" }),
    (0xCD, Category::Amount, Wording { german: "Keine Bargeldauszahlung", english: "no cashback" }),
    (0xD2, Category::Card, Wording { german: "Für Service- und Bankkundenkarten nicht erlaubt", english: "not allowed for service and bank customer cards" }),
    (0xDC, Category::Card, Wording { german: "Eine Karte steckt im Leser", english: "a card sits in the reader" }),
    (0xDD, Category::Device, Wording { german: "Kartenausgabe fehlgeschlagen", english: "the card could not be ejected" }),
    (0xDE, Category::Device, Wording { german: "Karteneinzug fehlgeschlagen", english: "the card could not be taken in" }),
    (0xDF, Category::Maintenance, Wording { german: "Das Terminal ist gesperrt oder außer Betrieb", english: "the terminal is blocked or out of order" }),
    (0xE0, Category::Maintenance, Wording { german: "Fernwartung läuft", english: "remote maintenance is running" }),
    (0xE2, Category::Device, Wording { german: "Kartenleser antwortet nicht oder ist defekt", english: "the card reader is dead or broken" }),
    (0xE3, Category::Device, Wording { german: "Der Kartenschacht ist geschlossen", english: "the reader's slot is shut" }),
    (0xE4, Category::Maintenance, Wording { german: "Das Terminal muss aktiviert werden", english: "the terminal must be activated" }),
    (0xE7, Category::Fuel, Wording { german: "Eine Warengruppe wurde nicht gefunden", english: "a goods group was not found" }),
    (0xE8, Category::Fuel, Wording { german: "Keine Warengruppentabelle geladen", english: "no table of goods groups is loaded" }),
    (0xE9, Category::Fuel, Wording { german: "Restriktionscode abgelehnt", english: "the restriction code was refused" }),
    (0xEA, Category::Fuel, Wording { german: "Kartencode abgelehnt", english: "the card code was refused" }),
    (0xEB, Category::Key, Wording { german: "PIN-Verfahren unbekannt", english: "the PIN algorithm is unknown" }),
    (0xEC, Category::Key, Wording { german: "PIN kann nicht verarbeitet werden", english: "the PIN cannot be processed" }),
    (0xED, Category::Device, Wording { german: "PIN-Pad defekt (2)", english: "the PIN pad is broken (2)" }),
    (0xF0, Category::Batch, Wording { german: "Kassenschnitt nötig", english: "end of day is needed first" }),
    (0xF1, Category::Communication, Wording { german: "Offline-Fehler bei girocard oder Maestro", english: "offline error with girocard or Maestro" }),
    (0xF5, Category::Maintenance, Wording { german: "OPT-Verfahren fehlgeschlagen", english: "the OPT procedure failed" }),
    (0xF6, Category::Maintenance, Wording { german: "OPT-Daten fehlen, zuerst personalisieren", english: "OPT data are missing, personalise first" }),
    (0xFA, Category::Batch, Wording { german: "Offline-Umsätze konnten nicht gesendet werden", english: "offline transactions could not be sent" }),
    (0xFB, Category::Batch, Wording { german: "Umsatzdatensatz beschädigt", english: "a turnover record is damaged" }),
    (0xFC, Category::Device, Wording { german: "Ein nötiges Gerät fehlt oder ist defekt", english: "a needed device is missing or broken" }),
    (0xFD, Category::Communication, Wording { german: "Leitungsgeschwindigkeit nicht möglich", english: "the line speed is not available" }),
    (0xFE, Category::Protocol, Wording { german: "Register nicht vorhanden", english: "the register does not exist" }),
    (0xFF, Category::Other, Wording { german: "Systemfehler am Terminal", english: "system fault at the terminal" }),
];

/// What 01 to 63 mean at the operator card complete.
#[rustfmt::skip]
pub const CARD_COMPLETE: &[(u8, Wording)] = &[
    (0x01, Wording { german: "Bitte den Zahlungsdienst anrufen", english: "please call the acquirer" }),
    (0x02, Wording { german: "Bitte den Zahlungsdienst anrufen", english: "please call the acquirer" }),
    (0x03, Wording { german: "Vertragsnummer falsch", english: "the contract number is wrong" }),
    (0x04, Wording { german: "Karte einbehalten", english: "keep the card" }),
    (0x05, Wording { german: "Abgelehnt", english: "refused" }),
    (0x06, Wording { german: "Die Karte ist ungültig", english: "the card is invalid" }),
    (0x07, Wording { german: "Abgelehnt", english: "refused" }),
    (0x08, Wording { german: "Abgelehnt", english: "refused" }),
    (0x09, Wording { german: "Flottenkennung falsch", english: "the fleet id is wrong" }),
    (0x0A, Wording { german: "Art der Zahlung nicht erlaubt", english: "this type of transaction is not allowed" }),
    (0x0B, Wording { german: "Abgelehnt", english: "refused" }),
    (0x0C, Wording { german: "Abgelehnt", english: "refused" }),
    (0x0D, Wording { german: "Betrag ungültig", english: "the amount is invalid" }),
    (0x0E, Wording { german: "Die Karte ist ungültig", english: "the card is invalid" }),
    (0x0F, Wording { german: "Systemfehler bei der Bank", english: "system fault at the bank" }),
    (0x10, Wording { german: "Abgelehnt", english: "refused" }),
    (0x11, Wording { german: "Flottenkennung zu oft falsch", english: "the fleet id was wrong too often" }),
    (0x18, Wording { german: "Systemfehler bei der Bank", english: "system fault at the bank" }),
    (0x1E, Wording { german: "Formatfehler", english: "format fault" }),
    (0x22, Wording { german: "Abgelehnt", english: "refused" }),
    (0x29, Wording { german: "Karte einbehalten", english: "keep the card" }),
    (0x2B, Wording { german: "Karte einbehalten", english: "keep the card" }),
    (0x32, Wording { german: "Abgelehnt", english: "refused" }),
    (0x33, Wording { german: "Abgelehnt", english: "refused" }),
    (0x36, Wording { german: "Die Karte ist abgelaufen", english: "the card has expired" }),
    (0x37, Wording { german: "Falsche PIN", english: "wrong PIN" }),
    (0x38, Wording { german: "Falsche PIN", english: "wrong PIN" }),
    (0x39, Wording { german: "Falsche Karte", english: "wrong card" }),
    (0x3A, Wording { german: "Systemfehler bei der Bank", english: "system fault at the bank" }),
    (0x3F, Wording { german: "Systemfehler bei der Bank", english: "system fault at the bank" }),
    (0x40, Wording { german: "Betrag falsch", english: "the amount is wrong" }),
    (0x4C, Wording { german: "Systemfehler bei der Bank", english: "system fault at the bank" }),
    (0x50, Wording { german: "Die Karte ist abgelaufen", english: "the card has expired" }),
    (0x51, Wording { german: "Falsche PIN", english: "wrong PIN" }),
    (0x52, Wording { german: "Falsche PIN", english: "wrong PIN" }),
    (0x53, Wording { german: "Abgelehnt", english: "refused" }),
    (0x55, Wording { german: "Abgelehnt", english: "refused" }),
    (0x56, Wording { german: "Das Terminal ist nicht aktiv", english: "the terminal is not active" }),
    (0x57, Wording { german: "Initialisierung nötig", english: "initialisation is needed" }),
    (0x58, Wording { german: "Abgelehnt", english: "refused" }),
];

/// What 01 to 63 mean at the operator Lavego (CCV).
#[rustfmt::skip]
pub const LAVEGO: &[(u8, Wording)] = &[
    (0x02, Wording { german: "Abgelehnt, telefonische Genehmigung möglich", english: "refused, approval by phone is possible" }),
    (0x05, Wording { german: "Abgelehnt", english: "refused" }),
    (0x13, Wording { german: "Zu viele kontaktlose Zahlungen nacheinander", english: "too many contactless payments in a row" }),
    (0x21, Wording { german: "Die Karte ist abgelaufen", english: "the card has expired" }),
    (0x33, Wording { german: "PIN nötig, kontaktlos genügt nicht", english: "a PIN is needed, contactless is not enough" }),
    (0x3A, Wording { german: "Terminal-Id beim Betreiber nicht aktiv", english: "the terminal id is not active at the operator" }),
    (0x3D, Wording { german: "PIN nötig", english: "a PIN is needed" }),
    (0x41, Wording { german: "PIN nötig", english: "a PIN is needed" }),
];

/// What some ECRs send behind `84 6C` to make terminals of card complete stop without a text on their display.
pub const STOP_WITHOUT_TEXT: u8 = 0x21;

/// The wording of a code. Prefer the terminal's own text ([`crate::fields::Fields::message`]) where there is one.
///
/// A host's code is worded as a refusal, which is what it means at every operator; a number of the standard that
/// is not listed is worded as unknown.
pub fn wording(code: u8) -> Wording {
    match row(code) {
        Some(row) => row.2,
        None if is_host_code(code) => Wording { german: "Von der Bank abgelehnt", english: "refused by the bank" },
        None => Wording { german: "Unbekannter Fehler am Terminal", english: "unknown fault at the terminal" },
    }
}

/// The category of a code.
pub fn category(code: u8) -> Category {
    match row(code) {
        Some(row) => row.1,
        None if is_host_code(code) => Category::Host,
        None => Category::Other,
    }
}

fn row(code: u8) -> Option<&'static (u8, Category, Wording)> {
    let place = RESULT_CODES.binary_search_by_key(&code, |row| row.0).ok()?;
    RESULT_CODES.get(place)
}

/// 1 to 99 in decimal.
fn is_host_code(code: u8) -> bool {
    (0x01..=0x63).contains(&code)
}
