//! The calls for whoever runs the shop. Not for the internet.
//!
//! | file | question |
//! |---|---|
//! | `table` | which calls are there |
//! | `guard` | who may come in |
//! | `body` | what does a call say |
//! | `events` | what is told as it happens |
//! | `openapi` | what do programs read about it |

mod body;
mod events;
mod guard;
mod openapi;
mod table;

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue, SET_COOKIE};
use hyper::{HeaderMap, Method};
use serde_json::{Value, json};
use tillswitch_core::{DriverError, PaymentId};
use warp::reply::Response;
use warp::{Filter, Rejection};

use super::public::{health, reply};
use crate::answer::{Answer, describe, rfc3339};
use crate::code::Code;
use crate::config::Config;
use crate::desk::{Desk, refused};
use crate::intake::Intake;
use crate::journal::{History, JournalError};
use crate::life::Life;
use crate::reload::Reloader;
use crate::terminals::{NotDone, Refusal, Report, Terminal, Terminals, Work};
use events::Seats;
use guard::Sessions;
use table::{Call, Found};

pub use table::{ROUTES, Route, Verb};

/// What the calls work on. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    /// The configuration in use.
    pub config: Arc<ArcSwap<Config>>,
    /// Journal, metrics, events.
    pub life: Life,
    /// The terminals.
    pub terminals: Arc<Terminals>,
    /// What a person can do with payments.
    pub desk: Desk,
    /// How the configuration is read again.
    pub reloader: Reloader,
    /// Who is logged in.
    pub sessions: Sessions,
    /// The places for those who listen to the events.
    pub seats: Seats,
}

/// All routes of the admin listener.
pub fn routes(admin: Admin, intake: Intake) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone + use<> {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let call = warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::body::bytes())
        .then(move |method, path: warp::path::FullPath, query, headers, body| {
            let admin = admin.clone();
            async move {
                let asked = Asked { method, query, headers, body };
                admin.answer(path.as_str(), asked).await
            }
        });
    health(intake).or(call).unify()
}

/// A request.
struct Asked {
    method: Method,
    query: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Admin {
    async fn answer(&self, path: &str, asked: Asked) -> Response {
        match self.handle(path, &asked).await {
            Ok(response) => response,
            Err(answer) => reply(&answer),
        }
    }

    async fn handle(&self, path: &str, asked: &Asked) -> Result<Response, Answer> {
        let found = table::find(&asked.method, path);
        let open = matches!(&found, Found::Route(route, _) if route.call == Call::LogIn);
        guard::check(&self.config.load().admin, &self.sessions, &asked.method, &asked.headers, open)?;
        match found {
            Found::Nothing => Err(Answer::error(404, Code::NotFound, "there is nothing at this address")),
            Found::WrongMethod(method) => {
                Err(Answer::error(405, Code::MethodNotAllowed, format!("this address takes {method}")))
            }
            Found::Route(route, open) => self.call(route.call, &open, asked).await,
        }
    }

    async fn call(&self, call: Call, open: &[String], asked: &Asked) -> Result<Response, Answer> {
        if let Call::Abort | Call::TestTerminal | Call::EndOfDay | Call::Service | Call::Reload | Call::LogOut = call {
            body::nothing(&asked.body)?;
        }
        let answer = match call {
            Call::Metrics => return Ok(self.metrics()),
            Call::Events => return events::stream(&self.life, &self.seats),
            Call::LogIn => return self.log_in(asked),
            Call::LogOut => {
                self.sessions.close(&asked.headers);
                Answer::value(200, json!({ "status": "ended" }))
            }
            Call::OpenApi => Answer::value(200, openapi::document()),
            Call::ListPayments => self.list(asked).await?,
            Call::OnePayment => self.one(payment_id(open)?).await?,
            Call::Pay => self.desk.pay(body::asker(&asked.headers)?, body::wish(&asked.body)?).await,
            Call::Abort => self.desk.abort(&body::operator(&asked.headers), payment_id(open)?).await,
            Call::Refund => self.refund(payment_id(open)?, asked).await?,
            Call::Reverse => {
                let (asker, confirmed) = confirmed(asked)?;
                self.desk.reverse(asker, payment_id(open)?, confirmed).await
            }
            Call::Again => {
                let (asker, confirmed) = confirmed(asked)?;
                self.desk.again(asker, payment_id(open)?, confirmed).await
            }
            Call::Resolve => {
                let name = body::operator(&asked.headers);
                self.desk.resolve(&name, payment_id(open)?, body::ruling(&asked.body)?).await
            }
            Call::Registers => self.registers(),
            Call::Terminals => self.list_terminals(),
            Call::TestTerminal => self.maintain(&open[0], Work::Status).await?,
            Call::EndOfDay => self.maintain(&open[0], Work::EndOfDay).await?,
            Call::Service => self.maintain(&open[0], Work::Service(open[1].clone())).await?,
            Call::Trace => self.trace(&open[0], &asked.body)?,
            Call::Reload => self.reload().await,
        };
        Ok(reply(&answer))
    }

    fn metrics(&self) -> Response {
        self.life.note_health();
        let mut response = Response::new(self.life.metrics.render().into());
        let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, text);
        response
    }

    fn log_in(&self, asked: &Asked) -> Result<Response, Answer> {
        let given = body::token(&asked.body)?;
        let config = self.config.load();
        let fits = config.admin.token.as_ref().is_some_and(|token| guard::is_token(token, &given));
        self.life.metrics.logged_in(fits);
        if !fits {
            return Err(Answer::error(401, Code::Unauthorized, "the token is wrong, or none is configured"));
        }
        let mut response = reply(&Answer::value(200, json!({ "status": "open" })));
        let cookie = HeaderValue::from_str(&self.sessions.open()).expect("a session's secret is hexadecimal");
        response.headers_mut().insert(SET_COOKIE, cookie);
        Ok(response)
    }

    async fn list(&self, asked: &Asked) -> Result<Answer, Answer> {
        let found = self.life.journal.search(body::search(&asked.query)?).await.map_err(unreadable)?;
        Ok(Answer::value(200, json!({ "payments": found.iter().map(describe).collect::<Vec<_>>() })))
    }

    async fn one(&self, id: PaymentId) -> Result<Answer, Answer> {
        match self.life.journal.history(id).await.map_err(unreadable)? {
            Some(history) => Ok(Answer::value(200, describe_history(&history))),
            None => Err(Answer::error(404, Code::NotFound, format!("there is no payment {id}"))),
        }
    }

    async fn refund(&self, id: PaymentId, asked: &Asked) -> Result<Answer, Answer> {
        let asker = body::asker(&asked.headers)?;
        let object = body::object(&asked.body)?;
        body::only(&object, &["amount", "confirm_repeat"])?;
        let (amount, confirmed) = (body::amount(&object)?, body::flag(&object, "confirm_repeat")?);
        Ok(self.desk.refund(asker, id, amount, confirmed).await)
    }

    fn registers(&self) -> Answer {
        let config = self.config.load();
        let registers: Vec<Value> = config
            .registers
            .values()
            .map(|register| {
                json!({ "name": register.name, "terminal": register.terminal, "project_ids": register.project_ids })
            })
            .collect();
        Answer::value(200, json!({ "registers": registers }))
    }

    fn list_terminals(&self) -> Answer {
        let terminals: Vec<Value> = self.terminals.all().iter().map(describe_terminal).collect();
        Answer::value(200, json!({ "terminals": terminals }))
    }

    async fn maintain(&self, name: &str, work: Work) -> Result<Answer, Answer> {
        let terminal = self.terminal(name)?;
        match terminal.maintain(work).await {
            Ok(report) => Ok(Answer::value(200, describe_report(name, report))),
            Err(NotDone::Refused(refusal)) => Err(refused(refusal, name)),
            Err(NotDone::Gone) if self.terminals.is_stopping() => Err(refused(Refusal::Stopping, name)),
            Err(NotDone::Gone) => Err(refused(Refusal::Removed, name)),
            Err(NotDone::Driver(error)) => Err(driver_failed(name, &error)),
        }
    }

    fn trace(&self, name: &str, body: &Bytes) -> Result<Answer, Answer> {
        self.terminal(name)?;
        let minutes = body::minutes(body)?;
        crate::log::trace_terminal(name, std::time::Duration::from_secs(60 * minutes))
            .map_err(|message| Answer::error(400, Code::Malformed, message))?;
        Ok(Answer::value(200, json!({ "terminal": name, "minutes": minutes })))
    }

    fn terminal(&self, name: &str) -> Result<Terminal, Answer> {
        self.terminals.get(name).ok_or_else(|| {
            let names: Vec<String> = self.terminals.all().iter().map(|terminal| terminal.name().to_owned()).collect();
            let message = format!("there is no terminal {name:?}, expected one of: {}", names.join(", "));
            Answer::error(404, Code::NotFound, message)
        })
    }

    async fn reload(&self) -> Answer {
        match self.reloader.reload().await {
            Ok(report) => Answer::value(200, report),
            Err(message) => Answer::error(400, Code::Malformed, message),
        }
    }
}

fn payment_id(open: &[String]) -> Result<PaymentId, Answer> {
    open[0].parse().map_err(|error| Answer::error(404, Code::NotFound, format!("{:?} is {error}", open[0])))
}

fn confirmed(asked: &Asked) -> Result<(crate::desk::Asker, bool), Answer> {
    let asker = body::asker(&asked.headers)?;
    let object = body::object(&asked.body)?;
    body::only(&object, &["confirm_repeat"])?;
    Ok((asker, body::flag(&object, "confirm_repeat")?))
}

fn unreadable(error: JournalError) -> Answer {
    Answer::error(503, Code::JournalUnavailable, error.to_string())
}

fn driver_failed(terminal: &str, error: &DriverError) -> Answer {
    match error {
        DriverError::Unsupported => {
            Answer::error(502, Code::Unsupported, format!("terminal {terminal:?} cannot do that"))
        }
        DriverError::NotStarted(reason) | DriverError::InDoubt(reason) => {
            let code = crate::life::code_of(reason.cause);
            Answer::error(502, code, format!("terminal {terminal:?}: {reason}"))
        }
    }
}

fn describe_terminal(terminal: &Terminal) -> Value {
    let current = terminal.current();
    let state = match (terminal.is_in_doubt(), terminal.is_busy()) {
        (true, _) => "in_doubt",
        (false, true) => "busy",
        (false, false) => "free",
    };
    let (waiting, capacity) = terminal.queue();
    json!({
        "name": terminal.name(), "driver": current.key.driver, "address": current.key.identity.address,
        "currency": current.config().currency.code(), "state": state,
        "queue": { "waiting": waiting, "capacity": capacity },
    })
}

fn describe_report(terminal: &str, report: Report) -> Value {
    let mut value = match report {
        Report::Status(status) => json!(status),
        Report::EndOfDay(report) => json!(report),
        Report::Service(report) => json!(report),
    };
    value["terminal"] = terminal.into();
    value
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
