//! Whether a payment moves on as it may, and everything that was kept of it comes back.

use std::time::SystemTime;

use tillswitch::code::Code;
use tillswitch::journal::{Actor, Admission, End, Filter, Incident, Journal, JournalError, Recovered, State, Verdict};
use tillswitch_core::{Currency, Document, Money, PaymentId, Receipt, ReceiptKind};

use crate::bench::{Event, Shop, approval, end, terminal};

fn euro(minor: u64) -> Money {
    Money::from_minor(minor, Currency::EUR)
}

async fn states(shop: &Shop, id: PaymentId) -> Vec<(u32, String, String)> {
    let history = shop.journal.history(id).await.unwrap().unwrap();
    let row = |line: &tillswitch::journal::Transition| (line.number, line.state.to_string(), line.actor.clone());
    history.transitions.iter().map(row).collect()
}

fn row(number: u32, state: &str, actor: &str) -> (u32, String, String) {
    (number, state.into(), actor.into())
}

#[tokio::test]
async fn everything_that_was_kept_comes_back_after_a_reopening() {
    let shop = Shop::open();
    let mut request = Event::parse("guid=a doc=7 25.90").request();
    (request.tip_minor, request.accept_partial) = (Some(90), true);
    let id = request.id;
    shop.journal.begin(request.clone()).await.unwrap();
    let pairs = |value: &str| vec![("terminal_id".into(), "29001612".into()), ("previous".into(), value.into())];
    shop.journal.remember(id, pairs("0041")).await.unwrap();
    shop.journal.remember(id, pairs("0042")).await.unwrap();
    shop.journal.record(id, approval(euro(2590))).await.unwrap();
    let slip = Receipt { kind: ReceiptKind::Merchant, text: "PAID\n25,90".into() };
    shop.journal.receipt(id, slip.clone()).await.unwrap();
    shop.journal.finish(id, end(State::InDoubt, euro(2590))).await.unwrap();
    let said = Incident { at: SystemTime::UNIX_EPOCH, message: "late".into(), said: Some(approval(euro(1))) };
    shop.journal.incident(Some(id), "counter", said.clone()).await.unwrap();
    shop.journal.finish(id, end(State::Approved, euro(2600))).await.unwrap();

    let shop = shop.reopen();
    let history = shop.journal.history(id).await.unwrap().unwrap();
    let payment = history.payment;
    assert_eq!((payment.id, payment.state), (id, State::Approved));
    assert_eq!(payment.verdict, Some(Verdict::Said { outcome: approval(euro(2600)) }));
    assert_eq!((payment.amount, payment.tip_minor, payment.accept_partial), (euro(2590), Some(90), true));
    assert_eq!((payment.register.as_str(), payment.terminal), ("POS-01", terminal()));
    assert_eq!(payment.document, Some(Document { number: "7".into(), kind: Some("invoice".into()) }));
    assert_eq!((payment.notes.get("previous"), payment.notes.get("terminal_id")), (Some("0042"), Some("29001612")));
    assert_eq!(payment.recorded, Some(approval(euro(2590))));
    assert!(payment.dispatched_at <= payment.finished_at && !payment.waits_for_person && !payment.answer_delivered);
    let rounding = request.received_at.duration_since(payment.received_at).unwrap();
    assert!(rounding.as_nanos() < 1000, "{rounding:?}");
    assert_eq!((history.receipts, history.incidents), (vec![slip], vec![said]));
    let expected = [
        row(1, "received", "webhook"),
        row(2, "dispatched", "webhook"),
        row(3, "in_doubt", "driver"),
        row(4, "approved", "driver"),
    ];
    assert_eq!(states(&shop, id).await, expected);
}

#[tokio::test]
async fn a_payment_reads_back_as_it_was_begun() {
    let shop = Shop::open();
    for event in ["guid=a doc=7", "guid=b queue", "guid=c op=refund 1.00CHF"] {
        let mut request = Event::parse(event).request();
        // The journal keeps microseconds.
        request.received_at = SystemTime::UNIX_EPOCH + std::time::Duration::from_micros(1_764_000_000_123_456);
        shop.journal.begin(request.clone()).await.unwrap();
        let kept = shop.journal.payment(request.id).await.unwrap();
        assert_eq!(kept, Some(tillswitch::journal::Payment::from(&request)), "{event}");
    }
}

#[tokio::test]
async fn only_the_allowed_transitions_are_made() {
    for from in State::ALL {
        for to in State::ALL {
            let shop = Shop::open();
            let id = bring_to(&shop, from).await;
            let before = shop.journal.history(id).await.unwrap();
            let done = match to {
                State::Dispatched => shop.journal.dispatch(id).await,
                _ => shop.journal.finish(id, end(to, euro(2590))).await,
            };
            let after = shop.journal.history(id).await.unwrap();
            if from.may_become(to) {
                assert_eq!((done, after.unwrap().payment.state), (Ok(()), to));
            } else {
                assert_eq!(done, Err(JournalError::WrongState { id, found: from, wanted: to }));
                assert_eq!(before, after, "{from} -> {to}");
            }
        }
    }
}

async fn bring_to(shop: &Shop, state: State) -> PaymentId {
    let id = shop.begin("guid=a queue").await;
    let steps: &[State] = match state {
        State::Received => &[],
        State::Dispatched => &[State::Dispatched],
        State::Expired => &[State::Expired],
        state => &[State::Dispatched, state],
    };
    for step in steps {
        match step {
            State::Dispatched => shop.journal.dispatch(id).await.unwrap(),
            state => shop.journal.finish(id, end(*state, euro(2590))).await.unwrap(),
        }
    }
    id
}

#[tokio::test]
async fn finish_never_stands_in_for_dispatch() {
    let shop = Shop::open();
    let id = shop.begin("guid=a queue").await;
    let wrong = JournalError::WrongState { id, found: State::Received, wanted: State::Dispatched };
    assert_eq!(shop.journal.finish(id, end(State::Dispatched, euro(1))).await, Err(wrong));
}

#[tokio::test]
async fn evidence_is_kept_in_every_state_after_the_dispatch() {
    for state in State::ALL {
        let shop = Shop::open();
        let id = bring_to(&shop, state).await;
        let slip = Receipt { kind: ReceiptKind::Customer, text: "slip".into() };
        let kept = [
            shop.journal.remember(id, vec![("key".into(), "value".into())]).await,
            shop.journal.record(id, approval(euro(1))).await,
            shop.journal.receipt(id, slip).await,
        ];
        let wrong = Err(JournalError::WrongState { id, found: state, wanted: State::Dispatched });
        let expected = if state == State::Received { wrong } else { Ok(()) };
        assert_eq!(kept, [expected.clone(), expected.clone(), expected], "{state}");
        assert_eq!(shop.journal.payment(id).await.unwrap().unwrap().state, state);
    }
}

#[tokio::test]
async fn keys_are_never_given_back_after_a_dispatch() {
    let shop = Shop::open();
    let id = shop.begin("guid=a").await;
    let failed = End { release_keys: true, ..end(State::Failed, euro(2590)) };
    shop.journal.finish(id, failed).await.unwrap();
    let again = shop.journal.begin(Event::parse("guid=a").request()).await.unwrap();
    assert!(matches!(again, tillswitch::journal::Begun::SameEvent(_)), "{again:?}");
}

#[tokio::test]
async fn a_payment_left_to_a_person_stays_in_doubt_until_somebody_decides() {
    let shop = Shop::open();
    let id = shop.begin("guid=a").await;
    let early = shop.journal.leave_to_person(id, "too early".into()).await;
    assert_eq!(early, Err(JournalError::WrongState { id, found: State::Dispatched, wanted: State::InDoubt }));
    shop.journal.finish(id, end(State::InDoubt, euro(2590))).await.unwrap();
    shop.journal.leave_to_person(id, "the receipt number does not follow".into()).await.unwrap();
    let history = shop.journal.history(id).await.unwrap().unwrap();
    assert!(history.payment.waits_for_person && history.payment.state == State::InDoubt);
    assert_eq!(history.incidents[0].message, "the receipt number does not follow");
    assert_eq!(shop.journal.in_doubt().await.unwrap(), [history.payment]);
    let settled = End { actor: Actor::Operator("ann".into()), ..end(State::Approved, euro(2590)) };
    shop.journal.finish(id, settled).await.unwrap();
    let history = shop.journal.history(id).await.unwrap().unwrap();
    assert_eq!(history.transitions.last().unwrap().actor, "operator:ann");
    assert!(!history.payment.waits_for_person);
}

#[tokio::test]
async fn recovering_twice_is_recovering_once() {
    let shop = Shop::open();
    let (open, queued) = (shop.begin("guid=a").await, shop.begin("guid=b queue").await);
    let done = shop.begin("guid=c").await;
    shop.journal.finish(done, end(State::Approved, euro(2590))).await.unwrap();
    shop.journal.record(open, approval(euro(2590))).await.unwrap();
    let shop = shop.reopen();
    assert_eq!(shop.journal.recover().await, Ok(Recovered { in_doubt: 1, expired: 1 }));
    let mut before = Vec::new();
    for id in [open, queued, done] {
        before.push(shop.journal.history(id).await.unwrap().unwrap());
    }
    let shop = shop.reopen();
    assert_eq!(shop.journal.recover().await, Ok(Recovered::default()));
    for history in before {
        assert_eq!(shop.journal.history(history.payment.id).await.unwrap().unwrap(), history);
    }
    assert_eq!(states(&shop, open).await.last(), Some(&row(3, "in_doubt", "recovery")));
    assert_eq!(states(&shop, queued).await.last(), Some(&row(2, "expired", "recovery")));
    assert_eq!(shop.journal.in_doubt().await.unwrap()[0].recorded, Some(approval(euro(2590))));
}

#[tokio::test]
async fn a_request_that_came_too_late_says_how_late() {
    let shop = Shop::open();
    let id = shop.begin("guid=a too-old").await;
    let payment = shop.journal.payment(id).await.unwrap().unwrap();
    assert_eq!((payment.state, payment.dispatched_at), (State::Expired, None));
    assert_eq!(payment.verdict, Some(Verdict::because(Code::TooOld, "it is an hour old")));
    assert_eq!(states(&shop, id).await, [row(1, "received", "webhook"), row(2, "expired", "webhook")]);
}

#[tokio::test]
async fn the_largest_amount_survives() {
    let shop = Shop::open();
    let mut request = Event::parse("guid=a doc=7").request();
    (request.amount, request.tip_minor) = (euro(u64::MAX), Some(u64::MAX));
    let id = request.id;
    shop.journal.begin(request.clone()).await.unwrap();
    shop.journal.record(id, approval(euro(u64::MAX))).await.unwrap();
    shop.journal.finish(id, end(State::Approved, euro(u64::MAX))).await.unwrap();
    let payment = shop.journal.payment(id).await.unwrap().unwrap();
    assert_eq!((payment.amount, payment.tip_minor), (euro(u64::MAX), Some(u64::MAX)));
    assert_eq!(payment.verdict, Some(Verdict::Said { outcome: approval(euro(u64::MAX)) }));
    assert_eq!(payment.recorded, Some(approval(euro(u64::MAX))));
    let mut refund = Event::parse("guid=b doc=7 op=refund").request();
    refund.amount = euro(u64::MAX);
    assert!(matches!(shop.journal.begin(refund).await, Ok(tillswitch::journal::Begun::New { original: Some(_) })));
}

#[tokio::test]
async fn a_search_finds_the_newest_first() {
    let shop = Shop::open();
    let mut ids = Vec::new();
    for event in ["guid=a doc=7 1.00", "guid=b doc=8", "guid=c doc=7 reg=POS-02", "guid=d doc=9 queue", "guid=e later"]
    {
        ids.push(shop.begin(event).await);
    }
    shop.journal.finish(ids[0], end(State::Declined, euro(100))).await.unwrap();
    let find = async |filter: Filter| -> Vec<usize> {
        let found = shop.journal.search(filter).await.unwrap();
        found.iter().map(|payment| ids.iter().position(|id| *id == payment.id).unwrap()).collect()
    };
    assert_eq!(find(Filter::default()).await, [4, 3, 2, 1, 0]);
    assert_eq!(find(Filter { limit: 2, ..Filter::default() }).await, [4, 3]);
    assert_eq!(find(Filter { state: Some(State::Received), ..Filter::default() }).await, [3]);
    assert_eq!(find(Filter { document: Some("7".into()), ..Filter::default() }).await, [2, 0]);
    let here = Filter { register: Some("POS-02".into()), document: Some("7".into()), ..Filter::default() };
    assert_eq!(find(here).await, [2]);
    let soon = SystemTime::now() + std::time::Duration::from_secs(60);
    assert_eq!(find(Filter { since: Some(soon), ..Filter::default() }).await, [4]);
    assert_eq!(find(Filter { register: Some("' OR 1".into()), ..Filter::default() }).await, [0; 0]);
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_unknown() {
    let shop = Shop::open();
    let id = PaymentId::generate();
    let unknown = JournalError::UnknownPayment(id);
    assert_eq!(shop.journal.dispatch(id).await, Err(unknown.clone()));
    assert_eq!(shop.journal.finish(id, end(State::Approved, euro(1))).await, Err(unknown.clone()));
    let incident = Incident { at: SystemTime::now(), message: "late".into(), said: None };
    assert_eq!(shop.journal.incident(Some(id), "counter", incident.clone()).await, Err(unknown));
    assert_eq!(shop.journal.incident(None, "counter", incident).await, Ok(()));
    let slip = Receipt { kind: ReceiptKind::Administration, text: "end of day".into() };
    assert_eq!(shop.journal.terminal_receipt("counter", slip).await, Ok(()));
    assert_eq!(shop.journal.payment(id).await, Ok(None));
    assert_eq!(shop.journal.history(id).await, Ok(None));
}

#[tokio::test]
async fn a_payment_for_which_the_terminal_is_free_is_dispatched_in_the_same_commit() {
    let disk = crate::bench::TestDisk::default();
    let shop = Shop::on(disk.clone());
    let mut request = Event::parse("guid=a").request();
    request.admission = Admission::Dispatch;
    let id = request.id;
    shop.journal.begin(request).await.unwrap();
    assert_eq!(disk.commits(), 1);
    assert_eq!(shop.journal.payment(id).await.unwrap().unwrap().state, State::Dispatched);
}
