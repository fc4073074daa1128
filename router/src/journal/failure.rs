//! What went wrong inside one job, and whether the whole journal has to stop for it.

use rusqlite::ErrorCode;

use super::JournalError;

/// Why a job has no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// The rules say no. Only this job is undone.
    Refused(JournalError),
    /// SQLite says no.
    Sql(rusqlite::Error),
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Failure {
        Failure::Refused(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Failure {
        Failure::Sql(error)
    }
}

/// What an error of SQLite means for the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// One statement was wrong; the transaction around it stands.
    Statement,
    /// Another program holds the file; nothing was written.
    Busy,
    /// The disk, or the file, or something unforeseen: what was written is unknown.
    Fatal,
}

/// Harmless is only what is listed as harmless.
pub(super) fn severity(error: &rusqlite::Error) -> Severity {
    match error.sqlite_error_code() {
        // Errors without a code come from rusqlite itself: a value that is not what its column promises.
        None | Some(ErrorCode::ConstraintViolation) => Severity::Statement,
        Some(ErrorCode::DatabaseBusy) => Severity::Busy,
        Some(_) => Severity::Fatal,
    }
}

/// The answer to one job whose statement was wrong, and to a read that failed.
pub(super) fn as_answer(error: &rusqlite::Error) -> JournalError {
    match severity(error) {
        Severity::Busy => JournalError::Overloaded,
        Severity::Statement | Severity::Fatal => JournalError::Damaged(error.to_string()),
    }
}
