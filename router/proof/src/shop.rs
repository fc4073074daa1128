//! How is a shop made whose router is a process of its own, and what do its witnesses say in the end?

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tillswitch::journal::{Journal, JournalError, Options, SqliteJournal};
use tillswitch::oracle::{self, Told, Witnesses};
use tillswitch::shop::{Plan, Premises, Till, get};
use tokio::time::{Instant, sleep};

use crate::child::{Ended, Router, hurried};

/// How long payments in doubt may take until their terminals have told what they can.
const PATIENCE: Duration = Duration::from_secs(120);

/// Terminals and a till in this process, and the folder of a router that comes and goes.
pub struct Shop {
    /// The terminals, and the configuration file.
    pub premises: Premises,
    /// The till.
    pub till: Arc<Till>,
    /// What others than the till were told.
    heard: Mutex<Vec<Told>>,
    folder: TempDir,
}

impl Shop {
    /// Opens one in a folder of its own.
    pub async fn open(plan: impl FnOnce(&Path) -> Plan) -> Shop {
        let folder = tempfile::tempdir().expect("the system has room for a folder");
        let (public, admin) = own_addresses();
        let plan = plan(folder.path()).listen(public, admin);
        let premises = Premises::prepare(plan, folder.path()).await.expect("the terminals start");
        let till = Arc::new(Till::new(([127, 0, 0, 1], 0).into(), "/webhook/pos-payment"));
        Shop { premises, till, heard: Mutex::default(), folder }
    }

    /// Starts the router with these variables in its environment, and tells the till where it is.
    pub async fn start(&self, environment: &[(&'static str, String)]) -> Result<Router, Ended> {
        let (config, mut environment) = (self.premises.config.clone(), environment.to_vec());
        environment.push(hurried());
        let started = tokio::task::spawn_blocking(move || Router::start(&config, &environment)).await;
        let router = started.expect("starting does not panic")?;
        self.till.moved(router.public);
        Ok(router)
    }

    /// Where its router keeps what it knows.
    pub fn state_dir(&self) -> PathBuf {
        self.folder.path().join("tillswitch-state")
    }

    /// Its journal, while no router uses it.
    pub fn journal(&self) -> PathBuf {
        self.state_dir().join("payments.db")
    }

    /// Keeps what somebody else than the till was told.
    pub fn hear(&self, told: impl IntoIterator<Item = Told>) {
        self.heard.lock().expect("nothing panics while it holds the answers").extend(told);
    }

    /// Starts a router and kills it when this time is over, whatever it is at.
    pub async fn start_and_kill(&self, after: Duration) {
        let config = self.premises.config.clone();
        let started = tokio::task::spawn_blocking(move || Router::start_and_kill(&config, &[hurried()], after)).await;
        started.expect("starting does not panic");
    }

    /// What contradicts what, when the router is gone; recovering once more must change nothing.
    pub async fn violations(&self) -> Vec<String> {
        self.examine(&self.journal(), true).await.unwrap_or_else(|error| vec![format!("I7: unreadable: {error}")])
    }

    /// The same in the middle of it, when the router has just been killed: payments may be open, and the journal is left as it
    /// was found.
    pub async fn violations_so_far(&self) -> Vec<String> {
        let copy = tempfile::tempdir().expect("the system has room for a folder");
        let path = copy.path().join("payments.db");
        for suffix in ["", "-wal"] {
            let of = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
            // There is no log when the last router has closed its journal.
            let _ = std::fs::copy(of(&self.journal()), of(&path));
        }
        let found = self.examine(&path, false).await;
        let found = found.unwrap_or_else(|error| vec![format!("I7: unreadable: {error}")]);
        found.into_iter().filter(|violation| !violation.starts_with("I4")).collect()
    }

    async fn examine(&self, journal: &Path, ended: bool) -> Result<Vec<String>, JournalError> {
        // The answers first: whatever was told by now is in the journal by now, and the other way round it need not be.
        let mut told = self.till.told();
        told.extend(self.heard.lock().expect("nothing panics while it holds the answers").iter().cloned());
        let journal = SqliteJournal::open(journal, Options::default())?;
        let payments = oracle::payments(&journal).await?;
        let mut found = oracle::violations(&Witnesses { ledgers: self.premises.ledgers(), payments, told });
        if ended {
            found.extend(oracle::recovers_once(&journal).await?);
        }
        journal.close().await;
        Ok(found.iter().map(ToString::to_string).collect())
    }
}

/// Addresses of this machine that nobody else uses, with free ports. While a router is dead its port is free as well, and the
/// till that tries it must not reach another shop's router.
fn own_addresses() -> (SocketAddr, SocketAddr) {
    static SHOPS: AtomicU32 = AtomicU32::new(0);
    let shop = (std::process::id() * 64 + SHOPS.fetch_add(1, Ordering::SeqCst) % 64).to_be_bytes();
    let address = |block| SocketAddr::from(([127, block | (shop[1] % 64), shop[2], shop[3]], 0));
    (address(64), address(128))
}

/// Waits until no payment is in doubt that a terminal could still tell about. Those that never came so far otherwise.
pub async fn settled(router: &Router) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let open = payments(router, "state=in_doubt").await?;
        if open.iter().all(|payment| payment["waits_for_person"] == true) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("nobody found out in {PATIENCE:?} what became of {open:?}"));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// The payments that the admin API lists for a query.
pub async fn payments(router: &Router, query: &str) -> Result<Vec<Value>, String> {
    let path = format!("/api/v1/payments?limit=1000&{query}");
    let reply = get(router.admin, &path).await.map_err(|error| format!("the admin API: {error}"))?;
    reply.body["payments"].as_array().cloned().ok_or_else(|| format!("the admin API answers {}", reply.text))
}
