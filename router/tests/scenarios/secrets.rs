//! Does anybody see what is secret: in the log, in answers, in metrics, on disk?

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, Method};
use tillswitch::shop::{Reply, Sale, Till, request};
use tillswitch_core::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::*;

const TOKEN: &str = "token-4c1b-of-whoever-runs-it";
/// Every line of the log of this process, from the first one of this module's on.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Listens to all threads: the journal writes in one of its own. Only one test of a process can do this.
    fn of_this_process() -> Log {
        let log = Log::default();
        let writer = log.clone();
        let everything =
            tracing_subscriber::EnvFilter::new("tillswitch=trace,tillswitch_zvt=trace,tillswitch_http=trace");
        tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_env_filter(everything)
            .with_writer(move || writer.clone())
            .init();
        log
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// How many lines at info or above speak of a payment.
    fn lines_about(&self, payment: &str) -> usize {
        let text = self.text();
        let loud = |line: &&str| {
            ["INFO", "WARN", "ERROR"].iter().any(|level| line.contains(&format!("\"level\":\"{level}\"")))
        };
        text.lines().filter(loud).filter(|line| line.contains(payment)).count()
    }
}

const KEY: &str = "key-9d39-of-the-point-of-sale";
/// Card numbers for tests, as the payment schemes publish them.
const CARDS: [&str; 2] = ["4111111111111111", "5555 5555 5555 4444"];

/// A terminal that tells the card number wherever it can.
async fn talkative() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/payment", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(tell_the_card(stream));
        }
    });
    url
}

async fn tell_the_card(mut stream: TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        let mut bytes = [0; 1024];
        let read = stream.read(&mut bytes).await.unwrap();
        request.extend_from_slice(&bytes[..read]);
        if read == 0 {
            return;
        }
    }
    let [one, two] = CARDS;
    let body = serde_json::json!({
        "status": "approved", "message": format!("card {one} approved"), "receipt_number": one, "pan": one,
        "card": { "scheme": two, "number": one, "last4": "1111", "track2": format!("{one}=2512") },
        "slip": format!("Karte {two}\nDanke"), "trace_number": 4_111_111_111_111_111_u64,
    });
    let body = body.to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
    let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.unwrap();
}

/// Runs of so many digits as a card number has. Decimals of a metric and digits of a hash are none.
fn card_numbers(text: &str) -> Vec<&str> {
    let counts = |start: usize| {
        let before = &text.as_bytes()[..start];
        !matches!(before, [.., digit, b'.'] if digit.is_ascii_digit()) && !is_within_hash(before)
    };
    let runs = text.split(|c: char| !c.is_ascii_digit()).filter(|run| (13..=19).contains(&run.len()));
    let start = |run: &str| run.as_ptr().addr() - text.as_ptr().addr();
    runs.filter(|run| has_check_digit(run) && counts(start(run))).collect()
}

/// Whether what comes next belongs to the 64 digits behind `v1:`.
fn is_within_hash(before: &[u8]) -> bool {
    let hexadecimal = before.iter().rev().take_while(|byte| byte.is_ascii_hexdigit()).count();
    hexadecimal < 64 && before[..before.len() - hexadecimal].ends_with(b"v1:")
}

/// Luhn's rule, which every card number obeys.
fn has_check_digit(digits: &str) -> bool {
    let weighed = digits.bytes().rev().enumerate().map(|(place, byte)| {
        let digit = u32::from(byte - b'0') * (1 + place as u32 % 2);
        digit / 10 + digit % 10
    });
    weighed.sum::<u32>().is_multiple_of(10)
}

#[test]
fn card_numbers_are_seen() {
    assert_eq!(card_numbers("a4111111111111111b, 5555555555554444"), ["4111111111111111", "5555555555554444"]);
    for other in ["4111111111111112", "0.4111111111111111", "v1:ab4111111111111111cd", "411111******1111"] {
        assert!(card_numbers(other).is_empty(), "{other}");
    }
}

/// A shop with a key and a token, and a terminal at POS-02 that tells too much.
async fn open(url: &str) -> Scene {
    let bar = format!(
        "[terminals.bar]\ndriver = \"http\"\nurl = \"{url}\"\n\n\
         [registers.POS-02]\nproject_ids = [\"{PROJECT_2}\"]\nterminal = \"bar\""
    );
    let mut scene = Scene::open(|folder| {
        one_register(scripted(quick(folder, "counter"), "approve, decline"))
            .terminal_lines("counter", "receipts = \"router\"")
            .admin_lines(&format!("token = {TOKEN:?}"))
            .webhook_lines(&format!("signature_keys = [{KEY:?}]"))
            .other_lines(&bar)
    })
    .await;
    let till = Till::new(scene.till.router(), "/webhook/pos-payment");
    scene.till = till.signing(Secret::new(KEY));
    scene
}

/// Sends webhooks of all kinds, with card numbers in fields that nobody should read: the answers, those of payments first.
async fn webhooks(scene: &Scene) -> Vec<Reply> {
    let card = |sale: Sale| sale.with("cardNumber", CARDS[0]).with("note", CARDS[1]);
    let sales =
        [sale("1", "1"), sale("2", "2"), Sale::new(PROJECT_2, "3", "3"), sale("4.001", "4"), Sale::new("5", "5", "5")]
            .map(card);
    let mut told = Vec::new();
    for sale in &sales {
        told.push(scene.send(sale).await);
    }
    told.push(scene.send(&sales[0]).await);
    // A sender that repeats itself does not fill the log.
    for _ in 0..6 {
        check_paid(&scene.send(&sales[0]).await, true);
    }
    told.push(scene.till.send_with(&sales[0], HeaderMap::new()).await.unwrap());
    let statuses: Vec<u16> = told.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [200, 402, 200, 400, 404, 200, 401]);
    told
}

/// Reads everything that the admin listener tells, with the token and with a wrong one.
async fn admin(scene: &Scene, payments: &[String]) -> Vec<Reply> {
    let mut paths = vec!["/metrics".to_owned(), "/api/v1/payments".to_owned()];
    paths.extend(payments.iter().map(|id| format!("/api/v1/payments/{id}")));
    let mut told = Vec::new();
    for path in paths {
        for (token, status) in [(TOKEN.to_owned(), 200), (format!("{TOKEN}x"), 401)] {
            told.push(ask(scene, &path, &format!("Bearer {token}")).await);
            assert_eq!(told.last().unwrap().status, status);
        }
    }
    told
}

async fn ask(scene: &Scene, path: &str, authorization: &str) -> Reply {
    let headers = HeaderMap::from_iter([(AUTHORIZATION, authorization.parse().unwrap())]);
    request(scene.app.admin, Method::GET, path, headers, String::new()).await.unwrap()
}

/// The bytes of everything in the state directory, as far as they are text.
fn files(scene: &Scene) -> Vec<(String, String)> {
    let paths = std::fs::read_dir(scene.folder().join("tillswitch-state")).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    let files: Vec<(String, String)> = paths.map(|path| (path.display().to_string(), text(&path))).collect();
    let is_journal = |(name, text): &(String, String)| name.contains("payments.db") && text.contains("POS-02");
    assert!(files.iter().any(is_journal), "the journal is not among them");
    files
}

#[tokio::test]
async fn neither_secrets_nor_card_numbers_are_told_or_kept() {
    let log = Log::of_this_process();
    let scene = open(&talkative().await).await;
    let mut told = webhooks(&scene).await;
    let payments: Vec<String> = told[..3].iter().map(|reply| reply.payment().unwrap().to_owned()).collect();
    told.extend(admin(&scene, &payments).await);

    let mut texts = files(&scene);
    texts.extend(told.into_iter().map(|reply| ("an answer".to_owned(), reply.text)));
    texts.push(("the log".to_owned(), log.text()));
    for (name, text) in &texts {
        for secret in [KEY, TOKEN, CARDS[0], CARDS[1]] {
            assert!(!text.contains(secret), "{name} contains {secret}");
        }
        assert_eq!(card_numbers(text), [""; 0], "{name}");
    }
    for payment in &payments {
        let lines = log.lines_about(payment);
        assert!((1..=6).contains(&lines), "{lines} lines about {payment}:\n{}", log.text());
    }
    // The talkative terminal keeps no ledger to compare with.
    let violations = scene.violations().await.unwrap();
    let elsewhere = violations.iter().filter(|violation| !violation.message.contains(&payments[2]));
    let elsewhere: Vec<_> = elsewhere.filter(|violation| !violation.message.contains("terminal bar")).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    scene.close().await;
}
