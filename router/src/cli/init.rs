//! `tillswitch init`: the first configuration of a shop.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tillswitch_core::DriverRegistry;

use crate::config::Config;

/// What `tillswitch init` takes.
#[derive(clap::Args, Clone, Debug)]
pub struct InitArgs {
    /// The terminal's address, device or URL
    #[arg(long, value_name = "ADDRESS")]
    pub terminal: Option<String>,
    /// The terminal's driver; `tillswitch drivers` lists them
    #[arg(long, value_name = "NAME", default_value = "zvt-tcp")]
    pub driver: String,
    /// The id of the register's project in Xentral
    #[arg(long, value_name = "ID")]
    pub project: Option<String>,
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = "tillswitch.toml")]
    pub config: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    pub force: bool,
}

/// How the built-in drivers call the address, and an example of one. Others are expected to call it `address`.
const ADDRESS_KEYS: [(&str, &str, &str); 4] = [
    ("zvt-tcp", "address", "192.168.1.100:20007"),
    ("zvt-serial", "device", "/dev/ttyUSB0"),
    ("http", "url", "http://192.168.1.100:8080/payment"),
    ("", "address", "192.168.1.100"),
];

/// Writes the file and says what to do next. It is checked before it is written: a first file never starts with a fault.
pub fn run(args: InitArgs, registry: &DriverRegistry) -> ExitCode {
    let text = draft(&args);
    let config = match Config::parse(&text, &args.config, registry) {
        Ok(config) => config,
        Err(faults) => {
            eprintln!("Nothing was written, because what would stand in the file is wrong:\n\n{faults}");
            return ExitCode::from(super::check::CONFIGURATION);
        }
    };
    if let Err(error) = write(&args.config, &text, args.force) {
        eprintln!("{}", explain(&args.config, &error));
        return ExitCode::FAILURE;
    }
    print!("{}", next_steps(&args, &config));
    ExitCode::SUCCESS
}

fn draft(args: &InitArgs) -> String {
    let (_, key, example) = address_key(&args.driver);
    let address = quoted(args.terminal.as_deref().unwrap_or(example));
    let note = if args.terminal.is_none() { "   # change this to your terminal's" } else { "" };
    let password = if args.driver.starts_with("zvt-") { "password = \"000000\"\n" } else { "" };
    let projects = match &args.project {
        Some(id) => format!("project_ids = [{}]", quoted(id)),
        None => "# project_ids = [\"…\"]   # the answer to the first webhook holds the line to paste here".to_owned(),
    };
    format!(
        "# `tillswitch check` says what is wrong here; config.example.toml explains every key.
[webhook]
# signature_keys = [{{ file = \"signature-key\" }}]   # the key that was entered in Xentral

[terminals.counter]
driver = {}
{key} = {address}{note}
{password}
[registers.POS-01]
{projects}
terminal = \"counter\"
",
        quoted(&args.driver)
    )
}

fn address_key(driver: &str) -> (&'static str, &'static str, &'static str) {
    let known = ADDRESS_KEYS.into_iter().find(|(name, _, _)| *name == driver);
    known.unwrap_or(ADDRESS_KEYS[ADDRESS_KEYS.len() - 1])
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Writes the whole file or nothing. Only its owner may read it: somebody will write a secret into it one day.
fn write(path: &Path, text: &str, force: bool) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    let written = if force { file.persist(path) } else { file.persist_noclobber(path) };
    written.map(drop).map_err(|error| error.error)
}

fn explain(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::AlreadyExists => {
            format!("{path} is there already; --force replaces it, --config FILE writes another one")
        }
        _ => format!("{path} cannot be written: {error}; --config FILE writes it elsewhere"),
    }
}

fn next_steps(args: &InitArgs, config: &Config) -> String {
    let file = args.config.display();
    let at = if args.config == Path::new("tillswitch.toml") { String::new() } else { format!(" --config {file}") };
    let edit = match args.terminal {
        Some(_) => String::new(),
        None => format!("  Write your terminal's address into {file}.\n"),
    };
    format!(
        "{file} is written. Next:
{edit}  tillswitch check --online{at}
      asks the terminal whether it is ready
  tillswitch serve{at}
      starts the router
  {}
      pays 1.00 {} at the terminal, for real
",
        curl(args, config),
        config.terminals["counter"].currency
    )
}

/// A webhook as the point of sale sends it, for a shell.
fn curl(args: &InitArgs, config: &Config) -> String {
    let (listen, path) = (config.server.listen, &config.webhook.path);
    let body = shell_body(args.project.as_deref());
    format!("curl -i http://{listen}{path} -H 'Content-Type: application/json' -d '{body}'")
}

/// The event between single quotes of a shell, which fills in the time.
fn shell_body(project: Option<&str>) -> String {
    let mut body = serde_json::json!({
        "operation": "sale", "currency": "EUR", "amount": 1, "documentNumber": "TEST-1", "documentType": "invoice",
        "createdAt": "NOW",
    });
    if let Some(id) = project {
        body["project"] = serde_json::json!({ "id": id });
    }
    let quoted = body.to_string().replace('\'', r"'\''");
    quoted.replacen("\"NOW\"", "\"'$(date -u +%Y-%m-%dT%H:%M:%SZ)'\"", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(driver: &str) -> InitArgs {
        InitArgs {
            terminal: None,
            driver: driver.to_owned(),
            project: None,
            config: PathBuf::from("tillswitch.toml"),
            force: false,
        }
    }

    #[test]
    fn a_first_file_is_short_and_names_what_was_given() {
        let given =
            InitArgs { terminal: Some("10.0.0.7:20007".into()), project: Some("3f94".into()), ..args("zvt-tcp") };
        let table: toml::Table = draft(&given).parse().unwrap();
        assert_eq!(table["terminals"]["counter"]["address"].as_str(), Some("10.0.0.7:20007"));
        assert_eq!(table["registers"]["POS-01"]["project_ids"][0].as_str(), Some("3f94"));
        assert!(draft(&given).lines().count() < 15);
    }

    #[test]
    fn every_driver_gets_its_own_key() {
        for (driver, key) in [("zvt-serial", "device"), ("http", "url"), ("acme", "address")] {
            let table: toml::Table = draft(&args(driver)).parse().unwrap();
            assert!(table["terminals"]["counter"].get(key).is_some(), "{driver}");
        }
    }

    #[test]
    fn what_was_given_cannot_break_out_of_its_quotes() {
        let sly = InitArgs { terminal: Some("a\"\nqueue = 9\n".into()), project: Some("\\\"".into()), ..args("http") };
        let table: toml::Table = draft(&sly).parse().unwrap();
        assert_eq!(table["terminals"]["counter"]["url"].as_str(), Some("a\"\nqueue = 9\n"));
    }

    #[test]
    fn a_file_is_never_replaced_unless_forced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tillswitch.toml");
        write(&path, "first", false).unwrap();
        let error = write(&path, "second", false).unwrap_err();
        assert!(explain(&path, &error).contains("--force"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first");
        write(&path, "second", true).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "second");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tillswitch.toml");
        write(&path, "text", false).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn the_line_to_try_survives_a_shell() {
        let id = "o'x $(echo NOW) `id`";
        let shell =
            std::process::Command::new("sh").arg("-c").arg(format!("printf %s '{}'", shell_body(Some(id)))).output();
        let body: serde_json::Value = serde_json::from_slice(&shell.unwrap().stdout).unwrap();
        assert_eq!(body["project"]["id"], id);
        assert!(body["createdAt"].as_str().unwrap().ends_with('Z'), "{body}");
    }
}
