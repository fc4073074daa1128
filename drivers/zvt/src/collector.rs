//! How whole slips come out of lines (06 D1) and blocks (06 D3).

use tillswitch_core::{Receipt, ReceiptKind};

use crate::card_numbers::without_card_numbers;
use crate::slip::{PrintBlock, PrintLine, SlipKind, SlipLine};

/// Columns of a slip on the page; the registration tells the PT the same.
pub(crate) const WIDTH: u8 = 40;

/// A slip is not longer; what never ends is no slip. The rest is left out, for a payment must not fail by it.
const MOST_LINES: usize = 2000;
const MOST_BYTES: usize = 128 * 1024;
/// Stands where the rest was left out.
const CUT: &str = "[...]";

/// Collects what is printed during one conversation.
#[derive(Debug)]
pub(crate) struct SlipCollector {
    /// Whom slips are for when the PT does not say.
    default_kind: ReceiptKind,
    kind: ReceiptKind,
    lines: Vec<SlipLine>,
    /// How many bytes of text they have.
    bytes: usize,
    is_cut: bool,
}

impl SlipCollector {
    pub fn new(default_kind: ReceiptKind) -> SlipCollector {
        SlipCollector { default_kind, kind: default_kind, lines: Vec::new(), bytes: 0, is_cut: false }
    }

    /// A line. Where a slip of single lines ends, terminals do not agree: all of them are one slip, handed out by `rest`.
    pub fn line(&mut self, line: PrintLine) {
        self.keep(line.lines);
    }

    /// A block, and the slips that it completes: the one before it when this one is for somebody else, and its own.
    pub fn block(&mut self, block: PrintBlock) -> Vec<Receipt> {
        let kind = block.kind.map_or(self.default_kind, receipt_kind);
        let before = if kind == self.kind { None } else { self.rest() };
        self.kind = kind;
        self.keep(block.lines);
        let own = if block.ends_slip { self.rest() } else { None };
        before.into_iter().chain(own).collect()
    }

    /// The slip that has not ended by itself.
    pub fn rest(&mut self) -> Option<Receipt> {
        let lines = std::mem::take(&mut self.lines);
        let kind = std::mem::replace(&mut self.kind, self.default_kind);
        let is_cut = std::mem::take(&mut self.is_cut);
        self.bytes = 0;
        let text = lines.iter().map(|line| line.to_plain_text(WIDTH.into())).collect::<Vec<_>>().join("\n");
        let text = without_card_numbers(&text);
        let text = if is_cut && !text.trim().is_empty() { format!("{text}\n{CUT}") } else { text };
        (!text.trim().is_empty()).then_some(Receipt { kind, text })
    }

    fn keep(&mut self, lines: Vec<SlipLine>) {
        for line in lines {
            // An end of line is a byte too, and blanks in front are.
            self.bytes += line.text.len() + 1 + usize::from(WIDTH);
            self.is_cut |= self.lines.len() == MOST_LINES || self.bytes > MOST_BYTES;
            if self.is_cut {
                return;
            }
            self.lines.push(line);
        }
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
    fn a_card_number_does_not_get_onto_a_kept_slip() {
        fn check(line: &str, expected: &str) {
            let mut slips = SlipCollector::new(ReceiptKind::Merchant);
            slips.line(PrintLine { lines: lines(&["Beleg", line]), ends_slip: true });
            assert_eq!(slips.rest().unwrap().text, format!("Beleg\n{expected}"));
        }
        check("Karte 4111111111111111", "Karte ************1111");
        check("4111 1111 1111 1111 0005", "**** **** **** 1111 0005");
        check("4111-1111-1111-1111  12/28", "****-****-****-1111  12/28");
        check("0005 6304000000000000000", "0005 ***************0000");
        check("4111 1111\n   1111 1111", "**** ****\n   **** 1111");
        check("41111111\n11111111\n25,90", "********\n****1111\n25,90");
        // What terminals print besides.
        for line in [
            "################1111 0005",
            "EMV-AID: A0000000041010",
            "VU-Nr. 455600004660",
            "AS-Proc-Code = 00 075 00 14 00",
            "0343 000087 29001612",
            "VU-Nr. 41111111111111\n11.11.2026",
            "41111111\nEUR 11111111",
            "4111111111111112",
        ] {
            check(line, line);
        }
    }

    #[test]
    fn a_slip_without_an_end_is_cut() {
        let mut slips = SlipCollector::new(ReceiptKind::Customer);
        for _ in 0..1000 {
            slips.line(PrintLine { lines: lines(&[""; 255]), ends_slip: false });
        }
        assert!(slips.lines.len() <= MOST_LINES);
        assert_eq!(slips.rest(), None);
        let long = "x".repeat(32 * 1024);
        for _ in 0..100 {
            slips.line(PrintLine { lines: lines(&[&long]), ends_slip: false });
        }
        let text = slips.rest().unwrap().text;
        assert!(text.len() <= MOST_BYTES + CUT.len() + 1 && text.ends_with(CUT), "{} bytes", text.len());
        slips.line(PrintLine { lines: lines(&["next"]), ends_slip: false });
        assert_eq!(slips.rest().unwrap().text, "next");
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
