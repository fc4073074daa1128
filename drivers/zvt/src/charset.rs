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
        let Some(characters) = self.characters() else {
            return readable(bytes.len(), String::from_utf8_lossy(bytes).chars());
        };
        // What ASCII lacks takes two or three bytes.
        let more = bytes.iter().filter(|byte| !byte.is_ascii()).count();
        readable(bytes.len() + 2 * more, bytes.iter().map(|byte| characters[usize::from(*byte)]))
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
        match self.characters() {
            None => text.as_bytes().to_vec(),
            Some(characters) => text.chars().map(|character| byte(characters, character)).collect(),
        }
    }

    /// The characters of all bytes. UTF-8 has more of them than bytes.
    fn characters(self) -> Option<&'static Characters> {
        match self {
            Self::Ascii => Some(&ALL_ASCII),
            Self::Iso8859_1 => Some(&ALL_ISO_8859_1),
            Self::Iso8859_2 => Some(&ALL_ISO_8859_2),
            Self::Iso8859_15 => Some(&ALL_ISO_8859_15),
            Self::Cp437 => Some(&ALL_CP437),
            Self::Zvt7Bit => Some(&ALL_ZVT_7_BIT),
            Self::Utf8 => None,
        }
    }
}

/// The byte of a character, `?` when the set lacks it.
fn byte(characters: &Characters, character: char) -> u8 {
    let is_same = |byte: &u8| characters[usize::from(*byte)] == character;
    let of_latin_1 = u8::try_from(character).ok().filter(is_same);
    of_latin_1.or_else(|| (0..=u8::MAX).find(is_same)).unwrap_or(b'?')
}

/// The text without the characters that steer a screen; a line's end is `\n`, however it was written.
///
/// `size` is how many bytes it takes at most, but for replaced characters.
fn readable(size: usize, characters: impl Iterator<Item = char>) -> String {
    let mut text = String::with_capacity(size);
    let mut before = ' ';
    for character in characters {
        if !character.is_control() {
            text.push(character);
        } else if character == '\r' || character == '\n' && before != '\r' {
            text.push('\n');
        }
        before = character;
    }
    text
}

/// The characters of all bytes: a slip is read by one look for each of its characters.
type Characters = [char; 256];

static ALL_ASCII: Characters = with_upper_end(&[char::REPLACEMENT_CHARACTER; 128]);
static ALL_ISO_8859_1: Characters = with_upper_end(&[]);
static ALL_ISO_8859_2: Characters = with_upper_end(&ISO_8859_2);
static ALL_ISO_8859_15: Characters = with_upper_end(&ISO_8859_15);
static ALL_CP437: Characters = with_upper_end(&CP437);
static ALL_ZVT_7_BIT: Characters = zvt_7_bit();

/// ISO-8859-1 with another end. In every ISO-8859 set 80 to 9F are control characters.
const fn with_upper_end(upper_end: &[char]) -> Characters {
    let mut characters = ['\0'; 256];
    let mut place = 0;
    while place < 256 {
        let lower = 256 - upper_end.len();
        characters[place] = if place < lower { place as u8 as char } else { upper_end[place - lower] };
        place += 1;
    }
    characters
}

const fn zvt_7_bit() -> Characters {
    let mut characters = with_upper_end(&[]);
    characters[0x7F] = ' ';
    let mut row = 0;
    while row < ZVT_7_BIT.len() {
        let (place, character) = ZVT_7_BIT[row];
        characters[place as usize] = character;
        row += 1;
    }
    // The top bit sounds a beep and does not belong to the character.
    let mut place = 0;
    while place < 128 {
        characters[place + 128] = characters[place];
        place += 1;
    }
    characters
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
