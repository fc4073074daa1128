//! Which card numbers there are, in which forms they are put somewhere, and how they are found.

use std::collections::HashSet;

/// So many digits of a number in a row are a find: fewer are in every text by chance.
const ENOUGH: usize = 12;
/// So many characters may stand between two digits of one number: a blank, a dash, a line end, also written as an escape.
const GAP: usize = 3;

/// One number after the other; from the start again when all were drawn.
pub struct Numbers {
    all: Vec<String>,
    drawn: usize,
}

impl Numbers {
    pub const COUNT: usize = 5000;

    pub fn new() -> Numbers {
        Numbers { all: all(), drawn: 0 }
    }

    pub fn drawn(&self) -> usize {
        self.drawn
    }

    pub fn next(&mut self) -> String {
        self.drawn += 1;
        self.all[(self.drawn - 1) % self.all.len()].clone()
    }

    /// As a text: plain, in groups with blanks or dashes, or in hexadecimal.
    pub fn in_any_form(&mut self) -> String {
        match self.drawn % 4 {
            3 => self.next().bytes().map(|byte| format!("{byte:02X}")).collect(),
            _ => self.printed(),
        }
    }

    /// As a text that a person would write.
    pub fn printed(&mut self) -> String {
        let separator = [None, Some(" "), Some("-")][self.drawn % 3];
        let number = self.next();
        let groups: Vec<&str> = number.as_bytes().chunks(4).map(|group| std::str::from_utf8(group).unwrap()).collect();
        separator.map_or(number.clone(), |separator| groups.join(separator))
    }
}

/// One of them.
pub fn of(count: usize) -> String {
    all()[count].clone()
}

/// Numbers of 13 to 19 digits with a valid check digit, the same in every run.
fn all() -> Vec<String> {
    let mut state = 0x00C4_2D05_u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut body = |length: usize| {
        // 3 American Express and Diners, 4 Visa, 5 Mastercard and Maestro, 6 Maestro and girocard, 2 Mastercard.
        let first = ["3", "4", "5", "6", "2"][draw(5) as usize].to_owned();
        (2..length).fold(first, |number, _| number + &draw(10).to_string())
    };
    (0..Numbers::COUNT).map(|count| with_check_digit(&body(13 + count % 7))).collect()
}

fn with_check_digit(body: &str) -> String {
    let doubled = |(place, digit): (usize, u32)| if place % 2 == 0 { digit * 2 / 10 + digit * 2 % 10 } else { digit };
    let sum: u32 = body.chars().rev().filter_map(|digit| digit.to_digit(10)).enumerate().map(doubled).sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

/// Finds any of them, whole or most of it.
pub struct Finder(HashSet<u64>);

impl Finder {
    pub fn new() -> Finder {
        let digits = |part: &[u8]| std::str::from_utf8(part).unwrap().parse::<u64>().unwrap();
        Finder(
            all().iter().flat_map(|number| number.as_bytes().windows(ENOUGH).map(digits).collect::<Vec<_>>()).collect(),
        )
    }

    /// What is found in a text: digits, also in groups and over line ends, or their codes in hexadecimal.
    pub fn find(&self, text: &str) -> Option<String> {
        self.in_digits(text).or_else(|| self.in_codes(text))
    }

    /// What is found in bytes as packed decimal digits.
    pub fn find_packed(&self, bytes: &[u8]) -> Option<String> {
        let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
        let mut run = Run::default();
        nibbles.into_iter().find_map(|nibble| match nibble {
            0..=9 => run.push(nibble).filter(|digits| self.0.contains(digits)).map(|digits| digits.to_string()),
            _ => {
                run = Run::default();
                None
            }
        })
    }

    fn in_digits(&self, text: &str) -> Option<String> {
        let (mut run, mut gap) = (Run::default(), 0);
        for (place, byte) in text.bytes().enumerate() {
            match byte {
                b'0'..=b'9' => {
                    gap = 0;
                    if run.push(byte - b'0').is_some_and(|digits| self.0.contains(&digits)) {
                        return Some(around(text, place));
                    }
                }
                b' ' | b'-' | b'\n' | b'\r' | b'\\' | b'n' if gap < GAP => gap += 1,
                _ => run = Run::default(),
            }
        }
        None
    }

    /// `3` before every digit, with or without blanks.
    fn in_codes(&self, text: &str) -> Option<String> {
        let dense: String = text.chars().filter(|c| *c != ' ').collect();
        let bytes = dense.as_bytes();
        let find_from = |start: usize| {
            let mut run = Run::default();
            let pairs = bytes[start..].chunks_exact(2);
            pairs.enumerate().find_map(|(count, pair)| match pair {
                [b'3', digit @ b'0'..=b'9'] => {
                    let found = run.push(digit - b'0').is_some_and(|digits| self.0.contains(&digits));
                    found.then(|| around(&dense, start + 2 * count))
                }
                _ => {
                    run = Run::default();
                    None
                }
            })
        };
        (0..2).find_map(find_from)
    }
}

/// The last digits that came in a row.
#[derive(Default)]
struct Run {
    digits: u64,
    count: usize,
}

impl Run {
    fn push(&mut self, digit: u8) -> Option<u64> {
        self.digits = (self.digits * 10 + u64::from(digit)) % 10_u64.pow(ENOUGH as u32);
        self.count += 1;
        (self.count >= ENOUGH).then_some(self.digits)
    }
}

fn around(text: &str, place: usize) -> String {
    let bytes = &text.as_bytes()[place.saturating_sub(300)..(place + 100).min(text.len())];
    String::from_utf8_lossy(bytes).into_owned()
}
