//! What a running driver can ask of the router: notes, records and slips go to disk before it hears "done".

use std::sync::Arc;

use async_trait::async_trait;
use tillswitch_core::{Abort, Display, NotStored, Notes, Outcome, PaymentId, Progress, Receipt, Session};
use tokio::sync::watch;

use super::late::{self, stored};
use crate::events::Event;
use crate::life::Life;
use crate::live;

/// The session of one payment.
pub(super) struct JournalSession {
    pub id: PaymentId,
    pub terminal: Arc<str>,
    pub life: Life,
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
        self.life.events.send(Event::Line { terminal, payment, line: progress.message.clone() });
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
        stored(self.life.journal.receipt(self.id, receipt)).await
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
        stored(self.life.journal.remember(self.id, rows)).await?;
        for (key, value) in notes {
            self.notes.insert(*key, value.clone());
        }
        Ok(())
    }

    async fn record(&mut self, said: &Outcome) -> Result<(), NotStored> {
        stored(self.life.journal.record(self.id, said.clone())).await
    }

    async fn late(&mut self, earlier: Option<PaymentId>, said: &Outcome) -> Result<(), NotStored> {
        late::keep(&self.life, &self.terminal, earlier, said).await
    }
}
