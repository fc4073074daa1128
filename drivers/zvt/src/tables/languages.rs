//! Which number a language has in 08 30.

/// The two letters of each language, the first one with the number 00.
pub const LANGUAGES: &[&str] =
    &["de", "en", "fr", "it", "hu", "sl", "es", "cs", "sv", "nl", "pl", "sk", "da", "el", "pt", "lt"];

/// The number of a language, by two letters in either case.
pub fn number(code: &str) -> Option<u8> {
    let place = LANGUAGES.iter().position(|language| language.eq_ignore_ascii_case(code))?;
    u8::try_from(place).ok()
}
