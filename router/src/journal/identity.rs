//! Whether a request was here before: the same event twice, the same document twice.

use rusqlite::{Connection, OptionalExtension, Row, params};
use tillswitch_core::{Operation, Outcome};

use super::failure::Failure;
use super::read::{self, Found};
use super::value::{micros, minor, word_at};
use super::writer::Store;
use super::{Admission, Begun, JournalError, NewPayment, Payment, State, Verdict, insert};
use crate::code::Code;

/// Looks whether the request is a repeat, and writes it down if it is not.
pub(super) fn begin(store: &mut Store, new: &NewPayment) -> Result<Begun, Failure> {
    match recognise(&store.connection, new)? {
        Some(Known::Event { event, renamed }) => return same_event(store, new, &event, renamed),
        Some(Known::Conflicting(first)) => return refuse(store, new, Code::ConflictingRepeat, *first),
        None => {}
    }
    if let Admission::TooOld(text) = &new.admission {
        store.require_room()?;
        insert::too_old(&store.connection, new, text)?;
        return Ok(Begun::New { original: None });
    }
    match judge(&store.connection, new)? {
        Judgement::New(original) => admit(store, new, original),
        Judgement::Joins(first) => join(store, new, first),
        Judgement::Refused(code, first) => refuse(store, new, code, first),
    }
}

/// What [`begin`] would say of an event that was here before. Reads only.
pub(super) fn known(connection: &Connection, new: &NewPayment) -> Result<Option<Begun>, Failure> {
    match recognise(connection, new)? {
        Some(Known::Event { event, .. }) => answer_again(connection, new, &event).map(Some),
        Some(Known::Conflicting(first)) => {
            let first = Box::new(first.payment);
            Ok(Some(Begun::Conflict { code: Code::ConflictingRepeat, first, repeated: false }))
        }
        None => Ok(None),
    }
}

fn same_event(store: &Store, new: &NewPayment, event: &Event, renamed: bool) -> Result<Begun, Failure> {
    // The guid was not known yet: from now on it stands for this content.
    if renamed {
        insert::event(&store.connection, new, event.payment, event.refused)?;
    }
    answer_again(&store.connection, new, event)
}

/// What the document rules say about an event that was never here.
enum Judgement {
    /// A new payment; a refund may have an original.
    New(Option<Found>),
    /// It gets the answer of this payment.
    Joins(Found),
    /// It must not start because of this payment.
    Refused(Code, Found),
}

fn admit(store: &mut Store, new: &NewPayment, original: Option<Found>) -> Result<Begun, Failure> {
    let original = original.map(|found| Box::new(found.payment));
    if new.admission != Admission::Refuse {
        store.require_room()?;
        insert::payment(&store.connection, new, original.as_ref().map(|payment| payment.id))?;
    }
    Ok(Begun::New { original })
}

fn join(store: &Store, new: &NewPayment, first: Found) -> Result<Begun, Failure> {
    // An event that cannot be recognised again leaves nothing to recognise it by.
    if new.keys.guid().is_some() || new.keys.has_created_at() {
        insert::event(&store.connection, new, first.seq, None)?;
    }
    Ok(Begun::SameDocument(Box::new(first.payment)))
}

fn refuse(store: &mut Store, new: &NewPayment, code: Code, first: Found) -> Result<Begun, Failure> {
    // A person reads the refusal and may confirm under the same key; an event that comes again knows nothing new.
    if !new.keys.is_of_operator() {
        store.require_room()?;
        insert::event(&store.connection, new, first.seq, Some(code))?;
    }
    Ok(Begun::Conflict { code, first: Box::new(first.payment), repeated: false })
}

/// An event that was here before.
struct Event {
    content: String,
    payment: i64,
    refused: Option<Code>,
}

/// How an event is known.
enum Known {
    /// It is this one. `renamed`: its guid is not in the store yet.
    Event { event: Event, renamed: bool },
    /// Its guid stands for other content.
    Conflicting(Box<Found>),
}

fn recognise(connection: &Connection, new: &NewPayment) -> Result<Option<Known>, Failure> {
    let (guid, content) = (new.keys.guid(), new.keys.content());
    if let Some(guid) = guid
        && let Some(event) = by_guid(connection, guid, content)?
    {
        if event.content == content {
            return Ok(Some(Known::Event { event, renamed: false }));
        }
        return Ok(Some(Known::Conflicting(Box::new(read::at(connection, event.payment)?))));
    }
    if !new.keys.has_created_at() {
        return Ok(None);
    }
    let event = by_content(connection, content, guid)?;
    Ok(event.map(|event| Known::Event { event, renamed: guid.is_some() }))
}

/// The event with this guid: that with the same content if there is one. One that was refused as a conflicting repeat
/// says nothing about other contents.
fn by_guid(connection: &Connection, guid: &str, content: &str) -> Result<Option<Event>, Failure> {
    // Two queries in one, so that each uses its own index; the names of a compound's rows cannot order it directly.
    let sql = "SELECT * FROM (
                   SELECT content, payment, refused FROM events
                   WHERE guid = ?1 AND refused IS NOT 'conflicting-repeat'
                   UNION ALL
                   SELECT content, payment, refused FROM events
                   WHERE guid = ?1 AND content = ?2 AND refused = 'conflicting-repeat')
               ORDER BY content = ?2 DESC, refused IS NOT NULL LIMIT 1";
    Ok(connection.prepare_cached(sql)?.query_row([guid, content], event).optional()?)
}

/// The event with this content where at most one of the two has a guid. One that is a payment comes before one that was
/// refused, and the newest first: its payment is the latest truth about the content.
fn by_content(connection: &Connection, content: &str, guid: Option<&str>) -> Result<Option<Event>, Failure> {
    let sql = "SELECT content, payment, refused FROM events
               WHERE content = ?1 AND has_created_at AND (guid IS NULL OR ?2 IS NULL)
               ORDER BY refused IS NOT NULL, seq DESC LIMIT 1";
    Ok(connection.prepare_cached(sql)?.query_row(params![content, guid], event).optional()?)
}

fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let refused: Option<String> = row.get("refused")?;
    let refused = refused.map(|_| word_at(row, "refused")).transpose()?;
    Ok(Event { content: row.get("content")?, payment: row.get("payment")?, refused })
}

/// The answer to an event that comes again, as its payment stands now.
fn answer_again(connection: &Connection, new: &NewPayment, event: &Event) -> Result<Begun, Failure> {
    let first = Box::new(read::at(connection, event.payment)?.payment);
    Ok(match event.refused {
        None => Begun::SameEvent(first),
        Some(Code::DocumentInDoubt) if is_its_success(new, &first) => Begun::SameEvent(first),
        Some(code) => Begun::Conflict { code, first, repeated: true },
    })
}

/// At another register the document may be another one: telling "paid" there would be false.
fn is_its_success(new: &NewPayment, first: &Payment) -> bool {
    first.state == State::Approved && first.register == new.register && first.amount == new.amount
}

fn judge(connection: &Connection, new: &NewPayment) -> Result<Judgement, Failure> {
    if let Some(first) = in_doubt(connection, new)? {
        return Ok(Judgement::Refused(Code::DocumentInDoubt, first));
    }
    let repeat = match same_document(candidates(connection, new)?, new) {
        // A person may confirm a repeat, but not that more goes back than was paid: that is what they must read.
        Some(suspected @ Judgement::Refused(..)) if new.keys.is_of_operator() => Some(suspected),
        Some(judgement) => return Ok(judgement),
        None => None,
    };
    match original(connection, new)? {
        Some(sale) if exceeds(connection, new, &sale.payment)? => Ok(Judgement::Refused(Code::OverRefund, sale)),
        original => Ok(repeat.unwrap_or(Judgement::New(original))),
    }
}

/// A payment in doubt of the same document and operation; without a number, of the same register, operation and amount.
fn in_doubt(connection: &Connection, new: &NewPayment) -> Result<Option<Found>, Failure> {
    let (amount, currency) = (minor(new.amount.minor()), new.amount.currency().code());
    let operation = new.operation.name();
    let Some(document) = &new.document else {
        // The plus keeps SQLite from walking through all payments of the register.
        let condition =
            "state = 'in_doubt' AND +register = ?1 AND operation = ?2 AND amount_minor = ?3 AND currency = ?4
                         ORDER BY seq DESC LIMIT 1";
        return read::first(connection, condition, params![new.register, operation, amount, currency]);
    };
    // The one that this event may turn out to repeat comes first.
    let condition = "state = 'in_doubt' AND document_number = ?1 AND document_type IS ?2 AND operation = ?3
                     ORDER BY register = ?4 AND amount_minor = ?5 AND currency = ?6 DESC, seq DESC LIMIT 1";
    let parameters = params![document.number, document.kind, operation, new.register, amount, currency];
    read::first(connection, condition, parameters)
}

/// Payments of the same document that are running, approved within the window, or approved here without anybody having
/// read it; the newest first.
fn candidates(connection: &Connection, new: &NewPayment) -> Result<Vec<Found>, Failure> {
    const OPEN: &str = "operation = ?1 AND amount_minor = ?2 AND currency = ?3
        AND (state IN ('received', 'dispatched')
             OR state = 'approved' AND (finished_at >= ?4 OR register = ?5 AND NOT answer_delivered))";
    let (amount, currency) = (minor(new.amount.minor()), new.amount.currency().code());
    let since =
        micros(new.received_at).saturating_sub(i64::try_from(new.repeat.window.as_micros()).unwrap_or(i64::MAX));
    let operation = new.operation.name();
    match &new.document {
        Some(document) => {
            let condition = format!("document_number = ?6 AND document_type IS ?7 AND {OPEN} ORDER BY seq DESC");
            let parameters = params![operation, amount, currency, since, new.register, document.number, document.kind];
            read::all(connection, &condition, parameters)
        }
        None if new.keys.guid().is_none() && !new.keys.has_created_at() => {
            let condition = format!("document_number IS NULL AND register = ?5 AND {OPEN} ORDER BY seq DESC");
            read::all(connection, &condition, params![operation, amount, currency, since, new.register])
        }
        None => Ok(Vec::new()),
    }
}

fn same_document(candidates: Vec<Found>, new: &NewPayment) -> Option<Judgement> {
    let (here, elsewhere): (Vec<Found>, Vec<Found>) =
        candidates.into_iter().partition(|found| found.payment.register == new.register);
    let (approved, running): (Vec<Found>, Vec<Found>) =
        here.into_iter().partition(|found| found.payment.state == State::Approved);
    let (delivered, unread): (Vec<Found>, Vec<Found>) =
        approved.into_iter().partition(|found| found.payment.answer_delivered);
    // A person's request under a new key is no redelivery whose answer got lost: it does not join what has ended.
    let (joined, repeated) = if new.keys.is_of_operator() { (Vec::new(), unread) } else { (unread, Vec::new()) };
    if let Some(first) = running.into_iter().chain(joined).next() {
        return Some(Judgement::Joins(first));
    }
    if new.repeat.confirmed {
        return None;
    }
    let suspected = delivered.into_iter().filter(|_| !new.repeat.allow);
    suspected.chain(repeated).chain(elsewhere).next().map(|first| Judgement::Refused(Code::SuspectedRepeat, first))
}

/// What a refund or a reversal undoes: the payment that was named, or the one approved sale of a refund's document, at the
/// same register and in the same currency.
fn original(connection: &Connection, new: &NewPayment) -> Result<Option<Found>, Failure> {
    if let Some(id) = new.undoes {
        return read::payment(connection, id)?.ok_or_else(|| JournalError::UnknownPayment(id).into()).map(Some);
    }
    let (Operation::Refund, Some(document)) = (new.operation, &new.document) else {
        return Ok(None);
    };
    let condition = "document_number = ?1 AND operation = 'sale' AND state = 'approved' AND register = ?2
                     AND currency = ?3 LIMIT 2";
    let parameters = params![document.number, new.register, new.amount.currency().code()];
    let mut sales = read::all(connection, condition, parameters)?;
    Ok(if sales.len() == 1 { sales.pop() } else { None })
}

/// Whether more would go back than was paid, counting what may still go back.
fn exceeds(connection: &Connection, new: &NewPayment, sale: &Payment) -> Result<bool, Failure> {
    let condition = "original = ?1 AND operation IN ('refund', 'reversal')
                     AND state IN ('received', 'dispatched', 'in_doubt', 'approved')";
    let linked = read::all(connection, condition, [sale.id.to_string()])?;
    let back: u128 = linked.iter().map(|found| moved(&found.payment)).sum();
    Ok(back + u128::from(new.amount.minor()) > moved(sale))
}

/// What the terminal booked; where it has not said so, what was asked.
fn moved(payment: &Payment) -> u128 {
    match &payment.verdict {
        Some(Verdict::Said { outcome: Outcome::Approved(approval) }) => approval.amount.minor().into(),
        _ => payment.amount.minor().into(),
    }
}
