//! A whole shop in one process: simulated terminals, a router in front of them, and a till that sends webhooks. For the demo,
//! for tests and for measurements.

mod till;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tillswitch_core::DriverRegistry;
use tillswitch_http::simulator::{HttpSimulator, SimulatorOptions};
use tillswitch_zvt::simulator::{Options as ZvtOptions, Simulator as ZvtSimulator};

use crate::app::{App, StartError};
use crate::config::{Config, Faults, TerminalConfig};
use crate::journal::JournalError;
use crate::oracle::{self, Ledger, Violation, Witnesses};

pub use till::{Reply, Sale, Till, get, request};

/// What a shop is made of.
#[derive(Debug, Default)]
pub struct Plan {
    zvt: Vec<(String, ZvtOptions)>,
    serial: Vec<(String, ZvtOptions)>,
    http: Vec<(String, SimulatorOptions)>,
    registers: Vec<(String, String, String)>,
    terminal_lines: BTreeMap<String, String>,
    server_lines: String,
    admin_lines: String,
    webhook_lines: String,
    other_lines: String,
    wish_after: Option<Duration>,
    listen: Option<(SocketAddr, SocketAddr)>,
}

impl Plan {
    /// An empty shop.
    pub fn new() -> Plan {
        Plan::default()
    }

    /// With these addresses of the public and the admin listener, instead of free ones.
    pub fn listen(self, public: SocketAddr, admin: SocketAddr) -> Plan {
        Plan { listen: Some((public, admin)), ..self }
    }

    /// With a simulated ZVT terminal.
    pub fn zvt(mut self, name: &str, options: ZvtOptions) -> Plan {
        self.zvt.push((name.to_owned(), options));
        self
    }

    /// With a simulated ZVT terminal on a serial line: a pseudo terminal in the shop's folder.
    pub fn zvt_serial(mut self, name: &str, options: ZvtOptions) -> Plan {
        self.serial.push((name.to_owned(), options));
        self
    }

    /// With a simulated HTTP terminal.
    pub fn http(mut self, name: &str, options: SimulatorOptions) -> Plan {
        self.http.push((name.to_owned(), options));
        self
    }

    /// With a register for a project, at a terminal.
    pub fn register(mut self, name: &str, project: &str, terminal: &str) -> Plan {
        self.registers.push((name.to_owned(), project.to_owned(), terminal.to_owned()));
        self
    }

    /// With further lines in a terminal's table.
    pub fn terminal_lines(mut self, terminal: &str, lines: &str) -> Plan {
        self.terminal_lines.insert(terminal.to_owned(), lines.to_owned());
        self
    }

    /// With terminals that do what they wish after this long without a payment. A reload forgets it.
    pub fn wish_after(self, idle: Duration) -> Plan {
        Plan { wish_after: Some(idle), ..self }
    }

    /// With further lines in `[server]`.
    pub fn server_lines(mut self, lines: &str) -> Plan {
        self.server_lines.push_str(lines);
        self.server_lines.push('\n');
        self
    }

    /// With further lines in `[admin]`.
    pub fn admin_lines(mut self, lines: &str) -> Plan {
        self.admin_lines.push_str(lines);
        self.admin_lines.push('\n');
        self
    }

    /// With further lines in `[webhook]`.
    pub fn webhook_lines(mut self, lines: &str) -> Plan {
        self.webhook_lines.push_str(lines);
        self.webhook_lines.push('\n');
        self
    }

    /// With further lines at the end of the file: whole tables.
    pub fn other_lines(mut self, lines: &str) -> Plan {
        self.other_lines.push_str(lines);
        self.other_lines.push('\n');
        self
    }

    /// The part of the configuration file in front of the terminals. Listeners take free ports unless it is said which.
    fn front(&self) -> String {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (public, admin) = self.listen.unwrap_or((free, free));
        let server = format!("[server]\nlisten = \"{public}\"\n{}\n", self.server_lines);
        let admin = format!("[admin]\nlisten = \"{admin}\"\n{}\n", self.admin_lines);
        format!("{server}{admin}[webhook]\n{}\n", self.webhook_lines)
    }
}

/// Why a shop did not open.
#[derive(Debug)]
pub enum NotOpened {
    /// A simulated terminal did not start.
    Terminal(io::Error),
    /// The configuration is wrong.
    Config(Faults),
    /// The router did not start.
    Router(StartError),
}

impl std::fmt::Display for NotOpened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NotOpened::Terminal(error) => write!(f, "a simulated terminal did not start: {error}"),
            NotOpened::Config(faults) => write!(f, "{faults}"),
            NotOpened::Router(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for NotOpened {}

/// Simulated terminals, and the configuration file of a router in front of them.
pub struct Premises {
    /// ZVT terminals by name, on the network or on a serial line.
    pub zvt: BTreeMap<String, ZvtSimulator>,
    /// HTTP terminals by name.
    pub http: BTreeMap<String, HttpSimulator>,
    /// The configuration file.
    pub config: PathBuf,
}

impl Premises {
    /// Starts the terminals, and writes `tillswitch.toml` into a folder. Listeners take free ports.
    pub async fn prepare(plan: Plan, folder: &Path) -> io::Result<Premises> {
        let (mut zvt, mut http) = (BTreeMap::new(), BTreeMap::new());
        let mut text = plan.front();
        let further = plan.terminal_lines;
        let mut table = |name: &str, driver: &str, address: String| {
            let lines = further.get(name).map_or("", String::as_str);
            let _ = write!(text, "[terminals.{name}]\ndriver = \"{driver}\"\n{address}\n{lines}\n\n");
        };
        for (name, options) in plan.zvt {
            let terminal = ZvtSimulator::start(options).await?;
            table(&name, "zvt-tcp", format!("address = \"{}\"", terminal.addr()));
            zvt.insert(name, terminal);
        }
        for (name, options) in plan.serial {
            let device = folder.join(format!("{name}.tty"));
            zvt.insert(name.clone(), ZvtSimulator::start_serial(options, &device).await?);
            table(&name, "zvt-serial", format!("device = \"{}\"", device.display()));
        }
        for (name, options) in plan.http {
            let terminal = HttpSimulator::start(options).await?;
            table(&name, "http", format!("url = \"{}\"", terminal.url()));
            http.insert(name, terminal);
        }
        for (name, project, terminal) in &plan.registers {
            let _ = write!(text, "[registers.{name}]\nproject_ids = [\"{project}\"]\nterminal = \"{terminal}\"\n\n");
        }
        text.push_str(&plan.other_lines);
        let config = folder.join("tillswitch.toml");
        std::fs::write(&config, text)?;
        Ok(Premises { zvt, http, config })
    }

    /// What all terminals booked.
    pub fn ledgers(&self) -> Vec<Ledger> {
        let zvt = self.zvt.iter().map(|(name, terminal)| Ledger { terminal: name.clone(), entries: terminal.ledger() });
        let http =
            self.http.iter().map(|(name, terminal)| Ledger { terminal: name.clone(), entries: terminal.ledger() });
        zvt.chain(http).collect()
    }

    /// Stops the terminals.
    pub async fn close(self) {
        for terminal in self.zvt.into_values() {
            terminal.stop().await;
        }
        for terminal in self.http.into_values() {
            terminal.stop().await;
        }
    }
}

/// A shop that is open: a router in this process.
pub struct Shop {
    /// The terminals.
    pub premises: Premises,
    /// The router.
    pub app: App,
    /// The till, which remembers every answer.
    pub till: Till,
    registry: DriverRegistry,
    wish_after: Option<Duration>,
}

impl Shop {
    /// Opens it in a folder, with these drivers.
    pub async fn open(plan: Plan, folder: &Path, registry: DriverRegistry) -> Result<Shop, NotOpened> {
        let wish_after = plan.wish_after;
        let premises = Premises::prepare(plan, folder).await.map_err(NotOpened::Terminal)?;
        let app = start(&premises.config, &registry, wish_after).await?;
        let till = Till::new(app.public, &webhook_path(&premises.config, &registry)?);
        Ok(Shop { premises, app, till, registry, wish_after })
    }

    /// Stops the router gracefully and starts it again on the same state; the terminals go on.
    pub async fn restart(self) -> Result<Shop, NotOpened> {
        let Shop { premises, app, till, registry, wish_after } = self;
        app.stop().await;
        let app = start(&premises.config, &registry, wish_after).await?;
        till.moved(app.public);
        Ok(Shop { premises, app, till, registry, wish_after })
    }

    /// What terminals, journal and till say.
    pub async fn witnesses(&self) -> Result<Witnesses, JournalError> {
        let payments = oracle::payments(&*self.app.life().journal).await?;
        Ok(Witnesses { ledgers: self.premises.ledgers(), payments, told: self.till.told() })
    }

    /// What they contradict each other in.
    pub async fn violations(&self) -> Result<Vec<Violation>, JournalError> {
        Ok(oracle::violations(&self.witnesses().await?))
    }

    /// Stops everything.
    pub async fn close(self) {
        self.app.stop().await;
        self.premises.close().await;
    }
}

async fn start(file: &Path, registry: &DriverRegistry, wish_after: Option<Duration>) -> Result<App, NotOpened> {
    let mut config = Config::load(file, registry).map_err(NotOpened::Config)?;
    for terminal in config.terminals.values_mut() {
        let wish_after = wish_after.unwrap_or(terminal.wish_after);
        *terminal = Arc::new(TerminalConfig { wish_after, ..TerminalConfig::clone(terminal) });
    }
    App::start(Arc::new(config)).await.map_err(NotOpened::Router)
}

fn webhook_path(file: &Path, registry: &DriverRegistry) -> Result<String, NotOpened> {
    Ok(Config::load(file, registry).map_err(NotOpened::Config)?.webhook.path)
}
