//! What the terminal's messages look like: shaped like the captured ones, with cards drawn by the seed.

use jiff::ZonedDateTime;
use tillswitch_core::Operation;

use super::book::Booking;
use super::terminal::{Memory, Registered};
use crate::apdu::{Apdu, control};
use crate::bcd;
use crate::bmp::{BmpError, tag};
use crate::charset::Charset;
use crate::clock::{Date, MonthDay, TimeOfDay};
use crate::fields::Fields;
use crate::slip::{LineAttribute, SlipKind, SlipLine, print_block};
use crate::tlv::{self, Tlv};

/// The software version in the completion of 05 01.
const SOFTWARE_VERSION: &str = "TILLSWITCH-SIM 1";
/// Contract number (BMP 2A), fifteen characters.
const CONTRACT_NUMBER: &str = "100 0123456    ";
/// Application identifier (tag 43).
const AID: u32 = 0x43;
/// Cardholder authentication (tag 1F10): online PIN.
const AUTHENTICATION: (u32, &[u8]) = (0x1F10, &[0x02]);
/// Card technology (tag 1F12): chip.
const TECHNOLOGY: (u32, &[u8]) = (0x1F12, &[0x01]);
/// Payment kind (BMP 19 in 04 0F): PIN payment.
const PIN_PAYMENT: u8 = 0x70;
/// Card sequence number (BMP 17).
const CARD_SEQUENCE: u8 = 0x17;
/// Totals by card (BMP 60).
const TOTALS: u8 = 0x60;
/// Width of the lines of a slip.
const SLIP_COLUMNS: usize = 24;

/// Card type (BMP 8A), product name (BMP 8B), AID.
const CARDS: &[(u8, &str, &[u8])] = &[
    (0x2E, "Debit Mastercard", &[0xA0, 0x00, 0x00, 0x00, 0x04, 0x10, 0x10]),
    (0x05, "girocard", &[0xA0, 0x00, 0x00, 0x03, 0x59, 0x10, 0x10, 0x02, 0x80, 0x01]),
    (0x0A, "Visa Debit", &[0xA0, 0x00, 0x00, 0x00, 0x03, 0x10, 0x10]),
];

/// Everything that the wording of a message depends on besides the transaction.
pub(super) struct Voice {
    pub registered: Registered,
    pub terminal_id: String,
    pub clock: ZonedDateTime,
    pub seed: u64,
}

impl Voice {
    /// For a transaction of that moment, or of now.
    pub fn new(memory: &Memory, seed: u64, at_unix_ms: Option<u64>) -> Voice {
        Voice {
            registered: memory.registered.clone(),
            terminal_id: memory.terminal_id.clone(),
            clock: memory.clock(at_unix_ms),
            seed,
        }
    }

    fn charset(&self) -> Charset {
        self.registered.charset.unwrap_or_default()
    }

    /// The container, if the ECR takes one.
    fn with_container(&self, fields: Fields, tlv: &Tlv) -> Result<Fields, BmpError> {
        if self.registered.containers { fields.with_tlv(tlv) } else { Ok(fields) }
    }

    fn text(&self, lines: &str) -> Tlv {
        let lines = Tlv::new().with(tlv::tag::TEXT_LINE, &self.charset().encode(lines));
        Tlv::new().with_container(tlv::tag::DISPLAY_TEXTS, lines)
    }
}

/// 04 0F of a transaction that was booked. One that was taken back is repeated with 27 6C.
pub(super) fn approved(booking: &Booking, voice: &Voice) -> Result<Apdu, BmpError> {
    let drawn = draw(voice.seed, booking.trace.parse().unwrap_or(0));
    let (card_type, card_name, aid) = CARDS[(drawn % CARDS.len() as u64) as usize];
    let code = format!("{:06}", drawn / 10_000 % 1_000_000);
    let taken_back = booking.taken_back && booking.operation != Operation::Reversal;
    let mut fields = Fields::new()
        .with_result_code(if taken_back { 0x6C } else { 0x00 })?
        .with_amount(booking.amount.minor())?
        .with_trace_number(&booking.trace)?;
    if let Some((_, trace)) = &booking.undone {
        fields = fields.with_original_trace_number(trace)?;
    }
    let fields = fields
        .with_clock(month_day(&voice.clock), time_of_day(&voice.clock))?
        .with(CARD_SEQUENCE, &[0x00, 0x01])?
        .with(tag::TYPE, &[PIN_PAYMENT])?
        .with_card_number(&format!("************{}", last4(drawn)))?
        .with_terminal_id(&booking.terminal_id)?
        .with(tag::CONTRACT_NUMBER, CONTRACT_NUMBER.as_bytes())?
        .with_authorization_code(&code)?
        .with_additional_text(&format!("GEN.NR.:{code}"), voice.charset())?
        .with_currency(booking.amount.currency().numeric())?
        .with_receipt_number(&booking.receipt)?
        .with_turnover_number(&booking.trace)?
        .with(tag::CARD_TYPE, &[card_type])?
        .with_card_name(card_name, voice.charset())?;
    let container = voice
        .text(&format!("GEN.NR.:{code}"))
        .with_container(tlv::tag::APPLICATION, Tlv::new().with(AID, aid))
        .with(AUTHENTICATION.0, AUTHENTICATION.1)
        .with(TECHNOLOGY.0, TECHNOLOGY.1);
    Ok(Apdu::new(control::STATUS_INFORMATION, voice.with_container(fields, &container)?.encode()))
}

/// 04 0F of a transaction that failed.
pub(super) fn failed(code: u8, text: &str, trace: &str, voice: &Voice) -> Result<Apdu, BmpError> {
    let fields = Fields::new()
        .with_result_code(code)?
        .with_trace_number(trace)?
        .with_terminal_id(&voice.terminal_id)?
        .with_additional_text(text, voice.charset())?;
    let fields = voice.with_container(fields, &voice.text(text))?;
    Ok(Apdu::new(control::STATUS_INFORMATION, fields.encode()))
}

/// 04 0F with nothing but a result code.
pub(super) fn bare_result(code: u8) -> Apdu {
    Apdu::new(control::STATUS_INFORMATION, vec![tag::RESULT_CODE, code])
}

/// 06 0F as after a payment.
pub(super) fn completion() -> Apdu {
    Apdu::new(control::COMPLETION, Vec::new())
}

/// 06 1E with a result code.
pub(super) fn abort(code: u8) -> Apdu {
    Apdu::new(control::ABORT, vec![code])
}

/// 04 FF with a code, and with a text where the ECR takes a container.
pub(super) fn intermediate_status(code: u8, text: &str, voice: &Voice) -> Apdu {
    let mut data = vec![code];
    if voice.registered.containers && !text.is_empty() {
        // The timeout must stand in front of a container: the wait is one minute from here.
        data.push(0x01);
        let container = voice.text(text).encode();
        data.push(tag::TLV);
        tlv::write_length(&mut data, container.len());
        data.extend(container);
    }
    Apdu::new(control::INTERMEDIATE_STATUS, data)
}

/// 06 0F of a registration.
pub(super) fn registration_completion(status: u8, currency: u16, voice: &Voice) -> Result<Apdu, BmpError> {
    let fields =
        Fields::new().with(tag::TYPE, &[status])?.with_terminal_id(&voice.terminal_id)?.with_currency(currency)?;
    let fields = match voice.registered.charset {
        Some(asked) => {
            let chosen = Tlv::new().with(tlv::tag::CHARACTER_SET, &[asked.tag_value()]);
            fields.with_tlv(&Tlv::new().with_container(tlv::tag::CHARACTER_SETS, chosen))?
        }
        None => fields,
    };
    Ok(Apdu::new(control::COMPLETION, fields.encode()))
}

/// 06 0F of a status enquiry, which has a layout of its own.
pub(super) fn status_completion(status: u8, with_version: bool, with_details: bool, voice: &Voice) -> Apdu {
    let mut data = Vec::new();
    if with_version {
        data.extend(crate::bmp::encode_decimal_length(SOFTWARE_VERSION.len(), 3));
        data.extend(SOFTWARE_VERSION.as_bytes());
    }
    data.push(status);
    if with_details {
        let container = details(voice).encode();
        data.push(tag::TLV);
        tlv::write_length(&mut data, container.len());
        data.extend(container);
    }
    Apdu::new(control::COMPLETION, data)
}

/// 04 01: the terminal's clock.
pub(super) fn set_clock(voice: &Voice) -> Result<Apdu, BmpError> {
    let fields = Fields::new()
        .with(tag::DATE_WITH_YEAR, &date(&voice.clock).to_bcd())?
        .with(tag::TIME, &time_of_day(&voice.clock).to_bcd())?;
    Ok(Apdu::new(control::SET_CLOCK, fields.encode()))
}

/// 04 0F of an end of day: first and last receipt, and the sums by card.
pub(super) fn totals(bookings: &[Booking], trace: &str, voice: &Voice) -> Result<Apdu, BmpError> {
    let sum: u64 = bookings.iter().filter(|booking| booking.operation == Operation::Sale).map(minor).sum();
    let fields = Fields::new()
        .with_result_code(0)?
        .with_amount(sum)?
        .with_trace_number(trace)?
        .with_clock(month_day(&voice.clock), time_of_day(&voice.clock))?
        .with(TOTALS, &totals_by_card(bookings, sum))?;
    Ok(Apdu::new(control::STATUS_INFORMATION, fields.encode()))
}

/// A customer's slip, line by line (06 D1) or as a block (06 D3).
pub(super) fn payment_slip(booking: &Booking, blocks: bool, voice: &Voice) -> Result<Vec<Apdu>, BmpError> {
    let what = match booking.operation {
        Operation::Sale => "Kartenzahlung",
        Operation::Refund => "Gutschrift",
        Operation::Reversal => "Storno",
    };
    let lines = [
        what.to_owned(),
        String::new(),
        columns("Terminal-ID", &booking.terminal_id),
        columns("Beleg-Nr.", &booking.receipt),
        columns("Betrag", &booking.amount.to_string()),
        "Zahlung erfolgt".to_owned(),
    ];
    slip(SlipKind::Customer, &lines, blocks, voice)
}

/// The slip of an end of day or a diagnosis.
pub(super) fn administration_slip(title: &str, blocks: bool, voice: &Voice) -> Result<Vec<Apdu>, BmpError> {
    let lines = [title.to_owned(), columns("Terminal-ID", &voice.terminal_id)];
    slip(SlipKind::Administration, &lines, blocks, voice)
}

/// A number that only the seed and the place decide (SplitMix64).
pub(super) fn draw(seed: u64, place: u64) -> u64 {
    let mixed = seed.wrapping_add(place.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

fn slip(kind: SlipKind, lines: &[String], blocks: bool, voice: &Voice) -> Result<Vec<Apdu>, BmpError> {
    let charset = voice.charset();
    if blocks {
        let lines: Vec<SlipLine> = lines.iter().map(|line| SlipLine::new(LineAttribute(0), line.as_str())).collect();
        let fields = Fields::new().with_tlv(&print_block(kind, &lines, charset))?;
        return Ok(vec![Apdu::new(control::PRINT_BLOCK, fields.encode())]);
    }
    let last = lines.len().saturating_sub(1);
    let attribute = |place| if place == last { LineAttribute::LAST_LINE.0 } else { 0x00 };
    let line = |(place, text): (usize, &String)| {
        Apdu::new(control::PRINT_LINE, [vec![attribute(place)], charset.encode(text)].concat())
    };
    Ok(lines.iter().enumerate().map(line).collect())
}

fn columns(left: &str, right: &str) -> String {
    format!("{left}{right:>width$}", width = SLIP_COLUMNS.saturating_sub(left.chars().count()))
}

fn last4(drawn: u64) -> String {
    format!("{:04}", drawn / 3 % 10_000)
}

fn minor(booking: &Booking) -> u64 {
    booking.amount.minor()
}

/// Seven times a count and a sum; everything counts as the third card, Mastercard.
fn totals_by_card(bookings: &[Booking], sum: u64) -> Vec<u8> {
    let receipt = |booking: Option<&Booking>| {
        let digits = booking.map_or("0", |booking| booking.receipt.as_str());
        bcd::from_digits::<2>(digits).unwrap_or_default()
    };
    let sales = bookings.iter().filter(|booking| booking.operation == Operation::Sale).count();
    let mut bytes = [receipt(bookings.first()), receipt(bookings.last())].concat();
    for card in 0..7 {
        let (count, sum) = if card == 2 { (sales, sum) } else { (0, 0) };
        bytes.push(u8::try_from(count).unwrap_or(u8::MAX));
        bytes.extend(bcd::from_number::<6>(sum).unwrap_or_default());
    }
    bytes
}

fn details(voice: &Voice) -> Tlv {
    let id = bcd::from_digits::<4>(&voice.terminal_id).unwrap_or_default();
    let date = date(&voice.clock);
    let year = bcd::from_number::<2>(date.year.into()).unwrap_or_default();
    let long_date = [year.as_slice(), &MonthDay { month: date.month, day: date.day }.to_bcd()].concat();
    let clock = Tlv::new().with(tlv::tag::DATE, &long_date).with(tlv::tag::TIME, &time_of_day(&voice.clock).to_bcd());
    Tlv::new().with(tlv::tag::TERMINAL_ID, &id).with_container(tlv::tag::TERMINAL_CLOCK, clock)
}

fn small(value: i8) -> u8 {
    value.unsigned_abs()
}

fn date(clock: &ZonedDateTime) -> Date {
    Date { year: clock.year().unsigned_abs(), month: small(clock.month()), day: small(clock.day()) }
}

fn month_day(clock: &ZonedDateTime) -> MonthDay {
    MonthDay { month: small(clock.month()), day: small(clock.day()) }
}

fn time_of_day(clock: &ZonedDateTime) -> TimeOfDay {
    TimeOfDay { hour: small(clock.hour()), minute: small(clock.minute()), second: small(clock.second()) }
}
