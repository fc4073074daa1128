//! What a driver tells of the line to its terminal, for whoever watches it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::driver::NotStored;
use crate::outcome::Outcome;
use crate::payment::PaymentId;

/// One thing that happened on the line to a terminal. In JSON: `{"event":"answered","after_seconds":0.012}`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum LineEvent {
    /// A new connection stands.
    Connected,
    /// Something was sent again below the level of commands, because it was not understood or not acknowledged.
    Retransmitted,
    /// The terminal confirmed that it has a command; its outcome may be minutes away. A terminal whose first answer is the
    /// outcome confirms nothing.
    Answered {
        /// How long after the command.
        after_seconds: f64,
    },
}

/// Whom a driver tells. Cheap to clone; by default, nobody.
///
/// ```
/// use std::sync::mpsc;
/// use tillswitch_core::{LineEvent, LineWatch};
///
/// let (tell, told) = mpsc::channel();
/// LineWatch::new(move |event| drop(tell.send(event))).note(LineEvent::Connected);
/// assert_eq!(told.recv(), Ok(LineEvent::Connected));
/// LineWatch::default().note(LineEvent::Connected);
/// ```
#[derive(Clone, Default)]
pub struct LineWatch {
    noted: Option<Arc<dyn Fn(LineEvent) + Send + Sync>>,
    late: Option<Arc<dyn KeepLate>>,
}

/// Whoever keeps what terminals say too late.
#[async_trait]
pub trait KeepLate: Send + Sync {
    /// Keeps it durably before it returns, as an incident.
    async fn late(&self, earlier: Option<PaymentId>, said: &Outcome) -> Result<(), NotStored>;
}

impl LineWatch {
    /// Somebody who is told. `watch` must not wait.
    pub fn new(watch: impl Fn(LineEvent) + Send + Sync + 'static) -> LineWatch {
        LineWatch { noted: Some(Arc::new(watch)), late: None }
    }

    /// The same, with somebody who keeps what comes too late.
    pub fn with_late(self, keeper: impl KeepLate + 'static) -> LineWatch {
        LineWatch { late: Some(Arc::new(keeper)), ..self }
    }

    /// Tells. Never waits, never fails.
    pub fn note(&self, event: LineEvent) {
        if let Some(noted) = &self.noted {
            noted(event);
        }
    }

    /// What the terminal said about an earlier payment (`None`: about one we do not know), while neither `execute` nor
    /// `resolve` runs: an incident there, never a state. Stored durably before this returns, so that the terminal is answered
    /// afterwards. While one of the two runs, [`Session::late`](crate::Session::late) is the same.
    ///
    /// # Errors
    /// `NotStored` if the journal did not take it, or nobody listens: then the driver's log is all that is left of it.
    pub async fn late(&self, earlier: Option<PaymentId>, said: &Outcome) -> Result<(), NotStored> {
        match &self.late {
            Some(keeper) => keeper.late(earlier, said).await,
            None => Err(NotStored("nobody keeps what this terminal says too late".into())),
        }
    }
}

impl fmt::Debug for LineWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_heard = [self.noted.is_some(), self.late.is_some()];
        f.debug_tuple("LineWatch").field(&is_heard).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A driver in another process tells it so.
    #[test]
    fn events_are_plain_json() {
        for (event, text) in [
            (LineEvent::Connected, r#"{"event":"connected"}"#),
            (LineEvent::Retransmitted, r#"{"event":"retransmitted"}"#),
            (LineEvent::Answered { after_seconds: 0.012 }, r#"{"event":"answered","after_seconds":0.012}"#),
        ] {
            assert_eq!(serde_json::to_string(&event).unwrap(), text);
            assert_eq!(serde_json::from_str::<LineEvent>(text).unwrap(), event);
        }
    }
}
