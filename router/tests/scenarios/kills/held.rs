//! A journal that stops for ever behind one step of one payment: everything up to there is on disk, nothing behind it happens.

use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use tillswitch::journal::{
    Begun, End, Filter, Forgotten, History, Incident, Journal, JournalError, NewPayment, Payment, Recovered,
    SqliteJournal, State,
};
use tillswitch_core::{Outcome, PaymentId, Receipt};

use super::child::say;

/// The document of the payment behind whose step it stops.
pub const DOCUMENT: &str = "held";

/// Behind which step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// What 04 0F said is stored, and not acknowledged yet.
    Recorded,
    /// A slip that came after the acknowledgement is stored.
    Slip,
    /// The outcome is stored, and nobody was told yet.
    Finished,
    /// The payment is begun and dispatched, and nothing was remembered yet.
    Begun,
    /// What the terminal was like is remembered, and nothing was sent yet.
    Remembered,
    /// A start has marked what was open, and asked nobody yet.
    Recovered,
}

const WORDS: [(&str, Hold); 6] = [
    ("recorded", Hold::Recorded),
    ("slip", Hold::Slip),
    ("finished", Hold::Finished),
    ("begun", Hold::Begun),
    ("remembered", Hold::Remembered),
    ("recovered", Hold::Recovered),
];

impl Hold {
    /// Its word in the environment.
    pub fn word(self) -> &'static str {
        WORDS.iter().find(|(_, hold)| *hold == self).expect("every hold has a word").0
    }
}

impl FromStr for Hold {
    type Err = String;

    fn from_str(text: &str) -> Result<Hold, String> {
        let found = WORDS.iter().find(|(word, _)| *word == text);
        found.map(|(_, hold)| *hold).ok_or_else(|| format!("nothing is held at {text:?}"))
    }
}

/// The journal.
pub struct Held {
    inner: SqliteJournal,
    hold: Hold,
    payment: Mutex<Option<PaymentId>>,
}

impl Held {
    pub fn new(inner: SqliteJournal, hold: Hold) -> Held {
        Held { inner, hold, payment: Mutex::default() }
    }

    /// Stops here, if this is the step and the payment.
    async fn stop_behind(&self, step: Hold, id: PaymentId) {
        if step == self.hold && *self.payment.lock().unwrap() == Some(id) {
            say("held");
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Journal for Held {
    async fn begin(&self, new: NewPayment) -> Result<Begun, JournalError> {
        if new.document.as_ref().is_some_and(|document| document.number == DOCUMENT) {
            self.payment.lock().unwrap().get_or_insert(new.id);
        }
        let id = new.id;
        let begun = self.inner.begin(new).await?;
        self.stop_behind(Hold::Begun, id).await;
        Ok(begun)
    }

    async fn known(&self, new: NewPayment) -> Result<Option<Begun>, JournalError> {
        self.inner.known(new).await
    }

    async fn dispatch(&self, id: PaymentId) -> Result<(), JournalError> {
        self.inner.dispatch(id).await
    }

    async fn remember(&self, id: PaymentId, notes: Vec<(String, String)>) -> Result<(), JournalError> {
        self.inner.remember(id, notes).await?;
        self.stop_behind(Hold::Remembered, id).await;
        Ok(())
    }

    async fn record(&self, id: PaymentId, said: Outcome) -> Result<(), JournalError> {
        self.inner.record(id, said).await?;
        self.stop_behind(Hold::Recorded, id).await;
        Ok(())
    }

    async fn receipt(&self, id: PaymentId, receipt: Receipt) -> Result<(), JournalError> {
        self.inner.receipt(id, receipt).await?;
        self.stop_behind(Hold::Slip, id).await;
        Ok(())
    }

    async fn terminal_receipt(&self, terminal: &str, receipt: Receipt) -> Result<(), JournalError> {
        self.inner.terminal_receipt(terminal, receipt).await
    }

    async fn finish(&self, id: PaymentId, end: End) -> Result<(), JournalError> {
        let approved = end.state == State::Approved;
        self.inner.finish(id, end).await?;
        if approved {
            self.stop_behind(Hold::Finished, id).await;
        }
        Ok(())
    }

    async fn leave_to_person(&self, id: PaymentId, evidence: String) -> Result<(), JournalError> {
        self.inner.leave_to_person(id, evidence).await
    }

    async fn incident(&self, id: Option<PaymentId>, terminal: &str, incident: Incident) -> Result<(), JournalError> {
        self.inner.incident(id, terminal, incident).await
    }

    fn answer_delivered(&self, id: PaymentId) {
        self.inner.answer_delivered(id);
    }

    async fn recover(&self) -> Result<Recovered, JournalError> {
        let recovered = self.inner.recover().await?;
        if self.hold == Hold::Recovered {
            say("held");
            std::future::pending::<()>().await;
        }
        Ok(recovered)
    }

    async fn forget(&self, older_than: Duration) -> Result<Forgotten, JournalError> {
        self.inner.forget(older_than).await
    }

    async fn in_doubt(&self) -> Result<Vec<Payment>, JournalError> {
        self.inner.in_doubt().await
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, JournalError> {
        self.inner.payment(id).await
    }

    async fn history(&self, id: PaymentId) -> Result<Option<History>, JournalError> {
        self.inner.history(id).await
    }

    async fn search(&self, filter: Filter) -> Result<Vec<Payment>, JournalError> {
        self.inner.search(filter).await
    }

    fn health(&self) -> Result<(), JournalError> {
        self.inner.health()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
