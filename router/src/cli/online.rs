//! How the terminals are, asked through the router that holds them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tillswitch_core::TerminalStatus;
use tokio::task::JoinSet;

use super::check::State;
use super::client::{Client, Place, Trouble, encode};
use crate::config::Config;

/// A terminal has 20 s to say how it is, and the router some more to let an idle one go.
const LIMIT: Duration = Duration::from_secs(60);

/// Asks the router about every terminal of the file at the same time.
pub(super) async fn ask_router(config: &Config, admin: Option<&str>) -> BTreeMap<String, State> {
    let names = config.terminals.keys().cloned();
    let client = match Place::of(&config.admin, admin) {
        Ok(place) => Arc::new(Client::new(place)),
        Err(message) => return names.map(|name| (name, State::bad(message.as_str()))).collect(),
    };
    let mut asked = JoinSet::new();
    for name in names {
        let client = client.clone();
        asked.spawn(async move {
            let state = ask(&client, &name).await;
            (name, state)
        });
    }
    asked.join_all().await.into_iter().collect()
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
