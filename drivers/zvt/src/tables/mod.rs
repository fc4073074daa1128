//! Which tables of the standard the code follows. Data only; the tests check order and uniqueness.

pub mod bmps;
pub mod card_types;
pub mod characters;

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
        check(bmps::BMPS.iter().map(|bmp| bmp.tag));
        check(card_types::CARD_TYPES.iter().map(|row| row.0));
    }
}
