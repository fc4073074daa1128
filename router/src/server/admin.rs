//! The routes for whoever runs the shop: health, metrics and payments. Not for the internet.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use tillswitch_core::{PaymentId, Secret};
use warp::reply::Response;
use warp::{Filter, Rejection, Reply};

use super::error;
use super::public::{health, nowhere, wrong_method};
use crate::answer::{describe, rfc3339};
use crate::code::Code;
use crate::config::{Admin, Config};
use crate::intake::Intake;
use crate::journal::{Filter as Search, History, Journal, JournalError};
use crate::life::Life;

/// Payments that one answer lists at most.
const MAX_LIMIT: usize = 1000;

/// All routes of the admin listener.
pub fn routes(
    config: &Config,
    life: Life,
    intake: Intake,
) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone + use<> {
    let guard = Arc::new(Guard::new(&config.admin));
    let inside =
        metrics(life.clone()).or(payments(life.clone())).unify().or(payment(life)).unify().or(nowhere()).unify();
    let guarded = guarded(guard).and(inside).map(|refused: Option<Response>, response| refused.unwrap_or(response));
    health(intake).or(guarded).unify()
}

/// Who may come in.
struct Guard {
    token: Option<Secret>,
    hosts: Vec<String>,
}

impl Guard {
    fn new(admin: &Admin) -> Guard {
        Guard { token: admin.token.clone(), hosts: admin.hosts.clone() }
    }

    /// The refusal, if there is one.
    fn refuse(&self, headers: &HeaderMap) -> Option<Response> {
        if !self.knows_host(headers) {
            let message = "this address is not reached by that name; add it to `hosts` in [admin]";
            return Some(error(StatusCode::MISDIRECTED_REQUEST, Code::NotFound.name(), message));
        }
        if !self.has_token(headers) {
            let message = "the token is missing or wrong; send it as `Authorization: Bearer …`";
            return Some(error(StatusCode::UNAUTHORIZED, Code::Unauthorized.name(), message));
        }
        None
    }

    /// A page in somebody's browser must not reach us through a name of its own (DNS rebinding): only a plain address,
    /// localhost or a configured name is answered.
    fn knows_host(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return false };
        let name = without_port(host);
        name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    fn has_token(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let given = given.strip_prefix("Bearer ").unwrap_or_default();
        given.as_bytes().ct_eq(token.reveal().as_bytes()).into()
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

fn guarded(guard: Arc<Guard>) -> impl Filter<Extract = (Option<Response>,), Error = std::convert::Infallible> + Clone {
    warp::header::headers_cloned().map(move |headers: HeaderMap| guard.refuse(&headers))
}

fn metrics(life: Life) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    warp::path!("metrics").and(warp::method()).map(move |method| match method {
        warp::http::Method::GET => {
            life.note_health();
            let mut response = Response::new(life.metrics.render().into());
            let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, text);
            response
        }
        _ => wrong_method("metrics take GET"),
    })
}

fn payments(life: Life) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    let query = warp::query::<HashMap<String, String>>();
    warp::path!("api" / "v1" / "payments").and(warp::get()).and(query).then(move |query: HashMap<String, String>| {
        let journal = life.journal.clone();
        async move {
            match search(&query) {
                Ok(search) => answer(
                    journal
                        .search(search)
                        .await
                        .map(|found| json!({ "payments": found.iter().map(describe).collect::<Vec<_>>() })),
                ),
                Err(message) => error(StatusCode::BAD_REQUEST, Code::Malformed.name(), message),
            }
        }
    })
}

fn payment(life: Life) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    warp::path!("api" / "v1" / "payments" / String).and(warp::get()).then(move |id: String| {
        let journal = life.journal.clone();
        async move { one(&*journal, &id).await }
    })
}

async fn one(journal: &dyn Journal, id: &str) -> Response {
    let Ok(id) = id.parse::<PaymentId>() else {
        return error(StatusCode::NOT_FOUND, Code::NotFound.name(), "a payment's id is a UUID");
    };
    match journal.history(id).await {
        Ok(Some(history)) => answer(Ok(describe_history(&history))),
        Ok(None) => error(StatusCode::NOT_FOUND, Code::NotFound.name(), format!("there is no payment {id}")),
        Err(failed) => answer(Err(failed)),
    }
}

fn answer(result: Result<Value, JournalError>) -> Response {
    match result {
        Ok(value) => warp::reply::json(&value).into_response(),
        Err(why) => error(StatusCode::SERVICE_UNAVAILABLE, Code::JournalUnavailable.name(), why.to_string()),
    }
}

/// Reads what is looked for. An unknown key is a mistake, not a wish for everything.
fn search(query: &HashMap<String, String>) -> Result<Search, String> {
    let mut search = Search { limit: 50, ..Search::default() };
    for (key, value) in query {
        match key.as_str() {
            "state" => search.state = Some(value.parse()?),
            "register" => search.register = Some(value.clone()),
            "document" => search.document = Some(value.clone()),
            "since" => search.since = Some(since(value)?),
            "limit" => search.limit = limit(value)?,
            _ => {
                return Err(format!(
                    "unknown parameter {key:?}, expected one of: state, register, document, since, limit"
                ));
            }
        }
    }
    Ok(search)
}

fn since(text: &str) -> Result<SystemTime, String> {
    let instant: jiff::Timestamp =
        text.parse().map_err(|_| format!("since is {text:?}, expected RFC 3339 such as 2026-01-31T08:00:00Z"))?;
    let micros = u64::try_from(instant.as_microsecond()).unwrap_or(0);
    Ok(UNIX_EPOCH + Duration::from_micros(micros))
}

fn limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| format!("limit is {text:?}, expected 1 to {MAX_LIMIT}"))
}

fn describe_history(history: &History) -> Value {
    let mut value = describe(&history.payment);
    value["transitions"] = history
        .transitions
        .iter()
        .map(|row| {
            json!({ "number": row.number, "time": rfc3339(row.at), "state": row.state.name(), "actor": row.actor,
                    "evidence": row.evidence })
        })
        .collect();
    value["receipts"] =
        history.receipts.iter().map(|receipt| json!({ "kind": receipt.kind.name(), "text": receipt.text })).collect();
    value["incidents"] = history
        .incidents
        .iter()
        .map(|row| json!({ "time": rfc3339(row.at), "message": row.message, "said": row.said }))
        .collect();
    value
}
