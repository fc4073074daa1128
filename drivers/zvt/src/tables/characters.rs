//! Which characters the upper halves of the 8 bit sets hold.

/// CP437 from 80 to FF.
pub const CP437: [char; 128] = characters(
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{A0}",
);

/// ISO-8859-2 from A0 to FF.
pub const ISO_8859_2: [char; 96] = characters(
    "\u{A0}Ą˘Ł¤ĽŚ§¨ŠŞŤŹ\u{AD}ŽŻ°ą˛ł´ľśˇ¸šşťź˝žżŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢßŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙",
);

/// ISO-8859-15 from A0 to FF.
pub const ISO_8859_15: [char; 96] = characters(
    "\u{A0}¡¢£€¥Š§š©ª«¬\u{AD}®¯°±²³Žµ¶·ž¹º»ŒœŸ¿ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ",
);

/// The seven bytes at which the 7 bit ZVT set differs from ASCII. 7F is a blank there.
pub const ZVT_7_BIT: &[(u8, char)] =
    &[(0x5B, 'Ä'), (0x5C, 'Ö'), (0x5D, 'Ü'), (0x7B, 'ä'), (0x7C, 'ö'), (0x7D, 'ü'), (0x7E, 'ß')];

/// A text by places. The build fails when the text has more or fewer characters than the set.
const fn characters<const N: usize>(text: &str) -> [char; N] {
    let bytes = text.as_bytes();
    let (mut characters, mut at, mut place) = (['\0'; N], 0, 0);
    while at < bytes.len() {
        let size = match bytes[at] {
            0..=0x7F => 1,
            0x80..=0xDF => 2,
            _ => 3,
        };
        characters[place] = character(bytes, at, size);
        at += size;
        place += 1;
    }
    assert!(place == N, "the text does not have as many characters as the set");
    characters
}

/// One character of UTF-8; none of the sets has one above U+FFFF.
const fn character(bytes: &[u8], at: usize, size: usize) -> char {
    let mut code = match size {
        1 => bytes[at] as u32,
        2 => bytes[at] as u32 & 0x1F,
        _ => bytes[at] as u32 & 0x0F,
    };
    let mut following = 1;
    while following < size {
        code = (code << 6) | (bytes[at + following] as u32 & 0x3F);
        following += 1;
    }
    match char::from_u32(code) {
        Some(character) => character,
        None => panic!("the text is not UTF-8"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_has_its_place() {
        assert_eq!((CP437[0], CP437[0x1C], CP437[0x61]), ('Ç', '£', 'ß'));
        assert_eq!((ISO_8859_2[0x01], ISO_8859_2[0x3F]), ('Ą', 'ß'));
        assert_eq!((ISO_8859_15[0x04], ISO_8859_15[0x5F]), ('€', 'ÿ'));
    }
}
