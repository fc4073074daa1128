//! Does a whole shop do what was promised? Real sockets, real files, simulated terminals; one module per theme.

// Clippy takes the functions that tests share for something else than tests.
#![allow(clippy::unwrap_used)]

mod harness;

mod admin;
mod bad_input;
mod chores;
mod desk;
mod encrypted;
mod guide;
mod https;
mod kills;
mod late;
mod matrix;
mod metrics;
mod operations;
mod overdue;
mod queue;
mod rates;
mod recovery;
mod reload;
mod repeats;
mod secrets;
mod serial;
mod waiting;
