//! The terminals: the router's own keys are taken out of a table, the rest is the driver's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Time;
use tillswitch_core::settings::parse_duration;
use tillswitch_core::{Currency, DriverFactory, DriverRegistry, Identity, Secret, Settings, SettingsError};

use super::address;
use super::registers::check_name;
use super::scope::{Scope, as_text};
use super::value::{nearest, plain, suggest};
use super::{fault::Report, secret};

/// The keys of a terminal's table that are the router's. Closed for 1.x: a driver may rely on every other name.
const ROUTER_KEYS: [&str; 7] =
    ["driver", "currency", "queue", "payment_deadline", "accept_partial", "end_of_day", "probe"];

/// A terminal that is asked more often has no quiet.
const LEAST_PROBE: Duration = Duration::from_secs(1);

/// One terminal, ready to be built.
#[derive(Clone)]
pub struct TerminalConfig {
    /// Its name.
    pub name: String,
    /// The name of its driver.
    pub driver: String,
    /// What makes its driver; it has accepted the settings.
    pub factory: Arc<dyn DriverFactory>,
    /// The driver's settings.
    pub settings: Settings,
    /// Which terminal the settings mean.
    pub identity: Identity,
    /// The currency that it settles in.
    pub currency: Currency,
    /// How many payments may wait for their turn.
    pub queue: usize,
    /// After how long a running payment is left in doubt and its driver dropped.
    pub payment_deadline: Duration,
    /// Whether an approval for less than was asked may stand.
    pub accept_partial: bool,
    /// When the business day is closed, as the clock on the wall shows it. `None`: by an operator.
    pub end_of_day: Option<Time>,
    /// After how long without anything to do it is asked how it is. `None`: never.
    pub probe: Option<Duration>,
    /// After how long without anything to do it does what it wishes itself. No key of the file: the design fixes it.
    pub wish_after: Duration,
}

/// How long a terminal must have been left alone before it does what it wishes.
pub const WISH_AFTER: Duration = Duration::from_secs(60);

impl fmt::Debug for TerminalConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TerminalConfig")
            .field("name", &self.name)
            .field("driver", &self.driver)
            .field("settings", &self.settings)
            .field("identity", &self.identity)
            .field("currency", &self.currency)
            .field("queue", &self.queue)
            .field("payment_deadline", &self.payment_deadline)
            .field("accept_partial", &self.accept_partial)
            .field("end_of_day", &self.end_of_day)
            .field("probe", &self.probe)
            .finish_non_exhaustive()
    }
}

/// Reads `[terminals]`: those that are right, and the names of all.
pub(super) fn read(
    root: &mut Scope<'_>,
    base_dir: &Path,
    registry: &DriverRegistry,
) -> (BTreeMap<String, Arc<TerminalConfig>>, BTreeSet<String>) {
    let sections = root.sections("terminals");
    if sections.is_empty() {
        let remedy = "add [terminals.counter] with driver and address; `tillswitch init` shows how";
        root.fault("terminals", "there is no terminal: no payment could be made", remedy);
    }
    let names = sections.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut terminals = BTreeMap::new();
    let mut addresses = BTreeMap::new();
    for (name, mut scope) in sections {
        check_name(&scope, name);
        if let Some(terminal) = terminal(&mut scope, name, base_dir, registry) {
            check_address(&scope, &terminal, &mut addresses);
            terminals.insert(name.to_owned(), Arc::new(terminal));
        }
    }
    (terminals, names)
}

fn terminal(scope: &mut Scope<'_>, name: &str, base_dir: &Path, registry: &DriverRegistry) -> Option<TerminalConfig> {
    let factory = factory(scope, registry);
    let currency = currency(scope);
    let queue = scope.integer("queue", 2, 0..=100) as usize;
    let payment_deadline = scope.positive_wait("payment_deadline", Duration::from_secs(300));
    let accept_partial = scope.flag("accept_partial", false);
    let end_of_day = end_of_day(scope);
    let probe = probe(scope);
    let factory = factory?;
    let settings = settings(scope, name, base_dir, currency, &*factory);
    if let Err(faults) = factory.build(&settings) {
        faults.iter().for_each(|fault| report_driver_fault(scope, fault));
        return None;
    }
    Some(TerminalConfig {
        name: name.to_owned(),
        driver: factory.name().to_owned(),
        identity: factory.identity(&settings),
        factory,
        settings,
        currency,
        queue,
        payment_deadline,
        accept_partial,
        end_of_day,
        probe,
        wish_after: WISH_AFTER,
    })
}

fn factory(scope: &mut Scope<'_>, registry: &DriverRegistry) -> Option<Arc<dyn DriverFactory>> {
    let known: Vec<&str> = registry.names().collect();
    let form = format!("name a driver, one of: {}", known.join(", "));
    // Nothing else of the table can be judged without it, so that a misspelt one would not be spoken of either.
    if scope.value("driver").is_none() && scope.is_misspelt("driver") {
        return None;
    }
    let driver = scope.required_text("driver", &form)?;
    let found = registry.get(&driver);
    let remedy = || suggest(&driver, known.iter().copied());
    found.map_err(|_| scope.fault("driver", format!("unknown driver `{driver}`"), remedy())).ok()
}

fn currency(scope: &mut Scope<'_>) -> Currency {
    let form = "write an ISO 4217 code in capitals: currency = \"EUR\"";
    let parse = |text: &str| text.parse::<Currency>().map_err(|_| format!("unknown currency {text:?}"));
    scope.read("currency", form, |value| parse(as_text(value)?)).unwrap_or(Currency::EUR)
}

fn end_of_day(scope: &mut Scope<'_>) -> Option<Time> {
    let form = "write the local time with two digits each: end_of_day = \"23:30\"";
    scope.read("end_of_day", form, |value| {
        let text = as_text(value)?;
        let has_form = text.len() >= 5 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
        let time = has_form.then(|| text.parse::<Time>().ok()).flatten();
        time.ok_or_else(|| format!("{text:?} is no time of day"))
    })
}

fn probe(scope: &mut Scope<'_>) -> Option<Duration> {
    let form = "write \"off\", or a number and a unit (s, m or h): probe = \"5m\"";
    scope.read("probe", form, |value| match as_text(value)? {
        "off" => Ok(None),
        text => match parse_duration(text)? {
            pause if LEAST_PROBE <= pause => Ok(Some(pause)),
            _ => Err(format!("`probe` must be {LEAST_PROBE:?} or longer")),
        },
    })?
}

/// What is left of the table, with the secrets read from where they are kept.
fn settings(
    scope: &Scope<'_>,
    name: &str,
    base_dir: &Path,
    currency: Currency,
    factory: &dyn DriverFactory,
) -> Settings {
    let mut settings = Settings { currency, base_dir: base_dir.to_owned(), ..Settings::new(name) };
    for (key, value) in scope.rest() {
        match plain(value.get_ref()) {
            Some(value) => drop(settings.table.insert(key.get_ref().to_string(), value)),
            None => scope.report.fault(
                value.span(),
                &scope.path(key.get_ref()),
                "this number is too large",
                "use a smaller one",
            ),
        }
    }
    for path in factory.secrets() {
        if take(&mut settings.table, path).is_some() {
            let secret = read_secret(scope.report, scope, base_dir, path);
            // One that cannot be read is a fault already; the driver must not call it missing as well.
            settings.secrets.insert((*path).to_owned(), secret.unwrap_or_else(|| Secret::new("unreadable")));
        }
    }
    settings
}

fn read_secret(report: &Report<'_>, scope: &Scope<'_>, base_dir: &Path, path: &str) -> Option<Secret> {
    secret::read(report, base_dir, &scope.path(path), scope.find(path)?)
}

/// Takes the value at a dotted path out of a table.
fn take(table: &mut toml::Table, path: &str) -> Option<toml::Value> {
    match path.split_once('.') {
        None => table.remove(path),
        Some((first, rest)) => take(table.get_mut(first)?.as_table_mut()?, rest),
    }
}

fn report_driver_fault(scope: &Scope<'_>, fault: &SettingsError) {
    let unknown = fault.message == format!("unknown key `{}`", fault.path);
    let near = nearest(&fault.path, ROUTER_KEYS).filter(|_| unknown);
    let remedy = match near {
        Some(key) => format!("did you mean `{key}`? For the driver, {}", fault.remedy),
        None => fault.remedy.clone(),
    };
    if unknown && let Some(value) = scope.find(&fault.path) {
        scope.report.hide(value.span());
    }
    scope.report.fault(scope.locate(fault.path.split('.')), &scope.path(&fault.path), &fault.message, remedy);
}

/// Two tasks on one terminal would send two commands at a time.
fn check_address(scope: &Scope<'_>, terminal: &TerminalConfig, taken: &mut BTreeMap<String, (String, String)>) {
    let address = &terminal.identity.address;
    if let Some((owner, theirs)) = taken.get(&address::resolved(address)) {
        let message = match theirs == address {
            true => format!("terminal `{owner}` is reached at {address} already"),
            false => format!("{address} is the device that terminal `{owner}` is reached at already, as {theirs}"),
        };
        let remedy = format!("remove one of them; several registers may share a terminal: terminal = \"{owner}\"");
        scope.report.fault(address_place(scope, address), &scope.path(""), message, remedy);
        return;
    }
    if let Some((message, remedy)) = address::wanders(address) {
        scope.report.warning(address_place(scope, address), &scope.path(""), message, remedy);
    }
    taken.insert(address::resolved(address), (terminal.name.clone(), address.clone()));
}

/// The key that holds the address is the driver's secret; the longest text that the address contains is it.
fn address_place(scope: &Scope<'_>, address: &str) -> std::ops::Range<usize> {
    let texts = scope.rest().filter_map(|(_, value)| value.get_ref().as_str().map(|text| (text, value.span())));
    let within = texts.filter(|(text, _)| text.len() >= 4 && address.contains(text));
    within.max_by_key(|(text, _)| text.len()).map_or_else(|| scope.span(""), |(_, span)| span)
}
