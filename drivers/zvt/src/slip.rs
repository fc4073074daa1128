//! What a slip is made of: lines, how each is printed, and whom the slip is for.

use crate::charset::Charset;
use crate::tlv::{self, Tlv, tag};

/// How many bytes a line of a slip takes on average, or a little less: the lines of a block get their room at once.
const BYTES_OF_A_LINE: usize = 24;

/// Whom a slip is for (tag 1F07).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlipKind {
    /// For the merchant (01).
    Merchant,
    /// For the customer (02).
    Customer,
    /// Neither: end of day, diagnosis and the like (03).
    Administration,
}

/// How a line is printed: the first byte of 06 D1, tag 09 in 06 D3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineAttribute(pub u8);

/// One line of a slip.
///
/// `Debug` would show the text; it is not offered, because slips hold names and card data.
#[derive(Clone, PartialEq, Eq)]
pub struct SlipLine {
    /// How it is printed.
    pub attribute: LineAttribute,
    /// Its text, empty for a blank line.
    pub text: String,
}

/// A line that came by itself (06 D1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrintLine {
    /// The lines it stands for: one, or several blank ones for a line feed with a count.
    pub lines: Vec<SlipLine>,
    /// Whether the slip ends here.
    pub ends_slip: bool,
}

/// A block of lines (06 D3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrintBlock {
    /// Whom it is for, `None` when the terminal does not say.
    pub kind: Option<SlipKind>,
    /// The lines in their order.
    pub lines: Vec<SlipLine>,
    /// Whether the slip ends here. Some terminals never say so: then it ends at 06 0F.
    pub ends_slip: bool,
}

impl SlipKind {
    /// From the value of tag 1F07.
    pub fn from_tag(value: &[u8]) -> Option<Self> {
        match value {
            [0x01] => Some(Self::Merchant),
            [0x02] => Some(Self::Customer),
            [0x03] => Some(Self::Administration),
            _ => None,
        }
    }

    /// The value of tag 1F07.
    pub fn tag_value(self) -> u8 {
        match self {
            Self::Merchant => 0x01,
            Self::Customer => 0x02,
            Self::Administration => 0x03,
        }
    }
}

impl LineAttribute {
    /// A line feed (FF): blank lines instead of text.
    pub const LINE_FEED: Self = Self(0xFF);
    /// A plain last line (81).
    pub const LAST_LINE: Self = Self(0x81);

    /// Whether this marks the last line of a slip: bit 7, but 80 is reserved, and FF is a line feed first.
    pub fn ends_slip(self) -> bool {
        self.0 & 0x80 != 0 && self.0 != 0x80 && self != Self::LINE_FEED
    }

    /// Whether the line is centred.
    pub fn is_centred(self) -> bool {
        self != Self::LINE_FEED && self.0 & 0x40 != 0
    }

    /// Whether the line is printed in double width.
    pub fn is_double_width(self) -> bool {
        self != Self::LINE_FEED && self.0 & 0x20 != 0
    }

    /// Whether the line is printed in double height.
    pub fn is_double_height(self) -> bool {
        self != Self::LINE_FEED && self.0 & 0x10 != 0
    }

    /// By how many characters the line is indented, 0 to 15.
    pub fn indent(self) -> usize {
        if self == Self::LINE_FEED { 0 } else { usize::from(self.0 & 0x0F) }
    }
}

impl SlipLine {
    /// A line.
    pub fn new(attribute: LineAttribute, text: impl Into<String>) -> Self {
        Self { attribute, text: text.into() }
    }

    /// The line as plain text of `width` columns: indented or centred, double width ignored.
    pub fn to_plain_text(&self, width: usize) -> String {
        let free = width.saturating_sub(self.text.chars().count());
        let indent = if self.attribute.is_centred() { free / 2 } else { self.attribute.indent().min(free) };
        format!("{}{}", " ".repeat(indent), self.text).trim_end().to_owned()
    }

    fn blank() -> Self {
        Self::new(LineAttribute::default(), "")
    }
}

impl std::fmt::Debug for SlipLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SlipLine({:02X}, {} characters)", self.attribute.0, self.text.chars().count())
    }
}

impl PrintLine {
    /// Reads the data block of 06 D1.
    pub fn parse(data: &[u8], charset: Charset) -> Self {
        let Some((&attribute, rest)) = data.split_first() else {
            return Self { lines: vec![SlipLine::blank()], ends_slip: false };
        };
        let attribute = LineAttribute(attribute);
        let text = without_container(rest);
        if attribute == LineAttribute::LINE_FEED {
            let count = text.first().copied().unwrap_or(1);
            return Self { lines: vec![SlipLine::blank(); count.into()], ends_slip: false };
        }
        let lines = charset.decode_lines(text).into_iter().map(|line| SlipLine::new(attribute, line)).collect();
        Self { lines, ends_slip: attribute.ends_slip() }
    }
}

impl PrintBlock {
    /// Reads the container of 06 D3, without a copy of it. The block's own tag 14 wins over `charset`.
    pub fn parse(container: &[u8], charset: Charset) -> Self {
        let values =
            |wanted| tlv::objects(container, None).filter(move |(tag, _)| *tag == wanted).map(|(_, value)| value);
        let charset = values(tag::CHARACTER_SET).next().and_then(Charset::from_tag).unwrap_or(charset);
        let kind = values(tag::RECEIPT_KIND).next().and_then(SlipKind::from_tag);
        let mut block = Self { kind, ..Self::empty() };
        values(tag::PRINT_TEXTS).for_each(|texts| block.append(texts, charset));
        block
    }

    fn empty() -> Self {
        Self { kind: None, lines: Vec::new(), ends_slip: false }
    }

    fn append(&mut self, texts: &[u8], charset: Charset) {
        self.lines.reserve(texts.len() / BYTES_OF_A_LINE);
        let mut attribute = LineAttribute::default();
        let mut objects = tlv::objects(texts, Some(tag::PRINT_TEXTS)).peekable();
        while let Some((tag, value)) = objects.next() {
            match tag {
                tag::TEXT_ATTRIBUTE => {
                    attribute = LineAttribute(value.first().copied().unwrap_or_default());
                    self.change_attribute(attribute, objects.peek().is_none());
                }
                tag::TEXT_LINE => {
                    // A line feed is done once it is printed; only what shapes text holds for the next lines.
                    let holds =
                        if attribute == LineAttribute::LINE_FEED { LineAttribute::default() } else { attribute };
                    self.append_text(holds, charset.decode(value));
                }
                _ => {}
            }
        }
    }

    fn append_text(&mut self, attribute: LineAttribute, text: String) {
        if text.contains('\n') {
            self.lines.extend(text.split('\n').map(|line| SlipLine::new(attribute, line)));
        } else {
            self.lines.push(SlipLine::new(attribute, text));
        }
    }

    /// FF is a line feed by the standard, and what terminals end a slip with when it comes last.
    fn change_attribute(&mut self, attribute: LineAttribute, is_last_object: bool) {
        let is_feed = attribute == LineAttribute::LINE_FEED;
        if is_feed && !is_last_object {
            self.lines.push(SlipLine::blank());
        }
        self.ends_slip = attribute.ends_slip() || (is_feed && is_last_object);
    }
}

/// Builds the container of 06 D3 for the simulated terminal; the slip ends with an attribute FF.
pub fn print_block(kind: SlipKind, lines: &[SlipLine], charset: Charset) -> Tlv {
    let mut texts = Tlv::new();
    let mut held = None;
    for line in lines {
        if held != Some(line.attribute) {
            texts = texts.with(tag::TEXT_ATTRIBUTE, &[line.attribute.0]);
            held = Some(line.attribute);
        }
        texts = texts.with(tag::TEXT_LINE, &charset.encode(&line.text));
    }
    let texts = texts.with(tag::TEXT_ATTRIBUTE, &[LineAttribute::LINE_FEED.0]);
    let block = Tlv::new().with(tag::RECEIPT_KIND, &[kind.tag_value()]);
    let block = if charset == Charset::Cp437 { block } else { block.with(tag::CHARACTER_SET, &[charset.tag_value()]) };
    block.with_container(tag::PRINT_TEXTS, texts)
}

/// Terminals by card complete append a container to the text once containers are in use.
fn without_container(text: &[u8]) -> &[u8] {
    let starts = |place: &usize| text[*place] == crate::bmp::tag::TLV && is_container(&text[place + 1..]);
    let end = (0..text.len()).find(starts).unwrap_or(text.len());
    &text[..end]
}

fn is_container(bytes: &[u8]) -> bool {
    crate::tlv::read_length(bytes)
        .is_some_and(|(length, size)| bytes.len() == size + length && Tlv::parse(&bytes[size..]).undecoded().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[SlipLine]) -> Vec<String> {
        lines.iter().map(|line| format!("{:02X}|{}", line.attribute.0, line.text)).collect()
    }

    #[test]
    fn single_lines() {
        fn check(data: &[u8], expected: &[&str], ends_slip: bool) {
            let line = PrintLine::parse(data, Charset::Cp437);
            assert_eq!(texts(&line.lines), expected);
            assert_eq!(line.ends_slip, ends_slip);
        }
        check(b"\x00Gesamt  0,00", &["00|Gesamt  0,00"], false);
        check(b"\x81Danke", &["81|Danke"], true);
        check(b"\x80", &["80|"], false);
        check(b"", &["00|"], false);
        check(b"\xFF\x03", &["00|", "00|", "00|"], false);
        check(b"\xFF", &["00|"], false);
        check(b"\x00Gr\x94\xE1e\x06\x03\x14\x01\xFF", &["00|Größe"], false);
    }

    #[test]
    fn blocks() {
        fn check(bytes: &[u8], kind: Option<SlipKind>, expected: &[&str], ends_slip: bool) {
            let block = PrintBlock::parse(bytes, Charset::Cp437);
            assert_eq!((block.kind, block.ends_slip), (kind, ends_slip));
            assert_eq!(texts(&block.lines), expected);
        }
        let customer = Some(SlipKind::Customer);
        check(b"\x1F\x07\x01\x02\x25\x05\x07\x00\x07\x01A", customer, &["00|", "00|A"], false);
        check(b"\x25\x09\x09\x01\x40\x07\x01A\x09\x01\xFF", None, &["40|A"], true);
        check(b"\x25\x09\x09\x01\xFF\x07\x01A\x09\x01\x81", None, &["00|", "00|A"], true);
        check(b"\x25\x06\x09\x01\x81\x07\x01A", None, &["81|A"], true);
        // C4 is an umlaut in ISO-8859-2, which this block names, and a line in CP437.
        check(b"\x14\x01\x02\x25\x03\x07\x01\xC4", None, &["00|Ä"], false);
        check(b"\x25\x03\x07\x01\xC4", None, &["00|─"], false);
    }

    #[test]
    fn a_block_that_was_built_is_read_again() {
        let lines = [
            SlipLine::new(LineAttribute(0x40), "Händlerbeleg"),
            SlipLine::new(LineAttribute(0x00), ""),
            SlipLine::new(LineAttribute(0x00), "EUR 12,50"),
        ];
        for charset in [Charset::Cp437, Charset::Iso8859_15] {
            let tlv = print_block(SlipKind::Merchant, &lines, charset);
            let block = PrintBlock::parse(&tlv.encode(), Charset::Cp437);
            assert_eq!((block.kind, block.ends_slip), (Some(SlipKind::Merchant), true));
            assert!(block.lines == lines);
        }
    }

    #[test]
    fn plain_text() {
        assert_eq!(SlipLine::new(LineAttribute(0x40), "AB").to_plain_text(6), "  AB");
        assert_eq!(SlipLine::new(LineAttribute(0x03), "AB").to_plain_text(6), "   AB");
        assert_eq!(SlipLine::new(LineAttribute(0x8F), "AB").to_plain_text(6), "    AB");
    }
}
