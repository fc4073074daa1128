//! How reads get past the writer: a connection and a thread of their own.

use std::sync::mpsc::Receiver;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::JournalError;
use super::failure::{self, Failure};

/// What is sent to the reader.
pub(super) enum Query {
    /// Something to read; it answers by itself.
    Read(Box<dyn FnOnce(&Connection) + Send>),
    /// Close, and say so.
    Close(oneshot::Sender<()>),
}

/// A read, and where its result will arrive.
pub(super) fn query<T: Send + 'static>(
    read: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
) -> (Query, oneshot::Receiver<Result<T, JournalError>>) {
    let (reply, answer) = oneshot::channel();
    let run = move |connection: &Connection| {
        let _ = reply.send(in_snapshot(connection, read));
    };
    (Query::Read(Box::new(run)), answer)
}

/// Reads until it is closed or everybody who could ask has gone.
pub(super) fn run(connection: Connection, queries: &Receiver<Query>) {
    while let Ok(query) = queries.recv() {
        match query {
            Query::Read(read) => read(&connection),
            Query::Close(closer) => {
                drop(connection);
                let _ = closer.send(());
                return;
            }
        }
    }
}

/// One transaction, so that a payment and its history are of the same moment.
fn in_snapshot<T>(
    connection: &Connection,
    read: impl FnOnce(&Connection) -> Result<T, Failure>,
) -> Result<T, JournalError> {
    let transaction = connection.unchecked_transaction().map_err(|error| failure::as_answer(&error))?;
    match read(&transaction) {
        Ok(value) => Ok(value),
        Err(Failure::Refused(error)) => Err(error),
        Err(Failure::Sql(error)) => Err(failure::as_answer(&error)),
    }
}
