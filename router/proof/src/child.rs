//! How is a router started, heard and killed as a process of its own?

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tillswitch_core::DriverRegistry;
use tillswitch_http::HttpFactory;
use tillswitch_zvt::{Timing, ZvtSerialFactory, ZvtTcpFactory};

/// In the environment: this program is a router.
const ROUTER: &str = "TILLSWITCH_PROOF_ROUTER";
/// In the environment: the drivers wait longer for a slow machine, and look a second time sooner.
const HURRIED: &str = "TILLSWITCH_PROOF_HURRIED";
/// How long a router may take to get ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether this process was started to be a router.
pub fn is_router() -> bool {
    std::env::var_os(ROUTER).is_some()
}

/// In the environment of a router whose terminals are settled soon.
pub fn hurried() -> (&'static str, String) {
    (HURRIED, "1".into())
}

/// The drivers of a router: the built-in ones, with other timers where that is wanted.
pub fn drivers() -> DriverRegistry {
    if std::env::var_os(HURRIED).is_none() {
        return tillswitch::drivers::builtin();
    }
    let second_reading = Timing::fast().second_reading;
    let timing = Timing { second_reading, ..Timing::default() };
    let mut registry = DriverRegistry::new();
    registry.register(HttpFactory);
    registry.register(ZvtSerialFactory { timing: timing.clone() });
    registry.register(ZvtTcpFactory { timing });
    registry
}

/// A router in a process of its own: the whole program, `tillswitch serve`. It is killed when this is dropped.
pub struct Router {
    process: std::process::Child,
    /// Where the till reaches it.
    pub public: SocketAddr,
    /// Where the admin API is.
    pub admin: SocketAddr,
    /// How many payments its start found dispatched.
    pub in_doubt: u64,
}

/// It ended before it was ready.
#[derive(Debug)]
pub struct Ended {
    /// With which exit code; `None`: by a signal.
    pub code: Option<i32>,
    /// The end of its log.
    pub log: String,
}

impl Router {
    /// Starts one and waits until it is ready. Blocks: for `spawn_blocking`, or where nothing else is to be done.
    pub fn start(config: &Path, environment: &[(&str, String)]) -> Result<Router, Ended> {
        let log = config.with_extension("log");
        let mut process = command(config, environment).spawn().expect("this program can be started once more");
        let lines = keep(&mut process, &log);
        match lines.recv_timeout(PATIENCE).ok().and_then(|line| serde_json::from_str::<serde_json::Value>(&line).ok()) {
            Some(ready) => {
                let address = |key: &str| ready[key].as_str().and_then(|text| text.parse().ok());
                let (public, admin) = (address("public"), address("admin"));
                Ok(Router {
                    process,
                    public: public.expect("ready names the public listener"),
                    admin: admin.expect("ready names the admin listener"),
                    in_doubt: ready["in_doubt"].as_u64().unwrap_or_default(),
                })
            }
            None => {
                let _ = process.kill();
                let code = process.wait().ok().and_then(|status| status.code());
                Err(Ended { code, log: end_of(&log) })
            }
        }
    }

    /// Starts one and kills it when this time is over, whatever it is at. Blocks.
    pub fn start_and_kill(config: &Path, environment: &[(&str, String)], after: Duration) {
        let mut process = command(config, environment).spawn().expect("this program can be started once more");
        keep(&mut process, &config.with_extension("log"));
        std::thread::sleep(after);
        // It may have ended by itself.
        let _ = process.kill();
        let _ = process.wait();
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// SIGTERM, and how it ended. Blocks.
    pub fn stop(mut self) -> std::process::ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.process);
        // One that has ended by itself cannot be asked any more.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        self.process.wait().expect("it is waited for once")
    }

    /// SIGKILL. When this returns the process is gone, and its lock with it.
    pub fn kill(self) {
        drop(self);
    }

    /// The same, where somebody else has it.
    pub fn kill_now(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.kill_now();
    }
}

/// This very program, once more, as a router.
fn command(config: &Path, environment: &[(&str, String)]) -> Command {
    let own = std::env::current_exe().expect("this program has a file");
    let mut command = Command::new(own);
    command.args(["serve", "--config"]).arg(config).env(ROUTER, "1").envs(environment.iter().cloned());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Keeps everything that it logs in a file, and sends on the line that says that it is ready.
fn keep(process: &mut std::process::Child, log: &Path) -> Receiver<String> {
    use std::io::Write as _;
    let (sender, receiver) = channel();
    let output = process.stderr.take().expect("it was asked for a pipe");
    let mut file = File::options().create(true).append(true).open(log).expect("the log can be written");
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = writeln!(file, "{line}");
            if line.contains("\"message\":\"ready\"") {
                let _ = sender.send(line);
            }
        }
    });
    receiver
}

fn end_of(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
