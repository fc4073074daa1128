//! Where log lines go: compact text on a terminal, one JSON object per line otherwise. Always standard error; standard
//! output belongs to the tables.

use std::io::IsTerminal;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;

/// The variable that asks for more or less, such as `TILLSWITCH_LOG=debug`.
const VARIABLE: &str = "TILLSWITCH_LOG";
/// Lines that wait for a slow reader at most. More are dropped: a payment never waits for whoever reads the log.
const QUEUED_LINES: usize = 8192;

/// Keeps logging alive; what is queued is written when it is dropped.
#[must_use = "lines are written only while it lives"]
pub struct Log {
    _writer: WorkerGuard,
}

/// Starts logging. A second call changes nothing.
pub fn start() -> Log {
    let default: Directive = tracing::Level::INFO.into();
    let filter = EnvFilter::builder().with_default_directive(default).with_env_var(VARIABLE).from_env_lossy();
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(QUEUED_LINES).lossy(true).finish(std::io::stderr());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let started = if std::io::stderr().is_terminal() {
        builder.compact().with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).with_target(false).try_init()
    };
    if let Err(error) = started {
        tracing::debug!("logging was started before: {error}");
    }
    Log { _writer: guard }
}
