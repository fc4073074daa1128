//! How does the service's supervisor hear how the router is? (`sd_notify(3)`: lines of text in a datagram.)
//!
//! Written here and not taken from a crate: the whole protocol is one socket and a few words, and no crate sends without
//! holding up the thread that sends.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::net::UnixDatagram;
use tokio::time::timeout;

/// Where the supervisor listens.
const SOCKET: &str = "NOTIFY_SOCKET";
/// How often it wants a sign of life, in microseconds, and from which process.
const WATCHDOG: &str = "WATCHDOG_USEC";
const WATCHDOG_PROCESS: &str = "WATCHDOG_PID";
/// How long a supervisor that takes nothing is waited for. A router without a supervisor is better than none.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whoever started the router and wants to know how it is; nobody, mostly.
pub(super) struct Supervisor(Option<UnixDatagram>);

impl Supervisor {
    /// The one that the environment names.
    pub(super) fn from_environment() -> Supervisor {
        match std::env::var_os(SOCKET).filter(|address| !address.is_empty()) {
            Some(address) => Supervisor::at(&address),
            None => Supervisor(None),
        }
    }

    /// The one that listens at this address.
    pub(super) fn at(address: &OsStr) -> Supervisor {
        match connect(address.as_bytes()) {
            Ok(socket) => Supervisor(Some(socket)),
            Err(error) => {
                tracing::warn!(?address, %error, "nobody is told how the router is: {SOCKET} cannot be used");
                Supervisor(None)
            }
        }
    }

    /// The listeners are open.
    pub(super) async fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={}", line(status))).await;
    }

    /// The configuration is being read again; [`ready`](Supervisor::ready) ends that.
    pub(super) async fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}\nSTATUS=Reading the configuration again."))
            .await;
    }

    /// The stop has begun, and may take so long. A supervisor that would end it sooner is asked for the time: whoever makes
    /// `shutdown_timeout` longer need not think of the service's own limit.
    pub(super) async fn stopping(&self, at_most: Duration) {
        let status = "Stopping: nothing new starts, running payments may end.";
        let microseconds = at_most.as_micros();
        self.tell(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={microseconds}\nSTATUS={status}")).await;
    }

    /// The router works.
    pub(super) async fn alive(&self) {
        self.tell("WATCHDOG=1").await;
    }

    /// A sentence for people.
    pub(super) async fn status(&self, status: &str) {
        self.tell(&format!("STATUS={}", line(status))).await;
    }

    async fn tell(&self, state: &str) {
        let Some(socket) = &self.0 else { return };
        let told = timeout(PATIENCE, socket.send(state.as_bytes())).await;
        let told = told.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if let Err(error) = told {
            let word = state.lines().next().unwrap_or_default();
            tracing::warn!(%error, "the service's supervisor was not told {word}");
        }
    }
}

/// A path, or with an `@` a name that is in no file system.
fn connect(address: &[u8]) -> io::Result<UnixDatagram> {
    let socket = StdDatagram::unbound()?;
    socket.connect_addr(&parse(address)?)?;
    socket.set_nonblocking(true)?;
    UnixDatagram::from_std(socket)
}

fn parse(address: &[u8]) -> io::Result<SocketAddr> {
    match address {
        [b'/', ..] => SocketAddr::from_pathname(OsStr::from_bytes(address)),
        [b'@', name @ ..] => abstract_name(name),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "it is neither a path nor an abstract name")),
    }
}

#[cfg(target_os = "linux")]
fn abstract_name(name: &[u8]) -> io::Result<SocketAddr> {
    <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_name(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux has abstract names"))
}

/// A state ends with its line.
fn line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

/// How often a sign of life is sent: twice as often as it is missed.
pub(super) fn signs_of_life() -> Option<Duration> {
    let text = |name| std::env::var(name).ok();
    interval(text(WATCHDOG).as_deref(), text(WATCHDOG_PROCESS).as_deref(), std::process::id())
}

fn interval(microseconds: Option<&str>, process: Option<&str>, own: u32) -> Option<Duration> {
    let meant = process.is_none_or(|process| process.parse() == Ok(own));
    let limit = microseconds?.parse().ok().filter(|limit| meant && *limit > 0)?;
    Some(Duration::from_micros(limit) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_life_are_asked_of_this_process_or_not_at_all() {
        for (limit, process, expected) in [
            (Some("30000000"), None, Some(15_000)),
            (Some("30000000"), Some("17"), Some(15_000)),
            (Some("30000000"), Some("18"), None),
            (Some("30000000"), Some(""), None),
            (Some("0"), None, None),
            (Some("soon"), None, None),
            (None, Some("17"), None),
        ] {
            assert_eq!(interval(limit, process, 17), expected.map(Duration::from_millis), "{limit:?} {process:?}");
        }
    }

    #[tokio::test]
    async fn a_status_is_one_line_and_a_supervisor_that_has_gone_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listener = StdDatagram::bind(&path).unwrap();
        let supervisor = Supervisor::at(path.as_os_str());
        supervisor.status("two\nlines\nREADY=1").await;
        let mut space = [0; 100];
        let length = listener.recv(&mut space).unwrap();
        assert_eq!(&space[..length], b"STATUS=two lines READY=1");
        drop(listener);
        supervisor.alive().await;
    }

    #[test]
    fn only_paths_and_abstract_names_are_addresses() {
        for address in ["", "relative", "vsock:2:1234"] {
            assert!(parse(address.as_bytes()).is_err(), "{address}");
        }
    }
}
