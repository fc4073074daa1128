//! What do the tills of a simulated day do?

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::HeaderMap;
use serde_json::{Value, json};
use tillswitch::answer::rfc3339;
use tillswitch::oracle::Told;
use tillswitch::server::Origin;
use tillswitch_core::wall_clock;
use tokio::time::sleep;

use super::dice::Dice;
use super::shop::{REGISTERS, Shop};

/// Where the tills call from.
const CLOUD: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
/// How often a cashier tries.
const TRIES: u64 = 4;

/// All tills of the shop. Cheap to clone.
#[derive(Clone)]
pub struct Tills {
    shop: Shop,
    told: Arc<Mutex<Vec<Told>>>,
    paid: Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>,
}

/// One customer at a till.
struct Customer<'a> {
    tills: &'a Tills,
    dice: Dice,
    number: u64,
    event: Value,
    presses: u64,
}

impl Tills {
    /// Tills that were told nothing yet.
    pub fn new(shop: Shop) -> Tills {
        Tills { shop, told: Arc::default(), paid: Arc::default() }
    }

    /// Every answer that arrived.
    pub fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// As which payments each event was told to be paid.
    pub fn paid(&self) -> BTreeMap<String, BTreeSet<String>> {
        self.paid.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A customer comes to the till some time in the first quarter of an hour.
    pub async fn serve(&self, number: u64, dice: Dice) {
        sleep(dice.millis(0, 900_000)).await;
        let mut customer = Customer { tills: self, event: Value::Null, dice, number, presses: 0 };
        customer.press();
        customer.pay().await;
    }

    /// A sale when nothing goes wrong any more. Gives what was told.
    pub async fn last_sale(&self, project: &str) -> Option<(u16, Value)> {
        let event = json!({
            "operation": "sale", "project": { "id": project }, "currency": "EUR", "amount": "7.77",
            "documentNumber": format!("last-{project}"), "documentType": "invoice", "createdAt": rfc3339(wall_clock::now()),
        });
        self.send(&event, Duration::from_secs(600), false).await
    }

    /// Sends an event once. `None`: no answer came.
    async fn send(&self, event: &Value, patience: Duration, loses_answer: bool) -> Option<(u16, Value)> {
        let router = self.shop.router()?;
        let body = Bytes::from(event.to_string());
        let told = tokio::select! {
            biased;
            () = router.gate.is_dead() => return None,
            told = router.intake.answer(Origin::from(CLOUD), HeaderMap::new(), body) => told,
            () = sleep(patience) => {
                self.shop.trace().count("a till hung up");
                return None;
            }
        };
        router.gate.step("before an answer is sent");
        if router.gate.is_shut() || loses_answer {
            return None;
        }
        // It is read as far as the till can tell; the router notes that it was written, or is killed before.
        let (status, body) = (told.answer.status, told.answer.body);
        self.note(event, status, &body);
        router.gate.step("behind an answer");
        if let Some(id) = told.approved {
            router.intake.delivered(id);
        }
        Some((status, body))
    }

    fn note(&self, event: &Value, status: u16, body: &Value) {
        let word = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let payment = self.shop.trace().name_of(body["payment"]["id"].as_str().unwrap_or_default());
        self.shop.trace().note(format!("a till hears {status} {} {payment}", word("status")));
        let what = if word("code").is_empty() { word("status") } else { word("code") };
        self.shop.trace().count(&format!("told {what}"));
        if status == 200 {
            let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
            paid.entry(event.to_string()).or_default().insert(payment);
        }
        let told = Told { status, body: body.clone() };
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(told);
    }
}

impl Customer<'_> {
    /// Another event of the same document, or the first one.
    fn press(&mut self) {
        let dice = &self.dice;
        self.presses += 1;
        if self.event.is_null() {
            let (_, project, _) = dice.pick(&REGISTERS);
            // No two customers pay the same, so that a booking tells whose it is.
            let amount = 1_000 + 10 * self.number + dice.below(50) * 1_000;
            let operation = if dice.percent(8) { "refund" } else { "sale" };
            self.event = json!({
                "operation": operation, "project": { "id": project }, "currency": "EUR",
                "amount": format!("{}.{:02}", amount / 100, amount % 100),
                "documentNumber": format!("d{}", self.number), "documentType": "invoice",
            });
            if dice.percent(8) {
                self.event.as_object_mut().map(|event| event.remove("documentNumber"));
            }
        } else if dice.percent(10) {
            // The number ranges of two projects overlap.
            self.event["project"]["id"] = dice.pick(&REGISTERS).1.into();
        }
        self.event["createdAt"] = rfc3339(wall_clock::now()).into();
        if dice.percent(50) {
            self.event["guid"] = format!("g{}-{}", self.number, self.presses).into();
        }
    }

    async fn pay(&mut self) {
        for _ in 0..TRIES {
            let what = self.event["documentNumber"].as_str().unwrap_or("nothing").to_owned();
            let shown = format!("a till sends {what} {} {}", self.event["operation"], self.event["amount"]);
            self.tills.shop.trace().note(shown);
            let patience = if self.dice.percent(25) { self.dice.millis(10, 60_000) } else { Duration::from_secs(240) };
            let loses_answer = self.dice.percent(5);
            let heard = self.send(patience, loses_answer).await;
            if !self.goes_on(heard).await {
                return;
            }
        }
    }

    /// Sometimes the same twice at once.
    async fn send(&self, patience: Duration, loses_answer: bool) -> Option<(u16, Value)> {
        let event = &self.event;
        if self.dice.percent(10) {
            let (first, _) = tokio::join!(
                biased;
                self.tills.send(event, patience, loses_answer),
                self.tills.send(event, Duration::from_secs(240), false),
            );
            return first;
        }
        self.tills.send(event, patience, loses_answer).await
    }

    /// What follows from an answer. `false`: the customer goes.
    async fn goes_on(&mut self, heard: Option<(u16, Value)>) -> bool {
        let status = heard.map_or(0, |(status, _)| status);
        match status {
            0 => {
                sleep(self.dice.millis(500, 90_000)).await;
                if self.dice.percent(30) {
                    self.press();
                }
                true
            }
            200..300 if self.dice.percent(25) => {
                self.after_success().await;
                true
            }
            402 | 502 if self.dice.percent(60) => {
                sleep(self.dice.millis(1_000, 60_000)).await;
                self.press();
                true
            }
            503 | 504 => {
                sleep(self.dice.millis(5_000, 180_000)).await;
                if self.dice.percent(15) {
                    self.press();
                }
                true
            }
            409 if self.dice.percent(30) => {
                sleep(self.dice.millis(1_000, 300_000)).await;
                true
            }
            _ => false,
        }
    }

    /// A redelivery, a second press, other content under the same guid, or the money back.
    async fn after_success(&mut self) {
        sleep(self.dice.millis(0, 900_000)).await;
        match self.dice.below(4) {
            0 => {}
            1 => self.press(),
            2 if self.event["guid"].is_string() => self.event["amount"] = "3.33".into(),
            _ => {
                self.press();
                self.event["operation"] = "refund".into();
            }
        }
    }
}
