//! A running router: what it is made of, in which order it starts, and how it stops.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval};

use crate::config::Config;
use crate::desk::Desk;
use crate::events::Events;
use crate::intake::Intake;
use crate::journal::{
    Forgotten, Journal, JournalError, Measured, MeasuredDisk, NotTaken, Options, Recovered, SqliteJournal, StateLock,
    note_room,
};
use crate::life::Life;
use crate::live::Live;
use crate::metrics::{JournalMetrics, Layout, Listener, Metrics};
use crate::pulse::Pulse;
use crate::reload::Reloader;
use crate::server::tls::{Shown, Tls, Watch};
use crate::server::{self, Accept, Callers, Counted, Handler, Limits};
use crate::terminals::Terminals;

/// How often what was observed is sorted into its buckets.
const UPKEEP: Duration = Duration::from_secs(5);
/// How often the journal forgets what is older than its retention.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How many clients may wait to be let in. With the usual 128 a burst costs the others a second each, until they try again.
const BACKLOG: u32 = 4096;
/// How long open connections get to read their answers after the last payment has ended.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A running router.
pub struct App {
    /// Where the point of sale reaches it.
    pub public: SocketAddr,
    /// Where page, API and metrics are.
    pub admin: SocketAddr,
    /// What the start found open.
    pub recovered: Recovered,
    config: Arc<ArcSwap<Config>>,
    life: Life,
    terminals: Arc<Terminals>,
    reloader: Reloader,
    grace: Duration,
    closing: watch::Sender<Option<Instant>>,
    listeners: Vec<JoinHandle<()>>,
    upkeep: Vec<JoinHandle<()>>,
    _lock: StateLock,
}

/// Why a router did not start.
#[derive(Debug)]
pub enum StartError {
    /// Another router works on the same state.
    Locked(NotTaken),
    /// The journal does not open.
    Journal(JournalError),
    /// Nothing can listen there.
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Locked(why) => write!(f, "{why}"),
            StartError::Journal(error) => write!(f, "{error}"),
            StartError::Listen { address, error } => {
                write!(f, "nothing can listen on {address}: {error}; stop what listens there or change `listen`")
            }
        }
    }
}

impl std::error::Error for StartError {}

impl App {
    /// Starts everything: lock, journal, what a crash left open, terminals, and the listeners last.
    pub async fn start(config: Arc<Config>) -> Result<App, StartError> {
        let metrics = Metrics::new(&Layout::from(&*config));
        let journal = metrics.journal().clone();
        App::launch(config, metrics, |config| open_journal(config, journal)).await
    }

    /// The same with a journal of the caller's, such as one on a disk that fails on purpose. It is opened under the lock.
    pub async fn start_with(
        config: Arc<Config>,
        open: impl FnOnce(&Config) -> Result<Arc<dyn Journal>, JournalError>,
    ) -> Result<App, StartError> {
        let metrics = Metrics::new(&Layout::from(&*config));
        App::launch(config, metrics, open).await
    }

    async fn launch(
        config: Arc<Config>,
        metrics: Metrics,
        open: impl FnOnce(&Config) -> Result<Arc<dyn Journal>, JournalError>,
    ) -> Result<App, StartError> {
        let lock = StateLock::take(&config.state_dir, &config.server.listen.to_string()).map_err(StartError::Locked)?;
        let lost = lock.misses_journal(&config.journal.database);
        let journal = open(&config).map_err(StartError::Journal)?;
        if lost {
            tracing::error!(
                file = %config.journal.database.display(),
                "a new, empty journal was created where a router has worked before: events that were paid before would be \
                 paid again; if the old file is somewhere, stop this router now and put it back"
            );
        }
        let began = Instant::now();
        let recovered = journal.recover().await.map_err(StartError::Journal)?;
        metrics.recovered(recovered, began.elapsed());
        let journal = Measured::new(journal, metrics.journal().clone()).await.map_err(StartError::Journal)?;
        let journal: Arc<dyn Journal> = Arc::new(journal);
        let life = Life { journal, metrics, live: Live::default(), events: Events::new() };
        let configs = config.terminals.values().cloned();
        let terminals = Arc::new(Terminals::start(configs, &life).await.map_err(StartError::Journal)?);
        terminals.show_queues_in(&life.metrics);
        let public = listen(config.server.listen).await?;
        let admin = listen(config.admin.listen).await?;
        let (closing, closed) = watch::channel(None);
        let forgetting = forget_daily(life.journal.clone(), config.journal.retention);
        let tidying = upkeep(life.metrics.clone(), config.journal.database.clone());
        let mut upkeep = vec![tokio::spawn(tidying), tokio::spawn(forgetting)];
        let latest = Arc::new(ArcSwap::new(config.clone()));
        let shown = config.server.tls.as_ref().map(|https| Shown::new(&https.certificate, life.metrics.clone()));
        if let Some(shown) = shown.clone() {
            upkeep.push(tokio::spawn(renew(shown, latest.clone())));
        }
        let reloader = Reloader::new(latest.clone(), life.clone(), terminals.clone(), shown.clone());
        let mut app = App {
            public: public.local_addr().map_err(|error| not_listening(config.server.listen, error))?,
            admin: admin.local_addr().map_err(|error| not_listening(config.admin.listen, error))?,
            recovered,
            config: latest,
            life,
            terminals,
            reloader,
            grace: config.server.shutdown_timeout,
            closing,
            listeners: Vec::new(),
            upkeep,
            _lock: lock,
        };
        app.open((public, shown), admin, config, closed);
        Ok(app)
    }

    fn open(
        &mut self,
        (public, shown): (TcpListener, Option<Arc<Shown>>),
        admin: TcpListener,
        config: Arc<Config>,
        closed: watch::Receiver<Option<Instant>>,
    ) {
        let latest = self.config.clone();
        let callers = Callers::default();
        let intake = Intake::new(latest.clone(), self.life.clone(), self.terminals.clone(), callers.clone());
        let desk = Desk::new(latest.clone(), self.life.clone(), self.terminals.clone());
        let limits = Limits::for_strangers(config.server.max_connections);
        let outside = server::routes(server::public::routes(&config.webhook.path, intake.clone()));
        let calls = server::admin::Admin {
            config: latest,
            life: self.life.clone(),
            terminals: self.terminals.clone(),
            desk,
            reloader: self.reloader(),
            sessions: Default::default(),
            attempts: Default::default(),
            seats: Default::default(),
        };
        let inside = server::routes(server::admin::routes(calls, intake));
        let closing = closed.clone();
        let metrics = &self.life.metrics;
        let operators = Counted::new(server::Plain, metrics.clone(), Listener::Admin);
        self.listeners.push(match shown {
            Some(shown) => {
                let clients = Counted::new(Tls::new(shown), metrics.clone(), Listener::Public);
                tokio::spawn(serve(public, clients, outside, limits, callers, closing))
            }
            None => {
                let clients = Counted::new(server::Plain, metrics.clone(), Listener::Public);
                tokio::spawn(serve(public, clients, outside, limits, callers, closing))
            }
        });
        let (limits, nobody) = (Limits::default(), Callers::default());
        self.listeners.push(tokio::spawn(serve(admin, operators, inside, limits, nobody, closed)));
    }

    /// How it takes over a changed configuration.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// Whether it still does its work.
    pub fn pulse(&self) -> Pulse {
        let listeners = self.listeners.iter().map(JoinHandle::abort_handle).collect();
        Pulse::new(self.life.journal.clone(), listeners, self.closing.subscribe())
    }

    /// What a payment needs, for those who look on.
    pub fn life(&self) -> &Life {
        &self.life
    }

    /// The terminals.
    pub fn terminals(&self) -> &Terminals {
        &self.terminals
    }

    /// Stops gracefully: no new payment starts (503), running ones may end within the configured time, everybody gets an
    /// answer, the terminals are left in good order, the journal is closed.
    pub async fn stop(self) {
        self.terminals.stop(self.grace).await;
        self.life.events.end();
        self.closing.send_replace(Some(Instant::now() + LAST_WORDS));
        for listener in self.listeners {
            let _ = listener.await;
        }
        self.upkeep.iter().for_each(JoinHandle::abort);
        self.life.journal.close().await;
    }
}

fn open_journal(config: &Config, metrics: JournalMetrics) -> Result<Arc<dyn Journal>, JournalError> {
    let options = Options { min_free: config.min_free, ..Options::default() };
    metrics.capacity(options.queue);
    let disk = Box::new(MeasuredDisk::new(metrics));
    Ok(Arc::new(SqliteJournal::open_on(&config.journal.database, options, disk)?))
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let open = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A restart must not wait until the connections of the last run are forgotten.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    open().map_err(|error| not_listening(address, error))
}

fn not_listening(address: SocketAddr, error: std::io::Error) -> StartError {
    StartError::Listen { address, error }
}

async fn serve<A: Accept, H: Handler>(
    listener: TcpListener,
    accept: A,
    handler: H,
    limits: Limits,
    callers: Callers,
    closing: watch::Receiver<Option<Instant>>,
) {
    server::serve_with(listener, accept, handler, limits, callers, deadline(closing)).await;
}

/// Completes with the instant at which open connections are cut.
async fn deadline(mut closing: watch::Receiver<Option<Instant>>) -> Instant {
    match closing.wait_for(Option::is_some).await {
        Ok(deadline) => deadline.unwrap_or_else(Instant::now),
        Err(_) => Instant::now(),
    }
}

async fn upkeep(metrics: Metrics, database: PathBuf) {
    let mut tick = interval(UPKEEP);
    loop {
        tick.tick().await;
        metrics.run_upkeep();
        let (database, journal) = (database.clone(), metrics.journal().clone());
        // A disk that hangs must hold up nobody else.
        let _ = tokio::task::spawn_blocking(move || note_room(&database, &journal)).await;
    }
}

/// Takes over a certificate whose files have changed, without being told.
async fn renew(shown: Arc<Shown>, latest: Arc<ArcSwap<Config>>) {
    let (mut tick, mut watch) = (interval(UPKEEP), Watch::default());
    loop {
        tick.tick().await;
        if let Some(https) = &latest.load().server.tls {
            watch.look(https, &shown);
        }
    }
}

/// At once, and then every day. What one day could not do is left for the next.
async fn forget_daily(journal: Arc<dyn Journal>, retention: Duration) {
    let mut tick = interval(DAY);
    loop {
        tick.tick().await;
        match journal.forget(retention).await {
            Ok(Forgotten { payments: 0, of_terminals: 0 }) => {}
            Ok(Forgotten { payments, of_terminals }) => {
                tracing::info!(payments, of_terminals, "what was older than `journal.retention` is forgotten");
            }
            Err(error) => tracing::warn!(%error, "old payments were not forgotten; the next try is tomorrow"),
        }
    }
}
