//! What a terminal does besides payments: a look at how it is, the end of day, a service. None of it moves money.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tillswitch_core::{
    Abort, AbortHandle, Cause, Display, DriverError, EndOfDay, NotStored, Progress, Receipt, ServiceReport,
    TerminalDriver, TerminalStatus,
};
use tokio::time::timeout;
use tracing::Instrument;

use super::late::stored;
use crate::events::{Event, Events};
use crate::journal::Journal;
use crate::life::Life;
use crate::log::TERMINAL_SPAN;

/// How long a terminal may take to say how it is.
const STATUS_LIMIT: Duration = Duration::from_secs(20);
/// How long an end of day or a service may take: a batch of a whole day over a slow line, with its slips.
const WORK_LIMIT: Duration = Duration::from_secs(600);

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Ask how it is.
    Status,
    /// Close the business day.
    EndOfDay,
    /// Run one of the driver's services.
    Service(String),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// How it is.
    Status(TerminalStatus),
    /// What was settled.
    EndOfDay(EndOfDay),
    /// What the service said.
    Service(ServiceReport),
}

type Done = (Option<Box<dyn TerminalDriver>>, Result<Report, DriverError>);

/// Does it. The driver is lost if it crashes or takes too long.
pub(super) async fn run(terminal: &str, life: &Life, mut driver: Box<dyn TerminalDriver>, work: Work) -> Done {
    let limit = if work == Work::Status { STATUS_LIMIT } else { WORK_LIMIT };
    let mut display = TerminalDisplay {
        terminal: terminal.into(),
        journal: life.journal.clone(),
        events: life.events.clone(),
        abort: AbortHandle::new(),
    };
    let span = tracing::info_span!(TERMINAL_SPAN, name = %terminal);
    let doing = async move {
        let report = match work {
            Work::Status => driver.status().await.map(Report::Status),
            Work::EndOfDay => driver.end_of_day(&mut display).await.map(Report::EndOfDay),
            Work::Service(name) => driver.service(&name, &mut display).await.map(Report::Service),
        };
        (driver, report)
    };
    let mut running = tokio::spawn(doing.instrument(span));
    let (driver, report) = match timeout(limit, &mut running).await {
        Ok(Ok((driver, report))) => (Some(driver), report),
        Ok(Err(_)) => (None, lost("the driver crashed")),
        Err(_) => {
            running.abort();
            let _ = timeout(STATUS_LIMIT, running).await;
            (None, lost("the terminal took too long"))
        }
    };
    life.note_contact(terminal, report.as_ref().err());
    (driver, report)
}

fn lost(why: &str) -> Result<Report, DriverError> {
    Err(DriverError::in_doubt(Cause::DriverLost, why))
}

/// Where lines and slips of a terminal's own work go.
struct TerminalDisplay {
    terminal: Arc<str>,
    journal: Arc<dyn Journal>,
    events: Events,
    abort: AbortHandle,
}

#[async_trait]
impl Display for TerminalDisplay {
    fn show(&mut self, progress: Progress) {
        self.events.send(Event::Line { terminal: self.terminal.clone(), payment: None, line: progress.message });
    }

    async fn receipt(&mut self, receipt: Receipt) -> Result<(), NotStored> {
        stored(self.journal.terminal_receipt(&self.terminal, receipt)).await
    }

    fn abort(&self) -> Abort {
        self.abort.abort()
    }
}
