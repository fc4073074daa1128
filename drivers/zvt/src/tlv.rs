//! What the container of BMP 06 holds: a tree of tagged objects, read and written.

use std::fmt;

use crate::tables::tags::is_container;

/// How deep containers may nest; what lies deeper stays bytes.
pub const MAXIMUM_DEPTH: usize = 8;

/// Tags named by the code.
pub mod tag {
    /// Text line (07).
    pub const TEXT_LINE: u32 = 0x07;
    /// Receipt number of an open pre-authorisation (08), inside 23.
    pub const RECEIPT_NUMBER: u32 = 0x08;
    /// Text attribute (09), holds for the lines that follow.
    pub const TEXT_ATTRIBUTE: u32 = 0x09;
    /// A command that the PT may send (0A), inside 26.
    pub const ZVT_COMMAND: u32 = 0x0A;
    /// Printer line width in characters, BCD (12).
    pub const PRINTER_WIDTH: u32 = 0x12;
    /// Character set (14).
    pub const CHARACTER_SET: u32 = 0x14;
    /// What was chosen from a menu (19).
    pub const MENU_RESULT: u32 = 0x19;
    /// Maximum APDU size, big endian (1A).
    pub const MAXIMUM_APDU: u32 = 0x1A;
    /// Kind of diagnosis (1B).
    pub const DIAGNOSIS_KIND: u32 = 0x1B;
    /// Open pre-authorisations (23), a list of 08.
    pub const OPEN_PRE_AUTHORIZATIONS: u32 = 0x23;
    /// Display texts (24), a list of 07.
    pub const DISPLAY_TEXTS: u32 = 0x24;
    /// Print texts (25), 09 and 07 in order.
    pub const PRINT_TEXTS: u32 = 0x25;
    /// Commands that the PT may send (26), a list of 0A.
    pub const PERMITTED_COMMANDS: u32 = 0x26;
    /// Character sets (27), one 14 selects.
    pub const CHARACTER_SETS: u32 = 0x27;
    /// A menu (2B).
    pub const MENU: u32 = 0x2B;
    /// An entry of a menu (2C).
    pub const MENU_ENTRY: u32 = 0x2C;
    /// Files (2D).
    pub const FILE: u32 = 0x2D;
    /// Details of a payment (2F), with 1F10 to 1F12.
    pub const PAYMENT_DETAILS: u32 = 0x2F;
    /// An amount in a currency (31), inside E2.
    pub const AMOUNT_INFORMATION: u32 = 0x31;
    /// Something to be typed (32).
    pub const INPUT: u32 = 0x32;
    /// Clock of the terminal (34), with 1F0E and 1F0F.
    pub const TERMINAL_CLOCK: u32 = 0x34;
    /// ZVT card type (41), needed from 256 on.
    pub const CARD_TYPE: u32 = 0x41;
    /// Label of an application (42).
    pub const APPLICATION_LABEL: u32 = 0x42;
    /// Identifier of an application (43).
    pub const APPLICATION_ID: u32 = 0x43;
    /// Card type of the network operator (49).
    pub const OPERATOR_CARD_TYPE: u32 = 0x49;
    /// An application of the card (60).
    pub const APPLICATION: u32 = 0x60;
    /// Kind of bonus (C1), inside E1.
    pub const BONUS_KIND: u32 = 0xC1;
    /// Bonus points (C2).
    pub const BONUS_POINTS: u32 = 0xC2;
    /// Bonus points that are left (C3).
    pub const BONUS_POINTS_LEFT: u32 = 0xC3;
    /// Bonus points as money (C5).
    pub const BONUS_AMOUNT: u32 = 0xC5;
    /// Bonus (E1).
    pub const BONUS: u32 = 0xE1;
    /// Currency conversion (E2).
    pub const CURRENCY_CONVERSION: u32 = 0xE2;
    /// What the PT is (E4), in the completion of 05 01.
    pub const DEVICE: u32 = 0xE4;
    /// Step of a reservation (1F06), see [`crate::tables::bit_fields::RESERVATION_KIND`].
    pub const RESERVATION_KIND: u32 = 0x1F06;
    /// Receipt kind (1F07).
    pub const RECEIPT_KIND: u32 = 0x1F07;
    /// The greatest amount that a pre-authorisation can have (1F0B).
    pub const MAXIMUM_PRE_AUTHORIZATION: u32 = 0x1F0B;
    /// Date as YYYYMMDD, BCD (1F0E).
    pub const DATE: u32 = 0x1F0E;
    /// Time as HHMMSS, BCD (1F0F).
    pub const TIME: u32 = 0x1F0F;
    /// How the cardholder was checked (1F10).
    pub const CARDHOLDER_AUTHENTICATION: u32 = 0x1F10;
    /// Whether the host was asked (1F11).
    pub const ONLINE_FLAG: u32 = 0x1F11;
    /// How the card was read (1F12).
    pub const CARD_TECHNOLOGY: u32 = 0x1F12;
    /// Extended error code of the vendor (1F16).
    pub const EXTENDED_ERROR_CODE: u32 = 0x1F16;
    /// Extended error text of the vendor (1F17).
    pub const EXTENDED_ERROR_TEXT: u32 = 0x1F17;
    /// Kind of an amount (1F1D), inside 31.
    pub const AMOUNT_KIND: u32 = 0x1F1D;
    /// Decimals of an amount (1F1E).
    pub const DECIMALS: u32 = 0x1F1E;
    /// An amount (1F20), inside 31.
    pub const AMOUNT: u32 = 0x1F20;
    /// A currency (1F21).
    pub const CURRENCY: u32 = 0x1F21;
    /// Cash paid out with a payment (1F25).
    pub const CASHBACK: u32 = 0x1F25;
    /// Long trace number, BCD (1F2B); BMP 0B is zero then.
    pub const LONG_TRACE_NUMBER: u32 = 0x1F2B;
    /// Tip (1F36).
    pub const TIP: u32 = 0x1F36;
    /// What is typed: text, number or amount (1F38), inside 32.
    pub const INPUT_MODE: u32 = 0x1F38;
    /// How many seconds there are for typing (1F39).
    pub const INPUT_TIMEOUT: u32 = 0x1F39;
    /// What was typed (1F3A), inside 32.
    pub const INPUT_RESULT: u32 = 0x1F3A;
    /// What may follow a payment (1F3B): bit 0, a tip.
    pub const TRANSACTION_INFORMATION: u32 = 0x1F3B;
    /// Name of the device (1F40), inside E4.
    pub const DEVICE_NAME: u32 = 0x1F40;
    /// Software of the device (1F41).
    pub const DEVICE_SOFTWARE: u32 = 0x1F41;
    /// Serial number of the device (1F42).
    pub const SERIAL_NUMBER: u32 = 0x1F42;
    /// State of the device (1F43).
    pub const DEVICE_STATE: u32 = 0x1F43;
    /// Terminal id (1F44), in the completion of 05 01.
    pub const TERMINAL_ID: u32 = 0x1F44;
    /// What is left to spend (1F6A); a first nibble D makes it negative.
    pub const REMAINING_AMOUNT: u32 = 0x1F6A;
}

/// The objects of one container, in their order.
///
/// Reading never fails: what cannot be read is kept in `undecoded`. Writing is by chaining:
///
/// ```
/// use tillswitch_zvt::tlv::{Tlv, tag};
///
/// let permitted = Tlv::new().with(tag::ZVT_COMMAND, &[0x06, 0xD3]);
/// let container = Tlv::new().with_container(tag::PERMITTED_COMMANDS, permitted);
/// assert_eq!(container.encode(), [0x26, 0x04, 0x0A, 0x02, 0x06, 0xD3]);
/// assert_eq!(Tlv::parse(&container.encode()), container);
/// assert_eq!(container.find(&[tag::PERMITTED_COMMANDS, tag::ZVT_COMMAND]), Some(&[0x06, 0xD3][..]));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tlv {
    objects: Vec<Object>,
    undecoded: Vec<u8>,
}

/// One tagged object.
///
/// `Debug` shows tag and length only, because the value may be card data.
#[derive(Clone, PartialEq, Eq)]
pub struct Object {
    /// The tag's bytes, the first one highest: `1F 07` is `0x1F07`.
    pub tag: u32,
    /// What it holds.
    pub content: Content,
}

/// What an object holds.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// Plain data.
    Bytes(Vec<u8>),
    /// More objects, for the tags known as containers.
    Objects(Tlv),
}

impl Tlv {
    /// An empty container.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the value of BMP 06, without its tag and length.
    pub fn parse(bytes: &[u8]) -> Self {
        parse_inside(bytes, None, 0)
    }

    /// Appends an object that holds plain data.
    #[must_use]
    pub fn with(mut self, tag: u32, value: &[u8]) -> Self {
        self.objects.push(Object { tag, content: Content::Bytes(value.to_vec()) });
        self
    }

    /// Appends an object that holds objects.
    #[must_use]
    pub fn with_container(mut self, tag: u32, value: Tlv) -> Self {
        self.objects.push(Object { tag, content: Content::Objects(value) });
        self
    }

    /// The objects in their order.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// The rest of the bytes from the first one that does not fit the rules. Empty when all was read.
    pub fn undecoded(&self) -> &[u8] {
        &self.undecoded
    }

    /// Whether there is neither an object nor an undecoded rest.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.undecoded.is_empty()
    }

    /// The plain data of the first object at this path of tags.
    pub fn find(&self, path: &[u32]) -> Option<&[u8]> {
        let (first, rest) = path.split_first()?;
        self.objects.iter().filter(|object| object.tag == *first).find_map(|object| match &object.content {
            Content::Bytes(bytes) if rest.is_empty() => Some(bytes.as_slice()),
            Content::Objects(tlv) => tlv.find(rest),
            Content::Bytes(_) => None,
        })
    }

    /// The first container with this tag.
    pub fn container(&self, tag: u32) -> Option<&Tlv> {
        self.containers(tag).next()
    }

    /// All containers with this tag, in their order.
    pub fn containers(&self, tag: u32) -> impl Iterator<Item = &Tlv> {
        self.objects.iter().filter(move |object| object.tag == tag).filter_map(|object| match &object.content {
            Content::Objects(tlv) => Some(tlv),
            Content::Bytes(_) => None,
        })
    }

    /// The plain data of all objects with this tag, in their order.
    pub fn values(&self, tag: u32) -> impl Iterator<Item = &[u8]> {
        self.objects.iter().filter(move |object| object.tag == tag).filter_map(|object| match &object.content {
            Content::Bytes(bytes) => Some(bytes.as_slice()),
            Content::Objects(_) => None,
        })
    }

    /// The value of BMP 06. The undecoded rest comes last, so that what was read is written again unchanged,
    /// except that lengths take their shortest form.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for object in &self.objects {
            match &object.content {
                Content::Bytes(value) => write_object(&mut bytes, object.tag, value),
                Content::Objects(tlv) => write_object(&mut bytes, object.tag, &tlv.encode()),
            }
        }
        bytes.extend_from_slice(&self.undecoded);
        bytes
    }
}

impl Object {
    /// The length of the value in bytes.
    pub fn length(&self) -> usize {
        match &self.content {
            Content::Bytes(bytes) => bytes.len(),
            Content::Objects(tlv) => tlv.encode().len(),
        }
    }
}

impl fmt::Debug for Tlv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        list.entries(&self.objects);
        if !self.undecoded.is_empty() {
            list.entry(&format_args!("undecoded, {} bytes", self.undecoded.len()));
        }
        list.finish()
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::Bytes(bytes) => write!(f, "{:02X}: {} bytes", self.tag, bytes.len()),
            Content::Objects(tlv) => write!(f, "{:02X}: {tlv:?}", self.tag),
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Objects(tlv) => write!(f, "{tlv:?}"),
        }
    }
}

/// Reads a length field: the length, and how many bytes the field took.
///
/// Big endian, unlike the length of the APDU around it. 80 is invalid, 83 and above are reserved.
pub(crate) fn read_length(bytes: &[u8]) -> Option<(usize, usize)> {
    match *bytes {
        [short @ 0..=0x7F, ..] => Some((usize::from(short), 1)),
        [0x81, length, ..] => Some((usize::from(length), 2)),
        [0x82, high, low, ..] => Some((usize::from(u16::from_be_bytes([high, low])), 3)),
        _ => None,
    }
}

/// Appends a length field in its shortest form.
pub(crate) fn write_length(bytes: &mut Vec<u8>, length: usize) {
    match length {
        0..=0x7F => bytes.push(length as u8),
        0x80..=0xFF => bytes.extend([0x81, length as u8]),
        // A value above 65535 bytes has no form here; the APDU around it, which is limited to 65535, refuses it.
        _ => bytes.extend([0x82, (length >> 8) as u8, length as u8]),
    }
}

/// A length field in its shortest form.
pub(crate) fn encode_length(length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_length(&mut bytes, length);
    bytes
}

fn write_object(bytes: &mut Vec<u8>, tag: u32, value: &[u8]) {
    bytes.extend(encode_tag(tag));
    write_length(bytes, value.len());
    bytes.extend_from_slice(value);
}

/// Writes a tag; the tag 00 takes a byte too.
fn encode_tag(tag: u32) -> impl Iterator<Item = u8> {
    let bytes = tag.to_be_bytes();
    let unused = bytes.iter().take(3).take_while(|byte| **byte == 0).count();
    bytes.into_iter().skip(unused)
}

fn parse_inside(bytes: &[u8], parent: Option<u32>, depth: usize) -> Tlv {
    let mut tlv = Tlv::new();
    let mut objects = Objects { rest: bytes, parent };
    for (tag, value) in objects.by_ref() {
        let content = if depth < MAXIMUM_DEPTH && is_container(tag) {
            Content::Objects(parse_inside(value, Some(tag), depth + 1))
        } else {
            Content::Bytes(value.to_vec())
        };
        tlv.objects.push(Object { tag, content });
    }
    tlv.undecoded = objects.rest.to_vec();
    tlv
}

/// The objects of a container by tag and value, without a copy. For what is long: slips.
pub(crate) fn objects(bytes: &[u8], parent: Option<u32>) -> impl Iterator<Item = (u32, &[u8])> {
    Objects { rest: bytes, parent }
}

struct Objects<'a> {
    rest: &'a [u8],
    parent: Option<u32>,
}

impl<'a> Iterator for Objects<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (tag, value, rest) = read_object(self.rest, self.parent)?;
        self.rest = rest;
        Some((tag, value))
    }
}

fn read_object(bytes: &[u8], parent: Option<u32>) -> Option<(u32, &[u8], &[u8])> {
    let (tag, tag_size) = read_tag(bytes, parent)?;
    let (length, length_size) = read_length(bytes.get(tag_size..)?)?;
    let start = tag_size + length_size;
    let value = bytes.get(start..start + length)?;
    Some((tag, value, &bytes[start + length..]))
}

/// Reads a tag of one to four bytes.
fn read_tag(bytes: &[u8], parent: Option<u32>) -> Option<(u32, usize)> {
    let first = *bytes.first()?;
    if first & 0x1F != 0x1F {
        return Some((first.into(), 1));
    }
    let mut tag = u32::from(first);
    for (place, byte) in bytes.iter().enumerate().take(4).skip(1) {
        tag = (tag << 8) | u32::from(*byte);
        if byte & 0x80 == 0 || ends_despite_continuation(tag, parent) {
            return Some((tag, place + 1));
        }
    }
    None
}

/// The standard uses 1F80 to 1F83 as two-byte tags although their second byte says that a third one follows: the
/// first two for files, the last two as references. Elsewhere the bit is meant (1F8007 exists).
fn ends_despite_continuation(tag: u32, parent: Option<u32>) -> bool {
    match tag {
        0x1F80 | 0x1F81 => parent == Some(tag::FILE),
        0x1F82 | 0x1F83 => parent.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected` is `Debug`, which shows tags, lengths and nesting.
    fn check(bytes: &[u8], expected: &str) {
        let tlv = Tlv::parse(bytes);
        assert_eq!(format!("{tlv:?}"), expected);
        assert_eq!(Tlv::parse(&tlv.encode()), tlv);
    }

    #[test]
    fn objects() {
        check(&[], "[]");
        check(&[0x14, 0x01, 0xFF], "[14: 1 bytes]");
        check(&[0x07, 0x00, 0x24, 0x00], "[07: 0 bytes, 24: []]");
        check(&[0x24, 0x04, 0x07, 0x02, 0x41, 0x42], "[24: [07: 2 bytes]]");
        check(&[0x1F, 0x07, 0x01, 0x02], "[1F07: 1 bytes]");
        check(&[0x00, 0x01, 0x02], "[00: 1 bytes]");
        check(&[0x60, 0x06, 0x43, 0x01, 0x00, 0x1F, 0x2B, 0x00], "[60: [43: 1 bytes, 1F2B: 0 bytes]]");
    }

    #[test]
    fn lengths_are_big_endian() {
        fn length(bytes: &[u8], expected: Option<(usize, usize)>) {
            assert_eq!(read_length(bytes), expected);
            if let Some((length, _)) = expected {
                assert_eq!(read_length(&encode_length(length)).map(|read| read.0), Some(length));
            }
        }
        length(&[0x7F], Some((127, 1)));
        length(&[0x81, 0x80], Some((128, 2)));
        length(&[0x81, 0x05], Some((5, 2)));
        length(&[0x82, 0x04, 0x5D], Some((1117, 3)));
        length(&[0x80], None);
        length(&[0x83, 0, 0, 1], None);
        length(&[0x82, 0x04], None);
        length(&[], None);
    }

    #[test]
    fn feig_tags_stay_bytes() {
        check(&[0xE4, 0x06, 0xFF, 0x40, 0x03, 0x12, 0x34, 0x56], "[E4: [FF40: 3 bytes]]");
    }

    #[test]
    fn two_byte_tags_with_a_continuation_bit() {
        check(&[0x2D, 0x04, 0x1F, 0x80, 0x01, 0x41], "[2D: [1F80: 1 bytes]]");
        check(&[0x1F, 0x82, 0x01, 0x41], "[1F82: 1 bytes]");
        check(&[0x1F, 0x80, 0x07, 0x01, 0x41], "[1F8007: 1 bytes]");
    }

    #[test]
    fn what_does_not_fit_is_kept() {
        check(&[0x14, 0x01, 0xFF, 0x43, 0x07, 0xA0], "[14: 1 bytes, undecoded, 3 bytes]");
        check(&[0x24, 0x03, 0x07, 0x09, 0x41], "[24: [undecoded, 3 bytes]]");
        check(&[0x14, 0x80], "[undecoded, 2 bytes]");
        check(&[0x1F], "[undecoded, 1 bytes]");
        check(&[0x1F, 0xFF, 0xFF, 0xFF, 0x01], "[undecoded, 5 bytes]");
    }

    #[test]
    fn depth_is_limited() {
        let mut bytes = vec![0x07, 0x00];
        for _ in 0..40 {
            bytes = [vec![0x24], encode_length(bytes.len()), bytes].concat();
        }
        let text = format!("{:?}", Tlv::parse(&bytes));
        assert_eq!(text.matches('[').count(), MAXIMUM_DEPTH + 1);
    }
}
