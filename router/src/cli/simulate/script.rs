//! Which words a script of `tillswitch simulate` has, and what each of them does.

use std::fmt::Write;

use tillswitch_http::simulator as http;
use tillswitch_zvt::simulator as zvt;

/// What the words of a ZVT terminal do. The terminal knows them; that none is missing here is tested.
const ZVT: &[(&str, &str)] = &[
    ("approve", "books and says so"),
    ("decline", "the host refuses (27 05)"),
    ("customer-cancel", "the customer presses the stop key (27 6C)"),
    ("wait-for-abort", "waits for a card until it is told to stop (06 B0)"),
    ("wait-for-abort-bytewise", "the same, while its messages trickle in byte by byte"),
    ("busy", "is at something else (84 A0)"),
    ("busy-9C", "asks to be asked again (84 9C)"),
    ("refuse", "does not take the command (84 83)"),
    ("only-06-1E", "ends with an abort and never says a result"),
    ("error-04-0F-without-completion", "says an error and never ends"),
    ("pin-retry", "says an error, waits for the PIN once more, and approves"),
    ("approve-then-reverse", "approves, and takes it back"),
    ("approve-less", "approves a part of the amount"),
    ("approve-more", "approves the amount and a tip"),
    ("cut-after-command", "cuts the link when the command has arrived, nothing is booked"),
    ("cut-after-start", "answers the command and cuts the link, the customer pays all the same"),
    ("cut-after-04-FF", "the same behind its first message"),
    ("cut-before-result", "books, and cuts the link before it says so (also: cut-after-booking)"),
    ("cut-after-result", "books, says so, and cuts the link before that is acknowledged"),
    ("cut-after-ack", "books, says so, and cuts the link before it ends"),
    ("cut-at-slip", "books, says so, and cuts the link within the slip"),
    ("cut-after-06-0F", "approves, and cuts the link before its end is acknowledged"),
    ("cut-idle", "approves to the end, then cuts the idle link"),
    ("no-completion", "approves, and stays silent instead of ending"),
    ("silent", "does not answer the command"),
    ("silent-after-start", "takes the command and stays silent, nothing is booked"),
    ("garbage", "answers the command with bytes that mean nothing"),
    ("slow", "approves after many messages, byte by byte"),
    ("coalesced", "approves, with several messages in one segment"),
    ("duplicate-04-0F", "approves, and says so twice"),
    ("late-result", "books, stays silent, and says so in front of its next answer"),
    ("cut-registration", "from here on, once: cuts the link when a registration has arrived"),
    ("banner", "from here on: greets every link with a line of text"),
    ("wrong-id", "from here on: presents itself as another terminal"),
    ("no-06-20", "from here on: does not tell its last payment again"),
];

/// Help for `--script` of the ZVT terminal.
pub(super) fn zvt_help() -> String {
    let meaning = |word: &str| ZVT.iter().find(|(known, _)| *known == word).map_or("", |(_, meaning)| *meaning);
    help(zvt::Step::words().map(|word| (word, meaning(word))))
}

/// Help for `--script` of the HTTP terminal.
pub(super) fn http_help() -> String {
    help(http::Step::words())
}

fn help(words: impl Iterator<Item = (&'static str, &'static str)>) -> String {
    let words: Vec<(&str, &str)> = words.collect();
    let width = words.iter().map(|(word, _)| word.len()).max().unwrap_or(0);
    let mut text = "How the next payments go, separated by commas; afterwards everything is approved:\n".to_owned();
    for (word, meaning) in words {
        let _ = write!(text, "\n  {word:width$}  {meaning}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_its_meaning() {
        let words: Vec<&str> = zvt::Step::words().collect();
        let explained: Vec<&str> = ZVT.iter().map(|(word, _)| *word).collect();
        assert_eq!(words, explained);
    }
}
