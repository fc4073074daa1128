//! What is configured: the file as types, every fault of it at once.
//!
//! | file | question |
//! |---|---|
//! | `fault` | what is wrong, where, and how that is shown |
//! | `scope` | how one table is read without ignoring anything |
//! | `value` | how single values are written |
//! | `secret` | how secrets are read and kept out of everything that is shown |
//! | `https`, `certificate`, `der` | which certificate the public listener shows, and until when |
//! | `sections` | listeners, webhook, answers, journal |
//! | `terminals` | a terminal's table, and what of it is the driver's |
//! | `address` | which addresses mean the same place |
//! | `registers` | which register an event belongs to |
//!
//! Deliberately absent: serde. It stops at the first fault, and a cashier's Saturday is too short for one fault at a time.

mod address;
mod certificate;
mod der;
mod fault;
mod https;
mod registers;
mod scope;
mod secret;
mod sections;
mod terminals;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tillswitch_core::DriverRegistry;
use toml::de::DeTable;

pub use address::resolved;
pub use certificate::{Certificate, Unfit};
pub use fault::{Fault, Faults};
pub use https::Https;
pub use registers::{RegisterConfig, UnknownRegister};
pub use sections::{Admin, Answers, Journal, Repeat, Server, Tip, Webhook};
pub use terminals::{TerminalConfig, WISH_AFTER};

use fault::Report;
use scope::Scope;

/// A whole configuration: resolved, checked, with absolute paths and secrets that were read.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that it was read from, absolute.
    pub file: PathBuf,
    /// Where the router keeps what must survive, absolute.
    pub state_dir: PathBuf,
    /// How many bytes must be free there before a new payment starts.
    pub min_free: u64,
    /// The listener that faces the point of sale.
    pub server: Server,
    /// The listener for page, API and metrics.
    pub admin: Admin,
    /// What is accepted from the point of sale.
    pub webhook: Webhook,
    /// The HTTP status per result.
    pub answers: Answers,
    /// Where payments are kept.
    pub journal: Journal,
    /// The terminals, by name.
    pub terminals: BTreeMap<String, Arc<TerminalConfig>>,
    /// The registers, by name. Each names a terminal that there is.
    pub registers: BTreeMap<String, RegisterConfig>,
    /// The drivers that it was read with, to read it again.
    pub registry: DriverRegistry,
    /// What works and deserves a look, to be shown at start and by `tillswitch check`.
    pub warnings: Vec<Fault>,
}

impl Config {
    /// Reads a file, or returns every fault in it.
    pub fn load(path: &Path, registry: &DriverRegistry) -> Result<Config, Faults> {
        let bytes = std::fs::read(path).map_err(|error| Faults::unreadable(path, &error))?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Config::parse(text, path, registry),
            Err(error) => Err(not_utf8(path, &bytes, error.valid_up_to())),
        }
    }

    /// Reads a text as if it stood in that file.
    pub fn parse(text: &str, path: &Path, registry: &DriverRegistry) -> Result<Config, Faults> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let report = Report::new(text);
        secret::hide_likely(&report, table.get_ref());
        secret::user_info(text).for_each(|span| report.hide(span));
        if let Some(error) = errors.first() {
            return Err(syntax(path, text, report, error));
        }
        let file = std::path::absolute(path).map_err(|error| Faults::unreadable(path, &error))?;
        let config = read(&report, table.get_ref(), file, registry);
        let (faults, warnings) = report.finish();
        match faults.is_empty() {
            true => Ok(Config { warnings, ..config }),
            false => Err(Faults { file: path.to_owned(), faults }),
        }
    }
}

fn read<'a>(report: &'a Report<'a>, table: &'a DeTable<'a>, file: PathBuf, registry: &DriverRegistry) -> Config {
    let base_dir = file.parent().unwrap_or(Path::new("/")).to_owned();
    let mut root = Scope::new(report, Some(table), 0..0, "");
    let state_dir = root.text("state_dir", "write a folder: state_dir = \"tillswitch-state\"");
    let state_dir = base_dir.join(state_dir.as_deref().unwrap_or("tillswitch-state"));
    check_folder(&root, &state_dir);
    let min_free = root.size("min_free", 64 << 20);
    let server = sections::server(&mut root, &base_dir);
    let admin = sections::admin(&mut root, &base_dir, &server);
    let (mut webhook, answers) = sections::webhook(&mut root, &base_dir, &server);
    let journal = sections::journal(&mut root, &state_dir, &webhook);
    let (terminals, names) = terminals::read(&mut root, &base_dir, registry);
    let registers = registers::read(&mut root, &names);
    default_register(&mut root, &mut webhook, &registers);
    unused_terminals(&root, &names, &registers);
    root.finish();
    let warnings = Vec::new();
    Config {
        file,
        state_dir,
        min_free,
        server,
        admin,
        webhook,
        answers,
        journal,
        terminals,
        registers,
        registry: registry.clone(),
        warnings,
    }
}

/// A folder that cannot be made is better known now than when the shop opens.
fn check_folder(root: &Scope<'_>, state_dir: &Path) {
    if let Some(file) = state_dir.ancestors().find(|path| path.exists()).filter(|path| !path.is_dir()) {
        let message = format!("{} is no folder", file.display());
        root.fault("state_dir", message, "name a folder that is there or can be made");
    }
}

/// The only register is the default one; a named one must be there.
fn default_register(root: &mut Scope<'_>, webhook: &mut Webhook, registers: &BTreeMap<String, RegisterConfig>) {
    let names = || registers.keys().map(String::as_str);
    match &webhook.default_register {
        None if registers.len() == 1 => webhook.default_register = registers.keys().next().cloned(),
        Some(name) if !registers.contains_key(name) && !registers.is_empty() => {
            let place = root.locate(["webhook", "default_register"]);
            let message = format!("there is no register `{name}`");
            root.report.fault(place, "webhook.default_register", message, value::suggest(name, names()));
        }
        _ => {}
    }
}

fn unused_terminals(root: &Scope<'_>, terminals: &BTreeSet<String>, registers: &BTreeMap<String, RegisterConfig>) {
    for name in terminals {
        if !registers.values().any(|register| register.terminal == *name) {
            let path = format!("terminals.{name}");
            let place = root.locate(["terminals", name.as_str()]);
            let remedy = format!("write terminal = \"{name}\" in a register, or remove it");
            root.report.warning(place, &path, format!("no register uses terminal `{name}`"), remedy);
        }
    }
}

/// One fault for a text that is no TOML: what follows the first error is guesswork.
fn syntax(path: &Path, text: &str, report: Report<'_>, error: &toml::de::Error) -> Faults {
    let span = error.span().unwrap_or(0..0);
    // Of a fault behind all that is written, the last line that is written is shown.
    let start = fault::line_start(text, span.start.min(text.trim_end().len()));
    let end = text[start..].find('\n').map_or(text.len(), |length| start + length);
    let line = &text[start..end];
    if let Some(equals) = line.find('=').filter(|_| secret::may_hold_secret(line)) {
        report.hide(start + equals + 1..end);
    }
    let remedy = match error.message() {
        message if message.contains("duplicate") => "a table or key stands in the file once: rename or remove one",
        _ => "texts stand in quotes, tables in [brackets], one `key = value` per line",
    };
    report.fault(span, "", format!("this is no TOML: {}", error.message()), remedy);
    Faults { file: path.to_owned(), faults: report.finish().0 }
}

fn not_utf8(path: &Path, bytes: &[u8], valid: usize) -> Faults {
    let text = String::from_utf8_lossy(bytes);
    let report = Report::new(&text);
    report.hide(valid..text.len());
    report.fault(valid..valid, "", "this is no UTF-8 text", "save the file as UTF-8");
    Faults { file: path.to_owned(), faults: report.finish().0 }
}
