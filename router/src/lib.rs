//! The router: from a webhook to a terminal and back.
pub mod cli;
pub mod code;
pub mod config;
pub mod journal;
pub mod server;
