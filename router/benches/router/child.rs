//! What does a process use: time to start, processor, memory?

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::forwarder;
use crate::terminals::Terminals;

/// A process that is measured. It is ended with the measurement, however that ends.
pub struct Child {
    process: std::process::Child,
    /// Where it takes webhooks.
    pub address: SocketAddr,
    /// From its first instruction until it takes webhooks.
    pub start: Duration,
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself, which has shown elsewhere.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Child {
    /// The built router.
    pub fn router(config: &Path) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tillswitch"));
        command.args(["serve", "--config"]).arg(config).stderr(Stdio::piped());
        let start = Instant::now();
        let mut process = command.spawn().expect("the router was built");
        let log = process.stderr.take().expect("it is piped");
        let address = wait_for(log, |line| {
            let line = line.contains("\"message\":\"ready\"").then(|| serde_json::from_str(line))?;
            let line: serde_json::Value = line.expect("a line of the log is JSON");
            line["public"].as_str()?.parse().ok()
        });
        Child { process, address, start: start.elapsed() }
    }

    /// A durable forwarder with a file of this name: this very program.
    pub fn forwarder(folder: &Path, file: &str, terminals: &Terminals) -> Child {
        let list = folder.join("terminals");
        fs::write(&list, terminals.list()).expect("the folder can be written");
        let mut command = Command::new(std::env::current_exe().expect("this program has a file"));
        command.arg(forwarder::ARGUMENT).arg(folder.join(file)).arg(list).stdout(Stdio::piped());
        let start = Instant::now();
        let mut process = command.spawn().expect("this program can be started");
        let address = wait_for(process.stdout.take().expect("it is piped"), |line| line.parse().ok());
        Child { process, address, start: start.elapsed() }
    }

    /// The processor time of all its threads so far, in nanoseconds as the scheduler counts them (proc(5)): the ticks of
    /// `stat` are too coarse for a short round.
    pub fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id())).expect("the process runs, on Linux");
        let spent = |task: fs::DirEntry| -> u64 {
            let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            text.split_whitespace().next().map_or(0, |time| time.parse().expect("a time is a number"))
        };
        Duration::from_nanos(tasks.flatten().map(spent).sum())
    }

    /// How much of it is in memory at the moment.
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).expect("its memory is a number")
    }
}

/// Reads lines until one says where the process listens, and throws the later ones away.
fn wait_for(output: impl Read + Send + 'static, address: impl Fn(&str) -> Option<SocketAddr>) -> SocketAddr {
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let found = lines.find_map(|line| address(&line)).expect("the process gets ready");
    std::thread::spawn(move || lines.for_each(drop));
    found
}
