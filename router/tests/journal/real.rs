//! How is the real journal asked for what a step of a random day wants?

use std::path::Path;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::sample::Index;
use tempfile::TempDir;
use tillswitch::journal::{
    Admission, Begun, End, Filter, Hand, Journal, JournalError, Keys, NewPayment, RealDisk, RepeatRule, SqliteJournal,
    State,
};
use tillswitch_core::{Currency, Document, Money, PaymentId, Receipt, ReceiptKind, wall_clock};

use crate::bench::{approval, end, options, terminal};
use crate::machine::{Expected, Kind, Share, Step, share};
use crate::model::{Entry, Model, Told, WINDOW_MINUTES, Wish};

/// The real journal, in a file, with its threads' work done by hand.
pub struct Real {
    folder: TempDir,
    journal: SqliteJournal,
    hand: Hand,
    ids: Vec<PaymentId>,
}

impl Real {
    pub fn open() -> Real {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
        let (journal, hand) = journal(&folder);
        Real { folder, journal, hand, ids: Vec::new() }
    }

    /// A request is answered once the hand has made its turn; it waits for nothing else.
    fn wait<T>(&mut self, ask: impl for<'a> FnOnce(&'a SqliteJournal) -> Pin<Box<dyn Future<Output = T> + 'a>>) -> T {
        let mut asked = pin!(ask(&self.journal));
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            if let Poll::Ready(answer) = asked.as_mut().poll(&mut context) {
                return answer;
            }
            self.hand.turn();
        }
        panic!("the journal does not answer");
    }

    fn request(&self, wish: &Wish) -> NewPayment {
        let Wish { register, document, operation, minor, francs, made, undoes, .. } = wish.clone();
        let content =
            format!("v1:{:?}", (wish.operator.is_some(), register, document, operation, minor, francs, made, undoes));
        let keys = match wish.operator {
            Some(key) => Keys::Operator { name: "kim".into(), key: format!("operator:{key}"), content },
            None => {
                Keys::Event { guid: wish.guid.map(|guid| format!("g{guid}")), content, has_created_at: made.is_some() }
            }
        };
        NewPayment {
            id: PaymentId::generate(),
            keys,
            operation,
            amount: amount(wish),
            tip_minor: None,
            register: format!("POS-{register}"),
            terminal: terminal(),
            document: document
                .map(|(number, kind)| Document { number: number.to_string(), kind: Some(kind.to_string()) }),
            undoes: undoes.map(|place| self.ids[place]),
            again_of: None,
            accept_partial: false,
            received_at: wall_clock::now(),
            admission: match wish.admission {
                Entry::Dispatch => Admission::Dispatch,
                Entry::Queue => Admission::Queue,
                Entry::Refuse => Admission::Refuse,
                Entry::TooOld => Admission::TooOld("it is an hour old".into()),
            },
            repeat: RepeatRule {
                window: Duration::from_secs(60 * WINDOW_MINUTES),
                allow: wish.allow,
                confirmed: wish.confirmed,
            },
            evidence: "asked for".into(),
        }
    }

    pub fn begin(&mut self, wish: &Wish) -> Told {
        let new = self.request(wish);
        let id = new.id;
        let before = new.clone();
        let known = self.wait(|journal| journal.known(before)).unwrap();
        let begun = self.wait(|journal| journal.begin(new)).unwrap();
        let is_repeat = matches!(begun, Begun::SameEvent(_))
            || matches!(&begun, Begun::Conflict { code, repeated, .. } if *repeated || code.name() == "conflicting-repeat");
        assert_eq!(known.is_some(), is_repeat, "a look and a request agree: {known:?}, {begun:?}");
        if matches!(begun, Begun::New { .. }) && wish.admission != Entry::Refuse {
            self.ids.push(id);
        }
        self.told(&begun)
    }

    fn told(&self, begun: &Begun) -> Told {
        let place = |id: PaymentId| self.ids.iter().position(|known| *known == id).expect("a payment of this day");
        match begun {
            Begun::New { original } => Told::New { original: original.as_ref().map(|sale| place(sale.id)) },
            Begun::SameEvent(first) => Told::SameEvent(place(first.id), first.state),
            Begun::SameDocument(first) => Told::Joins(place(first.id), first.state),
            Begun::Conflict { code, first, repeated } => {
                Told::Conflict { code: *code, first: place(first.id), repeated: *repeated }
            }
        }
    }

    /// Whether it was done.
    pub fn moves(&mut self, step: &Step, place: usize, wish: &Wish) -> bool {
        let (id, amount) = (self.ids[place], amount(wish));
        let done = match step.clone() {
            Step::Dispatch(_) => self.wait(|journal| journal.dispatch(id)),
            Step::Finish { next, approves, releases, .. } => {
                let end = ended(next, amount, approves, releases);
                self.wait(|journal| journal.finish(id, end))
            }
            Step::LeaveToPerson(_) => self.wait(|journal| journal.leave_to_person(id, "look".into())),
            Step::Deliver(_) => {
                self.journal.answer_delivered(id);
                Ok(())
            }
            Step::Evidence(_, Kind::Note) => {
                self.wait(|journal| journal.remember(id, vec![("receipt".into(), "0042".into())]))
            }
            Step::Evidence(_, Kind::Record) => self.wait(|journal| journal.record(id, approval(amount))),
            Step::Evidence(..) => {
                let slip = Receipt { kind: ReceiptKind::Customer, text: "paid".into() };
                self.wait(|journal| journal.receipt(id, slip))
            }
            other => panic!("{other:?} moves no payment"),
        };
        assert!(matches!(done, Ok(()) | Err(JournalError::WrongState { .. })), "{done:?}");
        done.is_ok()
    }

    /// Stopped in order: what was asked for is written.
    pub fn stop(&mut self) {
        self.hand.turn();
        self.reopen();
    }

    /// Killed with requests in the queue, which nobody has written down then.
    pub fn kill(&mut self, wishes: &[Wish], place: &Index) {
        // Notes of delivered answers may get lost as well, but no answer depends on when they are written.
        self.hand.turn();
        if !wishes.is_empty() {
            let lost = self.request(place.get(wishes));
            let mut asked = self.journal.begin(lost);
            assert!(asked.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        self.reopen();
    }

    fn reopen(&mut self) {
        let (journal, hand) = journal(&self.folder);
        // The old one goes first, as its process would.
        self.hand = hand;
        self.journal = journal;
    }

    pub fn recover(&mut self) -> Expected {
        let first = self.wait(|journal| journal.recover()).unwrap();
        let second = self.wait(|journal| journal.recover()).unwrap();
        assert_eq!((second.in_doubt, second.expired), (0, 0), "recovering twice is recovering once");
        Expected::Recovered(first.in_doubt, first.expired)
    }

    /// Everything that is kept of every payment.
    pub fn compare(&mut self, model: &Model) {
        self.hand.turn();
        let filter = Filter { limit: 1000, ..Filter::default() };
        let mut payments = self.wait(|journal| journal.search(filter)).unwrap();
        payments.reverse();
        assert_eq!(payments.len(), model.payments.len(), "as many payments as the rules allow");
        for (place, (found, known)) in payments.iter().zip(&model.payments).enumerate() {
            assert_eq!(found.id, self.ids[place]);
            assert_eq!(found.state, known.state, "payment {place}");
            assert_eq!(found.answer_delivered, known.delivered, "payment {place}");
            assert_eq!(found.waits_for_person, known.waits_for_person, "payment {place}");
            assert_eq!(found.original, known.original.map(|sale| self.ids[sale]), "payment {place}");
            let id = found.id;
            let history = self.wait(|journal| journal.history(id)).unwrap().unwrap();
            let numbers: Vec<u32> = history.transitions.iter().map(|line| line.number).collect();
            assert_eq!(numbers, (1..=known.lines).collect::<Vec<_>>(), "payment {place}");
            assert_eq!(history.transitions.last().map(|line| line.state), Some(known.state), "payment {place}");
        }
    }
}

fn journal(folder: &TempDir) -> (SqliteJournal, Hand) {
    let path = folder.path().join("state").join("payments.db");
    SqliteJournal::open_by_hand(&path, options(), Box::new(RealDisk)).unwrap()
}

fn amount(wish: &Wish) -> Money {
    let currency = if wish.francs { "CHF".parse().unwrap() } else { Currency::EUR };
    Money::from_minor(wish.minor, currency)
}

fn ended(next: State, amount: Money, approves: Share, releases: bool) -> End {
    let minor = share(amount.minor(), approves).unwrap_or(amount.minor());
    let approved = Money::from_minor(minor, amount.currency());
    End { at: wall_clock::now(), release_keys: releases, ..end(next, approved) }
}
