//! How does the day of a seed go, from opening the shop to comparing what everybody says?

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tillswitch::journal::{Filter, Journal, State, Verdict};
use tillswitch::oracle::{self, Ledger, Witnesses};
use tillswitch_core::ledger::LedgerEntry;
use tillswitch_core::wall_clock;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::dice::Dice;
use super::disk::CommitFault;
use super::journal::NOTE_WAITS_MS;
use super::operator::Operator;
use super::promises;
use super::shop::{REGISTERS, Router, Shop};
use super::till::Tills;
use super::trace::Trace;

/// When every simulated day begins: a summer's morning.
const MORNING: Duration = Duration::from_secs(1_782_892_800);
/// After so long a payment that is still asked about is never settled.
const SETTLED_WITHIN: Duration = Duration::from_secs(4 * 3600);
/// Between two looks at what is still open.
const LOOK: Duration = Duration::from_secs(120);

/// What a day came to.
pub struct Day {
    pub violations: Vec<String>,
    pub counts: BTreeMap<String, u64>,
    pub trace: String,
    /// Equal for two runs that went the same way.
    pub hash: u64,
}

thread_local! {
    static OPENED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The wall clock of the day goes with its own time.
fn clock() -> SystemTime {
    UNIX_EPOCH + MORNING + OPENED.get().map_or(Duration::ZERO, |opened| opened.elapsed())
}

/// Runs the day of a seed.
pub fn run(seed: u64, kept: bool) -> Day {
    let builder = &mut tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().expect("a runtime starts");
    let folder = tempfile::tempdir_in(memory()).expect("a folder can be made");
    let day = runtime.block_on(async {
        OPENED.set(Some(Instant::now()));
        wall_clock::simulate(Some(clock));
        let trace = Trace::begin(kept);
        let violations = play(seed, folder.path(), &trace).await;
        let (counts, text, hash) = trace.end();
        Day { violations, counts, trace: text, hash }
    });
    // What is left of killed routers ends here.
    drop(runtime);
    wall_clock::simulate(None);
    day
}

/// A file system in memory, where there is one: a day waits for the disk a thousand times.
fn memory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

async fn play(seed: u64, folder: &Path, trace: &Trace) -> Vec<String> {
    let shop = match Shop::open(seed, folder, trace.clone()).await {
        Ok(shop) => shop,
        Err(error) => return vec![format!("the shop does not open: {error}")],
    };
    let tills = Tills::new(shop.clone());
    let mut runs = Runs { shop: shop.clone(), dice: Dice::new(seed, "runs"), count: 0 };
    let operator = Operator::new(shop.clone(), Dice::new(seed, "operator"));
    tokio::select! {
        biased;
        () = customers(&tills, seed) => {}
        () = runs.keep_running() => {}
        () = operator.work() => {}
    }
    shop.trace().note("the customers have gone");
    evening(seed, &shop, &tills, &mut runs).await
}

async fn customers(tills: &Tills, seed: u64) {
    let dice = Dice::new(seed, "customers");
    let mut customers = JoinSet::new();
    for number in 0..6 + dice.below(7) {
        let (tills, dice) = (tills.clone(), Dice::new(seed, &format!("customer {number}")));
        customers.spawn(async move { tills.serve(number, dice).await });
    }
    while customers.join_next().await.is_some() {}
}

/// The runs of the router, one after another.
struct Runs {
    shop: Shop,
    dice: Dice,
    count: u64,
}

impl Runs {
    /// Starts a router whenever there is none.
    async fn keep_running(&mut self) {
        loop {
            self.count += 1;
            // Short ones hit the start and its recovery.
            let fuse = match self.dice.below(6) {
                0 => None,
                1 => Some(1 + self.dice.below(30)),
                2 => Some(1 + self.dice.below(200)),
                _ => Some(100 + self.dice.below(2_500)),
            };
            if let Some(router) = self.shop.start(fuse, self.count).await {
                self.watch(&router).await;
                self.shop.bury(router);
            }
            sleep(self.dice.millis(500, 30_000)).await;
        }
    }

    /// Until it is killed, or stopped by somebody.
    async fn watch(&self, router: &Arc<Router>) {
        tokio::select! {
            biased;
            () = router.gate.is_dead() => {}
            () = self.stop_gracefully(router) => {}
            () = self.trouble_the_disk(router) => {}
        }
    }

    async fn stop_gracefully(&self, router: &Router) {
        sleep(self.dice.millis(30_000, 3_000_000)).await;
        self.shop.trace().count("the router is stopped in order");
        router.terminals.stop(self.dice.millis(0, 200_000)).await;
    }

    /// Goes on until a commit has failed and somebody has restarted the router because of it.
    async fn trouble_the_disk(&self, router: &Router) {
        let trouble = self.shop.trouble();
        loop {
            sleep(self.dice.millis(10_000, 2_000_000)).await;
            if self.dice.percent(40) {
                self.shop.trace().count("the disk is full");
                trouble.set_free(0);
                sleep(self.dice.millis(1_000, 120_000)).await;
                trouble.set_free(super::disk::ROOMY);
                continue;
            }
            let fault = self.dice.pick(&[CommitFault::NotWritten, CommitFault::WrittenAllTheSame]);
            trouble.fail_next(Some(fault));
            while router.life.journal.health().is_ok() {
                sleep(Duration::from_secs(5)).await;
            }
            sleep(self.dice.millis(1_000, 300_000)).await;
            return;
        }
    }

    /// One that nothing happens to.
    async fn last(&mut self) -> Option<Arc<Router>> {
        if let Some(router) = self.shop.router() {
            self.shop.bury(router);
        }
        self.shop.heal();
        self.count += 1;
        self.shop.start(None, self.count).await
    }
}

/// Lets everything come to its end, and compares.
async fn evening(seed: u64, shop: &Shop, tills: &Tills, runs: &mut Runs) -> Vec<String> {
    let Some(router) = runs.last().await else {
        return vec!["the router does not start although nothing is in its way".to_owned()];
    };
    let mut found = Vec::new();
    if timeout(SETTLED_WITHIN, settled(&router)).await.is_err() {
        found.push("a payment is neither settled nor left to a person hours after everything was repaired".to_owned());
    }
    let mut operator = Operator::new(shop.clone(), Dice::new(seed, "evening"));
    operator.settle(&router).await;
    for (register, project, _) in REGISTERS {
        if let Err(heard) = last_sale(tills, project).await {
            found.push(format!("the last sale at {register} was not made: {heard}"));
        }
    }
    let journal = &*router.life.journal;
    let payments = oracle::payments(journal).await.expect("the journal can be read");
    note_ends(shop.trace(), journal).await;
    let witnesses = Witnesses { ledgers: shop.ledgers(), payments, told: tills.told() };
    note_ledgers(shop.trace(), &witnesses.ledgers);
    found.extend(oracle::violations(&witnesses).iter().map(ToString::to_string));
    let payments = &witnesses.payments;
    found.extend(promises::one_event_one_payment(&tills.paid()));
    found.extend(promises::no_second_charge(journal, payments, shop.repeat()).await);
    found.extend(promises::no_over_refund(payments));
    // That the last answers were delivered is noted a little later, and would count as a change by the recovery.
    sleep(2 * Duration::from_millis(NOTE_WAITS_MS)).await;
    let again = oracle::recovers_once(journal).await.expect("the journal can be written");
    found.extend(again.iter().map(ToString::to_string));
    found.into_iter().map(|violation| mask(shop.trace(), &violation)).collect()
}

/// A line that broke just before shows it only now: it may be tried again as long as nothing was begun.
async fn last_sale(tills: &Tills, project: &str) -> Result<(), String> {
    let mut heard = None;
    for _ in 0..3 {
        heard = tills.last_sale(project).await;
        match &heard {
            Some((200, _)) => return Ok(()),
            Some((502, _)) => sleep(LOOK).await,
            _ => break,
        }
    }
    Err(format!("{heard:?}"))
}

async fn settled(router: &Router) {
    loop {
        let mut open = 0;
        for state in [State::Received, State::Dispatched, State::InDoubt] {
            let filter = Filter { state: Some(state), limit: 1000, ..Filter::default() };
            let payments = router.life.journal.search(filter).await.unwrap_or_default();
            open += payments.iter().filter(|payment| !payment.waits_for_person).count();
        }
        if open == 0 {
            return;
        }
        sleep(LOOK).await;
    }
}

/// What the journal says of every payment becomes part of the trace.
async fn note_ends(trace: &Trace, journal: &dyn Journal) {
    let mut payments = oracle::payments(journal).await.unwrap_or_default();
    payments.reverse();
    for payment in payments {
        let name = trace.name(payment.id);
        trace.count(&format!("ended {}", payment.state));
        let (operation, amount, terminal) = (payment.operation, payment.amount, &payment.terminal.name);
        let receipt = match &payment.verdict {
            Some(Verdict::Said { outcome }) => outcome.details().receipt_number.clone(),
            Some(Verdict::Because { .. }) | None => None,
        };
        trace.note(format!("{name} {operation} {amount} at {terminal}, receipt {receipt:?}"));
        let Ok(Some(history)) = journal.history(payment.id).await else { continue };
        let mut was_in_doubt = false;
        for transition in &history.transitions {
            let actor = transition.actor.split(':').next().unwrap_or_default();
            trace.note(format!("{name} {} by {actor}: {}", transition.state, transition.evidence));
            if was_in_doubt {
                trace.count(&format!("doubt became {} by {actor}", transition.state));
            }
            was_in_doubt = transition.state == State::InDoubt;
        }
        for incident in &history.incidents {
            trace.count("an incident");
            trace.note(mask(trace, &incident.message));
        }
    }
}

fn note_ledgers(trace: &Trace, ledgers: &[Ledger]) {
    for ledger in ledgers {
        for entry in &ledger.entries {
            let LedgerEntry { event, operation, amount, receipt_number, at_unix_ms, .. } = entry;
            let at = Duration::from_millis(*at_unix_ms).saturating_sub(MORNING).as_millis();
            let line = format!("{event:?} {operation} {amount} as {receipt_number} at {at} ms");
            trace.note(format!("ledger of {}: {line}", ledger.terminal));
        }
    }
}

/// Identities differ from run to run; names do not.
fn mask(trace: &Trace, text: &str) -> String {
    let ends_word = |letter: char| !letter.is_ascii_alphanumeric() && letter != '-';
    let words = text.split_inclusive(ends_word).map(|word| {
        let (word, rest) = word.split_at(word.trim_end_matches(ends_word).len());
        trace.name_of(word) + rest
    });
    words.collect()
}
