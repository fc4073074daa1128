//! How are many runs made on a few cores, although most of the time each of them waits?

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::aftermath::Shown;
use crate::tally::Tally;

/// How many shops are open at once.
const AT_ONCE: usize = 16;
/// How many violations of one run are told.
const TOLD: usize = 4;

/// Runs all of them, each with a word for how it is repeated alone.
pub async fn side_by_side<F>(runs: impl Iterator<Item = (String, F)>, tally: &mut Tally)
where
    F: Future<Output = Shown> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut open = JoinSet::new();
    for (which, run) in runs {
        let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes it");
        open.spawn(async move {
            let shown = run.await;
            drop(place);
            (which, shown)
        });
        while let Some(ended) = open.try_join_next() {
            enter(ended.expect("a run does not panic"), tally);
        }
    }
    while let Some(ended) = open.join_next().await {
        enter(ended.expect("a run does not panic"), tally);
    }
}

fn enter((which, shown): (String, Shown), tally: &mut Tally) {
    let Shown { met, mut violations } = shown;
    met.iter().for_each(|met| tally.count(met, 1));
    // A journal that lost everything contradicts everybody.
    let more = violations.len().saturating_sub(TOLD);
    violations.truncate(TOLD);
    violations.extend((more > 0).then(|| format!("and {more} more")));
    tally.ran(&which, violations);
}
