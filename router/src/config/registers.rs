//! Which register an event belongs to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use toml::de::DeValue;

use super::Config;
use super::scope::Scope;
use super::value::{integer, is_name, kind, suggest};

/// One till.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterConfig {
    /// Its name, which is also compared with `project.number`.
    pub name: String,
    /// The projects that it stands for, as text.
    pub project_ids: Vec<String>,
    /// The name of its terminal.
    pub terminal: String,
}

/// No register belongs to the project of an event. Its text is meant for whoever sends the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownRegister {
    /// What the event named; `None` when it named no project and there is no `default_register`.
    pub project: Option<String>,
    /// The line to paste into the file.
    pub line: String,
    /// The table to paste it into, such as `[registers.POS-01]`.
    pub table: String,
}

impl fmt::Display for UnknownRegister {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.project {
            Some(project) => write!(f, "no register belongs to project {project}")?,
            None => f.write_str("the event names no project, and there is more than one register")?,
        }
        write!(f, "; add to {} in the configuration: {}", self.table, self.line)
    }
}

impl std::error::Error for UnknownRegister {}

impl Config {
    /// The register of an event.
    ///
    /// `project.id` decides. `project.number` is compared with the registers' names only when no register lists the id. An
    /// event without a project belongs to `default_register`; one with an unknown project belongs to nobody, because the
    /// wrong terminal would ask the wrong customer.
    pub fn find_register(
        &self,
        project_id: Option<&str>,
        project_number: Option<&str>,
    ) -> Result<&RegisterConfig, UnknownRegister> {
        let by_id = project_id.and_then(|id| self.registers.values().find(|register| register.lists(id)));
        let by_number = || project_number.and_then(|number| self.registers.get(number));
        if let Some(register) = by_id.or_else(by_number) {
            return Ok(register);
        }
        let default = self.webhook.default_register.as_ref().and_then(|name| self.registers.get(name));
        match (project_id, project_number, default) {
            (None, None, Some(register)) => Ok(register),
            _ => Err(self.unknown_register(project_id, project_number)),
        }
    }

    fn unknown_register(&self, id: Option<&str>, number: Option<&str>) -> UnknownRegister {
        let first = self.registers.keys().next().map_or("POS-01", String::as_str);
        let only = self.registers.len() == 1;
        let name = number.or(only.then_some(first)).map_or("NAME".to_owned(), pasteable);
        let Some(project) = id.or(number) else {
            let line = format!("default_register = {}", text(first));
            return UnknownRegister { project: None, line, table: "[webhook]".to_owned() };
        };
        // Which of several terminals stands beside that till only a person knows; `check` refuses the placeholder.
        let mut terminals = self.terminals.keys().map(String::as_str);
        let terminal = terminals.next().filter(|_| terminals.next().is_none()).unwrap_or("NAME");
        let line = match id {
            Some(id) => format!("project_ids = [{}]", text(id)),
            None => format!("terminal = {}", text(terminal)),
        };
        UnknownRegister { project: Some(text(project)), line, table: format!("[registers.{name}]") }
    }
}

impl RegisterConfig {
    fn lists(&self, id: &str) -> bool {
        self.project_ids.iter().any(|listed| listed == id)
    }
}

/// A text from outside as TOML writes it, without anything that could steer a screen.
fn text(text: &str) -> String {
    let clean: String = text.chars().filter(|c| !c.is_control()).take(100).collect();
    toml::Value::String(clean).to_string()
}

/// A name as it stands in a table's header.
fn pasteable(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if bare { name.to_owned() } else { text(name) }
}

/// Reads `[registers]`. `terminals` are the names that the file has, whether or not their tables are right.
pub(super) fn read(root: &mut Scope<'_>, terminals: &BTreeSet<String>) -> BTreeMap<String, RegisterConfig> {
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    let mut registers = BTreeMap::new();
    let sections = root.sections("registers");
    if sections.is_empty() {
        let remedy = "add [registers.POS-01] with project_ids and terminal; `tillswitch init` shows how";
        root.fault("registers", "there is no register: no event would belong anywhere", remedy);
    }
    for (name, mut scope) in sections {
        check_name(&scope, name);
        let project_ids = project_ids(&mut scope, name, &mut owners);
        let terminal = terminal(&mut scope, terminals);
        scope.finish();
        let terminal = terminal.unwrap_or_default();
        registers.insert(name.to_owned(), RegisterConfig { name: name.to_owned(), project_ids, terminal });
    }
    registers
}

/// Faults a name that cannot stand in an address, a metric or a log.
pub(super) fn check_name(scope: &Scope<'_>, name: &str) {
    if !is_name(name) {
        scope.fault("", format!("{name:?} cannot be a name"), "use 1 to 64 characters, no slash, no space at the ends");
    }
}

fn terminal(scope: &mut Scope<'_>, terminals: &BTreeSet<String>) -> Option<String> {
    let terminal = scope.required_text("terminal", "name the register's terminal: terminal = \"counter\"")?;
    if !terminals.contains(&terminal) {
        let remedy = match terminals.len() {
            0 => format!("add [terminals.{terminal}]"),
            _ => suggest(&terminal, terminals.iter().map(String::as_str)),
        };
        scope.fault("terminal", format!("there is no terminal `{terminal}`"), remedy);
    }
    Some(terminal)
}

fn project_ids(scope: &mut Scope<'_>, register: &str, owners: &mut BTreeMap<String, String>) -> Vec<String> {
    let form = "write texts or integers: project_ids = [\"3f942a4b-728c-4c1b-8c7c-3499f28744a1\", 7]";
    let mut ids = Vec::new();
    for item in scope.list("project_ids", form) {
        match project_id(item.get_ref()) {
            Ok(id) => {
                claim(scope, item.span(), &id, register, owners);
                ids.push(id);
            }
            Err(message) => scope.report.fault(item.span(), &scope.path("project_ids"), message, form),
        }
    }
    ids
}

fn project_id(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) if text.trim().is_empty() => Err("a project id cannot be empty".to_owned()),
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Integer(_) => {
            integer(value).map(|id| id.to_string()).ok_or_else(|| "this number is too large".to_owned())
        }
        other => Err(format!("expected a text or an integer, found {}", kind(other))),
    }
}

fn claim(scope: &Scope<'_>, place: Range<usize>, id: &str, register: &str, owners: &mut BTreeMap<String, String>) {
    if let Some(owner) = owners.insert(id.to_owned(), register.to_owned()) {
        let message = format!("project {id:?} belongs to register `{owner}` already");
        scope.report.fault(place, &scope.path("project_ids"), message, "a project belongs to one register: remove one");
    }
}
