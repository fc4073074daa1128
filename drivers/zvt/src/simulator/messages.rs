//! What the terminal's messages look like: shaped like the captured ones, with cards drawn by the seed.

use jiff::ZonedDateTime;
use tillswitch_core::{Currency, Money, Operation};

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
use crate::totals::{BRANDS, BrandTotal, Totals};

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
/// Width of the lines of a slip.
const SLIP_COLUMNS: usize = 24;

/// A customer's card.
struct Card {
    /// BMP 8A.
    card_type: u8,
    /// Product name (BMP 8B).
    name: &'static str,
    /// Under which of [`BRANDS`] it is added up.
    brand: &'static str,
    /// AID.
    application: &'static [u8],
}

const CARDS: &[Card] = &[
    Card {
        card_type: 0x2E,
        name: "Debit Mastercard",
        brand: "Mastercard",
        application: &[0xA0, 0x00, 0x00, 0x00, 0x04, 0x10, 0x10],
    },
    Card {
        card_type: 0x05,
        name: "girocard",
        brand: "girocard",
        application: &[0xA0, 0x00, 0x00, 0x03, 0x59, 0x10, 0x10, 0x02, 0x80, 0x01],
    },
    Card {
        card_type: 0x0A,
        name: "Visa Debit",
        brand: "Visa",
        application: &[0xA0, 0x00, 0x00, 0x00, 0x03, 0x10, 0x10],
    },
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
    let drawn = drawn_for(booking, voice);
    let card = card(drawn);
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
        .with(tag::CARD_TYPE, &[card.card_type])?
        .with_card_name(card.name, voice.charset())?;
    let container = voice
        .text(&format!("GEN.NR.:{code}"))
        .with_container(tlv::tag::APPLICATION, Tlv::new().with(AID, card.application))
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

/// 04 0F of an end of day: the sum, first and last receipt, and the sums by card brand.
pub(super) fn totals(totals: &Totals, trace: &str, voice: &Voice) -> Result<Apdu, BmpError> {
    let fields = Fields::new()
        .with_result_code(0)?
        .with_amount(totals.total_minor())?
        .with_trace_number(trace)?
        .with_clock(month_day(&voice.clock), time_of_day(&voice.clock))?
        .with(tag::TOTALS, &totals.to_bytes().unwrap_or_default())?;
    Ok(Apdu::new(control::STATUS_INFORMATION, fields.encode()))
}

/// Adds up what stands of a business day: sales, less what was paid back. The field has no room for a minus, nor for more
/// than 255 transactions of one brand.
pub(super) fn day(bookings: &[Booking], voice: &Voice) -> Totals {
    let receipt = |booking: Option<&Booking>| Some(booking.map_or("0000", |booking| &booking.receipt).to_owned());
    let brands = BRANDS.map(|brand| {
        let of_brand = bookings.iter().filter(|booking| card(drawn_for(booking, voice)).brand == brand);
        let minor = |operation| {
            of_brand
                .clone()
                .filter(|booking| booking.operation == operation)
                .map(|booking| booking.amount.minor())
                .sum()
        };
        let (sales, refunds): (u64, u64) = (minor(Operation::Sale), minor(Operation::Refund));
        let count = u8::try_from(of_brand.clone().count()).unwrap_or(u8::MAX);
        BrandTotal { brand, count, amount_minor: sales.saturating_sub(refunds) }
    });
    Totals { first_receipt: receipt(bookings.first()), last_receipt: receipt(bookings.last()), brands }
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
pub(super) fn administration_slip(lines: &[String], blocks: bool, voice: &Voice) -> Result<Vec<Apdu>, BmpError> {
    let head = lines.iter().take(1).cloned().chain([columns("Terminal-ID", &voice.terminal_id)]);
    let lines: Vec<String> = head.chain(lines.iter().skip(1).cloned()).collect();
    slip(SlipKind::Administration, &lines, blocks, voice)
}

/// What stands on the slip of an end of day.
pub(super) fn day_lines(totals: &Totals, currency: Currency) -> Vec<String> {
    let line = |name: &str, minor| columns(name, &Money::from_minor(minor, currency).to_string());
    let brands = totals.used().map(|total| line(&format!("{} {}x", total.brand, total.count), total.amount_minor));
    let sum = line("Summe", totals.total_minor());
    ["Kassenschnitt".to_owned()].into_iter().chain(brands).chain([sum]).collect()
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

/// What chance brings with a transaction.
fn drawn_for(booking: &Booking, voice: &Voice) -> u64 {
    draw(voice.seed, booking.trace.parse().unwrap_or(0))
}

fn card(drawn: u64) -> &'static Card {
    &CARDS[(drawn % CARDS.len() as u64) as usize]
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
