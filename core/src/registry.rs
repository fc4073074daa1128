//! Which drivers there are, by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::driver::TerminalDriver;
use crate::settings::{Identity, Settings, SettingsError};

/// Makes the drivers of one kind of terminal.
///
/// # Contract
///
/// Nothing here talks to a terminal or waits.
pub trait DriverFactory: Send + Sync {
    /// The name in the configuration: `driver = "zvt-tcp"`.
    fn name(&self) -> &str;

    /// What it drives, in a few words for a list of drivers.
    fn description(&self) -> &str {
        ""
    }

    /// Which settings are secret. The router accepts `{ env = "…" }` and `{ file = "…" }` for them and never shows them.
    fn secrets(&self) -> &[&str] {
        &[]
    }

    /// Which terminal these settings mean, without secrets. Only asked of settings that [`build`](Self::build) accepts.
    fn identity(&self, settings: &Settings) -> Identity;

    /// Checks the settings and makes the driver, or returns **all** faults.
    fn build(&self, settings: &Settings) -> Result<Box<dyn TerminalDriver>, Vec<SettingsError>>;
}

/// The drivers that a program knows.
#[derive(Clone, Default)]
pub struct DriverRegistry(BTreeMap<String, Arc<dyn DriverFactory>>);

impl DriverRegistry {
    /// One without drivers.
    pub fn new() -> DriverRegistry {
        DriverRegistry::default()
    }

    /// Adds a driver; one of the same name is replaced, so that a program can put its own in the place of a built-in.
    pub fn register(&mut self, factory: impl DriverFactory + 'static) -> &mut DriverRegistry {
        self.0.insert(factory.name().to_owned(), Arc::new(factory));
        self
    }

    /// The driver with this name.
    pub fn get(&self, name: &str) -> Result<Arc<dyn DriverFactory>, UnknownDriver> {
        let found = self.0.get(name).cloned();
        found.ok_or_else(|| UnknownDriver { name: name.to_owned(), known: self.names().map(str::to_owned).collect() })
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl fmt::Debug for DriverRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// There is no driver with that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownDriver {
    /// The name that was asked for.
    pub name: String,
    /// The names that there are.
    pub known: Vec<String>,
}

impl fmt::Display for UnknownDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown driver `{}`, expected one of: {}", self.name, self.known.join(", "))
    }
}

impl std::error::Error for UnknownDriver {}
