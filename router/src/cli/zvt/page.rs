//! What does a frame look like to a person?

use tillswitch_zvt::apdu::Apdu;
use tillswitch_zvt::decode::{Disclosure, Explanation, Frame, Item, Piece, Place, explain};
use tillswitch_zvt::tables::commands::Sender;

use crate::cli::client::print::clean;

/// So many bytes of a value are shown as they are; more would push the words aside.
const SHOWN_BYTES: usize = 6;
/// The widest column of names.
const NAME_WIDTH: usize = 34;
/// The page's width where nobody says one.
const USUAL_WIDTH: usize = 100;

/// How a page looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    colours: bool,
    width: usize,
}

impl Style {
    /// Colours on a terminal only, and none where `NO_COLOR` asks for none.
    pub fn of(is_terminal: bool) -> Style {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let told = is_terminal.then(|| rustix::termios::tcgetwinsize(std::io::stdout()).ok()).flatten();
        let width = told.map_or(USUAL_WIDTH, |size| usize::from(size.ws_col)).max(40);
        Style { colours: is_terminal && wanted, width }
    }

    fn bold(self, text: &str) -> String {
        self.painted("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.painted("2", text)
    }

    fn alarming(self, text: &str) -> String {
        self.painted("31", text)
    }

    fn painted(self, code: &str, text: &str) -> String {
        if self.colours && !text.trim().is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// What is wrong with a frame.
pub(super) fn faults(frame: &Frame) -> Vec<String> {
    let fault = |piece: &Piece| match piece {
        Piece::Wrong { fault, .. } => Some(fault.clone()),
        Piece::Message(_) | Piece::Framed(_) | Piece::Ack | Piece::Nak => None,
    };
    frame.pieces.iter().filter_map(fault).collect()
}

/// A page about all that a frame holds.
pub(super) fn frame(frame: &Frame, disclosure: Disclosure, style: Style) -> String {
    frame.pieces.iter().map(|piece| format!("{}\n", self::piece(piece, frame.sender, disclosure, style))).collect()
}

fn piece(piece: &Piece, sender: Option<Sender>, disclosure: Disclosure, style: Style) -> String {
    match piece {
        Piece::Message(apdu) => message(apdu, sender, "", disclosure, style),
        Piece::Framed(apdu) => message(apdu, sender, ", serial frame, checksum right", disclosure, style),
        Piece::Ack => format!("{}\n", style.bold("ACK  the serial frame was understood")),
        Piece::Nak => format!("{}\n", style.bold("NAK  the serial frame was not understood")),
        Piece::Wrong { fault, read } => {
            let told =
                read.as_ref().map_or(String::new(), |apdu| message(apdu, sender, " could be read", disclosure, style));
            format!("{}\n{told}", style.alarming(&format!("! {fault}")))
        }
    }
}

fn message(apdu: &Apdu, sender: Option<Sender>, remark: &str, disclosure: Disclosure, style: Style) -> String {
    let told = explain(apdu, disclosure);
    let mut page = head(&told, sender, remark, style);
    let mut rows = Vec::new();
    told.items.iter().for_each(|item| collect(item, 0, &mut rows));
    let columns = Columns::of(&rows, style);
    rows.iter().for_each(|row| page.push_str(&columns.row(row)));
    page
}

fn head(told: &Explanation, sender: Option<Sender>, remark: &str, style: Style) -> String {
    let way = match sender.or(told.sender) {
        Some(Sender::Ecr) => "ECR → PT  ",
        Some(Sender::Pt) => "PT → ECR  ",
        Some(Sender::Both) | None => "",
    };
    let [class, instruction] = told.control;
    let reason = told.remark.as_ref().map_or(String::new(), |remark| format!(": {remark}"));
    let size = if told.length == 1 { "1 byte".to_owned() } else { format!("{} bytes", told.length) };
    let title = style.bold(&format!("{class:02X} {instruction:02X}  {}{reason}", told.name));
    format!("{way}{title}{}\n", style.dim(&format!("  ({size}{remark})")))
}

/// One line of the table.
struct Row<'a> {
    depth: usize,
    item: &'a Item,
}

fn collect<'a>(item: &'a Item, depth: usize, rows: &mut Vec<Row<'a>>) {
    rows.push(Row { depth, item });
    item.items.iter().for_each(|inner| collect(inner, depth + 1, rows));
}

/// How wide the columns are.
struct Columns {
    tag: usize,
    name: usize,
    bytes: usize,
    style: Style,
}

impl Columns {
    fn of(rows: &[Row<'_>], style: Style) -> Columns {
        let widest = |width: fn(&Row<'_>) -> usize| rows.iter().map(width).max().unwrap_or(0);
        Columns {
            tag: widest(|row| tag(row).chars().count()),
            name: widest(|row| row.item.name.chars().count()).min(NAME_WIDTH),
            bytes: widest(|row| bytes(row.item).chars().count()),
            style,
        }
    }

    fn row(&self, row: &Row<'_>) -> String {
        let mut text = String::new();
        let (tag, name, bytes) = (tag(row), row.item.name, bytes(row.item));
        let (tag, bytes) = (format!("{tag:<0$}", self.tag), format!("{bytes:<0$}", self.bytes));
        let left = format!("  {}  {name:<2$}  {}", self.style.dim(&tag), self.style.dim(&bytes), self.name);
        let start = 2 + self.tag + 2 + self.name.max(name.chars().count()) + 2 + self.bytes + 2;
        let mut lines = words(row.item).into_iter().flat_map(|line| wrapped(&line, self.room(start)));
        let first = lines.next().unwrap_or_default();
        text.push_str(format!("{left}  {first}").trim_end());
        text.push('\n');
        lines.for_each(|line| text.push_str(&format!("{}{line}\n", " ".repeat(start))));
        text
    }

    /// What a narrow window leaves for words; less than this is no use to anybody.
    fn room(&self, start: usize) -> usize {
        self.style.width.saturating_sub(start).max(24)
    }
}

fn tag(row: &Row<'_>) -> String {
    let tag = match row.item.place {
        Place::Undecoded => "?".to_owned(),
        place => place.tag(),
    };
    format!("{}{tag}", "  ".repeat(row.depth))
}

/// The bytes, as far as they fit and may be shown.
fn bytes(item: &Item) -> String {
    let count = if item.length == 1 { "1 byte".to_owned() } else { format!("{} bytes", item.length) };
    if !item.items.is_empty() || item.length > SHOWN_BYTES {
        return count;
    }
    if item.masked {
        return format!("‹{count}›");
    }
    let digits: Vec<char> = item.raw.to_uppercase().chars().collect();
    digits.chunks(2).map(|pair| pair.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

/// What an item means, line by line.
fn words(item: &Item) -> Vec<String> {
    let value = item.value.as_deref().filter(|value| !value.is_empty());
    let mut lines: Vec<String> =
        value.map(|value| clean(value).lines().map(str::to_owned).collect()).unwrap_or_default();
    if value.is_none() && item.masked && item.items.is_empty() {
        lines.push("masked".to_owned());
    } else if value.is_none() && item.items.is_empty() && item.length > SHOWN_BYTES {
        lines.push(item.raw.to_uppercase());
    }
    lines.extend(item.details.iter().map(|detail| match detail.bits {
        Some(bits) => format!("{}  {}", picture(bits.mask, bits.value), detail.text),
        None => detail.text.clone(),
    }));
    lines
}

/// Bits as a picture: those that count as 0 or 1, the others as dots.
fn picture(mask: u8, value: u8) -> String {
    let bit = |place: u8| match (mask >> place & 1, value >> place & 1) {
        (0, _) => '·',
        (_, 0) => '0',
        _ => '1',
    };
    (0..8).rev().map(bit).collect()
}

/// Breaks a line at blanks; what has none is cut.
fn wrapped(line: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest: Vec<char> = line.chars().collect();
    while rest.len() > width {
        let blank = rest[..=width].iter().rposition(|c| *c == ' ').filter(|place| *place > 0);
        let end = blank.unwrap_or(width);
        lines.push(rest[..end].iter().collect::<String>().trim_end().to_owned());
        rest = rest[end..].iter().copied().skip_while(|c| *c == ' ').collect();
    }
    lines.push(rest.into_iter().collect());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_blanks() {
        assert_eq!(wrapped("the link broke", 9), ["the link", "broke"]);
        assert_eq!(wrapped("A0000000041010", 8), ["A0000000", "041010"]);
        assert_eq!(wrapped("", 8), [""]);
    }

    #[test]
    fn bits_are_drawn() {
        assert_eq!((picture(0x80, 0x80), picture(0xF0, 0x40)), ("1·······".into(), "0100····".into()));
    }
}
