//! Whether the journal answers long random days exactly like the rules written down a second time, in memory.

use std::collections::BTreeMap;

use tillswitch::code::Code;
use tillswitch::journal::{Admission, Begun, Journal, State};
use tillswitch_core::{Operation, PaymentId};

use crate::bench::{Event, Shop, end};

const DAYS: u64 = 60;
const STEPS: usize = 100;

#[tokio::test]
async fn random_days_are_answered_as_the_rules_say() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..DAYS {
        let mut day =
            Day { dice: Dice(seed), shop: Shop::open(), model: Model::default(), log: Vec::new(), events: Vec::new() };
        for _ in 0..STEPS {
            day.step().await;
        }
        for line in day.log {
            if let Some((_, answer)) = line.split_once("-> ") {
                *seen.entry(answer.split(' ').next().unwrap_or("").to_owned()).or_insert(0) += 1;
            }
        }
    }
    // Days on which half of the rules never came up would prove nothing.
    for answer in
        ["new", "event", "joins", "conflicting-repeat", "suspected-repeat", "document-in-doubt", "over-refund"]
    {
        assert!(seen.get(answer).is_some_and(|times| *times >= 10), "{answer}: {seen:?}");
    }
}

/// SplitMix64: the same days on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % sides as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

struct Day {
    dice: Dice,
    shop: Shop,
    model: Model,
    log: Vec<String>,
    events: Vec<String>,
}

impl Day {
    async fn step(&mut self) {
        match self.dice.below(20) {
            0..12 => self.begin().await,
            12..18 => self.finish().await,
            18 => self.deliver(),
            _ => self.recover().await,
        }
    }

    async fn begin(&mut self) {
        let text = self.event();
        let event = Event::parse(&text);
        let request = event.request();
        let id = request.id;
        let found = self.shop.journal.begin(request).await.unwrap();
        let expected = self.model.begin(&event, id);
        let found = self.model.describe(&found);
        self.log.push(format!("{text} -> {expected}"));
        assert_eq!(found, expected, "the last line of\n{}", self.log.join("\n"));
    }

    /// Every third is one that was here before.
    fn event(&mut self) -> String {
        if self.dice.below(3) == 0 && !self.events.is_empty() {
            return self.events[self.dice.below(self.events.len())].clone();
        }
        let guid = format!("guid=n{}", self.events.len());
        let dice = &mut self.dice;
        let words = [
            dice.pick(&["", "guid=a", "guid=b", &guid, &guid, &guid, &guid, &guid]),
            dice.pick(&["", "made=1", "made=2"]),
            dice.pick(&["", "doc=7", "doc=7", "doc=7/order", "doc=8", "doc=8"]),
            dice.pick(&["", "op=refund"]),
            dice.pick(&["", "", "reg=POS-02"]),
            dice.pick(&["10.00", "10.00", "20.00"]),
            dice.pick(&["", "", "later"]),
            dice.pick(&["", "", "allow"]),
            dice.pick(&["", "", "", "queue", "queue", "refuse", "too-old"]),
        ];
        self.events.push(words.join(" "));
        words.join(" ")
    }

    async fn finish(&mut self) {
        let open: Vec<usize> = self.model.places(|payment| !payment.state.is_final());
        if open.is_empty() {
            return;
        }
        let payment = &mut self.model.payments[open[self.dice.below(open.len())]];
        let next: Vec<State> = State::ALL.into_iter().filter(|next| payment.state.may_become(*next)).collect();
        let next = next[self.dice.below(next.len())];
        let released = next == State::Expired;
        match next {
            State::Dispatched => self.shop.journal.dispatch(payment.id).await.unwrap(),
            next => self.shop.journal.finish(payment.id, end(next, payment.event.amount)).await.unwrap(),
        }
        self.log.push(format!("{} becomes {next}", payment.id));
        payment.state = next;
        let id = payment.id;
        if released {
            self.model.release(id);
        }
    }

    fn deliver(&mut self) {
        let approved = self.model.places(|payment| payment.state == State::Approved);
        if approved.is_empty() {
            return;
        }
        let payment = &mut self.model.payments[approved[self.dice.below(approved.len())]];
        payment.delivered = true;
        self.shop.journal.answer_delivered(payment.id);
        self.log.push(format!("{} is delivered", payment.id));
    }

    async fn recover(&mut self) {
        if self.dice.below(4) != 0 {
            return;
        }
        self.shop.journal.recover().await.unwrap();
        self.log.push("a restart".into());
        for place in 0..self.model.payments.len() {
            let payment = &mut self.model.payments[place];
            match payment.state {
                State::Dispatched => payment.state = State::InDoubt,
                State::Received => {
                    payment.state = State::Expired;
                    let id = payment.id;
                    self.model.release(id);
                }
                _ => {}
            }
        }
    }
}

#[derive(Default)]
struct Model {
    payments: Vec<Known>,
    keys: Vec<Key>,
}

struct Known {
    id: PaymentId,
    event: Event,
    state: State,
    delivered: bool,
    original: Option<PaymentId>,
}

struct Key {
    event: Event,
    payment: PaymentId,
    refused: Option<Code>,
}

impl Model {
    fn places(&self, wanted: impl Fn(&Known) -> bool) -> Vec<usize> {
        (0..self.payments.len()).filter(|place| wanted(&self.payments[*place])).collect()
    }

    fn payment(&self, id: PaymentId) -> &Known {
        self.payments.iter().find(|payment| payment.id == id).unwrap()
    }

    fn release(&mut self, id: PaymentId) {
        self.keys.retain(|key| key.payment != id || key.refused.is_some());
    }

    fn begin(&mut self, event: &Event, id: PaymentId) -> String {
        if let Some(answer) = self.same_event(event) {
            return answer;
        }
        if let Admission::TooOld(_) = event.admission {
            self.write(event, id, State::Expired, None);
            return "new".into();
        }
        if let Some(answer) = self.same_document(event) {
            return answer;
        }
        let original = self.original(event);
        if let Some(sale) = original
            && self.given_back(sale) + event.amount.minor() > self.payment(sale).event.amount.minor()
        {
            return self.refuse(event, Code::OverRefund, sale);
        }
        match event.admission {
            Admission::Dispatch => self.write(event, id, State::Dispatched, original),
            Admission::Queue => self.write(event, id, State::Received, original),
            _ => {}
        }
        original.map_or("new".into(), |sale| format!("new from {sale}"))
    }

    fn write(&mut self, event: &Event, id: PaymentId, state: State, original: Option<PaymentId>) {
        let event = event.clone();
        self.keys.push(Key { event: event.clone(), payment: id, refused: None });
        self.payments.push(Known { id, event, state, delivered: false, original });
    }

    fn refuse(&mut self, event: &Event, code: Code, first: PaymentId) -> String {
        self.keys.push(Key { event: event.clone(), payment: first, refused: Some(code) });
        format!("{code} {first}")
    }

    fn same_event(&mut self, event: &Event) -> Option<String> {
        let with_guid: Vec<&Key> =
            self.keys.iter().filter(|key| event.guid.is_some() && key.event.guid == event.guid).collect();
        if let Some(key) = with_guid.iter().find(|key| same_content(&key.event, event)) {
            return Some(self.answer_again(event, key));
        }
        if let Some(key) = with_guid.iter().find(|key| key.refused != Some(Code::ConflictingRepeat)) {
            let first = key.payment;
            return Some(self.refuse(event, Code::ConflictingRepeat, first));
        }
        let matches = |key: &&Key| {
            event.made.is_some()
                && same_content(&key.event, event)
                && (key.event.guid.is_none() || event.guid.is_none())
        };
        let matching: Vec<&Key> = self.keys.iter().filter(matches).collect();
        let key = matching.iter().rev().find(|key| key.refused.is_none()).or(matching.last())?;
        let (answer, payment, refused) = (self.answer_again(event, key), key.payment, key.refused);
        if event.guid.is_some() {
            self.keys.push(Key { event: event.clone(), payment, refused });
        }
        Some(answer)
    }

    fn answer_again(&self, event: &Event, key: &Key) -> String {
        let first = self.payment(key.payment);
        let asked_for_it = first.event.register == event.register && first.event.amount == event.amount;
        match key.refused {
            None => format!("event {} {}", first.id, first.state),
            Some(Code::DocumentInDoubt) if asked_for_it && first.state == State::Approved => {
                format!("event {} {}", first.id, first.state)
            }
            Some(code) => format!("{code} {} again", first.id),
        }
    }

    fn same_document(&mut self, event: &Event) -> Option<String> {
        if let Some(first) = self.in_doubt(event) {
            return Some(self.refuse(event, Code::DocumentInDoubt, first));
        }
        let newest = |wanted: &dyn Fn(&Known) -> bool| {
            let same = self.payments.iter().rev().filter(|payment| is_same_document(payment, event));
            same.into_iter().find(|payment| wanted(payment)).map(|payment| payment.id)
        };
        let here = |payment: &Known| payment.event.register == event.register;
        let running = |payment: &Known| matches!(payment.state, State::Received | State::Dispatched);
        let approved = |payment: &Known| payment.state == State::Approved;
        // Everything was approved a moment ago: an event that arrives later is behind every window.
        let recent = |payment: &Known| approved(payment) && !event.later;
        let joined = newest(&|payment| here(payment) && running(payment))
            .or_else(|| newest(&|payment| here(payment) && approved(payment) && !payment.delivered));
        if let Some(first) = joined {
            if event.guid.is_some() || event.made.is_some() {
                self.keys.push(Key { event: event.clone(), payment: first, refused: None });
            }
            return Some(format!("joins {first} {}", self.payment(first).state));
        }
        let suspected = newest(&|payment| here(payment) && recent(payment) && !event.allow)
            .or_else(|| newest(&|payment| !here(payment) && (running(payment) || recent(payment))))?;
        Some(self.refuse(event, Code::SuspectedRepeat, suspected))
    }

    fn in_doubt(&self, event: &Event) -> Option<PaymentId> {
        let equal = |payment: &&Known| payment.event.register == event.register && payment.event.amount == event.amount;
        let mut found = self.payments.iter().rev().filter(|payment| {
            payment.state == State::InDoubt
                && payment.event.operation == event.operation
                && match event.document {
                    Some(_) => payment.event.document == event.document,
                    None => equal(payment),
                }
        });
        let all: Vec<&Known> = found.by_ref().collect();
        all.iter().find(|payment| equal(payment)).or(all.first()).map(|payment| payment.id)
    }

    fn original(&self, event: &Event) -> Option<PaymentId> {
        let number = &event.document.as_ref()?.number;
        let mut sales = self.payments.iter().filter(|payment| {
            let document = payment.event.document.as_ref();
            payment.event.operation == Operation::Sale
                && payment.state == State::Approved
                && payment.event.register == event.register
                && document.is_some_and(|document| document.number == *number)
        });
        match (event.operation, sales.next(), sales.next()) {
            (Operation::Refund, Some(sale), None) => Some(sale.id),
            _ => None,
        }
    }

    fn given_back(&self, sale: PaymentId) -> u64 {
        let counts = |payment: &&Known| {
            let gone = matches!(payment.state, State::Declined | State::Cancelled | State::Failed | State::Expired);
            payment.original == Some(sale) && !gone
        };
        self.payments.iter().filter(counts).map(|payment| payment.event.amount.minor()).sum()
    }

    fn describe(&self, begun: &Begun) -> String {
        match begun {
            Begun::New { original: None } => "new".into(),
            Begun::New { original: Some(sale) } => format!("new from {}", sale.id),
            Begun::SameEvent(first) => format!("event {} {}", first.id, first.state),
            Begun::SameDocument(first) => format!("joins {} {}", first.id, first.state),
            Begun::Conflict { code, first, repeated: false } => format!("{code} {}", first.id),
            Begun::Conflict { code, first, repeated: true } => format!("{code} {} again", first.id),
        }
    }
}

/// What the hash covers, by hand.
fn same_content(one: &Event, other: &Event) -> bool {
    let content = |event: &Event| {
        (event.register.clone(), event.document.clone(), event.operation, event.amount, event.made.clone())
    };
    content(one) == content(other)
}

fn is_same_document(payment: &Known, event: &Event) -> bool {
    let first = &payment.event;
    let unrecognisable = event.guid.is_none() && event.made.is_none();
    let document = match event.document {
        Some(_) => first.document == event.document,
        None => unrecognisable && first.document.is_none() && first.register == event.register,
    };
    document && first.operation == event.operation && first.amount == event.amount
}
