//! The calls for whoever runs the shop. Not for the internet.
//!
//! | file | question |
//! |---|---|
//! | `table` | which calls are there |
//! | `guard` | who may come in |
//! | `attempts` | how often may somebody try a token |
//! | `body` | what does a call say |
//! | `events` | what is told as it happens |
//! | `openapi` | what do programs read about it |

mod attempts;
mod body;
mod events;
mod guard;
mod openapi;
mod table;

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue, SET_COOKIE};
use hyper::{HeaderMap, Method};
use serde_json::{Value, json};
use tillswitch_core::{DriverError, PaymentId};
use warp::reply::Response;
use warp::{Filter, Rejection};

use super::Peer;
use super::public::{health, reply};
use crate::answer::{Answer, describe, rfc3339};
use crate::code::Code;
use crate::config::Config;
use crate::desk::{Asker, Desk, Person, refused};
use crate::intake::Intake;
use crate::journal::{History, JournalError};
use crate::life::Life;
use crate::metrics::Login;
use crate::reload::Reloader;
use crate::terminals::{NotDone, Refusal, Report, Terminal, Terminals, Work};
use attempts::{Attempts, Tried};
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
    /// Who tried a wrong token lately.
    pub attempts: Attempts,
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
        .and(warp::ext::get::<Peer>())
        .then(move |method, path: warp::path::FullPath, query, headers, body, Peer(peer): Peer| {
            let admin = admin.clone();
            async move {
                let asked = Asked { method, query, headers, body, from: peer.ip().to_canonical() };
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
    /// Where it came from: the client, or a proxy in front of us.
    from: IpAddr,
}

impl Asked {
    fn person(&self) -> Result<Person, Answer> {
        body::person(&self.headers, self.from, &self.body)
    }

    fn asker(&self) -> Result<Asker, Answer> {
        body::asker(&self.headers, self.from, &self.body)
    }
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
        guard::check(&self.config.load().admin, &asked.method, &asked.headers)?;
        if !matches!(&found, Found::Route(route, _) if route.call == Call::LogIn) {
            self.admit(asked)?;
        }
        match found {
            Found::Nothing => Err(Answer::error(404, Code::NotFound, "there is nothing at this address")),
            Found::WrongMethod(method) => {
                Err(Answer::error(405, Code::MethodNotAllowed, format!("this address takes {method}")))
            }
            Found::Route(route, open) => {
                guard::check_type(&asked.headers, &asked.body)?;
                let answered = self.call(route.call, &open, asked).await;
                if route.method == Verb::Post {
                    note(route, &open, asked, &answered);
                }
                answered
            }
        }
    }

    /// Lets in whoever has an open session or the token, if there is one.
    fn admit(&self, asked: &Asked) -> Result<(), Answer> {
        let config = self.config.load();
        let Some(token) = &config.admin.token else { return Ok(()) };
        if self.sessions.is_open(&asked.headers, token) {
            return Ok(());
        }
        let tried = guard::bearer(&asked.headers).map(|given| self.attempts.judge(asked.from, token, given));
        match tried {
            Some(Tried::Right) => return Ok(()),
            Some(Tried::Wrong) => self.life.metrics.token_tried(Login::Wrong),
            Some(Tried::Paused(_)) => self.life.metrics.token_tried(Login::Paused),
            None => {}
        }
        Err(guard::refused(tried))
    }

    async fn call(&self, call: Call, open: &[String], asked: &Asked) -> Result<Response, Answer> {
        if let Call::TestTerminal | Call::EndOfDay | Call::Service | Call::Reload | Call::LogOut = call {
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
            Call::Pay => self.desk.pay(asked.asker()?, body::wish(&asked.body)?).await,
            Call::Abort => {
                body::only(&body::object(&asked.body)?, &["reason"])?;
                self.desk.abort(&asked.person()?, payment_id(open)?).await
            }
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
                let (person, ruling) = (asked.person()?, body::ruling(&asked.body)?);
                self.desk.resolve(&person, payment_id(open)?, ruling).await
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
        let Some(token) = &config.admin.token else {
            return Err(Answer::error(401, Code::Unauthorized, "no token is configured, and none is needed"));
        };
        let tried = self.attempts.judge(asked.from, token, &given);
        self.life.metrics.token_tried(match tried {
            Tried::Right => Login::Ok,
            Tried::Wrong => Login::Wrong,
            Tried::Paused(_) => Login::Paused,
        });
        if tried != Tried::Right {
            return Err(guard::refused(Some(tried)));
        }
        let mut response = reply(&Answer::value(200, json!({ "status": "open" })));
        let cookie = HeaderValue::from_str(&self.sessions.open(token, &asked.headers));
        response.headers_mut().insert(SET_COOKIE, cookie.expect("a session's secret is hexadecimal"));
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
        let asker = asked.asker()?;
        let object = body::object(&asked.body)?;
        body::only(&object, &["amount", "confirm_repeat", "reason"])?;
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

/// What somebody did, or wanted to do, is in the log. What moves or settles money is in the payment's history besides.
fn note(route: &Route, open: &[String], asked: &Asked, answered: &Result<Response, Answer>) {
    let status = answered.as_ref().map_or_else(|answer| answer.status, |response| response.status().as_u16());
    let Ok(Person { name, from, reason }) = asked.person() else { return };
    tracing::info!(operator = name, %from, call = route.path, on = ?open, reason, status, "somebody asked for this");
}

fn payment_id(open: &[String]) -> Result<PaymentId, Answer> {
    open[0].parse().map_err(|error| Answer::error(404, Code::NotFound, format!("{:?} is {error}", open[0])))
}

fn confirmed(asked: &Asked) -> Result<(crate::desk::Asker, bool), Answer> {
    let asker = asked.asker()?;
    let object = body::object(&asked.body)?;
    body::only(&object, &["confirm_repeat", "reason"])?;
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
