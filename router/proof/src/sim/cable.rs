//! How does a simulated router reach a terminal on a serial line, and what happens to the plug?
//!
//! A serial line has no links: the terminal's end stays when somebody opens the device anew. What noise does to frames, the
//! simulated terminal does itself.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tillswitch_core::async_trait;
use tillswitch_zvt::simulator::Simulator;
use tillswitch_zvt::transport::stream::{ByteStream, Connector};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::{Mutex, watch};
use tokio::time::sleep;

use super::gate::Gate;
use super::line::{End, Fate, Weather};
use super::net::CAPACITY;

/// How often a terminal that is switched off is tried.
const RETRY: Duration = Duration::from_millis(500);

/// The line between the device and the terminal. Cheap to clone.
#[derive(Clone)]
pub struct Cable(Arc<Ends>);

struct Ends {
    terminal: Arc<Simulator>,
    weather: Weather,
    device: Mutex<Option<Device>>,
    pt: Mutex<Option<WriteHalf<DuplexStream>>>,
    is_plugged_in: AtomicBool,
    is_dead: AtomicBool,
}

/// A device that is open.
struct Device {
    out: WriteHalf<DuplexStream>,
    reset: Arc<AtomicBool>,
    gone: watch::Sender<bool>,
}

/// The device as one run of the router sees it.
pub struct Port {
    pub cable: Cable,
    pub gate: Gate,
}

impl Cable {
    /// A line whose device nobody has opened.
    pub fn lay(terminal: Arc<Simulator>, weather: Weather) -> Cable {
        let ends = Ends {
            terminal,
            weather,
            device: Mutex::default(),
            pt: Mutex::default(),
            is_plugged_in: AtomicBool::new(true),
            is_dead: AtomicBool::new(false),
        };
        let cable = Cable(Arc::new(ends));
        tokio::spawn(cable.clone().serve());
        cable
    }

    /// When the terminal has given the line up, it begins anew on it.
    async fn serve(self) {
        loop {
            let (far, pt) = duplex(CAPACITY);
            let (mut far_in, far_out) = split(far);
            let end = End { stream: pt, reset: Arc::default(), gate: None };
            if self.0.terminal.serve_serial(end).await.is_err() {
                sleep(RETRY).await;
                continue;
            }
            *self.0.pt.lock().await = Some(far_out);
            let mut bytes = [0; 2048];
            while let Ok(count @ 1..) = far_in.read(&mut bytes).await {
                if self.arrives().await
                    && let Some(device) = &mut *self.0.device.lock().await
                {
                    let _ = device.out.write_all(&bytes[..count]).await;
                }
            }
            *self.0.pt.lock().await = None;
        }
    }

    async fn open(&self, gate: &Gate) -> End {
        let (ecr, near) = duplex(CAPACITY);
        let (near_in, out) = split(near);
        let (reset, gone) = (Arc::new(AtomicBool::new(false)), watch::Sender::new(false));
        let was_replaced = gone.subscribe();
        let device = Device { out, reset: reset.clone(), gone };
        if let Some(old) = self.0.device.lock().await.replace(device) {
            old.gone.send_replace(true);
        }
        tokio::spawn(self.clone().pump(near_in, was_replaced, gate.clone()));
        End { stream: ecr, reset, gate: Some(gate.clone()) }
    }

    async fn pump(self, mut from: ReadHalf<DuplexStream>, mut was_replaced: watch::Receiver<bool>, gate: Gate) {
        let mut bytes = [0; 2048];
        loop {
            tokio::select! {
                biased;
                () = is_gone(&mut was_replaced) => return,
                read = from.read(&mut bytes) => match read {
                    Ok(count @ 1..) => self.to_terminal(&bytes[..count]).await,
                    Ok(0) | Err(_) => return,
                },
                () = gate.is_dead() => break,
            }
        }
        *self.0.device.lock().await = None;
    }

    async fn to_terminal(&self, bytes: &[u8]) {
        if self.arrives().await
            && let Some(pt) = &mut *self.0.pt.lock().await
        {
            let _ = pt.write_all(bytes).await;
        }
    }

    /// Whether the next piece gets through, after the time that it takes.
    async fn arrives(&self) -> bool {
        match self.0.weather.fate() {
            Fate::Arrives(after) => sleep(after).await,
            Fate::Late(after) => sleep(after.min(Duration::from_secs(8))).await,
            Fate::CutBefore => self.unplug().await,
            Fate::CutBehind | Fate::HalfOpen => self.die(),
            Fate::Garbage | Fate::Lost => return false,
        }
        !self.0.is_dead.load(Ordering::Relaxed)
    }

    /// Until somebody has found the loose plug.
    fn die(&self) {
        self.0.is_dead.store(true, Ordering::Relaxed);
        let (cable, back_after) = (self.clone(), self.0.weather.lasts(1_000, 90_000));
        tokio::spawn(async move {
            sleep(back_after).await;
            cable.0.is_dead.store(false, Ordering::Relaxed);
        });
    }

    async fn unplug(&self) {
        self.0.is_plugged_in.store(false, Ordering::Relaxed);
        if let Some(device) = self.0.device.lock().await.take() {
            device.reset.store(true, Ordering::Relaxed);
            device.gone.send_replace(true);
        }
        let (cable, back_after) = (self.clone(), self.0.weather.lasts(1_000, 40_000));
        tokio::spawn(async move {
            sleep(back_after).await;
            cable.0.is_plugged_in.store(true, Ordering::Relaxed);
        });
    }
}

async fn is_gone(gone: &mut watch::Receiver<bool>) {
    // Whoever drops the device without a word is gone as well.
    let _ = gone.wait_for(|gone| *gone).await;
}

#[async_trait]
impl Connector for Port {
    async fn connect(&mut self) -> io::Result<Box<dyn ByteStream>> {
        self.gate.pass("before a connection is opened").await;
        if self.gate.is_shut() {
            return pending().await;
        }
        if !self.cable.0.is_plugged_in.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Box::new(self.cable.open(&self.gate).await))
    }
}
