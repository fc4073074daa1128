//! Who asks for something, as the history and the log tell it.

use std::fmt;
use std::net::IpAddr;

/// A person at the admin API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Their name, as they gave it.
    pub name: String,
    /// Where they asked from. Behind a reverse proxy that is the proxy.
    pub from: IpAddr,
    /// Why, if they said so.
    pub reason: Option<String>,
}

/// Who asks, and how the same request is recognised when it comes again.
#[derive(Clone, Debug)]
pub struct Asker {
    /// Who.
    pub person: Person,
    /// The `Idempotency-Key`.
    pub key: String,
}

/// `ann from 127.0.0.1: the customer brought it back`.
impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.name, self.from)?;
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}
