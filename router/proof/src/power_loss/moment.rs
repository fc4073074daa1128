//! When is the power cut, and what happens then?

use std::fmt;

use tillswitch::shop::Sale;

use crate::aftermath::{Shown, comes_back, not_started, starts_and_ends};
use crate::counter::{Counter, PROJECT, Terminal};
use crate::places::Class;
use crate::random::Random;
use crate::scene::{Scene, Stage};
use crate::shim::{Deed, Kind, Order, Point, Role, Shim};
use crate::steps::told_and_gone;

/// How many calls a first start has, about.
const CALLS_OF_A_FIRST_START: u64 = 110;
/// How many calls the end of a router has, about.
const CALLS_OF_A_STOP: u64 = 45;
/// How many calls of a checkpoint are on the database, about.
const CALLS_OF_A_CHECKPOINT: u64 = 40;
/// After so many payments there surely was a checkpoint.
const PAYMENTS: usize = 120;

/// What the router does when the power is cut.
#[derive(Clone, Debug)]
pub enum Moment {
    /// It starts for the first time.
    Begin,
    /// It is at a payment.
    Payment(Class),
    /// It starts after a kill.
    Recovery(Class),
    /// It has started after a kill, and told what it found.
    Told(Class),
    /// It was asked to stop.
    Stop,
    /// It brings the log into the database.
    Checkpoint,
    /// It has done so, and begins the log anew.
    NewLog,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Moment::Payment(class) => write!(f, "{}: {}", self.name(), class.scene),
            Moment::Recovery(class) => write!(f, "{}: {}", self.name(), class.scene),
            Moment::Told(class) => write!(f, "{}: {}", self.name(), class.scene),
            Moment::Begin | Moment::Stop | Moment::Checkpoint | Moment::NewLog => f.write_str(self.name()),
        }
    }
}

impl Moment {
    /// The moment of a seed. Half of them are payments, one kind of place after the other.
    pub fn of_seed(seed: u64, classes: &[Class]) -> Moment {
        // A step that has no divisor in common with their number passes all of them.
        let class = || classes[(seed * 7 % classes.len() as u64) as usize].clone();
        let unsynced = || {
            let classes: Vec<&Class> = classes.iter().filter(|class| class.is_unsynced).collect();
            classes[(seed / 6 * 7 % classes.len() as u64) as usize].clone()
        };
        match seed % 12 {
            0 | 6 => Moment::Told(unsynced()),
            1 => Moment::Begin,
            3 => Moment::Recovery(class()),
            5 => Moment::Stop,
            7 => Moment::Checkpoint,
            9 => Moment::NewLog,
            _ => Moment::Payment(class()),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Moment::Begin => "the first start",
            Moment::Payment(_) => "a payment",
            Moment::Recovery(_) => "a start after a kill",
            Moment::Told(_) => "behind a start after a kill",
            Moment::Stop => "a stop",
            Moment::Checkpoint => "a checkpoint",
            Moment::NewLog => "behind a checkpoint",
        }
    }

    /// What has to be met.
    pub fn required() -> Vec<String> {
        let moments =
            ["the first start", "a payment", "a start after a kill", "a stop", "a checkpoint", "behind a checkpoint"];
        let met = moments.iter().map(|moment| format!("the power was cut: {moment}"));
        met.chain([LOST.to_owned(), "a payment was in doubt when the router started again".to_owned()]).collect()
    }
}

/// What is counted when a power cut took something.
const LOST: &str = "something that was not synced was gone";

/// One run.
pub async fn one(seed: u64, moment: Moment, shim: &Shim) -> Shown {
    let mut random = Random::new(seed);
    let deed = *random.pick(&[Deed::PowerAll, Deed::PowerSome]);
    let point = *random.pick(&[Point::Before, Point::Torn, Point::After]);
    let order = Order { deed, point, seed: random.next() as u32, ..Order::count() };
    let mut shown = Shown::default();
    let played = play(&moment, order, shim, &mut random, &mut shown).await;
    shown.violations.extend(played.err());
    shown
}

async fn play(
    moment: &Moment,
    order: Order,
    shim: &Shim,
    random: &mut Random,
    shown: &mut Shown,
) -> Result<(), String> {
    let (counter, sales) = match moment {
        Moment::Begin => begin(order, shim, random).await,
        Moment::Payment(class) => pay(class, order, shim, random).await?,
        Moment::Recovery(class) => recover(class, order, shim, random, shown).await?,
        Moment::Told(class) => tell(class, order, shim, random).await?,
        Moment::Stop => stop(order, shim, random).await?,
        Moment::Checkpoint | Moment::NewLog => checkpoint(moment, order, shim, random).await?,
    };
    if counter.steering.met() > 0 {
        shown.met.push(format!("the power was cut: {}", moment.name()));
    }
    if counter.steering.undone() > 0 {
        shown.met.push(LOST.into());
    }
    counter.steering.disarm();
    let gone = told_and_gone(&counter.state_dir(), &counter.till.told()).await;
    shown.violations.extend(gone.map_err(|error| format!("I7: {error}"))?);
    comes_back(counter, &sales, random, shown).await
}

async fn begin(order: Order, shim: &Shim, random: &mut Random) -> (Counter, Vec<Sale>) {
    let scene = Scene { terminal: *random.pick(&Terminal::ALL), declined: false, waits: false };
    let counter = Counter::open(scene.manner(random), shim, true).await;
    counter.steering.arm(&Order { at: 1 + random.below(CALLS_OF_A_FIRST_START) as u32, ..order });
    let router = counter.start().await;
    drop(router);
    (counter, vec![Sale::new(PROJECT, "10.00", "1")])
}

async fn pay(class: &Class, order: Order, shim: &Shim, random: &mut Random) -> Result<(Counter, Vec<Sale>), String> {
    let (at, point) = class.draw(random);
    let stage = Stage::set(class.scene, shim, true, random).await?;
    stage.play(&Order { at, point, ..order }).await?;
    stage.router.kill();
    Ok((stage.counter, stage.sales))
}

async fn recover(
    class: &Class,
    order: Order,
    shim: &Shim,
    random: &mut Random,
    shown: &mut Shown,
) -> Result<(Counter, Vec<Sale>), String> {
    let (counter, sales) = pay(class, Order { deed: Deed::Kill, ..order }, shim, random).await?;
    starts_and_ends(&counter, &order, random).await;
    if counter.steering.met() == 0 {
        shown.met.push("the router was killed after its start".into());
    }
    Ok((counter, sales))
}

/// Whoever asks after the start hears what the killed router may have written and never synced.
async fn tell(class: &Class, order: Order, shim: &Shim, random: &mut Random) -> Result<(Counter, Vec<Sale>), String> {
    let (counter, sales) = pay(class, Order { deed: Deed::Kill, ..order }, shim, random).await?;
    counter.steering.disarm();
    let router = counter.start().await.map_err(|ended| not_started(&ended))?;
    for sale in &sales {
        let _ = counter.till.send(sale).await;
    }
    counter.cut_power(router, order.deed, order.seed).await;
    Ok((counter, sales))
}

async fn stop(order: Order, shim: &Shim, random: &mut Random) -> Result<(Counter, Vec<Sale>), String> {
    let scene = Scene { terminal: *random.pick(&Terminal::ALL), declined: false, waits: false };
    let stage = Stage::set(scene, shim, true, random).await?;
    let Stage { counter, router, sales, .. } = stage;
    counter.deliver(&sales[0]).await?;
    counter.steering.arm(&Order { at: 1 + random.below(CALLS_OF_A_STOP) as u32, ..order });
    let _ = tokio::task::spawn_blocking(move || router.stop()).await;
    Ok((counter, sales))
}

/// Payment after payment, until the log is brought into the database.
async fn checkpoint(
    moment: &Moment,
    order: Order,
    shim: &Shim,
    random: &mut Random,
) -> Result<(Counter, Vec<Sale>), String> {
    let scene = Scene { terminal: Terminal::Http, declined: false, waits: false };
    let counter = Counter::open(scene.manner(random), shim, true).await;
    let router = counter.start().await.map_err(|ended| not_started(&ended))?;
    let on_database =
        Order { roles: &[Role::Journal], kinds: &[Kind::Write, Kind::Sync, Kind::Size], ..Order::count() };
    let at = 1 + random.below(CALLS_OF_A_CHECKPOINT) as u32;
    let is_behind = matches!(moment, Moment::NewLog);
    counter.steering.arm(&if is_behind {
        on_database
    } else {
        Order { at, point: order.point, deed: order.deed, seed: order.seed, ..on_database }
    });
    let mut sales: Vec<Sale> = Vec::new();
    let mut seen = false;
    while sales.len() < PAYMENTS && (counter.steering.met() == 0 || !seen && is_behind) {
        let number = sales.len() + 1;
        sales.push(Sale::new(PROJECT, &format!("{number}.10"), &number.to_string()));
        if counter.till.send(&sales[number - 1]).await.is_err() {
            break;
        }
        if is_behind && !seen && counter.steering.count() > 0 {
            seen = true;
            counter.steering.arm(&Order { at, ..order });
        }
    }
    router.kill();
    let last = sales.len().saturating_sub(2);
    Ok((counter, sales.split_off(last)))
}
