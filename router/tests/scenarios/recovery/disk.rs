//! What is told when the journal cannot be written any more, and does a restart find the truth?

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use tillswitch::app::App;
use tillswitch::config::Config;
use tillswitch::journal::{Disk, Journal, Options as JournalOptions, RealDisk, SqliteJournal};
use tillswitch::oracle::{self, Witnesses};
use tillswitch::shop::{Premises, Sale, Till, get};

use super::{in_doubt, receipt, sale};
use crate::harness::{PROJECT, PROJECT_2, check, drivers, one_register, patient, quick, send, until};

/// A disk on which so many more commits succeed.
#[derive(Clone)]
struct Failing(Arc<AtomicUsize>);

const FOR_EVER: usize = usize::MAX;

impl Failing {
    fn healthy() -> Failing {
        Failing(Arc::new(AtomicUsize::new(FOR_EVER)))
    }

    fn after(&self, commits: usize) {
        self.0.store(commits, Ordering::SeqCst);
    }
}

impl Disk for Failing {
    fn commit(&mut self, commit: &mut dyn FnMut() -> Result<(), String>) -> Result<(), String> {
        let left = |left: usize| if left == FOR_EVER { Some(left) } else { left.checked_sub(1) };
        match self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left) {
            Ok(_) => commit(),
            Err(_) => Err("the disk fails on purpose".into()),
        }
    }

    fn free(&mut self, folder: &Path) -> io::Result<u64> {
        RealDisk.free(folder)
    }
}

/// Two terminals, and a router whose disk may fail.
struct Bench {
    premises: Premises,
    till: Till,
    disk: Failing,
    folder: TempDir,
}

impl Bench {
    async fn open() -> (Bench, App) {
        let folder = tempfile::tempdir().unwrap();
        let plan = one_register(keeping(folder.path(), "counter"))
            .zvt("bar", keeping(folder.path(), "bar"))
            .register("POS-02", PROJECT_2, "bar");
        let premises = Premises::prepare(plan, folder.path()).await.unwrap();
        let disk = Failing::healthy();
        let app = start(&premises.config, &disk).await;
        let till = Till::new(app.public, "/webhook/pos-payment");
        (Bench { premises, till, disk, folder }, app)
    }

    /// Both terminals have a receipt number to remember, and nothing is left to be written.
    async fn settle_in(&self, app: &App) {
        for project in [PROJECT, PROJECT_2] {
            let first = Sale::new(project, "10.00", &format!("first at {project}"));
            check(&send(&self.till, first).await, 200, "success", "");
        }
        until("every delivery is noted", async || {
            let payments = oracle::payments(&*app.life().journal).await.unwrap();
            payments.iter().all(|payment| payment.answer_delivered)
        })
        .await;
    }

    async fn restart(&self, app: App) -> App {
        app.stop().await;
        self.disk.after(FOR_EVER);
        let app = start(&self.premises.config, &self.disk).await;
        self.till.moved(app.public);
        app
    }

    /// Stops the router, so that nothing is left to be noted, and compares.
    async fn end(self, app: App) {
        app.stop().await;
        let file = self.folder.path().join("tillswitch-state/payments.db");
        let journal = SqliteJournal::open(&file, JournalOptions::default()).unwrap();
        let payments = oracle::payments(&journal).await.unwrap();
        let witnesses = Witnesses { ledgers: self.premises.ledgers(), payments, told: self.till.told() };
        assert_eq!(oracle::violations(&witnesses), []);
        assert_eq!(oracle::recovers_once(&journal).await.unwrap(), []);
        journal.close().await;
        self.premises.close().await;
    }
}

fn keeping(folder: &Path, name: &str) -> tillswitch_zvt::simulator::Options {
    tillswitch_zvt::simulator::Options { auto_reverse: false, ..quick(folder, name) }
}

async fn start(file: &Path, disk: &Failing) -> App {
    let config = Config::load(file, &drivers(patient())).unwrap_or_else(|faults| panic!("{faults}"));
    let disk = Box::new(disk.clone());
    let open = |config: &Config| -> Result<Arc<dyn Journal>, _> {
        Ok(Arc::new(SqliteJournal::open_on(&config.journal.database, JournalOptions::default(), disk)?))
    };
    App::start_with(Arc::new(config), open).await.unwrap_or_else(|why| panic!("{why}"))
}

async fn state(app: &App, id: &str) -> String {
    let payment = get(app.admin, &format!("/api/v1/payments/{id}")).await.unwrap();
    payment.body["state"].as_str().unwrap_or_default().to_owned()
}

/// The disk fails in the middle of a payment, after so many commits of it.
async fn fails_after(commits: usize, stands: bool) {
    let (bench, app) = Bench::open().await;
    bench.settle_in(&app).await;
    bench.disk.after(commits);
    let sale = sale();
    let id = in_doubt(&send(&bench.till, &sale).await);
    assert_eq!(state(&app, &id).await, "dispatched", "what cannot be written is not told as a state");
    let other = Sale::new(PROJECT_2, "2.00", "other");
    let refused = send(&bench.till, &other).await;
    check(&refused, 503, "error", "journal-unavailable");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(send(&bench.till, Sale::new(PROJECT, "2.00", "here")).await.status, 503);
    // The same event again is none of those that may simply be sent again.
    let redelivered = send(&bench.till, &sale).await;
    assert_eq!((in_doubt(&redelivered), redelivered.is_replayed()), (id.clone(), true), "{}", redelivered.text);
    assert!(!redelivered.headers.contains_key("retry-after"));
    assert_eq!(get(app.public, "/health/ready").await.unwrap().status, 503);
    assert_eq!(bench.premises.zvt["bar"].money_commands(), 1, "nothing started");

    let app = bench.restart(app).await;
    assert_eq!(app.recovered.in_doubt, 1);
    let truth = if stands { "approved" } else { "failed" };
    until(&format!("it is {truth}"), async || state(&app, &id).await == truth).await;
    let booked = receipt(&bench.premises.zvt["counter"], 2590);
    assert_eq!(booked.is_some(), stands);
    let again = send(&bench.till, &sale).await;
    assert_eq!((again.status, again.is_replayed()), (if stands { 200 } else { 502 }, true), "{}", again.text);
    assert_eq!(again.body["payment"]["result"]["receipt_number"].as_str(), booked.as_deref());
    check(&send(&bench.till, &other).await, 200, "success", "");
    bench.end(app).await;
}

/// Begun, remembered; what 04 0F said cannot be stored, so the goods are not issued and the terminal takes it back.
#[tokio::test]
async fn a_disk_that_fails_before_the_result_is_recorded() {
    fails_after(2, false).await;
}

/// Begun, remembered, recorded and acknowledged; the outcome cannot be stored.
#[tokio::test]
async fn a_disk_that_fails_before_the_outcome_is_stored() {
    fails_after(3, true).await;
}

/// Begun; nothing could be remembered, so nothing was sent. That cannot be stored either.
#[tokio::test]
async fn a_disk_that_fails_before_anything_is_sent() {
    let (bench, app) = Bench::open().await;
    bench.settle_in(&app).await;
    bench.disk.after(1);
    let reply = send(&bench.till, sale()).await;
    let id = in_doubt(&reply);
    assert_eq!(bench.premises.zvt["counter"].money_commands(), 1, "nothing was sent");
    let app = bench.restart(app).await;
    let settled = async || {
        let payment = get(app.admin, &format!("/api/v1/payments/{id}")).await.unwrap().body;
        payment["waits_for_person"] == true || payment["state"] == "failed"
    };
    until("it is settled or left to a person", settled).await;
    bench.end(app).await;
}

/// Not even the beginning can be stored.
#[tokio::test]
async fn a_disk_that_fails_before_the_payment_is_begun() {
    let (bench, app) = Bench::open().await;
    bench.settle_in(&app).await;
    bench.disk.after(0);
    let sale = sale();
    let reply = send(&bench.till, &sale).await;
    check(&reply, 503, "error", "journal-unavailable");
    assert_eq!(bench.premises.zvt["counter"].money_commands(), 1, "nothing was sent");
    let app = bench.restart(app).await;
    check(&send(&bench.till, &sale).await, 200, "success", "");
    bench.end(app).await;
}

/// What is known is read from a disk that takes no more writes.
#[tokio::test]
async fn a_disk_that_fails_after_a_payment_still_answers_for_it() {
    let (bench, app) = Bench::open().await;
    bench.settle_in(&app).await;
    let sale = sale();
    let first = send(&bench.till, &sale).await;
    check(&first, 200, "success", "");
    bench.disk.after(0);
    check(&send(&bench.till, Sale::new(PROJECT, "2.00", "other")).await, 503, "error", "journal-unavailable");
    let again = send(&bench.till, &sale).await;
    check(&again, 200, "success", "");
    assert_eq!((again.payment(), again.is_replayed()), (first.payment(), true), "{}", again.text);
    bench.end(app).await;
}
