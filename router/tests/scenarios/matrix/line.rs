//! A TCP line between the router and a terminal that knows frames, and hits one of them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tillswitch_zvt::apdu::{Apdu, ApduDecoder, ControlField, control};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// When the terminal's own system gives up a link of which nothing is heard.
const KEEPALIVE: Duration = Duration::from_secs(1);

/// Which frame of the payment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// 06 01.
    Command,
    /// The answer to it.
    Answer,
    /// 04 FF.
    Progress,
    /// 04 0F.
    Result,
    /// Our acknowledgement of it.
    Acknowledgement,
    /// 06 D3.
    Slip,
    /// 06 0F.
    Completion,
    /// Our acknowledgement of it.
    LastAcknowledgement,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    Drop,
    Duplicate,
    Reset,
    /// Nothing gets through any more, and nobody is told.
    HalfOpen,
    /// The last byte is missing, and the stream goes on.
    Truncate,
}

pub const STEPS: &[Step] = &[
    Step::Command,
    Step::Answer,
    Step::Progress,
    Step::Result,
    Step::Acknowledgement,
    Step::Slip,
    Step::Completion,
    Step::LastAcknowledgement,
];

pub const FAULTS: &[Fault] = &[Fault::Drop, Fault::Duplicate, Fault::Reset, Fault::HalfOpen, Fault::Truncate];

#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub step: Step,
    pub fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    ToTerminal,
    ToRouter,
}

/// How a link ends.
enum End {
    InOrder,
    Reset,
    Dead,
}

pub struct Line {
    pub cell: Cell,
    pub address: SocketAddr,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    terminal: Option<SocketAddr>,
    armed: bool,
    hit: bool,
    in_payment: bool,
    last_of_terminal: ControlField,
}

impl Line {
    /// Listens; whoever connects before it leads anywhere is turned away.
    pub async fn open(cell: Cell) -> Arc<Line> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let line = Arc::new(Line { cell, address, seen: Mutex::default() });
        tokio::spawn(accept(listener, Arc::clone(&line)));
        line
    }

    pub fn lead_to(&self, terminal: SocketAddr) {
        self.seen().terminal = Some(terminal);
    }

    /// The next frame of that kind is hit.
    pub fn arm(&self) {
        self.seen().armed = true;
    }

    pub fn has_hit(&self) -> bool {
        self.seen().hit
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    fn hits(&self, way: Way, apdu: &Apdu) -> bool {
        let mut seen = self.seen();
        seen.note(way, apdu);
        let hits = seen.armed && !seen.hit && seen.in_payment && seen.is(self.cell.step, way, apdu);
        seen.hit |= hits;
        hits
    }
}

impl Seen {
    fn note(&mut self, way: Way, apdu: &Apdu) {
        match way {
            _ if apdu.is_answer() => {}
            Way::ToTerminal => self.in_payment = apdu.control() == control::AUTHORIZATION,
            Way::ToRouter => self.last_of_terminal = apdu.control(),
        }
    }

    fn is(&self, step: Step, way: Way, apdu: &Apdu) -> bool {
        let comes = |command| way == Way::ToRouter && apdu.control() == command;
        let acknowledges = |command| way == Way::ToTerminal && apdu.is_answer() && self.last_of_terminal == command;
        match step {
            Step::Command => apdu.control() == control::AUTHORIZATION,
            Step::Answer => way == Way::ToRouter && apdu.is_answer(),
            Step::Progress => comes(control::INTERMEDIATE_STATUS),
            Step::Result => comes(control::STATUS_INFORMATION),
            Step::Acknowledgement => acknowledges(control::STATUS_INFORMATION),
            Step::Slip => comes(control::PRINT_BLOCK),
            Step::Completion => comes(control::COMPLETION),
            Step::LastAcknowledgement => acknowledges(control::COMPLETION),
        }
    }
}

async fn accept(listener: TcpListener, line: Arc<Line>) {
    while let Ok((router, _)) = listener.accept().await {
        let terminal = line.seen().terminal;
        let Some(terminal) = terminal else { continue };
        if let Ok(terminal) = TcpStream::connect(terminal).await {
            tokio::spawn(carry(router, terminal, Arc::clone(&line)));
        }
    }
}

async fn carry(router: TcpStream, terminal: TcpStream, line: Arc<Line>) {
    for stream in [&router, &terminal] {
        stream.set_nodelay(true).unwrap();
    }
    let (mut from_router, mut to_router) = router.into_split();
    let (mut from_terminal, mut to_terminal) = terminal.into_split();
    let end = tokio::select! {
        end = pump(&line, Way::ToTerminal, &mut from_router, &mut to_terminal) => end,
        end = pump(&line, Way::ToRouter, &mut from_terminal, &mut to_router) => end,
    };
    match end {
        End::InOrder => {}
        End::Reset => {
            for half in [&to_router, &to_terminal] {
                half.as_ref().set_zero_linger().unwrap();
            }
        }
        End::Dead => {
            sleep(KEEPALIVE).await;
            drop((from_terminal, to_terminal));
            while let Ok(1..) = from_router.read(&mut [0; 1024]).await {}
        }
    }
}

async fn pump(line: &Line, way: Way, from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf) -> End {
    let mut frames = ApduDecoder::new(4096);
    let mut bytes = [0; 2048];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        frames.push(&bytes[..count]);
        while let Some(apdu) = frames.next_apdu().unwrap() {
            let frame = apdu.encode().unwrap();
            let frame = match line.hits(way, &apdu).then_some(line.cell.fault) {
                None => frame,
                Some(Fault::Drop) => Vec::new(),
                Some(Fault::Duplicate) => frame.repeat(2),
                Some(Fault::Truncate) => frame[..frame.len() - 1].to_vec(),
                Some(Fault::Reset) => return End::Reset,
                Some(Fault::HalfOpen) => return End::Dead,
            };
            if to.write_all(&frame).await.is_err() {
                return End::InOrder;
            }
        }
    }
    End::InOrder
}
