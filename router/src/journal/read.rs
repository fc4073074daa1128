//! How payments are found and read back.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use tillswitch_core::{Document, Money, Notes, PaymentId, Receipt, ReceiptKind};

use super::failure::Failure;
use super::value::{json_at, micros, minor_at, optional_json_at, time, word_at};
use super::{Filter, History, Incident, JournalError, Payment, State, TerminalKey, Transition};

/// How many payments a search gives that names no limit.
const DEFAULT_LIMIT: usize = 50;

/// A payment's row: its place in the file, and the payment.
pub(super) struct Found {
    pub(super) seq: i64,
    pub(super) payment: Payment,
}

/// The first payment for which `condition` holds.
pub(super) fn first(
    connection: &Connection,
    condition: &str,
    parameters: impl Params,
) -> Result<Option<Found>, Failure> {
    Ok(all(connection, condition, parameters)?.into_iter().next())
}

/// All payments for which `condition` (with its order and limit) holds.
pub(super) fn all(connection: &Connection, condition: &str, parameters: impl Params) -> Result<Vec<Found>, Failure> {
    let mut statement = connection.prepare_cached(&format!("SELECT * FROM payments WHERE {condition}"))?;
    let rows = statement.query_map(parameters, found)?.collect::<Result<Vec<Found>, _>>()?;
    rows.into_iter().map(|found| with_notes(connection, found)).collect()
}

/// How many payments there are.
pub(super) fn count(connection: &Connection) -> Result<u64, Failure> {
    let count: i64 = connection.query_row("SELECT count(*) FROM payments", [], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// The payment with this identity.
pub(super) fn payment(connection: &Connection, id: PaymentId) -> Result<Option<Found>, Failure> {
    first(connection, "id = ?1", [id.to_string()])
}

/// The payment in this place.
pub(super) fn at(connection: &Connection, seq: i64) -> Result<Found, Failure> {
    let found = first(connection, "seq = ?1", [seq])?;
    found.ok_or_else(|| JournalError::Damaged(format!("row {seq} of the payments is missing")).into())
}

/// Where a payment is, and how it stands, without reading all of it.
pub(super) fn standing(connection: &Connection, id: PaymentId) -> Result<(i64, State), Failure> {
    let mut statement = connection.prepare_cached("SELECT seq, state FROM payments WHERE id = ?1")?;
    let row = statement.query_row([id.to_string()], |row| Ok((row.get(0)?, word_at(row, "state")?))).optional()?;
    row.ok_or_else(|| JournalError::UnknownPayment(id).into())
}

/// Payments as `filter` says, newest first.
pub(super) fn search(connection: &Connection, filter: &Filter) -> Result<Vec<Payment>, Failure> {
    let mut conditions = vec!["TRUE"];
    let mut values: Vec<Value> = Vec::new();
    let mut narrow = |condition: &'static str, value: Option<Value>| {
        if let Some(value) = value {
            conditions.push(condition);
            values.push(value);
        }
    };
    narrow("state = ?", filter.state.map(|state| state.name().to_owned().into()));
    narrow("register = ?", filter.register.clone().map(Value::from));
    narrow("document_number = ?", filter.document.clone().map(Value::from));
    narrow("received_at >= ?", filter.since.map(|since| micros(since).into()));
    let limit = if filter.limit == 0 { DEFAULT_LIMIT } else { filter.limit };
    // The order in which they were received is that of the rows, but for an index SQLite has to be told so.
    let order = if filter.since.is_some() { "received_at DESC, seq DESC" } else { "seq DESC" };
    let condition = format!("{} ORDER BY {order} LIMIT {limit}", conditions.join(" AND "));
    Ok(payments(all(connection, &condition, rusqlite::params_from_iter(values))?))
}

/// All payments in doubt, oldest first.
pub(super) fn in_doubt(connection: &Connection) -> Result<Vec<Payment>, Failure> {
    Ok(payments(all(connection, "state = 'in_doubt' ORDER BY seq", [])?))
}

/// One payment with everything that was kept of it.
pub(super) fn history(connection: &Connection, id: PaymentId) -> Result<Option<History>, Failure> {
    let Some(Found { seq, payment }) = payment(connection, id)? else {
        return Ok(None);
    };
    let transitions = list(
        connection,
        "SELECT number, at, state, actor, evidence FROM transitions WHERE payment = ?1 ORDER BY number",
        seq,
        transition,
    )?;
    let receipts = list(connection, "SELECT kind, text FROM receipts WHERE payment = ?1 ORDER BY seq", seq, receipt)?;
    let incidents =
        list(connection, "SELECT at, message, said FROM incidents WHERE payment = ?1 ORDER BY seq", seq, incident)?;
    Ok(Some(History { payment, transitions, receipts, incidents }))
}

fn payments(found: Vec<Found>) -> Vec<Payment> {
    found.into_iter().map(|found| found.payment).collect()
}

fn list<T>(
    connection: &Connection,
    sql: &str,
    seq: i64,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, Failure> {
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_map([seq], read)?.collect::<Result<Vec<T>, _>>()?)
}

fn found(row: &Row<'_>) -> rusqlite::Result<Found> {
    let optional_time = |column: &str| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(time));
    let payment = Payment {
        id: word_at(row, "id")?,
        state: word_at(row, "state")?,
        verdict: optional_json_at(row, "verdict")?,
        operation: word_at(row, "operation")?,
        amount: Money::from_minor(minor_at(row, "amount_minor")?, word_at(row, "currency")?),
        tip_minor: tip(row)?,
        register: row.get("register")?,
        terminal: TerminalKey {
            name: row.get("terminal")?,
            driver: row.get("driver")?,
            identity: json_at(row, "terminal_identity")?,
        },
        document: document(row)?,
        original: id_at(row, "original")?,
        again_of: id_at(row, "again_of")?,
        accept_partial: row.get("accept_partial")?,
        received_at: time(row.get("received_at")?),
        dispatched_at: optional_time("dispatched_at")?,
        finished_at: optional_time("finished_at")?,
        notes: Notes::default(),
        recorded: optional_json_at(row, "recorded")?,
        waits_for_person: row.get("waits_for_person")?,
        answer_delivered: row.get("answer_delivered")?,
    };
    Ok(Found { seq: row.get("seq")?, payment })
}

fn tip(row: &Row<'_>) -> rusqlite::Result<Option<u64>> {
    let empty = row.get_ref("tip_minor")?.data_type() == rusqlite::types::Type::Null;
    if empty { Ok(None) } else { minor_at(row, "tip_minor").map(Some) }
}

fn document(row: &Row<'_>) -> rusqlite::Result<Option<Document>> {
    let number: Option<String> = row.get("document_number")?;
    let kind = row.get("document_type")?;
    Ok(number.map(|number| Document { number, kind }))
}

fn id_at(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<PaymentId>> {
    let empty = row.get_ref(column)?.data_type() == rusqlite::types::Type::Null;
    if empty { Ok(None) } else { word_at(row, column).map(Some) }
}

fn with_notes(connection: &Connection, mut found: Found) -> Result<Found, Failure> {
    let mut statement = connection.prepare_cached("SELECT key, value FROM notes WHERE payment = ?1")?;
    let pairs = statement.query_map(params![found.seq], |row| Ok((row.get(0)?, row.get(1)?)))?;
    found.payment.notes = pairs.collect::<Result<Vec<(String, String)>, _>>()?.into_iter().collect();
    Ok(found)
}

fn transition(row: &Row<'_>) -> rusqlite::Result<Transition> {
    Ok(Transition {
        number: row.get("number")?,
        at: time(row.get("at")?),
        state: word_at(row, "state")?,
        actor: row.get("actor")?,
        evidence: row.get("evidence")?,
    })
}

fn receipt(row: &Row<'_>) -> rusqlite::Result<Receipt> {
    Ok(Receipt { kind: receipt_kind(row)?, text: row.get("text")? })
}

/// A kind that this version does not know is still a slip.
fn receipt_kind(row: &Row<'_>) -> rusqlite::Result<ReceiptKind> {
    let kinds = [ReceiptKind::Customer, ReceiptKind::Merchant, ReceiptKind::Administration];
    let word: String = row.get("kind")?;
    Ok(kinds.into_iter().find(|kind| kind.name() == word).unwrap_or(ReceiptKind::Administration))
}

fn incident(row: &Row<'_>) -> rusqlite::Result<Incident> {
    Ok(Incident { at: time(row.get("at")?), message: row.get("message")?, said: optional_json_at(row, "said")? })
}
