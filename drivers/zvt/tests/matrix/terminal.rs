//! The terminal at the far end: one that can be switched off and on again.

use std::time::Duration;

use tillswitch_core::ledger::{LedgerEntry, standing};
use tillswitch_zvt::simulator::{Options, Simulator};
use tokio::io::DuplexStream;
use tokio::sync::Mutex;
use tokio::time::sleep;

use crate::wire::Memory;

/// How long a terminal takes to start.
const REBOOT: Duration = Duration::from_secs(45);

pub struct Terminal {
    options: Options,
    simulator: Mutex<Option<Simulator>>,
}

impl Terminal {
    pub async fn start(options: Options) -> Terminal {
        let simulator = Simulator::start(options.clone()).await.unwrap();
        Terminal { options, simulator: Mutex::new(Some(simulator)) }
    }

    /// Takes a link. `false`: it is off.
    pub async fn serve(&self, stream: DuplexStream) -> bool {
        match &*self.simulator.lock().await {
            Some(simulator) => simulator.serve(stream).await.is_ok(),
            None => false,
        }
    }

    /// The same on a serial line.
    pub async fn serve_serial(&self, stream: Memory) -> bool {
        match &*self.simulator.lock().await {
            Some(simulator) => simulator.serve_serial(stream).await.is_ok(),
            None => false,
        }
    }

    /// How many money commands have reached it since it was switched on.
    pub async fn money_commands(&self) -> usize {
        self.simulator.lock().await.as_ref().map_or(0, Simulator::money_commands)
    }

    pub async fn reboot(&self) {
        if let Some(simulator) = self.simulator.lock().await.take() {
            simulator.stop().await;
        }
        sleep(REBOOT).await;
        let options = Options { script: Vec::new(), ..self.options.clone() };
        *self.simulator.lock().await = Some(Simulator::start(options).await.unwrap());
    }

    /// How the payments from here on go.
    pub async fn set_script(&self, script: &[tillswitch_zvt::simulator::Step]) {
        if let Some(simulator) = &*self.simulator.lock().await {
            simulator.set_script(script.to_vec());
        }
    }

    /// How many bookings of this amount stand.
    pub fn standing(&self, minor: u64) -> usize {
        let text = std::fs::read_to_string(&self.options.ledger).unwrap();
        let entries = LedgerEntry::parse_all(&text).unwrap();
        standing(&entries).iter().filter(|entry| entry.amount.minor() == minor).count()
    }
}
