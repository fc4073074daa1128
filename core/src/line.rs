//! What a driver tells of the line to its terminal, for whoever watches it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

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
pub struct LineWatch(Option<Arc<dyn Fn(LineEvent) + Send + Sync>>);

impl LineWatch {
    /// Somebody who is told. `watch` must not wait.
    pub fn new(watch: impl Fn(LineEvent) + Send + Sync + 'static) -> LineWatch {
        LineWatch(Some(Arc::new(watch)))
    }

    /// Tells. Never waits, never fails.
    pub fn note(&self, event: LineEvent) {
        if let Some(watch) = &self.0 {
            watch(event);
        }
    }
}

impl fmt::Debug for LineWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LineWatch").field(&self.0.is_some()).finish()
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
