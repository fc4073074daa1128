//! What single bytes mean whose bits or values the standard lists: payment type, config byte, attributes and the like.

/// A value of a byte, or of some of its bits, and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// Which bits count.
    pub mask: u8,
    /// What they must be.
    pub value: u8,
    /// What that means.
    pub english: &'static str,
}

/// What a byte says by one of the tables, in the order of the table.
///
/// A row whose mask is 00 holds for what no other row knows.
///
/// ```
/// use tillswitch_zvt::tables::bit_fields::{PAYMENT_TYPE, meanings};
/// let said: Vec<_> = meanings(PAYMENT_TYPE, 0x44).collect();
/// assert_eq!(said, ["the PT decides, without GeldKarte", "the ECR's printer is ready"]);
/// ```
pub fn meanings(table: &'static [Meaning], byte: u8) -> impl Iterator<Item = &'static str> {
    let fits = move |row: &Meaning| row.mask != 0 && byte & row.mask == row.value;
    let none_fits = !table.iter().any(fits);
    table.iter().filter(move |row| fits(row) || (row.mask == 0 && none_fits)).map(|row| row.english)
}

/// BMP 19 of a payment: how it shall be paid.
#[rustfmt::skip]
pub const PAYMENT_TYPE: &[Meaning] = &[
    row(0xF0, 0x00, "direct debit; other cards: offline"),
    row(0xF0, 0x10, "GeldKarte"),
    row(0xF0, 0x20, "online without PIN; other cards: online"),
    row(0xF0, 0x30, "with PIN"),
    row(0xF0, 0x40, "the PT decides, without GeldKarte"),
    row(0xF0, 0x50, "the PT decides, with GeldKarte"),
    row(0x08, 0x08, "a tip may follow (06 0C)"),
    row(0x04, 0x04, "the ECR's printer is ready"),
    row(0x02, 0x02, "with the card read before (06 C0)"),
    row(0x01, 0x01, "reserved"),
];

/// BMP 19 of a result (04 0F): how it was paid.
#[rustfmt::skip]
pub const PAYMENT_KIND: &[Meaning] = &[
    row(0xFF, 0x40, "offline"),
    row(0xFF, 0x50, "card checked without authorisation"),
    row(0xFF, 0x60, "online"),
    row(0xFF, 0x70, "with PIN"),
];

/// BMP 19 in the completion of a registration: what the PT asks for, and in which mode it is.
#[rustfmt::skip]
pub const STATUS_BYTE: &[Meaning] = &[
    row(0x01, 0x01, "initialisation needed"),
    row(0x02, 0x02, "diagnosis needed"),
    row(0x04, 0x04, "OPT action needed"),
    row(0x08, 0x08, "fuel pump mode"),
    row(0x10, 0x10, "vending machine mode"),
    row(0xE0, 0xE0, "reserved"),
];

/// BMP 19 of 06 C0: what shall be read.
#[rustfmt::skip]
pub const CARD_READER: &[Meaning] = &[
    row(0xF0, 0x10, "chip card"),
    row(0xF0, 0x20, "chip card"),
    row(0xF0, 0x50, "chip and stripe"),
    row(0x00, 0x00, "stripe"),
];

/// The config byte of a registration (06 00).
#[rustfmt::skip]
pub const CONFIG_BYTE: &[Meaning] = &[
    row(0x01, 0x01, "reserved"),
    row(0x02, 0x02, "payment receipts by the ECR"),
    row(0x04, 0x04, "administration receipts by the ECR"),
    row(0x08, 0x08, "intermediate status wanted"),
    row(0x10, 0x10, "no payment by the keypad"),
    row(0x20, 0x20, "no administration by the keypad"),
    row(0x40, 0x40, "reserved"),
    row(0x80, 0x80, "receipts as print commands"),
];

/// Config bytes that are in use, as a whole.
#[rustfmt::skip]
pub const USUAL_CONFIG_BYTES: &[Meaning] = &[
    row(0xFF, 0xBE, "all receipts by the ECR as print commands, intermediate status, keypad locked"),
    row(0xFF, 0xBA, "payment receipts by the ECR, intermediate status, keypad locked"),
    row(0xFF, 0xB6, "all receipts by the ECR as print commands, keypad locked"),
    row(0xFF, 0x3E, "the ECR builds the receipts, intermediate status, keypad locked"),
    row(0xFF, 0x8E, "all receipts by the ECR, intermediate status, keypad free"),
    row(0xFF, 0x08, "the PT prints, intermediate status, keypad free"),
    row(0xFF, 0x86, "what the PT falls back to after a log-off"),
    row(0xFF, 0xDE, "as Feig terminals are registered on"),
    row(0xFF, 0xB8, "the PT prints, intermediate status, keypad locked"),
];

/// BMP 03 of a registration (06 00).
#[rustfmt::skip]
pub const SERVICE_BYTE_OF_REGISTRATION: &[Meaning] = &[
    row(0x01, 0x01, "no service menu by function key"),
    row(0x02, 0x02, "texts in capitals"),
];

/// BMP 03 of a status enquiry (05 01).
#[rustfmt::skip]
pub const SERVICE_BYTE_OF_STATUS_ENQUIRY: &[Meaning] = &[
    row(0x01, 0x01, "no service menu by function key"),
    row(0x02, 0x02, "completion without software version"),
    row(0x04, 0x04, "completion with TLV details"),
];

/// BMP 03 of repeat receipt (06 20).
#[rustfmt::skip]
pub const SERVICE_BYTE_OF_REPEAT_RECEIPT: &[Meaning] = &[
    row(0x01, 0x01, "the last result again"),
    row(0x02, 0x02, "no receipt"),
];

/// BMP 03 of 08 01.
#[rustfmt::skip]
pub const SERVICE_BYTE_OF_SERVICE_MODE: &[Meaning] = &[
    row(0x01, 0x01, "no service menu by function key"),
];

/// The attribute of a line: first byte of 06 D1, tag 09 in 06 D3.
#[rustfmt::skip]
pub const LINE_ATTRIBUTE: &[Meaning] = &[
    row(0xFF, 0x00, "plain text, no indent"),
    row(0xF0, 0x00, "plain text, indented"),
    row(0x80, 0x80, "last line"),
    row(0xFF, 0xFF, "line feed"),
    row(0x40, 0x40, "centred"),
    row(0x20, 0x20, "double width"),
    row(0x10, 0x10, "double height"),
];

/// Tag 1F04, first byte: which receipts are wanted.
#[rustfmt::skip]
pub const RECEIPT_WISHES: &[Meaning] = &[
    row(0x80, 0x80, "customer receipt wanted when approved"),
    row(0x40, 0x40, "customer receipt wanted when not approved"),
    row(0x20, 0x20, "merchant receipt wanted when approved"),
    row(0x10, 0x10, "merchant receipt wanted when not approved"),
    row(0x08, 0x08, "customer receipt first"),
    row(0x04, 0x04, "short receipt"),
    row(0x02, 0x02, "no product data"),
    row(0x01, 0x01, "print commands for this command all the same"),
];

/// Tag 1F04, second byte.
#[rustfmt::skip]
pub const RECEIPT_WISHES_2: &[Meaning] = &[
    row(0x80, 0x80, "barcodes in print blocks"),
];

/// Tag 1F07: whom a receipt is for.
#[rustfmt::skip]
pub const RECEIPT_KIND: &[Meaning] = &[
    row(0xFF, 0x01, "merchant receipt"),
    row(0xFF, 0x02, "customer receipt"),
    row(0xFF, 0x03, "administration receipt"),
];

/// Tag 1F37, first byte: what a receipt is about.
#[rustfmt::skip]
pub const RECEIPT_INFORMATION: &[Meaning] = &[
    row(0x01, 0x01, "receipt of an approved payment"),
    row(0x02, 0x02, "has a signature line (with 01)"),
    row(0x04, 0x04, "receipt of a refused or stopped payment"),
    row(0x80, 0x80, "must be printed"),
];

/// Tag 1F10: how the cardholder was checked.
#[rustfmt::skip]
pub const CARDHOLDER_AUTHENTICATION: &[Meaning] = &[
    row(0xFF, 0x00, "none"),
    row(0xFF, 0x01, "signature"),
    row(0xFF, 0x02, "online PIN"),
    row(0xFF, 0x03, "offline PIN encrypted"),
    row(0xFF, 0x04, "offline PIN plain"),
    row(0xFF, 0x05, "offline PIN encrypted and signature"),
    row(0xFF, 0x06, "offline PIN plain and signature"),
    row(0xFF, 0x07, "online PIN and signature"),
    row(0xFF, 0xFF, "unknown"),
];

/// Tag 1F11: whether the host was asked.
#[rustfmt::skip]
pub const ONLINE_FLAG: &[Meaning] = &[
    row(0xFF, 0x00, "offline"),
    row(0xFF, 0x01, "online"),
];

/// Tag 1F12: how the card was read.
#[rustfmt::skip]
pub const CARD_TECHNOLOGY: &[Meaning] = &[
    row(0xFF, 0x00, "stripe"),
    row(0xFF, 0x01, "chip"),
    row(0xFF, 0x02, "contactless"),
];

/// Tag 1F06: which step of a reservation.
#[rustfmt::skip]
pub const RESERVATION_KIND: &[Meaning] = &[
    row(0xFF, 0x01, "pre-authorisation"),
    row(0xFF, 0x02, "reservation"),
    row(0xFF, 0x03, "extension"),
    row(0xFF, 0x04, "book total"),
    row(0xFF, 0x05, "booking"),
    row(0xFF, 0x06, "reservation by phone"),
    row(0xFF, 0x07, "extension by phone"),
];

/// Tag 1B: which diagnosis.
#[rustfmt::skip]
pub const DIAGNOSIS_KIND: &[Meaning] = &[
    row(0xFF, 0x01, "line"),
    row(0xFF, 0x02, "extended (default)"),
    row(0xFF, 0x03, "configuration"),
    row(0xFF, 0x04, "EMV configuration"),
    row(0xFF, 0x05, "EP2 configuration"),
    row(0xFF, 0xF1, "parameter download"),
];

/// Tag 1F26: how the day is closed.
#[rustfmt::skip]
pub const END_OF_DAY_MODE: &[Meaning] = &[
    row(0xFF, 0x00, "normal"),
    row(0xFF, 0x01, "forced"),
    row(0xFF, 0x02, "automatic"),
];

/// Tag 1F01: which receipt shall be repeated.
#[rustfmt::skip]
pub const RECEIPT_ID: &[Meaning] = &[
    row(0xFF, 0x01, "last receipt"),
    row(0xFF, 0x02, "merchant payment receipt"),
    row(0xFF, 0x03, "customer payment receipt"),
    row(0xFF, 0x04, "batch close"),
    row(0xFF, 0x05, "journal"),
    row(0xFF, 0x06, "reconciliation"),
];

/// Tag 1F60: by which ways a card may be read.
#[rustfmt::skip]
pub const ALLOWED_TECHNOLOGY: &[Meaning] = &[
    row(0x01, 0x01, "stripe"),
    row(0x02, 0x02, "chip"),
    row(0x04, 0x04, "contactless"),
];

/// Tag 1F15: what shall be told about a card.
#[rustfmt::skip]
pub const CARD_READING_WISHES: &[Meaning] = &[
    row(0x80, 0x80, "deliver 1F14 (hash or token)"),
    row(0x40, 0x40, "deliver card UID in 4C"),
    row(0x20, 0x20, "deliver purse balance in 1F3F"),
    row(0x03, 0x01, "1F14 by online method"),
    row(0x03, 0x02, "1F14 by offline SHA-256"),
];

/// Tag 1F05: what a transaction shall bring besides.
#[rustfmt::skip]
pub const TRANSACTION_WISHES: &[Meaning] = &[
    row(0x80, 0x80, "deliver data of cards that the PT cannot use"),
    row(0x40, 0x40, "activate the swipe reader"),
];

/// Tag 1F3B: what may follow a transaction.
#[rustfmt::skip]
pub const TRANSACTION_INFORMATION: &[Meaning] = &[
    row(0x01, 0x01, "a tip may follow (06 0C)"),
];

/// Tag 40, first byte: which EMV data are wanted.
#[rustfmt::skip]
pub const EMV_WISHES: &[Meaning] = &[
    row(0x80, 0x80, "application label (42)"),
    row(0x40, 0x40, "preferred name (44)"),
    row(0x20, 0x20, "print data for the customer (46)"),
    row(0x10, 0x10, "print data for the merchant (47)"),
    row(0x08, 0x08, "receipt header (64)"),
    row(0x04, 0x04, "receipt advertising (65)"),
    row(0x02, 0x02, "customer receipt data (66)"),
    row(0x01, 0x01, "merchant receipt data (67)"),
];

/// Tag 1F55, first byte: what keeps the terminal from working.
#[rustfmt::skip]
pub const TERMINAL_LOCKS: &[Meaning] = &[
    row(0x80, 0x80, "end of day"),
    row(0x40, 0x40, "initialisation"),
    row(0x20, 0x20, "diagnosis"),
    row(0x10, 0x10, "service"),
    row(0x08, 0x08, "out of order"),
    row(0x04, 0x04, "printer"),
    row(0x02, 0x02, "start-up"),
    row(0x01, 0x01, "a module was changed"),
];

/// BMP FC: who leads the dialog.
#[rustfmt::skip]
pub const DIALOG_CONTROL: &[Meaning] = &[
    row(0x01, 0x01, "the PT shows its own prompts"),
    row(0x01, 0x00, "the ECR shows the prompts"),
    row(0x02, 0x02, "no beeps (Feig)"),
];

/// All of them by name, for checks and look-ups.
#[rustfmt::skip]
pub const BIT_FIELDS: &[(&str, &[Meaning])] = &[
    ("ALLOWED_TECHNOLOGY", ALLOWED_TECHNOLOGY),
    ("CARDHOLDER_AUTHENTICATION", CARDHOLDER_AUTHENTICATION),
    ("CARD_READER", CARD_READER),
    ("CARD_READING_WISHES", CARD_READING_WISHES),
    ("CARD_TECHNOLOGY", CARD_TECHNOLOGY),
    ("CONFIG_BYTE", CONFIG_BYTE),
    ("DIAGNOSIS_KIND", DIAGNOSIS_KIND),
    ("DIALOG_CONTROL", DIALOG_CONTROL),
    ("EMV_WISHES", EMV_WISHES),
    ("END_OF_DAY_MODE", END_OF_DAY_MODE),
    ("LINE_ATTRIBUTE", LINE_ATTRIBUTE),
    ("ONLINE_FLAG", ONLINE_FLAG),
    ("PAYMENT_KIND", PAYMENT_KIND),
    ("PAYMENT_TYPE", PAYMENT_TYPE),
    ("RECEIPT_ID", RECEIPT_ID),
    ("RECEIPT_INFORMATION", RECEIPT_INFORMATION),
    ("RECEIPT_KIND", RECEIPT_KIND),
    ("RECEIPT_WISHES", RECEIPT_WISHES),
    ("RECEIPT_WISHES_2", RECEIPT_WISHES_2),
    ("RESERVATION_KIND", RESERVATION_KIND),
    ("SERVICE_BYTE_OF_REGISTRATION", SERVICE_BYTE_OF_REGISTRATION),
    ("SERVICE_BYTE_OF_REPEAT_RECEIPT", SERVICE_BYTE_OF_REPEAT_RECEIPT),
    ("SERVICE_BYTE_OF_SERVICE_MODE", SERVICE_BYTE_OF_SERVICE_MODE),
    ("SERVICE_BYTE_OF_STATUS_ENQUIRY", SERVICE_BYTE_OF_STATUS_ENQUIRY),
    ("STATUS_BYTE", STATUS_BYTE),
    ("TERMINAL_LOCKS", TERMINAL_LOCKS),
    ("TRANSACTION_INFORMATION", TRANSACTION_INFORMATION),
    ("TRANSACTION_WISHES", TRANSACTION_WISHES),
    ("USUAL_CONFIG_BYTES", USUAL_CONFIG_BYTES),
];

const fn row(mask: u8, value: u8, english: &'static str) -> Meaning {
    Meaning { mask, value, english }
}
