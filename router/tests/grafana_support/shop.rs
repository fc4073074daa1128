//! Which shop is watched, and what happens in it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use hyper::{HeaderMap, Method};
use tempfile::TempDir;
use tillswitch::shop::{Plan, Reply, Sale, Shop, Till, request};
use tillswitch_core::{DriverRegistry, Secret};
use tillswitch_http::HttpFactory;
use tillswitch_http::simulator::{SimulatorOptions, Step};
use tillswitch_zvt::simulator::{Options, Step as ZvtStep};
use tillswitch_zvt::{Timing, ZvtTcpFactory};

const KEY: &str = "the key that webhooks are signed with";
const TOKEN: &str = "the token of whoever watches";
const COUNTER: &str = "1";
const KIOSK: &str = "2";
const BAR: &str = "3";

/// A shop in a folder of its own: `counter` and `bar` are ZVT terminals, `kiosk` is an HTTP one.
pub struct Watched {
    /// The shop.
    pub shop: Shop,
    /// Where it lies.
    pub folder: TempDir,
}

impl Watched {
    /// Opens it. Nothing has happened in it yet.
    pub async fn open() -> Watched {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), TOKEN).unwrap();
        let mut shop = opened(three_terminals(folder.path()), folder.path()).await;
        shop.till = Till::new(shop.app.public, "/webhook/pos-payment").signing(Secret::new(KEY));
        Watched { shop, folder }
    }

    /// Every outcome once: approved, declined, cancelled, failed, expired, in doubt and found out, in doubt and left to a
    /// person; a refund; and webhooks that start nothing.
    pub async fn do_business(&self) {
        let told = self.outcomes().await;
        assert_eq!(told, [200, 402, 402, 502, 504, 200, 200, 504], "approved to in doubt, in the order of the scripts");
        let mut rush = self.rush().await;
        rush.sort_unstable();
        assert_eq!(rush, [200, 503], "one is served, and one waits in vain");
        assert_eq!(self.nothing_started().await, [200, 404, 400, 401, 409]);
    }

    async fn outcomes(&self) -> Vec<u16> {
        let refund = Sale::new(KIOSK, "3.00", "k1").with("operation", "refund");
        let sales = [
            Sale::new(COUNTER, "1.00", "c1"),
            Sale::new(COUNTER, "2.00", "c2"),
            Sale::new(COUNTER, "3.00", "c3"),
            Sale::new(COUNTER, "4.00", "c4"),
            Sale::new(COUNTER, "5.00", "c5"),
            Sale::new(KIOSK, "3.00", "k1"),
            refund,
            Sale::new(KIOSK, "4.00", "k2"),
        ];
        let mut told = Vec::new();
        for sale in sales {
            told.push(self.send(&sale).await.status);
        }
        told
    }

    /// Two customers at one slow terminal.
    async fn rush(&self) -> [u16; 2] {
        let (one, two) = (Sale::new(BAR, "1.00", "b1"), Sale::new(BAR, "2.00", "b2"));
        let (one, two) = tokio::join!(self.send(&one), self.send(&two));
        [one.status, two.status]
    }

    /// A repeat, an unknown project, nonsense, a wrong signature, an old event.
    async fn nothing_started(&self) -> [u16; 5] {
        let till = &self.shop.till;
        let stranger = Till::new(till.router(), "/webhook/pos-payment").signing(Secret::new("another key"));
        let old = Sale::new(COUNTER, "1.00", "old").with("createdAt", "2020-01-01T00:00:00Z");
        let sale = Sale::new(COUNTER, "6.00", "c6");
        self.send(&sale).await;
        [
            self.send(&sale).await.status,
            self.send(&Sale::new("nobody", "1.00", "n1")).await.status,
            till.send("{").await.unwrap().status,
            stranger.send(&sale).await.unwrap().status,
            self.send(&old).await.status,
        ]
    }

    async fn send(&self, sale: &Sale) -> Reply {
        self.shop.till.send(sale).await.unwrap()
    }

    /// What Prometheus reads.
    pub async fn exposition(&self) -> String {
        exposition(self.shop.app.admin, Some(TOKEN)).await
    }
}

/// What an admin listener says under /metrics.
pub async fn exposition(admin: SocketAddr, token: Option<&str>) -> String {
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    let reply = request(admin, Method::GET, "/metrics", headers, String::new()).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.text
}

fn three_terminals(folder: &Path) -> Plan {
    let script =
        [ZvtStep::Approve, ZvtStep::Decline, ZvtStep::CustomerCancel, ZvtStep::Refuse, ZvtStep::CutBeforeResult];
    // A terminal that keeps a booking whose acknowledgement it never got: the router finds the approval.
    let counter = Options { script: script.into(), auto_reverse: false, ..Options::fast(folder.join("counter.jsonl")) };
    let mut bar = Options::fast(folder.join("bar.jsonl"));
    bar.timing.card = Duration::from_millis(2500);
    let kiosk = SimulatorOptions {
        script: vec![Step::Approve, Step::Approve, Step::CutAfterBooking],
        ..SimulatorOptions::new(folder.join("kiosk.jsonl"))
    };
    Plan::new()
        .zvt("counter", counter)
        .zvt("bar", bar)
        .http("kiosk", kiosk)
        .register("POS-01", COUNTER, "counter")
        .register("POS-02", KIOSK, "kiosk")
        .register("POS-03", BAR, "bar")
        .admin_lines("token = { file = \"token\" }")
        .webhook_lines(&format!("signature_keys = [{KEY:?}]\nqueue_wait = \"1s\""))
}

/// Ten registers, each at a ZVT terminal of its own.
pub async fn ten_registers(folder: &Path) -> Shop {
    let plan = (0..10).fold(Plan::new(), |plan, number| {
        let terminal = format!("terminal-{number}");
        let options = Options::fast(folder.join(format!("{terminal}.jsonl")));
        plan.zvt(&terminal, options).register(&format!("POS-{number}"), &number.to_string(), &terminal)
    });
    opened(plan, folder).await
}

async fn opened(plan: Plan, folder: &Path) -> Shop {
    Shop::open(plan, folder, drivers()).await.unwrap_or_else(|why| panic!("{why}"))
}

/// The drivers that the shop's terminals need.
pub fn drivers() -> DriverRegistry {
    let mut drivers = DriverRegistry::new();
    drivers.register(HttpFactory);
    // Waits that a busy machine does not exhaust; only a cut link puts a payment in doubt.
    let long = Duration::from_secs(10);
    let timing = Timing { answer: long, enquiry: long, completion: long, minute: long, record: long, ..Timing::fast() };
    drivers.register(ZvtTcpFactory { timing });
    drivers
}
