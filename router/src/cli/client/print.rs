//! How text gets out: results to standard output, everything on the way to standard error.

use std::io::Write;

/// Writes a result. Whoever closes the pipe early has seen enough.
pub(in crate::cli) fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Tells the person something while a command runs.
pub(in crate::cli) fn tell(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// A text from outside without anything that a terminal obeys: document numbers come from the internet.
pub(in crate::cli) fn clean(text: &str) -> String {
    // The other ones turn the direction of writing, so that a text reads as what it is not.
    let commands =
        |c: char| c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if commands(c) { '·' } else { c }).collect()
}

/// The same in one line, for a cell of a table.
pub(in crate::cli) fn one_line(text: &str) -> String {
    clean(text).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_does_not_get_through() {
        assert_eq!(clean("a\u{1b}[2Jb\u{9b}c\n\u{202e}d"), "a·[2Jb·c\n·d");
        assert_eq!(one_line("a\r\nb"), "a· b");
    }
}
