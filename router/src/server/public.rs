//! The routes that face the point of sale: the webhook and health, nothing else.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, StatusCode};
use tillswitch_core::PaymentId;
use warp::reply::Response;
use warp::{Filter, Rejection, Reply};

use super::{Delivered, Peer, error};
use crate::answer::Answer;
use crate::code::Code;
use crate::intake::{Intake, Told};

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// All routes of the public listener.
pub fn routes(path: &str, intake: Intake) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone + use<> {
    webhook(path, intake.clone()).or(health(intake)).unify().or(nowhere()).unify()
}

fn webhook(path: &str, intake: Intake) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone + use<> {
    let request = warp::header::headers_cloned().and(warp::body::bytes());
    at(path).and(warp::method()).and(warp::ext::get::<Peer>()).and(request).then(
        move |method: warp::http::Method, Peer(peer): Peer, headers: HeaderMap, body: Bytes| {
            let intake = intake.clone();
            async move {
                match method {
                    warp::http::Method::POST => respond(intake.answer(peer.into(), headers, body).await, intake),
                    _ => wrong_method("the webhook takes POST"),
                }
            }
        },
    )
}

/// `GET /health/live` and `GET /health/ready`.
pub(super) fn health(intake: Intake) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    let live = warp::path!("health" / "live").map(|| warp::reply::json(&"alive").into_response());
    let ready = warp::path!("health" / "ready").map(move || match intake.ready() {
        Ok(()) => warp::reply::json(&"ready").into_response(),
        Err((code, why)) => error(StatusCode::SERVICE_UNAVAILABLE, code.name(), why),
    });
    warp::get().and(live.or(ready).unify())
}

/// Whatever matches nothing else.
fn nowhere() -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    warp::any().and_then(|| async {
        Ok::<_, Rejection>(error(StatusCode::NOT_FOUND, Code::NotFound.name(), "there is nothing at this address"))
    })
}

fn wrong_method(message: &str) -> Response {
    error(StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed.name(), message)
}

/// Matches exactly this path.
fn at(path: &str) -> impl Filter<Extract = (), Error = Rejection> + Clone + use<> {
    let wanted = path.to_owned();
    warp::path::full()
        .and_then(move |full: warp::path::FullPath| {
            let fits = full.as_str() == wanted;
            async move { if fits { Ok(()) } else { Err(warp::reject::not_found()) } }
        })
        .untuple_one()
}

fn respond(told: Told, intake: Intake) -> Response {
    let mut response = reply(&told.answer);
    if let Some(id) = told.approved {
        response.extensions_mut().insert(notice(id, intake));
    }
    response
}

/// That the till knows is noted when the answer has been read, not before.
fn notice(id: PaymentId, intake: Intake) -> Delivered {
    Delivered::new(move || intake.delivered(id))
}

/// An answer with its header fields.
pub(super) fn reply(answer: &Answer) -> Response {
    let mut response = Response::new(answer.body.to_string().into());
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if answer.replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    if let Some(seconds) = answer.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
