//! How does a simulated router reach a terminal on the network, and how does the link break?

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tillswitch_core::async_trait;
use tillswitch_zvt::simulator::Simulator;
use tillswitch_zvt::transport::stream::{ByteStream, Connector};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::watch;
use tokio::time::sleep;

use super::gate::Gate;
use super::line::{End, Fate, Weather};

/// More than ever lies on a line.
pub const CAPACITY: usize = 64 * 1024;
/// What no message begins with.
const GARBAGE: [u8; 3] = [0x15, 0x03, 0x69];
/// When both ends give up a link of which nothing is heard.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Between a message that still arrives and the end behind it.
const BEHIND: Duration = Duration::from_millis(10);

/// The way to one terminal, for one run of the router.
pub struct Net {
    pub terminal: Arc<Simulator>,
    pub gate: Gate,
    pub weather: Weather,
}

/// One link.
struct Link {
    dead: AtomicBool,
    cut: watch::Sender<bool>,
    reset: Arc<AtomicBool>,
}

#[async_trait]
impl Connector for Net {
    async fn connect(&mut self) -> io::Result<Box<dyn ByteStream>> {
        self.gate.pass("before a connection is opened").await;
        match self.weather.opening() {
            None => return pending().await,
            Some(opening) => sleep(opening?).await,
        }
        let (ecr, near) = duplex(CAPACITY);
        let (far, pt) = duplex(CAPACITY);
        self.terminal.serve(pt).await?;
        let reset = Arc::new(AtomicBool::new(false));
        let link =
            Arc::new(Link { dead: AtomicBool::new(false), cut: watch::Sender::new(false), reset: reset.clone() });
        let ((near_in, near_out), (far_in, far_out)) = (split(near), split(far));
        tokio::spawn(pump(link.clone(), self.weather.clone(), Some(self.gate.clone()), near_in, far_out));
        tokio::spawn(pump(link, self.weather.clone(), None, far_in, near_out));
        self.gate.pass("behind a connection that was opened").await;
        Ok(Box::new(End { stream: ecr, reset, gate: Some(self.gate.clone()) }))
    }
}

/// Passes on what comes one way. When the router dies, what it has sent still arrives, and then the end.
async fn pump(
    link: Arc<Link>,
    weather: Weather,
    gate: Option<Gate>,
    mut from: ReadHalf<DuplexStream>,
    mut to: WriteHalf<DuplexStream>,
) {
    let mut bytes = [0; 2048];
    let mut cut = link.cut.subscribe();
    loop {
        let count = tokio::select! {
            biased;
            _ = cut.wait_for(|cut| *cut) => break,
            read = from.read(&mut bytes) => match read {
                Ok(count @ 1..) => count,
                Ok(0) | Err(_) => break,
            },
            () = dead(&gate) => break,
        };
        link.pass_on(&weather, &bytes[..count], &mut to).await;
    }
    link.cut.send_replace(true);
    // Who is gone need not be told.
    let _ = to.shutdown().await;
}

async fn dead(gate: &Option<Gate>) {
    match gate {
        Some(gate) => gate.is_dead().await,
        None => pending().await,
    }
}

impl Link {
    async fn pass_on(self: &Arc<Self>, weather: &Weather, bytes: &[u8], to: &mut WriteHalf<DuplexStream>) {
        if self.dead.load(Ordering::Relaxed) {
            return;
        }
        match weather.fate() {
            Fate::Arrives(after) | Fate::Late(after) => {
                sleep(after).await;
                let _ = to.write_all(bytes).await;
            }
            Fate::CutBefore => self.reset(),
            Fate::CutBehind => {
                let _ = to.write_all(bytes).await;
                sleep(BEHIND).await;
                self.reset();
            }
            Fate::Garbage => {
                let _ = to.write_all(&[&GARBAGE, bytes].concat()).await;
            }
            Fate::HalfOpen => {
                self.dead.store(true, Ordering::Relaxed);
                let link = self.clone();
                tokio::spawn(async move {
                    sleep(KEEPALIVE).await;
                    link.reset();
                });
            }
            Fate::Lost => {}
        }
    }

    fn reset(&self) {
        self.reset.store(true, Ordering::Relaxed);
        self.cut.send_replace(true);
    }
}
