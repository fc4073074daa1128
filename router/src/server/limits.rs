//! How much time and room does one client get?

use std::time::Duration;

/// The limits of one listener. [`Limits::default`] holds the values that the admin listener uses.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From the accept, or from the first byte of a later request, to the end of its head. Then 408.
    pub header_deadline: Duration,
    /// From the end of the head to the end of the body. Then 408.
    pub body_deadline: Duration,
    /// How long a connection may rest between two requests before it is closed without a word.
    pub idle: Duration,
    /// How long a client may refuse to take any byte of an answer before it is given up.
    pub write_stall: Duration,
    /// How long the rest of a refused request is read and thrown away, so that its answer is not lost in a reset.
    pub linger: Duration,
    /// How long after an answer a client that had already closed its side may still turn out to be gone.
    pub settle: Duration,
    /// Bytes of a body, chunked or not. Then 413.
    pub max_body: usize,
    /// Bytes of a head, and of everything in a chunked body that is not data. Then 431 and 413.
    pub max_head: usize,
    /// Header fields of a request, at most the 100 that hyper takes. Then 431.
    pub max_headers: usize,
    /// Clients at the same time. For the next one, whoever has waited longest without a whole request gives way; when all
    /// are at one, it gets 503 and is closed.
    pub max_connections: usize,
    /// How many of them may come from one address that is not known.
    pub max_per_stranger: usize,
    /// How long a connection keeps its place at least, whoever else comes.
    pub head_start: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_deadline: Duration::from_secs(5),
            body_deadline: Duration::from_secs(5),
            idle: Duration::from_secs(30),
            write_stall: Duration::from_secs(30),
            linger: Duration::from_secs(1),
            settle: Duration::from_secs(1),
            max_body: 64 * 1024,
            max_head: 16 * 1024,
            max_headers: 64,
            max_connections: 256,
            max_per_stranger: 256,
            head_start: Duration::from_millis(150),
        }
    }
}

impl Limits {
    /// The limits of a listener that strangers can reach: one address of theirs gets a quarter of the places.
    pub fn for_strangers(max_connections: usize) -> Limits {
        Limits { max_connections, max_per_stranger: max_connections.div_ceil(4), ..Limits::default() }
    }
}
