//! How a serial line passes frames and acknowledgements on, and what becomes of the frame that is hit.
//!
//! A serial line has no links: the PT's end stays when the ECR opens its device anew, and knows nothing of it.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tillswitch_zvt::apdu::{Apdu, control};
use tillswitch_zvt::transport::serial::frame::{ACK, NAK};
use tillswitch_zvt::transport::serial::{Deframer, Heard, encode_frame};
use tillswitch_zvt::transport::stream::{ByteStream, Connector};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::{Mutex, Notify};
use tokio::time::sleep;

use crate::cell::{Fault, Limit, Line, Way};
use crate::fate::Fate;
use crate::frame_fault::FrameFault;
use crate::terminal::Terminal;
use crate::wire::Memory;

/// More than ever lies on a line.
const CAPACITY: usize = 64 * 1024;
const MAXIMUM_FRAME: usize = 64 * 1024;
/// Nothing of it is an acknowledgement or begins a frame.
const NOISE: [u8; 3] = [0x00, 0xFF, 0x55];
const T1: Duration = Duration::from_millis(200);
const T2: Duration = Duration::from_secs(5);
const TRANSMISSIONS: usize = 3;
/// Until somebody has found the loose plug.
const CABLE_OUT: Duration = Duration::from_secs(60);
const UNPLUGGED: Duration = Duration::from_secs(20);
const LOOSE_CONTACT: Duration = Duration::from_secs(1);
/// Between a frame that still arrives and the adapter's end.
const BEHIND: Duration = Duration::from_millis(10);
/// How often a PT that is switched off is tried.
const RETRY: Duration = Duration::from_millis(500);

/// The whole line between the ECR's device and the PT.
#[derive(Clone)]
pub struct Cable(Arc<Ends>);

struct Ends {
    fate: Arc<Fate>,
    terminal: Arc<Terminal>,
    ecr: Mutex<Option<Device>>,
    pt: Mutex<Option<WriteHalf<DuplexStream>>>,
    is_plugged_in: AtomicBool,
    /// Nothing gets through.
    is_dead: AtomicBool,
    to_pt: StdMutex<State>,
    to_ecr: StdMutex<State>,
}

/// A device that is open.
struct Device {
    out: WriteHalf<DuplexStream>,
    reset: Arc<AtomicBool>,
    gone: Arc<Notify>,
}

/// What goes on with the frames of one way.
#[derive(Default)]
struct State {
    /// The frame that was hit, and how often it has come.
    hit: Option<(Vec<u8>, usize)>,
    /// Frames that the other end has not taken up yet.
    held: Option<Vec<Vec<u8>>>,
    /// What becomes of the next acknowledgements of such frames.
    acknowledgements: VecDeque<AckFate>,
}

#[derive(Clone, Copy)]
enum AckFate {
    Lost,
    AsNak,
    BehindNak,
    Late(Duration),
}

impl Cable {
    /// A line whose terminal is there, and whose device nobody has opened.
    pub fn lay(fate: Arc<Fate>, terminal: Arc<Terminal>) -> Cable {
        let ends = Ends {
            fate,
            terminal,
            ecr: Mutex::default(),
            pt: Mutex::default(),
            is_plugged_in: AtomicBool::new(true),
            is_dead: AtomicBool::new(false),
            to_pt: StdMutex::default(),
            to_ecr: StdMutex::default(),
        };
        let cable = Cable(Arc::new(ends));
        tokio::spawn(cable.clone().serve());
        cable
    }

    /// The PT says something that nobody waits for.
    pub fn say_while_idle(&self) {
        let cable = self.clone();
        let frame = encode_frame(&[control::COMPLETION[0], control::COMPLETION[1], 0]);
        tokio::spawn(async move { cable.inflict(Way::ToEcr, &frame).await });
    }

    /// Passes on what the PT says. When it has given the line up, it begins anew on it.
    async fn serve(self) {
        loop {
            let (far, pt) = duplex(CAPACITY);
            let (far_in, far_out) = split(far);
            let stream = Memory { stream: pt, reset: Arc::default(), fate: Arc::clone(&self.0.fate) };
            if !self.0.terminal.serve_serial(stream).await {
                sleep(RETRY).await;
                continue;
            }
            *self.0.pt.lock().await = Some(far_out);
            self.pump(Way::ToEcr, far_in).await;
            *self.0.pt.lock().await = None;
        }
    }

    /// Somebody opens the device.
    async fn open(&self) -> Memory {
        let (ecr, near) = duplex(CAPACITY);
        let (near_in, out) = split(near);
        let (reset, gone) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
        *self.0.ecr.lock().await = Some(Device { out, reset: Arc::clone(&reset), gone: Arc::clone(&gone) });
        let cable = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = gone.notified() => {}
                () = cable.pump(Way::ToPt, near_in) => {}
            }
        });
        Memory { stream: ecr, reset, fate: Arc::clone(&self.0.fate) }
    }

    async fn pump(&self, way: Way, mut from: ReadHalf<DuplexStream>) {
        let mut frames = Deframer::new(MAXIMUM_FRAME);
        let mut bytes = [0; 1024];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            frames.push(&bytes[..count]);
            for heard in frames.by_ref() {
                match heard {
                    Heard::Frame(apdu) => self.frame(way, &apdu).await,
                    Heard::Ack => self.acknowledgement(way).await,
                    Heard::Nak => self.say_nak(way).await,
                    Heard::Damaged | Heard::Noise => unreachable!("both ends speak clearly"),
                }
            }
        }
    }

    async fn frame(&self, way: Way, apdu: &[u8]) {
        let frame = encode_frame(apdu);
        let is_hit = self.0.fate.hits(way, &Apdu::decode(apdu).unwrap());
        self.state(way.back()).reply_has_come(self.fault());
        if is_hit {
            self.state(way).hit = self.fault().strikes_repetitions().then(|| (frame.clone(), 1));
            self.inflict(way, &frame).await;
        } else if self.state(way).is_struck_again(&frame) {
            self.inflict(way, &frame).await;
        } else if self.state(way).hold(&frame) {
            self.send(way.back(), &[ACK]).await;
        } else {
            self.send(way, &frame).await;
        }
    }

    async fn acknowledgement(&self, way: Way) {
        let fate = self.state(way.back()).acknowledgements.pop_front();
        match fate {
            None => self.send(way, &[ACK]).await,
            Some(AckFate::Lost) => {}
            Some(AckFate::AsNak) => self.say_nak(way).await,
            Some(AckFate::BehindNak) => {
                self.note_nak(way);
                self.send(way, &[NAK, ACK]).await;
            }
            Some(AckFate::Late(delay)) => {
                sleep(delay).await;
                self.send(way, &[ACK]).await;
            }
        }
    }

    async fn say_nak(&self, way: Way) {
        self.note_nak(way);
        self.send(way, &[NAK]).await;
    }

    fn note_nak(&self, way: Way) {
        if way == Way::ToEcr {
            self.0.fate.note_nak_to_ecr();
        }
    }

    /// Who is not there misses it.
    async fn send(&self, way: Way, bytes: &[u8]) {
        if self.0.is_dead.load(Ordering::Relaxed) {
            return;
        }
        let sent = match way {
            Way::ToPt => match &mut *self.0.pt.lock().await {
                Some(out) => out.write_all(bytes).await,
                None => Ok(()),
            },
            Way::ToEcr => match &mut *self.0.ecr.lock().await {
                Some(device) => device.out.write_all(bytes).await,
                None => Ok(()),
            },
        };
        drop(sent);
    }

    async fn inflict(&self, way: Way, frame: &[u8]) {
        match self.fault() {
            FrameFault::Lose | FrameFault::LoseAll => {}
            FrameFault::LoseAck | FrameFault::LoseAcks => self.send_for(way, frame, AckFate::Lost).await,
            FrameFault::AckAsNak | FrameFault::AcksAsNak => self.send_for(way, frame, AckFate::AsNak).await,
            FrameFault::NakAndAck => self.send_for(way, frame, AckFate::BehindNak).await,
            FrameFault::LateAck(limit) => self.send_for(way, frame, AckFate::Late(about_t2(limit))).await,
            FrameFault::Damage | FrameFault::DamageAll => self.send(way, &with_wrong_checksum(frame)).await,
            FrameFault::Duplicate => self.send(way, &[frame, frame].concat()).await,
            FrameFault::Truncate => self.send(way, &frame[..frame.len() - 1]).await,
            FrameFault::Headless => self.send(way, &frame[1..]).await,
            FrameFault::NoiseBefore => self.send(way, &[&NOISE, frame].concat()).await,
            FrameFault::NoiseBehind => self.send(way, &[frame, &NOISE].concat()).await,
            FrameFault::Pause(limit) => self.send_in_halves(way, frame, limit).await,
            FrameFault::Late(limit) => {
                sleep(about_t2(limit)).await;
                self.send(way, frame).await;
            }
            FrameFault::Hold(timer, limit) => self.take_up_later(way, frame, timer.delay(Line::Serial, limit)).await,
            FrameFault::CableOut => self.die(CABLE_OUT),
            FrameFault::Unplug => self.unplug(true, UNPLUGGED).await,
            FrameFault::UnplugBehind => {
                self.send(way, frame).await;
                sleep(BEHIND).await;
                self.unplug(false, LOOSE_CONTACT).await;
            }
            FrameFault::Reboot => self.reboot(),
        }
    }

    async fn send_for(&self, way: Way, frame: &[u8], fate: AckFate) {
        self.state(way).acknowledgements.push_back(fate);
        self.send(way, frame).await;
    }

    async fn send_in_halves(&self, way: Way, frame: &[u8], limit: Limit) {
        let (first, second) = frame.split_at(frame.len() / 2);
        self.send(way, first).await;
        sleep(limit.of(T1, Duration::from_millis(10))).await;
        self.send(way, second).await;
    }

    /// The sender is told at once that its frame is there.
    async fn take_up_later(&self, way: Way, frame: &[u8], delay: Duration) {
        self.state(way).held = Some(vec![frame.to_vec()]);
        self.send(way.back(), &[ACK]).await;
        let cable = self.clone();
        tokio::spawn(async move {
            sleep(delay).await;
            let frames = cable.state(way).held.take().unwrap_or_default();
            for frame in frames {
                cable.send_for(way, &frame, AckFate::Lost).await;
            }
        });
    }

    fn die(&self, after: Duration) {
        self.0.is_dead.store(true, Ordering::Relaxed);
        let cable = self.clone();
        tokio::spawn(async move {
            sleep(after).await;
            cable.0.is_dead.store(false, Ordering::Relaxed);
        });
    }

    fn reboot(&self) {
        self.0.is_dead.store(true, Ordering::Relaxed);
        let cable = self.clone();
        tokio::spawn(async move {
            cable.0.terminal.reboot().await;
            cable.0.is_dead.store(false, Ordering::Relaxed);
        });
    }

    async fn unplug(&self, with_error: bool, back_after: Duration) {
        self.0.is_plugged_in.store(false, Ordering::Relaxed);
        if let Some(device) = self.0.ecr.lock().await.take() {
            device.reset.store(with_error, Ordering::Relaxed);
            device.gone.notify_one();
        }
        let cable = self.clone();
        tokio::spawn(async move {
            sleep(back_after).await;
            cable.0.is_plugged_in.store(true, Ordering::Relaxed);
        });
    }

    fn fault(&self) -> FrameFault {
        match self.0.fate.cell.fault {
            Fault::Frame(fault) => fault,
            other => unreachable!("{other} is no fault of a serial line"),
        }
    }

    fn state(&self, way: Way) -> MutexGuard<'_, State> {
        let state = match way {
            Way::ToPt => &self.0.to_pt,
            Way::ToEcr => &self.0.to_ecr,
        };
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn hit_opening(&self) -> io::Result<()> {
        match self.fault() {
            FrameFault::Unplug => self.unplug(true, UNPLUGGED).await,
            FrameFault::Hold(timer, limit) => sleep(timer.delay(Line::Serial, limit)).await,
            FrameFault::CableOut => self.die(CABLE_OUT),
            FrameFault::Reboot => self.reboot(),
            FrameFault::NoiseBefore => {}
            other => unreachable!("{other} makes no sense here"),
        }
        Ok(())
    }
}

#[async_trait]
impl Connector for Cable {
    async fn connect(&mut self) -> io::Result<Box<dyn ByteStream>> {
        let is_hit = self.0.fate.hits_opening();
        if is_hit {
            self.hit_opening().await?;
        }
        if !self.0.is_plugged_in.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let stream = self.open().await;
        if is_hit && self.fault() == FrameFault::NoiseBefore {
            self.send(Way::ToEcr, &NOISE).await;
        }
        Ok(Box::new(stream))
    }
}

impl State {
    fn is_struck_again(&mut self, frame: &[u8]) -> bool {
        match &mut self.hit {
            Some((hit, times)) if hit == frame && *times < TRANSMISSIONS => {
                *times += 1;
                true
            }
            _ => {
                self.hit = None;
                false
            }
        }
    }

    fn reply_has_come(&mut self, fault: FrameFault) {
        if fault.ends_with_a_reply() {
            self.hit = None;
        }
    }

    /// Whether the frame waits behind another one.
    fn hold(&mut self, frame: &[u8]) -> bool {
        self.held.as_mut().map(|held| held.push(frame.to_vec())).is_some()
    }
}

fn about_t2(limit: Limit) -> Duration {
    limit.of(T2, Duration::from_millis(100))
}

fn with_wrong_checksum(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    if let Some(last) = frame.last_mut() {
        *last ^= 0xFF;
    }
    frame
}
