//! What the configuration accepts, and how it says what is wrong.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use async_trait::async_trait;
use tillswitch::cli::init::{self, InitArgs};
use tillswitch::config::{Config, Faults, Repeat, Tip};
use tillswitch_core::{
    Currency, Display, DriverError, DriverFactory, DriverRegistry, EndOfDay, Identity, Outcome, PaymentRequest,
    Resolution, Session, Settings, SettingsError, TerminalDriver, TerminalStatus,
};

/// A driver whose settings are one address, some further keys, and secrets.
struct Stub {
    name: &'static str,
    address: &'static str,
    keys: &'static [&'static str],
    secrets: &'static [&'static str],
}

impl DriverFactory for Stub {
    fn name(&self) -> &str {
        self.name
    }

    fn secrets(&self) -> &[&str] {
        self.secrets
    }

    fn identity(&self, settings: &Settings) -> Identity {
        let address = settings.table[self.address].as_str().unwrap_or_default();
        // Like `zvt-tcp`, which fills in its usual port.
        let port = if self.name == "zvt-tcp" && !address.contains(':') { ":20007" } else { "" };
        Identity { address: format!("{address}{port}"), ..Identity::default() }
    }

    fn build(&self, settings: &Settings) -> Result<Box<dyn TerminalDriver>, Vec<SettingsError>> {
        let mut reader = settings.reader();
        let _: Option<String> = reader.required(self.address, "write where the terminal is");
        reader.duration("timeout", Duration::from_secs(120));
        for key in self.keys {
            let _: Option<toml::Value> = reader.optional(key);
        }
        reader.finish().map(|()| Box::new(Silent) as Box<dyn TerminalDriver>)
    }
}

struct Silent;

#[async_trait]
impl TerminalDriver for Silent {
    async fn execute(&mut self, _: &PaymentRequest, _: &mut dyn Session) -> Result<Outcome, DriverError> {
        Err(DriverError::Unsupported)
    }

    async fn resolve(&mut self, _: &PaymentRequest, _: &mut dyn Session) -> Result<Resolution, DriverError> {
        Err(DriverError::Unsupported)
    }

    async fn status(&mut self) -> Result<TerminalStatus, DriverError> {
        Err(DriverError::Unsupported)
    }

    async fn end_of_day(&mut self, _: &mut dyn Display) -> Result<EndOfDay, DriverError> {
        Err(DriverError::Unsupported)
    }
}

fn registry() -> DriverRegistry {
    let zvt = Stub {
        name: "zvt-tcp",
        address: "address",
        keys: &["password", "keypad", "connection", "receipts", "tls", "ca", "server_name"],
        secrets: &[],
    };
    let serial = Stub {
        name: "zvt-serial",
        address: "device",
        keys: &["password", "keypad", "connection", "receipts", "baud_rate", "parity", "stop_bits"],
        secrets: &[],
    };
    let http = Stub { name: "http", address: "url", keys: &["auth"], secrets: &["api_key", "auth.token", "pass"] };
    let mut registry = DriverRegistry::new();
    registry.register(zvt).register(serial).register(http);
    registry
}

fn file() -> PathBuf {
    Path::new("/shop/tillswitch.toml").to_owned()
}

fn parse(text: &str) -> Result<Config, Faults> {
    Config::parse(text, &file(), &registry())
}

/// Two terminals and two registers, with one line more in front.
fn shop(first: &str) -> String {
    format!(
        "{first}
[terminals.counter]
driver = \"zvt-tcp\"
address = \"192.168.1.100:20007\"

[terminals.bar]
driver = \"http\"
url = \"http://192.168.1.101:8080/payment\"

[registers.POS-01]
project_ids = [\"3f942a4b\", 7]
terminal = \"counter\"

[registers.POS-02]
terminal = \"bar\"
"
    )
}

#[track_caller]
fn loads(text: &str) -> Config {
    parse(text).unwrap_or_else(|faults| panic!("{faults}"))
}

/// The only fault of a text: its line, message and remedy.
#[track_caller]
fn fault(text: &str) -> (usize, String, String) {
    let faults = parse(text).expect_err(text);
    assert_eq!(faults.faults.len(), 1, "{faults}");
    let fault = &faults.faults[0];
    (fault.line, fault.message.clone(), fault.remedy.clone())
}

#[track_caller]
fn check_fault(text: &str, line: usize, message: &str, remedy: &str) {
    let found = fault(text);
    assert_eq!(found.0, line, "{found:?}");
    assert!(found.1.contains(message), "{found:?}");
    assert!(found.2.contains(remedy), "{found:?}");
}

fn warnings(text: &str) -> Vec<String> {
    loads(text).warnings.into_iter().map(|warning| warning.message).collect()
}

#[test]
fn three_mistakes_are_reported_at_once_with_their_lines() {
    let text = "[server]
lisen = \"127.0.0.1:5000\"

[webhook]
wait = \"soon\"

[terminals.counter]
driver = \"ztv-tcp\"
address = \"192.168.1.100:20007\"

[registers.POS-01]
terminal = \"counter\"
";
    let golden = "\
/shop/tillswitch.toml:2:1: unknown key `lisen` in [server]
    2 | lisen = …
      | ^^^^^
      = did you mean `listen`?

/shop/tillswitch.toml:5:8: \"soon\" is no duration, expected for example \"30s\"
    5 | wait = \"soon\"
      |        ^^^^^^
      = write a number and a unit (ms, s, m, h or d): wait = \"30s\"

/shop/tillswitch.toml:8:10: unknown driver `ztv-tcp`
    8 | driver = \"ztv-tcp\"
      |          ^^^^^^^^^
      = did you mean `zvt-tcp`?

3 faults in /shop/tillswitch.toml";
    assert_eq!(parse(text).unwrap_err().to_string(), golden);
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let config = loads(&shop(""));
    assert_eq!(config.file, file());
    assert_eq!(config.state_dir, Path::new("/shop/tillswitch-state"));
    assert_eq!(config.min_free, 64 << 20);
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:5000");
    assert_eq!((config.server.max_connections, config.server.shutdown_timeout.as_secs()), (256, 200));
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:5001");
    assert!(config.admin.token.is_none() && config.admin.hosts.is_empty());
    let webhook = &config.webhook;
    assert_eq!(webhook.path, "/webhook/pos-payment");
    assert_eq!((webhook.wait.as_secs(), webhook.queue_wait.as_secs()), (180, 30));
    assert_eq!((webhook.max_age, webhook.clock_tolerance.as_secs()), (None, 300));
    assert_eq!((webhook.repeat, webhook.repeat_window.as_secs()), (Repeat::Refuse, 600));
    assert_eq!((webhook.tip, webhook.default_register.as_deref()), (Tip::Included, None));
    let answers = &config.answers;
    assert_eq!((answers.declined, answers.cancelled), (402, 402));
    assert_eq!((answers.failed, answers.in_doubt, answers.pending), (502, 504, 504));
    assert_eq!(config.journal.database, Path::new("/shop/tillswitch-state/payments.db"));
    assert_eq!(config.journal.retention.as_secs(), 3650 * 86400);
    let counter = &config.terminals["counter"];
    assert_eq!((counter.currency, counter.queue, counter.accept_partial), (Currency::EUR, 2, false));
    assert_eq!(counter.payment_deadline.as_secs(), 300);
    assert_eq!((counter.driver.as_str(), counter.identity.address.as_str()), ("zvt-tcp", "192.168.1.100:20007"));
    assert_eq!(counter.settings.table.len(), 1, "only the address is the driver's");
    assert_eq!(counter.settings.base_dir, Path::new("/shop"));
    assert_eq!(config.registers["POS-01"].project_ids, ["3f942a4b", "7"]);
}

#[test]
fn every_key_is_read() {
    let config = loads(&shop(
        "state_dir = \"/var/lib/till\"
min_free = \"1GiB\"
server = { listen = \"[::1]:80\", max_connections = 9, shutdown_timeout = \"1m\" }
admin = { listen = \"127.0.0.2:81\", hosts = [\"till.example\"] }
journal = { url = \"sqlite:money.db\", retention = \"90d\" }
[webhook]
path = \"/pay\"
event_types = [\"pos.other\"]
wait = \"60s\"
queue_wait = \"10s\"
max_age = \"2m\"
clock_tolerance = \"1s\"
repeat = \"allow\"
repeat_window = \"1h\"
tip = \"added\"
default_register = \"POS-02\"
answers = { declined = 200, cancelled = 299, failed = 400, in_doubt = 599, pending = 500 }",
    ));
    assert_eq!(config.min_free, 1 << 30);
    assert_eq!(config.journal.database, Path::new("/var/lib/till/money.db"));
    assert_eq!((config.server.max_connections, config.admin.hosts.len()), (9, 1));
    let webhook = &config.webhook;
    assert_eq!((webhook.path.as_str(), webhook.event_types.len()), ("/pay", 1));
    assert_eq!(
        (webhook.max_age, webhook.repeat, webhook.tip),
        (Some(Duration::from_secs(120)), Repeat::Allow, Tip::Added)
    );
    assert_eq!((config.answers.declined, config.answers.pending), (200, 500));
    assert_eq!(webhook.default_register.as_deref(), Some("POS-02"));
    let paid: Vec<_> = config.warnings.iter().filter(|warning| warning.message.contains("2xx as paid")).collect();
    assert_eq!(paid.len(), 2, "{paid:?}");
}

#[test]
fn wrong_values_name_their_line_and_the_way_out() {
    for (first, message, remedy) in [
        ("min_free = \"64MB\"", "no size", "MiB"),
        ("min_free = 64", "expected a text in quotes, found an integer", "64MiB"),
        ("state_dir = true", "found true or false", "state_dir ="),
        ("server = 7", "expected a table, found an integer", "[server]"),
        ("server.listen = \"localhost:5000\"", "\"localhost\" is no IP address", "IP address and a port"),
        ("server.listen = \"127.0.0.1\"", "no port", "IP address and a port"),
        ("server.max_connections = 0", "out of its limits", "1 to 65535"),
        ("server.max_connections = 1.5", "expected an integer, found a decimal number", "1 to 65535"),
        ("server.tls = { certificate = \"a\", key = \"b\" }", "a cannot be read", "fullchain.pem"),
        ("server.tls = { certificate = \"a\" }", "`key` is missing", "privkey.pem"),
        ("admin.listen = \"127.0.0.1:5000\"", "[server] listens on 127.0.0.1:5000 already", "own port"),
        ("admin.hosts = \"till.example\"", "expected a list", "hosts = ["),
        ("admin.hosts = [1]", "found an integer", "hosts = ["),
        ("admin.hosts = [\"https://till.example\"]", "no host name", "without https://"),
        ("webhook.path = \"pay\"", "cannot be the webhook's path", "starts with /"),
        ("webhook.path = \"/health/live\"", "cannot be the webhook's path", "/health is taken"),
        ("webhook.wait = \"0s\"", "longer than nothing", "180s"),
        ("webhook.queue_wait = \"4m\"", "longer than `wait`", "after its answer"),
        ("webhook.max_age = \"never\"", "no duration", "\"off\""),
        ("webhook.repeat = \"join\"", "unknown value \"join\"", "refuse, allow"),
        ("webhook.tip = \"extra\"", "unknown value \"extra\"", "included, added"),
        ("webhook.accept_unsigned = \"yes\"", "expected true or false", "without quotes"),
        ("webhook.default_register = \"POS-3\"", "no register `POS-3`", "did you mean `POS-0"),
        ("webhook.answers.in_doubt = 200", "out of its limits", "400 to 599"),
        ("webhook.answers.failed = 302", "out of its limits", "400 to 599"),
        ("webhook.answers.pending = 600", "out of its limits", "400 to 599"),
        ("webhook.answers.declined = 199", "out of its limits", "200 to 599"),
        ("webhook.answers.aproved = 200", "unknown key `aproved` in [webhook.answers]", "expected one of: declined"),
        ("journal.url = \"postgres://db\"", "no journal that survives", "sqlite:payments.db"),
        ("journal.url = \"sqlite::memory:\"", "no journal that survives", "sqlite:payments.db"),
        ("journal.retention = \"ten years\"", "no duration", "retention ="),
        ("journal.retention = \"167h\"", "too short to recognise an event that comes again", "retention = \"7d\""),
        ("plugins.acme = { library = \"x.so\" }", "unknown key `plugins`", "expected one of: state_dir"),
        ("satte_dir = \"x\"", "unknown key `satte_dir`", "did you mean `state_dir`?"),
    ] {
        check_fault(&shop(first), 1, message, remedy);
    }
}

#[test]
fn nothing_is_forgotten_while_its_event_may_come_again() {
    let accepts = |days: u32| shop(&format!("journal.retention = \"{days}d\"\nwebhook.max_age = \"30d\""));
    check_fault(&accepts(30), 1, "shorter than `max_age` and `repeat_window` together", "make it longer");
    assert_eq!(loads(&accepts(31)).journal.retention, Duration::from_secs(31 * 86400));
    assert_eq!(loads(&shop("journal.retention = \"7d\"")).journal.retention, Duration::from_secs(7 * 86400));
}

#[test]
fn a_syntax_error_is_one_fault_with_its_place() {
    check_fault("[server]\nlisten = 127.0.0.1:5000\n[[\n", 2, "this is no TOML", "quotes");
    check_fault("[a]\n[b]\n[a]\n", 3, "duplicate key", "rename or remove one");
    check_fault(&shop("").replace("POS-02", "POS-01"), 14, "duplicate key", "rename or remove one");
}

#[test]
fn a_missing_key_points_at_its_table() {
    check_fault(
        &shop("").replace("driver = \"http\"\n", ""),
        6,
        "`driver` is missing",
        "one of: http, zvt-serial, zvt-tcp",
    );
    check_fault(&shop("").replace("terminal = \"bar\"\n", ""), 14, "`terminal` is missing", "terminal = \"counter\"");
    let address = "address = \"192.168.1.100:20007\"\n";
    check_fault(&shop("").replace(address, ""), 2, "`address` is missing", "where the terminal is");
}

#[test]
fn a_file_without_terminals_and_registers_is_refused() {
    let faults = parse("").unwrap_err();
    let messages: Vec<&str> = faults.faults.iter().map(|fault| fault.message.as_str()).collect();
    assert!(messages[0].contains("no terminal") && messages[1].contains("no register"), "{messages:?}");
}

#[test]
fn faults_of_a_driver_stand_at_their_lines() {
    let text = shop("").replace("url = ", "timeout = \"soon\"\ncurency = \"EUR\"\nurl = ");
    let faults = parse(&text).unwrap_err();
    let found: Vec<(usize, &str)> = faults.faults.iter().map(|fault| (fault.line, fault.path.as_str())).collect();
    assert_eq!(found, [(8, "terminals.bar.timeout"), (9, "terminals.bar.curency")]);
    assert!(faults.faults[1].remedy.starts_with("did you mean `currency`?"), "{faults}");
}

#[test]
fn the_router_takes_its_own_keys_out_of_a_terminals_table() {
    let keys = "currency = \"CHF\"\nqueue = 0\npayment_deadline = \"2m\"\naccept_partial = true\nurl = ";
    let config = loads(&shop("").replace("url = ", keys));
    let bar = &config.terminals["bar"];
    assert_eq!((bar.currency.code(), bar.queue, bar.payment_deadline.as_secs()), ("CHF", 0, 120));
    assert!(bar.accept_partial && bar.settings.currency == bar.currency);
    assert_eq!(bar.settings.table.keys().collect::<Vec<_>>(), ["url"]);
}

#[test]
fn a_terminal_can_have_chores() {
    let with = |lines: &str| parse(&shop("").replace("url = ", &format!("{lines}\nurl = "))).unwrap();
    let chores = |config: &Config| {
        let bar = &config.terminals["bar"];
        (bar.end_of_day.map(|time| time.to_string()), bar.probe)
    };
    assert_eq!(chores(&with("")), (None, None));
    let both = with("end_of_day = \"23:30\"\nprobe = \"5m\"");
    assert_eq!(chores(&both), (Some("23:30:00".to_owned()), Some(Duration::from_secs(300))));
    assert_eq!(chores(&with("probe = \"off\"")), (None, None));
}

#[test]
fn wrong_router_keys_of_a_terminal_are_faults() {
    for (line, message, remedy) in [
        ("currency = \"eur\"", "unknown currency \"eur\"", "ISO 4217"),
        ("queue = -1", "out of its limits", "0 to 100"),
        ("payment_deadline = \"0s\"", "longer than nothing", "300s"),
        ("accept_partial = 1", "expected true or false", "accept_partial = true"),
        ("end_of_day = \"24:00\"", "\"24:00\" is no time of day", "end_of_day = \"23:30\""),
        ("end_of_day = \"9:30\"", "is no time of day", "two digits each"),
        ("end_of_day = \"09:30Z\"", "is no time of day", "two digits each"),
        ("end_of_day = 2330", "expected a text in quotes", "end_of_day = \"23:30\""),
        ("probe = \"never\"", "is no duration", "write \"off\""),
        ("probe = \"500ms\"", "`probe` must be 1s or longer", "write \"off\""),
    ] {
        check_fault(&shop("").replace("url = ", &format!("{line}\nurl = ")), 8, message, remedy);
    }
}

#[test]
fn one_terminal_is_not_listed_twice() {
    let twice = "\n[terminals.spare]\ndriver = \"zvt-tcp\"\naddress = \"192.168.1.100\"\n";
    let text = shop("") + twice;
    check_fault(&text, 19, "reached at 192.168.1.100:20007 already", "terminal = \"counter\"");
    assert_eq!(parse(&text).unwrap_err().faults[0].excerpt.lines().last(), Some("          ^^^^^^^^^^^^^^^"));
}

#[test]
fn one_serial_device_is_not_listed_twice() {
    let line = |name: &str| format!("\n[terminals.{name}]\ndriver = \"zvt-serial\"\ndevice = \"/dev/ttyUSB0\"\n");
    let text = shop("") + &line("kiosk") + &line("spare");
    check_fault(&text, 23, "`kiosk` is reached at /dev/ttyUSB0 already", "terminal = \"kiosk\"");
    assert_eq!(parse(&text).unwrap_err().faults[0].excerpt.lines().last(), Some("         ^^^^^^^^^^^^^^"));
}

/// A device of the machine has many names.
#[cfg(unix)]
#[test]
fn one_serial_device_is_not_listed_under_two_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("ttyS7"), "").unwrap();
    std::os::unix::fs::symlink(path("ttyS7"), path("usb-terminal")).unwrap();
    let line = |name: &str, device: &str| {
        format!("\n[terminals.{name}]\ndriver = \"zvt-serial\"\ndevice = \"{}\"\n", path(device))
    };
    let text = shop("") + &line("kiosk", "usb-terminal") + &line("spare", "ttyS7");
    let message = format!(
        "{} is the device that terminal `kiosk` is reached at already, as {}",
        path("ttyS7"),
        path("usb-terminal")
    );
    check_fault(&text, 23, &message, "terminal = \"kiosk\"");
    std::fs::remove_file(path("usb-terminal")).unwrap();
    loads(&text);
}

#[test]
fn a_device_that_may_be_another_one_tomorrow_deserves_a_look() {
    let shop =
        |device: &str| shop("") + &format!("\n[terminals.kiosk]\ndriver = \"zvt-serial\"\ndevice = \"{device}\"\n");
    let wandering = |device: &str| {
        let warnings = loads(&shop(device)).warnings;
        warnings.into_iter().find(|warning| warning.message.contains("order of plugging in"))
    };
    for device in ["/dev/ttyUSB0", "/dev/ttyACM1"] {
        let warning = wandering(device).unwrap();
        assert!(warning.message.contains(device) && warning.remedy.contains("/dev/serial/by-id"), "{warning:?}");
        assert_eq!(warning.line, 19);
    }
    assert_eq!(wandering("/dev/serial/by-id/usb-FTDI-if00"), None);
    assert_eq!(wandering("/dev/ttyS0"), None);
}

#[test]
fn a_project_belongs_to_one_register() {
    for ids in ["[\"3f942a4b\"]", "[\"7\"]", "[7]", "[8, 8]"] {
        let text = shop("").replace("terminal = \"bar\"", &format!("terminal = \"bar\"\nproject_ids = {ids}"));
        check_fault(&text, 16, "belongs to register", "a project belongs to one register");
    }
    let wrong = shop("").replace("terminal = \"bar\"", "terminal = \"bar\"\nproject_ids = [true]");
    check_fault(&wrong, 16, "expected a text or an integer", "project_ids = [");
}

#[test]
fn a_register_names_a_terminal_that_there_is() {
    let unknown = shop("").replace("terminal = \"bar\"", "terminal = \"baar\"");
    check_fault(&unknown, 15, "there is no terminal `baar`", "did you mean `bar`?");
    // A broken terminal is a fault of its own, not one of every register that uses it.
    check_fault(&shop("").replace("\"http\"", "\"htp\""), 7, "unknown driver `htp`", "did you mean `http`?");
}

#[test]
fn beyond_loopback_a_signature_and_a_token_are_asked_for() {
    let open = "server.listen = \"0.0.0.0:5000\"";
    check_fault(&shop(open), 1, "no signature is asked for", "signature_keys");
    loads(&shop(&format!("{open}\nwebhook.accept_unsigned = true")));
    loads(&shop(&format!("{open}\nwebhook.signature_keys = [\"e4nRJ04Ss2m3EkQxn19V\"]")));
    let both = "webhook.signature_keys = [\"e4nRJ04Ss2m3EkQxn19V\"]\nwebhook.accept_unsigned = true";
    check_fault(&shop(both), 2, "contradicts", "remove one");
    check_fault(&shop("admin.listen = \"192.168.1.2:5001\""), 1, "has no token", "token = {");
    loads(&shop("admin.listen = \"192.168.1.2:5001\"\nadmin.token = \"t0ken\""));
}

#[test]
fn events_grow_old_as_soon_as_signatures_are_checked() {
    let key = "webhook.signature_keys = [\"e4nRJ04Ss2m3EkQxn19V\"]";
    assert_eq!(loads(&shop(key)).webhook.max_age, Some(Duration::from_secs(300)));
    assert_eq!(loads(&shop(&format!("{key}\nwebhook.max_age = \"off\""))).webhook.max_age, None);
    assert_eq!(loads(&shop("webhook.max_age = \"1m\"")).webhook.max_age, Some(Duration::from_secs(60)));
}

#[test]
fn what_works_and_deserves_a_look_is_a_warning() {
    assert_eq!(warnings(&shop("")), ["no signature key: whoever reaches the webhook can start a payment"]);
    let inline = warnings(&shop("webhook.signature_keys = [\"e4nRJ04Ss2m3EkQxn19V\"]"));
    assert_eq!(inline, ["`webhook.signature_keys` is written into the file itself"]);
    let unused = warnings(&shop("").replace("terminal = \"bar\"", "terminal = \"counter\""));
    assert!(unused.contains(&"no register uses terminal `bar`".to_owned()), "{unused:?}");
}

#[test]
fn queue_wait_follows_a_shorter_wait() {
    assert_eq!(loads(&shop("webhook.wait = \"5s\"")).webhook.queue_wait, Duration::from_secs(5));
}

#[test]
fn secrets_are_read_from_where_they_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tillswitch.toml");
    std::fs::write(folder.path().join("key"), "from-a-file\n").unwrap();
    let text = shop("webhook.signature_keys = [{ file = \"key\" }, { env = \"CARGO_MANIFEST_DIR\" }]");
    let config = Config::parse(&text, &path, &registry()).unwrap();
    let keys: Vec<&str> = config.webhook.signature_keys.iter().map(|key| key.reveal()).collect();
    assert_eq!(keys, ["from-a-file", &std::env::var("CARGO_MANIFEST_DIR").unwrap()]);
}

#[cfg(unix)]
#[test]
fn a_secret_that_others_can_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "k").unwrap();
    for (mode, count) in [(0o600, 0), (0o640, 1), (0o604, 1)] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let text = shop("webhook.signature_keys = [{ file = \"key\" }]");
        let config = Config::parse(&text, &folder.path().join("tillswitch.toml"), &registry()).unwrap();
        let found = config.warnings.iter().filter(|warning| warning.message.contains("other users")).count();
        assert_eq!(found, count, "{mode:o}");
    }
}

#[test]
fn a_secret_that_cannot_be_read_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    for (secret, message) in [
        ("{ file = \"absent\" }", "cannot be read"),
        ("{ file = \"empty\" }", "is empty"),
        ("{ env = \"TILLSWITCH_TEST_NEVER_SET\" }", "is not set"),
        ("{ vault = \"hunter2\" }", "a secret is not kept in `vault`"),
        ("{ file = \"a\", env = \"B\" }", "exactly one place"),
        ("{}", "exactly one place"),
        ("\"\"", "the secret is empty"),
        ("20", "expected a secret, found an integer"),
    ] {
        let text = shop(&format!("admin.token = {secret}"));
        let faults = Config::parse(&text, &folder.path().join("tillswitch.toml"), &registry()).unwrap_err();
        assert_eq!((faults.faults.len(), faults.faults[0].line), (1, 1), "{faults}");
        assert!(faults.faults[0].message.contains(message), "{faults}");
        assert!(!faults.to_string().contains("hunter2"), "{faults}");
    }
}

#[test]
fn the_secrets_of_a_driver_are_handed_on_apart() {
    let secrets = "api_key = \"hunter2\"\npass = \"hunter4\"\nauth = { user = \"u\", token = \"hunter3\" }\nurl = ";
    let config = loads(&shop("").replace("url = ", secrets));
    let settings = &config.terminals["bar"].settings;
    assert_eq!(settings.secrets["api_key"].reveal(), "hunter2");
    assert_eq!(settings.secrets["auth.token"].reveal(), "hunter3");
    assert_eq!(settings.secrets["pass"].reveal(), "hunter4");
    assert!(!settings.table.contains_key("api_key") && settings.table["auth"].get("token").is_none());
    assert!(!format!("{config:?}").contains("hunter"), "Debug shows a secret");
    assert!(!format!("{:?}", config.warnings).contains("hunter"), "a warning shows a secret");
    let unreadable = shop("").replace("url = ", "api_key = { env = \"TILLSWITCH_TEST_NEVER_SET\" }\nurl = ");
    check_fault(&unreadable, 8, "is not set", "{ file =");
}

#[test]
fn no_fault_shows_a_secret() {
    for text in [
        shop("webhook.signature_keys = [\"hunter2\", 7, { fil = \"hunter2\" }]"),
        shop("admin = { tokn = \"hunter2\" }"),
        shop("admin = { token = \"hunter2\", listen = 7 }"),
        shop("admin = { token = [\"hunter2\"] }"),
        shop("admin.token = \"hunter2\nwait = 1"),
        shop("webhook.signature_keys = [\n  \"hunter2\",\n  hunter2\n]"),
        shop("").replace("url = ", "api_key = { value = \"hunter2\" }\nurl = "),
        shop("").replace("url = ", "api_kye = \"hunter2\"\nurl = "),
        shop("").replace("url = ", "password = hunter2\nurl = "),
        shop("webhook.signature_keys = \"hunter2\""),
        shop("webhook.signature_key = \"hunter2\""),
        shop("webhook.signature_keys = [{ file = \"absent\" }, { text = \"hunter2\" }]"),
        shop("webhook.secret = \"hunter2\""),
        shop("admin.token = \"hunter2\" hunter2"),
        shop("admin.token = \"\"\"hunter2"),
        shop("admin.token = { text = \"hunter2\", file = \"a\" }"),
        shop("admin.token = { nested = { deeper = \"hunter2\" } }"),
        shop("admin = { token = \"hunter2\", token = \"hunter2\" }"),
        shop("token = \"hunter2\""),
        shop("journal.url = \"postgres://till:hunter2@db/payments\""),
    ] {
        let faults = parse(&text).unwrap_err();
        assert!(!format!("{faults}{faults:?}").contains("hunter2"), "{faults}");
    }
}

#[test]
fn the_project_id_decides_and_the_number_comes_second() {
    let config = loads(&shop(""));
    let find = |id, number| config.find_register(id, number).map(|register| register.name.as_str());
    assert_eq!(find(Some("3f942a4b"), None), Ok("POS-01"));
    assert_eq!(find(Some("7"), Some("POS-02")), Ok("POS-01"), "a listed id decides");
    assert_eq!(find(Some("unlisted"), Some("POS-02")), Ok("POS-02"));
    assert_eq!(find(None, Some("POS-02")), Ok("POS-02"));
    let unknown = find(Some("8"), None).unwrap_err();
    assert_eq!(unknown.line, "project_ids = [\"8\"]");
    assert!(unknown.to_string().contains("no register belongs to project \"8\""), "{unknown}");
    let unknown = find(Some("8"), Some("POS-03")).unwrap_err();
    assert_eq!((unknown.table.as_str(), unknown.line.as_str()), ("[registers.POS-03]", "project_ids = [\"8\"]"));
    let nameless = find(None, None).unwrap_err();
    assert_eq!((nameless.project, nameless.line.as_str()), (None, "default_register = \"POS-01\""));
}

#[test]
fn an_unknown_project_never_falls_back_to_another_register() {
    let config = loads(&shop("webhook.default_register = \"POS-02\""));
    assert_eq!(config.find_register(None, None).unwrap().name, "POS-02");
    assert!(config.find_register(Some("8"), None).is_err());
    assert!(config.find_register(None, Some("POS-9")).is_err());
}

#[test]
fn the_only_register_is_the_default_one() {
    let text = shop("");
    let config = loads(&text[..text.find("[registers.POS-02]").unwrap()]);
    assert_eq!(config.webhook.default_register.as_deref(), Some("POS-01"));
    assert_eq!(config.find_register(None, None).unwrap().name, "POS-01");
    let unknown = config.find_register(Some("we\"ird\u{1b}[2J"), None).unwrap_err();
    assert_eq!(unknown.table, "[registers.POS-01]");
    assert!(!unknown.to_string().contains('\u{1b}'), "{unknown:?}");
    assert!(unknown.line.parse::<toml::Table>().is_ok(), "{unknown:?}");
}

#[test]
fn a_missing_file_says_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Config::load(&folder.path().join("tillswitch.toml"), &registry()).unwrap_err();
    assert!(faults.to_string().contains("tillswitch init"), "{faults}");
    let binary = folder.path().join("binary.toml");
    std::fs::write(&binary, b"a = 1\nb = \"\xff\"\n").unwrap();
    let faults = Config::load(&binary, &registry()).unwrap_err();
    assert_eq!((faults.faults[0].line, faults.faults[0].column), (2, 6), "{faults}");
}

fn example() -> &'static str {
    include_str!("../../config.example.toml")
}

#[test]
fn a_certificate_and_its_key_are_read_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["till.example".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 2, 3);
    let key = rcgen::KeyPair::generate().unwrap();
    let ended = params.self_signed(&key).unwrap().pem();
    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    for (name, text) in [("ended.pem", &ended), ("key.pem", &key.serialize_pem()), ("other.pem", &other)] {
        std::fs::write(folder.path().join(name), text).unwrap();
        use std::os::unix::fs::PermissionsExt;
        let mode = if name == "other.pem" { 0o600 } else { 0o644 };
        std::fs::set_permissions(folder.path().join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let load = |certificate: &str, key: &str| {
        let line = format!("server.tls = {{ certificate = \"{certificate}\", key = \"{key}\" }}");
        Config::parse(&shop(&line), &folder.path().join("tillswitch.toml"), &registry())
    };
    // An ended certificate and a key for everybody are warnings: a router that does not start resolves no doubt.
    let config = load("ended.pem", "key.pem").unwrap();
    let warnings: String =
        config.warnings.iter().map(|warning| format!("{}: {}\n", warning.path, warning.message)).collect();
    assert!(warnings.contains("server.tls.certificate: the certificate has ended on 2020-02-03"), "{warnings}");
    assert!(warnings.contains("key.pem can be read by other users"), "{warnings}");
    for (certificate, key, path, message) in [
        ("ended.pem", "other.pem", "server.tls.key", "other.pem does not fit the certificate"),
        ("key.pem", "key.pem", "server.tls.certificate", "key.pem holds no certificate"),
        ("ended.pem", "ended.pem", "server.tls.key", "ended.pem holds no private key"),
        ("ended.pem", "gone.pem", "server.tls.key", "gone.pem cannot be read"),
    ] {
        let faults = load(certificate, key).unwrap_err();
        let [fault] = faults.faults.as_slice() else { panic!("{faults}") };
        assert!(fault.path == path && fault.message.contains(message) && !fault.remedy.is_empty(), "{faults}");
        assert!(!faults.to_string().contains("PRIVATE KEY"), "{faults}");
    }
}

#[test]
fn the_example_loads() {
    let mut registry = registry();
    registry.register(tillswitch_http::HttpFactory::new());
    let config = Config::parse(example(), &file(), &registry).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(config.registers.len(), 4);
    assert_eq!(config.terminals["counter"].settings.table.len(), 2);
}

/// Every commented key of the example must be one that loads, or the example lies.
#[test]
fn the_commented_keys_of_the_example_load_too() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("signature-key"), "e4nRJ04Ss2m3EkQxn19V").unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["till.example".to_owned()]).unwrap();
    std::fs::write(folder.path().join("fullchain.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.path().join("privkey.pem"), made.signing_key.serialize_pem()).unwrap();
    let mut count = 0;
    for line in example().lines() {
        let commented = line.strip_prefix("# ").filter(|key| is_assignment(key));
        // The token alone reads an environment variable that a test cannot set.
        let Some(key) = commented.filter(|key| !key.starts_with("token")) else {
            continue;
        };
        count += 1;
        let text = example().replace(line, key);
        if let Err(faults) = Config::parse(&text, &folder.path().join("tillswitch.toml"), &registry()) {
            panic!("{key}: {faults}");
        }
    }
    assert!(count > 20, "only {count} commented keys were found");
}

fn is_assignment(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
}

/// A small generator with a fixed seed, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

fn mutate(dice: &mut Dice) -> String {
    let mut lines: Vec<String> = example().lines().map(str::to_owned).collect();
    for _ in 0..1 + dice.roll(3) {
        let (at, other) = (dice.roll(lines.len()), dice.roll(lines.len()));
        match dice.roll(7) {
            0 => drop(lines.remove(at)),
            1 => lines.swap(at, other),
            2 => lines[at] = lines[at].replacen("# ", "", 1),
            3 => lines[at] = lines[at].chars().filter(|_| dice.roll(8) > 0).collect(),
            4 => lines[at] = lines[at].replace('"', ["", "'", "7", "\u{1b}"][dice.roll(4)]),
            5 => lines[at] = lines[at].replace(" = ", [" ", " = [", " = -", " = ü", ".a = "][dice.roll(5)]),
            _ => lines.insert(at, lines[other].clone()),
        }
    }
    lines.join("\n")
}

#[test]
fn a_broken_example_loads_or_says_where_it_is_broken() {
    let mut dice = Dice(0x5eed_7111_5317_c4ed);
    let mut refused = 0;
    for round in 0..200 {
        let text = mutate(&mut dice);
        let Err(faults) = parse(&text) else {
            continue;
        };
        refused += 1;
        assert!(!faults.faults.is_empty(), "round {round}");
        for fault in &faults.faults {
            assert!((1..=text.lines().count()).contains(&fault.line), "round {round}: {fault:?}");
            assert!(!fault.remedy.is_empty() && !fault.message.is_empty(), "round {round}: {fault:?}");
            assert!(fault.excerpt.contains('^') && !fault.excerpt.contains('\u{1b}'), "round {round}: {fault:?}");
        }
    }
    assert!(refused > 50, "only {refused} of 200 variants were broken at all");
}

fn init(folder: &Path, driver: &str, terminal: Option<&str>, project: Option<&str>) -> InitArgs {
    InitArgs {
        terminal: terminal.map(str::to_owned),
        driver: driver.to_owned(),
        project: project.map(str::to_owned),
        config: folder.join("tillswitch.toml"),
        force: false,
    }
}

#[test]
fn the_first_file_loads_whatever_it_was_given() {
    for (driver, terminal, project) in [
        ("zvt-tcp", None, None),
        ("zvt-tcp", Some("10.0.0.7:20007"), Some("3f942a4b")),
        ("http", Some("http://10.0.0.7/pay"), Some("odd \"id\" \\ 'quoted'")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let args = init(folder.path(), driver, terminal, project);
        assert_eq!(init::run(args.clone(), &registry()), ExitCode::SUCCESS);
        let config = Config::load(&args.config, &registry()).unwrap();
        assert_eq!(config.find_register(project, None).unwrap().terminal, "counter");
        assert_eq!(init::run(args.clone(), &registry()), ExitCode::FAILURE, "it is there already");
        assert_eq!(init::run(InitArgs { force: true, ..args }, &registry()), ExitCode::SUCCESS);
    }
}

#[test]
fn nothing_is_written_for_a_driver_that_there_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let args = init(folder.path(), "acme", None, None);
    assert_eq!(init::run(args.clone(), &registry()), ExitCode::from(78));
    assert!(!args.config.exists());
}

#[track_caller]
fn refused(text: &str) -> Faults {
    parse(text).expect_err(text)
}

#[test]
fn the_user_of_an_address_is_never_shown() {
    for (line, key) in [
        ("[journal]\nurl = \"postgres://till:geheim@db/payments\"", "journal.url"),
        ("[webhook]\nwiat = \"http://till:ge@heim@db/\"", "webhook.wiat"),
        ("[webhook]\npath = 'http://till:geheim@db/' # see http://other:geheim@db/", "webhook.path"),
        ("[webhook]\nwait = \"http://till:geheim@db/", ""),
    ] {
        let faults = refused(&format!("{line}\n"));
        let shown = faults.to_string() + &serde_json::to_string(&faults).unwrap();
        assert!(faults.faults.iter().any(|fault| fault.path == key), "{shown}");
        assert!(!shown.contains("heim") && !shown.contains("till:"), "{shown}");
    }
}

#[test]
fn nothing_waits_for_years() {
    for (key, longest) in [
        ("server.shutdown_timeout", "24h"),
        ("webhook.wait", "24h"),
        ("webhook.queue_wait", "24h"),
        ("terminals.counter.payment_deadline", "24h"),
        ("webhook.max_age", "3650d"),
        ("webhook.repeat_window", "3650d"),
        ("webhook.clock_tolerance", "3650d"),
        ("journal.retention", "3650d"),
    ] {
        let too_long = if longest == "24h" { "25h" } else { "3651d" };
        let faults = refused(&format!("{key} = {too_long:?}\n"));
        let fault = faults.faults.iter().find(|fault| fault.path == key).unwrap_or_else(|| panic!("{key}: {faults}"));
        assert!(fault.message.contains("longer than"), "{faults}");
    }
}

#[test]
fn the_state_needs_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    std::fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("deeper")] {
        let faults = refused(&shop(&format!("state_dir = {:?}\n", path.display().to_string())));
        assert!(faults.faults[0].path == "state_dir" && faults.faults[0].message.contains("is no folder"), "{faults}");
    }
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn what_a_fault_quotes_steers_no_screen() {
    let text = "[terminals.\"a\\u001b[2J\"]\ndriver = \"z\\u001b[31m\ttcp\\r\\n\"\n\"k\\u0007\" = 1\n";
    let faults =
        Config::parse(text, Path::new("/nowhere/tillswitch.toml"), &tillswitch::drivers::builtin()).unwrap_err();
    let told = faults.to_string();
    assert!(told.contains("tcp") && !told.contains(|c: char| c.is_control() && c != '\n'), "{told:?}");
    assert!(faults.faults.iter().all(|fault| !(fault.message.clone() + &fault.path).contains(char::is_control)));
}

#[test]
fn a_fault_behind_the_last_line_tells_no_secret_of_it() {
    for text in [
        "[\r\nsignature_keys = \"hunter2\"\n\r\r",
        "[admin\ntoken = \"hunter2\"\n\n\r ",
        "[admin]\ntoken = \"hunter2\"\n\r\r",
    ] {
        let told = parse(text).unwrap_err().to_string();
        assert!(!told.contains("hunter2"), "{text:?}: {told}");
    }
}
