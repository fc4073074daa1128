//! How links come about: the way from the driver to the terminal, with what is done to it.

use std::future::pending;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tillswitch_zvt::transport::stream::{ByteStream, Connector};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::time::sleep;

use crate::cell::{Fault, Line, Way};
use crate::fate::Fate;
use crate::relay::{GARBAGE, Relay};
use crate::terminal::Terminal;
use crate::wire::Memory;

/// More than ever lies on a line.
const CAPACITY: usize = 64 * 1024;

#[derive(Clone)]
pub struct Net {
    fate: Arc<Fate>,
    terminal: Arc<Terminal>,
    /// The link that was opened last.
    link: Arc<Mutex<Option<Arc<Relay>>>>,
}

impl Net {
    pub fn new(fate: Arc<Fate>, terminal: Arc<Terminal>) -> Net {
        Net { fate, terminal, link: Arc::default() }
    }

    /// The PT says something on the idle line.
    pub fn say_while_idle(&self) {
        if let Some(relay) = &*self.link.lock().unwrap_or_else(PoisonError::into_inner) {
            relay.say_while_idle();
        }
    }

    /// The ECR's end of a new link, the relay behind it, and the relay's two ends.
    fn ends(&self) -> (Memory, Arc<Relay>, DuplexStream, DuplexStream, DuplexStream) {
        let (ecr, near) = duplex(CAPACITY);
        let (far, pt) = duplex(CAPACITY);
        let reset = Arc::new(AtomicBool::new(false));
        let relay = Relay::new(Arc::clone(&self.fate), Arc::clone(&self.terminal), Arc::clone(&reset));
        (Memory { stream: ecr, reset, fate: Arc::clone(&self.fate) }, relay, near, far, pt)
    }

    async fn link(&self, greeting: Option<Way>) -> io::Result<(Box<dyn ByteStream>, Arc<Relay>)> {
        let (ecr, relay, mut near, mut far, pt) = self.ends();
        match greeting {
            Some(Way::ToEcr) => near.write_all(&GARBAGE).await?,
            Some(Way::ToPt) => far.write_all(&GARBAGE).await?,
            None => {}
        }
        if !self.terminal.serve(pt).await {
            return pending().await;
        }
        tokio::spawn(Arc::clone(&relay).run(near, far));
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&relay));
        Ok((Box::new(ecr), relay))
    }

    async fn hit(&self) -> io::Result<Box<dyn ByteStream>> {
        let way = self.fate.cell.place.way;
        match self.fate.cell.fault {
            Fault::Delay(timer, limit) => {
                sleep(timer.delay(Line::Tcp, limit)).await;
                Ok(self.link(None).await?.0)
            }
            Fault::GarbageBefore => Ok(self.link(Some(way)).await?.0),
            Fault::HalfOpen => {
                let (stream, relay) = self.link(None).await?;
                relay.die();
                Ok(stream)
            }
            Fault::Reset if way == Way::ToPt => Err(io::ErrorKind::ConnectionRefused.into()),
            Fault::Reset | Fault::ResetBehind => {
                let (stream, relay) = self.link(None).await?;
                relay.reset();
                Ok(stream)
            }
            Fault::Reboot => {
                self.link(None).await?.1.reboot();
                pending().await
            }
            // The PT believes that it has a link.
            Fault::Drop if way == Way::ToEcr => {
                let (_stream, relay) = self.link(None).await?;
                relay.die();
                pending().await
            }
            _ => pending().await,
        }
    }
}

#[async_trait]
impl Connector for Net {
    async fn connect(&mut self) -> io::Result<Box<dyn ByteStream>> {
        match self.fate.hits_opening() {
            true => self.hit().await,
            false => Ok(self.link(None).await?.0),
        }
    }
}
