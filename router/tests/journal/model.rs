//! The rules of the journal written down a second time, in memory: which request is a repeat, and how a payment moves on.
//!
//! It knows nothing of SQL, of hashes or of identities: payments are places in a list.

use std::time::Duration;

use tillswitch::code::Code;
use tillswitch::journal::State;
use tillswitch_core::Operation;

/// How long after an approval the same document is suspected, in minutes.
pub const WINDOW_MINUTES: u64 = 10;

/// A request, with everything that the rules look at.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// A person asks, under this key.
    pub operator: Option<u8>,
    pub guid: Option<u8>,
    /// The time that the event names.
    pub made: Option<u8>,
    pub document: Option<(u8, u8)>,
    pub operation: Operation,
    pub register: u8,
    pub minor: u64,
    pub francs: bool,
    /// The payment that it undoes.
    pub undoes: Option<usize>,
    pub allow: bool,
    pub confirmed: bool,
    pub admission: Entry,
}

/// What is done with a request if it is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    Dispatch,
    Queue,
    Refuse,
    TooOld,
}

/// What a request is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    New { original: Option<usize> },
    SameEvent(usize, State),
    Joins(usize, State),
    Conflict { code: Code, first: usize, repeated: bool },
}

/// A payment as the rules see it.
#[derive(Clone, Debug)]
pub struct Known {
    pub wish: Wish,
    pub state: State,
    /// What was approved, where that is not what was asked.
    pub approved: Option<u64>,
    pub ended: Duration,
    pub delivered: bool,
    pub waits_for_person: bool,
    pub original: Option<usize>,
    /// How many lines its history has.
    pub lines: u32,
}

#[derive(Clone, Debug)]
struct Key {
    wish: Wish,
    payment: usize,
    refused: Option<Code>,
}

/// A journal.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub payments: Vec<Known>,
    keys: Vec<Key>,
    pub now: Duration,
}

impl Wish {
    fn is_recognisable(&self) -> bool {
        self.operator.is_some() || self.guid.is_some() || self.made.is_some()
    }

    /// Whether two are sent under the same name.
    fn has_name_of(&self, other: &Wish) -> bool {
        match (self.operator, other.operator) {
            (Some(own), Some(other)) => own == other,
            (None, None) => self.guid.is_some() && self.guid == other.guid,
            _ => false,
        }
    }

    fn is_named(&self) -> bool {
        self.operator.is_some() || self.guid.is_some()
    }

    /// Whether two ask for the same.
    fn has_content_of(&self, other: &Wish) -> bool {
        let content = |wish: &Wish| {
            let Wish { register, document, operation, minor, francs, made, undoes, .. } = wish.clone();
            (wish.operator.is_some(), register, document, operation, minor, francs, made, undoes)
        };
        content(self) == content(other)
    }

    fn has_amount_of(&self, other: &Wish) -> bool {
        self.minor == other.minor && self.francs == other.francs
    }
}

impl Known {
    fn moved(&self) -> u64 {
        self.approved.unwrap_or(self.wish.minor)
    }
}

impl Model {
    /// A request arrives.
    pub fn begin(&mut self, wish: &Wish) -> Told {
        if let Some(told) = self.same_event(wish) {
            return told;
        }
        if wish.admission == Entry::TooOld {
            self.write(wish, State::Expired, None);
            return Told::New { original: None };
        }
        if let Some(first) = self.in_doubt(wish) {
            return self.refuse(wish, Code::DocumentInDoubt, first);
        }
        if let Some(first) = self.joined(wish) {
            if wish.is_recognisable() {
                self.keys.push(Key { wish: wish.clone(), payment: first, refused: None });
            }
            return Told::Joins(first, self.payments[first].state);
        }
        let suspected = self.suspected(wish);
        // A person may confirm a second press, so they must read first that more would go back than was paid.
        if let Some(first) = suspected.filter(|_| wish.operator.is_none()) {
            return self.refuse(wish, Code::SuspectedRepeat, first);
        }
        let original = wish.undoes.or_else(|| self.sale_of(wish));
        if let Some(sale) = original.filter(|sale| self.goes_back(*sale) + wish.minor > self.payments[*sale].moved()) {
            return self.refuse(wish, Code::OverRefund, sale);
        }
        if let Some(first) = suspected {
            return self.refuse(wish, Code::SuspectedRepeat, first);
        }
        match wish.admission {
            Entry::Dispatch => self.write(wish, State::Dispatched, original),
            Entry::Queue => self.write(wish, State::Received, original),
            Entry::Refuse | Entry::TooOld => {}
        }
        Told::New { original }
    }

    /// A payment moves on. `false`: it must not.
    pub fn finish(&mut self, place: usize, next: State, approved: Option<u64>, releases: bool) -> bool {
        let now = self.now;
        let payment = &mut self.payments[place];
        let is_end = next.is_final() || next == State::InDoubt;
        if !payment.state.may_become(next) || !is_end {
            return false;
        }
        let was_queued = payment.state == State::Received;
        payment.state = next;
        payment.approved = approved.filter(|_| next == State::Approved);
        payment.ended = now;
        payment.waits_for_person = false;
        payment.lines += 1;
        if releases && was_queued {
            self.give_keys_back(place);
        }
        true
    }

    /// Its terminal is free. `false`: it is not waiting.
    pub fn dispatch(&mut self, place: usize) -> bool {
        let payment = &mut self.payments[place];
        let may = payment.state == State::Received;
        if may {
            payment.state = State::Dispatched;
            payment.lines += 1;
        }
        may
    }

    /// A person must decide. `false`: it is not in doubt.
    pub fn leave_to_person(&mut self, place: usize) -> bool {
        let payment = &mut self.payments[place];
        payment.waits_for_person |= payment.state == State::InDoubt;
        payment.state == State::InDoubt
    }

    /// Whether evidence of it is kept.
    pub fn keeps_evidence(&self, place: usize) -> bool {
        self.payments[place].state != State::Received
    }

    /// An answer with its approval was written to its end.
    pub fn deliver(&mut self, place: usize) {
        let payment = &mut self.payments[place];
        payment.delivered |= payment.state == State::Approved;
    }

    /// The router starts. How many are in doubt now, and how many have expired.
    pub fn recover(&mut self) -> (usize, usize) {
        let (mut in_doubt, mut expired) = (0, 0);
        for place in 0..self.payments.len() {
            match self.payments[place].state {
                State::Dispatched => {
                    self.finish(place, State::InDoubt, None, false);
                    in_doubt += 1;
                }
                State::Received => {
                    self.finish(place, State::Expired, None, true);
                    expired += 1;
                }
                _ => {}
            }
        }
        (in_doubt, expired)
    }

    /// Sales of which more has gone back, or may, than was paid.
    pub fn overdrawn(&self) -> Option<usize> {
        let is_paid = |place: &usize| {
            let sale = &self.payments[*place];
            sale.state == State::Approved && sale.wish.operation == Operation::Sale
        };
        // What a terminal gave back beyond what it was asked for is its doing, and no request is to blame.
        let as_asked = |place: &usize| {
            let linked = self.payments.iter().filter(|payment| payment.original == Some(*place));
            linked.filter(|payment| payment.approved.is_none_or(|minor| minor <= payment.wish.minor)).count()
                == self.payments.iter().filter(|payment| payment.original == Some(*place)).count()
        };
        let mut sales = (0..self.payments.len()).filter(is_paid).filter(as_asked);
        sales.find(|sale| self.goes_back(*sale) > self.payments[*sale].moved())
    }

    fn give_keys_back(&mut self, place: usize) {
        self.keys.retain(|key| key.payment != place || key.refused.is_some());
    }

    fn write(&mut self, wish: &Wish, state: State, original: Option<usize>) {
        let place = self.payments.len();
        self.keys.push(Key { wish: wish.clone(), payment: place, refused: None });
        let lines = if state == State::Received { 1 } else { 2 };
        let (wish, ended) = (wish.clone(), self.now);
        self.payments.push(Known {
            wish,
            state,
            approved: None,
            ended,
            delivered: false,
            waits_for_person: false,
            original,
            lines,
        });
    }

    fn refuse(&mut self, wish: &Wish, code: Code, first: usize) -> Told {
        // A person may read the refusal and confirm under the same key.
        if wish.operator.is_none() {
            self.keys.push(Key { wish: wish.clone(), payment: first, refused: Some(code) });
        }
        Told::Conflict { code, first, repeated: false }
    }

    fn same_event(&mut self, wish: &Wish) -> Option<Told> {
        let named: Vec<&Key> = self.keys.iter().filter(|key| key.wish.has_name_of(wish)).collect();
        let mut equal: Vec<&&Key> = named.iter().filter(|key| key.wish.has_content_of(wish)).collect();
        equal.sort_by_key(|key| key.refused.is_some());
        if let Some(key) = equal.first() {
            return Some(self.told_again(wish, key));
        }
        if let Some(key) = named.iter().find(|key| key.refused != Some(Code::ConflictingRepeat)) {
            let first = self.first_of_name(wish).unwrap_or(key.payment);
            return Some(self.refuse(wish, Code::ConflictingRepeat, first));
        }
        // By content only what names its time, and where at most one of the two has a name.
        wish.made.filter(|_| wish.operator.is_none())?;
        let matches = |key: &&Key| key.wish.has_content_of(wish) && !(key.wish.is_named() && wish.is_named());
        let matching: Vec<&Key> = self.keys.iter().filter(matches).collect();
        let key = matching.iter().rev().find(|key| key.refused.is_none()).or(matching.last())?;
        let (told, payment, refused) = (self.told_again(wish, key), key.payment, key.refused);
        if wish.is_named() {
            self.keys.push(Key { wish: wish.clone(), payment, refused });
        }
        Some(told)
    }

    /// What a name stands for: the payment before whatever was refused under it.
    fn first_of_name(&self, wish: &Wish) -> Option<usize> {
        let mut named: Vec<&Key> = self
            .keys
            .iter()
            .filter(|key| key.wish.has_name_of(wish) && key.refused != Some(Code::ConflictingRepeat))
            .collect();
        named.sort_by_key(|key| key.refused.is_some());
        named.first().map(|key| key.payment)
    }

    fn told_again(&self, wish: &Wish, key: &Key) -> Told {
        let first = &self.payments[key.payment];
        let asked_for_it = first.wish.register == wish.register && first.wish.has_amount_of(wish);
        match key.refused {
            None => Told::SameEvent(key.payment, first.state),
            Some(Code::DocumentInDoubt) if asked_for_it && first.state == State::Approved => {
                Told::SameEvent(key.payment, first.state)
            }
            Some(code) => Told::Conflict { code, first: key.payment, repeated: true },
        }
    }

    fn in_doubt(&self, wish: &Wish) -> Option<usize> {
        let equal = |payment: &Known| payment.wish.register == wish.register && payment.wish.has_amount_of(wish);
        let stands_in_the_way = |payment: &Known| {
            payment.state == State::InDoubt
                && payment.wish.operation == wish.operation
                && match wish.document {
                    Some(_) => payment.wish.document == wish.document,
                    None => equal(payment),
                }
        };
        self.newest(|payment| stands_in_the_way(payment) && equal(payment)).or_else(|| self.newest(stands_in_the_way))
    }

    fn joined(&self, wish: &Wish) -> Option<usize> {
        let here = |payment: &Known| is_same_document(payment, wish) && payment.wish.register == wish.register;
        let unread = |payment: &Known| here(payment) && payment.state == State::Approved && !payment.delivered;
        self.newest(|payment| here(payment) && is_running(payment))
            .or_else(|| self.newest(unread).filter(|_| wish.operator.is_none()))
    }

    fn suspected(&self, wish: &Wish) -> Option<usize> {
        if wish.confirmed {
            return None;
        }
        let here = |payment: &Known| payment.wish.register == wish.register;
        let same = |payment: &Known| is_same_document(payment, wish);
        let since = self.now.saturating_sub(Duration::from_secs(60 * WINDOW_MINUTES));
        let recent = |payment: &Known| payment.state == State::Approved && payment.ended >= since;
        let read = |payment: &Known| same(payment) && here(payment) && recent(payment) && payment.delivered;
        let unread =
            |payment: &Known| same(payment) && here(payment) && payment.state == State::Approved && !payment.delivered;
        let elsewhere = |payment: &Known| same(payment) && !here(payment) && (is_running(payment) || recent(payment));
        self.newest(read)
            .filter(|_| !wish.allow)
            .or_else(|| self.newest(unread).filter(|_| wish.operator.is_some()))
            .or_else(|| self.newest(elsewhere))
    }

    /// The one approved sale of a refund's document.
    fn sale_of(&self, wish: &Wish) -> Option<usize> {
        let (number, _) = wish.document?;
        let is_sale = |payment: &Known| {
            payment.wish.operation == Operation::Sale
                && payment.state == State::Approved
                && payment.wish.register == wish.register
                && payment.wish.francs == wish.francs
                && payment.wish.document.is_some_and(|(other, _)| other == number)
        };
        let mut sales = (0..self.payments.len()).filter(|place| is_sale(&self.payments[*place]));
        match (wish.operation, sales.next(), sales.next()) {
            (Operation::Refund, Some(sale), None) => Some(sale),
            _ => None,
        }
    }

    fn goes_back(&self, sale: usize) -> u64 {
        let counts = |payment: &&Known| {
            let gone = matches!(payment.state, State::Declined | State::Cancelled | State::Failed | State::Expired);
            payment.original == Some(sale) && payment.wish.operation != Operation::Sale && !gone
        };
        self.payments.iter().filter(counts).map(Known::moved).sum()
    }

    fn newest(&self, wanted: impl Fn(&Known) -> bool) -> Option<usize> {
        (0..self.payments.len()).rev().find(|place| wanted(&self.payments[*place]))
    }
}

fn is_running(payment: &Known) -> bool {
    matches!(payment.state, State::Received | State::Dispatched)
}

fn is_same_document(payment: &Known, wish: &Wish) -> bool {
    let first = &payment.wish;
    let document = match wish.document {
        Some(_) => first.document == wish.document,
        None => !wish.is_recognisable() && first.document.is_none() && first.register == wish.register,
    };
    document && first.operation == wish.operation && first.has_amount_of(wish)
}
