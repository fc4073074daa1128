//! A router as a process of its own that logs all it can, and everything that it can be made to tell.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, Method};
use tempfile::TempDir;
use tillswitch::server::admin::{ROUTES, Verb};
use tillswitch::shop::{Till, request};
use tillswitch_core::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Pool, Told, in_any_form, number};

pub const KEY: &str = "canary-key-9d39-of-the-point-of-sale";
pub const TOKEN: &str = "canary-token-4c1b-of-whoever-runs-it";
/// The terminal's. It is no secret, and yet no trace shows it.
pub const PASSWORD: &str = "987654";

pub struct Router {
    process: Child,
    folder: TempDir,
    pub till: Till,
    admin: SocketAddr,
}

impl Router {
    pub async fn start(counter: &str, bar: &str, pos_1: &str, pos_2: &str) -> Router {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken = {{ file = \"token\" }}\n\
             [webhook]\nsignature_keys = [{{ file = \"key\" }}]\n\
             [terminals.counter]\ndriver = \"zvt-tcp\"\naddress = \"{counter}\"\npassword = \"{PASSWORD}\"\nreceipts = \"router\"\n\
             [terminals.bar]\ndriver = \"http\"\nurl = \"{bar}\"\n\
             [registers.POS-01]\nproject_ids = [\"{pos_1}\"]\nterminal = \"counter\"\n\
             [registers.POS-02]\nproject_ids = [\"{pos_2}\"]\nterminal = \"bar\"\n"
        );
        for (name, text) in [("tillswitch.toml", config.as_str()), ("key", KEY), ("token", TOKEN)] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut serve = program(&["serve"], folder.path());
        let process = serve.env("TILLSWITCH_LOG", "trace").stderr(log).spawn().unwrap();
        let (public, admin) = until_ready(folder.path());
        let till = Till::new(public, "/webhook/pos-payment").signing(Secret::new(KEY));
        // So that the commands find it, whose file says port 0.
        Router { process, folder, till, admin }
    }

    /// Everything that is logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// What a command prints.
    pub fn run(&self, arguments: &[&str]) -> String {
        let mut command = program(arguments, self.folder.path());
        if arguments[0] != "check" {
            command.args(["--admin", &self.admin.to_string()]);
        }
        let ended = command.output().unwrap();
        let printed = [ended.stdout, ended.stderr].concat();
        assert!(!printed.is_empty(), "{arguments:?} printed nothing");
        String::from_utf8(printed).unwrap()
    }

    /// Listens to the events from now on.
    pub async fn listen(&self) -> Heard {
        let mut stream = TcpStream::connect(self.admin).await.unwrap();
        let head =
            format!("GET /api/v1/events HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n", self.admin);
        stream.write_all(head.as_bytes()).await.unwrap();
        let heard = Heard::default();
        let buffer = heard.0.clone();
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await.unwrap();
        assert!(piece[..count].starts_with(b"HTTP/1.1 200"));
        tokio::spawn(async move {
            while let Ok(count @ 1..) = stream.read(&mut piece).await {
                buffer.lock().unwrap().extend_from_slice(&piece[..count]);
            }
        });
        heard
    }

    /// Every GET there is, with the token, with a wrong one and without.
    pub async fn get_everything(&self, payments: &[String]) -> Told {
        let mut paths: Vec<String> =
            ["/health/live", "/health/ready", "/", "/api/v1/payments?limit=1000"].map(String::from).into();
        for route in ROUTES.iter().filter(|route| route.method == Verb::Get && route.path != "/api/v1/events") {
            match route.path.contains("{id}") {
                true => paths.extend(payments.iter().map(|id| route.path.replace("{id}", id))),
                false => paths.push(route.path.to_owned()),
            }
        }
        let mut told = Told::new();
        for path in paths {
            told.push((format!("GET {path}"), self.ask(Method::GET, &path, TOKEN, "").await));
        }
        for token in [format!("{TOKEN}x"), String::new()] {
            told.push((
                "GET with another token".to_owned(),
                self.ask(Method::GET, "/api/v1/payments", &token, "").await,
            ));
        }
        told
    }

    /// Calls of an operator that hold card numbers in every place, most of which are refused.
    pub async fn spoil_admin(&self, pool: &Pool) -> Told {
        let mut told = Told::new();
        let any = || in_any_form(pool);
        for key in ["register", "operation", "amount", "currency", "document", "confirm_repeat", "reason", "unknown"] {
            let mut wish =
                serde_json::json!({ "register": "POS-02", "operation": "sale", "amount": "1.00", "currency": "EUR" });
            wish[key] = any().into();
            told.push((
                format!("POST with {key}"),
                self.ask(Method::POST, "/api/v1/payments", TOKEN, &wish.to_string()).await,
            ));
        }
        for query in ["state", "since", "limit", "unknown", "register"] {
            let path = format!("/api/v1/payments?{query}={}", number(pool));
            told.push((format!("GET with {query}"), self.ask(Method::GET, &path, TOKEN, "").await));
        }
        for path in [
            "payments/N",
            "N",
            "terminals/N/test",
            "terminals/counter/services/N",
            "terminals/N/trace",
            "payments/N/abort",
        ] {
            let path = format!("/api/v1/{}", path.replace('N', &number(pool)));
            for method in [Method::GET, Method::POST] {
                told.push((format!("{method} {path}"), self.ask(method, &path, TOKEN, "").await));
            }
        }
        for minutes in ["\"N\"", "N", "{\"minutes\":N}", "{\"N\":1}"] {
            let body = minutes.replace('N', &number(pool));
            let path = "/api/v1/terminals/counter/trace";
            told.push((format!("a trace of {body}"), self.ask(Method::POST, path, TOKEN, &body).await));
        }
        told
    }

    async fn ask(&self, method: Method, path: &str, token: &str, body: &str) -> String {
        let mut headers = HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().unwrap())]);
        headers.insert("idempotency-key", uuid_like(body).parse().unwrap());
        let reply = request(self.admin, method, path, headers, body.to_owned()).await.unwrap();
        format!("{:?}\n{}", reply.headers, reply.text)
    }

    /// The bytes of everything that the router keeps.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        files(&self.folder.path().join("tillswitch-state"))
    }

    /// Ends it in good order. What it has kept then.
    pub fn stop(mut self) -> Vec<(String, Vec<u8>)> {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let ended = self.process.wait().unwrap();
        assert!(ended.success(), "{ended}\n{}", self.log());
        self.files()
    }
}

/// Another key for every body, without the digits of it.
fn uuid_like(body: &str) -> String {
    body.bytes().map(|byte| char::from(b'a' + byte % 26)).rev().take(200).chain(['k']).collect()
}

impl Drop for Router {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = paths.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect();
    assert!(files.iter().any(|(name, _)| name.ends_with("payments.db")), "the journal is not among them");
    files
}

/// What was heard so far.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    pub fn heard(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// Its two addresses, as soon as it says that it is ready.
fn until_ready(folder: &Path) -> (SocketAddr, SocketAddr) {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        if let Some(ready) = lines.into_iter().find(|line| line["message"] == "ready") {
            let address = |key: &str| ready[key].as_str().unwrap().parse().unwrap();
            return (address("public"), address("admin"));
        }
        assert!(Instant::now() < until, "it never got ready: {log}");
        std::thread::yield_now();
    }
}

fn program(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tillswitch"));
    command.args(arguments).current_dir(folder).env_remove("RUST_BACKTRACE").stdin(Stdio::null());
    command
}

/// What a command prints that reads its input.
pub fn run_with_input(arguments: &[&str], input: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(arguments, folder.path());
    let mut running = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut pipe, input) = (running.stdin.take().unwrap(), input.to_owned());
    let writing = std::thread::spawn(move || pipe.write_all(input.as_bytes()).unwrap());
    let mut printed = String::new();
    running.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    writing.join().unwrap();
    running.wait().unwrap();
    printed
}
