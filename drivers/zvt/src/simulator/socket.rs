//! When is a simulated serial device plugged in, and who has opened it?

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use super::listener::{Order, link};
use super::pty::Pty;
use super::serial::{Ended, SerialLine};
use super::terminal::Terminal;

/// The device, and what it is used for.
enum Plug {
    Out,
    /// Nobody has opened it.
    In(Pty),
    /// Somebody has.
    InUse(Pty, oneshot::Receiver<Ended>),
}

/// Plugs the device in.
pub(super) fn plug_in(link: &Path) -> io::Result<Pty> {
    Pty::plug_in(link)
}

/// Serves one ECR after the other. When a link is cut from this end, the adapter is pulled out and plugged in again.
pub(super) async fn run(pty: Pty, path: PathBuf, mut orders: mpsc::Receiver<Order>, terminal: Arc<Terminal>) {
    let mut plug = Plug::In(pty);
    let place = Arc::new(Semaphore::new(1));
    // Dropped with this task, so that no link outlives the terminal.
    let mut links = JoinSet::new();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Listen { reachable, done }) => {
                    let (next, obeyed) = obey(reachable, plug, &path, &terminal);
                    plug = next;
                    // Who has stopped waiting does not need the answer.
                    let _ = done.send(obeyed);
                }
                Some(Order::Serve(line)) => {
                    links.spawn(link(line, Arc::clone(&terminal), Arc::clone(&place)));
                }
                None => return,
            },
            change = change(&mut plug) => match change {
                Change::Opened => {
                    let (next, line) = opened(plug, &terminal);
                    plug = next;
                    if let Some(line) = line {
                        links.spawn(link(Box::new(line), Arc::clone(&terminal), Arc::clone(&place)));
                    }
                }
                Change::Ended(how) => plug = ended(plug, how, &path, &terminal),
            },
            Some(_) = links.join_next() => {}
        }
    }
}

enum Change {
    Opened,
    Ended(Ended),
}

async fn change(plug: &mut Plug) -> Change {
    match plug {
        Plug::Out => std::future::pending().await,
        Plug::In(pty) => {
            pty.opened().await;
            Change::Opened
        }
        Plug::InUse(_, end) => Change::Ended(end.await.unwrap_or(Ended::Unplugged)),
    }
}

fn opened(plug: Plug, terminal: &Arc<Terminal>) -> (Plug, Option<SerialLine>) {
    let Plug::In(pty) = plug else {
        return (plug, None);
    };
    let (tell, end) = oneshot::channel();
    match pty.stream() {
        Ok(stream) => {
            let line = SerialLine::new(Box::new(stream), Arc::clone(terminal), Some(tell));
            (Plug::InUse(pty, end), Some(line))
        }
        Err(error) => {
            terminal.memory().fault(format!("the pseudo terminal cannot be used: {error}"));
            (Plug::Out, None)
        }
    }
}

fn ended(plug: Plug, how: Ended, path: &Path, terminal: &Terminal) -> Plug {
    let (Plug::In(pty) | Plug::InUse(pty, _)) = plug else {
        return plug;
    };
    match how {
        Ended::ByEcr => Plug::In(pty),
        Ended::Unplugged => {
            drop(pty);
            match Pty::plug_in(path) {
                Ok(pty) => Plug::In(pty),
                Err(error) => {
                    terminal.memory().fault(format!("the device cannot be plugged in again: {error}"));
                    Plug::Out
                }
            }
        }
    }
}

fn obey(reachable: bool, plug: Plug, path: &Path, terminal: &Terminal) -> (Plug, io::Result<()>) {
    match (reachable, plug) {
        (false, plug) => {
            drop(plug);
            terminal.cut();
            (Plug::Out, Ok(()))
        }
        (true, Plug::Out) => match Pty::plug_in(path) {
            Ok(pty) => (Plug::In(pty), Ok(())),
            Err(error) => (Plug::Out, Err(error)),
        },
        (true, plug) => (plug, Ok(())),
    }
}
