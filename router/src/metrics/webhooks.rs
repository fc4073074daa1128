//! What is counted of webhooks.

use std::collections::HashMap;

use metrics::{Counter, Histogram};

use super::table::{WEBHOOK_ACK, WEBHOOK_DUPLICATES, WEBHOOK_REJECTED, WEBHOOK_REQUESTS};
use crate::code::Code;

/// Who sends webhooks. One so far; another point of sale gets a word of its own.
const SOURCE: &str = "xentral";
const STATUS_CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
/// Why a webhook was turned away, by the code of its answer. Labels are words with underscores here as everywhere.
const REJECTIONS: [(Code, &str); 19] = [
    (Code::Malformed, "malformed"),
    (Code::BadAmount, "bad_amount"),
    (Code::UnknownOperation, "unknown_operation"),
    (Code::BadSignature, "bad_signature"),
    (Code::UnknownRegister, "unknown_register"),
    (Code::AmbiguousRegister, "ambiguous_register"),
    (Code::UnknownPaymentEvent, "unknown_payment_event"),
    (Code::ConflictingRepeat, "conflict"),
    (Code::SuspectedRepeat, "suspected_repeat"),
    (Code::DocumentInDoubt, "document_in_doubt"),
    (Code::OverRefund, "over_refund"),
    (Code::TooOld, "stale_timestamp"),
    (Code::TerminalBusy, "terminal_busy"),
    (Code::TerminalInDoubt, "terminal_in_doubt"),
    (Code::JournalUnavailable, "journal_unavailable"),
    (Code::ShuttingDown, "shutting_down"),
    (Code::TooLarge, "too_large"),
    (Code::TooMany, "overloaded"),
    (Code::Timeout, "timeout"),
];

pub(super) struct Webhooks {
    statuses: [Counter; STATUS_CLASSES.len()],
    rejections: HashMap<Code, Counter>,
    pub(super) duplicates: Counter,
    pub(super) ack: Histogram,
}

impl Webhooks {
    pub(super) fn create() -> Webhooks {
        Webhooks {
            statuses: STATUS_CLASSES.map(|class| WEBHOOK_REQUESTS.counter(&[SOURCE, class])),
            rejections: REJECTIONS.map(|(code, reason)| (code, WEBHOOK_REJECTED.counter(&[reason]))).into(),
            duplicates: WEBHOOK_DUPLICATES.counter(&[SOURCE]),
            ack: WEBHOOK_ACK.histogram(&[SOURCE]),
        }
    }

    pub(super) fn answered(&self, status: u16) {
        let class = usize::from(status / 100).clamp(2, 5) - 2;
        self.statuses[class].increment(1);
    }

    pub(super) fn rejected(&self, code: Code) {
        if let Some(counter) = self.rejections.get(&code) {
            counter.increment(1);
        }
    }
}
