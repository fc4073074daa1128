//! What does a person do who looks after a simulated shop?

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use tillswitch::answer::Answer;
use tillswitch::desk::{Asker, Person, Ruling};
use tillswitch::journal::{Filter, Payment, State, Verdict};
use tillswitch::terminals::Work;
use tillswitch_core::ledger::{LedgerEntry, standing};
use tillswitch_core::{Operation, Outcome, wall_clock};
use tokio::time::sleep;

use super::dice::Dice;
use super::shop::{Router, Shop};

/// So long after the doubt a terminal has come to what stays.
const SETTLED_AFTER: Duration = Duration::from_secs(300);

/// The person. They look at terminals and slips, so that what they say is true.
pub struct Operator {
    shop: Shop,
    dice: Dice,
    requests: u64,
}

impl Operator {
    /// One who has done nothing yet.
    pub fn new(shop: Shop, dice: Dice) -> Operator {
        Operator { shop, dice, requests: 0 }
    }

    /// Looks after the shop until dropped.
    pub async fn work(mut self) {
        loop {
            sleep(self.dice.millis(5_000, 240_000)).await;
            let Some(router) = self.shop.router() else { continue };
            tokio::select! {
                biased;
                () = router.gate.is_dead() => {}
                () = self.act(&router) => {}
            }
        }
    }

    /// Settles what waits for a person.
    pub async fn settle(&mut self, router: &Router) {
        let filter = Filter { state: Some(State::InDoubt), limit: 1000, ..Filter::default() };
        for payment in router.life.journal.search(filter).await.unwrap_or_default() {
            if self.dice.percent(60) {
                self.rule(router, &payment).await;
            }
        }
    }

    async fn act(&mut self, router: &Arc<Router>) {
        if self.dice.percent(10) {
            return self.look_at_a_terminal(router).await;
        }
        let filter = Filter { limit: 50, ..Filter::default() };
        let payments = router.life.journal.search(filter).await.unwrap_or_default();
        if payments.is_empty() {
            return;
        }
        let payment = &payments[self.dice.below(payments.len() as u64) as usize];
        match payment.state {
            State::Received | State::Dispatched => {
                let answer = router.desk.abort(&kim(), payment.id).await;
                self.note("aborts", payment, &answer);
            }
            State::InDoubt => self.rule(router, payment).await,
            State::Approved => self.undo(router, payment).await,
            State::Declined | State::Cancelled | State::Failed | State::Expired => {
                let (asker, confirmed) = (self.asker(), self.dice.percent(20));
                let answer = router.desk.again(asker, payment.id, confirmed).await;
                self.note("starts again", payment, &answer);
            }
        }
    }

    async fn look_at_a_terminal(&mut self, router: &Router) {
        let name = self.dice.pick(&["counter", "bar"]);
        let work = if self.dice.percent(20) { Work::EndOfDay } else { Work::Status };
        if let Some(terminal) = router.terminals.get(name) {
            let done = terminal.maintain(work.clone()).await;
            self.shop.trace().note(format!("{name} {work:?}: {}", if done.is_ok() { "done" } else { "not done" }));
        }
    }

    async fn undo(&mut self, router: &Router, payment: &Payment) {
        let (asker, confirmed) = (self.asker(), self.dice.percent(50));
        let desk = &router.desk;
        let (what, answer) = match self.dice.below(3) {
            0 => ("reverses", desk.reverse(asker, payment.id, confirmed).await),
            1 => ("refunds", desk.refund(asker, payment.id, None, confirmed).await),
            _ => ("refunds a part of", desk.refund(asker, payment.id, Some("4.44".to_owned()), confirmed).await),
        };
        self.note(what, payment, &answer);
    }

    /// Now and then the same request twice, as by a page that was loaded again.
    fn asker(&mut self) -> Asker {
        if self.requests == 0 || self.dice.percent(90) {
            self.requests += 1;
        }
        Asker { person: kim(), key: format!("k{}", self.requests) }
    }

    /// Says what became of a payment, once that can be seen.
    async fn rule(&mut self, router: &Router, payment: &Payment) {
        let Some((state, receipt_number)) = self.truth(router, payment).await else { return };
        let force = self.dice.percent(20);
        let ruling = Ruling { state, reason: "as the slip says".to_owned(), receipt_number, force };
        let answer = router.desk.resolve(&kim(), payment.id, ruling).await;
        self.note(&format!("settles as {state}"), payment, &answer);
        if answer.status == 200 {
            self.shop.trace().count("a person settled a payment");
        }
    }

    async fn truth(&self, router: &Router, payment: &Payment) -> Option<(State, Option<String>)> {
        let doubt_began = payment.finished_at?;
        let is_late = wall_clock::now().duration_since(doubt_began).is_ok_and(|age| age > SETTLED_AFTER);
        if !is_late || self.shop.is_busy(&payment.terminal.name) {
            return None;
        }
        let ledger = self.shop.ledgers().into_iter().find(|ledger| ledger.terminal == payment.terminal.name)?;
        let booked = standing(&ledger.entries);
        if payment.operation == Operation::Reversal {
            let original = router.life.journal.payment(payment.original?).await.ok()??;
            let stands = booked.iter().any(|entry| is_slip_of(&original, entry));
            return Some(if stands { (State::Failed, None) } else { (State::Approved, Some("0000".to_owned())) });
        }
        let filter = Filter { limit: 1000, ..Filter::default() };
        let all = router.life.journal.search(filter).await.ok()?;
        let own: Vec<&Payment> = all.iter().filter(|other| other.terminal.name == payment.terminal.name).collect();
        let equal = |other: &Payment| other.operation == payment.operation && other.amount == payment.amount;
        // Two alike that are open cannot be told apart by their slips.
        let is_open = |other: &&&Payment| matches!(other.state, State::InDoubt | State::Dispatched) && equal(other);
        if own.iter().filter(is_open).count() != 1 {
            return None;
        }
        let mut unexplained: Vec<_> = booked.into_iter().filter(|entry| entry.operation == payment.operation).collect();
        unexplained.retain(|entry| !own.iter().any(|other| is_slip_of(other, entry)));
        // A slip about less may be what the terminal made of this payment. The API takes no amount, so nobody settles it.
        if unexplained.iter().any(|entry| entry.amount.minor() < payment.amount.minor()) {
            return None;
        }
        let mut slips = unexplained.into_iter().filter(|entry| entry.amount == payment.amount);
        match (slips.next(), slips.next()) {
            (None, _) => Some((self.dice.pick(&[State::Failed, State::Declined, State::Cancelled]), None)),
            (Some(slip), None) => Some((State::Approved, Some(slip.receipt_number.clone()))),
            (Some(_), Some(_)) => None,
        }
    }

    fn note(&self, what: &str, payment: &Payment, answer: &Answer) {
        let name = self.shop.trace().name(payment.id);
        let code = answer.body["code"].as_str().unwrap_or_default();
        self.shop.trace().note(format!("the operator {what} {name}: {} {code}", answer.status));
    }
}

fn kim() -> Person {
    Person { name: "kim".to_owned(), from: IpAddr::V4(Ipv4Addr::LOCALHOST), reason: None }
}

fn is_slip_of(payment: &Payment, entry: &LedgerEntry) -> bool {
    let Some(Verdict::Said { outcome: Outcome::Approved(approval) }) = &payment.verdict else { return false };
    payment.operation == entry.operation
        && approval.amount == entry.amount
        && approval.details.receipt_number.as_deref() == Some(entry.receipt_number.as_str())
}
