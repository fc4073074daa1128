//! The contract of a driver, kept over HTTP.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use tillswitch_core::{
    Abort, Cause, Currency, Details, Display, DriverError, EndOfDay, Evidence, LineEvent, LineWatch, Outcome,
    PaymentRequest, Progress, Reason, Resolution, Session, TerminalDriver, TerminalStatus, async_trait,
};
use tokio::time::Instant;

use crate::answer;
use crate::exchange::{Answer, Kept, Lost, exchange};
use crate::request;
use crate::wire::{Dialer, Wire};

/// One terminal that takes payments by POST and holds the answer until the card is done.
///
/// - One payment is one request. Nothing is ever sent again: such a terminal has no key by which it would recognise a repeat.
/// - There is nothing to ask afterwards. A payment in doubt is settled by a person.
/// - There is nothing to cancel with. After an abort request the driver goes on waiting, and tells the cashier to use the stop
///   key.
pub(crate) struct HttpDriver {
    terminal: String,
    currency: Currency,
    dialer: Dialer,
    timeout: Duration,
    kept: Option<Kept>,
    watch: LineWatch,
}

impl HttpDriver {
    pub fn new(terminal: String, currency: Currency, dialer: Dialer, timeout: Duration) -> HttpDriver {
        HttpDriver { terminal, currency, dialer, timeout, kept: None, watch: LineWatch::default() }
    }

    /// The kept connection if it is surely alive, else a new one. `None`: an abort was asked for before anything was sent.
    async fn connection(&mut self, deadline: Instant, abort: &mut Abort) -> Result<Option<Wire>, DriverError> {
        if abort.is_requested() {
            return Ok(None);
        }
        if let Some(wire) = self.kept.take().and_then(Kept::usable) {
            return Ok(Some(wire));
        }
        tokio::select! {
            opened = self.connect(deadline) => opened.map(Some).map_err(DriverError::NotStarted),
            () = abort.requested() => Ok(None),
        }
    }

    async fn connect(&self, deadline: Instant) -> Result<Wire, Reason> {
        let wire = self.dialer.connect(deadline).await?;
        self.watch.note(LineEvent::Connected);
        Ok(wire)
    }

    /// Sends the request and waits for the answer, whatever is asked for meanwhile.
    async fn send(
        &mut self,
        wire: Wire,
        request: Request<Full<Bytes>>,
        deadline: Instant,
        session: &mut dyn Session,
    ) -> Result<Answer, DriverError> {
        let mut abort = session.abort();
        session.show(line("waiting for the card at the terminal"));
        let mut running = std::pin::pin!(exchange(wire, request, deadline));
        let result = tokio::select! {
            result = &mut running => result,
            () = abort.requested() => {
                session.show(line("this terminal cannot be cancelled from here: press its stop key"));
                running.await
            }
        };
        let (answer, kept) = result.map_err(|lost| self.explain(lost))?;
        self.kept = kept;
        Ok(answer)
    }

    fn explain(&self, lost: Lost) -> DriverError {
        let place = self.dialer.endpoint().authority();
        if lost.sent {
            let message = format!("{}; look at the terminal at {place} before charging again", lost.message);
            return DriverError::in_doubt(lost.cause, message);
        }
        let message = format!("nothing was sent to the terminal at {place}: {}; try again", lost.message);
        DriverError::not_started(Cause::Unreachable, message)
    }
}

#[async_trait]
impl TerminalDriver for HttpDriver {
    async fn execute(&mut self, request: &PaymentRequest, session: &mut dyn Session) -> Result<Outcome, DriverError> {
        let deadline = Instant::now() + self.timeout;
        let message = request::payment(request, self.currency, self.dialer.endpoint())?;
        let Some(wire) = self.connection(deadline, &mut session.abort()).await? else {
            return Ok(Outcome::Cancelled(Details::new("aborted", "stopped before anything was sent to the terminal")));
        };
        let answer = self.send(wire, message, deadline, session).await?;
        let outcome = answer::outcome(&answer, request)?;
        // The answer is already final at the terminal: an outcome that was not stored cannot be taken back there.
        match session.record(&outcome).await {
            Ok(()) => Ok(outcome),
            Err(error) => {
                let message = format!("the terminal said {}, and {error}", outcome.name());
                Err(DriverError::in_doubt(Cause::NotStored, message))
            }
        }
    }

    /// There is nothing to ask, so nothing is asked.
    async fn resolve(
        &mut self,
        _request: &PaymentRequest,
        _session: &mut dyn Session,
    ) -> Result<Resolution, DriverError> {
        let message = format!(
            "the terminal {} at {} cannot be asked about a past payment: look at its journal or its slips and settle this \
             payment by hand",
            self.terminal,
            self.dialer.endpoint().authority()
        );
        Ok(Resolution::Undecided(Evidence::new(message)))
    }

    /// Ready means that something takes connections at its address. Nothing is sent: such a terminal has no question that
    /// surely moves no money.
    async fn status(&mut self) -> Result<TerminalStatus, DriverError> {
        self.connect(Instant::now() + self.timeout).await.map_err(DriverError::NotStarted)?;
        let message = format!("{} takes connections; more cannot be asked", self.dialer.endpoint().authority());
        Ok(TerminalStatus { ready: true, message, terminal_id: None, software: None })
    }

    async fn end_of_day(&mut self, _display: &mut dyn Display) -> Result<EndOfDay, DriverError> {
        Err(DriverError::Unsupported)
    }

    fn watch_line(&mut self, watch: LineWatch) {
        self.watch = watch;
    }

    async fn close(&mut self) {
        self.kept = None;
    }
}

fn line(message: &str) -> Progress {
    Progress { code: None, message: message.to_owned() }
}
