//! Does a shop with many registers keep its books when frames of every payment are lost, doubled, cut short or cut off?
//!
//! The whole of the fault matrix is played in the driver's own tests, over paused time. Here its money window goes through the
//! router: one register for each cell, each behind a TCP line of its own, and the oracle at the end.

mod line;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tillswitch::oracle;
use tillswitch::shop::{Plan, Reply, Sale};
use tillswitch_zvt::Timing;
use tillswitch_zvt::simulator::Options;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use crate::harness::{Scene, all, check, drivers, quick, send};
use line::{Cell, FAULTS, Line, STEPS};

/// So many payments are sent at a time: the timers are short, and the machine may be busy.
const AT_A_TIME: usize = 12;
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// One register, and its terminal behind a line.
struct Counter {
    number: usize,
    line: Arc<Line>,
    auto_reverse: bool,
}

impl Counter {
    fn project(&self) -> String {
        format!("00000000-0000-0000-0001-{:012}", self.number)
    }

    fn terminal(&self) -> String {
        format!("pt{}", self.number)
    }

    fn sale(&self, amount: &str, name: &str) -> Sale {
        Sale::new(&self.project(), amount, &format!("{}-{name}", self.number))
    }

    /// The register's terminal is the line; the simulated one behind it goes by another name and has no register.
    fn planned(&self, plan: Plan, folder: &Path) -> Plan {
        let (number, address) = (self.number, self.line.address);
        let options = Options { auto_reverse: self.auto_reverse, ..quick(folder, &self.terminal()) };
        let table =
            format!("[terminals.till{number}]\ndriver = \"zvt-tcp\"\naddress = \"{address}\"\nreceipts = \"router\"\n");
        let plan = plan.zvt(&self.terminal(), options).other_lines(&table);
        plan.register(&format!("POS-{number}"), &self.project(), &format!("till{number}"))
    }

    /// A payment before the fault, one that is hit, and one behind it.
    async fn play(&self, scene: &Scene, places: &Semaphore) {
        let hit = {
            let _place = places.acquire().await.unwrap();
            check(&send(&scene.till, self.sale("10.00", "before")).await, 200, "success", "");
            self.line.arm();
            send(&scene.till, self.sale("25.90", "hit")).await
        };
        self.until("the fault has come", async || self.line.has_hit()).await;
        self.until("it is settled", async || is_settled(scene, &hit).await).await;
        let tried = AtomicUsize::new(0);
        self.until("the next payment goes", async || {
            // Another document each time: what was refused once stays refused.
            let after = self.sale("3.00", &format!("after-{}", tried.fetch_add(1, Ordering::Relaxed)));
            send(&scene.till, &after).await.status == 200
        })
        .await;
    }

    async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition().await {
            assert!(Instant::now() < deadline, "{:?}, reverses {}: never: {what}", self.line.cell, self.auto_reverse);
            sleep(PAUSE).await;
        }
    }
}

/// Neither of these terminals leaves anything to a person.
async fn is_settled(scene: &Scene, hit: &Reply) -> bool {
    let id = hit.payment().unwrap_or_else(|| panic!("no payment: {}", hit.text));
    let payment = scene.payment(id).await;
    assert_ne!(payment["waits_for_person"], true, "{payment:#}");
    matches!(payment["state"].as_str(), Some("approved" | "declined" | "cancelled" | "failed"))
}

async fn counters() -> Vec<Counter> {
    let mut counters = Vec::new();
    for step in STEPS {
        for fault in FAULTS {
            for auto_reverse in [true, false] {
                let line = Line::open(Cell { step: *step, fault: *fault }).await;
                counters.push(Counter { number: counters.len(), line, auto_reverse });
            }
        }
    }
    counters
}

/// Short, with room for a machine that does other things besides.
fn timing() -> Timing {
    let (answer, completion) = (Duration::from_millis(1000), Duration::from_millis(2500));
    Timing {
        answer,
        enquiry: answer,
        completion,
        minute: completion,
        idle_check: Duration::from_secs(5),
        ..Timing::fast()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_in_the_money_window_falsifies_the_books() {
    let counters = counters().await;
    let plan = |folder: &Path| counters.iter().fold(Plan::new(), |plan, counter| counter.planned(plan, folder));
    let scene = Scene::open_with(plan, drivers(timing())).await;
    for counter in &counters {
        counter.line.lead_to(scene.zvt(&counter.terminal()).addr());
    }
    let places = Semaphore::new(AT_A_TIME);
    all(counters.iter().map(|counter| counter.play(&scene, &places))).await;
    let mut witnesses = scene.witnesses().await.unwrap();
    for ledger in &mut witnesses.ledgers {
        ledger.terminal = ledger.terminal.replace("pt", "till");
    }
    assert_eq!(oracle::violations(&witnesses), []);
    scene.close().await;
}
