//! How whole slips come out of lines (06 D1) and blocks (06 D3).

use tillswitch_core::{Receipt, ReceiptKind};

use crate::slip::{PrintBlock, PrintLine, SlipKind, SlipLine};

/// Columns of a slip on the page; the registration tells the PT the same.
pub(crate) const WIDTH: u8 = 40;

/// Collects what is printed during one conversation.
#[derive(Debug)]
pub(crate) struct SlipCollector {
    /// Whom slips are for when the PT does not say.
    default_kind: ReceiptKind,
    kind: ReceiptKind,
    lines: Vec<SlipLine>,
}

impl SlipCollector {
    pub fn new(default_kind: ReceiptKind) -> SlipCollector {
        SlipCollector { default_kind, kind: default_kind, lines: Vec::new() }
    }

    /// A line. Where a slip of single lines ends, terminals do not agree: all of them are one slip, handed out by `rest`.
    pub fn line(&mut self, line: PrintLine) {
        self.lines.extend(line.lines);
    }

    /// A block, and the slips that it completes: the one before it when this one is for somebody else, and its own.
    pub fn block(&mut self, block: PrintBlock) -> Vec<Receipt> {
        let kind = block.kind.map_or(self.default_kind, receipt_kind);
        let before = if kind == self.kind { None } else { self.rest() };
        self.kind = kind;
        self.lines.extend(block.lines);
        let own = if block.ends_slip { self.rest() } else { None };
        before.into_iter().chain(own).collect()
    }

    /// The slip that has not ended by itself.
    pub fn rest(&mut self) -> Option<Receipt> {
        let lines = std::mem::take(&mut self.lines);
        let kind = std::mem::replace(&mut self.kind, self.default_kind);
        let text: Vec<String> = lines.iter().map(|line| line.to_plain_text(WIDTH.into())).collect();
        let text = text.join("\n");
        (!text.trim().is_empty()).then_some(Receipt { kind, text })
    }
}

fn receipt_kind(kind: SlipKind) -> ReceiptKind {
    match kind {
        SlipKind::Merchant => ReceiptKind::Merchant,
        SlipKind::Customer => ReceiptKind::Customer,
        SlipKind::Administration => ReceiptKind::Administration,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slip::LineAttribute;

    fn lines(texts: &[&str]) -> Vec<SlipLine> {
        texts.iter().map(|text| SlipLine::new(LineAttribute::default(), *text)).collect()
    }

    fn block(kind: Option<SlipKind>, texts: &[&str], ends_slip: bool) -> PrintBlock {
        PrintBlock { kind, lines: lines(texts), ends_slip }
    }

    #[test]
    fn single_lines_are_one_slip() {
        let mut slips = SlipCollector::new(ReceiptKind::Customer);
        slips.line(PrintLine { lines: lines(&["Total"]), ends_slip: false });
        slips.line(PrintLine { lines: lines(&["25,90"]), ends_slip: true });
        let text = "Total\n25,90".to_owned();
        assert_eq!(slips.rest(), Some(Receipt { kind: ReceiptKind::Customer, text }));
        assert_eq!(slips.rest(), None);
    }

    #[test]
    fn blocks_end_by_themselves_or_with_the_next_reader() {
        let mut slips = SlipCollector::new(ReceiptKind::Customer);
        assert_eq!(slips.block(block(Some(SlipKind::Merchant), &["a"], false)), []);
        let merchant = Receipt { kind: ReceiptKind::Merchant, text: "a\nb".into() };
        assert_eq!(slips.block(block(Some(SlipKind::Merchant), &["b"], true)), [merchant]);
        assert_eq!(slips.block(block(Some(SlipKind::Merchant), &["c"], false)), []);
        let unended = Receipt { kind: ReceiptKind::Merchant, text: "c".into() };
        assert_eq!(slips.block(block(Some(SlipKind::Customer), &["d"], false)), [unended]);
        assert_eq!(slips.rest(), Some(Receipt { kind: ReceiptKind::Customer, text: "d".into() }));
    }
}
