//! Which digits of a slip are a card number?
//!
//! A slip holds many long numbers, and whoever keeps it needs them. So only what has the length and the check digit of a card
//! number is taken for one. A narrow printer breaks it over two lines.

use std::ops::{Range, RangeInclusive};

use crate::decode::has_check_digit;

const LENGTHS: RangeInclusive<usize> = 13..=19;
/// What may be read of a card number: its end.
const SHOWN: usize = 4;

/// The text with stars for all but the last four digits of every card number, which may stand in groups and on two lines.
pub(crate) fn without_card_numbers(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let groups = groups(&characters);
    let mut shown = characters.clone();
    for first in 0..groups.len() {
        let mut places: Vec<usize> = Vec::new();
        for group in &groups[first..] {
            let is_next = places.last().is_none_or(|last| is_joined(&characters, last + 1..group.start, group.end));
            if !is_next || places.len() > *LENGTHS.end() {
                break;
            }
            places.extend(group.clone());
            if is_card_number(&characters, &places) {
                places[..places.len() - SHOWN].iter().for_each(|place| shown[*place] = '*');
            }
        }
    }
    shown.into_iter().collect()
}

/// Where digits stand together.
fn groups(characters: &[char]) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (place, _) in characters.iter().enumerate().filter(|(_, character)| character.is_ascii_digit()) {
        match groups.last_mut() {
            Some(group) if group.end == place => group.end += 1,
            _ => groups.push(place..place + 1),
        }
    }
    groups
}

/// One blank or dash is what stands between the groups of one number, or one end of a line, with blanks in front of the next
/// one. A date or an amount, which begin many lines, do not go on with a number.
fn is_joined(characters: &[char], gap: Range<usize>, end: usize) -> bool {
    match &characters[gap] {
        [' ' | '-'] => true,
        ['\n', indent @ ..] => {
            let goes_on = matches!(characters.get(end), Some('.' | ',' | ':' | '/'));
            indent.iter().all(|character| *character == ' ') && !goes_on
        }
        _ => false,
    }
}

/// None begins with 0: no kind of card does.
fn is_card_number(characters: &[char], places: &[usize]) -> bool {
    let digits: Vec<u8> =
        places.iter().filter_map(|place| u8::try_from(characters[*place].to_digit(10)?).ok()).collect();
    LENGTHS.contains(&digits.len()) && digits.first() != Some(&0) && has_check_digit(&digits)
}
