//! What has the form of a card number?
//!
//! Nobody sends us any on purpose. Where a text of a stranger is shown that need not be exact (an error, the log, a person's reason),
//! what looks like one is shown by its last four digits. What identifies a payment (document, guid, project) is never changed: a
//! document's number of 13 digits or more has that form by chance in one of ten cases, and a changed one would be another document,
//! paid twice.

use std::borrow::Cow;
use std::ops::{Range, RangeInclusive};

/// The digits that a card number has (ISO/IEC 7812).
const CARD_DIGITS: RangeInclusive<usize> = 13..=19;
/// What may be read of one.
const SHOWN_DIGITS: usize = 4;

/// Where something stands that has the form of a card number.
pub struct Card {
    /// Its bytes in the text.
    pub place: Range<usize>,
    digits: usize,
}

impl Card {
    /// It, with stars for all but its last four digits.
    pub fn hidden(&self, text: &str) -> String {
        let mut hidden = self.digits - SHOWN_DIGITS;
        let hide = |c: char| {
            let hides = c.is_ascii_digit() && hidden > 0;
            hidden -= usize::from(hides);
            if hides { '*' } else { c }
        };
        text[self.place.clone()].chars().map(hide).collect()
    }
}

/// A text in which every one of them is hidden.
pub fn without(text: &str) -> Cow<'_, str> {
    let cards = find(text);
    if cards.is_empty() {
        return Cow::Borrowed(text);
    }
    let (mut shown, mut done) = (String::with_capacity(text.len()), 0);
    for card in &cards {
        shown.push_str(&text[done..card.place.start]);
        shown.push_str(&card.hidden(text));
        done = card.place.end;
    }
    Cow::Owned(shown + &text[done..])
}

/// All of a text, none inside another one.
pub fn find(line: &str) -> Vec<Card> {
    let mut found: Vec<Card> = Vec::new();
    let groups = groups(line.as_bytes());
    let mut next = 0;
    while next < groups.len() {
        match card_from(line.as_bytes(), &groups[next..]) {
            Some((card, used)) => {
                found.push(card);
                next += used;
            }
            None => next += 1,
        }
    }
    found
}

/// Where digits stand together, as far as they may be a card number or the first part of one.
fn groups(line: &[u8]) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (place, _) in line.iter().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
        match groups.last_mut() {
            Some(group) if group.end == place => group.end += 1,
            _ => groups.push(place..place + 1),
        }
    }
    groups
}

/// The card number that begins with the first of these groups, and how many of them it takes.
fn card_from(line: &[u8], groups: &[Range<usize>]) -> Option<(Card, usize)> {
    let first = groups.first()?.clone();
    if first.len() >= *CARD_DIGITS.start() {
        return in_one_group(line, first).map(|card| (card, 1));
    }
    // Apart from letters on both sides, because the groups of a UUID are no card number.
    let starts = first.len() == 4 && !before(line, first.start).is_some_and(|byte| byte.is_ascii_alphanumeric());
    let joined = |(one, next): (&Range<usize>, &Range<usize>)| {
        one.end + 1 == next.start && matches!(line[one.end], b' ' | b'-') && next.len() <= 6
    };
    let count = 1 + groups.iter().zip(&groups[1..]).take_while(|pair| joined(*pair)).count();
    let fits = |count: &usize| {
        let last = &groups[count - 1];
        let digits: Vec<u8> = groups[..*count].iter().flat_map(|group| &line[group.clone()]).copied().collect();
        let ends = !line.get(last.end).is_some_and(u8::is_ascii_alphanumeric);
        (ends && is_card_number(&digits))
            .then_some((Card { place: first.start..last.end, digits: digits.len() }, *count))
    };
    if starts { (2..=count).rev().find_map(|count| fits(&count)) } else { None }
}

/// A group of its own, or a longer one that holds a card number somewhere: a track without its separator, say.
fn in_one_group(line: &[u8], group: Range<usize>) -> Option<Card> {
    let digits = &line[group.clone()];
    let holds = |length: usize| digits.windows(length).any(is_card_number);
    let is_one = is_card_number(digits) || digits.len() > *CARD_DIGITS.end() && CARD_DIGITS.into_iter().any(holds);
    is_one.then_some(Card { digits: group.len(), place: group })
}

fn before(line: &[u8], place: usize) -> Option<u8> {
    place.checked_sub(1).map(|place| line[place])
}

/// Length and check digit (ISO/IEC 7812-1, annex B). None begins with 0.
fn is_card_number(digits: &[u8]) -> bool {
    let weigh = |(place, byte): (usize, &u8)| {
        let digit = u32::from(byte - b'0') * (1 + place as u32 % 2);
        digit / 10 + digit % 10
    };
    CARD_DIGITS.contains(&digits.len())
        && digits.first() != Some(&b'0')
        && digits.iter().rev().enumerate().map(weigh).sum::<u32>().is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_card_number_the_end_is_left() {
        for (text, expected) in [
            ("document=4111111111111111 ok", "document=************1111 ok"),
            ("card 4111 1111 1111 1111, 4111-1111-1111-1111", "card **** **** **** 1111, ****-****-****-1111"),
            ("3782 822463 10005", "**** ****** *0005"),
            ("x5555555555554444y", "x************4444y"),
            ("411111111111111125121010000012", "**************************0012"),
            ("4111111111111112", "4111111111111112"),
            ("payment=0199f1f4-6d2e-7d5b-9d39-0c5d5a1c4b11", "payment=0199f1f4-6d2e-7d5b-9d39-0c5d5a1c4b11"),
            ("a-4111-1111-1111-1111-b", "a-****-****-****-1111-b"),
            ("2026-11-24T20:21:27.123456Z", "2026-11-24T20:21:27.123456Z"),
            ("0000000000000000", "0000000000000000"),
            ("receipt 0343 000087 29001612", "receipt 0343 000087 29001612"),
            ("größer 4111111111111111 €", "größer ************1111 €"),
        ] {
            assert_eq!(without(text), expected);
        }
    }
}
