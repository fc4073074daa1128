//! The router: from a webhook to a terminal and back.
//!
//! | folder or file | question |
//! |---|---|
//! | [`cli`] | what does a command do |
//! | [`config`] | what is configured, and what is wrong with it |
//! | [`app`] | what makes up a running router, and how it stops |
//! | [`pulse`] | does a running router still do its work |
//! | [`reload`] | how does a running router take over a changed file |
//! | [`server`] | how do bytes from a socket become a request, and which routes are there |
//! | [`intake`] | how does a request become a payment |
//! | [`desk`] | what can a person do with payments |
//! | [`terminals`] | what does a terminal do next, and what became of a payment in doubt |
//! | [`life`], [`live`] | how does a payment move on, and who waits for it |
//! | [`journal`] | what must be on disk, and when |
//! | [`answer`], [`code`] | what is the point of sale told |
//! | `cards` | what has the form of a card number |
//! | [`events`] | what happens, for whoever looks on |
//! | [`metrics`], [`log`] | what does whoever runs it see |
//! | [`oracle`] | do terminals, journal and answers agree |
//! | [`shop`] | how does a whole shop run in one process, simulated |
//! | [`drivers`] | which drivers are built in |
//!
//! Deliberately absent: any terminal's protocol, and any float near money.

pub mod answer;
pub mod app;
mod cards;
pub mod cli;
pub mod code;
pub mod config;
pub mod desk;
pub mod drivers;
pub mod events;
pub mod intake;
pub mod journal;
pub mod life;
pub mod live;
pub mod log;
pub mod metrics;
pub mod oracle;
pub mod pulse;
pub mod reload;
pub mod server;
pub mod shop;
pub mod terminals;

use std::process::ExitCode;

use tillswitch_core::DriverRegistry;

/// Runs the program with these drivers: the whole `main` of a binary that adds a brand of its own.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     let mut drivers = tillswitch::drivers::builtin();
///     // drivers.register(acme::AcmeFactory);
///     tillswitch::main(drivers)
/// }
/// ```
pub fn main(drivers: DriverRegistry) -> ExitCode {
    cli::run(&drivers)
}
