//! Is anything that was told, or that a terminal was asked for, gone when the power was cut?

mod moment;

use std::sync::Arc;

use crate::counter::Terminal;
use crate::places::all_classes;
use crate::scene::Scene;
use crate::shim::Shim;
use crate::side_by_side::side_by_side;
use crate::tally::Tally;
use moment::Moment;

/// What this proof takes.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct PowerLossArgs {
    /// How many times the power is cut
    #[arg(long, default_value_t = 60)]
    runs: u64,
    /// The first seed; each run takes the next one
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs it.
pub async fn run(args: PowerLossArgs) -> Tally {
    let mut tally = Tally::new("power-loss");
    let shim = Arc::new(Shim::compile());
    let Some(classes) = all_classes(&Scene::all(&Terminal::ALL), &shim, &mut tally).await else { return tally };
    let classes = Arc::new(classes);
    let runs = (args.seed..args.seed + args.runs).map(|seed| {
        let moment = Moment::of_seed(seed, &classes);
        let which = format!("power-loss --runs 1 --seed {seed} ({moment})");
        let shim = Arc::clone(&shim);
        (which, async move { moment::one(seed, moment, &shim).await })
    });
    side_by_side(runs, &mut tally).await;
    if args.runs > 1 {
        Moment::required().iter().for_each(|moment| tally.require(moment));
    }
    tally
}
