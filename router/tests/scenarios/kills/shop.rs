//! A shop whose router is a process of its own: what tests of kills need.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use tillswitch::journal::{Options, SqliteJournal};
use tillswitch::oracle::{self, Witnesses};
use tillswitch::shop::{Plan, Premises, Reply, Sale, Till, get};
use tillswitch_core::ledger::standing;
use tillswitch_zvt::simulator::Simulator;
use tokio::task::JoinHandle;

use super::child::Router;
use super::held::{DOCUMENT, Hold};
use crate::harness::{PROJECT, check, send, until};

/// Terminals in this process, a till, and the folder of a router that comes and goes.
pub struct Shop {
    pub premises: Premises,
    pub till: Arc<Till>,
    folder: TempDir,
}

impl Shop {
    pub async fn open(plan: impl FnOnce(&Path) -> Plan) -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let premises = Premises::prepare(plan(folder.path()), folder.path()).await.unwrap();
        let till = Arc::new(Till::new(([127, 0, 0, 1], 0).into(), "/webhook/pos-payment"));
        Shop { premises, till, folder }
    }

    pub fn config(&self) -> &Path {
        &self.premises.config
    }

    pub fn state_dir(&self) -> PathBuf {
        self.folder.path().join("tillswitch-state")
    }

    pub fn terminal(&self) -> &Simulator {
        &self.premises.zvt["counter"]
    }

    /// Starts the router and tells the till where it is.
    pub async fn start(&self, hold: Option<Hold>) -> Router {
        let router = Router::start(self.config(), hold).await;
        self.till.moved(router.public);
        router
    }

    /// A payment that the terminal approved: from then on there is a receipt number to remember.
    pub async fn pay_first(&self) {
        check(&send(&self.till, Sale::new(PROJECT, "10.00", "first")).await, 200, "success", "");
    }

    /// A new document is paid as soon as the terminal takes payments again.
    pub async fn pay_next(&self) {
        let sale = Sale::new(PROJECT, "3.00", "next");
        until("the terminal takes the next payment", async || {
            let reply = send(&self.till, &sale).await;
            assert!(matches!(reply.status, 200 | 503), "{}", reply.text);
            reply.status == 200
        })
        .await;
    }

    /// Sends a sale whose answer may never come.
    pub fn send_in_vain(&self, sale: &Sale) -> JoinHandle<Option<Reply>> {
        let (till, sale) = (Arc::clone(&self.till), sale.clone());
        tokio::spawn(async move { till.send(&sale).await.ok() })
    }

    /// Stops the router, and compares journal, ledgers and answers; recovering once more changes nothing.
    pub async fn close(self, router: Router) {
        assert!(router.stop().await.success(), "the router ends cleanly");
        let journal = SqliteJournal::open(&self.state_dir().join("payments.db"), Options::default()).unwrap();
        let payments = oracle::payments(&journal).await.unwrap();
        let witnesses = Witnesses { ledgers: self.premises.ledgers(), payments, told: self.till.told() };
        let violations = oracle::violations(&witnesses);
        assert!(violations.is_empty(), "{violations:#?}");
        assert_eq!(oracle::recovers_once(&journal).await.unwrap(), []);
        tillswitch::journal::Journal::close(&journal).await;
        self.premises.close().await;
    }
}

/// The sale behind whose step the router's journal stops.
pub fn held_sale() -> Sale {
    Sale::new(PROJECT, "25.90", DOCUMENT)
}

/// The receipt numbers of the standing bookings of the held sale.
pub fn receipts(terminal: &Simulator) -> Vec<String> {
    let entries = terminal.ledger();
    let own = standing(&entries).into_iter().filter(|entry| entry.amount.minor() == 2590);
    own.map(|entry| entry.receipt_number.clone()).collect()
}

/// The payments of a document, as the router's admin API lists them.
pub async fn payments_of(router: &Router, document: &str) -> Vec<Value> {
    let path = format!("/api/v1/payments?document={document}");
    let reply = get(router.admin, &path).await.unwrap();
    reply.body["payments"].as_array().unwrap_or_else(|| panic!("{}", reply.text)).clone()
}

/// Waits until the only payment of a document is where nothing more is done about it.
pub async fn settled(router: &Router, document: &str) -> Value {
    until("the payment is settled", async || {
        let payments = payments_of(router, document).await;
        assert_eq!(payments.len(), 1, "{payments:?}");
        payments[0]["state"] != "in_doubt" || payments[0]["waits_for_person"] == true
    })
    .await;
    payments_of(router, document).await.remove(0)
}
