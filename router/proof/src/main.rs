//! Which proof is run?
//!
//! | file | question |
//! |---|---|
//! | [`child`] | how is a router started, heard and killed as a process of its own |
//! | [`tally`] | what did the runs show, and how much does that prove |
//! | [`random`] | which numbers does a seed stand for |
//!
//! Every proof compares what terminals booked, what the journal holds and what the till was told
//! ([`tillswitch::oracle`]). `cargo run --release -p tillswitch-proof -- PROOF --runs N --seed S` repeats it; a short version of
//! each is a test.

mod child;
mod random;
mod tally;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use tally::Tally;

/// Breaks things under a Tillswitch and compares what everybody says afterwards
#[derive(Debug, Parser)]
#[command(name = "tillswitch-proof", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    proof: Proof,
}

#[derive(Debug, Subcommand)]
enum Proof {}

fn main() -> ExitCode {
    if child::is_router() {
        return tillswitch::main(tillswitch::drivers::builtin());
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(run(Arguments::parse().proof)).report()
}

async fn run(proof: Proof) -> Tally {
    match proof {}
}
