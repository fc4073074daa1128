//! Who may talk to the terminal, and when it can be reached.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use super::commands::serve;
use super::conversation::Conversation;
use super::line::{Line, StreamLine};
use super::socket;
use super::terminal::Terminal;

/// The pause after a link could not be accepted.
const RETRY: Duration = Duration::from_millis(10);

/// The terminal's port.
///
/// It has one link at a time. Nothing in the standard says what becomes of a second ECR: here it waits as long as for an
/// answer, because the first link may just be ending, and is closed then.
pub(super) struct Listener {
    addr: SocketAddr,
    orders: mpsc::Sender<Order>,
    task: JoinHandle<()>,
}

/// What the handle asks of the task.
pub(super) enum Order {
    Listen { reachable: bool, done: oneshot::Sender<io::Result<()>> },
    Serve(Box<dyn Line>),
}

impl Listener {
    pub async fn start(addr: SocketAddr, terminal: Arc<Terminal>) -> io::Result<Listener> {
        let socket = TcpListener::bind(addr).await?;
        let addr = socket.local_addr()?;
        let (orders, incoming) = mpsc::channel(1);
        let task = tokio::spawn(run(addr, Some(socket), incoming, terminal));
        Ok(Listener { addr, orders, task })
    }

    /// The same at a serial device, which is plugged in under this name.
    pub fn start_serial(link: PathBuf, terminal: Arc<Terminal>) -> io::Result<Listener> {
        let pty = socket::plug_in(&link)?;
        let (orders, incoming) = mpsc::channel(1);
        let task = tokio::spawn(socket::run(pty, link, incoming, terminal));
        Ok(Listener { addr: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), orders, task })
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub async fn listen(&self, reachable: bool) -> io::Result<()> {
        let (done, answer) = oneshot::channel();
        self.order(Order::Listen { reachable, done }).await?;
        answer.await.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?
    }

    /// Takes a link that did not come in at the port.
    pub async fn serve(&self, line: Box<dyn Line>) -> io::Result<()> {
        self.order(Order::Serve(line)).await
    }

    async fn order(&self, order: Order) -> io::Result<()> {
        self.orders.send(order).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    pub async fn stop(mut self) {
        self.task.abort();
        // It ends as cancelled, which is what was asked for.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    addr: SocketAddr,
    mut socket: Option<TcpListener>,
    mut orders: mpsc::Receiver<Order>,
    terminal: Arc<Terminal>,
) {
    let place = Arc::new(Semaphore::new(1));
    // Dropped with this task, so that no link outlives the terminal.
    let mut links = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(Order::Listen { reachable, done }) => {
                    let obeyed = obey(reachable, addr, &mut socket, &terminal).await;
                    // Who has stopped waiting does not need the answer.
                    let _ = done.send(obeyed);
                }
                Some(Order::Serve(line)) => {
                    links.spawn(link(line, Arc::clone(&terminal), Arc::clone(&place)));
                }
                None => return,
            },
            stream = accept(socket.as_ref()) => {
                links.spawn(arrive(stream, Arc::clone(&terminal), Arc::clone(&place)));
            }
            Some(_) = links.join_next() => {}
        }
    }
}

async fn obey(
    reachable: bool,
    addr: SocketAddr,
    socket: &mut Option<TcpListener>,
    terminal: &Terminal,
) -> io::Result<()> {
    if !reachable {
        *socket = None;
        terminal.cut();
    } else if socket.is_none() {
        *socket = Some(TcpListener::bind(addr).await?);
    }
    Ok(())
}

/// The next link. Running out of descriptors passes, so it is tried again.
async fn accept(socket: Option<&TcpListener>) -> TcpStream {
    let Some(socket) = socket else {
        return std::future::pending().await;
    };
    loop {
        match socket.accept().await {
            Ok((stream, _)) => {
                // Small messages must not wait for the acknowledgement of the one before.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}

/// A link that came in at the port.
async fn arrive(stream: TcpStream, terminal: Arc<Terminal>, place: Arc<Semaphore>) {
    let t3 = terminal.options.timing.answer;
    let Some(encryption) = &terminal.options.encryption else {
        return link(Box::new(StreamLine::new(stream, t3)), terminal, place).await;
    };
    let shaken = tokio::time::timeout(t3, encryption.accept(stream)).await;
    if let Ok(Ok(stream)) = shaken {
        link(Box::new(StreamLine::new(stream, t3)), terminal, place).await;
    }
}

/// Serves one link when the one before has ended.
pub(super) async fn link(line: Box<dyn Line>, terminal: Arc<Terminal>, place: Arc<Semaphore>) {
    let waited = tokio::time::timeout(terminal.options.timing.answer, place.acquire_owned()).await;
    if let Ok(Ok(place)) = waited {
        serve(Conversation::new(terminal, line, place)).await;
    }
}
