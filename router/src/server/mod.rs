//! How do bytes from a socket become one request and one answer?
//!
//! The way of a request: `listener` accepts, `places` says who may stay, `connection` loops over one client's requests, `head` and
//! `body` read a whole request within its limits, `exchange` lets hyper and the routes answer it, and `delivery`
//! finds out whether the client was still there. Routes live elsewhere and see complete requests only.
//!
//! hyper is given a request after it was read and checked here. That is why a slow or oversized request can be answered
//! in words (hyper closes silently), why a request whose length is told in two ways never reaches a route (hyper picks
//! one), and why routes need no limits of their own.
//!
//! Deliberately absent: HTTP/2 and upgrades. TLS is an implementation of [`Accept`] around the accepted socket.

pub mod admin;
mod answer;
mod body;
mod callers;
mod connection;
mod counted;
mod delivery;
mod exchange;
mod fault;
mod head;
mod limits;
mod listener;
mod places;
pub mod public;
#[doc(hidden)]
pub mod taken;
pub mod tls;
mod wire;

pub use answer::{ErrorBody, error};
pub use callers::{Callers, Origin};
pub use counted::Counted;
pub use delivery::Delivered;
pub use exchange::{Handler, Peer, UntilClientLeaves, routes};
pub use limits::Limits;
pub use listener::{Drained, serve, serve_with};
pub use wire::{Accept, Plain, Transport};
