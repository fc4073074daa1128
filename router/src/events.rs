//! What happens, as it happens, for whoever looks on.

use std::sync::Arc;

use serde_json::{Value, json};
use tillswitch_core::PaymentId;
use tokio::sync::{broadcast, watch};

use crate::answer::describe;
use crate::journal::Payment;

/// Events that a slow listener may lag behind; whoever lags further is told to look anew.
const QUEUED: usize = 256;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A payment moved on; it stands on disk as it is here.
    Payment(Arc<Payment>),
    /// A line for the cashier.
    Line {
        /// At this terminal.
        terminal: Arc<str>,
        /// During this payment; `None` during a terminal's own work.
        payment: Option<PaymentId>,
        /// The line.
        line: String,
    },
    /// Something contradicts what is known.
    Incident {
        /// At this terminal.
        terminal: Arc<str>,
        /// About this payment, if it is known.
        payment: Option<PaymentId>,
        /// A sentence.
        message: String,
    },
}

impl Event {
    /// The name that a listener reads: `payment`, `line` or `incident`.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Payment(_) => "payment",
            Event::Line { .. } => "line",
            Event::Incident { .. } => "incident",
        }
    }

    /// What a listener reads.
    pub fn data(&self) -> Value {
        let id = |payment: &Option<PaymentId>| payment.map(|id| id.to_string());
        match self {
            Event::Payment(payment) => describe(payment),
            Event::Line { terminal, payment, line } => {
                json!({ "terminal": &**terminal, "payment": id(payment), "line": line })
            }
            Event::Incident { terminal, payment, message } => {
                json!({ "terminal": &**terminal, "payment": id(payment), "message": message })
            }
        }
    }
}

/// Where events are sent. Cheap to clone; sending never waits.
#[derive(Clone, Debug)]
pub struct Events {
    sender: broadcast::Sender<Event>,
    over: watch::Sender<bool>,
}

impl Events {
    /// Nobody listens yet.
    pub fn new() -> Events {
        Events { sender: broadcast::Sender::new(QUEUED), over: watch::Sender::new(false) }
    }

    /// Tells whoever listens.
    pub fn send(&self, event: Event) {
        // Nobody listening is no error.
        let _ = self.sender.send(event);
    }

    /// Listens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.sender.subscribe()
    }

    /// Becomes `true` when nothing more will happen: listeners may leave.
    pub fn over(&self) -> watch::Receiver<bool> {
        self.over.subscribe()
    }

    /// Nothing more will happen.
    pub fn end(&self) {
        self.over.send_replace(true);
    }

    /// Whether anybody listens: what nobody hears need not be put together.
    pub fn is_heard(&self) -> bool {
        self.sender.receiver_count() > 0
    }
}

impl Default for Events {
    fn default() -> Events {
        Events::new()
    }
}
