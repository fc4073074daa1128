//! What is counted of webhooks.

use std::collections::HashMap;

use metrics::{Counter, Histogram};

use super::table::{WEBHOOK_ACK, WEBHOOK_DUPLICATES, WEBHOOK_REJECTED, WEBHOOK_REQUESTS};
use crate::code::Code;

/// Who sends webhooks. One so far; another point of sale gets a word of its own.
const SOURCE: &str = "xentral";
const STATUS_CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
/// Why a webhook was turned away.
const REJECTIONS: [Code; 19] = [
    Code::Malformed,
    Code::BadAmount,
    Code::UnknownOperation,
    Code::BadSignature,
    Code::UnknownRegister,
    Code::AmbiguousRegister,
    Code::UnknownPaymentEvent,
    Code::ConflictingRepeat,
    Code::SuspectedRepeat,
    Code::DocumentInDoubt,
    Code::OverRefund,
    Code::TooOld,
    Code::TerminalBusy,
    Code::TerminalInDoubt,
    Code::JournalUnavailable,
    Code::ShuttingDown,
    Code::TooLarge,
    Code::TooMany,
    Code::Timeout,
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
            rejections: REJECTIONS.map(|code| (code, WEBHOOK_REJECTED.counter(&[code.name()]))).into(),
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
