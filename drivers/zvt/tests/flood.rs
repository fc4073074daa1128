//! Does a PT that never stops talking hold the driver up, or fill its memory?

#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tillswitch_core::{Reason, Settings, async_trait};
use tillswitch_zvt::apdu::{Apdu, control};
use tillswitch_zvt::transport::{Delivery, SendError, Transport};
use tillswitch_zvt::{Timing, driver_over};

/// More than any PT says while nobody asks.
const FAR_TOO_MANY: usize = 100_000;

/// A PT that answers every question, and talks whenever nobody asks.
#[derive(Default)]
struct Chatterbox {
    is_open: bool,
    answers: VecDeque<Apdu>,
    opened: Arc<AtomicUsize>,
    told: usize,
}

#[async_trait]
impl Transport for Chatterbox {
    async fn open(&mut self) -> Result<(), Reason> {
        self.is_open = true;
        self.told = 0;
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.is_open
    }

    async fn send(&mut self, apdu: &Apdu, _: Delivery) -> Result<(), SendError> {
        if !apdu.is_answer() {
            self.answers = [Apdu::new(control::POSITIVE, vec![]), Apdu::new(control::COMPLETION, vec![0])].into();
        }
        Ok(())
    }

    async fn receive(&mut self) -> Result<Apdu, Reason> {
        match self.answers.pop_front() {
            Some(apdu) => Ok(apdu),
            None => std::future::pending().await,
        }
    }

    fn arrived(&mut self) -> Result<Option<Apdu>, Reason> {
        self.told += 1;
        assert!(self.told < FAR_TOO_MANY, "the driver listens for ever");
        Ok(Some(Apdu::new(control::INTERMEDIATE_STATUS, vec![0x0A])))
    }

    async fn close(&mut self) {
        self.is_open = false;
    }

    fn address(&self) -> &str {
        "chatterbox"
    }
}

#[tokio::test(start_paused = true)]
async fn somebody_who_never_stops_talking_loses_the_line() {
    let pt = Chatterbox::default();
    let opened = pt.opened.clone();
    let mut driver = driver_over(Box::new(pt), &Settings::new("counter"), Timing::default()).unwrap();
    driver.status().await.unwrap();
    driver.status().await.unwrap();
    assert_eq!(opened.load(Ordering::Relaxed), 2);
}
