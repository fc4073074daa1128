//! What a decline's code means, in words from a closed list.

use tillswitch_zvt::tables::result_codes::{Category, category};

/// The words. A code that means none of them is `other`.
pub(super) const REASONS: [&str; 16] = [
    "amount",
    "bank",
    "card",
    "card_blocked",
    "card_expired",
    "card_unreadable",
    "currency",
    "device",
    "end_of_day",
    "keys",
    "maintenance",
    "network",
    "not_reversible",
    "partial_refused",
    "stopped",
    OTHER,
];
const OTHER: &str = "other";

/// The word for a code. ZVT's codes are read for ZVT's drivers only: elsewhere the same two digits mean something else.
pub(super) fn reason(driver: &str, code: &str) -> &'static str {
    if driver.starts_with("zvt-")
        && let Ok(number) = u8::from_str_radix(code, 16)
    {
        return zvt(number);
    }
    let word = code.replace('-', "_").to_ascii_lowercase();
    REASONS.into_iter().find(|reason| *reason == word).unwrap_or(OTHER)
}

fn zvt(code: u8) -> &'static str {
    match code {
        0x64 | 0x65 | 0x72 | 0x73 => return "card_unreadable",
        0x6E => return "card_blocked",
        0x78 | 0x79 => return "card_expired",
        0x6F | 0xC6 | 0xCB => return "currency",
        _ => {}
    }
    match category(code) {
        Category::Host => "bank",
        Category::Card => "card",
        Category::Device => "device",
        Category::Batch => "end_of_day",
        Category::User => "stopped",
        Category::Amount => "amount",
        Category::Key => "keys",
        Category::Communication => "network",
        Category::Reversal => "not_reversible",
        Category::Maintenance => "maintenance",
        Category::Success
        | Category::Protocol
        | Category::Busy
        | Category::PreAuthorization
        | Category::Fuel
        | Category::Other => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_zvt_has_a_word_of_the_list() {
        assert!(REASONS.is_sorted() || REASONS.last() == Some(&OTHER));
        for code in 0..=u8::MAX {
            assert!(REASONS.contains(&zvt(code)), "{code:02X}");
        }
    }

    #[test]
    fn codes_mean_what_their_driver_means() {
        let check = |driver, code, expected| assert_eq!(reason(driver, code), expected, "{driver} {code}");
        check("zvt-tcp", "05", "bank");
        check("zvt-serial", "78", "card_expired");
        check("zvt-tcp", "6F", "currency");
        check("zvt-tcp", "", "other");
        check("http", "78", "other");
        check("http", "402", "other");
        check("http", "CARD-EXPIRED", "card_expired");
    }
}
