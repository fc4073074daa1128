//! A terminal that does nothing until the test says what it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use tillswitch_core::{
    Cause, Details, Display, DriverError, DriverFactory, DriverRegistry, EndOfDay, Evidence, Identity, Outcome,
    PaymentRequest, Resolution, ServiceReport, Session, Settings, SettingsError, TerminalDriver, TerminalStatus,
};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::harness::{drivers, patient};

/// The hand that moves it. Its terminals are `driver = "puppet"`, each named for the address that it has.
pub struct Hand {
    executed: UnboundedSender<Result<Outcome, DriverError>>,
    resolved: UnboundedSender<Result<Resolution, DriverError>>,
    puppet: Puppet,
}

#[derive(Clone)]
struct Puppet(Arc<Shared>);

struct PuppetDriver {
    shared: Arc<Shared>,
    number: usize,
}

struct Shared {
    executed: Mutex<UnboundedReceiver<Result<Outcome, DriverError>>>,
    resolved: Mutex<UnboundedReceiver<Result<Resolution, DriverError>>>,
    executions: AtomicUsize,
    questions: AtomicUsize,
    builds: AtomicUsize,
    /// The number of the driver that executed last.
    executed_by: AtomicUsize,
    /// It wishes to be polished.
    is_dull: AtomicBool,
    polished: AtomicUsize,
}

impl Hand {
    /// One with its strings, and all drivers.
    pub fn new() -> (Hand, DriverRegistry) {
        let (executed, executed_) = unbounded_channel();
        let (resolved, resolved_) = unbounded_channel();
        let puppet = Puppet(Arc::new(Shared {
            executed: Mutex::new(executed_),
            resolved: Mutex::new(resolved_),
            executions: AtomicUsize::new(0),
            questions: AtomicUsize::new(0),
            builds: AtomicUsize::new(0),
            executed_by: AtomicUsize::new(0),
            is_dull: AtomicBool::new(false),
            polished: AtomicUsize::new(0),
        }));
        let mut registry = drivers(patient());
        registry.register(puppet.clone());
        (Hand { executed, resolved, puppet }, registry)
    }

    /// A command ends without an outcome.
    pub fn leaves_in_doubt(&self) {
        self.executed.send(Err(DriverError::in_doubt(Cause::LinkLost, "the string broke"))).unwrap();
    }

    /// A command ends as a decline.
    pub fn declines(&self) {
        self.executed.send(Ok(Outcome::Declined(Details::new("51", "not covered")))).unwrap();
    }

    /// A question is answered with the proof that nothing was charged.
    pub fn proves_not_charged(&self) {
        self.resolved.send(Ok(Resolution::NotCharged(Evidence::new("the book is empty")))).unwrap();
    }

    /// A question cannot be asked.
    pub fn cannot_be_asked(&self) {
        self.resolved.send(Err(DriverError::not_started(Cause::Unreachable, "nobody is there"))).unwrap();
    }

    /// How many commands have begun.
    pub fn executions(&self) -> usize {
        self.puppet.0.executions.load(Ordering::SeqCst)
    }

    /// How many questions have begun.
    pub fn questions(&self) -> usize {
        self.puppet.0.questions.load(Ordering::SeqCst)
    }

    /// From now on it wishes to be polished.
    pub fn grows_dull(&self) {
        self.puppet.0.is_dull.store(true, Ordering::SeqCst);
    }

    /// How often it was polished.
    pub fn polished(&self) -> usize {
        self.puppet.0.polished.load(Ordering::SeqCst)
    }

    /// Which of all drivers that were built executed last.
    pub fn executed_by(&self) -> usize {
        self.puppet.0.executed_by.load(Ordering::SeqCst)
    }
}

impl DriverFactory for Puppet {
    fn name(&self) -> &str {
        "puppet"
    }

    fn identity(&self, settings: &Settings) -> Identity {
        let address = settings.table.get("address").and_then(|address| address.as_str()).unwrap_or_default();
        Identity { address: address.to_owned(), ..Identity::default() }
    }

    fn build(&self, _settings: &Settings) -> Result<Box<dyn TerminalDriver>, Vec<SettingsError>> {
        let number = self.0.builds.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(Box::new(PuppetDriver { shared: self.0.clone(), number }))
    }
}

#[async_trait]
impl TerminalDriver for PuppetDriver {
    async fn execute(&mut self, _request: &PaymentRequest, _session: &mut dyn Session) -> Result<Outcome, DriverError> {
        self.shared.executed_by.store(self.number, Ordering::SeqCst);
        self.shared.executions.fetch_add(1, Ordering::SeqCst);
        self.shared.executed.lock().await.recv().await.expect("the hand is there")
    }

    async fn resolve(
        &mut self,
        _request: &PaymentRequest,
        _session: &mut dyn Session,
    ) -> Result<Resolution, DriverError> {
        self.shared.questions.fetch_add(1, Ordering::SeqCst);
        self.shared.resolved.lock().await.recv().await.expect("the hand is there")
    }

    async fn status(&mut self) -> Result<TerminalStatus, DriverError> {
        Ok(TerminalStatus { ready: true, message: "ready".into(), terminal_id: None, software: None })
    }

    async fn end_of_day(&mut self, _display: &mut dyn Display) -> Result<EndOfDay, DriverError> {
        Err(DriverError::Unsupported)
    }

    fn services(&self) -> Vec<String> {
        vec!["polish".to_owned()]
    }

    async fn service(&mut self, name: &str, _display: &mut dyn Display) -> Result<ServiceReport, DriverError> {
        assert_eq!(name, "polish");
        self.shared.polished.fetch_add(1, Ordering::SeqCst);
        Ok(ServiceReport { message: "it shines".into() })
    }

    fn wishes(&self) -> Vec<String> {
        let is_dull = self.shared.is_dull.load(Ordering::SeqCst);
        is_dull.then(|| "polish".to_owned()).into_iter().collect()
    }
}
