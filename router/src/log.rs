//! Where log lines go: compact text on a terminal, one JSON object per line otherwise. Always standard error; standard
//! output belongs to the tables.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;

/// The variable that asks for more or less, such as `TILLSWITCH_LOG=debug`.
const VARIABLE: &str = "TILLSWITCH_LOG";

/// Starts logging. A second call changes nothing.
pub fn start() {
    let default: Directive = tracing::Level::INFO.into();
    let filter = EnvFilter::builder().with_default_directive(default).with_env_var(VARIABLE).from_env_lossy();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        builder.compact().with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    if let Err(error) = started {
        tracing::debug!("logging was started before: {error}");
    }
}
