//! How do several registers keep a router busy, one customer after the other, through its restarts?

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tillswitch::shop::{Plan, Sale, Till};
use tillswitch_http::simulator::SimulatorOptions;
use tillswitch_zvt::simulator::Options;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// How long a till waits until it delivers again what got no answer.
const AGAIN: Duration = Duration::from_millis(10);

/// Each register's project, which is its terminal's name too.
pub const REGISTERS: [&str; 5] = ["keeping", "reversing", "serial", "guide", "second-guide"];

/// A shop with five registers, each at a terminal of its own: ZVT over TCP that keeps a booking or reverses it, ZVT on a
/// serial line, and two HTTP terminals.
pub fn plan(folder: &Path, card: Duration) -> Plan {
    let ledger = |name: &str| folder.join(format!("{name}.jsonl"));
    let zvt = |name: &str, auto_reverse: bool| {
        let mut options = Options { auto_reverse, ..Options::fast(ledger(name)) };
        options.timing.card = card;
        // A slow machine must not look like a broken line.
        options.timing.acknowledgement = Duration::from_secs(5);
        options.timing.answer = Duration::from_secs(10);
        options.timing.issue_of_goods = Duration::from_secs(10);
        options
    };
    let http = |name: &str| SimulatorOptions { card_time: card, ..SimulatorOptions::new(ledger(name)) };
    let plan = Plan::new()
        .zvt("keeping", zvt("keeping", false))
        .zvt("reversing", zvt("reversing", true))
        .zvt_serial("serial", zvt("serial", false))
        .http("guide", http("guide"))
        .http("second-guide", http("second-guide"));
    REGISTERS.into_iter().fold(plan, |plan, name| plan.register(name, name, name))
}

/// What one register has done so far.
#[derive(Debug, Default)]
pub struct Done {
    /// Customers that paid.
    pub paid: AtomicU64,
    /// Customers that were told something else in the end.
    pub unpaid: AtomicU64,
    /// How long the answers took that came at the first delivery, in microseconds, in order.
    pub took: std::sync::Mutex<Vec<u64>>,
    /// Answers that no such customer should hear.
    pub strange: std::sync::Mutex<Vec<String>>,
}

/// A register at which one customer follows the other. A sale that got no answer is delivered again.
pub struct Register {
    /// What it has done.
    pub done: Arc<Done>,
    work: JoinHandle<()>,
}

impl Register {
    /// Opens it until `closed`; between two customers there is a pause.
    pub fn open(till: Arc<Till>, project: &'static str, pause: Duration, closed: Arc<AtomicBool>) -> Register {
        let done = Arc::new(Done::default());
        let counted = Arc::clone(&done);
        let work = tokio::spawn(async move {
            for number in 1_u64.. {
                if closed.load(Ordering::SeqCst) {
                    return;
                }
                // Each amount comes once at a register: a booking without a known receipt is told from others by its amount.
                let amount = format!("{}.{:02}", 1 + number / 100, number % 100);
                let sale = Sale::new(project, &amount, &format!("{project}/{number}"));
                serve_customer(&till, &sale, &closed, &counted).await;
                sleep(pause).await;
            }
        });
        Register { done, work }
    }

    /// How many customers have left.
    pub fn served(&self) -> u64 {
        self.done.paid.load(Ordering::SeqCst) + self.done.unpaid.load(Ordering::SeqCst)
    }

    /// Waits for its last customer.
    pub async fn close(self) -> Arc<Done> {
        self.work.await.expect("a register does not panic");
        self.done
    }
}

/// Delivers a sale until it has an answer that is not "come again".
async fn serve_customer(till: &Till, sale: &Sale, closed: &AtomicBool, done: &Done) {
    let mut first = true;
    while !closed.load(Ordering::SeqCst) {
        let began = Instant::now();
        match till.send(sale).await {
            Ok(reply) if reply.status != 503 => {
                let micros = began.elapsed().as_micros() as u64;
                if first && reply.status == 200 {
                    done.took.lock().expect("nothing panics while it holds the times").push(micros);
                }
                match reply.status {
                    200 => done.paid.fetch_add(1, Ordering::SeqCst),
                    502 | 504 => done.unpaid.fetch_add(1, Ordering::SeqCst),
                    _ => return done.strange.lock().expect("nothing panics while it holds them").push(reply.text),
                };
                return;
            }
            Ok(_) | Err(_) => sleep(AGAIN).await,
        }
        first = false;
    }
}
