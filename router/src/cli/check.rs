//! `tillswitch check`: whether the configuration is right, and with `--online` whether the terminals are ready.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tillswitch_core::{
    DriverError, DriverRegistry, KeepLate, LineWatch, NotStored, Outcome, PaymentId, TerminalStatus, async_trait,
};
use tokio::time::timeout;

use super::online::ask_router;
use crate::config::{Config, Faults, TerminalConfig};
use crate::terminals::described_late;

/// The exit code for a faulty configuration (`EX_CONFIG`).
pub const CONFIGURATION: u8 = 78;
/// Connecting, registering and one question fit into 20 s with every terminal known.
const LIMITS: Limits = Limits { status: Duration::from_secs(20), close: Duration::from_secs(3) };

/// How long one terminal may take.
#[derive(Clone, Copy)]
struct Limits {
    /// To say how it is.
    status: Duration,
    /// To be left in good order.
    close: Duration,
}

/// What `tillswitch check` takes.
#[derive(clap::Args, Clone, Debug)]
pub struct CheckArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "tillswitch.toml")]
    pub config: PathBuf,
    /// Ask every terminal whether it is ready
    #[arg(long)]
    pub online: bool,
    /// The admin listener of the running router, instead of the one in the file
    #[arg(long, value_name = "ADDRESS", requires = "online", value_parser = super::client::address)]
    pub admin: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What a check found, before it is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Checked {
    out: String,
    err: String,
    code: u8,
}

/// Checks the file, prints what it means, and exits with 0, 1 (a terminal is not ready) or 78 (faults).
pub fn run(args: CheckArgs, registry: &DriverRegistry) -> ExitCode {
    let checked = check(&args, registry, LIMITS);
    print!("{}", checked.out);
    eprint!("{}", checked.err);
    ExitCode::from(checked.code)
}

fn check(args: &CheckArgs, registry: &DriverRegistry, limits: Limits) -> Checked {
    let config = match Config::load(&args.config, registry) {
        Ok(config) => config,
        Err(faults) => return refused(args, &faults),
    };
    let note = if args.online { running_router(&config.state_dir) } else { None };
    let states = match (args.online, &note) {
        (false, _) => BTreeMap::new(),
        (true, None) => ask_all(&config, limits),
        (true, Some(_)) => through_router(&config, args.admin.as_deref()),
    };
    let out = match args.json {
        true => format!("{}\n", as_json(&config, &states, note.as_deref())),
        false => as_text(&args.config, &config, &states, note.as_deref()),
    };
    Checked { out, err: String::new(), code: u8::from(states.values().any(State::is_bad)) }
}

fn refused(args: &CheckArgs, faults: &Faults) -> Checked {
    let (out, err) = match args.json {
        true => {
            (json!({ "ok": false, "file": faults.file, "faults": faults.faults }).to_string() + "\n", String::new())
        }
        false => (String::new(), format!("{faults}\n")),
    };
    Checked { out, err, code: CONFIGURATION }
}

/// What one terminal answered.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct State {
    /// `None` where the terminal cannot be asked: no reason to distrust the file, and no promise either.
    pub ready: Option<bool>,
    /// In a sentence.
    pub message: String,
}

impl From<Result<TerminalStatus, DriverError>> for State {
    fn from(answer: Result<TerminalStatus, DriverError>) -> State {
        match answer {
            Ok(status) => State { ready: Some(status.ready), message: describe(status) },
            Err(DriverError::Unsupported) => State { ready: None, message: "its driver cannot ask it".to_owned() },
            Err(DriverError::NotStarted(reason) | DriverError::InDoubt(reason)) => State::bad(reason.message),
        }
    }
}

impl State {
    pub fn bad(message: impl Into<String>) -> State {
        State { ready: Some(false), message: message.into() }
    }

    fn is_bad(&self) -> bool {
        self.ready == Some(false)
    }
}

fn describe(status: TerminalStatus) -> String {
    let details = [status.terminal_id.map(|id| format!("terminal {id}")), status.software];
    let details: Vec<String> = details.into_iter().flatten().collect();
    if details.is_empty() { status.message } else { format!("{} ({})", status.message, details.join(", ")) }
}

/// Asks all terminals at the same time, each within its limit, whatever its driver does.
fn ask_all(config: &Config, limits: Limits) -> BTreeMap<String, State> {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return threadless(config, &error),
    };
    let ask = |terminal: &Arc<TerminalConfig>| (terminal.name.clone(), runtime.spawn(ask(terminal.clone(), limits)));
    let asked: Vec<_> = config.terminals.values().map(ask).collect();
    let states = runtime.block_on(async {
        let mut states = BTreeMap::new();
        for (name, answer) in asked {
            let state =
                answer.await.unwrap_or_else(|_| State::bad("its driver crashed; this is a fault of the driver"));
            states.insert(name, state);
        }
        states
    });
    runtime.shutdown_background();
    states
}

/// Two cannot drive one terminal: whoever holds it is the one to ask.
fn through_router(config: &Config, admin: Option<&str>) -> BTreeMap<String, State> {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(ask_router(config, admin)),
        Err(error) => threadless(config, &error),
    }
}

fn threadless(config: &Config, error: &std::io::Error) -> BTreeMap<String, State> {
    let state = State::bad(format!("this program cannot start its threads: {error}"));
    config.terminals.keys().map(|name| (name.clone(), state.clone())).collect()
}

async fn ask(terminal: Arc<TerminalConfig>, limits: Limits) -> State {
    let mut driver = match terminal.factory.build(&terminal.settings) {
        Ok(driver) => driver,
        Err(faults) => return State::bad(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
    };
    let kept = KeptLate::default();
    driver.watch_line(LineWatch::default().with_late(kept.clone()));
    let answer = timeout(limits.status, driver.status()).await;
    // A driver that does not even let go in time is dropped, as the contract allows.
    let _ = timeout(limits.close, driver.close()).await;
    let late = || State::bad(format!("no answer within {} s; is it switched on?", limits.status.as_secs()));
    let state = answer.map_or_else(|_| late(), State::from);
    match kept.0.lock().expect("nothing panics while it holds the words").as_slice() {
        [] => state,
        words => State::bad(format!("too late, it reported a payment that nobody waits for: {}", words.join("; and "))),
    }
}

/// What terminals say too late. No journal is open here, so whoever asked them hears it.
#[derive(Clone, Default)]
struct KeptLate(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl KeepLate for KeptLate {
    async fn late(&self, _: Option<PaymentId>, said: &Outcome) -> Result<(), NotStored> {
        self.0.lock().expect("nothing panics while it holds the words").push(described_late(said));
        Ok(())
    }
}

/// What to know when a router runs on this state directory: it holds the terminals.
///
/// Nothing is taken or made here; whoever cannot share the lock learns from its text who has it.
fn running_router(state_dir: &Path) -> Option<String> {
    let mut lock = std::fs::File::open(state_dir.join("router.lock")).ok()?;
    let Err(std::fs::TryLockError::WouldBlock) = lock.try_lock_shared() else {
        return None;
    };
    let mut holder = String::new();
    // The note stands without the holder's words.
    let _ = lock.by_ref().take(4096).read_to_string(&mut holder);
    let holder = holder.trim();
    Some(format!("a router holds these terminals ({holder}) and was asked about them"))
}

fn as_json(config: &Config, states: &BTreeMap<String, State>, note: Option<&str>) -> Value {
    let register = |register: &crate::config::RegisterConfig| json!({ "name": register.name, "project_ids": register.project_ids, "terminal": register.terminal });
    let terminal = |terminal: &Arc<TerminalConfig>| {
        let (address, state) = (&terminal.identity.address, states.get(&terminal.name));
        json!({ "name": terminal.name, "driver": terminal.driver, "address": address, "status": state })
    };
    json!({
        "ok": !states.values().any(State::is_bad),
        "file": config.file,
        "registers": config.registers.values().map(register).collect::<Vec<_>>(),
        "terminals": config.terminals.values().map(terminal).collect::<Vec<_>>(),
        "warnings": config.warnings,
        "note": note,
        "faults": [],
    })
}

fn as_text(file: &Path, config: &Config, states: &BTreeMap<String, State>, note: Option<&str>) -> String {
    let mut text = table(&registers(config));
    if !states.is_empty() {
        text += "\n";
        text += &table(&answers(states));
        text.extend(note.map(|note| format!("Note: {note}.\n")));
    }
    for warning in &config.warnings {
        text += &format!("\nwarning: {}", warning.describe(file));
    }
    let failed = states.values().filter(|state| state.is_bad()).count();
    let warned = match config.warnings.len() {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        count => format!(", {count} warnings"),
    };
    text += &format!("\n{}: ok{warned}\n", file.display());
    match failed {
        0 => text,
        count => text + &format!("{count} of {} terminals not ready\n", states.len()),
    }
}

fn registers(config: &Config) -> Vec<[String; 5]> {
    let mut rows = vec![["register", "project ids", "terminal", "driver", "address"].map(str::to_owned)];
    for register in config.registers.values() {
        let terminal = &config.terminals[&register.terminal];
        let ids = if register.project_ids.is_empty() { "-".to_owned() } else { register.project_ids.join(", ") };
        let [name, at] = [&register.name, &register.terminal].map(Clone::clone);
        rows.push([name, ids, at, terminal.driver.clone(), terminal.identity.address.clone()]);
    }
    rows
}

fn answers(states: &BTreeMap<String, State>) -> Vec<[String; 3]> {
    let row = |(name, state): (&String, &State)| {
        let ready = match state.ready {
            Some(true) => "ready",
            Some(false) => "not ready",
            None => "unknown",
        };
        [name.clone(), ready.to_owned(), state.message.clone()]
    };
    states.iter().map(row).collect()
}

/// Rows in columns, each as wide as its widest text.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use tillswitch_core::{
        Approval, Cause, Currency, Details, Display, DriverFactory, EndOfDay, Identity, Money, PaymentRequest,
        Resolution, Session, Settings, SettingsError, TerminalDriver,
    };

    use super::*;

    /// Behaves as its address says.
    struct Scripted(String, LineWatch);

    #[async_trait]
    impl TerminalDriver for Scripted {
        async fn execute(&mut self, _: &PaymentRequest, _: &mut dyn Session) -> Result<Outcome, DriverError> {
            Err(DriverError::Unsupported)
        }

        async fn resolve(&mut self, _: &PaymentRequest, _: &mut dyn Session) -> Result<Resolution, DriverError> {
            Err(DriverError::Unsupported)
        }

        async fn status(&mut self) -> Result<TerminalStatus, DriverError> {
            let terminal_id = Some("29001612".to_owned());
            match self.0.as_str() {
                "ready" => Ok(TerminalStatus { ready: true, message: "idle".into(), terminal_id, software: None }),
                "off" => Err(DriverError::not_started(Cause::Unreachable, "nobody answers at off")),
                "late" => {
                    let amount = Money::from_minor(2590, Currency::EUR);
                    let details = Details { receipt_number: Some("0043".into()), ..Details::new("00", "approved") };
                    let said = Outcome::Approved(Approval { amount, details });
                    self.1.late(None, &said).await.expect("somebody keeps it");
                    Ok(TerminalStatus { ready: true, message: "idle".into(), terminal_id, software: None })
                }
                "hangs" => std::future::pending().await,
                "crashes" => panic!("a driver that crashes"),
                _ => Err(DriverError::Unsupported),
            }
        }

        async fn end_of_day(&mut self, _: &mut dyn Display) -> Result<EndOfDay, DriverError> {
            Err(DriverError::Unsupported)
        }

        fn watch_line(&mut self, watch: LineWatch) {
            self.1 = watch;
        }
    }

    struct Factory;

    impl DriverFactory for Factory {
        fn name(&self) -> &str {
            "scripted"
        }

        fn identity(&self, settings: &Settings) -> Identity {
            let address = settings.table["address"].as_str().unwrap_or_default().to_owned();
            Identity { address, ..Identity::default() }
        }

        fn build(&self, settings: &Settings) -> Result<Box<dyn TerminalDriver>, Vec<SettingsError>> {
            let mut reader = settings.reader();
            let address = reader.required("address", "write it");
            reader.finish()?;
            Ok(Box::new(Scripted(address.expect("required"), LineWatch::default())))
        }
    }

    /// A shop whose terminals behave as told, in a folder of its own.
    fn shop(terminals: &[&str]) -> (tempfile::TempDir, CheckArgs) {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("tillswitch.toml");
        let mut text = String::from("[webhook]\naccept_unsigned = true\n");
        for (number, name) in terminals.iter().enumerate() {
            text += &format!("[terminals.{name}]\ndriver = \"scripted\"\naddress = \"{name}\"\n");
            text += &format!("[registers.POS-{name}]\nproject_ids = [\"{name}\", 7{number}]\n");
            text += &format!("terminal = \"{name}\"\n");
        }
        std::fs::write(&config, text).unwrap();
        (folder, CheckArgs { config, online: false, admin: None, json: false })
    }

    fn checked(args: &CheckArgs) -> Checked {
        let mut registry = DriverRegistry::new();
        registry.register(Factory);
        check(args, &registry, Limits { status: Duration::from_millis(50), close: Duration::from_millis(50) })
    }

    #[test]
    fn registers_are_shown_with_their_terminals_then_warnings_then_ok() {
        let (folder, args) = shop(&["ready", "off"]);
        let checked = checked(&args);
        let golden = "\
register   project ids  terminal  driver    address
POS-off    off, 71      off       scripted  off
POS-ready  ready, 70    ready     scripted  ready

warning: FILE:1:1: no signature key: whoever reaches the webhook can start a payment
    1 | [webhook]
      | ^^^^^^^^^
      = add signature_keys = [{ file = \"signature-key\" }] to [webhook]

FILE: ok, 1 warning
";
        let out = checked.out.replace(&folder.path().join("tillswitch.toml").display().to_string(), "FILE");
        assert_eq!((out.as_str(), checked.code), (golden, 0));
    }

    #[test]
    fn every_terminal_is_asked_whatever_the_others_do() {
        let (_folder, args) = shop(&["ready", "off", "hangs", "crashes", "mute", "late"]);
        let checked = checked(&CheckArgs { online: true, ..args });
        for line in [
            "ready    ready      idle (terminal 29001612)",
            "off      not ready  nobody answers at off",
            "hangs    not ready  no answer within",
            "crashes  not ready  its driver crashed",
            "mute     unknown    its driver cannot ask it",
            "late     not ready  too late, it reported a payment that nobody waits for: approved 25.90 EUR, receipt 0043;",
            "4 of 6 terminals not ready",
        ] {
            assert!(checked.out.contains(line), "{line}: {}", checked.out);
        }
        assert_eq!(checked.code, 1);
    }

    #[test]
    fn json_has_the_same() {
        let (_folder, args) = shop(&["ready"]);
        let checked = checked(&CheckArgs { online: true, json: true, ..args });
        let value: Value = serde_json::from_str(&checked.out).unwrap();
        assert_eq!(value["ok"], true);
        assert_eq!(value["terminals"][0]["status"]["ready"], true);
        assert_eq!(value["registers"][0]["project_ids"], json!(["ready", "70"]));
        assert_eq!(value["warnings"][0]["line"], 1);
    }

    #[test]
    fn faults_end_with_78_in_both_forms() {
        let (_folder, args) = shop(&["ready"]);
        std::fs::write(&args.config, "wiat = 1\n").unwrap();
        let text = checked(&args);
        assert!(
            text.code == CONFIGURATION && text.out.is_empty() && text.err.contains("unknown key `wiat`"),
            "{text:?}"
        );
        let json = checked(&CheckArgs { json: true, ..args });
        let value: Value = serde_json::from_str(&json.out).unwrap();
        assert_eq!((json.code, value["faults"][0]["column"].as_u64()), (CONFIGURATION, Some(1)));
    }

    #[test]
    fn a_running_router_is_asked_because_it_holds_the_terminals() {
        let (folder, args) = shop(&["off"]);
        let state_dir = folder.path().join("tillswitch-state");
        std::fs::create_dir(&state_dir).unwrap();
        let args = CheckArgs { online: true, ..args };
        let lock = std::fs::File::create(state_dir.join("router.lock")).unwrap();
        assert!(!checked(&args).out.contains("a router holds"));
        std::fs::write(state_dir.join("router.lock"), "process 7\n").unwrap();
        lock.lock().unwrap();
        let admin = Some("127.0.0.1:1".to_owned());
        let checked = checked(&CheckArgs { admin, ..args });
        assert!(checked.out.contains("a router holds these terminals (process 7)"), "{}", checked.out);
        assert!(checked.out.contains("no router answers on 127.0.0.1:1"), "no driver was built: {}", checked.out);
        assert_eq!(checked.code, 1);
    }
}
