//! What every scenario needs: a shop in a folder of its own, conditions to wait for, and the oracle at the end.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tillswitch::shop::{Plan, Reply, Sale, Shop, Till, get};
use tillswitch_core::DriverRegistry;
use tillswitch_core::ledger::{LedgerEntry, standing};
use tillswitch_http::HttpFactory;
use tillswitch_zvt::simulator::{Options, Simulator, Step};
use tillswitch_zvt::{Timing, ZvtSerialFactory, ZvtTcpFactory};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// The project of the guide's payload.
pub const PROJECT: &str = "3f942a4b-728c-4c1b-8c7c-3499f28744a1";
/// A second register's project.
pub const PROJECT_2: &str = "00000000-0000-0000-0000-000000000002";
/// A third register's project.
pub const PROJECT_3: &str = "00000000-0000-0000-0000-000000000003";

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_secs(20);

/// A shop in a folder of its own.
pub struct Scene {
    shop: Shop,
    folder: TempDir,
}

impl Deref for Scene {
    type Target = Shop;

    fn deref(&self) -> &Shop {
        &self.shop
    }
}

impl DerefMut for Scene {
    fn deref_mut(&mut self) -> &mut Shop {
        &mut self.shop
    }
}

impl Scene {
    /// Opens what is planned for a folder. The drivers are patient, so that a slow machine puts nothing in doubt.
    pub async fn open(plan: impl FnOnce(&Path) -> Plan) -> Scene {
        Scene::open_with(plan, drivers(patient())).await
    }

    /// The same with these drivers.
    pub async fn open_with(plan: impl FnOnce(&Path) -> Plan, drivers: DriverRegistry) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(folder.path());
        let shop = Shop::open(plan, folder.path(), drivers).await.unwrap_or_else(|why| panic!("{why}"));
        Scene { shop, folder }
    }

    /// The router stops and starts on the same state; the terminals go on.
    pub async fn restart(self) -> Scene {
        let shop = self.shop.restart().await.unwrap_or_else(|why| panic!("{why}"));
        Scene { shop, folder: self.folder }
    }

    /// Where everything is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A ZVT terminal.
    pub fn zvt(&self, name: &str) -> &Simulator {
        &self.premises.zvt[name]
    }

    /// The bookings of a terminal that stand, in minor units, oldest first.
    pub fn booked(&self, terminal: &str) -> Vec<u64> {
        let ledger = self.premises.ledgers().into_iter().find(|ledger| ledger.terminal == terminal);
        let entries: Vec<LedgerEntry> = ledger.expect("the plan has this terminal").entries;
        standing(&entries).iter().map(|entry| entry.amount.minor()).collect()
    }

    /// A payment as the admin API shows it, with its history.
    pub async fn payment(&self, id: &str) -> Value {
        let reply = get(self.app.admin, &format!("/api/v1/payments/{id}")).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.body
    }

    /// The ids of all payments, newest first.
    pub async fn ids(&self) -> Vec<String> {
        let payments = self.witnesses().await.unwrap().payments;
        payments.iter().map(|payment| payment.id.to_string()).collect()
    }

    /// Waits until it is noted that the till knows of an approval. The answer does not wait for that note.
    pub async fn until_told(&self, reply: &Reply) {
        let id = reply.payment().unwrap().parse().unwrap();
        let journal = &self.app.life().journal;
        until("the answer counts as read", async || journal.payment(id).await.unwrap().unwrap().answer_delivered).await;
    }

    /// Sends a webhook that has to be answered.
    pub async fn send(&self, body: impl Into<String>) -> Reply {
        send(&self.till, body).await
    }

    /// Waits until a payment is in this state.
    pub async fn until_state(&self, id: &str, state: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let payment = self.payment(id).await;
            if payment["state"] == state {
                return payment;
            }
            assert!(Instant::now() < deadline, "never {state}: {payment:#}");
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until a terminal is at a payment.
    pub async fn until_busy(&self, terminal: &str) {
        until(&format!("{terminal} is busy"), async || self.zvt(terminal).is_busy()).await;
    }

    /// How many payments are in the journal.
    pub async fn payments(&self) -> usize {
        self.witnesses().await.unwrap().payments.len()
    }

    /// Nothing contradicts anything.
    pub async fn agree(&self) {
        let violations = self.violations().await.unwrap();
        assert!(violations.is_empty(), "{violations:#?}");
    }

    /// Everything stops.
    pub async fn close(self) {
        self.shop.close().await;
    }

    /// Nothing contradicts anything, and everything stops.
    pub async fn end(self) {
        self.agree().await;
        self.shop.close().await;
    }
}

/// The drivers, ZVT with these timers.
pub fn drivers(timing: Timing) -> DriverRegistry {
    let mut registry = DriverRegistry::new();
    registry.register(HttpFactory);
    registry.register(ZvtSerialFactory { timing: timing.clone() });
    registry.register(ZvtTcpFactory { timing });
    registry
}

/// Timers of a test that wants no payment in doubt: nothing runs out on a busy machine.
pub fn patient() -> Timing {
    let long = Duration::from_secs(10);
    let waits = Timing { completion: long, minute: long, conversation: long * 6, ..Timing::fast() };
    Timing { acknowledgement: long, answer: long, enquiry: long, record: long, idle_check: long, ..waits }
}

/// A terminal with its ledger in a folder, approving at once.
pub fn quick(folder: &Path, name: &str) -> Options {
    Options::fast(folder.join(format!("{name}.jsonl")))
}

/// The same, with a customer who takes this long.
pub fn slow(folder: &Path, name: &str, card: Duration) -> Options {
    let mut options = quick(folder, name);
    options.timing.card = card;
    options
}

/// The same with a script.
pub fn scripted(options: Options, script: &str) -> Options {
    Options { script: steps(script), ..options }
}

/// The steps of a script.
pub fn steps(script: &str) -> Vec<Step> {
    Step::parse_script(script).unwrap_or_else(|unknown| panic!("{unknown}"))
}

/// One register, POS-01, at one ZVT terminal, `counter`.
pub fn one_register(counter: Options) -> Plan {
    Plan::new().zvt("counter", counter).register("POS-01", PROJECT, "counter")
}

/// Two registers, each at a ZVT terminal of its own: POS-01 at `counter`, POS-02 at `bar`.
pub fn two_registers(counter: Options, bar: Options) -> Plan {
    one_register(counter).zvt("bar", bar).register("POS-02", PROJECT_2, "bar")
}

/// A sale at POS-01, made now.
pub fn sale(amount: &str, document: &str) -> Sale {
    Sale::new(PROJECT, amount, document)
}

/// Begins a webhook: sends all of it, and does not read the answer yet.
pub async fn begin(router: SocketAddr, body: impl Into<String>) -> TcpStream {
    let body = body.into();
    let mut stream = TcpStream::connect(router).await.unwrap();
    let head = format!(
        "POST /webhook/pos-payment HTTP/1.1\r\nHost: {router}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    stream
}

/// Closes a connection so that nobody can believe that an answer was read.
pub fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}

/// Everything at the same time, the results in order.
pub async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut open: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut ended: Vec<Option<F::Output>> = open.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, end) in open.iter_mut().zip(&mut ended).filter(|(_, end)| end.is_none()) {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                *end = Some(output);
            }
        }
        if ended.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    ended.into_iter().flatten().collect()
}

/// Polls until the condition is true.
pub async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "never: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// Sends a webhook that has to be answered.
pub async fn send(till: &Till, body: impl Into<String>) -> Reply {
    till.send(body).await.unwrap_or_else(|error| panic!("the till got no answer: {error}"))
}

/// Checks that an answer tells of an approval, to a repeat or to the first who asked.
#[track_caller]
pub fn check_paid(reply: &Reply, replayed: bool) {
    assert_eq!((reply.status, reply.word(), reply.code()), (200, "success", ""), "{}", reply.text);
    assert_eq!(reply.is_replayed(), replayed, "{:?} {}", reply.headers, reply.text);
}

/// Checks that a webhook was refused because of this payment, and started nothing.
#[track_caller]
pub fn check_conflict(reply: &Reply, code: &str, first: &Reply) {
    check(reply, 409, "error", code);
    assert_eq!(reply.payment(), first.payment(), "{}", reply.text);
    assert!(reply.headers.get("retry-after").is_none(), "nobody should send this again: {:?}", reply.headers);
}

/// Checks that nothing was begun, and that the sender is told to come again.
#[track_caller]
pub fn check_come_again(reply: &Reply, code: &str) {
    check(reply, 503, "error", code);
    assert!(reply.headers.get("retry-after").is_some(), "{:?}", reply.headers);
    assert!(!reply.is_replayed());
}

/// Checks status, word and code of an answer, and that there is something to read for a person.
#[track_caller]
pub fn check(reply: &Reply, status: u16, word: &str, code: &str) {
    assert_eq!((reply.status, reply.word(), reply.code()), (status, word, code), "{}", reply.text);
    assert!(reply.body["message"].as_str().is_some_and(|message| !message.is_empty()), "{}", reply.text);
}
