//! What does a driver tell of its line to whoever watches it?

#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tillswitch_core::conformance::TestSession;
use tillswitch_core::{
    Currency, DriverFactory, LineEvent, LineWatch, Money, Operation, PaymentId, PaymentRequest, Settings,
    TerminalDriver, async_trait,
};
use tillswitch_zvt::simulator::{Options, Simulator};
use tillswitch_zvt::transport::serial::{LineSettings, Parity, SerialTransport, StopBits};
use tillswitch_zvt::transport::stream::{ByteStream, Connector};
use tillswitch_zvt::{Timing, ZvtTcpFactory, driver_over};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const NAK: u8 = 0x15;

#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<LineEvent>>>);

impl Told {
    fn by(driver: &mut dyn TerminalDriver) -> Told {
        let told = Told::default();
        let events = Arc::clone(&told.0);
        driver.watch_line(LineWatch::new(move |event| events.lock().unwrap().push(event)));
        told
    }

    fn count(&self, is_one: impl Fn(&LineEvent) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|event| is_one(event)).count()
    }

    fn connects(&self) -> usize {
        self.count(|event| matches!(event, LineEvent::Connected))
    }

    fn repetitions(&self) -> usize {
        self.count(|event| matches!(event, LineEvent::Retransmitted))
    }

    fn answers(&self) -> usize {
        self.count(|event| matches!(event, LineEvent::Answered { after_seconds } if (0.0..5.0).contains(after_seconds)))
    }
}

fn request() -> PaymentRequest {
    PaymentRequest {
        id: PaymentId::generate(),
        operation: Operation::Sale,
        amount: Money::from_minor(2590, Currency::EUR),
        register: "POS-01".into(),
        document: None,
        accept_partial: false,
        original: None,
        received_at: std::time::SystemTime::now(),
    }
}

#[tokio::test]
async fn each_connection_and_the_first_answer_to_each_command_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let terminal = Simulator::start(Options::fast(folder.path().join("ledger.jsonl"))).await.unwrap();
    let settings = Settings::new("counter").with("address", terminal.addr().to_string());
    let mut driver = ZvtTcpFactory { timing: Timing::fast() }.build(&settings).unwrap();
    let told = Told::by(&mut *driver);
    driver.execute(&request(), &mut TestSession::new()).await.unwrap();
    assert_eq!((told.connects(), told.answers(), told.repetitions()), (1, terminal.commands().len(), 0));
    driver.close().await;
    driver.execute(&request(), &mut TestSession::new()).await.unwrap();
    assert_eq!((told.connects(), told.answers()), (2, terminal.commands().len()));
}

#[tokio::test]
async fn a_connection_that_does_not_stand_is_none() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let settings = Settings::new("counter").with("address", nobody.to_string());
    let mut driver = ZvtTcpFactory { timing: Timing::fast() }.build(&settings).unwrap();
    let told = Told::by(&mut *driver);
    driver.status().await.unwrap_err();
    assert_eq!((told.connects(), told.answers()), (0, 0));
}

/// A serial line whose other end is a socket.
struct Cable(SocketAddr);

#[async_trait]
impl Connector for Cable {
    async fn connect(&mut self) -> io::Result<Box<dyn ByteStream>> {
        Ok(Box::new(TcpStream::connect(self.0).await?))
    }
}

/// A PT that does not understand the first frame and hears nothing after it.
async fn complain_once(listener: TcpListener) {
    let (mut line, _) = listener.accept().await.unwrap();
    let mut bytes = [0; 256];
    assert!(line.read(&mut bytes).await.unwrap() > 0);
    line.write_all(&[NAK]).await.unwrap();
    while line.read(&mut bytes).await.unwrap_or(0) > 0 {}
}

#[tokio::test]
async fn frames_that_are_sent_again_on_a_serial_line_are_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cable = Cable(listener.local_addr().unwrap());
    let pt = tokio::spawn(complain_once(listener));
    let settings = LineSettings { baud_rate: 115_200, parity: Parity::None, stop_bits: StopBits::Two };
    let line = SerialTransport::over(Box::new(cable), "ttyS9".into(), settings, &Timing::fast());
    let mut driver = driver_over(Box::new(line), &Settings::new("bar"), Timing::fast()).unwrap();
    let told = Told::by(&mut *driver);
    driver.status().await.unwrap_err();
    assert_eq!((told.connects(), told.repetitions(), told.answers()), (1, 2, 0));
    drop(driver);
    pt.await.unwrap();
}
