//! May a text be shown, and how much of it?

use crate::charset::Charset;

/// So many digits in a row may be part of a card number.
const LONGEST_NUMBER: usize = 4;
/// So many digits in one text may be a card number in pieces.
const MOST_DIGITS: usize = 11;
/// Card numbers have this many digits.
const CARD_NUMBER_LENGTHS: std::ops::RangeInclusive<usize> = 13..=19;
/// So many decimal digits in a row, as nibbles, may be most of a card number.
const SHORTEST_SUSPICIOUS_ROW: usize = 12;

/// The text with a star for each digit that may be one of a card number: those in long rows, whatever separates them,
/// and all of them where there are many. The second value tells whether a digit was hidden.
pub(super) fn without_numbers(text: &str) -> (String, bool) {
    let characters: Vec<char> = text.chars().collect();
    let has_many = characters.iter().filter(|c| is_digit(**c)).count() > MOST_DIGITS;
    let mut shown = characters.clone();
    let mut start = 0;
    while start < characters.len() {
        let end = start + row_of_digits(&characters[start..]);
        let digits = characters[start..end].iter().filter(|c| is_digit(**c)).count();
        if digits > LONGEST_NUMBER || has_many {
            shown[start..end].iter_mut().filter(|c| is_digit(**c)).for_each(|c| *c = '*');
        }
        start = end.max(start + 1);
    }
    let hides = shown != characters;
    (shown.into_iter().collect(), hides)
}

/// How many characters from here on are digits and what people put between digits. The row ends with a digit.
fn row_of_digits(characters: &[char]) -> usize {
    if !characters.first().is_some_and(|c| is_digit(*c)) {
        return 0;
    }
    let row = characters.iter().take_while(|c| is_digit(**c) || matches!(**c, ' ' | '-' | '\u{A0}')).count();
    let trailing = characters[..row].iter().rev().take_while(|c| !is_digit(**c)).count();
    row - trailing
}

fn is_digit(c: char) -> bool {
    c.is_numeric()
}

/// Whether the bytes of a text can be shown as they are: every one is a character, and they cannot be a card number that
/// was written as nibbles where a text belongs.
pub(super) fn bytes_are_text(bytes: &[u8], charset: Charset) -> bool {
    bytes.iter().all(|byte| is_of_text(*byte, charset)) && !holds_card_number(bytes)
}

fn is_of_text(byte: u8, charset: Charset) -> bool {
    matches!(byte, 0 | b'\n' | b'\r' | b' '..=b'~')
        || byte >= 0x80 && charset.decode(&[byte]).chars().all(char::is_alphabetic)
}

/// Whether the letters of a text would give a card number away that was written as nibbles: there is one with a right
/// check digit, or a long row of decimal digits among bytes that no text has.
pub(super) fn letters_tell_a_number(bytes: &[u8], charset: Charset) -> bool {
    let nibbles = nibbles(bytes);
    let has_row = || nibbles.split(|nibble| *nibble > 9).any(|row| row.len() >= SHORTEST_SUSPICIOUS_ROW);
    holds_checked_number(&nibbles) || !bytes.iter().all(|byte| is_of_text(*byte, charset)) && has_row()
}

/// Whether nibbles in these bytes pass for a card number: a row of decimal digits with a right check digit, or hardly
/// anything but decimal digits.
pub(super) fn holds_card_number(bytes: &[u8]) -> bool {
    let nibbles = nibbles(bytes);
    // The last one may be the filler of a number with an odd count of digits.
    let hardly_others = nibbles.len() >= *CARD_NUMBER_LENGTHS.start()
        && nibbles.split_last().is_some_and(|(_, before)| before.iter().all(is_decimal));
    hardly_others || holds_checked_number(&nibbles)
}

fn holds_checked_number(nibbles: &[u8]) -> bool {
    // Letters are decimal digits as nibbles too, so that only a whole row of them is looked at.
    let begins_row = |start: &usize| *start == 0 || !is_decimal(&nibbles[start - 1]);
    (0..nibbles.len()).step_by(2).filter(begins_row).any(|start| {
        let row = nibbles[start..].iter().take_while(|nibble| is_decimal(nibble)).count();
        CARD_NUMBER_LENGTHS.contains(&row) && nibbles[start] != 0 && has_check_digit(&nibbles[start..start + row])
    })
}

fn nibbles(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]).collect()
}

fn is_decimal(nibble: &u8) -> bool {
    *nibble <= 9
}

/// Whether the last of these digits is the check digit of the others (ISO/IEC 7812-1, annex B).
pub(crate) fn has_check_digit(digits: &[u8]) -> bool {
    let weigh = |(place, digit): (usize, &u8)| {
        let doubled = u32::from(*digit) * if place % 2 == 1 { 2 } else { 1 };
        doubled / 10 + doubled % 10
    };
    digits.iter().rev().enumerate().map(weigh).sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_in_texts() {
        fn check(text: &str, expected: &str) {
            assert_eq!(without_numbers(text), (expected.to_owned(), text != expected));
        }
        check("Karte vorhalten", "Karte vorhalten");
        check("EUR 12,23", "EUR 12,23");
        check("GEN.NR.:482948", "GEN.NR.:******");
        check("4111 1111 1111 1111", "**** **** **** ****");
        check("4111-1111", "****-****");
        check("4111.1111.1111.1111", "****.****.****.****");
        check("4111\n1111\n1111", "****\n****\n****");
        check("", "");
    }

    #[test]
    fn letters_that_tell_a_number() {
        fn check(bytes: &[u8], expected: bool) {
            assert_eq!(letters_tell_a_number(bytes, Charset::Cp437), expected, "{bytes:02X?}");
        }
        check(&[0x41, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11], true);
        // No right check digit, but bytes that no text has.
        check(&[0x49, 0x27, 0x98, 0x71, 0x65, 0x43, 0x21, 0x09], true);
        check(&[b'N', 0x49, 0x12, 0x98, 0x71, 0x65, 0x43, b'N'], true);
        check(&[0x49, 0x27, 0x98, 0x71, 0x65], false);
        check(b"Visa Debit\0", false);
        check(b"f\x81r Gr\x94\xE1e", false);
    }

    #[test]
    fn numbers_that_pose_as_text() {
        assert!(bytes_are_text(b"Debit Mastercard\0", Charset::Cp437));
        assert!(bytes_are_text(b"f\x81r", Charset::Cp437));
        assert!(!bytes_are_text(&[0x41, 0x11, 0x11, 0x11], Charset::Cp437));
        // A valid number whose bytes are all letters.
        assert!(holds_card_number(&[0x45, 0x46, 0x47, 0x48, 0x49, 0x50, 0x51, 0x52]));
    }
}
