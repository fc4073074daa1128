//! What is old enough to be forgotten, and how it goes.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, params};

use super::Forgotten;
use super::failure::Failure;
use super::value::micros;
use super::writer::Store;

/// How many payments one job forgets, and how many slips and incidents of terminals. Whatever is asked of the journal
/// meanwhile waits behind one job at most.
const AT_ONCE: usize = 100;
/// A day, in microseconds.
const DAY: i64 = 86_400 * 1_000_000;
/// A silence that is longer than this may be a clock that has jumped. Whoever closes for longer is believed a week later.
const SILENCE: i64 = 30 * DAY;
/// On how many days payments must have come after a silence until it is believed.
const BELIEVED_AFTER: usize = 7;
/// What is old, in the order of reception.
const OLD: &str = "SELECT seq FROM forgettable WHERE seq < ?1 ORDER BY seq LIMIT ?2";

/// Where the young begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Horizon {
    before: i64,
    first_young: i64,
}

/// Where the young begin if everything younger than `retention` stays. `None`: nothing was received yet.
pub(super) fn horizon(
    connection: &Connection,
    retention: Duration,
    now: SystemTime,
) -> Result<Option<Horizon>, Failure> {
    let Some(newest) = newest_believed(connection)? else { return Ok(None) };
    let retention = i64::try_from(retention.as_micros()).unwrap_or(i64::MAX);
    let before = micros(now).min(newest).saturating_sub(retention);
    // What was received after something young is young, even if the clock said 1970 then.
    let sql = "SELECT min(seq) FROM payments WHERE received_at >= ?1";
    let first_young = connection.query_row(sql, [before], |row| row.get(0))?;
    Ok(Some(Horizon { before, first_young }))
}

/// The newest reception that is believed. A clock that jumps years ahead makes everything old, and the next payment would bear
/// it out. So what follows a silence counts only when payments have come on several days since.
fn newest_believed(connection: &Connection) -> Result<Option<i64>, Failure> {
    let mut newest = newest_until(connection, i64::MAX)?;
    let (mut day, mut days) = (newest, 1);
    while days < BELIEVED_AFTER
        && let Some(at) = day
        && let Some(earlier) = newest_until(connection, at.saturating_sub(DAY))?
    {
        days += 1;
        if at.saturating_sub(earlier) > SILENCE {
            (newest, days) = (Some(earlier), 1);
        }
        day = Some(earlier);
    }
    Ok(newest)
}

fn newest_until(connection: &Connection, until: i64) -> Result<Option<i64>, Failure> {
    let sql = "SELECT max(received_at) FROM payments WHERE received_at <= ?1";
    Ok(connection.prepare_cached(sql)?.query_row([until], |row| row.get(0))?)
}

/// Forgets some of what is old; nothing is left of it when this returns an empty count. The triggers of the schema check
/// every row once more.
pub(super) fn forget(store: &mut Store, horizon: Horizon) -> Result<Forgotten, Failure> {
    // The room that is left belongs to the payments that run.
    store.require_room()?;
    let connection = &store.connection;
    permit(connection, Some(horizon.before))?;
    let forgotten = Forgotten {
        payments: payments(connection, horizon.first_young)?,
        of_terminals: of_terminals(connection, "receipts")? + of_terminals(connection, "incidents")?,
    };
    permit(connection, None)?;
    store.extra_jobs += forgotten.payments + forgotten.of_terminals;
    Ok(forgotten)
}

/// Says what may be deleted until this transaction ends or the permission is taken back.
fn permit(connection: &Connection, before: Option<i64>) -> Result<(), Failure> {
    connection.prepare_cached("UPDATE retention SET forgets_before = ?1")?.execute([before])?;
    Ok(())
}

fn payments(connection: &Connection, first_young: i64) -> Result<usize, Failure> {
    let old = old_payments(connection, first_young)?;
    for seq in &old {
        for table in ["transitions", "notes", "events", "receipts", "incidents"] {
            let sql = format!("DELETE FROM {table} WHERE payment = ?1");
            connection.prepare_cached(&sql)?.execute([seq])?;
        }
        connection.prepare_cached("DELETE FROM payments WHERE seq = ?1")?.execute([seq])?;
    }
    Ok(old.len())
}

fn old_payments(connection: &Connection, first_young: i64) -> Result<Vec<i64>, Failure> {
    let mut statement = connection.prepare_cached(OLD)?;
    let rows = statement.query_map(params![first_young, AT_ONCE as i64], |row| row.get(0))?;
    Ok(rows.collect::<Result<Vec<i64>, _>>()?)
}

/// What belongs to no payment goes by its own time.
fn of_terminals(connection: &Connection, table: &str) -> Result<usize, Failure> {
    Ok(connection.prepare_cached(&of_terminals_sql(table))?.execute([AT_ONCE as i64])?)
}

fn of_terminals_sql(table: &str) -> String {
    format!(
        "DELETE FROM {table} WHERE seq IN (
             SELECT {table}.seq FROM retention CROSS JOIN {table}
             WHERE only_one = 1 AND payment IS NULL AND at < forgets_before ORDER BY at LIMIT ?1)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::schema;

    #[test]
    fn a_job_looks_at_no_more_than_it_forgets() {
        let folder = tempfile::tempdir().unwrap();
        let connection = schema::open(&folder.path().join("payments.db")).unwrap();
        for sql in [OLD.to_owned(), of_terminals_sql("receipts"), of_terminals_sql("incidents")] {
            let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let mut rows = explained.raw_query();
            let mut plan = Vec::new();
            while let Some(row) = rows.next().unwrap() {
                plan.push(row.get::<_, String>("detail").unwrap());
            }
            // Sorting means that all that is old is looked at, scanning that everything is.
            let idle = |line: &String| line.contains("TEMP B-TREE") || line.starts_with("SCAN");
            assert!(!plan.is_empty() && !plan.iter().any(idle), "{sql}: {plan:#?}");
        }
    }
}
