//! `tillswitch serve`: runs the router until it is told to stop.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tillswitch_core::DriverRegistry;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::exit;
use super::notify::{Supervisor, signs_of_life};
use crate::app::{App, StartError};
use crate::config::{Config, Fault};
use crate::journal::{JournalError, NotTaken};
use crate::pulse::Pulse;

/// What a stop needs beyond the time that running payments get: to tell the terminals good-bye, to let clients read their
/// answers, and to close the journal.
const LEAVE: Duration = Duration::from_secs(60);

/// What `tillswitch serve` takes.
#[derive(clap::Args, Clone, Debug)]
pub struct ServeArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "tillswitch.toml")]
    pub config: PathBuf,
}

/// Serves until SIGTERM or SIGINT.
pub fn run(args: &ServeArgs, registry: &DriverRegistry) -> ExitCode {
    let _log = crate::log::start();
    let config = match Config::load(&args.config, registry) {
        Ok(config) => config,
        Err(faults) => {
            eprint!("{faults}");
            return exit::CONFIGURATION.into();
        }
    };
    config.warnings.iter().for_each(|warning| warn(warning, &args.config));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("the router cannot start its threads: {error}");
            return exit::UNAVAILABLE.into();
        }
    };
    runtime.block_on(serve(Arc::new(config)))
}

/// With the underlined line for a person; as a line of the log where a program reads it.
fn warn(warning: &Fault, file: &Path) {
    if std::io::stderr().is_terminal() {
        return eprintln!("{}", warning.describe(file));
    }
    let Fault { line, path, message, remedy, .. } = warning;
    tracing::warn!(file = %file.display(), line, key = path, remedy, "{message}");
}

async fn serve(config: Arc<Config>) -> ExitCode {
    let path = config.webhook.path.clone();
    // Before anybody can know that it runs: a signal that comes before it is listened to ends the process at once.
    let (mut hangup, mut stop) = (listen_to(SignalKind::hangup()), pin!(asked_to_stop()));
    let supervisor = Arc::new(Supervisor::from_environment());
    supervisor.status("Starting: finds out what the last run left open.").await;
    let started = tokio::select! {
        biased;
        started = App::start(config.clone()) => started,
        () = &mut stop => return ExitCode::SUCCESS,
    };
    let app = match started {
        Ok(app) => app,
        Err(error) => return not_started(&config.file, &error),
    };
    tracing::info!(
        public = %app.public, admin = %app.admin, path, terminals = config.terminals.len(),
        registers = config.registers.len(), in_doubt = app.recovered.in_doubt, expired = app.recovered.expired, "ready"
    );
    supervisor.ready(&at_work(&app)).await;
    let signs = signs_of_life().map(|every| tokio::spawn(give_signs(supervisor.clone(), app.pulse(), every)));
    reload_until(stop, &mut hangup, &app, &supervisor).await;
    tracing::info!("stopping: nothing new starts, running payments may end");
    supervisor.stopping(config.server.shutdown_timeout + LEAVE).await;
    app.stop().await;
    signs.inspect(tokio::task::JoinHandle::abort);
    tracing::info!("stopped");
    ExitCode::SUCCESS
}

fn at_work(app: &App) -> String {
    format!("Takes payments on {}; page, API and metrics on {}.", app.public, app.admin)
}

/// Tells a supervisor that the router works, as long as it does. In a task of its own, because that is what a router that
/// works gives a turn to.
async fn give_signs(supervisor: Arc<Supervisor>, pulse: Pulse, every: Duration) {
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = None;
    loop {
        tick.tick().await;
        let fault = pulse.fault();
        match fault {
            None => supervisor.alive().await,
            Some(fault) if before.is_none() => {
                tracing::error!(
                    "{fault}: the service's supervisor gets no more signs of life and may start the router anew"
                );
                supervisor.status(&format!("In trouble: {fault}.")).await;
            }
            Some(_) => {}
        }
        before = fault;
    }
}

fn not_started(file: &Path, error: &StartError) -> ExitCode {
    eprintln!("{}: {error}", file.display());
    let code = match error {
        StartError::Locked(NotTaken::Held(_)) => exit::LOCKED,
        StartError::Journal(JournalError::Damaged(_)) => exit::DAMAGED,
        StartError::Locked(NotTaken::Unusable { .. }) | StartError::Journal(_) | StartError::Listen { .. } => {
            exit::UNAVAILABLE
        }
    };
    code.into()
}

/// Reads the configuration again on SIGHUP until it is time to stop.
async fn reload_until(mut stop: impl Future + Unpin, hangup: &mut Signal, app: &App, supervisor: &Supervisor) {
    loop {
        tokio::select! {
            _ = &mut stop => return,
            _ = hangup.recv() => reload(app, supervisor).await,
        }
    }
}

async fn reload(app: &App, supervisor: &Supervisor) {
    supervisor.reloading().await;
    let mut status = at_work(app);
    if let Err(faults) = app.reloader().reload().await {
        tracing::error!("the configuration was not taken over, the one in use stays: {faults}");
        status.push_str(" The changed configuration was refused; the log says why.");
    }
    supervisor.ready(&status).await;
}

/// Completes on SIGTERM or SIGINT, which are listened to from the call on.
pub(super) fn asked_to_stop() -> impl Future<Output = ()> {
    let mut terminate = listen_to(SignalKind::terminate());
    let mut interrupt = listen_to(SignalKind::interrupt());
    async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

fn listen_to(kind: SignalKind) -> Signal {
    signal(kind).expect("the signals of a program can be listened to")
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use tokio::sync::watch;
    use tokio::time::Instant;

    use super::*;
    use crate::journal::{Options, SqliteJournal};

    #[tokio::test]
    async fn a_router_in_trouble_gives_no_sign_of_life_and_says_so_once() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("notify");
        let listener = UnixDatagram::bind(&socket).unwrap();
        let journal = SqliteJournal::open(&folder.path().join("payments.db"), Options::default()).unwrap();
        let deaf = tokio::spawn(async {}).abort_handle();
        while !deaf.is_finished() {
            tokio::task::yield_now().await;
        }
        let (close, closing) = watch::channel(None);
        let pulse = Pulse::new(Arc::new(journal), vec![deaf], closing);
        let supervisor = Arc::new(Supervisor::at(socket.as_os_str()));
        let signs = tokio::spawn(give_signs(supervisor, pulse, Duration::from_millis(1)));
        let next = move || {
            let mut space = [0; 100];
            let length = listener.recv(&mut space).unwrap();
            (String::from_utf8(space[..length].to_vec()).unwrap(), listener)
        };
        let (first, listener) = tokio::task::spawn_blocking(next).await.unwrap();
        assert_eq!(first, "STATUS=In trouble: a listener has ended.");
        listener.set_nonblocking(true).unwrap();
        // Its next turns come and go in silence.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut space = [0; 100];
        assert!(listener.recv(&mut space).is_err(), "a router in trouble gave a sign of life");
        close.send_replace(Some(Instant::now()));
        listener.set_nonblocking(false).unwrap();
        let length =
            tokio::task::spawn_blocking(move || listener.recv(&mut space).map(|length| space[..length].to_vec()));
        assert_eq!(length.await.unwrap().unwrap(), b"WATCHDOG=1");
        signs.abort();
    }
}
