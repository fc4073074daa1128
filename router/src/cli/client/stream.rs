//! What happens while a command waits: the router's events (WHATWG HTML, 9.2).

use http_body_util::BodyExt;
use serde_json::Value;

use super::http::Opened;

/// More than one event ever has; whoever sends more is no router.
const MAX_EVENT_BYTES: usize = 1 << 20;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli) enum Happened {
    /// A payment moved on.
    Payment(Value),
    /// A line for the cashier, during a payment or during a terminal's own work.
    Line { terminal: String, payment: Option<String>, line: String },
    /// Something was missed, or is of another kind: look anew.
    Other,
}

/// The events from when it was opened.
pub(in crate::cli) struct Stream {
    opened: Opened,
    read: Vec<u8>,
}

impl Stream {
    pub(super) fn new(opened: Opened) -> Stream {
        Stream { opened, read: Vec::new() }
    }

    /// The next one; `None` when there will be no more. Nothing is lost when this is dropped while it waits.
    pub async fn next(&mut self) -> Option<Happened> {
        loop {
            if let Some(block) = take_block(&mut self.read) {
                match parse(&block) {
                    Some(happened) => return Some(happened),
                    None => continue,
                }
            }
            if self.read.len() > MAX_EVENT_BYTES {
                return None;
            }
            let frame = self.opened.body.frame().await?.ok()?;
            self.read.extend(frame.into_data().unwrap_or_default());
        }
    }
}

/// The text up to the next empty line.
fn take_block(read: &mut Vec<u8>) -> Option<String> {
    let end = read.windows(2).position(|pair| pair == b"\n\n")?;
    let block = String::from_utf8_lossy(&read[..end]).into_owned();
    read.drain(..end + 2);
    Some(block)
}

/// `None` for a comment.
fn parse(block: &str) -> Option<Happened> {
    let field = |name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(|value| value.strip_prefix(' ').unwrap_or(value))
    };
    let event = field("event")?;
    let data: Value = serde_json::from_str(field("data")?).unwrap_or_default();
    let text = |key: &str| data[key].as_str().map(str::to_owned);
    Some(match event {
        "payment" => Happened::Payment(data),
        "line" => Happened::Line {
            terminal: text("terminal").unwrap_or_default(),
            payment: text("payment"),
            line: text("line").unwrap_or_default(),
        },
        _ => Happened::Other,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_told_apart_and_comments_are_passed_over() {
        let line = Happened::Line { terminal: "counter".into(), payment: None, line: "insert card".into() };
        for (block, expected) in [
            (":", None),
            (":keep\nid:7", None),
            ("event:payment\ndata:{\"id\":\"7\"}", Some(Happened::Payment(json!({ "id": "7" })))),
            ("event: line\ndata: {\"terminal\":\"counter\",\"payment\":null,\"line\":\"insert card\"}", Some(line)),
            ("event:reload\ndata:{}", Some(Happened::Other)),
        ] {
            assert_eq!(parse(block), expected, "{block}");
        }
    }

    #[test]
    fn a_block_ends_with_an_empty_line() {
        let mut read = b"event:a\ndata:1\n\nevent:b".to_vec();
        assert_eq!(take_block(&mut read).as_deref(), Some("event:a\ndata:1"));
        assert_eq!(take_block(&mut read), None);
        assert_eq!(read, b"event:b");
    }
}
