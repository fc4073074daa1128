//! A terminal that says, word by word, what a test tells it to, and a driver in front of it.

use std::time::{Duration, SystemTime};

use tillswitch_core::conformance::TestSession;
use tillswitch_core::{
    Cause, Currency, DriverError, DriverFactory, Money, Operation, Outcome, PaymentId, PaymentRequest, Settings,
    TerminalDriver,
};
use tillswitch_zvt::apdu::{Apdu, ApduDecoder};
use tillswitch_zvt::{Timing, ZvtTcpFactory};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

pub const PATIENCE: Duration = Duration::from_secs(5);

/// A terminal that says what it is told to, line by line.
pub struct Script {
    pub stream: TcpStream,
    pub decoder: ApduDecoder,
}

impl Script {
    pub async fn accept(listener: &TcpListener) -> Script {
        let (stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
        Script { stream, decoder: ApduDecoder::new(4096) }
    }

    /// A whole first payment on a new line, which then rests.
    pub async fn approved(listener: &TcpListener, driver: &mut dyn TerminalDriver) -> Script {
        let mut session = TestSession::new();
        let first = async {
            let mut script = Script::accept(listener).await;
            script.introduce().await;
            script.approve().await;
            script
        };
        let (result, script) = tokio::join!(execute(driver, &mut session), first);
        assert!(matches!(result, Ok(Outcome::Approved(_))), "{result:?}");
        script
    }

    pub async fn hear(&mut self, start: &str) -> Apdu {
        let apdu = loop {
            if let Some(apdu) = self.decoder.next_apdu().unwrap() {
                break apdu;
            }
            let mut buffer = [0; 512];
            let count = timeout(PATIENCE, self.stream.read(&mut buffer)).await.unwrap().unwrap();
            assert!(count > 0, "the driver hung up while {start} was expected");
            self.decoder.push(&buffer[..count]);
        };
        let hex: Vec<String> = apdu.encode().unwrap().iter().map(|byte| format!("{byte:02X}")).collect();
        assert!(hex.join(" ").starts_with(start), "expected {start}, heard {}", hex.join(" "));
        apdu
    }

    pub async fn say(&mut self, hex: &str) {
        let bytes: Vec<u8> = hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        self.stream.write_all(&bytes).await.unwrap();
    }

    pub async fn introduce_up_to_repetition(&mut self) {
        self.hear("06 00").await;
        self.say("80 00 00 06 0F 0A 19 00 29 29 00 16 12 49 09 78").await;
        self.hear("80 00 00").await;
        self.hear("05 01").await;
        self.say("80 00 00 06 0F 01 00").await;
        self.hear("80 00 00").await;
        self.hear("06 20").await;
    }

    /// Registration, clock and last receipt, as in front of a first payment.
    pub async fn introduce(&mut self) {
        self.introduce_up_to_repetition().await;
        self.say("80 00 00 04 0F 0C 27 00 87 00 41 29 29 00 16 12 19 70").await;
        self.hear("80 00 00").await;
        // Not every terminal obeys the wish for no slip.
        self.say("06 D1 03 00 41 42").await;
        self.hear("80 00 00").await;
        self.say("06 0F 00").await;
        self.hear("80 00 00").await;
    }

    pub async fn approve(&mut self) {
        self.hear("06 01").await;
        self.say("80 00 00 04 0F 0A 27 00 87 00 42 29 29 00 16 12").await;
        self.hear("80 00 00").await;
        self.say("06 0F 00").await;
        self.hear("80 00 00").await;
    }
}

pub async fn scripted() -> (TcpListener, Box<dyn TerminalDriver>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings::new("counter").with("address", listener.local_addr().unwrap().to_string());
    let driver = ZvtTcpFactory { timing: Timing::fast() }.build(&settings).unwrap();
    (listener, driver)
}

pub async fn execute(driver: &mut dyn TerminalDriver, session: &mut TestSession) -> Result<Outcome, DriverError> {
    let request = sale();
    timeout(PATIENCE, driver.execute(&request, session)).await.expect("execute ends")
}

/// How the line ends for the terminal: `Ok` in order, `Err` by a reset.
pub async fn end_of_line(script: &mut Script) -> std::io::Result<usize> {
    loop {
        match timeout(PATIENCE, script.stream.read(&mut [0; 512])).await.expect("the line ends") {
            Ok(count) if count > 0 => {}
            end => return end,
        }
    }
}

pub fn sale() -> PaymentRequest {
    PaymentRequest {
        id: PaymentId::generate(),
        operation: Operation::Sale,
        amount: Money::from_minor(2590, Currency::EUR),
        register: "POS-01".into(),
        document: None,
        accept_partial: false,
        original: None,
        received_at: SystemTime::now(),
    }
}

pub fn not_started(result: &Result<Outcome, DriverError>) -> Cause {
    match result {
        Err(DriverError::NotStarted(reason)) => reason.cause,
        other => panic!("expected not started, found {other:?}"),
    }
}
