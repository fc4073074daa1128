//! How the terminals are, asked through the router that holds them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tillswitch_core::TerminalStatus;

use super::check::State;
use super::client::{Client, Place, Trouble, encode};
use crate::config::Config;

/// A terminal has 20 s to say how it is, after the work that it is at.
const LIMIT: Duration = Duration::from_secs(60);

/// Asks the router about every terminal of the file, one after the other: each is asked at once or refused at once.
pub(super) async fn ask_router(config: &Config, admin: Option<&str>) -> BTreeMap<String, State> {
    let place = Place::of(&config.admin, admin);
    let client = place.map(Client::new);
    let mut states = BTreeMap::new();
    for name in config.terminals.keys() {
        let state = match &client {
            Ok(client) => ask(client, name).await,
            Err(message) => State::bad(message),
        };
        states.insert(name.clone(), state);
    }
    states
}

async fn ask(client: &Client, terminal: &str) -> State {
    let path = format!("/api/v1/terminals/{}/test", encode(terminal));
    match client.post_within(&path, json!({}), LIMIT).await {
        Ok(answer) => match serde_json::from_value::<TerminalStatus>(answer) {
            Ok(status) => State::from(Ok(status)),
            Err(_) => {
                State::bad("the router gave an answer that this program does not know; is it of another version?")
            }
        },
        Err(trouble) => not_asked(&trouble),
    }
}

/// Busy is no reason to distrust a terminal, and no promise either.
fn not_asked(trouble: &Trouble) -> State {
    match trouble.code() {
        Some("terminal-busy") => State { ready: None, message: "it is at a payment".to_owned() },
        Some("unsupported") => State { ready: None, message: "its driver cannot ask it".to_owned() },
        Some("not-found") => State::bad("the running router does not know it; `tillswitch reload` makes it known"),
        _ => State::bad(trouble.message()),
    }
}
