//! How a router in a process of its own is started, heard and ended.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::held::Hold;

/// Names the configuration file; makes the test binary a router.
pub const CONFIG: &str = "TILLSWITCH_TEST_ROUTER";
/// Where the router's journal stops.
pub const HOLD: &str = "TILLSWITCH_TEST_HOLD";
/// What lines from the router begin with: the test framework writes to the same place.
const MARK: &str = "@router ";
/// How long the router may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// A router in a process of its own.
pub struct Router {
    process: Child,
    /// The router ends when this does. Not left in `process`: waiting for that would close it first.
    _alive: Option<ChildStdin>,
    /// Where the till reaches it.
    pub public: SocketAddr,
    /// Where the admin API is.
    pub admin: SocketAddr,
    /// How many payments its start found dispatched.
    pub recovered: usize,
    said: mpsc::UnboundedReceiver<String>,
    log: PathBuf,
}

impl Router {
    /// Starts it and waits until it listens.
    pub async fn start(config: &Path, hold: Option<Hold>) -> Router {
        let mut router = Router::launch(config, hold);
        let ready = hear(&mut router.said, "ready ", &router.log).await;
        let [public, admin, recovered]: [&str; 3] = ready.split(' ').collect::<Vec<_>>().try_into().unwrap();
        (router.public, router.admin) = (public.parse().unwrap(), admin.parse().unwrap());
        router.recovered = recovered.parse().unwrap();
        router
    }

    /// Starts it and waits for nothing. Its log is kept beside the configuration.
    pub fn launch(config: &Path, hold: Option<Hold>) -> Router {
        let log = config.with_extension("log");
        let mut command = Command::new(myself());
        command.args(["--exact", "kills::child_router", "--nocapture", "--test-threads=1"]);
        command.env(CONFIG, config).env("TILLSWITCH_LOG", "debug");
        if let Some(hold) = hold {
            command.env(HOLD, hold.word());
        }
        let errors = File::options().create(true).append(true).open(&log).unwrap();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut process = command.spawn().unwrap();
        let alive = process.stdin.take();
        let said = listen(&mut process);
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        Router { process, _alive: alive, public: nowhere, admin: nowhere, recovered: 0, said, log }
    }

    /// Waits until its journal has stopped where it was to stop.
    pub async fn until_held(&mut self) {
        hear(&mut self.said, "held", &self.log).await;
    }

    /// SIGKILL. When this returns the process is gone, and its lock with it.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// SIGTERM, and how it ended.
    pub async fn stop(mut self) -> ExitStatus {
        terminate(&self.process);
        tokio::task::spawn_blocking(move || self.process.wait().unwrap()).await.unwrap()
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Router {
    /// A test that failed leaves no router behind, and shows what that one wrote. After [`Router::kill`] there is nothing left
    /// to kill.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

/// This very program. On Linux by a name that also stands for it when a build has put another file in its place.
fn myself() -> PathBuf {
    let own = PathBuf::from("/proc/self/exe");
    if own.exists() { own } else { std::env::current_exe().unwrap() }
}

/// Asks a process to end.
pub fn terminate(process: &Child) {
    let order = format!("kill -TERM {}", process.id());
    assert!(Command::new("sh").args(["-c", &order]).status().unwrap().success());
}

fn listen(process: &mut Child) -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let output = process.stdout.take().expect("it was asked for a pipe");
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some((_, said)) = line.split_once(MARK) {
                let _ = sender.send(said.to_owned());
            }
        }
    });
    receiver
}

async fn hear(said: &mut mpsc::UnboundedReceiver<String>, word: &str, log: &Path) -> String {
    let heard = timeout(PATIENCE, said.recv()).await;
    let line = heard.ok().flatten();
    let rest = line.as_deref().and_then(|line| line.strip_prefix(word));
    let log = || std::fs::read_to_string(log).unwrap_or_default();
    rest.unwrap_or_else(|| panic!("the router did not say {word:?} but {line:?}; its log:\n{}", log())).to_owned()
}

/// In the child: a line to the parent.
pub fn say(line: &str) {
    println!("\n{MARK}{line}");
}

/// In the child: ends this process when the parent's end of standard input is gone.
pub fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
}
