//! How a payment and the keys of an event are written down.

use rusqlite::{Connection, named_params, params};
use tillswitch_core::PaymentId;

use super::failure::Failure;
use super::value::{json, micros, minor};
use super::{Actor, Admission, End, Keys, NewPayment, State, Verdict, change};
use crate::code::Code;

/// A new payment with its keys: `received`, and `dispatched` at once if the terminal is free.
pub(super) fn payment(connection: &Connection, new: &NewPayment, original: Option<PaymentId>) -> Result<(), Failure> {
    let dispatched = new.admission == Admission::Dispatch;
    let seq = row(connection, new, original, dispatched)?;
    event(connection, new, seq, None)?;
    if dispatched {
        let (actor, at) = (actor(&new.keys).to_string(), micros(new.received_at));
        change::transition(connection, seq, State::Dispatched, &actor, change::DISPATCHED, at)?;
    }
    Ok(())
}

/// A request that came too late: written down as `expired`, recognised when it comes again.
pub(super) fn too_old(connection: &Connection, new: &NewPayment, text: &str) -> Result<(), Failure> {
    let seq = row(connection, new, None, false)?;
    event(connection, new, seq, None)?;
    let end = End {
        state: State::Expired,
        verdict: Verdict::because(Code::TooOld, text),
        actor: actor(&new.keys),
        evidence: text.to_owned(),
        at: new.received_at,
        release_keys: false,
    };
    change::settle(connection, seq, &end)
}

/// The keys of an event: of a payment, or of what was refused because of it.
pub(super) fn event(
    connection: &Connection,
    new: &NewPayment,
    payment: i64,
    refused: Option<Code>,
) -> Result<(), Failure> {
    let sql =
        "INSERT INTO events (guid, content, has_created_at, payment, refused, register, amount_minor, currency, at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    connection.prepare_cached(sql)?.execute(params![
        new.keys.guid(),
        new.keys.content(),
        new.keys.has_created_at(),
        payment,
        refused.map(Code::name),
        new.register,
        minor(new.amount.minor()),
        new.amount.currency().code(),
        micros(new.received_at),
    ])?;
    Ok(())
}

/// The payment's row and the first line of its history.
fn row(
    connection: &Connection,
    new: &NewPayment,
    original: Option<PaymentId>,
    dispatched: bool,
) -> Result<i64, Failure> {
    let state = if dispatched { State::Dispatched } else { State::Received };
    let at = micros(new.received_at);
    let sql = "INSERT INTO payments (id, state, operation, amount_minor, currency, tip_minor, register, terminal, driver,
                   terminal_identity, document_number, document_type, original, again_of, accept_partial, received_at,
                   dispatched_at)
               VALUES (:id, :state, :operation, :amount_minor, :currency, :tip_minor, :register, :terminal, :driver,
                   :terminal_identity, :document_number, :document_type, :original, :again_of, :accept_partial, :received_at,
                   :dispatched_at)";
    connection.prepare_cached(sql)?.execute(named_params! {
        ":id": new.id.to_string(),
        ":state": state.name(),
        ":operation": new.operation.name(),
        ":amount_minor": minor(new.amount.minor()),
        ":currency": new.amount.currency().code(),
        ":tip_minor": new.tip_minor.map(minor),
        ":register": new.register,
        ":terminal": new.terminal.name,
        ":driver": new.terminal.driver,
        ":terminal_identity": json(&new.terminal.identity),
        ":document_number": new.document.as_ref().map(|document| &document.number),
        ":document_type": new.document.as_ref().and_then(|document| document.kind.as_ref()),
        ":original": original.map(|id| id.to_string()),
        ":again_of": new.again_of.map(|id| id.to_string()),
        ":accept_partial": new.accept_partial,
        ":received_at": at,
        ":dispatched_at": dispatched.then_some(at),
    })?;
    let seq = connection.last_insert_rowid();
    change::transition(connection, seq, State::Received, &actor(&new.keys).to_string(), &new.evidence, at)?;
    Ok(seq)
}

fn actor(keys: &Keys) -> Actor {
    match keys {
        Keys::Event { .. } => Actor::Webhook,
        Keys::Operator { name, .. } => Actor::Operator(name.clone()),
    }
}
