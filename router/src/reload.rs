//! How a running router takes over a changed configuration file.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::config::Config;
use crate::life::Life;
use crate::metrics::Layout;
use crate::server::tls::Shown;
use crate::terminals::Terminals;

/// Reads the file again. Cheap to clone.
#[derive(Clone)]
pub struct Reloader {
    /// What the router was started with: what needs a restart is still as it is there.
    started: Arc<Config>,
    config: Arc<ArcSwap<Config>>,
    life: Life,
    terminals: Arc<Terminals>,
    /// The certificate that clients are shown, if it is ours to show.
    shown: Option<Arc<Shown>>,
    /// One at a time, from the reading of the file to its end.
    turn: Arc<Mutex<()>>,
}

impl Reloader {
    /// One for the configuration in use. All who reload share it.
    pub fn new(
        config: Arc<ArcSwap<Config>>,
        life: Life,
        terminals: Arc<Terminals>,
        shown: Option<Arc<Shown>>,
    ) -> Reloader {
        Reloader { started: config.load_full(), config, life, terminals, shown, turn: Arc::default() }
    }

    /// Validates the whole file and swaps it, or says what is wrong and changes nothing.
    ///
    /// An unchanged terminal keeps its task and connection. A changed one has its new settings after its running payment,
    /// one with a payment in doubt once that is settled. What needs a restart is named. It runs to its end in a task of its
    /// own, whether or not anybody waits for the answer.
    pub async fn reload(&self) -> Result<Value, String> {
        let reloader = self.clone();
        let ended = tokio::spawn(async move {
            let _turn = reloader.turn.lock().await;
            reloader.change().await.inspect_err(|_| reloader.life.metrics.config_refused())
        });
        ended.await.unwrap_or_else(|_| Err("the router failed while it reloaded; restart it".to_owned()))
    }

    async fn change(&self) -> Result<Value, String> {
        let new = Config::load(&self.started.file, &self.started.registry).map_err(|faults| faults.to_string())?;
        for warning in &new.warnings {
            let (line, key, remedy) = (warning.line, &warning.path, &warning.remedy);
            tracing::warn!(file = %new.file.display(), line, key, remedy, "{}", warning.message);
        }
        let new = Arc::new(new);
        self.terminals.check(&new.terminals)?;
        // The series come first: whatever is counted from now on is counted.
        self.life.metrics.configure(&Layout::from(&*new));
        let terminals = self.terminals.reload(&new.terminals, || self.config.store(new.clone())).await?;
        if let (Some(shown), Some(https)) = (&self.shown, &new.server.tls) {
            shown.show(&https.certificate);
        }
        self.life.metrics.config_read(SystemTime::now());
        let restart = needs_restart(&self.started, &new);
        tracing::info!(?terminals, needs_restart = ?restart, "the configuration was read again");
        Ok(json!({
            "status": "reloaded", "added": terminals.added, "changed": terminals.changed, "removed": terminals.removed,
            "waiting": terminals.waiting, "needs_restart": restart,
        }))
    }
}

/// Keys whose change a reload does not take over.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let compared = [
        ("server.listen", old.server.listen == new.server.listen),
        ("server.tls", old.server.tls.is_some() == new.server.tls.is_some()),
        ("server.max_connections", old.server.max_connections == new.server.max_connections),
        ("server.shutdown_timeout", old.server.shutdown_timeout == new.server.shutdown_timeout),
        ("admin.listen", old.admin.listen == new.admin.listen),
        ("webhook.path", old.webhook.path == new.webhook.path),
        ("state_dir", old.state_dir == new.state_dir),
        ("min_free", old.min_free == new.min_free),
        ("journal.url", old.journal.database == new.journal.database),
        ("journal.retention", old.journal.retention == new.journal.retention),
    ];
    compared.into_iter().filter(|(_, equal)| !equal).map(|(key, _)| key).collect()
}
