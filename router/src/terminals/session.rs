//! What a running driver can ask of the router: notes, records and slips go to disk before it hears "done".

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tillswitch_core::{Abort, Display, NotStored, Notes, Outcome, PaymentId, Progress, Receipt, Session};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::events::{Event, Events};
use crate::journal::{Incident, Journal, JournalError};
use crate::live;
use crate::metrics::Metrics;

/// How long a driver waits for the disk at most. A terminal waits for its acknowledgement meanwhile.
const STORE_LIMIT: Duration = Duration::from_secs(3);

/// The session of one payment.
pub(super) struct JournalSession {
    pub id: PaymentId,
    pub terminal: Arc<str>,
    pub journal: Arc<dyn Journal>,
    pub metrics: Metrics,
    pub events: Events,
    pub notes: Notes,
    pub abort: Abort,
    /// Where lines for the cashier go, if anybody may look.
    pub display: Option<watch::Sender<live::Progress>>,
}

#[async_trait]
impl Display for JournalSession {
    fn show(&mut self, progress: Progress) {
        tracing::debug!(payment = %self.id, terminal = %self.terminal, line = %progress.message, "progress");
        let (terminal, payment) = (self.terminal.clone(), Some(self.id));
        self.events.send(Event::Line { terminal, payment, line: progress.message.clone() });
        let Some(display) = &self.display else { return };
        display.send_if_modified(|state| match state {
            live::Progress::Running(line) => {
                *line = Some(progress.message.as_str().into());
                true
            }
            live::Progress::Ended(_)
            | live::Progress::Unwritten(_)
            | live::Progress::NotBegun { .. }
            | live::Progress::Withdrawn => false,
        });
    }

    async fn receipt(&mut self, receipt: Receipt) -> Result<(), NotStored> {
        stored(self.journal.receipt(self.id, receipt)).await
    }

    fn abort(&self) -> Abort {
        self.abort.clone()
    }
}

#[async_trait]
impl Session for JournalSession {
    fn notes(&self) -> &Notes {
        &self.notes
    }

    async fn remember(&mut self, key: &str, value: &str) -> Result<(), NotStored> {
        self.remember_all(&[(key, value.to_owned())]).await
    }

    async fn remember_all(&mut self, notes: &[(&str, String)]) -> Result<(), NotStored> {
        let rows = notes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        stored(self.journal.remember(self.id, rows)).await?;
        for (key, value) in notes {
            self.notes.insert(*key, value.clone());
        }
        Ok(())
    }

    async fn record(&mut self, said: &Outcome) -> Result<(), NotStored> {
        stored(self.journal.record(self.id, said.clone())).await
    }

    async fn late(&mut self, earlier: Option<PaymentId>, said: &Outcome) -> Result<(), NotStored> {
        let message = match earlier {
            Some(id) => format!("the terminal said {} about payment {id} after that had ended", said.name()),
            None => format!("the terminal said {} about a payment that is not known here", said.name()),
        };
        tracing::error!(terminal = %self.terminal, payment = ?earlier.map(|id| id.to_string()), "{message}");
        self.metrics.incident(&self.terminal);
        let terminal = self.terminal.clone();
        self.events.send(Event::Incident { terminal, payment: earlier, message: message.clone() });
        let incident = Incident { at: SystemTime::now(), message, said: Some(said.clone()) };
        stored(self.journal.incident(earlier, &self.terminal, incident)).await
    }
}

pub(super) async fn stored(write: impl Future<Output = Result<(), JournalError>>) -> Result<(), NotStored> {
    match timeout(STORE_LIMIT, write).await {
        Ok(result) => result.map_err(|error| NotStored(error.to_string())),
        Err(_) => Err(NotStored(format!("the disk took longer than {} s", STORE_LIMIT.as_secs()))),
    }
}
