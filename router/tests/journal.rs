//! Whether the journal keeps what it promises, on real files.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "journal/bench.rs"]
mod bench;
#[path = "journal/commits.rs"]
mod commits;
#[path = "journal/identity.rs"]
mod identity;
#[path = "journal/life.rs"]
mod life;
#[path = "journal/machine.rs"]
mod machine;
#[path = "journal/model.rs"]
mod model;
#[path = "journal/old.rs"]
mod old;
#[path = "journal/old_written.rs"]
mod old_written;
#[path = "journal/opening.rs"]
mod opening;
#[path = "journal/real.rs"]
mod real;
#[path = "journal/retention.rs"]
mod retention;
