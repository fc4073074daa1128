//! Runs the commands of a document: `tillswitch` is the program that was just built, `curl` is spoken here, and the ports of the
//! document are replaced by free ones, so that the test disturbs nobody.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tillswitch::shop::{get, request};

/// The ports that documents name.
const PORTS: [&str; 3] = ["5000", "5001", "20007"];
/// The device that documents name.
const DEVICE: &str = "/tmp/terminal";
/// The commands that run in a window of their own until they are stopped.
const STAY: [&str; 2] = ["serve", "simulate"];
/// How long a program may take to get ready.
const READY_WITHIN: Duration = Duration::from_secs(20);

pub struct Console {
    folder: tempfile::TempDir,
    ports: BTreeMap<&'static str, u16>,
    background: Vec<Child>,
    answers: Vec<String>,
    printed: String,
    runtime: tokio::runtime::Runtime,
}

impl Console {
    pub fn open() -> Console {
        let held: Vec<TcpListener> =
            PORTS.iter().map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
        let ports = PORTS.iter().zip(&held).map(|(port, free)| (*port, free.local_addr().unwrap().port())).collect();
        Console {
            folder: tempfile::tempdir().unwrap(),
            ports,
            background: Vec::new(),
            answers: Vec::new(),
            printed: String::new(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
        }
    }

    /// What `curl` printed, one text per call.
    pub fn answers(&self) -> &[String] {
        &self.answers
    }

    /// What `tillswitch` printed when it ended.
    pub fn printed(&self) -> &str {
        &self.printed
    }

    pub fn run(&mut self, line: &str) {
        let device = self.folder.path().join("terminal");
        let line = self.with_free_ports(line).replace(DEVICE, device.to_str().unwrap());
        let words = words(&line);
        match words[0].as_str() {
            "tillswitch" if STAY.contains(&words[1].as_str()) => self.start(&words[1..]),
            "tillswitch" => self.finish(&words[1..]),
            "curl" => self.curl(&words[1..]),
            other => panic!("the console of this test does not know {other}"),
        }
    }

    fn with_free_ports(&self, text: &str) -> String {
        let replace = |text: String, (port, free): (&&str, &u16)| {
            text.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{free}"))
        };
        self.ports.iter().fold(text.to_owned(), replace)
    }

    fn program(&self, arguments: &[String]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tillswitch"));
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    fn finish(&mut self, arguments: &[String]) {
        let output = self.program(arguments).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?} ended with {}:\n{out}{err}", output.status);
        self.printed += &out;
        if arguments[0] == "init" {
            self.move_listeners();
        }
    }

    /// `init` leaves the listeners at their documented ports.
    fn move_listeners(&self) {
        let file = self.folder.path().join("tillswitch.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let listeners =
            self.with_free_ports("[server]\nlisten = \"127.0.0.1:5000\"\n[admin]\nlisten = \"127.0.0.1:5001\"\n");
        std::fs::write(&file, listeners + &text).unwrap();
    }

    /// Starts a program in the background and waits for the line that says that it is ready.
    fn start(&mut self, arguments: &[String]) {
        let mut child = self.program(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (lines, received) = std::sync::mpsc::channel();
        let streams: [(bool, Box<dyn Read + Send>); 2] =
            [(false, Box::new(child.stdout.take().unwrap())), (true, Box::new(child.stderr.take().unwrap()))];
        for (is_log, stream) in streams {
            let lines = lines.clone();
            std::thread::spawn(move || {
                BufReader::new(stream).lines().map_while(Result::ok).for_each(|line| drop(lines.send((is_log, line))))
            });
        }
        self.background.push(child);
        let until = Instant::now() + READY_WITHIN;
        let ready = ["listens on", "is plugged in at", "\"message\":\"ready\""];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let (is_log, line) =
                received.recv_timeout(left).unwrap_or_else(|_| panic!("{arguments:?} did not get ready"));
            let is_json = serde_json::from_str::<serde_json::Value>(&line).is_ok();
            assert!(is_json || !is_log, "a program that reads the log would stumble over {line:?}");
            if ready.iter().any(|sign| line.contains(sign)) {
                return;
            }
        }
    }

    fn curl(&mut self, words: &[String]) {
        let body = words.iter().position(|word| word == "-d").map(|place| words[place + 1].clone());
        let url = words.iter().find_map(|word| word.strip_prefix("http://")).expect("curl is given an address");
        let (address, path) = url.split_once('/').unwrap();
        let (address, path): (SocketAddr, String) = (address.parse().unwrap(), format!("/{path}"));
        let reply = self.runtime.block_on(async {
            match body {
                Some(body) => request(address, hyper::Method::POST, &path, hyper::HeaderMap::new(), body).await,
                None => get(address, &path).await,
            }
        });
        let reply = reply.unwrap();
        self.answers.push(format!("{} {}", reply.status, reply.text));
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        for child in &mut self.background {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Splits a command line at blanks outside of single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => words.last_mut().expect("there is a first word").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
