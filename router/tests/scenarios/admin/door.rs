//! Does the admin listener keep strangers out and its owner in, and does looking change nothing?

use std::time::Duration;

use hyper::header::{AUTHORIZATION, COOKIE, HeaderName};
use hyper::{HeaderMap, Method};
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, OpenFlags};
use tillswitch::server::admin::{ROUTES, Verb};
use tillswitch::shop::{Reply, request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::calls::{UNKNOWN, filled};
use super::{TOKEN, ask, guarded};
use crate::harness::*;

/// What every answer says to a browser.
const PROTECTION: [(&str, &str); 4] = [
    ("cache-control", "no-store"),
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
];

/// The head of an answer, without waiting for its body: that of the events never ends.
async fn head(scene: &Scene, address: std::net::SocketAddr, raw: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(raw.replace("HOST", &scene.app.admin.to_string()).as_bytes()).await.unwrap();
    let mut read = Vec::new();
    let reading = async {
        while !read.windows(4).any(|end| end == b"\r\n\r\n") {
            read.push(stream.read_u8().await.unwrap());
        }
    };
    timeout(Duration::from_secs(20), reading).await.expect("an answer has a head");
    String::from_utf8(read).unwrap().to_ascii_lowercase()
}

#[tokio::test]
async fn every_answer_tells_a_browser_to_be_careful() {
    let scene = guarded().await;
    let bearer = format!("authorization: Bearer {TOKEN}\r\n");
    let mut asked = vec![
        (scene.app.public, "GET /health/live HTTP/1.1\r\nhost: HOST\r\n\r\n".to_owned()),
        (scene.app.public, "GET /nothing HTTP/1.1\r\nhost: HOST\r\n\r\n".to_owned()),
        (scene.app.public, "POST /webhook/pos-payment HTTP/1.1\r\nhost: HOST\r\ncontent-length: 1\r\n\r\n{".to_owned()),
        (
            scene.app.public,
            "POST /webhook/pos-payment HTTP/1.1\r\nhost: HOST\r\ncontent-length: 99999\r\n\r\n".to_owned(),
        ),
        (scene.app.public, "nonsense\r\n\r\n".to_owned()),
        (scene.app.admin, "GET /health/ready HTTP/1.1\r\nhost: HOST\r\n\r\n".to_owned()),
        (scene.app.admin, "GET /metrics HTTP/1.1\r\nhost: evil.test\r\n\r\n".to_owned()),
        (scene.app.admin, "GET /metrics HTTP/1.1\r\n\r\n".to_owned()),
    ];
    for route in ROUTES {
        for allowed in ["", bearer.as_str()] {
            let (method, path) = (route.method.name(), filled(route));
            asked.push((scene.app.admin, format!("{method} {path} HTTP/1.1\r\nhost: HOST\r\n{allowed}\r\n")));
        }
    }
    for (address, raw) in asked {
        let head = head(&scene, address, &raw).await;
        for (name, value) in PROTECTION {
            let told: Vec<&str> = head.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect();
            assert_eq!(told, [value], "{name} of {raw:?}: {head}");
        }
        for telltale in ["server:", "x-powered-by:", "access-control-allow"] {
            assert!(!head.contains(telltale), "{raw:?}: {head}");
        }
    }
    scene.close().await;
}

/// Every row of the journal.
fn rows(scene: &Scene) -> Vec<(String, Vec<Vec<Cell>>)> {
    let file = scene.folder().join("tillswitch-state/payments.db");
    let journal = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut names = journal.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let rows = |name: String| {
        let mut all = journal.prepare(&format!("SELECT * FROM \"{name}\"")).unwrap();
        let columns = all.column_count();
        let cells = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
        let rows = all.query_map([], cells).unwrap().map(Result::unwrap).collect();
        (name, rows)
    };
    names.into_iter().map(rows).collect()
}

#[tokio::test]
async fn looking_changes_nothing() {
    let scene = Scene::open(|folder| one_register(scripted(quick(folder, "counter"), "approve, decline"))).await;
    let paid = scene.send(sale("1", "1")).await;
    scene.until_told(&paid).await;
    scene.send(sale("2", "2")).await;
    let id = paid.payment().unwrap();
    let before = rows(&scene);
    assert!(before.iter().any(|(name, rows)| name == "payments" && rows.len() == 2), "{before:?}");
    let config = std::fs::read(&scene.premises.config).unwrap();
    for route in ROUTES {
        // Also where only POST is taken, and with all that a link could carry.
        for query in ["", "?state=approved", "?confirm_repeat=true&amount=1&reason=x&state=failed&force=true"] {
            for id in [id, "x"] {
                let path = filled(route).replace(UNKNOWN, id);
                let line = format!("GET {path}{query} HTTP/1.1\r\nhost: HOST\r\nidempotency-key: k\r\n\r\n");
                head(&scene, scene.app.admin, &line).await;
            }
        }
    }
    assert_eq!(rows(&scene), before);
    assert_eq!(std::fs::read(&scene.premises.config).unwrap(), config);
    assert_eq!(scene.booked("counter"), [100]);
    scene.end().await;
}

#[tokio::test]
async fn a_body_that_is_no_json_is_not_read() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    let wish = super::super::desk::wish("1", "1").to_string();
    for route in ROUTES.iter().filter(|route| route.method == Verb::Post) {
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
            let fields = [("content-type", kind), ("idempotency-key", "k")];
            let reply = post(&scene, &filled(route), &fields, &wish).await;
            assert_eq!((reply.status, reply.code()), (415, "malformed"), "{route:?} {kind}: {}", reply.text);
        }
    }
    assert_eq!(scene.payments().await, 0);
    scene.end().await;
}

async fn post(scene: &Scene, path: &str, fields: &[(&str, &str)], body: &str) -> Reply {
    let field = |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    let headers: HeaderMap = fields.iter().map(field).collect();
    request(scene.app.admin, Method::POST, path, headers, body.to_owned()).await.unwrap()
}

async fn log_in(scene: &Scene, token: &str) -> Reply {
    post(scene, "/api/v1/session", &[], &format!("{{\"token\":{token:?}}}")).await
}

fn cookie(reply: &Reply) -> String {
    reply.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn whoever_guesses_is_slowed_down_and_the_owner_is_not() {
    let scene = guarded().await;
    let session = cookie(&log_in(&scene, TOKEN).await);
    for count in 0..5 {
        let guess = format!("Bearer {count}");
        let reply = match count % 2 {
            0 => ask(&scene, "/api/v1/payments", &[(AUTHORIZATION, &guess)]).await,
            _ => log_in(&scene, &guess).await,
        };
        check(&reply, 401, "error", "unauthorized");
    }
    for count in 0..100 {
        let reply = match count % 2 {
            0 => ask(&scene, "/api/v1/payments", &[(AUTHORIZATION, &format!("Bearer further {count}"))]).await,
            _ => log_in(&scene, &format!("further {count}")).await,
        };
        check(&reply, 429, "error", "too-many");
        let seconds: u64 = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=61).contains(&seconds), "{seconds}");
        assert!(reply.headers.get("set-cookie").is_none());
    }
    // From the very same address: behind a proxy there is no other.
    assert_eq!(ask(&scene, "/metrics", &[(COOKIE, &session)]).await.status, 200);
    let figures = ask(&scene, "/metrics", &[(AUTHORIZATION, &format!("Bearer {TOKEN}"))]).await;
    for (result, count) in [("ok", 1), ("wrong_token", 5), ("throttled", 100)] {
        let line = format!("tillswitch_admin_logins_total{{result=\"{result}\"}} {count}\n");
        assert!(figures.text.contains(&line), "{line} is not in\n{}", figures.text);
    }
    assert_eq!(log_in(&scene, TOKEN).await.status, 200);
    // Who sends no token at all guesses nothing.
    assert_eq!(ask(&scene, "/metrics", &[]).await.status, 401);
    scene.end().await;
}

#[tokio::test]
async fn a_session_ends_when_the_token_changes() {
    let scene = guarded().await;
    let session = cookie(&log_in(&scene, TOKEN).await);
    let fields = [("cookie", session.as_str())];
    let reload = || post(&scene, "/api/v1/reload", &fields, "");
    assert_eq!(reload().await.status, 200, "the same token keeps it");
    assert_eq!(ask(&scene, "/metrics", &[(COOKIE, &session)]).await.status, 200);
    let file = std::fs::read_to_string(&scene.premises.config).unwrap();
    let other = "another-token-of-whoever-runs-it";
    std::fs::write(&scene.premises.config, file.replace(TOKEN, other)).unwrap();
    assert_eq!(reload().await.status, 200);
    check(&ask(&scene, "/metrics", &[(COOKIE, &session)]).await, 401, "error", "unauthorized");
    check(&log_in(&scene, TOKEN).await, 401, "error", "unauthorized");
    let session = cookie(&log_in(&scene, other).await);
    assert_eq!(ask(&scene, "/metrics", &[(COOKIE, &session)]).await.status, 200);
    scene.end().await;
}
