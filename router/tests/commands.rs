//! Do the commands for a running router do what they say, and do they exit as they promise?
#![allow(clippy::unwrap_used)] // a panic is the report of a test

#[path = "commands/desk.rs"]
mod desk;
#[path = "commands/doubt.rs"]
mod doubt;
#[path = "commands/interrupts.rs"]
mod interrupts;
#[path = "commands/looks.rs"]
mod looks;
#[path = "commands/money.rs"]
mod money;
#[path = "commands/terminals.rs"]
mod terminals;
#[path = "commands/unavailable.rs"]
mod unavailable;
#[path = "commands/zvt.rs"]
mod zvt;
