//! Which characters the bytes of a text stand for.

use crate::tables::characters::{CP437, ISO_8859_2, ISO_8859_15, ZVT_7_BIT};

/// A character set, chosen by tag 14 (7 bit ZVT excepted, which has no value there).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charset {
    /// Plain ASCII (tag 14 = 00).
    Ascii,
    /// ISO-8859-1 (tag 14 = 01).
    Iso8859_1,
    /// ISO-8859-2 (tag 14 = 02).
    Iso8859_2,
    /// ISO-8859-15 (tag 14 = 0F).
    Iso8859_15,
    /// UTF-8 (tag 14 = FE).
    Utf8,
    /// CP437 (tag 14 = FF): what every terminal has, and the default.
    #[default]
    Cp437,
    /// ASCII with German umlauts in place of brackets: software versions, old displays.
    Zvt7Bit,
}

impl Charset {
    /// The set for a value of tag 14, `None` for one that is not supported here.
    pub fn from_tag(value: &[u8]) -> Option<Self> {
        match value {
            [0x00] => Some(Self::Ascii),
            [0x01] => Some(Self::Iso8859_1),
            [0x02] => Some(Self::Iso8859_2),
            [0x0F] => Some(Self::Iso8859_15),
            [0xFE] => Some(Self::Utf8),
            [0xFF] => Some(Self::Cp437),
            _ => None,
        }
    }

    /// The value of tag 14 that asks for this set. The 7 bit ZVT set has none; plain ASCII comes nearest.
    pub fn tag_value(self) -> u8 {
        match self {
            Self::Ascii | Self::Zvt7Bit => 0x00,
            Self::Iso8859_1 => 0x01,
            Self::Iso8859_2 => 0x02,
            Self::Iso8859_15 => 0x0F,
            Self::Utf8 => 0xFE,
            Self::Cp437 => 0xFF,
        }
    }

    /// The text. Bytes without a character become U+FFFD.
    ///
    /// CR and LF survive as `\n`; all other control characters are dropped, so that what a terminal sends cannot
    /// steer a screen. That also removes the final NUL of card names and the large-font mark of display lines.
    ///
    /// ```
    /// use tillswitch_zvt::charset::Charset;
    /// assert_eq!(Charset::Cp437.decode(b"f\x81r"), "für");
    /// assert_eq!(Charset::Iso8859_2.decode(b"\xC4\0"), "Ä");
    /// ```
    pub fn decode(self, bytes: &[u8]) -> String {
        // What ASCII lacks takes two or three bytes.
        let more = bytes.iter().filter(|byte| !byte.is_ascii()).count();
        let mut text = Readable { text: String::with_capacity(bytes.len() + 2 * more), after_return: false };
        if self == Self::Utf8 {
            String::from_utf8_lossy(bytes).chars().for_each(|character| text.push(character));
            return text.text;
        }
        let mut rest = bytes;
        while let Some((special, after)) = text.push_printable(self, rest) {
            text.push(self.character(special));
            rest = after;
        }
        text.text
    }

    /// The text, taken for UTF-8 where it can be nothing else: Feig terminals write some texts so, whatever was agreed.
    pub(crate) fn decode_or_utf_8(self, bytes: &[u8]) -> String {
        let is_utf_8 = !bytes.is_ascii() && std::str::from_utf8(bytes).is_ok();
        if is_utf_8 { Self::Utf8.decode(bytes) } else { self.decode(bytes) }
    }

    /// The text, one entry per line. Terminals break lines with CR or LF although the standard knows neither.
    pub fn decode_lines(self, bytes: &[u8]) -> Vec<String> {
        let text = self.decode(bytes);
        if text.contains('\n') { text.split('\n').map(str::to_owned).collect() } else { vec![text] }
    }

    /// The bytes of a text. Characters that the set lacks become `?`.
    pub fn encode(self, text: &str) -> Vec<u8> {
        match self {
            Self::Utf8 => text.as_bytes().to_vec(),
            _ => text.chars().map(|character| self.byte(character)).collect(),
        }
    }

    fn character(self, byte: u8) -> char {
        let found = match self {
            Self::Zvt7Bit => zvt_7_bit(byte),
            _ if byte < 0x80 => Some(char::from(byte)),
            Self::Cp437 => Some(CP437[usize::from(byte - 0x80)]),
            Self::Iso8859_1 => Some(char::from(byte)),
            Self::Iso8859_2 => Some(upper_half(&ISO_8859_2, byte)),
            Self::Iso8859_15 => Some(upper_half(&ISO_8859_15, byte)),
            Self::Ascii | Self::Utf8 => None,
        };
        found.unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    fn byte(self, character: char) -> u8 {
        match u8::try_from(character) {
            Ok(byte) if self.character(byte) == character => return byte,
            _ => {}
        }
        (0..=u8::MAX).find(|byte| self.character(*byte) == character).unwrap_or(b'?')
    }
}

/// A text without the characters that steer a screen; a line's end is `\n`, however it was written.
struct Readable {
    text: String,
    after_return: bool,
}

impl Readable {
    fn push(&mut self, character: char) {
        match character {
            '\n' if self.after_return => {}
            '\r' | '\n' => self.text.push('\n'),
            _ if character.is_control() => {}
            _ => self.text.push(character),
        }
        self.after_return = character == '\r';
    }

    /// Appends the printable ASCII in front, which is most of every text and the same in all sets but one, in one go.
    /// Returns the byte that is something else, and what follows it.
    fn push_printable<'a>(&mut self, charset: Charset, bytes: &'a [u8]) -> Option<(u8, &'a [u8])> {
        let is_printable = |byte: &u8| charset != Charset::Zvt7Bit && (0x20..0x7F).contains(byte);
        let count = bytes.iter().position(|byte| !is_printable(byte)).unwrap_or(bytes.len());
        let (printable, rest) = bytes.split_at(count);
        if let (Ok(printable), true) = (std::str::from_utf8(printable), count > 0) {
            self.text.push_str(printable);
            self.after_return = false;
        }
        rest.split_first().map(|(special, after)| (*special, after))
    }
}

fn upper_half(characters: &[char; 96], byte: u8) -> char {
    match byte.checked_sub(0xA0) {
        Some(place) => characters[usize::from(place)],
        // 80 to 9F are control characters in every ISO-8859 set.
        None => char::from(byte),
    }
}

fn zvt_7_bit(byte: u8) -> Option<char> {
    // The top bit sounds a beep and does not belong to the character.
    let byte = byte & 0x7F;
    let special = ZVT_7_BIT.iter().find(|(at, _)| *at == byte).map(|(_, character)| *character);
    special.or(Some(if byte == 0x7F { ' ' } else { char::from(byte) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        fn check(charset: Charset, bytes: &[u8], text: &str) {
            assert_eq!(charset.decode(bytes), text, "{charset:?}");
            assert_eq!(charset.encode(text), bytes, "{charset:?}");
        }
        check(Charset::Cp437, b"f\x81r \x8E\xE1\x9C", "für Äß£");
        check(Charset::Iso8859_1, b"\xC4\xDC\xE4\xFC", "ÄÜäü");
        check(Charset::Iso8859_2, b"\xC4\xDC\xB1", "ÄÜą");
        check(Charset::Iso8859_15, b"\xA4\xE4", "€ä");
        check(Charset::Utf8, "Größe €".as_bytes(), "Größe €");
        check(Charset::Zvt7Bit, b"[\\]{|}~", "ÄÖÜäöüß");
        check(Charset::Ascii, b"[\\]", "[\\]");
    }

    #[test]
    fn what_a_set_lacks() {
        assert_eq!(Charset::Cp437.encode("5 €"), b"5 ?");
        assert_eq!(Charset::Ascii.decode(b"\xE4"), "\u{FFFD}");
        assert_eq!(Charset::Utf8.decode(b"\xE4x"), "\u{FFFD}x");
    }

    #[test]
    fn control_characters_do_not_survive() {
        assert_eq!(Charset::Cp437.decode(b"\x14a\x1B[2Jb\0\x07"), "a[2Jb");
        assert_eq!(Charset::Iso8859_1.decode(b"a\x9Bb"), "ab");
        assert_eq!(Charset::Cp437.decode_lines(b"a\rb\nc\r\nd"), ["a", "b", "c", "d"]);
        assert_eq!(Charset::Utf8.decode("é\r\n\n\r\rx\u{85}".as_bytes()), "é\n\n\n\nx");
        assert_eq!(Charset::Cp437.decode_lines(b"\r\x07\n"), ["", "", ""]);
    }

    #[test]
    fn tag_values() {
        for charset in
            [Charset::Ascii, Charset::Iso8859_1, Charset::Iso8859_2, Charset::Iso8859_15, Charset::Utf8, Charset::Cp437]
        {
            assert_eq!(Charset::from_tag(&[charset.tag_value()]), Some(charset));
        }
        assert_eq!(Charset::from_tag(&[0x0C]), None);
        assert_eq!(Charset::from_tag(&[]), None);
    }
}
