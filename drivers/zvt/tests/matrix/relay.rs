//! How one link passes frames on, and what becomes of the one that is hit.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tillswitch_zvt::apdu::{Apdu, ApduDecoder, control};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, split};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::cell::{Fault, Line, Way};
use crate::fate::Fate;
use crate::terminal::Terminal;

/// When the PT's own system gives up a link of which nothing is heard.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// How long a frame waits for another one to travel with.
const TOGETHER: Duration = Duration::from_secs(1);
/// Between a frame that still arrives and the reset behind it.
const BEHIND: Duration = Duration::from_millis(10);
/// What no message begins with.
pub const GARBAGE: [u8; 3] = [0x15, 0x03, 0x69];

/// One link between the ECR and the PT.
pub struct Relay {
    fate: Arc<Fate>,
    terminal: Arc<Terminal>,
    /// What the ECR's end looks at when the other end is gone.
    reset: Arc<AtomicBool>,
    ended: Notify,
    /// Nothing gets through any more.
    dead: AtomicBool,
    given_up: Notify,
    idle_frame: Notify,
}

impl Relay {
    pub fn new(fate: Arc<Fate>, terminal: Arc<Terminal>, reset: Arc<AtomicBool>) -> Arc<Relay> {
        Arc::new(Relay {
            fate,
            terminal,
            reset,
            ended: Notify::new(),
            dead: AtomicBool::new(false),
            given_up: Notify::new(),
            idle_frame: Notify::new(),
        })
    }

    /// Carries bytes between both ends until the link ends. `greeting` goes ahead of the PT's bytes.
    pub async fn run(self: Arc<Relay>, near: DuplexStream, far: DuplexStream) {
        let (near_in, near_out) = split(near);
        let (far_in, far_out) = split(far);
        let to_pt = Pump::new(&self, Way::ToPt, near_in, far_out);
        let to_ecr = Pump::new(&self, Way::ToEcr, far_in, near_out);
        tokio::select! {
            biased;
            () = self.ended.notified() => {}
            _ = async { tokio::join!(to_pt.run(), to_ecr.run()) } => {}
        }
    }

    /// Nothing gets through any more; after a while the PT's system notices.
    pub fn die(self: &Arc<Relay>) {
        self.dead.store(true, Ordering::Relaxed);
        let relay = Arc::clone(self);
        tokio::spawn(async move {
            sleep(KEEPALIVE).await;
            relay.given_up.notify_one();
        });
    }

    /// Both ends see a reset.
    pub fn reset(&self) {
        self.reset.store(true, Ordering::Relaxed);
        self.ended.notify_one();
    }

    /// The same from within, where nothing may happen any more.
    async fn reset_now(&self) {
        self.reset.store(true, Ordering::Relaxed);
        self.end().await;
    }

    async fn end(&self) {
        self.ended.notify_one();
        pending().await
    }

    /// The PT says something that nobody waits for.
    pub fn say_while_idle(&self) {
        self.idle_frame.notify_one();
    }

    /// The PT loses its mains, and the link with it.
    pub fn reboot(self: &Arc<Relay>) {
        self.die();
        let relay = Arc::clone(self);
        tokio::spawn(async move {
            relay.terminal.reboot().await;
            relay.reset();
        });
    }

    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }
}

struct Pump {
    relay: Arc<Relay>,
    way: Way,
    from: ReadHalf<DuplexStream>,
    to: WriteHalf<DuplexStream>,
    frames: ApduDecoder,
    given_up: bool,
}

enum Event {
    Bytes(Vec<u8>),
    End,
    GivenUp,
    IdleFrame,
}

impl Pump {
    fn new(relay: &Arc<Relay>, way: Way, from: ReadHalf<DuplexStream>, to: WriteHalf<DuplexStream>) -> Pump {
        Pump { relay: Arc::clone(relay), way, from, to, frames: ApduDecoder::new(4096), given_up: false }
    }

    async fn run(mut self) {
        loop {
            match self.event().await {
                Event::Bytes(bytes) => self.pass_on(&bytes).await,
                Event::IdleFrame => self.inflict(&[control::COMPLETION[0], control::COMPLETION[1], 0]).await,
                Event::GivenUp => {
                    self.given_up = true;
                    self.end().await;
                }
                Event::End => break,
            }
        }
        match self.way {
            Way::ToPt if self.relay.is_dead() && !self.given_up => {
                self.relay.given_up.notified().await;
                self.end().await;
            }
            Way::ToEcr if self.relay.is_dead() => {}
            Way::ToPt | Way::ToEcr => self.end().await,
        }
    }

    async fn event(&mut self) -> Event {
        let mut bytes = vec![0; 1024];
        tokio::select! {
            biased;
            read = self.from.read(&mut bytes) => match read {
                Ok(0) | Err(_) => Event::End,
                Ok(count) => {
                    bytes.truncate(count);
                    Event::Bytes(bytes)
                }
            },
            () = self.relay.given_up.notified(), if self.way == Way::ToPt => Event::GivenUp,
            () = self.relay.idle_frame.notified(), if self.way == Way::ToEcr => Event::IdleFrame,
        }
    }

    /// Who is gone need not be told.
    async fn end(&mut self) {
        let _ = self.to.shutdown().await;
    }

    async fn pass_on(&mut self, bytes: &[u8]) {
        self.frames.push(bytes);
        while let Some(apdu) = self.next_frame() {
            let bytes = apdu.encode().unwrap();
            match self.relay.fate.hits(self.way, &apdu) {
                true => self.inflict(&bytes).await,
                false => self.send(&bytes).await,
            }
        }
    }

    fn next_frame(&mut self) -> Option<Apdu> {
        self.frames.next_apdu().unwrap()
    }

    async fn send(&mut self, bytes: &[u8]) {
        if !self.relay.is_dead() {
            // Who is gone misses it.
            let _ = self.to.write_all(bytes).await;
        }
    }

    async fn send_bytewise(&mut self, bytes: &[u8], pause: Duration) {
        for byte in bytes {
            self.send(&[*byte]).await;
            sleep(pause).await;
        }
    }

    async fn inflict(&mut self, frame: &[u8]) {
        match self.relay.fate.cell.fault {
            Fault::Drop => {}
            Fault::Delay(timer, limit) => {
                sleep(timer.delay(Line::Tcp, limit)).await;
                self.send(frame).await;
            }
            Fault::Duplicate => self.send(&[frame, frame].concat()).await,
            Fault::Truncate => self.send(&frame[..frame.len() - 1]).await,
            Fault::TruncateAndEnd => {
                self.send(&frame[..frame.len() / 2]).await;
                sleep(BEHIND).await;
                self.relay.end().await;
            }
            Fault::GarbageBefore => self.send(&[&GARBAGE, frame].concat()).await,
            Fault::GarbageBehind => self.send(&[frame, &GARBAGE].concat()).await,
            Fault::HalfOpen => self.relay.die(),
            Fault::Reset => self.relay.reset_now().await,
            Fault::ResetBehind => {
                self.send(frame).await;
                sleep(BEHIND).await;
                self.relay.reset_now().await;
            }
            Fault::SlowLoris => self.send_bytewise(frame, Duration::from_secs(1)).await,
            Fault::Fragments => self.send_bytewise(frame, Duration::from_millis(1)).await,
            Fault::Coalesced => self.send_with_next(frame).await,
            Fault::Reboot => self.relay.reboot(),
            Fault::Frame(_) => unreachable!("what happens on a serial line only"),
        }
    }

    async fn send_with_next(&mut self, frame: &[u8]) {
        let next = timeout(TOGETHER, self.read_frame()).await.ok().flatten();
        let next = next.map(|apdu| {
            self.relay.fate.hits(self.way, &apdu);
            apdu.encode().unwrap()
        });
        self.send(&[frame, &next.unwrap_or_default()].concat()).await;
    }

    /// `None`: the stream has ended.
    async fn read_frame(&mut self) -> Option<Apdu> {
        loop {
            if let Some(apdu) = self.next_frame() {
                return Some(apdu);
            }
            let mut bytes = [0; 1024];
            match self.from.read(&mut bytes).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.frames.push(&bytes[..count]),
            }
        }
    }
}
