//! What of a line is shown in the log?
//!
//! Whoever logs is careful with card numbers already, and says nothing that a stranger wrote without a bound. This is the second
//! net, under everything that any driver logs: an event stays one line, what steers a screen is seen instead of obeyed, and of
//! what has the form of a card number only the last four digits are left. A document's own number may have that form too, one
//! long one in ten; the log is not where it is looked up.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::ops::{Range, RangeInclusive};

use tracing_subscriber::fmt::MakeWriter;

/// The digits that a card number has (ISO/IEC 7812).
const CARD_DIGITS: RangeInclusive<usize> = 13..=19;
/// What may be read of one.
const SHOWN_DIGITS: usize = 4;
/// An event that is longer is cut: nothing that is meant to be read is.
const MAX_LINE: usize = 16 * 1024;

/// The formatter's own: plain, bold, dim, italic, and a colour for each level. A stranger can do no more with them than it does.
const COLOURS: [&str; 9] = [
    "\u{1b}[0m",
    "\u{1b}[1m",
    "\u{1b}[2m",
    "\u{1b}[3m",
    "\u{1b}[31m",
    "\u{1b}[32m",
    "\u{1b}[33m",
    "\u{1b}[34m",
    "\u{1b}[35m",
];

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// For a person at a terminal, with colours.
    Text,
    /// One JSON object per line, for programs.
    Json,
}

/// Writes what may be shown to where lines go.
pub(super) struct Shown<M> {
    pub lines: M,
    pub form: Form,
}

/// One event on its way.
pub(super) struct Line<W> {
    line: W,
    form: Form,
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Shown<M> {
    type Writer = Line<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { line: self.lines.make_writer(), form: self.form }
    }
}

impl<W: Write> Write for Line<W> {
    /// An event comes in one piece.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        self.line.write_all(shown(&text, self.form).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.line.flush()
    }
}

/// The event as it may be shown, with the one line end that it had.
fn shown(event: &str, form: Form) -> Cow<'_, str> {
    let (line, end) = event.strip_suffix('\n').map_or((event, ""), |line| (line, "\n"));
    let bounded = bounded(line, form);
    let cards = card_numbers(&bounded);
    if cards.is_empty() && matches!(bounded, Cow::Borrowed(_)) && !line.chars().any(|c| is_escaped(c, form)) {
        return Cow::Borrowed(event);
    }
    let mut shown = masked(&bounded, &cards, form);
    if shown.chars().any(|c| is_escaped(c, form)) {
        shown = escaped(&shown, form);
    }
    Cow::Owned(shown + end)
}

fn bounded(line: &str, form: Form) -> Cow<'_, str> {
    if line.len() <= MAX_LINE {
        return Cow::Borrowed(line);
    }
    let end = (0..=MAX_LINE).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
    let cut = format!("{}… ({} bytes)", &line[..end], line.len());
    match form {
        Form::Text => Cow::Owned(cut),
        // What is left of the object is no object any more: it becomes a text in one.
        Form::Json => Cow::Owned(serde_json::json!({ "level": "WARN", "message": cut }).to_string()),
    }
}

/// Whether a character breaks a line, steers a screen or turns a text around.
fn is_escaped(c: char, form: Form) -> bool {
    let is_control = c.is_control() && !(form == Form::Text && c == '\t');
    is_control
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn escaped(line: &str, form: Form) -> String {
    let mut shown = String::with_capacity(line.len() + 16);
    for (place, c) in line.char_indices() {
        match form {
            _ if !is_escaped(c, form) => shown.push(c),
            // Below U+10000 all of them are one unit of UTF-16, and they stand in texts only.
            Form::Json => drop(write!(shown, "\\u{:04x}", u32::from(c))),
            Form::Text if COLOURS.iter().any(|colour| line[place..].starts_with(colour)) => shown.push(c),
            Form::Text => shown.extend(c.escape_default()),
        }
    }
    shown
}

/// The line with stars for all but the last digits of these numbers.
fn masked(line: &str, cards: &[Card], form: Form) -> String {
    let mut shown = String::with_capacity(line.len() + 2 * cards.len());
    let mut done = 0;
    for card in cards {
        shown.push_str(&line[done..card.place.start]);
        // A number without quotes would not be JSON any more.
        let quote = if form == Form::Json && !is_within_text(&line[..card.place.start]) { "\"" } else { "" };
        shown.push_str(quote);
        let mut hidden = card.digits - SHOWN_DIGITS;
        for c in line[card.place.clone()].chars() {
            let hides = c.is_ascii_digit() && hidden > 0;
            hidden -= usize::from(hides);
            shown.push(if hides { '*' } else { c });
        }
        shown.push_str(quote);
        done = card.place.end;
    }
    shown.push_str(&line[done..]);
    shown
}

/// Whether what comes behind this beginning of a JSON object stands in a text.
fn is_within_text(before: &str) -> bool {
    let mut within = false;
    let mut bytes = before.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => within = !within,
            _ => {}
        }
    }
    within
}

/// Where something stands that has the form of a card number.
struct Card {
    place: Range<usize>,
    digits: usize,
}

/// All of a line, none inside another one.
fn card_numbers(line: &str) -> Vec<Card> {
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
        for (line, expected) in [
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
            ("größer 4111111111111111 €\n", "größer ************1111 €\n"),
        ] {
            assert_eq!(shown(line, Form::Text), expected);
        }
    }

    #[test]
    fn json_stays_json() {
        let line =
            "{\"message\":\"a \\\"4111111111111111\\\" b\\u202e\",\"n\":4111111111111111,\"s\":\"5555555555554444\"}";
        let shown = shown(line, Form::Json);
        let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(value["message"], "a \"************1111\" b\u{202e}");
        assert_eq!((&value["n"], &value["s"]), (&"************1111".into(), &"************4444".into()));
    }

    #[test]
    fn an_event_is_one_line_of_what_can_be_seen() {
        let strange = "a\nb\r\u{202e}c\u{85}d\u{2028}e\u{7f}\n";
        assert_eq!(shown(strange, Form::Text), "a\\nb\\r\\u{202e}c\\u{85}d\\u{2028}e\\u{7f}\n");
        let line = format!("{}\n", serde_json::json!({ "message": strange }));
        let shown = shown(&line, Form::Json);
        assert!(!shown.trim_end().chars().any(|c| is_escaped(c, Form::Json)), "{shown}");
        let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(value["message"], strange);
    }

    #[test]
    fn a_line_has_an_end() {
        let long = "ü".repeat(40_000);
        assert!(shown(&long, Form::Text).len() < MAX_LINE + 64);
        let cut = shown(&format!("{}\n", serde_json::json!({ "message": long })), Form::Json).into_owned();
        let value: serde_json::Value = serde_json::from_str(&cut).unwrap();
        assert!(value["message"].as_str().unwrap().contains("bytes") && cut.ends_with('\n'));
    }

    #[test]
    fn what_is_harmless_is_not_copied() {
        assert!(matches!(shown("payment approved amount=25.90 EUR\n", Form::Text), Cow::Borrowed(_)));
    }
}
