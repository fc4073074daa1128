//! What of a line is shown in the log?
//!
//! Whoever logs is careful with card numbers already, and says nothing that a stranger wrote without a bound. This is the second
//! net, under everything that any driver logs: an event stays one line, what steers a screen is seen instead of obeyed, and of
//! what has the form of a card number only the last four digits are left. A document's own number may have that form too, one
//! long one in ten; the log is not where it is looked up.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

use crate::cards::{self, Card};

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
    let cards = cards::find(&bounded);
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
        shown.push_str(&card.hidden(line));
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

#[cfg(test)]
mod tests {
    use super::*;

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
