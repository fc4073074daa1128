//! How is a real Prometheus started for a test, and asked?

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use hyper::{HeaderMap, Method};
use serde_json::Value;
use tillswitch::shop::request;

use super::tools::folder;

/// How long it may take to say where it listens.
const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// A Prometheus with the shipped configuration, except that it looks every second, at one router on loopback.
pub struct Prometheus {
    process: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Prometheus {
    /// Starts it with its data below a folder. `token` is the file that holds the admin listener's token.
    pub fn start(router: SocketAddr, token: &Path, below: &Path) -> Prometheus {
        let config = below.join("prometheus.yml");
        std::fs::write(&config, configuration(router, token)).unwrap();
        let mut process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", below.join("prometheus-data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let log = process.stderr.take().expect("it was asked for");
        let address = address_in(BufReader::new(log));
        Prometheus { process, address }
    }

    /// The series of an instant query.
    pub async fn ask(&self, expr: &str) -> Vec<Value> {
        let data = self.get(&format!("/api/v1/query?query={}", encoded(expr))).await;
        match data["resultType"].as_str() {
            Some("vector") => data["result"].as_array().unwrap().clone(),
            other => panic!("{expr} is no vector but {other:?}"),
        }
    }

    /// The series of a query over the last minute.
    pub async fn ask_range(&self, expr: &str) -> Vec<Value> {
        let now = self.ask("vector(time())").await[0]["value"][0].as_f64().unwrap();
        let path = format!("/api/v1/query_range?query={}&start={}&end={now}&step=2", encoded(expr), now - 60.0);
        self.get(&path).await["result"].as_array().unwrap().clone()
    }

    /// The values of a label among the series of a selector.
    pub async fn label_values(&self, selector: &str, label: &str) -> Vec<Value> {
        let path = format!("/api/v1/label/{label}/values?match[]={}", encoded(selector));
        self.get(&path).await.as_array().unwrap().clone()
    }

    /// The `data` of an answer that has to be a success.
    pub async fn get(&self, path: &str) -> Value {
        let path = path.replace("[]", "%5B%5D");
        let reply = request(self.address, Method::GET, &path, HeaderMap::new(), String::new()).await.unwrap();
        assert_eq!((reply.status, reply.word()), (200, "success"), "{path}: {}", reply.text);
        reply.body["data"].clone()
    }
}

/// The shipped file with another target, another token file and another pace.
fn configuration(router: SocketAddr, token: &Path) -> String {
    let shipped = std::fs::read_to_string(folder().join("prometheus/prometheus.yml")).unwrap();
    let rules = folder().join("prometheus");
    let changes = [
        ("scrape_interval: 15s", "scrape_interval: 1s".to_owned()),
        ("evaluation_interval: 15s", "evaluation_interval: 1s".to_owned()),
        ("- recording.yml", format!("- {}/recording.yml", rules.display())),
        ("- alerts.yml", format!("- {}/alerts.yml", rules.display())),
        ("/run/tillswitch/token", token.display().to_string()),
        ("tillswitch:5001", router.to_string()),
    ];
    changes.iter().fold(shipped, |text, (from, to)| {
        assert!(text.contains(from), "prometheus.yml has no {from:?} any more");
        text.replace(from, to)
    })
}

/// Reads the log until it names the port, and goes on reading in a thread so that the log never fills its pipe.
fn address_in(log: impl BufRead + Send + 'static) -> SocketAddr {
    let (found, address) = mpsc::channel();
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once("msg=\"Listening on\" address=") {
                let _ = found.send(rest.trim().parse().unwrap());
            }
        }
    });
    address.recv_timeout(STARTS_WITHIN).expect("Prometheus says where it listens")
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
