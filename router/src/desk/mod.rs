//! What a person can do with payments: start one, undo one, stop one, say what became of one in doubt.
//!
//! | file | question |
//! |---|---|
//! | `wish` | what was asked for |
//! | `person` | who asks |

mod person;
mod wish;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tillswitch_core::{Approval, Details, Money, Operation, Outcome, PaymentId, wall_clock};
use tokio::time::Instant;

use crate::answer::{Answer, approved_amount};
use crate::code::Code;
use crate::config::{Config, Repeat};
use crate::journal::{Actor, Admission, Begun, End, JournalError, NewPayment, Payment, RepeatRule, State, Verdict};
use crate::life::Life;
use crate::terminals::{AbortAnswer, Job, NotSettled, Place, Refusal, Terminal, Terminals, settle_orphan};

pub use person::{Asker, Person};
pub use wish::{Ruling, Wish};

/// The desk of whoever runs the shop. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    config: Arc<ArcSwap<Config>>,
    life: Life,
    terminals: Arc<Terminals>,
}

impl Desk {
    /// One for the configuration in use and its running terminals.
    pub fn new(config: Arc<ArcSwap<Config>>, life: Life, terminals: Arc<Terminals>) -> Desk {
        Desk { config, life, terminals }
    }

    /// Starts a payment. 202: it has begun, its events or GET tell the rest.
    ///
    /// Everything happens in a task of its own: between the journal's commit and the terminal's task nothing may be lost,
    /// whether or not anybody still waits for the answer.
    pub async fn pay(&self, asker: Asker, wish: Wish) -> Answer {
        let desk = self.clone();
        let begun = tokio::spawn(async move { desk.begin(asker, wish).await }).await;
        match begun {
            Ok(Ok(answer) | Err(answer)) => answer,
            Err(_) => {
                tracing::error!("an operator's request crashed; its payment, if any, is settled at the next start");
                Answer::error(500, Code::InDoubt, "the router failed; look at the terminal before you try again")
            }
        }
    }

    /// A refund of an approved sale, in whole or in part.
    pub async fn refund(&self, asker: Asker, id: PaymentId, amount: Option<String>, confirmed: bool) -> Answer {
        match self.undo(id, Operation::Refund, amount, confirmed).await {
            Ok(wish) => self.pay(asker, wish).await,
            Err(answer) => answer,
        }
    }

    /// A reversal of an approved sale, always of the whole.
    pub async fn reverse(&self, asker: Asker, id: PaymentId, confirmed: bool) -> Answer {
        match self.undo(id, Operation::Reversal, None, confirmed).await {
            Ok(wish) => self.pay(asker, wish).await,
            Err(answer) => answer,
        }
    }

    /// A new payment in place of one that came to nothing.
    pub async fn again(&self, asker: Asker, id: PaymentId, confirmed: bool) -> Answer {
        let wish = async {
            let first = self.payment(id).await?;
            match first.state {
                State::Declined | State::Cancelled | State::Failed | State::Expired => {
                    Ok(Wish::again(&first, confirmed))
                }
                State::InDoubt => Err(Answer::conflict(
                    Code::DocumentInDoubt,
                    format!("payment {id} is in doubt; settle that first, its terminal may have charged the card"),
                    &first,
                )),
                State::Received | State::Dispatched | State::Approved => Err(Answer::conflict(
                    Code::SuspectedRepeat,
                    format!("payment {id} is {}; only one that came to nothing can be started again", first.state),
                    &first,
                )),
            }
        };
        match wish.await {
            Ok(wish) => self.pay(asker, wish).await,
            Err(answer) => answer,
        }
    }

    /// Asks a payment to stop. 200: it never started; 202: the terminal was asked, the outcome decides.
    pub async fn abort(&self, person: &Person, id: PaymentId) -> Answer {
        let payment = match self.payment(id).await {
            Ok(payment) => payment,
            Err(answer) => return answer,
        };
        let mut asked = AbortAnswer::NotRunning;
        for terminal in self.terminals.named(&payment.terminal.name) {
            if asked == AbortAnswer::NotRunning {
                asked = terminal.abort(id, person).await;
            }
        }
        match asked {
            AbortAnswer::Cancelled => self.present(id, 200).await,
            AbortAnswer::Asked => self.present(id, 202).await,
            AbortAnswer::NotRunning => {
                let message = format!("payment {id} is {} and cannot be stopped any more", payment.state);
                Answer::conflict(Code::NotFound, message, &payment)
            }
        }
    }

    /// Takes a person's word about a payment in doubt. The first writer wins.
    pub async fn resolve(&self, person: &Person, id: PaymentId, ruling: Ruling) -> Answer {
        let payment = match self.payment(id).await {
            Ok(payment) => payment,
            Err(answer) => return answer,
        };
        let end = ruled(person, &payment, &ruling);
        let terminals = self.terminals.named(&payment.terminal.name);
        let settled = match terminals.into_iter().find(|terminal| terminal.current().key == payment.terminal) {
            Some(terminal) => terminal.settle(id, end, ruling.force).await,
            None => {
                let life = self.life.clone();
                let settling = tokio::spawn(async move { settle_orphan(&life, id, end).await });
                let failed = |_| Err(NotSettled::Journal(JournalError::ReadOnly("the router failed".into())));
                settling.await.unwrap_or_else(failed)
            }
        };
        match settled {
            Ok(payment) => Answer::described(200, &payment),
            Err(NotSettled::StillAsking) => {
                let message = "the terminal is still being asked; wait for its word, or send \"force\": true";
                Answer::conflict(Code::StillAsking, message, &payment)
            }
            Err(NotSettled::NotInDoubt(state)) => {
                let message =
                    format!("payment {id} is {state} and not in doubt; somebody was first, or the terminal was");
                Answer::conflict(Code::ConflictingRepeat, message, &payment)
            }
            Err(NotSettled::Journal(error)) => Answer::come_again(Code::JournalUnavailable, error.to_string()),
        }
    }

    async fn begin(&self, asker: Asker, wish: Wish) -> Result<Answer, Answer> {
        let config = self.config.load_full();
        let terminal = self.terminal(&config, &wish)?;
        let entry = self.life.live.enter(PaymentId::generate());
        let place = terminal.enter();
        // Only behind the door it is certain what the terminal is.
        if wish.operation == Operation::Reversal && wish.at.as_ref() != Some(&terminal.current().key) {
            return Err(booked_elsewhere());
        }
        let new = new_payment(&config, asker, wish, &terminal, entry.id(), &place);
        let stub = Payment::from(&new);
        let begun = self.life.journal.begin(new).await;
        match (begun, place) {
            (Ok(Begun::New { original }), Ok(place)) => {
                let mut payment = stub;
                payment.original = original.as_ref().map(|original| original.id).or(payment.original);
                self.life.announce(&payment);
                let now = Instant::now();
                let answer = Answer::described(202, &payment);
                let queue_until = now + config.webhook.queue_wait;
                let job = Job { payment, original, place, entry, received: now, queue_until, wait_until: None };
                if let Err(job) = terminal.hand_over(job) {
                    terminal.abandon(&self.life, job).await;
                }
                Ok(answer)
            }
            (Ok(Begun::New { .. }), Err(refusal)) => Err(refused(refusal, terminal.name())),
            (Ok(Begun::SameEvent(payment) | Begun::SameDocument(payment)), _) => {
                Ok(Answer::described(if payment.state.is_final() { 200 } else { 202 }, &payment).replayed())
            }
            (Ok(Begun::Conflict { code, first, .. }), _) => Err(conflict(code, &first)),
            (Err(JournalError::UnknownPayment(id)), _) => Err(not_found(id)),
            (Err(error), _) => {
                self.life.note_health();
                Err(Answer::come_again(Code::JournalUnavailable, error.to_string()))
            }
        }
    }

    /// The terminal of what is undone, as long as it is still that; otherwise the register's.
    fn terminal(&self, config: &Config, wish: &Wish) -> Result<Terminal, Answer> {
        let register = config.registers.get(&wish.register).ok_or_else(|| {
            let known: Vec<&str> = config.registers.keys().map(String::as_str).collect();
            let message = format!("there is no register {:?}, expected one of: {}", wish.register, known.join(", "));
            Answer::error(404, Code::UnknownRegister, message)
        })?;
        let own =
            wish.at.as_ref().and_then(|key| self.terminals.get(&key.name).filter(|found| found.current().key == *key));
        if wish.operation == Operation::Reversal && own.is_none() {
            return Err(booked_elsewhere());
        }
        own.or_else(|| self.terminals.get(&register.terminal))
            .ok_or_else(|| Answer::come_again(Code::TerminalBusy, "the terminals are being changed; try again"))
    }

    async fn undo(
        &self,
        id: PaymentId,
        operation: Operation,
        amount: Option<String>,
        confirmed: bool,
    ) -> Result<Wish, Answer> {
        let original = self.payment(id).await?;
        let approved = approved_amount(&original).filter(|_| original.operation == Operation::Sale);
        let Some(approved) = approved else {
            let message = format!("payment {id} is no approved sale; only those can be undone");
            return Err(Answer::conflict(Code::OriginalNotFound, message, &original));
        };
        let amount = match amount {
            Some(text) => Money::parse(&text, approved.currency())
                .map_err(|error| Answer::error(400, Code::BadAmount, format!("`amount` is {text:?}: {error}")))?,
            None => approved,
        };
        Ok(Wish::undo(&original, operation, amount, confirmed))
    }

    async fn payment(&self, id: PaymentId) -> Result<Payment, Answer> {
        match self.life.journal.payment(id).await {
            Ok(Some(payment)) => Ok(payment),
            Ok(None) => Err(not_found(id)),
            Err(error) => Err(Answer::come_again(Code::JournalUnavailable, error.to_string())),
        }
    }

    async fn present(&self, id: PaymentId, status: u16) -> Answer {
        match self.payment(id).await {
            Ok(payment) => Answer::described(status, &payment),
            Err(answer) => answer,
        }
    }
}

fn new_payment(
    config: &Config,
    asker: Asker,
    wish: Wish,
    terminal: &Terminal,
    id: PaymentId,
    place: &Result<Place, Refusal>,
) -> NewPayment {
    let webhook = &config.webhook;
    let admission = match place {
        Ok(place) if place.is_immediate() => Admission::Dispatch,
        Ok(_) => Admission::Queue,
        Err(_) => Admission::Refuse,
    };
    let current = terminal.current();
    NewPayment {
        id,
        evidence: format!("asked for by {}", asker.person),
        keys: wish.keys(asker),
        operation: wish.operation,
        amount: wish.amount,
        tip_minor: None,
        register: wish.register,
        terminal: current.key.clone(),
        document: wish.document,
        undoes: wish.undoes,
        again_of: wish.again_of,
        accept_partial: current.accept_partial,
        received_at: wall_clock::now(),
        admission,
        repeat: RepeatRule {
            window: webhook.repeat_window,
            allow: webhook.repeat == Repeat::Allow,
            confirmed: wish.confirmed,
        },
    }
}

/// The end that a person's word makes.
fn ruled(person: &Person, payment: &Payment, ruling: &Ruling) -> End {
    let details = Details { receipt_number: ruling.receipt_number.clone(), ..Details::new("operator", &ruling.reason) };
    let verdict = match ruling.state {
        State::Approved => Verdict::Said { outcome: Outcome::Approved(Approval { amount: payment.amount, details }) },
        State::Declined => Verdict::Said { outcome: Outcome::Declined(details) },
        State::Cancelled => Verdict::Said { outcome: Outcome::Cancelled(details) },
        State::Failed | State::Received | State::Dispatched | State::Expired | State::InDoubt => {
            Verdict::because(Code::TerminalUnreachable, &ruling.reason)
        }
    };
    End {
        state: ruling.state,
        verdict,
        actor: Actor::Operator(person.name.clone()),
        at: wall_clock::now(),
        evidence: format!("settled by {person}"),
        release_keys: false,
    }
}

fn booked_elsewhere() -> Answer {
    let message = "the terminal that booked it is gone or has become another one; only a refund is possible";
    Answer::error(409, Code::TerminalRefused, message)
}

fn not_found(id: PaymentId) -> Answer {
    Answer::error(404, Code::NotFound, format!("there is no payment {id}"))
}

/// Why a terminal takes nothing now.
pub fn refused(refusal: Refusal, terminal: &str) -> Answer {
    let (code, message) = match refusal {
        Refusal::InDoubt => (
            Code::TerminalInDoubt,
            format!("a payment on terminal {terminal:?} is in doubt; it takes nothing else until that is settled"),
        ),
        Refusal::Busy => (Code::TerminalBusy, format!("terminal {terminal:?} is busy; try again")),
        Refusal::Stopping => (Code::ShuttingDown, "the router is stopping; try again in a minute".to_owned()),
        Refusal::Removed => {
            (Code::TerminalBusy, format!("terminal {terminal:?} was taken out of the configuration; try again"))
        }
    };
    Answer::come_again(code, message)
}

fn conflict(code: Code, first: &Payment) -> Answer {
    let (id, state) = (first.id, first.state);
    let message = match code {
        Code::ConflictingRepeat => format!("this Idempotency-Key was used for something else, see payment {id}"),
        Code::DocumentInDoubt => format!("payment {id} of this document is in doubt; settle that first"),
        Code::OverRefund => format!("more would go back than payment {id} brought in"),
        Code::SuspectedRepeat => {
            format!(
                "payment {id} of this document and amount is {state}; send \"confirm_repeat\": true if this is another one"
            )
        }
        other => format!("payment {id} stands in its way ({other})"),
    };
    Answer::conflict(code, message, first)
}
