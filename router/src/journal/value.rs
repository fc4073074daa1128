//! How the journal's values look in SQLite's columns.

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::types::{FromSqlError, Type, Value, ValueRef};
use rusqlite::{Row, RowIndex};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Microseconds since 1970.
pub(super) fn micros(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
    }
}

/// The time that so many microseconds mean.
pub(super) fn time(micros: i64) -> SystemTime {
    let distance = Duration::from_micros(micros.unsigned_abs());
    if micros < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

/// Minor units: an integer, or decimal text where 64 signed bits do not hold it. Each amount has one form only, so that
/// equality in SQL is equality of amounts.
pub(super) fn minor(minor: u64) -> Value {
    i64::try_from(minor).map_or_else(|_| Value::Text(minor.to_string()), Value::Integer)
}

/// Reads what [`minor`] wrote.
pub(super) fn minor_at<I: RowIndex + Copy>(row: &Row<'_>, column: I) -> rusqlite::Result<u64> {
    let value = row.get_ref(column)?;
    let read = match value {
        ValueRef::Integer(minor) => u64::try_from(minor).ok(),
        ValueRef::Text(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => None,
    };
    read.ok_or_else(|| unreadable(value.data_type(), "not an amount of minor units"))
}

/// Text of something that always has one: the journal's own types have neither maps with odd keys nor failing parts.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("the journal's types serialise to JSON")
}

/// Reads a column of JSON.
pub(super) fn json_at<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let value = row.get_ref(column)?;
    serde_json::from_str(value.as_str()?).map_err(|error| unreadable(Type::Text, &format!("{column}: {error}")))
}

/// Reads a column of JSON that may be empty.
pub(super) fn optional_json_at<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => json_at(row, column).map(Some),
    }
}

/// Reads a column that holds one of our words.
pub(super) fn word_at<T: FromStr>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let value = row.get_ref(column)?;
    let text = value.as_str()?;
    text.parse().map_err(|_| unreadable(Type::Text, &format!("{column}: unknown word {text:?}")))
}

fn unreadable(kind: Type, why: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, kind, Box::new(FromSqlError::Other(why.into())))
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn an_amount_never_wraps_around() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (a ANY) STRICT").unwrap();
        for amount in [0, 1, 2590, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
            connection.execute("DELETE FROM t", []).unwrap();
            connection.execute("INSERT INTO t VALUES (?1)", [minor(amount)]).unwrap();
            let read = connection.query_row("SELECT a FROM t WHERE a = ?1", [minor(amount)], |row| minor_at(row, 0));
            assert_eq!(read, Ok(amount));
        }
        let negative = connection.query_row("SELECT -1", [], |row| minor_at(row, 0));
        assert!(negative.is_err());
    }

    #[test]
    fn a_time_survives_its_microseconds() {
        for instant in [0, 1, -1, 1_764_000_000_123_456, -62_000_000_000_000] {
            assert_eq!(micros(time(instant)), instant);
        }
    }
}
