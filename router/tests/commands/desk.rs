//! A shop with a router in this process, and the built program in front of it.

use std::ops::Deref;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tillswitch::shop::{Plan, Shop};
use tillswitch_core::DriverRegistry;
use tillswitch_http::HttpFactory;
use tillswitch_http::simulator::{SimulatorOptions, parse_script};
use tillswitch_zvt::simulator::{Options, Step};
use tillswitch_zvt::{Timing, ZvtTcpFactory};
use tokio::task::spawn_blocking;

/// What no output may ever contain.
pub const TOKEN: &str = "token-of-whoever-runs-it-7f3a";

/// A shop: POS-01 at `counter` (ZVT), POS-02 at `bar` (HTTP), the admin listener behind a token.
pub struct Desk {
    shop: Shop,
    folder: TempDir,
}

impl Deref for Desk {
    type Target = Shop;

    fn deref(&self) -> &Shop {
        &self.shop
    }
}

impl Desk {
    /// Opens it with what the two terminals are to do.
    pub async fn open(counter: &str, bar: &str) -> Desk {
        Desk::open_with(counter, bar, |plan| plan).await
    }

    /// The same with changes.
    pub async fn open_with(counter: &str, bar: &str, change: impl FnOnce(Plan) -> Plan) -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::fast(folder.path().join("counter.jsonl"));
        options.script = Step::parse_script(counter).unwrap();
        let mut http = SimulatorOptions::new(folder.path().join("bar.jsonl"));
        http.script = parse_script(bar).unwrap();
        let plan = Plan::new()
            .zvt("counter", options)
            .http("bar", http)
            .register("POS-01", "1", "counter")
            .register("POS-02", "2", "bar")
            .admin_lines(&format!("token = {TOKEN:?}"));
        let shop = Shop::open(change(plan), folder.path(), drivers()).await.unwrap_or_else(|why| panic!("{why}"));
        Desk { shop, folder }
    }

    /// The program with these words, pointed at the router.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = program(words);
        command.arg("--admin").arg(self.app.admin.to_string()).arg("--config").arg(&self.premises.config);
        command
    }

    /// Runs the program to its end. The words are what stands in a shell, without quotes.
    pub async fn run(&self, words: &str) -> Ran {
        ran(self.command(&words.split(' ').collect::<Vec<_>>())).await
    }

    /// The same with `--json`, and what that said.
    pub async fn json(&self, words: &str) -> (i32, Value) {
        let ran = self.run(&format!("{words} --json")).await;
        (ran.code, ran.json())
    }

    /// Pays at POS-01, and returns the payment's id.
    pub async fn pay(&self, amount: &str, document: &str) -> String {
        let (_, payment) = self.json(&format!("pay --register POS-01 --amount {amount} --document {document}")).await;
        payment["id"].as_str().unwrap().to_owned()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub async fn close(self) {
        self.shop.close().await;
    }
}

/// Patient drivers: a slow machine puts nothing in doubt.
fn drivers() -> DriverRegistry {
    let long = Duration::from_secs(10);
    let waits = Timing { completion: long, minute: long, conversation: long * 6, ..Timing::fast() };
    let timing = Timing { answer: long, enquiry: long, record: long, idle_check: long, ..waits };
    let mut drivers = DriverRegistry::new();
    drivers.register(ZvtTcpFactory { timing });
    drivers.register(HttpFactory);
    drivers
}

/// The program with these words, and no environment that changes what it does.
pub fn program(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tillswitch"));
    command.args(words).env_remove("TILLSWITCH_ADMIN_TOKEN").env("USER", "ada");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end.
pub async fn ran(mut command: Command) -> Ran {
    Ran::from(spawn_blocking(move || command.output().unwrap()).await.unwrap())
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let ran = Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) };
        assert!(!ran.out.contains(TOKEN) && !ran.err.contains(TOKEN), "the token is shown: {ran:?}");
        ran
    }
}

impl Ran {
    /// Checks the exit code, and words of what was said: results on standard output, everything else on standard error.
    #[track_caller]
    pub fn check(&self, code: i32, out: &[&str], err: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        for words in out {
            assert!(self.out.contains(words), "{words:?} is not in the result: {self:?}");
        }
        for words in err {
            assert!(self.err.contains(words), "{words:?} was not told: {self:?}");
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
