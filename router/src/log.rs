//! Where log lines go: compact text on a terminal, one JSON object per line otherwise. Always standard error; standard
//! output belongs to the tables.

mod shown;

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::collections::BTreeMap;
use std::io::{self, BufWriter, IsTerminal, Stderr, Write};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;
use std::{panic, thread};

use tokio::time::Instant;
use tracing::Subscriber;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Directive;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use shown::{Form, Shown};

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
    let form = if std::io::stderr().is_terminal() { Form::Text } else { Form::Json };
    let lines = lines(writer, form);
    match tracing_subscriber::registry().with(filter).with(lines).try_init() {
        Ok(()) => drop(FILTER.set(handle)),
        Err(error) => tracing::debug!("logging was started before: {error}"),
    }
    Log { _writer: guard }
}

/// How events become lines.
fn lines<S, W>(writer: W, form: Form) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(Shown { lines: writer, form }).with_target(false);
    match form {
        Form::Text => lines.compact().boxed(),
        Form::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    }
}

/// From now on a panic tells its thread and its place. What was made up from values is left out, because a card number or a
/// secret may be among them; words that stand in the source are told.
pub fn tell_panics_without_values() {
    panic::set_hook(Box::new(|info| {
        let thread = thread::current();
        let thread = thread.name().unwrap_or("without a name");
        let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        let words = words(info.payload());
        // Names and lines only, and only where RUST_BACKTRACE asks for it.
        let trace = Some(Backtrace::capture()).filter(|trace| trace.status() == BacktraceStatus::Captured);
        let trace = trace.map(|trace| trace.to_string()).unwrap_or_default();
        match FILTER.get() {
            Some(_) => tracing::error!(thread, place, trace, "the program is at fault and panicked: {words}"),
            None => eprintln!("the program is at fault: thread {thread} panicked at {place}: {words}\n{trace}"),
        }
    }));
}

/// The words of a panic, as far as they stand in the source.
fn words(payload: &(dyn Any + Send)) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or("its words are left out")
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

    /// What a stranger may write, all of it in one text.
    const STRANGE: &str =
        "a\r\nERROR b\u{1b}[2J\u{1b}]0;c\u{7}\u{9b}31m\u{202e}d\u{2066}\u{2028}e\u{0}\u{8}\u{7f}\u{feff}";

    /// What a format makes of an event that a stranger had his hand in.
    fn told(form: Form) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        let log = Registry::default().with(lines(std::sync::Arc::new(file.reopen().unwrap()), form));
        tracing::subscriber::with_default(log, || {
            tracing::warn!(field = STRANGE, shown = %STRANGE, debugged = ?STRANGE, "message {STRANGE}");
            tracing::error!(card = "4111 1111 1111 1111", number = 4_111_111_111_111_111_u64, "of 5555555555554444");
        });
        std::fs::read_to_string(file.path()).unwrap()
    }

    #[test]
    fn whatever_a_stranger_writes_an_event_is_one_line_that_can_be_read() {
        for form in [Form::Text, Form::Json] {
            let text = told(form);
            assert_eq!(text.lines().count(), 2, "{text:?}");
            for steering in [
                "\u{1b}[2J",
                "\u{1b}]0",
                "\u{7}",
                "\u{9b}",
                "\u{202e}",
                "\u{2066}",
                "\u{2028}",
                "\u{0}",
                "\u{8}",
                "\u{7f}",
            ] {
                assert!(!text.contains(steering), "{steering:?} is in {text:?}");
            }
            assert!(text.contains("202e") && text.contains("ERROR b"), "it can be seen: {text}");
            assert!(!text.contains("4111") && !text.contains("55555") && text.contains("1111"), "{text}");
        }
        for line in told(Form::Json).lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
    }

    #[test]
    fn a_panic_tells_no_values() {
        let payload = |panics: fn(&str)| panic::catch_unwind(move || panics("4111111111111111")).unwrap_err();
        assert_eq!(words(&*payload(|_| panic!("a place that cannot be reached"))), "a place that cannot be reached");
        for panics in [
            |value: &str| panic!("no such card: {value}"),
            |value: &str| value.parse::<u8>().map(drop).expect(value),
            |value: &str| assert_eq!(value, ""),
            |value: &str| panic::panic_any(value.to_owned()),
        ] {
            assert_eq!(words(&*payload(panics)), "its words are left out");
        }
    }

    #[test]
    fn usual_names_can_be_traced() {
        for name in ["counter", "POS-01", "bar_2"] {
            assert!(directive(name).is_ok(), "{name}");
        }
    }
}
