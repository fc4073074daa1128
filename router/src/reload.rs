//! How a running router takes over a changed configuration file.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use serde_json::{Value, json};

use crate::config::Config;
use crate::life::Life;
use crate::metrics::Layout;
use crate::terminals::Terminals;

/// Reads the file again. Cheap to clone.
#[derive(Clone)]
pub struct Reloader {
    config: Arc<ArcSwap<Config>>,
    life: Life,
    terminals: Arc<Terminals>,
}

impl Reloader {
    /// One for the configuration in use.
    pub fn new(config: Arc<ArcSwap<Config>>, life: Life, terminals: Arc<Terminals>) -> Reloader {
        Reloader { config, life, terminals }
    }

    /// Validates the whole file and swaps it, or says what is wrong and changes nothing.
    ///
    /// An unchanged terminal keeps its task and connection. A changed one has its new settings after its running payment,
    /// one with a payment in doubt once that is settled. What needs a restart is named.
    pub async fn reload(&self) -> Result<Value, String> {
        let old = self.config.load_full();
        let new = match Config::load(&old.file, &old.registry) {
            Ok(new) => Arc::new(new),
            Err(faults) => {
                self.life.metrics.config_refused();
                return Err(faults.to_string());
            }
        };
        // The series come first: whatever is counted from now on is counted.
        self.life.metrics.configure(&Layout::from(&*new));
        let terminals =
            self.terminals.reload(&new.terminals).await.inspect_err(|_| self.life.metrics.config_refused())?;
        self.config.store(new.clone());
        self.life.metrics.config_read(SystemTime::now());
        let restart = needs_restart(&old, &new);
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
        ("server.max_connections", old.server.max_connections == new.server.max_connections),
        ("server.shutdown_timeout", old.server.shutdown_timeout == new.server.shutdown_timeout),
        ("admin.listen", old.admin.listen == new.admin.listen),
        ("webhook.path", old.webhook.path == new.webhook.path),
        ("webhook.signature_keys", old.webhook.signature_keys.len() == new.webhook.signature_keys.len()),
        ("state_dir", old.state_dir == new.state_dir),
        ("min_free", old.min_free == new.min_free),
        ("journal.url", old.journal.database == new.journal.database),
        ("journal.retention", old.journal.retention == new.journal.retention),
    ];
    compared.into_iter().filter(|(_, equal)| !equal).map(|(key, _)| key).collect()
}
