//! Who may make which call, and what is served at all?

use std::time::Duration;

use hyper::header::{COOKIE, HeaderName};
use hyper::{HeaderMap, Method};
use serde_json::Value;
use tillswitch::server::admin::{ROUTES, Route, Verb};
use tillswitch::shop::{Reply, request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{TOKEN, admin, ask, guarded};
use crate::harness::*;

pub const UNKNOWN: &str = "0199f1f4-6d2e-7d5b-9d39-0c5d5a1c4b11";

/// A row's path, with a payment that is not there and things that are.
pub fn filled(route: &Route) -> String {
    route.path.replace("{id}", UNKNOWN).replace("{name}", "counter").replace("{service}", "diagnosis")
}

fn method(route: &Route) -> Method {
    route.method.name().parse().unwrap()
}

/// Calls a row with these header fields. The stream of events never ends, so only its head counts: its status.
async fn call(scene: &Scene, route: &Route, fields: &[(&str, &str)], body: &str) -> Reply {
    let headers: HeaderMap =
        fields.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect();
    if route.path == "/api/v1/events" && listens(scene, fields).await {
        return Reply { status: 200, headers: HeaderMap::new(), body: Value::Null, text: String::new() };
    }
    let path = filled(route);
    let asked = request(scene.app.admin, method(route), &path, headers, body.to_owned());
    timeout(Duration::from_secs(20), asked).await.expect("only the events go on for ever").unwrap()
}

/// Whether these header fields let somebody listen to the events.
async fn listens(scene: &Scene, fields: &[(&str, &str)]) -> bool {
    let host = [("host", "127.0.0.1")].into_iter().filter(|_| !fields.iter().any(|(name, _)| *name == "host"));
    let fields: String =
        host.chain(fields.iter().copied()).map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let mut stream = TcpStream::connect(scene.app.admin).await.unwrap();
    stream.write_all(format!("GET /api/v1/events HTTP/1.1\r\n{fields}\r\n").as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    status == *b"HTTP/1.1 200"
}

/// Logs in. The cookie, as a browser sends it.
async fn cookie(scene: &Scene) -> String {
    let body = format!("{{\"token\": {TOKEN:?}}}");
    let reply = request(scene.app.admin, Method::POST, "/api/v1/session", HeaderMap::new(), body).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text);
    let cookie = reply.headers["set-cookie"].to_str().unwrap();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains(TOKEN), "the cookie is no token");
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn every_call_asks_for_token_or_cookie() {
    let scene = guarded().await;
    let (bearer, cookie) = (format!("Bearer {TOKEN}"), cookie(&scene).await);
    let (token, session) = (("authorization", bearer.as_str()), ("cookie", cookie.as_str()));
    let guess = ("cookie", "tillswitch=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    let last = |route: &&Route| route.path.ends_with("/session/end");
    for route in ROUTES.iter().filter(|route| !last(route) && !route.path.ends_with("/session")) {
        for nobody in [&[][..], &[guess], &[("authorization", "Bearer x")], &[("authorization", TOKEN)]] {
            let reply = call(&scene, route, nobody, "").await;
            check(&reply, 401, "error", "unauthorized");
        }
        for somebody in [&[token][..], &[session]] {
            let reply = call(&scene, route, somebody, "").await;
            assert!(!matches!(reply.status, 401 | 403 | 405 | 421), "{route:?}: {} {}", reply.status, reply.text);
        }
    }
    for wrong in ["{\"token\":\"x\"}", "{\"token\":\"\"}", "{}", "", "{\"tokn\":\"x\"}", "x"] {
        let reply =
            request(scene.app.admin, Method::POST, "/api/v1/session", HeaderMap::new(), wrong.into()).await.unwrap();
        assert!(matches!(reply.status, 400 | 401), "{wrong}: {}", reply.text);
        assert!(reply.headers.get("set-cookie").is_none());
    }
    let figures = ask(&scene, "/metrics", &[(COOKIE, &cookie)]).await.text;
    // One wrong token with every call (two with the events, which are asked twice here), and one to log in.
    for (result, count) in [("ok", 1), ("wrong_token", ROUTES.len() - 2 + 2), ("throttled", 0)] {
        let line = format!("tillswitch_admin_logins_total{{result=\"{result}\"}} {count}\n");
        assert!(figures.contains(&line), "{line} is not in\n{figures}");
    }
    let end = ROUTES.iter().find(last).unwrap();
    assert_eq!(call(&scene, end, &[session], "").await.status, 200);
    assert_eq!(ask(&scene, "/metrics", &[(COOKIE, &cookie)]).await.status, 401, "the session has ended");
    scene.end().await;
}

#[tokio::test]
async fn every_call_looks_at_host_and_origin() {
    let scene = guarded().await;
    let bearer = format!("Bearer {TOKEN}");
    let token = ("authorization", bearer.as_str());
    let own = format!("http://{}", scene.app.admin);
    for route in ROUTES {
        assert_eq!(call(&scene, route, &[token, ("host", "evil.example")], "").await.status, 421, "{route:?}");
        for known in ["till.example", "localhost:1"] {
            assert_ne!(call(&scene, route, &[token, ("host", known)], "").await.status, 421, "{route:?}");
        }
        let changes = route.method == Verb::Post;
        for foreign in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            let status = call(&scene, route, &[token, foreign], "").await.status;
            assert_eq!(status == 403, changes, "{route:?} {foreign:?}: {status}");
        }
        for ours in [("origin", own.as_str()), ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none")] {
            assert_ne!(call(&scene, route, &[token, ours], "").await.status, 403, "{route:?} {ours:?}");
        }
    }
    assert_eq!(scene.payments().await, 0);
    scene.end().await;
}

#[tokio::test]
async fn every_call_is_read_strictly() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    let key = ("idempotency-key", "key-1");
    for route in ROUTES {
        for wrong in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
            let reply = request(scene.app.admin, wrong, &filled(route), HeaderMap::new(), String::new()).await.unwrap();
            check(&reply, 405, "error", "method-not-allowed");
        }
        let other = if route.method == Verb::Get { Method::POST } else { Method::GET };
        if !ROUTES.iter().any(|row| row.path == route.path && method(row) == other) {
            let reply = request(scene.app.admin, other, &filled(route), HeaderMap::new(), String::new()).await.unwrap();
            check(&reply, 405, "error", "method-not-allowed");
        }
        if route.method == Verb::Post {
            for body in ["{\"unheard\": 1}", "[]", "{", "\"x\""] {
                let reply = call(&scene, route, &[key], body).await;
                assert_eq!((reply.status, reply.code()), (400, "malformed"), "{route:?} {body}: {}", reply.text);
            }
        }
        if route.moves_money {
            check(&call(&scene, route, &[], "{}").await, 400, "error", "no-idempotency-key");
        }
        if route.path.contains("{id}") {
            let body = "{\"state\": \"failed\", \"reason\": \"x\"}";
            let body = if route.path.ends_with("resolve") { body } else { "" };
            check(&call(&scene, route, &[key], body).await, 404, "error", "not-found");
            let path = route.path.replace("{id}", "x");
            let headers = HeaderMap::from_iter([(key.0.parse::<HeaderName>().unwrap(), key.1.parse().unwrap())]);
            let reply = request(scene.app.admin, method(route), &path, headers, body.into()).await.unwrap();
            check(&reply, 404, "error", "not-found");
        }
    }
    assert_eq!(scene.payments().await, 0);
    scene.end().await;
}

/// The calls that were promised, whatever the table says.
const PROMISED: &[&str] = &[
    "GET /metrics",
    "GET /api/v1/payments",
    "GET /api/v1/payments/{id}",
    "POST /api/v1/payments",
    "POST /api/v1/payments/{id}/abort",
    "POST /api/v1/payments/{id}/refund",
    "POST /api/v1/payments/{id}/reverse",
    "POST /api/v1/payments/{id}/again",
    "POST /api/v1/payments/{id}/resolve",
    "GET /api/v1/registers",
    "GET /api/v1/terminals",
    "POST /api/v1/terminals/{name}/test",
    "POST /api/v1/terminals/{name}/end-of-day",
    "POST /api/v1/terminals/{name}/services/{service}",
    "POST /api/v1/terminals/{name}/trace",
    "GET /api/v1/events",
    "POST /api/v1/reload",
    "GET /api/v1/openapi.json",
];

#[tokio::test]
async fn what_is_served_is_promised_and_documented_and_nothing_else_is() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    let document = admin(&scene, "/api/v1/openapi.json").await.body;
    let mut documented = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            documented.push(format!("{} {path}", method.to_uppercase()));
            assert!(
                operation["summary"].as_str().is_some_and(|summary| summary.ends_with('.') || summary.contains('?'))
            );
            let named = operation["parameters"].as_array().unwrap().iter().filter(|one| one["in"] == "path").count();
            assert_eq!(named, path.matches('{').count(), "{path}");
        }
    }
    let day = &document["paths"]["/api/v1/terminals/{name}/end-of-day"]["post"]["responses"]["2XX"];
    assert!(day["content"]["application/json"]["schema"]["properties"]["brands"].is_object(), "{day}");
    let mut served: Vec<String> =
        ROUTES.iter().map(|route| format!("{} {}", route.method.name(), route.path)).collect();
    documented.sort_unstable();
    served.sort_unstable();
    assert_eq!(documented, served);
    for promised in PROMISED {
        assert!(served.iter().any(|row| row == promised), "{promised} is not served");
    }
    for path in [
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v2/payments",
        "/api/v1/payments/",
        "//api/v1/payments",
        "/API/V1/payments",
        "/api/v1/payments/x/y",
        "/api/v1/payments/x/abort/y",
        "/api/v1/terminals/counter",
        "/api/v1/terminals/counter/services",
        "/metrics/",
        "/health",
        "/health/",
        "/health/live/x",
        "/webhook/pos-payment",
        "/.env",
        "/api/v1/payments%2fx",
    ] {
        for method in [Method::GET, Method::POST] {
            let reply = request(scene.app.admin, method.clone(), path, HeaderMap::new(), String::new()).await.unwrap();
            assert_eq!(reply.status, 404, "{method} {path}: {}", reply.text);
        }
    }
    // The till's side serves none of it.
    for route in ROUTES {
        let reply =
            request(scene.app.public, method(route), &filled(route), HeaderMap::new(), String::new()).await.unwrap();
        assert_eq!(reply.status, 404, "{route:?}: {}", reply.text);
    }
    scene.end().await;
}
