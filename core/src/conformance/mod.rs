//! The suite that every driver passes.

pub mod bench;

pub use bench::{Behaviour, Bench};
