//! How numbers, numbers with leading zeros and masked card numbers are written as nibbles.

/// A number as BCD, two digits to a byte, padded with zeros on the left. `None` when it has too many digits.
///
/// ```
/// use tillswitch_zvt::bcd;
/// assert_eq!(bcd::from_number::<6>(1250), Some([0, 0, 0, 0, 0x12, 0x50]));
/// assert_eq!(bcd::from_number::<1>(100), None);
/// ```
pub fn from_number<const N: usize>(number: u64) -> Option<[u8; N]> {
    let mut rest = number;
    let mut bytes = [0; N];
    for byte in bytes.iter_mut().rev() {
        let low = (rest % 10) as u8;
        let high = (rest / 10 % 10) as u8;
        *byte = (high << 4) | low;
        rest /= 100;
    }
    (rest == 0).then_some(bytes)
}

/// The number that BCD stands for. `None` when a nibble is not a digit or the number exceeds 64 bits.
pub fn to_number(bytes: &[u8]) -> Option<u64> {
    nibbles(bytes).try_fold(0_u64, |number, nibble| {
        let digit = (nibble <= 9).then_some(u64::from(nibble))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Digits as BCD, padded with zeros on the left. `None` when there are too many, none, or something else.
pub fn from_digits<const N: usize>(digits: &str) -> Option<[u8; N]> {
    if digits.is_empty() || digits.len() > 2 * N || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (place, digit) in digits.bytes().rev().enumerate() {
        bytes[N - 1 - place / 2] |= (digit - b'0') << (4 * (place % 2));
    }
    Some(bytes)
}

/// The digits of BCD as text, leading zeros included: receipt, trace and terminal numbers.
///
/// `None` when a nibble is not a digit, as in `87 FF FF`, or when there are none.
pub fn to_digits(bytes: &[u8]) -> Option<String> {
    let mut digits = String::with_capacity(2 * bytes.len());
    for nibble in nibbles(bytes) {
        digits.push((nibble <= 9).then(|| char::from(b'0' + nibble))?);
    }
    Some(digits).filter(|digits| !digits.is_empty())
}

/// A card number as text, with `*` where the terminal has masked a digit.
///
/// A masked digit must never become a number, so there is no way from here to one. The text ends at the filler
/// F or the separator D. It may hold more digits than may be shown: reduce it with [`last4`] at once.
pub(crate) fn card_number(bytes: &[u8]) -> String {
    nibbles(bytes).map_while(card_character).collect()
}

/// The last four digits of a card number in BCD.
///
/// `None` when one of the four is masked, or when the number is so short that four digits give it away.
///
/// ```
/// use tillswitch_zvt::bcd;
/// assert_eq!(bcd::last4(&[0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0x47, 0x71]).as_deref(), Some("4771"));
/// assert_eq!(bcd::last4(&[0xEE, 0xEE, 0xEE, 0xEE]), None);
/// ```
pub fn last4(bytes: &[u8]) -> Option<String> {
    let number = card_number(bytes);
    let start = number.len().checked_sub(4).filter(|start| *start >= 4)?;
    let last = &number[start..];
    last.bytes().all(|byte| byte.is_ascii_digit()).then(|| last.to_owned())
}

/// A card number as BCD: `*` becomes the mask nibble E, and an odd number of digits is padded with F on the right.
///
/// `None` when the text holds anything else. Used to build test data and by the simulated terminal.
pub fn from_card_number(text: &str) -> Option<Vec<u8>> {
    let mut nibbles = text.chars().map(card_nibble).collect::<Option<Vec<u8>>>()?;
    if nibbles.len() % 2 == 1 {
        nibbles.push(0xF);
    }
    Some(nibbles.chunks(2).map(|pair| (pair[0] << 4) | pair[1]).collect())
}

fn nibbles(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0F])
}

fn card_character(nibble: u8) -> Option<char> {
    match nibble {
        0xD | 0xF => None,
        digit @ 0..=9 => Some(char::from(b'0' + digit)),
        // E is the mask of the standard. A to C are not in use; hidden is the safe reading.
        _ => Some('*'),
    }
}

fn card_nibble(character: char) -> Option<u8> {
    match character {
        '*' => Some(0xE),
        _ => character.to_digit(10).and_then(|digit| u8::try_from(digit).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        fn check(number: u64, bytes: [u8; 3]) {
            assert_eq!(from_number::<3>(number), Some(bytes));
            assert_eq!(to_number(&bytes), Some(number));
        }
        check(0, [0, 0, 0]);
        check(7, [0, 0, 0x07]);
        check(470, [0, 0x04, 0x70]);
        check(999_999, [0x99, 0x99, 0x99]);
        assert_eq!(from_number::<3>(1_000_000), None);
        assert_eq!(to_number(&[0x00, 0xEE]), None);
        assert_eq!(to_number(&[0x99; 20]), None);
        assert_eq!(to_number(&[]), Some(0));
    }

    #[test]
    fn digits_keep_leading_zeros() {
        fn check(digits: &str, bytes: [u8; 2], back: &str) {
            assert_eq!(from_digits::<2>(digits), Some(bytes));
            assert_eq!(to_digits(&bytes).as_deref(), Some(back));
        }
        check("0470", [0x04, 0x70], "0470");
        check("470", [0x04, 0x70], "0470");
        check("0", [0, 0], "0000");
        for wrong in ["", "00000", "12a", "ü"] {
            assert_eq!(from_digits::<2>(wrong), None, "{wrong}");
        }
        assert_eq!(to_digits(&[0xFF, 0xFF]), None);
        assert_eq!(to_digits(&[]), None);
    }

    #[test]
    fn card_numbers() {
        fn check(hex: u128, text: &str, last: Option<&str>) {
            let bytes: Vec<u8> = hex.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            assert_eq!(card_number(&bytes), text);
            assert_eq!(last4(&bytes).as_deref(), last);
        }
        check(0xEEEEEEEEEEEE4771, "************4771", Some("4771"));
        check(0xEEEEEEEEEEEEEEE4281F, "***************4281", Some("4281"));
        check(0x559883EEEEEE8074, "559883******8074", Some("8074"));
        check(0x6725900000000009D2512, "06725900000000009", Some("0009"));
        check(0xEEEEEEEEEEEEEEEE, "****************", None);
        check(0xEEEEEEEEEEEEE771, "*************771", None);
        check(0x1234567F, "1234567", None);
        check(0, "", None);
        assert_eq!(from_card_number("***4281"), Some(vec![0xEE, 0xE4, 0x28, 0x1F]));
        assert_eq!(from_card_number("12x4"), None);
    }
}
