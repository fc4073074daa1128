//! How does a simulated router write down what it does?
//!
//! The journal is the real one in a real file. Its threads' work is done by a task here, some time after it was asked for, so
//! that what queues up meanwhile shares a commit, and so that a kill finds a queue.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tillswitch::journal::{
    Begun, End, Filter, Forgotten, Hand, History, Incident, Journal, JournalError, NewPayment, Options, Payment,
    Recovered, SqliteJournal,
};
use tillswitch_core::{Outcome, PaymentId, Receipt, async_trait};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::dice::Dice;
use super::disk::SimulatedDisk;
use super::gate::Gate;

/// How late a note that an answer was delivered may reach the disk.
pub const NOTE_WAITS_MS: u64 = 100;

/// The journal of one run of the router, behind its gate.
pub struct GatedJournal {
    journal: Arc<SqliteJournal>,
    gate: Gate,
    work: Arc<Notify>,
    dice: Dice,
}

impl GatedJournal {
    /// Opens the file.
    pub fn open(path: &Path, disk: SimulatedDisk, dice: Dice) -> Result<GatedJournal, JournalError> {
        let (gate, trace, trouble) = (disk.gate.clone(), disk.trace.clone(), disk.trouble.clone());
        let (journal, hand) = SqliteJournal::open_by_hand(path, Options::default(), Box::new(disk))?;
        let work = Arc::new(Notify::new());
        let slow = move |dice: &Dice| {
            if trouble.is_slow() && dice.permyriad(40) {
                trace.count("the disk is slow");
                dice.millis(1_000, 12_000)
            } else {
                dice.millis(1, 15)
            }
        };
        tokio::spawn(keep(hand, gate.clone(), work.clone(), dice.clone(), slow));
        Ok(GatedJournal { journal: Arc::new(journal), gate, work, dice })
    }

    async fn through<T>(&self, asked: impl Future<Output = T>) -> T {
        self.gate.pass("before the journal is asked").await;
        self.work.notify_one();
        let answer = asked.await;
        self.gate.pass("before the journal is heard").await;
        answer
    }
}

async fn keep(mut hand: Hand, gate: Gate, work: Arc<Notify>, dice: Dice, slow: impl Fn(&Dice) -> Duration) {
    let turns = async {
        loop {
            work.notified().await;
            sleep(slow(&dice)).await;
            hand.turn();
        }
    };
    tokio::select! {
        biased;
        () = gate.is_dead() => {}
        () = turns => {}
    }
}

#[async_trait]
impl Journal for GatedJournal {
    async fn begin(&self, new: NewPayment) -> Result<Begun, JournalError> {
        self.through(self.journal.begin(new)).await
    }

    async fn known(&self, new: NewPayment) -> Result<Option<Begun>, JournalError> {
        self.through(self.journal.known(new)).await
    }

    async fn dispatch(&self, id: PaymentId) -> Result<(), JournalError> {
        self.through(self.journal.dispatch(id)).await
    }

    async fn remember(&self, id: PaymentId, notes: Vec<(String, String)>) -> Result<(), JournalError> {
        self.through(self.journal.remember(id, notes)).await
    }

    async fn record(&self, id: PaymentId, said: Outcome) -> Result<(), JournalError> {
        self.through(self.journal.record(id, said)).await
    }

    async fn receipt(&self, id: PaymentId, receipt: Receipt) -> Result<(), JournalError> {
        self.through(self.journal.receipt(id, receipt)).await
    }

    async fn terminal_receipt(&self, terminal: &str, receipt: Receipt) -> Result<(), JournalError> {
        self.through(self.journal.terminal_receipt(terminal, receipt)).await
    }

    async fn finish(&self, id: PaymentId, end: End) -> Result<(), JournalError> {
        self.through(self.journal.finish(id, end)).await
    }

    async fn leave_to_person(&self, id: PaymentId, evidence: String) -> Result<(), JournalError> {
        self.through(self.journal.leave_to_person(id, evidence)).await
    }

    async fn incident(&self, id: Option<PaymentId>, terminal: &str, incident: Incident) -> Result<(), JournalError> {
        self.through(self.journal.incident(id, terminal, incident)).await
    }

    fn answer_delivered(&self, id: PaymentId) {
        let (journal, gate, work) = (self.journal.clone(), self.gate.clone(), self.work.clone());
        let waits = self.dice.millis(0, NOTE_WAITS_MS);
        tokio::spawn(async move {
            sleep(waits).await;
            gate.pass("before an answer is noted as delivered").await;
            journal.answer_delivered(id);
            work.notify_one();
        });
    }

    async fn recover(&self) -> Result<Recovered, JournalError> {
        self.through(self.journal.recover()).await
    }

    async fn forget(&self, older_than: Duration) -> Result<Forgotten, JournalError> {
        self.through(self.journal.forget(older_than)).await
    }

    async fn in_doubt(&self) -> Result<Vec<Payment>, JournalError> {
        self.through(self.journal.in_doubt()).await
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, JournalError> {
        self.through(self.journal.payment(id)).await
    }

    async fn history(&self, id: PaymentId) -> Result<Option<History>, JournalError> {
        self.through(self.journal.history(id)).await
    }

    async fn search(&self, filter: Filter) -> Result<Vec<Payment>, JournalError> {
        self.through(self.journal.search(filter)).await
    }

    async fn count(&self) -> Result<Option<u64>, JournalError> {
        self.through(self.journal.count()).await
    }

    fn health(&self) -> Result<(), JournalError> {
        self.journal.health()
    }

    async fn close(&self) {}
}
