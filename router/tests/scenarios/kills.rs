//! Does a router that is killed at any moment find the truth when it starts again?
//!
//! The test binary starts itself again as the router ([`child_router`]) and kills it with SIGKILL. The simulated terminals run
//! in the parent, so that they survive as real ones do. Where the router is killed is never a matter of luck: its journal
//! stops at the wanted step ([`held`]), says so, and waits there for its end.

mod child;
mod held;
mod places;
mod queue;
mod shop;
mod signals;

use std::path::Path;
use std::sync::Arc;

use tillswitch::app::App;
use tillswitch::config::Config;
use tillswitch::journal::{Options, SqliteJournal};
use tokio::signal::unix::{SignalKind, signal};

use crate::harness::{drivers, patient};
use child::{CONFIG, HOLD};
use held::{Held, Hold};

/// No test of its own: the router, when the variable says so. Runs until it is killed, or until the parent is gone.
#[test]
fn child_router() {
    let Some(file) = std::env::var_os(CONFIG) else { return };
    let hold = std::env::var(HOLD).ok().map(|word| word.parse::<Hold>().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(route(file.as_ref(), hold));
}

async fn route(file: &Path, hold: Option<Hold>) {
    let _log = tillswitch::log::start();
    child::end_with_parent();
    let config = Config::load(file, &drivers(patient())).unwrap_or_else(|faults| panic!("{faults}"));
    let open = |config: &Config| -> Result<Arc<dyn tillswitch::journal::Journal>, _> {
        let journal = SqliteJournal::open(&config.journal.database, Options::default())?;
        Ok(match hold {
            Some(hold) => Arc::new(Held::new(journal, hold)),
            None => Arc::new(journal),
        })
    };
    let app = App::start_with(Arc::new(config), open).await.unwrap_or_else(|why| panic!("{why}"));
    child::say(&format!("ready {} {} {}", app.public, app.admin, app.recovered.in_doubt));
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    terminate.recv().await;
    app.stop().await;
}
