//! May every message be explained, and a card number or a password never?
//!
//! Two messages that differ in nothing but their secrets must be explained with the same words. The secrets stand
//! where terminals put them, behind sound fields and in front of anything at all.

use tillswitch_zvt::apdu::{Apdu, ControlField, control};
use tillswitch_zvt::bcd;
use tillswitch_zvt::bmp::{self, Encoding, Length};
use tillswitch_zvt::charset::Charset;
use tillswitch_zvt::command::Command;
use tillswitch_zvt::decode::{self, Disclosure, Place};
use tillswitch_zvt::fields::Fields;
use tillswitch_zvt::reply::Reply;
use tillswitch_zvt::tlv::{Content, Object, Tlv};
use tillswitch_zvt::trace::{self, Direction};

/// What must not be told apart by what is printed.
struct Secret {
    /// Passes the check digit's sum. Each pair of digits begins with 5, and none is 7: neither form holds the tag of a field.
    number: &'static str,
    password: [u8; 3],
}

const SECRETS: [Secret; 2] = [
    Secret { number: "5456515856595553", password: [0x98, 0x76, 0x54] },
    Secret { number: "5152505358505553", password: [0x01, 0x23, 0x45] },
];

/// Fields that hold a card number, a track, chip data or a text.
const FIELDS: [u8; 10] = [0x22, 0x23, 0x24, 0x2D, 0x2E, 0x3C, 0x60, 0x8B, 0x92, 0xAF];

/// Objects that hold the same.
const OBJECTS: [u32; 12] = [0x07, 0x42, 0x44, 0x46, 0x47, 0x4C, 0x1F08, 0x1F17, 0x1F31, 0x1F45, 0x1F5F, 0x9F5B];

/// Those of them that are texts.
const TEXTS: [u32; 8] = [0x07, 0x42, 0x44, 0x46, 0x47, 0x1F08, 0x1F17, 0x1F5F];

/// Containers that objects stand in, 0 for none but that of BMP 06.
const PARENTS: [u32; 6] = [0, 0x60, 0x24, 0x25, 0x2D, 0xE4];

/// Input: the control field (two bytes), where the number stands, its form, how many bytes come before it, the rest.
pub fn check(input: &[u8]) {
    let Some((&[class, instruction, place, form, before], rest)) = input.split_first_chunk::<5>() else { return };
    explain([class, instruction], rest);
    let (before, after) = rest.split_at(usize::from(before).min(rest.len()));
    let [first, second] = SECRETS.each_ref().map(|secret| {
        let (control, positional) = beginning(instruction, secret);
        let written = |is_text| written(form, is_text, secret.number);
        let value = match place % 3 {
            0 => [in_field(place / 3, written), after.to_vec()].concat(),
            1 => in_container(place / 3, written, after),
            _ => in_damaged_field(place / 3, written, after),
        };
        explain(control, &[positional, sound(before), value].concat())
    });
    assert_eq!(first, second, "a secret is told");
}

/// A control field, and what its data begins with before the fields.
fn beginning(choice: u8, secret: &Secret) -> (ControlField, Vec<u8>) {
    let password = secret.password.to_vec();
    match choice % 16 {
        0 | 1 => (control::STATUS_INFORMATION, vec![]),
        2 => (control::INTERMEDIATE_STATUS, vec![0x0A, 0x01]),
        3 => (control::COMPLETION, vec![0xF0, 0xF0, 0xF0, 0x00]),
        4 => (control::ABORT, vec![0x6C]),
        5 => (control::AUTHORIZATION, vec![]),
        6 => (control::DIAGNOSIS, vec![]),
        7 => (control::PRINT_BLOCK, vec![]),
        8 => (control::DISPLAY_TEXT, vec![]),
        9 => (control::REFUND, password),
        10 => (control::REVERSAL, password),
        11 => (control::REPEAT_RECEIPT, password),
        12 => (control::END_OF_DAY, password),
        13 => (control::STATUS_ENQUIRY, password),
        14 => (control::REGISTRATION, [password.as_slice(), &[0xBE, 0x09, 0x78]].concat()),
        _ => ([0x0F, 0xB7], password),
    }
}

/// The number as text, as text with blanks, and where texts are not shown as BCD.
fn written(form: u8, is_text: bool, number: &str) -> Vec<u8> {
    match form % 3 {
        0 if !is_text => bcd::from_card_number(number).expect("a card number has digits only"),
        0 | 1 => number.into(),
        _ => number.as_bytes().chunks(4).collect::<Vec<_>>().join(&b' '),
    }
}

/// The sound fields at the beginning of these bytes.
fn sound(bytes: &[u8]) -> Vec<u8> {
    let fields = Fields::parse(bytes);
    let mut written = fields.encode();
    written.truncate(written.len() - fields.undecoded().len());
    written
}

fn in_field(choice: u8, number: impl Fn(bool) -> Vec<u8>) -> Vec<u8> {
    let tag = FIELDS[usize::from(choice) % FIELDS.len()];
    Fields::new().with(tag, &number(is_text(tag))).expect("the number is short").encode()
}

fn is_text(tag: u8) -> bool {
    bmp::lookup(tag).is_some_and(|bmp| bmp.encoding == Encoding::Text)
}

/// With a length that these bytes make up; the number itself is no part of it.
fn in_damaged_field(choice: u8, number: impl Fn(bool) -> Vec<u8>, bytes: &[u8]) -> Vec<u8> {
    let tag = FIELDS[usize::from(choice) % FIELDS.len()];
    let digits = if bmp::lookup(tag).is_some_and(|bmp| bmp.length == Length::Llvar) { 2 } else { 3 };
    let length: Vec<u8> = bytes.iter().copied().chain([0xF0; 3]).take(digits).collect();
    [[tag].as_slice(), &length, &number(is_text(tag)), bytes.get(digits..).unwrap_or_default()].concat()
}

/// Behind the first two of the objects that these bytes hold.
fn in_container(choice: u8, number: impl Fn(bool) -> Vec<u8>, objects: &[u8]) -> Vec<u8> {
    let tag = OBJECTS[usize::from(choice) % OBJECTS.len()];
    let parent = PARENTS[usize::from(choice) / OBJECTS.len() % PARENTS.len()];
    // What is a tag of two bytes at the top is one of three inside a container.
    let inside = Tlv::parse(&Tlv::new().with(parent, objects).encode());
    let others = if parent == 0 { Tlv::parse(objects) } else { inside.container(parent).cloned().unwrap_or_default() };
    let before: Vec<u8> = others.objects().iter().take(2).flat_map(encoded).collect();
    let after = objects.get(before.len()..).unwrap_or_default();
    let value = [&before, Tlv::new().with(tag, &number(TEXTS.contains(&tag))).encode().as_slice(), after].concat();
    let value = if parent == 0 { value } else { Tlv::new().with(parent, &value).encode() };
    Fields::new().with(0x06, &value).map(|fields| fields.encode()).unwrap_or_default()
}

fn encoded(object: &Object) -> Vec<u8> {
    let alone = Tlv::new();
    match &object.content {
        Content::Bytes(bytes) => alone.with(object.tag, bytes).encode(),
        Content::Objects(inner) => alone.with_container(object.tag, inner.clone()).encode(),
    }
}

/// All that can be printed of a message. No more text than the bytes can explain: a line feed stands for 255 lines at most.
fn explain(control: ControlField, data: &[u8]) -> String {
    let apdu = Apdu::new(control, data.to_vec());
    let lines = [Direction::Ecr, Direction::Pt].map(|direction| trace::line(direction, &apdu));
    let mut told = decode::explain(&apdu, Disclosure::Masked);
    assert!(
        told.items.len() <= decode::explain(&apdu, Disclosure::Unmasked).items.len(),
        "what is hidden has more parts"
    );
    // The byte at which the reading ended is named; a single one tells no number.
    told.items.iter_mut().filter(|item| item.place == Place::Undecoded).for_each(|item| item.details.clear());
    let parsed = (Command::parse(&apdu), Reply::parse(&apdu, Charset::Cp437));
    let shown = format!("{lines:?} {told:?} {apdu:?} {parsed:?}");
    assert!(shown.len() <= 10_000 + 1000 * data.len(), "{} bytes of text about {} bytes", shown.len(), data.len());
    shown
}
