//! How a payment that was begun moves on, and what is kept of it on the way.

use rusqlite::{Connection, OptionalExtension, params};
use tillswitch_core::{Outcome, PaymentId, Receipt, wall_clock};

use super::failure::Failure;
use super::value::{json, micros};
use super::{Actor, End, Incident, JournalError, Recovered, State, Verdict, read};
use crate::code::Code;

/// What the history says of a dispatch.
pub(super) const DISPATCHED: &str = "given to the terminal's driver";

/// `received` -> `dispatched`.
pub(super) fn dispatch(connection: &Connection, id: PaymentId) -> Result<(), Failure> {
    let (seq, found) = read::standing(connection, id)?;
    require(id, found, State::Dispatched)?;
    let now = micros(wall_clock::now());
    let sql = "UPDATE payments SET state = 'dispatched', dispatched_at = ?2 WHERE seq = ?1";
    connection.prepare_cached(sql)?.execute(params![seq, now])?;
    let actor = first_actor(connection, seq)?;
    transition(connection, seq, State::Dispatched, &actor, DISPATCHED, now)
}

/// Moves a payment into a final state or into `in_doubt`.
pub(super) fn finish(connection: &Connection, id: PaymentId, end: &End) -> Result<(), Failure> {
    let (seq, found) = read::standing(connection, id)?;
    require(id, found, end.state)?;
    if !end.state.is_final() && end.state != State::InDoubt {
        return Err(JournalError::WrongState { id, found, wanted: end.state }.into());
    }
    // A payment that was given to a terminal keeps its keys, whatever the caller says: it must not start again.
    if end.release_keys && found == State::Received {
        release_keys(connection, seq)?;
    }
    settle(connection, seq, end)
}

/// Marks a payment in doubt as one that a person decides.
pub(super) fn leave_to_person(connection: &Connection, id: PaymentId, evidence: String) -> Result<(), Failure> {
    let (seq, found) = read::standing(connection, id)?;
    if found != State::InDoubt {
        return Err(JournalError::WrongState { id, found, wanted: State::InDoubt }.into());
    }
    connection.prepare_cached("UPDATE payments SET waits_for_person = 1 WHERE seq = ?1")?.execute([seq])?;
    let terminal: String = connection
        .prepare_cached("SELECT terminal FROM payments WHERE seq = ?1")?
        .query_row([seq], |row| row.get(0))?;
    let incident = Incident { at: wall_clock::now(), message: evidence, said: None };
    insert_incident(connection, Some(seq), &terminal, &incident)
}

/// Keeps notes; the last value of a key stands.
pub(super) fn remember(connection: &Connection, id: PaymentId, notes: &[(String, String)]) -> Result<(), Failure> {
    let seq = dispatched(connection, id)?;
    let sql = "INSERT INTO notes (payment, key, value) VALUES (?1, ?2, ?3)
               ON CONFLICT DO UPDATE SET value = excluded.value";
    let mut statement = connection.prepare_cached(sql)?;
    for (key, value) in notes {
        statement.execute(params![seq, key, value])?;
    }
    Ok(())
}

/// Keeps what the terminal said; the last one stands.
pub(super) fn record(connection: &Connection, id: PaymentId, said: &Outcome) -> Result<(), Failure> {
    let seq = dispatched(connection, id)?;
    let sql = "UPDATE payments SET recorded = ?2 WHERE seq = ?1";
    connection.prepare_cached(sql)?.execute(params![seq, json(said)])?;
    Ok(())
}

/// Keeps a slip of a payment.
pub(super) fn receipt(connection: &Connection, id: PaymentId, receipt: &Receipt) -> Result<(), Failure> {
    let seq = dispatched(connection, id)?;
    let sql = "INSERT INTO receipts (payment, terminal, at, kind, text)
               SELECT seq, terminal, ?2, ?3, ?4 FROM payments WHERE seq = ?1";
    let now = micros(wall_clock::now());
    connection.prepare_cached(sql)?.execute(params![seq, now, receipt.kind.name(), receipt.text])?;
    Ok(())
}

/// Keeps a slip of a terminal's own work.
pub(super) fn terminal_receipt(connection: &Connection, terminal: &str, receipt: &Receipt) -> Result<(), Failure> {
    let sql = "INSERT INTO receipts (terminal, at, kind, text) VALUES (?1, ?2, ?3, ?4)";
    let now = micros(wall_clock::now());
    connection.prepare_cached(sql)?.execute(params![terminal, now, receipt.kind.name(), receipt.text])?;
    Ok(())
}

/// Keeps what contradicts a payment, or one that is not known.
pub(super) fn incident(
    connection: &Connection,
    id: Option<PaymentId>,
    terminal: &str,
    incident: &Incident,
) -> Result<(), Failure> {
    let seq = id.map(|id| read::standing(connection, id)).transpose()?.map(|(seq, _)| seq);
    insert_incident(connection, seq, terminal, incident)
}

/// Notes that an answer with this payment's approval was written to its end.
pub(super) fn answer_delivered(connection: &Connection, id: PaymentId) -> Result<(), rusqlite::Error> {
    // An answer of a running payment says "pending": only an approval that was read ends the joining.
    let sql = "UPDATE payments SET answer_delivered = 1 WHERE id = ?1 AND state = 'approved'";
    connection.prepare_cached(sql)?.execute([id.to_string()]).map(|_| ())
}

/// What a start does with the payments that the last run left open. Twice is the same as once.
pub(super) fn recover(connection: &Connection) -> Result<Recovered, Failure> {
    let mut recovered = Recovered::default();
    for (seq, state) in open_payments(connection)? {
        if state == State::Dispatched {
            recovered.in_doubt += 1;
            let message = "the router stopped while the terminal was at it; what became of it is not known yet";
            settle(connection, seq, &recovery(State::InDoubt, Code::InDoubt, message))?;
        } else {
            recovered.expired += 1;
            release_keys(connection, seq)?;
            let message = "the router stopped before the terminal was free; nothing was sent, send it again";
            settle(connection, seq, &recovery(State::Expired, Code::ShuttingDown, message))?;
        }
    }
    Ok(recovered)
}

/// Appends a line to a payment's history.
pub(super) fn transition(
    connection: &Connection,
    seq: i64,
    state: State,
    actor: &str,
    evidence: &str,
    at: i64,
) -> Result<(), Failure> {
    let sql = "INSERT INTO transitions (payment, number, at, state, actor, evidence)
               SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5 FROM transitions WHERE payment = ?1";
    connection.prepare_cached(sql)?.execute(params![seq, at, state.name(), actor, evidence])?;
    Ok(())
}

/// Writes a state with its reason, and the line of the history.
pub(super) fn settle(connection: &Connection, seq: i64, end: &End) -> Result<(), Failure> {
    let at = micros(end.at);
    let sql = "UPDATE payments SET state = ?2, verdict = ?3, finished_at = ?4, waits_for_person = 0 WHERE seq = ?1";
    connection.prepare_cached(sql)?.execute(params![seq, end.state.name(), json(&end.verdict), at])?;
    transition(connection, seq, end.state, &end.actor.to_string(), &end.evidence, at)
}

fn recovery(state: State, code: Code, message: &str) -> End {
    End {
        state,
        verdict: Verdict::because(code, message),
        actor: Actor::Recovery,
        evidence: message.to_owned(),
        at: wall_clock::now(),
        release_keys: state == State::Expired,
    }
}

fn require(id: PaymentId, found: State, wanted: State) -> Result<(), JournalError> {
    if found.may_become(wanted) { Ok(()) } else { Err(JournalError::WrongState { id, found, wanted }) }
}

/// Evidence is kept of every payment that was given to a terminal, in whichever state: it is never lost.
fn dispatched(connection: &Connection, id: PaymentId) -> Result<i64, Failure> {
    let (seq, found) = read::standing(connection, id)?;
    if found == State::Received {
        return Err(JournalError::WrongState { id, found, wanted: State::Dispatched }.into());
    }
    Ok(seq)
}

/// Whoever asked for the payment also has it sent.
fn first_actor(connection: &Connection, seq: i64) -> Result<String, Failure> {
    let sql = "SELECT actor FROM transitions WHERE payment = ?1 AND number = 1";
    let actor = connection.prepare_cached(sql)?.query_row([seq], |row| row.get(0)).optional()?;
    Ok(actor.unwrap_or_else(|| Actor::Webhook.to_string()))
}

fn insert_incident(
    connection: &Connection,
    seq: Option<i64>,
    terminal: &str,
    incident: &Incident,
) -> Result<(), Failure> {
    let sql = "INSERT INTO incidents (payment, terminal, at, message, said) VALUES (?1, ?2, ?3, ?4, ?5)";
    let said = incident.said.as_ref().map(json);
    connection.prepare_cached(sql)?.execute(params![seq, terminal, micros(incident.at), incident.message, said])?;
    Ok(())
}

/// The request may come again as a new one. What was refused because of it stays refused.
fn release_keys(connection: &Connection, seq: i64) -> Result<(), Failure> {
    connection.prepare_cached("DELETE FROM events WHERE payment = ?1 AND refused IS NULL")?.execute([seq])?;
    Ok(())
}

fn open_payments(connection: &Connection) -> Result<Vec<(i64, State)>, Failure> {
    let sql = "SELECT seq, state FROM payments WHERE state IN ('received', 'dispatched') ORDER BY seq";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, super::value::word_at(row, "state")?)))?;
    Ok(rows.collect::<Result<Vec<_>, _>>()?)
}
