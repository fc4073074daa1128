//! What can a test do to the simulated terminal, and does its state survive?

// A test that cannot go on shall panic.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tempfile::TempDir;
use tillswitch_core::conformance::Behaviour;
use tillswitch_core::ledger::{LedgerEntry, standing};
use tillswitch_zvt::apdu::Apdu;
use tillswitch_zvt::charset::Charset;
use tillswitch_zvt::reply::{Reply, StatusEnquiryCompletion};
use tillswitch_zvt::simulator::{KeypadError, Options, Simulator, Step};
use tokio::net::TcpStream;

mod wire;

use wire::{Ecr, PATIENCE, text};

const PAY: &str = "06 01 07 04 00 00 00 00 25 00";
const REPEAT: &str = "06 20 05 00 00 00 03 03";
const ACKNOWLEDGE: &str = "80 00 00";

struct Shop {
    folder: TempDir,
    simulator: Simulator,
}

impl Shop {
    async fn open(change: impl FnOnce(&mut Options)) -> Shop {
        let folder = TempDir::new().unwrap();
        let mut options = Options::fast(folder.path().join("ledger"));
        change(&mut options);
        Shop { simulator: Simulator::start(options).await.unwrap(), folder }
    }

    async fn link(&self) -> Ecr {
        Ecr::connect(self.simulator.addr()).await
    }

    async fn until(&self, what: &str, condition: impl Fn(&Simulator) -> bool) {
        let waiting = async {
            while !condition(&self.simulator) {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what} never happens");
    }
}

/// A whole payment. What 04 0F said.
async fn pay(ecr: &mut Ecr) -> Vec<u8> {
    ecr.send(PAY).await;
    ecr.expect("start", ACKNOWLEDGE).await;
    rest_of_transaction(ecr).await
}

async fn repeat(ecr: &mut Ecr) -> Vec<u8> {
    ecr.send(REPEAT).await;
    ecr.expect("repeat", ACKNOWLEDGE).await;
    rest_of_transaction(ecr).await
}

async fn rest_of_transaction(ecr: &mut Ecr) -> Vec<u8> {
    let result = ecr.message("result").await;
    assert!(result.starts_with(&[0x04, 0x0F]), "came {}", text(&result));
    ecr.send(ACKNOWLEDGE).await;
    ecr.expect("completion", "06 0F 00").await;
    ecr.send(ACKNOWLEDGE).await;
    result
}

async fn status(ecr: &mut Ecr) -> StatusEnquiryCompletion {
    ecr.send("05 01 05 00 00 00 03 06").await;
    ecr.expect("status", ACKNOWLEDGE).await;
    let message = ecr.message("status").await;
    ecr.send(ACKNOWLEDGE).await;
    match Reply::parse(&Apdu::decode(&message).unwrap(), Charset::Cp437) {
        Reply::Completion(completion) => completion.status_enquiry(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_payment_goes_on_when_its_link_is_cut() {
    for auto_reverse in [true, false] {
        let shop = Shop::open(|options| {
            options.auto_reverse = auto_reverse;
            options.timing.card = Duration::from_millis(800);
        })
        .await;
        let mut ecr = shop.link().await;
        ecr.send(PAY).await;
        ecr.expect("start", ACKNOWLEDGE).await;
        shop.simulator.cut();
        ecr.expect_end("the cut link").await;
        let mut ecr = shop.link().await;
        assert_eq!(status(&mut ecr).await.terminal_status, Some(0x9C), "the card is still awaited");
        ecr.send(PAY).await;
        ecr.expect("a second payment", "84 A0 00").await;
        shop.until("the end of the payment", |simulator| !simulator.is_busy()).await;
        assert_eq!(status(&mut ecr).await.terminal_status, Some(0x00));
        let ledger = shop.simulator.ledger();
        assert_eq!(ledger.len(), if auto_reverse { 2 } else { 1 });
        assert_eq!(standing(&ledger).len(), if auto_reverse { 0 } else { 1 });
        assert_eq!(shop.simulator.money_commands(), 2);
    }
}

#[tokio::test]
async fn the_booking_is_on_disk_when_the_result_arrives() {
    let shop = Shop::open(|_| {}).await;
    let mut ecr = shop.link().await;
    ecr.send(PAY).await;
    ecr.expect("start", ACKNOWLEDGE).await;
    ecr.expect("result", "04 0F .. 27 00 ..").await;
    let text = std::fs::read_to_string(shop.simulator.ledger_path()).unwrap();
    assert_eq!(LedgerEntry::parse_all(&text).unwrap(), shop.simulator.ledger());
    assert_eq!(shop.simulator.ledger().len(), 1);
}

#[tokio::test]
async fn a_restart_on_the_same_file_tells_the_same() {
    let shop = Shop::open(|options| options.script = vec![Step::Approve, Step::Decline]).await;
    let mut ecr = shop.link().await;
    pay(&mut ecr).await;
    let last = repeat(&mut ecr).await;
    shop.simulator.stop().await;
    ecr.expect_end("the plug is pulled").await;
    let again = Simulator::start(Options::fast(shop.folder.path().join("ledger"))).await.unwrap();
    let mut ecr = Ecr::connect(again.addr()).await;
    assert_eq!(text(&repeat(&mut ecr).await), text(&last));
    pay(&mut ecr).await;
    assert_eq!(again.ledger().last().unwrap().receipt_number, "0002");
}

#[tokio::test]
async fn a_second_link_waits_and_is_closed() {
    let shop = Shop::open(|options| options.timing.answer = Duration::from_millis(500)).await;
    let mut first = shop.link().await;
    status(&mut first).await;
    let mut second = shop.link().await;
    second.expect_end("the second link").await;
    status(&mut first).await;
    let mut third = shop.link().await;
    drop(first);
    assert_eq!(status(&mut third).await.terminal_status, Some(0x00), "the place is free again");
}

#[tokio::test]
async fn unreachable_and_reachable_at_the_same_port() {
    let shop = Shop::open(|_| {}).await;
    let mut ecr = shop.link().await;
    status(&mut ecr).await;
    shop.simulator.set_behaviour(Behaviour::Unreachable).await.unwrap();
    ecr.expect_end("the link").await;
    assert!(TcpStream::connect(shop.simulator.addr()).await.is_err());
    shop.simulator.heal().await.unwrap();
    pay(&mut shop.link().await).await;
}

#[tokio::test]
async fn the_keypad_is_locked_by_the_registration() {
    let shop = Shop::open(|_| {}).await;
    let mut ecr = shop.link().await;
    assert_eq!(shop.simulator.keypad_sale(100).unwrap(), "0001");
    for (config, expected) in [("B8", Err(KeypadError::Locked)), ("88", Ok("0002".to_owned()))] {
        ecr.send(&format!("06 00 06 00 00 00 {config} 09 78")).await;
        ecr.expect("registration", ACKNOWLEDGE).await;
        ecr.expect("registration", "06 0F ..").await;
        ecr.send(ACKNOWLEDGE).await;
        assert_eq!(shop.simulator.keypad_sale(100), expected, "{config}");
    }
    assert_eq!((shop.simulator.ledger().len(), shop.simulator.money_commands()), (2, 0));
}

#[tokio::test]
async fn another_terminal_with_another_clock() {
    let shop = Shop::open(|_| {}).await;
    let mut ecr = shop.link().await;
    assert_eq!(status(&mut ecr).await.terminal_id.as_deref(), Some("29001612"));
    let year = status(&mut ecr).await.clock.unwrap().0.year;
    shop.simulator.set_terminal_id("1234").unwrap();
    shop.simulator.set_clock_offset(-2 * 366 * 24 * 3600);
    let changed = status(&mut ecr).await;
    assert_eq!(changed.terminal_id.as_deref(), Some("00001234"));
    assert!([2, 3].contains(&(year - changed.clock.unwrap().0.year)), "{:?}", changed.clock);
    assert!(shop.simulator.set_terminal_id("123456789").is_err());
}

#[tokio::test]
async fn healing_ends_a_silence() {
    let shop = Shop::open(|options| options.script = vec![Step::Silent, Step::NoRepeat, Step::Decline]).await;
    let mut ecr = shop.link().await;
    ecr.send(PAY).await;
    shop.until("the silence", Simulator::is_busy).await;
    shop.simulator.heal().await.unwrap();
    ecr.expect_end("the silent link").await;
    let mut ecr = shop.link().await;
    pay(&mut ecr).await;
    assert_eq!(shop.simulator.ledger().len(), 1);
    assert_eq!(shop.simulator.commands(), ["06 01", "06 01"]);
}

/// The card, its number and the authorisation code: all that is drawn.
#[tokio::test]
async fn the_seed_decides_what_is_drawn() {
    let mut drawn = Vec::new();
    for seed in [7, 7, 8] {
        let shop = Shop::open(|options| options.seed = seed).await;
        let result = pay(&mut shop.link().await).await;
        match Reply::parse(&Apdu::decode(&result).unwrap(), Charset::Cp437) {
            Reply::StatusInformation(fields) => drawn.push((fields.last4(), fields.authorization_code())),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(drawn[0], drawn[1]);
    assert_ne!(drawn[0], drawn[2]);
}

#[tokio::test]
async fn what_cannot_start() {
    let folder = TempDir::new().unwrap();
    let options = || Options::fast(folder.path().join("ledger"));
    for wrong in [
        Options { terminal_id: "12a".into(), ..options() },
        Options { password: "1234567".into(), ..options() },
        Options { ledger: folder.path().join("missing/ledger"), ..options() },
    ] {
        assert!(Simulator::start(wrong).await.is_err());
    }
    std::fs::write(folder.path().join("ledger"), "{\"event\":").unwrap();
    assert!(Simulator::start(options()).await.is_err());
}
