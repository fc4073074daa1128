//! Is a router that is killed at any call of a payment as honest as one that lives?

mod places;
mod run;
mod scene;
mod steps;

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::counter::Terminal;
use crate::shim::{Deed, Shim};
use crate::tally::Tally;
use places::{Class, classes};
use run::Shown;
use scene::{Scene, script};

/// How many counters are open at once. Most of the time each of them waits.
const AT_ONCE: usize = 16;

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
    let classes = match all_classes(&terminals, &shim).await {
        Ok(classes) => classes,
        Err(why) => {
            tally.ran("a payment that nothing disturbs", [why]);
            return tally;
        }
    };
    tally.count("kinds of places", classes.len() as u64);
    let mut runs = start_all(args, classes, &shim);
    while let Some(ended) = runs.join_next().await {
        let (which, shown) = ended.expect("a run does not panic");
        shown.met.iter().for_each(|met| tally.count(met, 1));
        tally.ran(&which, shown.violations);
    }
    if args.runs > 1 {
        terminals.iter().flat_map(|terminal| steps::required(*terminal)).for_each(|step| tally.require(&step));
    }
    tally
}

async fn all_classes(terminals: &[Terminal], shim: &Arc<Shim>) -> Result<Vec<Class>, String> {
    let mut found = Vec::new();
    for scene in Scene::all(terminals) {
        let calls = script(scene, shim).await.map_err(|why| format!("{scene}: {why}"))?;
        found.extend(classes(scene, &calls));
    }
    Ok(found)
}

fn start_all(args: KillsArgs, classes: Vec<Class>, shim: &Arc<Shim>) -> JoinSet<(String, Shown)> {
    let (classes, places) = (Arc::new(classes), Arc::new(Semaphore::new(AT_ONCE)));
    let mut runs = JoinSet::new();
    for seed in args.seed..args.seed + args.runs {
        let (classes, places, shim) = (Arc::clone(&classes), Arc::clone(&places), Arc::clone(shim));
        runs.spawn(async move {
            let _place = places.acquire().await.expect("nobody closes it");
            let class = &classes[(seed.wrapping_sub(1) % classes.len() as u64) as usize];
            let terminal = args.terminal.map_or(String::new(), |terminal| format!(" --terminal {}", terminal.name()));
            let which = format!("--runs 1 --seed {seed}{terminal} ({})", class.scene);
            (which, run::one(seed, class, Deed::Kill, &shim).await)
        });
    }
    runs
}
