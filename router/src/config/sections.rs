//! The tables of the router itself: listeners, webhook, answers, journal.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tillswitch_core::Secret;

use super::https::{self, Https};
use super::scope::{Scope, Spot, as_text};
use super::secret;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The shortest retention. What is a day younger still the journal refuses to forget, whatever is asked of it.
const LEAST_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

/// The listener that faces the point of sale.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The certificate, if it speaks https by itself.
    pub tls: Option<Https>,
    /// How many connections are open at most.
    pub max_connections: usize,
    /// How long a graceful stop waits for running payments.
    pub shutdown_timeout: Duration,
}

/// The listener for page, API and metrics.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What everything but health needs, if set. Always set beyond loopback.
    pub token: Option<Secret>,
    /// Further names that the page is reached by.
    pub hosts: Vec<String>,
}

/// What is accepted from the point of sale, and how long it may wait.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The path of the one route.
    pub path: String,
    /// Keys of `Xentral-Signature`; any of them may have signed. Empty: signatures are not looked at.
    pub signature_keys: Vec<Secret>,
    /// Whether unsigned events are accepted beyond loopback. Never true together with keys.
    pub accept_unsigned: bool,
    /// Event names that are payments, besides the built-in ones.
    pub event_types: Vec<String>,
    /// How long an answer may wait for the terminal, counted from the reception of the request.
    pub wait: Duration,
    /// How long a payment may wait for its turn. Never longer than `wait`.
    pub queue_wait: Duration,
    /// How many new payments a register may have on average.
    pub new_payments_per_second: u32,
    /// How old an event may be. `None`: as old as it likes.
    pub max_age: Option<Duration>,
    /// How far in the future an event may lie.
    pub clock_tolerance: Duration,
    /// What happens to the same document again, soon after it was approved.
    pub repeat: Repeat,
    /// What "soon" means there.
    pub repeat_window: Duration,
    /// Whether the total amount contains the tip.
    pub tip: Tip,
    /// The register for events without a project; the only one there is, if there is only one.
    pub default_register: Option<String>,
}

/// What happens to the same document again within `repeat_window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It is refused as a suspected second press.
    Refuse,
    /// It is a second payment: split payments in equal parts.
    Allow,
}

/// Whether `totalAmount` contains the tip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tip {
    /// It does.
    Included,
    /// The tip comes on top.
    Added,
}

/// The HTTP status per result. The point of sale takes 2xx as paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answers {
    /// The terminal declined.
    pub declined: u16,
    /// The customer or the cashier cancelled.
    pub cancelled: u16,
    /// No money moved.
    pub failed: u16,
    /// The outcome is missing.
    pub in_doubt: u16,
    /// Still running when `wait` ended.
    pub pending: u16,
}

/// Where payments are kept.
#[derive(Clone, Debug)]
pub struct Journal {
    /// The SQLite file.
    pub database: PathBuf,
    /// How long payments and slips are kept.
    pub retention: Duration,
}

pub(super) fn server(root: &mut Scope<'_>, base_dir: &Path) -> Server {
    let mut scope = root.section("server");
    let server = Server {
        listen: scope.listen("listen", SocketAddr::from((Ipv4Addr::LOCALHOST, 5000))),
        tls: https::read(&mut scope, base_dir),
        max_connections: scope.integer("max_connections", 256, 1..=65_535) as usize,
        shutdown_timeout: scope.wait("shutdown_timeout", 200 * SECOND),
    };
    scope.finish();
    server
}

pub(super) fn admin(root: &mut Scope<'_>, base_dir: &Path, server: &Server) -> Admin {
    let mut scope = root.section("admin");
    let listen = scope.listen("listen", SocketAddr::from((Ipv4Addr::LOCALHOST, 5001)));
    let token_path = scope.path("token");
    let configured = scope.value("token");
    let token = configured.and_then(|value| secret::read(scope.report, base_dir, &token_path, value));
    if token.as_ref().is_some_and(|token| !token.is_long()) {
        let message = "the token is short enough to be guessed: whoever tries can keep you waiting";
        scope.warning("token", message, "make one with `openssl rand -hex 16`: 16 characters or more");
    }
    let hosts = hosts(&mut scope);
    if configured.is_none() && !listen.ip().is_loopback() {
        let message = format!("the admin listener on {listen} can be reached from other machines and has no token");
        scope.fault("listen", message, "add token = { file = \"admin-token\" } to [admin], or listen on 127.0.0.1");
    }
    if listen == server.listen && listen.port() != 0 {
        let remedy = "give each its own port: the public one shows nothing but the webhook";
        scope.fault("listen", format!("[server] listens on {listen} already"), remedy);
    }
    scope.finish();
    Admin { listen, token, hosts }
}

/// Names without scheme and port, because they are compared with the Host header's name.
fn hosts(scope: &mut Scope<'_>) -> Vec<String> {
    let form = "write host names, without https:// and without port: hosts = [\"till.example\"]";
    let hosts = scope.texts("hosts", form);
    for host in &hosts {
        if host.is_empty() || host.contains(|c: char| c == '/' || c == ':' || c.is_whitespace()) {
            scope.fault("hosts", format!("{host:?} is no host name"), form);
        }
    }
    hosts
}

pub(super) fn webhook(root: &mut Scope<'_>, base_dir: &Path, server: &Server) -> (Webhook, Answers) {
    let public = root.locate(["server", "listen"]);
    let mut scope = root.section("webhook");
    let answers = answers(&mut scope);
    let keys = scope.list("signature_keys", "write a list: signature_keys = [{ file = \"signature-key\" }]");
    let keys_path = scope.path("signature_keys");
    let read = |value: &Spot<'_>| secret::read(scope.report, base_dir, &keys_path, value);
    let signature_keys = keys.iter().filter_map(read).collect();
    let accept_unsigned = scope.flag("accept_unsigned", false);
    signatures(&scope, public, server, !keys.is_empty(), accept_unsigned);
    let (wait, queue_wait) = waits(&mut scope);
    let webhook = Webhook {
        path: path(&mut scope),
        signature_keys,
        accept_unsigned,
        event_types: scope.texts("event_types", "write event names: event_types = [\"pos.paymentCardCaptured\"]"),
        wait,
        queue_wait,
        new_payments_per_second: scope.integer("new_payments_per_second", 200, 1..=1_000_000),
        max_age: max_age(&mut scope, !keys.is_empty()),
        clock_tolerance: scope.duration("clock_tolerance", 5 * MINUTE),
        repeat: scope.choice("repeat", &[("refuse", Repeat::Refuse), ("allow", Repeat::Allow)]),
        repeat_window: scope.duration("repeat_window", 10 * MINUTE),
        tip: scope.choice("tip", &[("included", Tip::Included), ("added", Tip::Added)]),
        default_register: scope.text("default_register", "write a register's name: default_register = \"POS-01\""),
    };
    scope.finish();
    (webhook, answers)
}

/// Whoever can reach the webhook without a signature can start the terminal.
fn signatures(scope: &Scope<'_>, public: Range<usize>, server: &Server, keys: bool, accept_unsigned: bool) {
    let add = "add signature_keys = [{ file = \"signature-key\" }] to [webhook]";
    if keys && accept_unsigned {
        let message = "`accept_unsigned` contradicts `signature_keys`";
        scope.fault("accept_unsigned", message, "remove one of them; with keys, unsigned events are refused");
    } else if !keys && !accept_unsigned && !server.listen.ip().is_loopback() {
        let message = format!("{} can be reached from other machines, and no signature is asked for", server.listen);
        let remedy = format!("{add}, or accept_unsigned = true if something in front of the router checks who calls");
        scope.report.fault(public, "server.listen", message, remedy);
    } else if !keys {
        let message = "no signature key: whoever reaches the webhook can start a payment";
        scope.warning("signature_keys", message, add);
    }
}

/// `wait` and `queue_wait`: a payment that gets its turn after its answer went out would charge a customer who has left.
fn waits(scope: &mut Scope<'_>) -> (Duration, Duration) {
    let wait = scope.positive_wait("wait", 180 * SECOND);
    let default = (30 * SECOND).min(wait);
    let queue_wait = scope.wait("queue_wait", default);
    if queue_wait > wait {
        let message = format!("`queue_wait` ({queue_wait:?}) is longer than `wait` ({wait:?})");
        scope.fault("queue_wait", message, "make it shorter: nothing may start after its answer went out");
    }
    (wait, queue_wait)
}

fn max_age(scope: &mut Scope<'_>, keys: bool) -> Option<Duration> {
    let default = keys.then_some(5 * MINUTE);
    let form = "write a duration such as \"5m\", or \"off\"";
    let read = scope.read("max_age", form, |value| match as_text(value)? {
        "off" => Ok(None),
        text => tillswitch_core::settings::parse_duration(text).map(Some),
    });
    read.unwrap_or(default)
}

fn path(scope: &mut Scope<'_>) -> String {
    let form = "write a path that starts with / and holds letters, digits, - _ . and /; /health is taken";
    let read = scope.read("path", form, |value| {
        let text = as_text(value)?;
        let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        let free = text != "/health" && !text.starts_with("/health/");
        let whole = text.len() > 1 && text.starts_with('/') && !text.ends_with('/') && !text.contains("//");
        if plain && free && whole { Ok(text.to_owned()) } else { Err(format!("{text:?} cannot be the webhook's path")) }
    });
    read.unwrap_or_else(|| "/webhook/pos-payment".to_owned())
}

fn answers(webhook: &mut Scope<'_>) -> Answers {
    let mut scope = webhook.section("answers");
    let answers = Answers {
        declined: status(&mut scope, "declined", 402, 200),
        cancelled: status(&mut scope, "cancelled", 402, 200),
        failed: status(&mut scope, "failed", 502, 400),
        in_doubt: status(&mut scope, "in_doubt", 504, 400),
        pending: status(&mut scope, "pending", 504, 400),
    };
    scope.finish();
    answers
}

fn status(scope: &mut Scope<'_>, key: &'static str, default: u16, least: u16) -> u16 {
    let status = scope.integer(key, u32::from(default), u32::from(least)..=599);
    if status < 300 {
        let message = format!("{status} for `{key}`: the point of sale takes 2xx as paid, and nothing was paid");
        scope.warning(key, message, "keep this only if your point of sale reads the body");
    }
    u16::try_from(status).unwrap_or(default)
}

pub(super) fn journal(root: &mut Scope<'_>, state_dir: &Path, webhook: &Webhook) -> Journal {
    let mut scope = root.section("journal");
    let form = "write url = \"sqlite:payments.db\"; the file is relative to state_dir";
    let file = scope.read("url", form, |value| {
        let text = as_text(value)?;
        let file = text.strip_prefix("sqlite:").filter(|file| !file.is_empty() && !file.starts_with(':'));
        file.map(str::to_owned).ok_or_else(|| format!("{text:?} is no journal that survives a restart"))
    });
    let journal = Journal {
        database: state_dir.join(file.as_deref().unwrap_or("payments.db")),
        retention: retention(&mut scope, webhook),
    };
    scope.finish();
    journal
}

/// A payment that is forgotten while its event may still come again would be charged twice.
fn retention(scope: &mut Scope<'_>, webhook: &Webhook) -> Duration {
    let retention = scope.duration("retention", 3650 * DAY);
    let accepted = webhook.max_age.unwrap_or_default().saturating_add(webhook.repeat_window);
    if retention < LEAST_RETENTION {
        let message = format!("`retention` ({retention:?}) is too short to recognise an event that comes again");
        scope.fault("retention", message, "write at least retention = \"7d\"; for slips, years: \"3650d\"");
    } else if retention < accepted {
        let message = format!("`retention` ({retention:?}) is shorter than `max_age` and `repeat_window` together");
        scope.fault("retention", message, format!("make it longer than {accepted:?}, or those shorter"));
    }
    retention
}
