//! Which characters the upper halves of the 8 bit sets hold.

/// CP437 from 80 to FF.
pub const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{A0}";

/// ISO-8859-2 from A0 to FF.
pub const ISO_8859_2: &str =
    "\u{A0}Ą˘Ł¤ĽŚ§¨ŠŞŤŹ\u{AD}ŽŻ°ą˛ł´ľśˇ¸šşťź˝žżŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢßŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙";

/// ISO-8859-15 from A0 to FF.
pub const ISO_8859_15: &str =
    "\u{A0}¡¢£€¥Š§š©ª«¬\u{AD}®¯°±²³Žµ¶·ž¹º»ŒœŸ¿ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ";

/// The seven bytes at which the 7 bit ZVT set differs from ASCII. 7F is a blank there.
pub const ZVT_7_BIT: &[(u8, char)] =
    &[(0x5B, 'Ä'), (0x5C, 'Ö'), (0x5D, 'Ü'), (0x7B, 'ä'), (0x7C, 'ö'), (0x7D, 'ü'), (0x7E, 'ß')];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sets_are_complete() {
        assert_eq!(CP437.chars().count(), 128);
        assert_eq!(ISO_8859_2.chars().count(), 96);
        assert_eq!(ISO_8859_15.chars().count(), 96);
    }
}
