//! Does a whole shop do what was promised? Real sockets, real files, simulated terminals; one module per theme.

mod harness;

mod admin;
mod bad_input;
mod guide;
mod operations;
mod queue;
mod repeats;
mod waiting;
