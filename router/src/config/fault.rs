//! What is wrong in the file, where, and how that is shown.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::secret;

/// One thing that is wrong, or with a warning: that deserves a look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The line, counted from 1; 0 when the file as a whole is meant because it cannot be read.
    pub line: usize,
    /// The character in that line, counted from 1.
    pub column: usize,
    /// The key, such as `terminals.counter.address`.
    pub path: String,
    /// What is wrong. No secrets.
    pub message: String,
    /// What to do.
    pub remedy: String,
    /// The line of the file, and below it carets under the text that is meant. Secrets are left out.
    pub excerpt: String,
}

impl Fault {
    /// The fault as people read it: place and message, the underlined line, the remedy.
    pub fn describe(&self, file: &Path) -> String {
        if self.line == 0 {
            return format!("{}: {}\n      = {}\n", file.display(), self.message, self.remedy);
        }
        let (line, carets) = self.excerpt.split_once('\n').unwrap_or((&self.excerpt, ""));
        format!(
            "{}:{}:{}: {}\n{:>5} | {line}\n      | {carets}\n      = {}\n",
            file.display(),
            self.line,
            self.column,
            self.message,
            self.line,
            self.remedy
        )
    }
}

/// Every fault of one file, in the order of its lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// The file, as it was named to us.
    pub file: PathBuf,
    /// The faults.
    pub faults: Vec<Fault>,
}

impl Faults {
    /// The one fault of a file that cannot be read at all.
    pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Faults {
        let remedy = if error.kind() == std::io::ErrorKind::NotFound {
            "`tillswitch init` writes a first one here; `--config FILE` names one elsewhere"
        } else {
            "make it a text file that this user may read"
        };
        let fault = Fault {
            line: 0,
            column: 0,
            path: String::new(),
            message: format!("the configuration cannot be read: {error}"),
            remedy: remedy.to_owned(),
            excerpt: String::new(),
        };
        Faults { file: file.to_owned(), faults: vec![fault] }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            writeln!(f, "{}", fault.describe(&self.file))?;
        }
        let noun = if self.faults.len() == 1 { "fault" } else { "faults" };
        write!(f, "{} {noun} in {}", self.faults.len(), self.file.display())
    }
}

impl std::error::Error for Faults {}

/// Collects what is found while the file is read. Shared by all readers, therefore with inner mutability.
pub(super) struct Report<'a> {
    text: &'a str,
    hidden: RefCell<Vec<Range<usize>>>,
    faults: RefCell<Vec<Note>>,
    warnings: RefCell<Vec<Note>>,
}

/// A fault before it is rendered: excerpts are made at the end, when every secret in the file is known.
struct Note {
    span: Range<usize>,
    path: String,
    message: String,
    remedy: String,
}

impl<'a> Report<'a> {
    pub(super) fn new(text: &'a str) -> Report<'a> {
        Report { text, hidden: RefCell::default(), faults: RefCell::default(), warnings: RefCell::default() }
    }

    /// Notes a fault at these bytes of the file.
    pub(super) fn fault(&self, span: Range<usize>, path: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.faults.borrow_mut().push(Note::new(span, path, message, remedy));
    }

    /// Notes something that works and deserves a look.
    pub(super) fn warning(
        &self,
        span: Range<usize>,
        path: &str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.warnings.borrow_mut().push(Note::new(span, path, message, remedy));
    }

    /// Keeps these bytes of the file out of every excerpt.
    pub(super) fn hide(&self, span: Range<usize>) {
        self.hidden.borrow_mut().push(span);
    }

    /// All faults and all warnings, rendered, by place.
    pub(super) fn finish(self) -> (Vec<Fault>, Vec<Fault>) {
        let hidden = self.hidden.into_inner();
        let render = |notes: Vec<Note>| {
            let mut notes = notes;
            notes.sort_by_key(|note| note.span.start);
            notes.into_iter().map(|note| note.render(self.text, &hidden)).collect()
        };
        (render(self.faults.into_inner()), render(self.warnings.into_inner()))
    }
}

impl Note {
    fn new(span: Range<usize>, path: &str, message: impl Into<String>, remedy: impl Into<String>) -> Note {
        // It quotes the file, and what stands there must not steer a screen or break a line of the log.
        let shown = |text: &str| text.chars().map(printable).collect();
        let clean = |text: String| shown(&secret::without_user_info(&text));
        Note { span, path: shown(path), message: clean(message.into()), remedy: clean(remedy.into()) }
    }

    fn render(self, text: &str, hidden: &[Range<usize>]) -> Fault {
        let line = Line::around(text, self.span.start);
        Fault {
            line: line.number,
            column: line.column,
            excerpt: line.excerpt(&self.span, hidden),
            path: self.path,
            message: self.message,
            remedy: self.remedy,
        }
    }
}

/// The line of a file that contains one of its bytes.
struct Line<'a> {
    number: usize,
    column: usize,
    start: usize,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn around(text: &'a str, at: usize) -> Line<'a> {
        let at = boundary(text, at.min(text.trim_end().len()));
        let start = line_start(text, at);
        let rest = &text[start..];
        let line = rest.lines().next().unwrap_or("");
        let number = text[..start].matches('\n').count() + 1;
        Line { number, column: text[start..at].chars().count() + 1, start, text: line }
    }

    /// The line with hidden parts shortened to `…`, and carets under the part that is meant.
    fn excerpt(&self, span: &Range<usize>, hidden: &[Range<usize>]) -> String {
        let (mut shown, mut carets) = (String::new(), String::new());
        let mut covered: Option<&Range<usize>> = None;
        for (offset, character) in self.text.char_indices() {
            let at = self.start + offset;
            let cover = hidden.iter().find(|range| range.contains(&at));
            if cover.is_some() && cover == covered {
                continue;
            }
            covered = cover;
            shown.push(if cover.is_some() { '…' } else { printable(character) });
            carets.push(if span.contains(&at) { '^' } else { ' ' });
        }
        if !carets.contains('^') {
            carets = " ".repeat((self.column - 1).min(shown.chars().count())) + "^";
        }
        format!("{}\n{}", shown.trim_end(), carets.trim_end())
    }
}

/// The start of the line that contains this byte.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..boundary(text, at)].rfind('\n').map_or(0, |newline| newline + 1)
}

/// The start of the character that contains this byte.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// What a broken file holds must not steer somebody's screen.
fn printable(character: char) -> char {
    match character {
        '\t' => ' ',
        c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(text: &str, meant: &str, hidden: &str) -> String {
        let report = Report::new(text);
        let start = text.find(meant).unwrap();
        if let Some(at) = text.find(hidden) {
            report.hide(at..at + hidden.len());
        }
        report.fault(start..start + meant.len(), "", "", "");
        report.finish().0.remove(0).excerpt
    }

    #[test]
    fn the_meant_text_is_underlined() {
        assert_eq!(excerpt("a = 1\nqueue = \"x\"\n", "\"x\"", "none"), "queue = \"x\"\n        ^^^");
    }

    #[test]
    fn carets_stay_under_their_text_behind_umlauts_and_hidden_parts() {
        assert_eq!(excerpt("ä = \"geheim\" # b", "b", "\"geheim\""), "ä = … # b\n        ^");
        assert_eq!(excerpt("ä = \"geheim\" # b", "\"geheim\"", "\"geheim\""), "ä = … # b\n    ^");
    }

    #[test]
    fn a_place_behind_the_end_is_the_last_line() {
        let report = Report::new("a = 1\nb =\n\n");
        report.fault(11..11, "", "", "");
        let fault = report.finish().0.remove(0);
        assert_eq!((fault.line, fault.column), (2, 4));
    }
}
