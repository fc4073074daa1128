//! Which payment is it that something goes wrong in, and which calls is it made of?

use std::sync::Arc;
use std::time::Duration;

use tillswitch::shop::{Reply, Sale};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::aftermath::not_started;
use crate::child::Router;
use crate::counter::{Counter, Manner, PROJECT, Terminal};
use crate::random::Random;
use crate::shim::{Call, Kind, Order, Role, Shim};

/// What is the same in all payments that make the same calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scene {
    /// At which kind of terminal.
    pub terminal: Terminal,
    /// Whether the card is declined.
    pub declined: bool,
    /// Whether it first waits for another payment.
    pub waits: bool,
}

/// How long the customer in front of a waiting one takes.
const SLOW: Duration = Duration::from_millis(300);
/// How long a customer takes otherwise.
const QUICK: Duration = Duration::from_millis(10);
/// How long it may take until everything is written down that follows from an answer.
const AFTERMATH: Duration = Duration::from_secs(5);

impl Scene {
    /// All scenes of these terminals: what tells most comes first.
    pub fn all(terminals: &[Terminal]) -> Vec<Scene> {
        let scenes = |declined, waits| terminals.iter().map(move |&terminal| Scene { terminal, declined, waits });
        scenes(false, false).chain(scenes(false, true)).chain(scenes(true, false)).collect()
    }

    /// How the terminal behaves in the run of a seed.
    pub fn manner(self, random: &mut Random) -> Manner {
        Manner {
            terminal: self.terminal,
            reverses: random.once_in(2),
            reuses_numbers: random.once_in(2),
            slips: !self.waits,
            card: if self.waits { SLOW } else { QUICK },
        }
    }
}

impl std::fmt::Display for Scene {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let card = if self.declined { "declined" } else { "approved" };
        let turn = if self.waits { ", waiting for its turn" } else { "" };
        write!(f, "{} {card}{turn}", self.terminal.name())
    }
}

/// A counter whose router has made a payment, and has the next ones in front of it.
pub struct Stage {
    /// The counter.
    pub counter: Counter,
    /// Its router.
    pub router: Router,
    /// The payments that are made under the order, the one that is first at the terminal first.
    pub sales: Vec<Sale>,
    scene: Scene,
}

impl Stage {
    /// Opens the counter and makes the payment from which on the terminal's last receipt number is known.
    pub async fn set(scene: Scene, shim: &Shim, power: bool, random: &mut Random) -> Result<Stage, String> {
        let counter = Counter::open(scene.manner(random), shim, power).await;
        Stage::set_at(counter, scene, random).await
    }

    /// The same at a counter that is open already.
    pub async fn set_at(counter: Counter, scene: Scene, random: &mut Random) -> Result<Stage, String> {
        let router = counter.start().await.map_err(|ended| not_started(&ended))?;
        counter.steering.arm(&Order::count());
        counter.deliver(&Sale::new(PROJECT, "10.00", "first")).await?;
        // The note that the till has its answer is a call as well, and belongs to this payment.
        counter.until("the answer is noted", AFTERMATH, || is_noted(&counter.steering.calls())).await?;
        counter.steering.disarm();
        counter.decline_next(scene.declined);
        let amount = || format!("{}.{:02}", 11 + random.below(900), random.below(100));
        let amounts: Vec<String> = std::iter::repeat_with(amount).take(1 + usize::from(scene.waits)).collect();
        let sale = |(number, amount): (usize, &String)| Sale::new(PROJECT, amount, &format!("{}", number + 1));
        let sales = amounts.iter().enumerate().map(sale).collect();
        Ok(Stage { counter, router, sales, scene })
    }

    /// Sends the payments, the last of them under an order, and waits for the answers or for the end of the router.
    pub async fn play(&self, order: &Order) -> Result<(), String> {
        let mut answers: Vec<JoinHandle<Option<Reply>>> = Vec::new();
        if self.scene.waits {
            let before = self.counter.money_commands();
            answers.push(self.send(&self.sales[0]));
            self.counter
                .until("the first one is running", AFTERMATH, || self.counter.money_commands() > before)
                .await?;
        }
        self.counter.steering.arm(order);
        answers.push(self.send(self.sales.last().expect("every scene has a sale")));
        for answer in answers {
            let _ = answer.await;
        }
        // What follows from an answer is written a little later.
        let end = Instant::now() + AFTERMATH / 2;
        while self.counter.steering.met() == 0 && self.counter.steering.count() <= order.at && Instant::now() < end {
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    fn send(&self, sale: &Sale) -> JoinHandle<Option<Reply>> {
        let (till, sale) = (Arc::clone(&self.counter.till), sale.clone());
        tokio::spawn(async move { till.send(&sale).await.ok() })
    }
}

/// The calls of a scene, from the webhook to what is written after its answer.
pub async fn script(scene: Scene, shim: &Shim) -> Result<Vec<Call>, String> {
    let stage = Stage::set(scene, shim, false, &mut Random::new(0)).await?;
    stage.play(&Order { at: u32::MAX, ..Order::count() }).await?;
    let calls = stage.counter.steering.calls();
    stage.router.kill();
    let violations = stage.counter.violations().await;
    stage.counter.close().await;
    if violations.is_empty() { Ok(calls) } else { Err(violations.join("; ")) }
}

fn is_noted(calls: &[Call]) -> bool {
    let answered = calls.iter().position(|call| call.role == Role::Till);
    answered.is_some_and(|place| calls[place..].iter().any(|call| (call.role, call.kind) == (Role::Log, Kind::Sync)))
}
