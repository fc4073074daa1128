//! Where log lines go: compact text on a terminal, one JSON object per line otherwise. Always standard error; standard
//! output belongs to the tables.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, IsTerminal, Stderr, Write};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Directive;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

/// The variable that asks for more or less, such as `TILLSWITCH_LOG=debug`.
const VARIABLE: &str = "TILLSWITCH_LOG";
/// Lines that wait for a slow reader at most. More are dropped: a payment never waits for whoever reads the log.
const QUEUED_LINES: usize = 8192;
/// How long the log rests after it was written. Under load the lines of this time go out together, and whoever logs need not
/// wake anybody.
const REST: Duration = Duration::from_millis(5);
/// The span around everything that a terminal's driver does; its field `name` tells which.
pub const TERMINAL_SPAN: &str = "terminal";

static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();
/// Terminals whose frames are shown, and until when.
static TRACED: Mutex<BTreeMap<String, Instant>> = Mutex::new(BTreeMap::new());

/// Keeps logging alive; what is queued is written when it is dropped.
#[must_use = "lines are written only while it lives"]
pub struct Log {
    _writer: WorkerGuard,
}

/// Starts logging. A second call changes nothing.
pub fn start() -> Log {
    let (filter, handle) = reload::Layer::new(base());
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(QUEUED_LINES).lossy(true).finish(Batches::to(io::stderr()));
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_target(false);
    let lines = if std::io::stderr().is_terminal() {
        lines.compact().boxed()
    } else {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    };
    match tracing_subscriber::registry().with(filter).with(lines).try_init() {
        Ok(()) => drop(FILTER.set(handle)),
        Err(error) => tracing::debug!("logging was started before: {error}"),
    }
    Log { _writer: guard }
}

/// Standard error, written in batches. The log's thread flushes whenever no line is left.
struct Batches(BufWriter<Stderr>);

impl Batches {
    fn to(stderr: Stderr) -> Batches {
        Batches(BufWriter::new(stderr))
    }
}

impl Write for Batches {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        thread::sleep(REST);
        Ok(())
    }
}

fn base() -> EnvFilter {
    let default: Directive = tracing::Level::INFO.into();
    EnvFilter::builder().with_default_directive(default).with_env_var(VARIABLE).from_env_lossy()
}

/// Shows the frames of a terminal, masked, for so long. Ends by itself.
pub fn trace_terminal(terminal: &str, how_long: Duration) -> Result<(), String> {
    let handle = FILTER.get().ok_or("this program does not write a log of its own")?;
    directive(terminal)?;
    traced().insert(terminal.to_owned(), Instant::now() + how_long);
    show_traced(handle)?;
    tokio::spawn(async move {
        tokio::time::sleep(how_long).await;
        // Another call may have asked for longer: whoever is due goes.
        if let Err(error) = show_traced(handle) {
            tracing::warn!("the log could not be set back: {error}");
        }
    });
    Ok(())
}

fn show_traced(handle: &reload::Handle<EnvFilter, Registry>) -> Result<(), String> {
    let mut filter = base();
    let mut traced = traced();
    traced.retain(|_, until| *until > Instant::now());
    for terminal in traced.keys() {
        filter = filter.add_directive(directive(terminal)?);
    }
    handle.reload(filter).map_err(|error| error.to_string())
}

fn directive(terminal: &str) -> Result<Directive, String> {
    let text = format!("[{TERMINAL_SPAN}{{name={terminal}}}]=trace");
    text.parse().map_err(|_| format!("the name {terminal:?} cannot be told apart in the log; trace it with {VARIABLE}"))
}

fn traced() -> std::sync::MutexGuard<'static, BTreeMap<String, Instant>> {
    TRACED.lock().expect("nothing panics while it holds the traced terminals")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_can_be_traced() {
        for name in ["counter", "POS-01", "bar_2"] {
            assert!(directive(name).is_ok(), "{name}");
        }
    }
}
