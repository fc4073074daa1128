//! Which registers and terminals are counted.

use std::sync::Arc;

use crate::config::{Config, RegisterConfig, TerminalConfig};

/// What of a configuration stands in labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The registers.
    pub tills: Vec<Till>,
    /// The terminals.
    pub terminals: Vec<Terminal>,
    /// How many keys the webhook accepts.
    pub signature_keys: usize,
}

/// A register as the metrics know it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Till {
    /// The register's name.
    pub register: String,
    /// Its terminal's name.
    pub terminal: String,
    /// The terminal's driver.
    pub driver: String,
}

/// A terminal as the metrics know it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Terminal {
    /// Its name.
    pub name: String,
    /// Its driver.
    pub driver: String,
}

impl From<&Config> for Layout {
    fn from(config: &Config) -> Layout {
        let driver = |terminal: &str| config.terminals.get(terminal).map_or("", |terminal| terminal.driver.as_str());
        let till = |register: &RegisterConfig| Till {
            register: register.name.clone(),
            terminal: register.terminal.clone(),
            driver: driver(&register.terminal).to_owned(),
        };
        let terminal =
            |terminal: &Arc<TerminalConfig>| Terminal { name: terminal.name.clone(), driver: terminal.driver.clone() };
        Layout {
            tills: config.registers.values().map(till).collect(),
            terminals: config.terminals.values().map(terminal).collect(),
            signature_keys: config.webhook.signature_keys.len(),
        }
    }
}
