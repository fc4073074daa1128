//! How a command talks to the running router.
//!
//! | file | question |
//! |---|---|
//! | `place` | where is the router, and by which token does it let us in |
//! | `http` | how does a request get there and its answer back |
//! | `stream` | what happens while a command waits |
//! | `trouble` | why did a command not get what it asked for, and what is its exit code |
//! | `money` | how is a payment started and followed to its end |
//! | `work` | how does a terminal do its own work, such as an end of day |
//! | `words` | how is a payment told to a person |
//! | `print` | how does text get out |

mod http;
pub(super) mod money;
mod place;
pub(super) mod print;
mod stream;
mod trouble;
pub(super) mod words;
pub(super) mod work;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::Value;

pub(super) use place::{Place, address};
pub(super) use stream::{Happened, Stream};
pub(super) use trouble::Trouble;

/// A call that only reads or writes the journal.
const QUICK: Duration = Duration::from_secs(30);
const OPERATOR: HeaderName = HeaderName::from_static("tillswitch-operator");
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// How a command finds the router.
#[derive(clap::Args, Clone, Debug)]
pub struct RouterArgs {
    /// The router's configuration file: address and token of its admin listener. TILLSWITCH_ADMIN_TOKEN is the token if it is set
    #[arg(long, value_name = "FILE", default_value = "tillswitch.toml")]
    pub config: PathBuf,
    /// The admin listener's address, instead of the one in the file
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub admin: Option<String>,
}

/// A router that can be asked.
pub(super) struct Client {
    place: Place,
}

impl Client {
    pub fn new(place: Place) -> Client {
        Client { place }
    }

    /// Reads something.
    pub async fn get(&self, path: &str) -> Result<Value, Trouble> {
        self.call(Method::GET, path, None, None, QUICK).await
    }

    /// Does something that moves no money.
    pub async fn post(&self, path: &str, body: Value) -> Result<Value, Trouble> {
        self.post_within(path, body, QUICK).await
    }

    /// The same where the answer may take its time.
    pub async fn post_within(&self, path: &str, body: Value, limit: Duration) -> Result<Value, Trouble> {
        self.call(Method::POST, path, Some(body), None, limit).await
    }

    /// Does something that can move money. The same key does it once, however often it is sent.
    pub async fn post_once(&self, path: &str, body: Value, key: &str) -> Result<Value, Trouble> {
        self.call(Method::POST, path, Some(body), Some(key), QUICK).await
    }

    /// What happens from now on. Without it a command still works, by asking now and then.
    pub async fn listen(&self) -> Option<Stream> {
        let call = http::Call {
            address: &self.place.address,
            method: Method::GET,
            path: "/api/v1/events",
            headers: self.headers(None).ok()?,
            body: None,
            limit: QUICK,
        };
        let opened = http::listen(call).await.ok()?;
        (opened.status == StatusCode::OK).then(|| Stream::new(opened))
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
        limit: Duration,
    ) -> Result<Value, Trouble> {
        let address = &self.place.address;
        let call = http::Call { address, method, path, headers: self.headers(key)?, body, limit };
        let (status, text) = http::exchange(call).await.map_err(|why| Trouble::no_answer(address, &why))?;
        let body: Option<Value> = serde_json::from_str(&text).ok();
        match body {
            Some(body) if status.is_success() => Ok(body),
            Some(body) if body["code"].is_string() => Err(Trouble::Refused(body)),
            Some(_) | None => Err(Trouble::stranger(address, status)),
        }
    }

    fn headers(&self, key: Option<&str>) -> Result<HeaderMap, Trouble> {
        let unfit = |what: &str| Trouble::Configuration(format!("{what} has characters that a header cannot carry"));
        let mut headers = HeaderMap::new();
        headers.insert(OPERATOR, HeaderValue::from_str(&operator()).map_err(|_| unfit("the user's name"))?);
        if let Some(key) = key {
            headers.insert(KEY, HeaderValue::from_str(key).map_err(|_| unfit("the key"))?);
        }
        if let Some(token) = &self.place.token {
            let bearer = format!("Bearer {}", token.reveal());
            let mut value = HeaderValue::from_str(&bearer).map_err(|_| unfit("the admin token"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(headers)
    }
}

/// The name for the history. What is no ASCII would not survive a header.
fn operator() -> String {
    let name = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    let name: String = name.unwrap_or_default().chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect();
    if name.is_empty() { "shell".to_owned() } else { name }
}

/// Runs what a command does with the router, and prints why it did not work.
pub(super) fn run(
    args: &RouterArgs,
    json: bool,
    what: impl AsyncFnOnce(&Client) -> Result<ExitCode, Trouble>,
) -> ExitCode {
    let done = Place::find(args).map_err(Trouble::Configuration).and_then(|place| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Trouble::Unavailable(format!("this program cannot start: {error}")))?;
        runtime.block_on(what(&Client::new(place)))
    });
    done.unwrap_or_else(|trouble| trouble.report(json))
}

/// A text as one segment of a path or one value of a query (RFC 3986, 2.1).
pub(super) fn encode(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_cannot_carry_is_encoded() {
        for (text, expected) in
            [("counter", "counter"), ("bar two", "bar%20two"), ("a/b?c&d", "a%2Fb%3Fc%26d"), ("ü", "%C3%BC")]
        {
            assert_eq!(encode(text), expected);
        }
    }
}
