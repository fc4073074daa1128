//! Why a command did not get what it asked for, and what its exit code is.

use std::process::ExitCode;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::http::NoAnswer;
use super::print::{clean, out, tell};
use crate::cli::exit;

/// Why a command did not get what it asked for.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli) enum Trouble {
    /// The router said no: its answer.
    Refused(Value),
    /// There is no router: nothing was asked.
    Unavailable(String),
    /// The request may have arrived.
    Lost(String),
    /// Neither address nor token are known.
    Configuration(String),
}

impl Trouble {
    pub(super) fn no_answer(address: &str, why: &NoAnswer) -> Trouble {
        match why {
            NoAnswer::NotSent(_) => Trouble::Unavailable(format!(
                "no router answers on {address} ({why}); start it with `tillswitch serve`, or name its admin listener with --admin"
            )),
            NoAnswer::Lost(_) => Trouble::Lost(format!("the router on {address} was asked and did not answer ({why})")),
        }
    }

    /// Something else listens there.
    pub(super) fn stranger(address: &str, status: StatusCode) -> Trouble {
        Trouble::Unavailable(format!(
            "what answers on {address} is no admin listener of a router (HTTP {status}); name that with --admin"
        ))
    }

    /// What the router said, or what is wrong, in a sentence.
    pub fn message(&self) -> String {
        match self {
            Trouble::Refused(body) => {
                let text = |key: &str| body[key].as_str().unwrap_or_default();
                clean(&format!("{}: {}", text("code"), text("message")))
            }
            Trouble::Unavailable(message) | Trouble::Lost(message) | Trouble::Configuration(message) => clean(message),
        }
    }

    /// The word of the API, where it was the API that said no.
    pub fn code(&self) -> Option<&str> {
        match self {
            Trouble::Refused(body) => body["code"].as_str(),
            Trouble::Unavailable(_) | Trouble::Lost(_) | Trouble::Configuration(_) => None,
        }
    }

    /// Says it, and for programs as JSON in the API's form.
    pub fn report(&self, json: bool) -> ExitCode {
        tell(&format!("{}{}", self.message(), self.hint()));
        let (code, word) = match self {
            Trouble::Refused(_) => (exit::FAILED, ""),
            Trouble::Unavailable(_) => (exit::UNAVAILABLE, "unavailable"),
            Trouble::Lost(_) => (exit::UNAVAILABLE, "answer-lost"),
            Trouble::Configuration(_) => (exit::CONFIGURATION, "configuration"),
        };
        if json {
            let body = match self {
                Trouble::Refused(body) => body.clone(),
                _ => json!({ "status": "error", "code": word, "message": self.message() }),
            };
            out(&format!("{body:#}\n"));
        }
        code.into()
    }

    /// What a person at a shell can do, where the API speaks of headers and keys.
    fn hint(&self) -> &'static str {
        match self.code() {
            Some("unauthorized") => {
                "\n  set TILLSWITCH_ADMIN_TOKEN, or use a configuration file with `token` in [admin]"
            }
            Some("suspected-repeat") => "\n  --confirm-repeat does it all the same, where it is another payment",
            Some("still-asking") => "\n  --force does not wait for the terminal's word",
            Some("terminal-in-doubt" | "document-in-doubt") => {
                "\n  `tillswitch payments --state in_doubt` shows what is to be settled"
            }
            _ => "",
        }
    }
}
