//! Is a router that is killed at any call of a payment as honest as one that lives?

mod run;

use std::sync::Arc;

use crate::counter::Terminal;
use crate::places::{Class, all_classes};
use crate::scene::Scene;
use crate::shim::Shim;
use crate::side_by_side::side_by_side;
use crate::steps;
use crate::tally::Tally;

/// What this proof takes.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct KillsArgs {
    /// How many times the router is killed
    #[arg(long, default_value_t = 200)]
    runs: u64,
    /// The first seed; each run takes the next one
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this kind of terminal
    #[arg(long)]
    terminal: Option<Terminal>,
}

/// Runs it.
pub async fn run(args: KillsArgs) -> Tally {
    let mut tally = Tally::new("kills");
    let terminals = args.terminal.map_or(Terminal::ALL.to_vec(), |terminal| vec![terminal]);
    let shim = Arc::new(Shim::compile());
    let Some(classes) = all_classes(&Scene::all(&terminals), &shim, &mut tally).await else { return tally };
    tally.count("kinds of places", classes.len() as u64);
    let classes = Arc::new(classes);
    let runs = (args.seed..args.seed + args.runs).map(|seed| {
        let class = of_seed(&classes, seed);
        let terminal = args.terminal.map_or(String::new(), |terminal| format!(" --terminal {}", terminal.name()));
        let which = format!("kills --runs 1 --seed {seed}{terminal} ({})", class.scene);
        let shim = Arc::clone(&shim);
        (which, async move { run::one(seed, &class, &shim).await })
    });
    side_by_side(runs, &mut tally).await;
    if args.runs > 1 {
        terminals.iter().flat_map(|terminal| steps::required(*terminal)).for_each(|step| tally.require(&step));
    }
    tally
}

/// Neighbouring seeds meet neighbouring places, so that few runs meet all of them.
fn of_seed(classes: &[Class], seed: u64) -> Class {
    classes[(seed.wrapping_sub(1) % classes.len() as u64) as usize].clone()
}
