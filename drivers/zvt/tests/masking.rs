//! Whether a card number, a password or a slip can get into a trace or into `Debug` output.
//!
//! Synthetic card numbers with a valid check digit are put into every field that may hold one, in every form.

use tillswitch_zvt::apdu::{Apdu, ControlField, control};
use tillswitch_zvt::bcd;
use tillswitch_zvt::bmp::{Encoding, Length};
use tillswitch_zvt::charset::Charset;
use tillswitch_zvt::command::Command;
use tillswitch_zvt::decode::{self, Disclosure, Item};
use tillswitch_zvt::fields::Fields;
use tillswitch_zvt::reply::Reply;
use tillswitch_zvt::tables::bmps::BMPS;
use tillswitch_zvt::tlv::Tlv;
use tillswitch_zvt::trace::{self, Direction};

/// Tags of containers that may hold card data, personal data or keys.
const SENSITIVE_TAGS: &[u32] = &[
    0x07, 0x0B, 0x42, 0x44, 0x46, 0x47, 0x4C, 0x4D, 0x4E, 0x80, 0x81, 0x1F08, 0x1F09, 0x1F0A, 0x1F0C, 0x1F14, 0x1F16,
    0x1F17, 0x1F1A, 0x1F2A, 0x1F31, 0x1F3C, 0x1F3D, 0x1F3E, 0x1F45, 0x1F46, 0x1F51, 0x1F52, 0x1F5C, 0x1F5D, 0x1F5E,
    0x1F5F, 0x1F66, 0x1F74, 0x1F75, 0x1F8007, 0x1F8008, 0x9F5B, 0xFF40,
];

/// Commands whose data are fields, or fields behind something shorter.
const COMMANDS: &[ControlField] = &[
    control::STATUS_INFORMATION,
    control::INTERMEDIATE_STATUS,
    control::COMPLETION,
    control::ABORT,
    control::AUTHORIZATION,
    control::REFUND,
    control::REVERSAL,
    control::REGISTRATION,
    control::STATUS_ENQUIRY,
    control::REPEAT_RECEIPT,
    control::END_OF_DAY,
    control::DIAGNOSIS,
    control::PRINT_LINE,
    control::PRINT_BLOCK,
    control::DISPLAY_TEXT,
    control::SET_CLOCK,
    control::POSITIVE,
    [control::NEGATIVE_CLASS, 0x1E],
    [0x06, 0xC0],
    [0x06, 0x22],
    [0x0F, 0xA1],
];

#[test]
fn card_numbers_in_every_field() {
    for number in card_numbers() {
        for form in forms(&number) {
            for field in fields_with(&form) {
                for control in COMMANDS {
                    check(&number, *control, &field);
                }
            }
        }
    }
}

#[test]
fn card_numbers_in_every_container() {
    for number in card_numbers() {
        for form in forms(&number) {
            for tag in SENSITIVE_TAGS {
                for parent in [None, Some(0x60), Some(0x24), Some(0x25), Some(0x2D), Some(0xE4)] {
                    check(&number, control::STATUS_INFORMATION, &container_with(*tag, parent, &form));
                    check(&number, control::PRINT_BLOCK, &container_with(*tag, parent, &form));
                }
            }
        }
    }
}

#[test]
fn card_numbers_split_over_two_lines() {
    let number = &card_numbers()[0];
    let (first, second) = number.as_bytes().split_at(number.len() / 2);
    let texts = Tlv::new().with(0x07, first).with(0x07, second);
    let tlv = Tlv::new().with_container(0x25, texts);
    let fields = Fields::new().with_tlv(&tlv).expect("it fits");
    check(number, control::PRINT_BLOCK, &fields.encode());
}

#[test]
fn card_numbers_in_what_cannot_be_decoded() {
    for number in card_numbers() {
        for form in forms(&number) {
            let unknown_tag = [&[0xC3], form.as_slice()].concat();
            let length_too_great = [&[0x22, 0xF9, 0xF9], form.as_slice()].concat();
            for control in COMMANDS {
                check(&number, *control, &unknown_tag);
                check(&number, *control, &length_too_great);
                check(&number, *control, &form);
            }
            let line = trace::undecodable(Direction::Pt, &form);
            assert_hidden(&number, &line);
        }
    }
}

#[test]
fn fields_that_are_too_short_for_a_card_number() {
    for tag in [0x0E, 0x17, 0x3A, 0x3D] {
        let Some(bmp) = tillswitch_zvt::bmp::lookup(tag) else { panic!("{tag:02X} is not in the table") };
        let Length::Fixed(size) = bmp.length else { panic!("{tag:02X} has no fixed length") };
        let fields = Fields::new().with(tag, &vec![0x77; size]).expect("it fits");
        let line = trace::line(Direction::Pt, &Apdu::new(control::STATUS_INFORMATION, fields.encode()));
        assert!(!line.contains("77"), "{line}");
        assert!(line.contains(&format!("‹{tag:02X},{size}›")), "{line}");
    }
}

#[test]
fn passwords() {
    let with_password = [
        control::REGISTRATION,
        control::REFUND,
        control::REVERSAL,
        control::REPEAT_RECEIPT,
        control::END_OF_DAY,
        control::INITIALISATION,
        control::STATUS_ENQUIRY,
        [0x06, 0x10],
        [0x06, 0x91],
        [0x06, 0x95],
        [0x08, 0x01],
    ];
    for control in with_password {
        for rest in [&[][..], &[0xBE], &[0xBE, 0x09, 0x78]] {
            let data = [&[0x98, 0x76, 0x54], rest].concat();
            let apdu = Apdu::new(control, data);
            let shown = format!("{} {:?}", trace::line(Direction::Ecr, &apdu), Command::parse(&apdu));
            for part in ["98", "76", "54", "152", "118", "84,"] {
                assert!(!shown.replace("978", "").contains(part), "{shown} shows {part}");
            }
        }
    }
}

fn check(number: &str, control: ControlField, data: &[u8]) {
    let apdu = Apdu::new(control, data.to_vec());
    if !is_number_of_its_own(data) {
        assert_hidden(number, &decoded(&apdu));
    }
    assert_hidden(number, &trace::line(Direction::Pt, &apdu));
    assert_hidden(number, &format!("{apdu:?} {:?} {:?}", Command::parse(&apdu), Reply::parse(&apdu, Charset::Cp437)));
}

/// All that the explanation of a message tells.
fn decoded(apdu: &Apdu) -> String {
    fn tell(item: &Item, told: &mut Vec<String>) {
        told.push(item.raw.to_uppercase());
        told.extend(item.value.clone());
        told.extend(item.details.iter().map(|detail| detail.text.clone()));
        item.items.iter().for_each(|inner| tell(inner, told));
    }
    let mut told = Vec::new();
    decode::explain(apdu, Disclosure::Masked).items.iter().for_each(|item| tell(item, &mut told));
    told.join("\n")
}

/// A block that is too short for the 13 digits of a card number, or a single field with a short number of its own, so that
/// its digits are none of a card: turnover number, original trace, authorisation code.
fn is_number_of_its_own(data: &[u8]) -> bool {
    let fields = Fields::parse(data);
    let is_one = fields.undecoded().is_empty() && fields.all().len() == 1;
    data.len() <= 7 || is_one && matches!(fields.all()[0].tag, 0x37 | 0x3B | 0x88)
}

#[test]
fn an_explanation_without_mask_shows_what_a_masked_one_hides() {
    let number = &card_numbers()[3];
    let fields = Fields::new().with_card_number(number).expect("it fits").encode();
    let apdu = Apdu::new(control::STATUS_INFORMATION, fields);
    let item = &decode::explain(&apdu, Disclosure::Unmasked).items[0];
    assert_eq!(item.value.as_deref(), Some(number.as_str()));
    let last4 = &number[number.len() - 4..];
    assert!(decoded(&apdu).ends_with(&format!("*{last4}")), "{}", decoded(&apdu));
}

/// No five digits of the number in a row, nor their ASCII codes in hexadecimal.
fn assert_hidden(number: &str, shown: &str) {
    for part in number.as_bytes().windows(5) {
        let digits = String::from_utf8_lossy(part);
        let hex: String = part.iter().map(|byte| format!("{byte:02X}")).collect();
        assert!(!shown.contains(&*digits) && !shown.contains(&hex), "{shown:?} shows {digits}");
    }
}

/// Numbers of 13 to 19 digits with a valid check digit, the same in every run.
fn card_numbers() -> Vec<String> {
    let mut state = 0x00C4_2D05_u64;
    let mut digit = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'0' + ((state >> 33) % 10) as u8)
    };
    let body = |length: usize| (1..length).map(|_| digit()).collect::<String>();
    (13..=19).map(body).collect::<Vec<_>>().into_iter().map(|body| with_check_digit(&body)).collect()
}

fn with_check_digit(body: &str) -> String {
    let doubled = |(place, digit): (usize, u32)| if place % 2 == 0 { digit * 2 / 10 + digit * 2 % 10 } else { digit };
    let sum: u32 = body.chars().rev().filter_map(|digit| digit.to_digit(10)).enumerate().map(doubled).sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

/// As BCD, as text, as text with blanks, as hexadecimal text.
fn forms(number: &str) -> Vec<Vec<u8>> {
    let spaced: Vec<String> = number.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group).into()).collect();
    let hex: String = number.bytes().map(|byte| format!("{byte:02X}")).collect();
    let bcd = bcd::from_card_number(number).expect("a card number has digits only");
    vec![bcd, number.into(), spaced.join(" ").into(), hex.into()]
}

/// The form in every field that can hold it. Fixed fields get as much of it as fits.
///
/// Fields that the allow-list prints are left out when they are numbers of their own: an amount that has the digits
/// of a card number is an amount.
fn fields_with(form: &[u8]) -> Vec<Vec<u8>> {
    const PRINTED: &[u8] = &[0x04, 0x0B, 0x0C, 0x0D, 0x19, 0x27, 0x29, 0x49, 0x87, 0x8A, 0xAA];
    let candidates = BMPS.iter().filter(|bmp| !PRINTED.contains(&bmp.tag) && bmp.encoding != Encoding::Objects);
    let filled = candidates.map(|bmp| {
        let value = match bmp.length {
            Length::Fixed(size) => form.iter().copied().cycle().take(size).collect(),
            _ => form.to_vec(),
        };
        Fields::new().with(bmp.tag, &value).expect("the value was cut to the field's length").encode()
    });
    filled.collect()
}

fn container_with(tag: u32, parent: Option<u32>, form: &[u8]) -> Vec<u8> {
    let object = Tlv::new().with(tag, form);
    let tlv = match parent {
        Some(parent) => Tlv::new().with_container(parent, object),
        None => object,
    };
    Fields::new().with_tlv(&tlv).expect("it fits").encode()
}
