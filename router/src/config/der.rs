//! When does an X.509 certificate end?
//!
//! RFC 5280 4.1: `Certificate { tbsCertificate { [0] version, serialNumber, signature, issuer, validity { notBefore,
//! notAfter }, … } … }`. One date is all that is wanted, so these few steps stand here instead of a parser for all of X.509,
//! which would bring a dozen crates. What is not understood is `None`, never a panic.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// `[0] EXPLICIT`, the version.
const VERSION: u8 = 0xa0;

/// `notAfter` of a certificate.
pub(super) fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let (whole, _) = expect(certificate, SEQUENCE)?;
    let (to_be_signed, _) = expect(whole, SEQUENCE)?;
    let rest = match expect(to_be_signed, VERSION) {
        Some((_, rest)) => rest,
        None => to_be_signed,
    };
    let (_serial, rest) = expect(rest, INTEGER)?;
    let (_signature, rest) = expect(rest, SEQUENCE)?;
    let (_issuer, rest) = expect(rest, SEQUENCE)?;
    let (validity, _) = expect(rest, SEQUENCE)?;
    let (_, _not_before, rest) = element(validity)?;
    let (tag, text, _) = element(rest)?;
    moment(tag, std::str::from_utf8(text).ok()?)
}

/// The contents of an element with this tag, and what follows it.
fn expect(bytes: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, contents, rest) = element(bytes)?;
    (tag == wanted).then_some((contents, rest))
}

/// Tag, contents and rest.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (length, rest) = length(rest)?;
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

/// The short form, or the long one of up to four bytes.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    match first {
        0..=0x7f => Some((usize::from(first), rest)),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            Some((digits.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest))
        }
        _ => None,
    }
}

/// `YYMMDDhhmmssZ`, where years from 50 on are of the last century, or `YYYYMMDDhhmmssZ`.
fn moment(tag: u8, text: &str) -> Option<Timestamp> {
    let text = match tag {
        UTC_TIME if text.len() == 13 => {
            let century = if text < "50" { "20" } else { "19" };
            format!("{century}{text}")
        }
        GENERALIZED_TIME if text.len() == 15 => text.to_owned(),
        _ => return None,
    };
    let civil = DateTime::strptime("%Y%m%d%H%M%SZ", &text).ok()?;
    TimeZone::UTC.to_timestamp(civil).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate that says nothing but when it ends.
    fn certificate(version: &[u8], tag: u8, not_after: &str) -> Vec<u8> {
        let before = [&[UTC_TIME, 13][..], b"200101000000Z"].concat();
        let after = [&[tag, not_after.len() as u8][..], not_after.as_bytes()].concat();
        let validity = wrap(&[before, after].concat());
        let empty = [SEQUENCE, 0];
        let serial = [INTEGER, 1, 7];
        wrap(&wrap(&[version, &serial, &empty, &empty, &validity].concat()))
    }

    fn wrap(contents: &[u8]) -> Vec<u8> {
        [&[SEQUENCE, 0x82, 0, contents.len() as u8][..], contents].concat()
    }

    #[test]
    fn both_forms_of_a_date_are_read() {
        fn check(tag: u8, text: &str, expected: Option<&str>) {
            for version in [&[VERSION, 3, 2, 1, 2][..], &[]] {
                let found = not_after(&certificate(version, tag, text)).map(|at| at.to_string());
                assert_eq!(found.as_deref(), expected, "{text}");
            }
        }
        check(UTC_TIME, "261231235959Z", Some("2026-12-31T23:59:59Z"));
        check(UTC_TIME, "491231235959Z", Some("2049-12-31T23:59:59Z"));
        check(UTC_TIME, "500101000000Z", Some("1950-01-01T00:00:00Z"));
        check(GENERALIZED_TIME, "40960101000000Z", Some("4096-01-01T00:00:00Z"));
        check(GENERALIZED_TIME, "261231235959Z", None);
        check(UTC_TIME, "261331235959Z", None);
        check(UTC_TIME, "2612312359+01", None);
        check(0x0c, "261231235959Z", None);
    }

    #[test]
    fn what_is_cut_off_is_no_certificate() {
        let whole = certificate(&[], UTC_TIME, "261231235959Z");
        assert!((0..whole.len()).all(|length| not_after(&whole[..length]).is_none()));
        assert_eq!(not_after(&[SEQUENCE, 0x85, 0xff, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
