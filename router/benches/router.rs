//! What does a payment cost the router? Sequential payments at a ZVT and an HTTP terminal that take no time, over loopback;
//! the router is a process of its own, so that only its CPU time counts.
//!
//! `cargo bench -p tillswitch --bench router [-- --payments 2000]`

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tillswitch::shop::{Plan, Premises, Sale, Till};
use tillswitch_http::simulator::SimulatorOptions;
use tillswitch_zvt::simulator::Options;

/// Clock ticks per second of `/proc/PID/stat` on every Linux of today.
const TICKS_PER_SECOND: f64 = 100.0;

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--payments").skip(1);
    let payments = arguments.next().map_or(1000, |text| text.parse().expect("--payments takes a number"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads can be started");
    runtime.block_on(measure(payments));
}

async fn measure(payments: u32) {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let mut zvt = Options::fast(folder.path().join("zvt.ledger"));
    zvt.timing.card = Duration::ZERO;
    zvt.timing.host = Duration::ZERO;
    let mut http = SimulatorOptions::new(folder.path().join("http.ledger"));
    http.card_time = Duration::ZERO;
    let plan = Plan::new().zvt("zvt", zvt).http("http", http).register("Z", "zvt", "zvt").register("H", "http", "http");
    let premises = Premises::prepare(plan, folder.path()).await.expect("the terminals start");
    let (router, public) = serve(&premises.config);
    let till = Till::new(public, "/webhook/pos-payment");
    for (project, name) in [("zvt", "ZVT over TCP"), ("http", "plain HTTP")] {
        pay(&till, project, 50, "warm").await;
        let (cpu, wall) = (cpu_seconds(&router), Instant::now());
        pay(&till, project, payments, "measured").await;
        let (cpu, wall) = (cpu_seconds(&router) - cpu, wall.elapsed().as_secs_f64());
        let per_thousand = cpu * 1e6 / f64::from(payments);
        let latency = wall * 1000.0 / f64::from(payments);
        println!(
            "{name:<14} {payments} payments: {per_thousand:.0} ms CPU per 1000, {latency:.2} ms each, all approved"
        );
    }
    drop(router);
    premises.close().await;
}

/// The router's process, ended with the measurement, however that ends.
struct Router(Child);

impl Drop for Router {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn pay(till: &Till, project: &str, payments: u32, round: &str) {
    for number in 0..payments {
        let reply = till
            .send(Sale::new(project, "1.00", &format!("{project}-{round}-{number}")))
            .await
            .expect("the router answers");
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
}

/// Starts the built router and waits for the line that says where it listens.
fn serve(config: &Path) -> (Router, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tillswitch"))
        .args(["serve", "--config"])
        .arg(config)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the router was built");
    let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
    let ready = lines.find(|line| line.contains("\"message\":\"ready\"")).expect("the router gets ready");
    std::thread::spawn(move || lines.for_each(drop));
    let ready: serde_json::Value = serde_json::from_str(&ready).expect("a line of the log is JSON");
    (Router(child), ready["public"].as_str().and_then(|text| text.parse().ok()).expect("it says where it listens"))
}

/// User and system time of a process: fields 14 and 15 of `/proc/PID/stat` (proc(5)), counted behind the name in parentheses.
fn cpu_seconds(router: &Router) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", router.0.id())).expect("this bench runs on Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name stands in parentheses").split_whitespace().collect();
    let ticks = |field: usize| -> f64 { fields[field].parse().expect("a time is a number") };
    (ticks(11) + ticks(12)) / TICKS_PER_SECOND
}
