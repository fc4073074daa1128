//! `tillswitch serve`: runs the router until it is told to stop.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tillswitch_core::DriverRegistry;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit;
use crate::app::{App, StartError};
use crate::config::{Config, Fault};
use crate::journal::{JournalError, NotTaken};

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
    let app = match App::start(config.clone()).await {
        Ok(app) => app,
        Err(error) => return not_started(&config.file, &error),
    };
    tracing::info!(
        public = %app.public, admin = %app.admin, path, terminals = config.terminals.len(),
        registers = config.registers.len(), in_doubt = app.recovered.in_doubt, expired = app.recovered.expired, "ready"
    );
    until_stopped(&app).await;
    tracing::info!("stopping: nothing new starts, running payments may end");
    app.stop().await;
    tracing::info!("stopped");
    ExitCode::SUCCESS
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
async fn until_stopped(app: &App) {
    let mut hangup = listen_to(SignalKind::hangup());
    let stop = asked_to_stop();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = hangup.recv() => {
                if let Err(faults) = app.reloader().reload().await {
                    tracing::error!("the configuration was not taken over, the one in use stays: {faults}");
                }
            }
        }
    }
}

/// Completes on SIGTERM or SIGINT.
pub(super) async fn asked_to_stop() {
    let mut terminate = listen_to(SignalKind::terminate());
    let mut interrupt = listen_to(SignalKind::interrupt());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

fn listen_to(kind: SignalKind) -> Signal {
    signal(kind).expect("the signals of a program can be listened to")
}
