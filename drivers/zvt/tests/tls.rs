//! Whether the line to a terminal can be encrypted, and what is said when it cannot.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tillswitch_core::conformance::TestSession;
use tillswitch_core::{
    Cause, Currency, DriverError, DriverFactory, Money, Operation, Outcome, PaymentId, PaymentRequest, Reason,
    Settings, TerminalDriver,
};
use tillswitch_zvt::simulator::{Encryption, Options, Simulator, Step};
use tillswitch_zvt::{Timing, ZvtTcpFactory};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

/// A terminal, its address, and a folder for what the driver should trust.
struct Counter {
    terminal: Simulator,
    folder: TempDir,
}

impl Counter {
    async fn open(encryption: Option<Encryption>) -> Counter {
        Counter::with_options(|options| options.encryption = encryption).await
    }

    async fn with_options(change: impl FnOnce(&mut Options)) -> Counter {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::fast(folder.path().join("ledger.jsonl"));
        change(&mut options);
        Counter { terminal: Simulator::start(options).await.unwrap(), folder }
    }

    fn settings(&self) -> Settings {
        let settings = Settings::new("counter").with("address", self.terminal.addr().to_string());
        Settings { base_dir: self.folder.path().to_owned(), ..settings }
    }

    fn trusting(&self, pem: &str) -> Settings {
        std::fs::write(self.folder.path().join("terminal.pem"), pem).unwrap();
        self.settings().with("tls", true).with("ca", "terminal.pem")
    }
}

fn build(settings: &Settings) -> Box<dyn TerminalDriver> {
    ZvtTcpFactory { timing: Timing::fast() }.build(settings).unwrap()
}

async fn pay(driver: &mut dyn TerminalDriver) -> Result<Outcome, DriverError> {
    let request = PaymentRequest {
        id: PaymentId::generate(),
        operation: Operation::Sale,
        amount: Money::from_minor(2590, Currency::EUR),
        register: "POS-01".into(),
        document: None,
        accept_partial: false,
        original: None,
        received_at: SystemTime::now(),
    };
    timeout(PATIENCE, driver.execute(&request, &mut TestSession::new())).await.expect("it ends")
}

/// Why nothing was started.
async fn refusal(settings: &Settings) -> Reason {
    match pay(&mut *build(settings)).await {
        Err(DriverError::NotStarted(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// A certificate that somebody made for itself, and its PEM.
fn self_made(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (Encryption, String) {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (Encryption::from_pem(pem.as_bytes(), key.serialize_pem().as_bytes()).unwrap(), pem)
}

/// A certificate that an issuer made, and the issuer's PEM.
fn issued(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (Encryption, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer_key = KeyPair::generate().unwrap();
    let issuer_pem = params.self_signed(&issuer_key).unwrap().pem();
    let issuer = Issuer::new(params, issuer_key);
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let pem = params.signed_by(&key, &issuer).unwrap().pem();
    (Encryption::from_pem(pem.as_bytes(), key.serialize_pem().as_bytes()).unwrap(), issuer_pem)
}

fn as_an_issuer(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
}

fn long_expired(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2001, 1, 1);
    params.not_after = date_time_ymd(2002, 1, 1);
}

#[tokio::test]
async fn payments_go_over_an_encrypted_line() {
    // As terminals make them: for no name that we know them by, marked as issuers, out of date.
    let of_a_terminal = self_made(&["zvt.local"], |params| {
        as_an_issuer(params);
        long_expired(params);
    });
    for (encryption, pem) in [of_a_terminal, self_made(&["127.0.0.1"], |_| {}), issued(&["127.0.0.1"], |_| {})] {
        let counter = Counter::open(Some(encryption)).await;
        let mut driver = build(&counter.trusting(&pem));
        for _ in 0..2 {
            assert!(matches!(pay(&mut *driver).await, Ok(Outcome::Approved(_))));
        }
        assert_eq!(counter.terminal.ledger().len(), 2);
        driver.close().await;
        assert_eq!(counter.terminal.commands().last().map(String::as_str), Some("06 02"));
        assert!(counter.terminal.protocol_faults().is_empty());
    }
}

#[tokio::test]
async fn a_name_can_be_set() {
    let (encryption, pem) = issued(&["till-7.shop"], |_| {});
    let counter = Counter::open(Some(encryption)).await;
    let reason = refusal(&counter.trusting(&pem)).await;
    assert!(reason.message.contains("is not for \"127.0.0.1\"") && reason.message.contains("server_name"), "{reason}");
    let mut driver = build(&counter.trusting(&pem).with("server_name", "till-7.shop"));
    assert!(matches!(pay(&mut *driver).await, Ok(Outcome::Approved(_))));
}

#[tokio::test]
async fn what_is_wrong_with_the_certificate_is_said_with_the_way_out() {
    let (expired, issuer) = issued(&["127.0.0.1"], long_expired);
    let (stranger, _) = self_made(&["127.0.0.1"], |_| {});
    let (_, another) = self_made(&["127.0.0.1"], |_| {});
    let (own_issuer, issuer_of_it) = issued(&["127.0.0.1"], as_an_issuer);
    for (encryption, trusted, what, remedy) in [
        (expired, issuer, "has expired", "clock"),
        (stranger, another, "nobody known has issued", "ca = \"terminal.pem\""),
        (own_issuer, issuer_of_it, "none for a server", "ca = \"terminal.pem\""),
    ] {
        let counter = Counter::open(Some(encryption)).await;
        let reason = refusal(&counter.trusting(&trusted)).await;
        assert_eq!(reason.cause, Cause::Unreachable);
        assert!(reason.message.contains(what) && reason.message.contains(remedy), "{reason}");
        assert!(counter.terminal.commands().is_empty());
    }
}

#[tokio::test]
async fn without_a_file_this_machine_decides() {
    let (encryption, _) = self_made(&["127.0.0.1"], |_| {});
    let counter = Counter::open(Some(encryption)).await;
    let settings = counter.settings().with("tls", true);
    match (ZvtTcpFactory { timing: Timing::fast() }).build(&settings) {
        Ok(mut driver) => assert!(matches!(pay(&mut *driver).await, Err(DriverError::NotStarted(_)))),
        // A machine without any certificates of its own.
        Err(faults) => assert!(faults[0].remedy.contains("ca ="), "{faults:?}"),
    }
}

#[tokio::test]
async fn the_wrong_kind_of_port_is_named() {
    let (encryption, pem) = self_made(&["127.0.0.1"], |_| {});
    let encrypted = Counter::open(Some(encryption)).await;
    let reason = refusal(&encrypted.settings()).await;
    assert!(reason.message.contains("speaks TLS") && reason.message.contains("tls = true"), "{reason}");

    let plain = Counter::open(None).await;
    let reason = refusal(&plain.trusting(&pem)).await;
    assert!(reason.message.contains("does not speak TLS") && reason.message.contains("remove tls = true"), "{reason}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let greeter = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream
    });
    let reason = refusal(&plain.trusting(&pem).with("address", address)).await;
    assert!(reason.message.contains("does not speak TLS"), "{reason}");
    greeter.abort();
}

#[tokio::test]
async fn a_line_that_is_cut_leaves_the_payment_in_doubt() {
    let (encryption, pem) = self_made(&["127.0.0.1"], |_| {});
    let counter = Counter::open(Some(encryption)).await;
    counter.terminal.set_script(vec![Step::CutAfterCommand]);
    let mut driver = build(&counter.trusting(&pem));
    assert!(matches!(pay(&mut *driver).await, Err(DriverError::InDoubt(_))));
    assert_eq!(counter.terminal.money_commands(), 1);
}

#[tokio::test]
async fn faults_in_the_settings_name_the_key() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty.pem"), "nothing").unwrap();
    let settings = Settings { base_dir: folder.path().to_owned(), ..Settings::new("counter") };
    let settings = settings.with("address", "terminal.shop");
    for (key, value, expected) in [
        ("ca", "absent.pem", "absent.pem"),
        ("ca", "empty.pem", "there is no certificate in it"),
        ("server_name", "not a name", "cannot be for"),
    ] {
        let settings = settings.clone().with("tls", true).with(key, value);
        let Err(faults) = ZvtTcpFactory::default().build(&settings) else { panic!("{value}") };
        assert!(faults[0].path == key && faults[0].message.contains(expected), "{faults:?}");
    }
}
