//! What a terminal says too late: it becomes an incident, on disk before the terminal is answered.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tillswitch_core::{KeepLate, NotStored, Outcome, PaymentId, wall_clock};
use tokio::time::timeout;

use crate::events::Event;
use crate::journal::{Incident, JournalError};
use crate::life::Life;

/// How long a driver waits for the disk at most. A terminal waits for its acknowledgement meanwhile.
const STORE_LIMIT: Duration = Duration::from_secs(3);

/// Keeps what the driver of one terminal comes upon while it makes no payment and asks about none.
pub(super) struct LateKeeper {
    pub life: Life,
    pub terminal: Arc<str>,
}

#[async_trait]
impl KeepLate for LateKeeper {
    async fn late(&self, earlier: Option<PaymentId>, said: &Outcome) -> Result<(), NotStored> {
        keep(&self.life, &self.terminal, earlier, said).await
    }
}

/// Raises the alarm, whether or not it can be kept, and keeps it.
pub(super) async fn keep(
    life: &Life,
    terminal: &Arc<str>,
    earlier: Option<PaymentId>,
    said: &Outcome,
) -> Result<(), NotStored> {
    let message = match earlier {
        Some(id) => format!("too late, the terminal reported payment {id}: {}", described(said)),
        None => format!("too late, the terminal reported a payment that is not known here: {}", described(said)),
    };
    tracing::error!(%terminal, payment = ?earlier.map(|id| id.to_string()), "{message}");
    life.metrics.incident(terminal);
    life.events.send(Event::Incident { terminal: terminal.clone(), payment: earlier, message: message.clone() });
    let incident = Incident { at: wall_clock::now(), message, said: Some(said.clone()) };
    stored(life.journal.incident(earlier, terminal, incident)).await
}

/// What it said, with what to look for and where.
pub(crate) fn described(said: &Outcome) -> String {
    let details = said.details();
    let receipt = details.receipt_number.as_deref().map(|number| format!(", receipt {number}")).unwrap_or_default();
    match said {
        Outcome::Approved(approval) => {
            format!("approved {}{receipt}; see from its slips whether it took that back", approval.amount)
        }
        Outcome::Declined(_) | Outcome::Cancelled(_) => format!("{}{receipt} ({})", said.name(), details.message),
    }
}

/// Waits for a write on a driver's behalf.
pub(super) async fn stored(write: impl Future<Output = Result<(), JournalError>>) -> Result<(), NotStored> {
    match timeout(STORE_LIMIT, write).await {
        Ok(result) => result.map_err(|error| NotStored(error.to_string())),
        Err(_) => Err(NotStored(format!("the disk took longer than {} s", STORE_LIMIT.as_secs()))),
    }
}
