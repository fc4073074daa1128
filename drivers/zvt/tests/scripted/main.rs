//! What the driver makes of a terminal that says, word by word, what a test tells it to.

#![allow(clippy::unwrap_used)]

mod doubt;
mod introduction;
mod late;
mod line;
mod questions;
mod script;
