//! Which proof is run?
//!
//! | file | question |
//! |---|---|
//! | [`kills`] | is a router that is killed at any call of a payment as honest as one that lives |
//! | [`power_loss`] | is anything that was told, or that a terminal was asked for, gone when the power was cut |
//! | [`disk_faults`] | what becomes of payments when a call on the disk fails |
//! | [`scene`], [`places`], [`steps`] | in which payment, at which of its calls, and what is that in the words of the design |
//! | [`aftermath`] | what happens after a router has died, and who contradicts whom then |
//! | [`counter`] | what is a shop whose router is a process of its own, and whose calls are steered |
//! | [`shim`] | how are a router's calls counted, and how does one of them end differently |
//! | [`child`] | how is a router started, heard and killed as a process of its own |
//! | [`side_by_side`] | how are many runs made on a few cores |
//! | [`tally`] | what did the runs show, and how much does that prove |
//! | [`random`] | which numbers does a seed stand for |
//! | [`shop`] | how is a shop made whose router is a process of its own |
//! | [`sender`] | how does anybody send a request from an address of their own |
//! | [`load`] | how do several registers keep a router busy |
//! | [`usage`] | what does a process use |
//! | [`random_kills`] | does everything agree after kills at random moments under load |
//! | [`soak`] | does a long day leave anything behind |
//! | [`clocks`] | what happens when the clock on the wall jumps |
//! | [`flood`] | does the good till get through while others do their worst |
//! | [`storm`] | is one event, sent a thousand times at once, one payment |
//! | [`sim`] | does a whole shop keep its promises on days that a seed makes up |
//!
//! Every proof compares what terminals booked, what the journal holds and what the till was told
//! ([`tillswitch::oracle`]). `cargo run --release -p tillswitch-proof -- PROOF --runs N --seed S` repeats it; a short version of
//! each is a test.

mod aftermath;
mod child;
mod clocks;
mod counter;
mod disk_faults;
mod flood;
mod kills;
mod load;
mod places;
mod power_loss;
mod random;
mod random_kills;
mod scene;
mod sender;
mod shim;
mod shop;
mod side_by_side;
mod sim;
mod soak;
mod steps;
mod storm;
mod tally;
mod usage;

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
enum Proof {
    /// Kills the router at every call of a payment
    Kills(kills::KillsArgs),
    /// One event a thousand times at the same moment, in ten ways, also with a kill in the middle
    Storm(storm::Rounds),
    /// Kills the router at random moments, with five registers at work
    RandomKills(random_kills::Kills),
    /// A shop's long day in a few minutes, with kills and lost terminals
    Soak(soak::Day),
    /// Ten thousand webhooks of strangers and as many idle and slow connections, while one good till pays
    Flood(flood::Flood),
    /// The clock on the wall jumps or stands still, at every step of a payment
    Clocks(clocks::Clocks),
    /// Days of a whole shop in one process over paused time, made up by seeds
    Simulate(sim::Days),
    /// Cuts the power: what was not synced is gone
    PowerLoss(power_loss::PowerLossArgs),
    /// Lets the Nth call on the disk fail
    DiskFaults(disk_faults::DiskFaultsArgs),
}

fn main() -> ExitCode {
    if child::is_router() {
        return tillswitch::main(child::drivers());
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(run(Arguments::parse().proof)).report()
}

async fn run(proof: Proof) -> Tally {
    match proof {
        Proof::Kills(args) => kills::run(args).await,
        Proof::Storm(rounds) => storm::run(rounds).await,
        Proof::RandomKills(kills) => random_kills::run(kills).await,
        Proof::Soak(day) => soak::run(day).await,
        Proof::Flood(flood) => flood::run(flood).await,
        Proof::Clocks(clocks) => clocks::run(clocks).await,
        Proof::Simulate(days) => sim::run(&days),
        Proof::PowerLoss(args) => power_loss::run(args).await,
        Proof::DiskFaults(args) => disk_faults::run(args).await,
    }
}
