//! Does whoever supervises the router hear when it is ready, reloads, works and stops?
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a panic is the report of a test

use std::fs;
use std::net::{SocketAddr as Place, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The built router, told to notify this socket.
struct Supervised {
    router: Child,
    socket: UnixDatagram,
    folder: TempDir,
}

impl Supervised {
    fn start(socket: UnixDatagram, name: &str, listen: &str) -> Supervised {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        write_configuration(folder.path(), listen, "");
        let router = Command::new(env!("CARGO_BIN_EXE_tillswitch"))
            .args(["serve", "--config"])
            .arg(folder.path().join("tillswitch.toml"))
            .env("NOTIFY_SOCKET", name)
            .env("WATCHDOG_USEC", "200000")
            .env_remove("WATCHDOG_PID")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Supervised { router, socket, folder }
    }

    /// The next message, sign of life or not.
    fn next(&self) -> String {
        let mut space = [0; 4096];
        let length = self.socket.recv(&mut space).expect("the router says something");
        String::from_utf8(space[..length].to_vec()).unwrap()
    }

    /// The next message that is no sign of life.
    fn next_state(&self) -> String {
        loop {
            let message = self.next();
            if message != "WATCHDOG=1" {
                return message;
            }
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.router.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    fn end(&mut self) -> ExitStatus {
        self.router.wait().unwrap()
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        // A test that failed leaves a router behind, and nothing can be done when it is gone already.
        let _ = self.router.kill();
        let _ = self.router.wait();
    }
}

fn write_configuration(folder: &Path, listen: &str, more: &str) {
    let text = format!(
        "[server]\nlisten = \"{listen}\"\nshutdown_timeout = \"100s\"\n\n[admin]\nlisten = \"127.0.0.1:0\"\n\n\
         [terminals.counter]\ndriver = \"http\"\nurl = \"http://127.0.0.1:9/payment\"\n\n\
         [registers.POS-01]\nproject_ids = [1]\nterminal = \"counter\"\n{more}"
    );
    fs::write(folder.join("tillswitch.toml"), text).unwrap();
}

fn value<'m>(message: &'m str, key: &str) -> Option<&'m str> {
    message.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

/// The addresses that a status names.
fn places(status: &str) -> Vec<Place> {
    let words = status.split_whitespace().map(|word| word.trim_end_matches(['.', ';']));
    words.filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn a_supervisor_hears_of_start_reload_work_and_stop() {
    let sockets = tempfile::tempdir().unwrap();
    let path = sockets.path().join("notify");
    let mut router = Supervised::start(UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap(), "127.0.0.1:0");
    let starting = router.next();
    assert!(value(&starting, "STATUS").unwrap().starts_with("Starting") && value(&starting, "READY").is_none());

    let ready = router.next();
    assert_eq!(value(&ready, "READY"), Some("1"), "{ready}");
    let places = places(value(&ready, "STATUS").unwrap());
    assert_eq!(places.len(), 2, "{ready}");
    for place in places {
        TcpStream::connect(place).expect("a router that is ready listens");
    }
    assert_eq!(router.next(), "WATCHDOG=1");
    assert_eq!(router.next(), "WATCHDOG=1");

    router.signal("HUP");
    let reloading = router.next_state();
    assert_eq!(value(&reloading, "RELOADING"), Some("1"), "{reloading}");
    let up = fs::read_to_string("/proc/uptime").unwrap();
    let up: f64 = up.split(' ').next().unwrap().parse().unwrap();
    let at = value(&reloading, "MONOTONIC_USEC").unwrap().parse::<f64>().unwrap() / 1e6;
    assert!((up - 60.0..=up + 1.0).contains(&at), "{at} s, {up} s");
    let ready = router.next_state();
    assert_eq!((value(&ready, "READY"), ready.contains("refused")), (Some("1"), false), "{ready}");

    write_configuration(router.folder.path(), "127.0.0.1:0", "nonsense = true\n");
    router.signal("HUP");
    assert_eq!(value(&router.next_state(), "RELOADING"), Some("1"));
    let ready = router.next_state();
    assert_eq!((value(&ready, "READY"), ready.contains("refused")), (Some("1"), true), "{ready}");

    router.signal("TERM");
    let stopping = router.next_state();
    assert_eq!(value(&stopping, "STOPPING"), Some("1"), "{stopping}");
    assert_eq!(value(&stopping, "EXTEND_TIMEOUT_USEC"), Some("160000000"), "{stopping}");
    assert!(router.end().success());
}

#[test]
fn a_socket_without_a_file_is_told_too() {
    let name = format!("tillswitch-notified-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let mut router = Supervised::start(socket, &format!("@{name}"), "127.0.0.1:0");
    assert_eq!(value(&router.next(), "READY"), None);
    // A signal as early as anybody can send one on purpose does not end it.
    router.signal("HUP");
    assert_eq!(value(&router.next(), "READY"), Some("1"));
    assert_eq!(value(&router.next_state(), "RELOADING"), Some("1"));
    assert_eq!(value(&router.next_state(), "READY"), Some("1"));
    router.signal("INT");
    assert_eq!(value(&router.next_state(), "STOPPING"), Some("1"));
    assert!(router.end().success());
}

#[test]
fn a_router_that_cannot_listen_is_never_ready() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let sockets = tempfile::tempdir().unwrap();
    let path = sockets.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let mut router = Supervised::start(socket, path.to_str().unwrap(), &listen);
    assert_eq!(router.end().code(), Some(69));
    router.socket.set_nonblocking(true).unwrap();
    assert!(value(&router.next(), "STATUS").unwrap().starts_with("Starting"));
    let mut space = [0; 100];
    assert!(router.socket.recv(&mut space).is_err(), "nothing else was said");
}
