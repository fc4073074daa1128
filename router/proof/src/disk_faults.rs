//! What becomes of a payment, and of the next ones, when a call on the disk fails?

mod case;
mod full;
mod moment;

use std::sync::Arc;

use crate::counter::Terminal;
use crate::places::counted;
use crate::scene::Scene;
use crate::shim::Shim;
use crate::side_by_side::side_by_side;
use crate::tally::Tally;
use case::{Case, required};
use full::Full;

/// What this proof takes.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct DiskFaultsArgs {
    /// Every call at every kind of terminal, one after the other: some four hundred runs
    #[arg(long)]
    every: bool,
    /// Which calls are tried without --every, and what else is different
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only the case with this number
    #[arg(long)]
    case: Option<usize>,
}

/// Runs it.
pub async fn run(args: DiskFaultsArgs) -> Tally {
    let mut tally = Tally::new("disk-faults");
    let shim = Arc::new(Shim::compile());
    let terminals: &[Terminal] = if args.every { &Terminal::ALL } else { &[Terminal::ZvtTcp] };
    let scenes: Vec<Scene> =
        terminals.iter().map(|&terminal| Scene { terminal, declined: false, waits: false }).collect();
    let Some(scripts) = counted(&scenes, &shim, &mut tally).await else { return tally };
    let all = Case::all(&scripts, args.every, args.seed);
    let wanted = all.into_iter().enumerate().filter(|(number, _)| args.case.is_none_or(|case| case == *number));
    let runs = wanted.map(|(number, case)| {
        let every = if args.every { " --every" } else { "" };
        let which = format!("disk-faults{every} --seed {} --case {number} ({case})", args.seed);
        let (shim, seed) = (Arc::clone(&shim), args.seed.wrapping_add(number as u64));
        (which, async move { moment::one(seed, case, &shim).await })
    });
    side_by_side(runs, &mut tally).await;
    if args.case.is_none() {
        fill_up(args.seed, &shim, &mut tally).await;
        required().iter().for_each(|what| tally.require(what));
    }
    tally
}

/// The same without a shim: a disk that is full.
async fn fill_up(seed: u64, shim: &Shim, tally: &mut Tally) {
    for full in [Full::Almost, Full::Quite] {
        match full::one(seed, full, shim).await {
            Some(shown) => {
                shown.met.iter().for_each(|met| tally.count(met, 1));
                tally.ran(&format!("disk-faults --seed {seed} ({full})"), shown.violations);
            }
            None => tally.count("left out, because nobody here may mount a small file system", 1),
        }
    }
}
