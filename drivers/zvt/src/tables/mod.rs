//! Which tables of the standard the code follows. Data only; the tests check order and uniqueness.

pub mod bit_fields;
pub mod bmps;
pub mod card_types;
pub mod characters;
pub mod choices;
pub mod commands;
pub mod intermediate_status;
pub mod languages;
pub mod remedies;
pub mod result_codes;
pub mod tags;
pub mod terminal_status;

/// A sentence for cashiers, in our own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wording {
    /// In German.
    pub german: &'static str,
    /// In English.
    pub english: &'static str,
}

/// Looks a code up in one of the tables that are sorted by it.
pub(crate) fn find(table: &[(u8, Wording)], code: u8) -> Option<Wording> {
    let place = table.binary_search_by_key(&code, |row| row.0).ok()?;
    table.get(place).map(|row| row.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Ord + std::fmt::Debug>(keys: impl IntoIterator<Item = T>) {
        let keys: Vec<T> = keys.into_iter().collect();
        assert!(!keys.is_empty());
        for pair in keys.windows(2) {
            assert!(pair[0] < pair[1], "{pair:?} are not in order, or listed twice");
        }
    }

    #[test]
    fn tables_are_sorted_and_list_nothing_twice() {
        check(bit_fields::BIT_FIELDS.iter().map(|row| row.0));
        check(bmps::BMPS.iter().map(|bmp| bmp.tag));
        check(card_types::CARD_TYPES.iter().map(|row| row.0));
        check(characters::ZVT_7_BIT.iter().map(|row| row.0));
        check(commands::COMMANDS.iter().map(|row| row.control));
        check(intermediate_status::INTERMEDIATE_STATUS.iter().map(|row| row.0));
        check(remedies::REMEDIES.iter().map(|row| row.0));
        check(result_codes::RESULT_CODES.iter().map(|row| row.0));
        check(result_codes::CARD_COMPLETE.iter().map(|row| row.0));
        check(result_codes::LAVEGO.iter().map(|row| row.0));
        check(tags::TAGS.iter().map(|row| row.tag));
        check(terminal_status::TERMINAL_STATUS.iter().map(|row| row.0));
    }

    #[test]
    fn look_ups() {
        use result_codes::{Category, category};

        assert_eq!(card_types::name(46), Some("Maestro"));
        assert_eq!(card_types::name(255), None);
        assert_eq!(intermediate_status::wording(0x0A).map(|w| w.english), Some("present or insert the card"));
        assert_eq!(intermediate_status::wording(0xFF), None);
        assert_eq!(result_codes::wording(0x6C).english, "stopped by a timeout or the stop key");
        assert_eq!(result_codes::wording(0x05).english, "refused by the bank");
        assert_eq!(
            [0x00, 0x05, 0x63, 0x64, 0x9C, 0x6C, 0x69].map(category),
            [
                Category::Success,
                Category::Host,
                Category::Host,
                Category::Card,
                Category::Busy,
                Category::User,
                Category::Other,
            ]
        );
        assert_eq!(remedies::remedy(0x05), None);
        let due: Vec<u8> = (0..=u8::MAX).filter(|code| remedies::is_end_of_day_due(*code)).collect();
        assert_eq!(due, [0x6A, 0xB1, 0xF0]);
        assert_eq!(terminal_status::remedy(0xF0), Some(crate::apdu::control::END_OF_DAY));
        assert_eq!(terminal_status::remedy(terminal_status::BUSY), None);
    }
}
