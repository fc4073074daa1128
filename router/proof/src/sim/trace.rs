//! What happened on a simulated day, line by line, so that two runs of a seed can be compared?

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tillswitch_core::PaymentId;
use tokio::time::Instant;

/// The lines of a day. Cheap to clone.
#[derive(Clone)]
pub struct Trace(Arc<Mutex<Lines>>);

struct Lines {
    began: Instant,
    /// Whether the lines are kept, or only their hash.
    kept: bool,
    text: String,
    hash: DefaultHasher,
    /// Identities are drawn from the clock of the machine; a trace numbers them as they appear.
    numbers: BTreeMap<PaymentId, usize>,
    counts: BTreeMap<String, u64>,
}

impl Trace {
    /// A day that begins now.
    pub fn begin(kept: bool) -> Trace {
        let hash = DefaultHasher::new();
        let (numbers, counts) = (BTreeMap::new(), BTreeMap::new());
        Trace(Arc::new(Mutex::new(Lines { began: Instant::now(), kept, text: String::new(), hash, numbers, counts })))
    }

    /// Something happens now.
    pub fn note(&self, line: impl AsRef<str>) {
        let mut lines = self.lines();
        let at = lines.began.elapsed().as_millis();
        (at, line.as_ref()).hash(&mut lines.hash);
        if lines.kept {
            let _ = writeln!(lines.text, "{:>9}.{:03} {}", at / 1000, at % 1000, line.as_ref());
        }
    }

    /// The same, counted as something that the days must have met.
    pub fn count(&self, what: &str) {
        *self.lines().counts.entry(what.to_owned()).or_default() += 1;
        self.note(what);
    }

    /// The name of a payment in this trace.
    pub fn name(&self, id: PaymentId) -> String {
        let mut lines = self.lines();
        let next = lines.numbers.len() + 1;
        format!("p{}", lines.numbers.entry(id).or_insert(next))
    }

    /// The same for an identity as text; what is none stays as it is.
    pub fn name_of(&self, text: &str) -> String {
        text.parse().map_or_else(|_| text.to_owned(), |id| self.name(id))
    }

    /// What was counted, the text if it was kept, and a number that stands for all lines.
    pub fn end(&self) -> (BTreeMap<String, u64>, String, u64) {
        let lines = self.lines();
        (lines.counts.clone(), lines.text.clone(), lines.hash.finish())
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
