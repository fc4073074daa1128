//! How a payment is started and followed to its end.

use std::process::ExitCode;
use std::time::Duration;

use hyper::header::HeaderValue;
use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::print::{one_line, out, tell};
use super::words::{self, is_running};
use super::{Client, Happened, RouterArgs, Stream, Trouble, run};
use crate::cli::exit;

/// How often a payment is looked at beside what the events tell.
const LOOK: Duration = Duration::from_secs(2);
/// How long a router may be silent before a command gives up: a restart takes less.
const PATIENCE: Duration = Duration::from_secs(20);

/// What every command that can move money takes.
#[derive(clap::Args, Clone, Debug)]
pub struct MoneyArgs {
    #[command(flatten)]
    router: RouterArgs,
    /// The key of an earlier call whose answer was lost: it is the same request, not a second one
    #[arg(long, value_name = "KEY", value_parser = key)]
    key: Option<String>,
    /// It is another payment, although one of this document and amount was just approved
    #[arg(long)]
    pub confirm_repeat: bool,
    /// Why, for the payment's history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Print the payment as JSON
    #[arg(long)]
    json: bool,
}

/// A call that starts a payment.
pub(in crate::cli) struct Start {
    pub path: String,
    pub body: Value,
}

/// Starts a payment, tells its lines as they come, and what became of it. Only an approval of the whole exits with 0.
pub(in crate::cli) fn start(args: &MoneyArgs, what: impl AsyncFnOnce(&Client) -> Result<Start, Trouble>) -> ExitCode {
    let key = args.key.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    run(&args.router, args.json, async |client| {
        let mut interrupts = Interrupts::listen();
        let mut start = what(client).await?;
        if let Some(reason) = &args.reason {
            start.body["reason"] = reason.as_str().into();
        }
        tell(&format!("Idempotency-Key {key}"));
        // The events come first, so that no line is missed.
        let events = client.listen().await;
        let payment = send(client, &start, &key, &mut interrupts).await?;
        let mut case = Case { client, events, payment, told: String::new() };
        let ended = case.follow(&mut interrupts).await?;
        Ok(report(&case.whole().await, ended, args.json))
    })
}

fn report(payment: &Value, ended: bool, json: bool) -> ExitCode {
    if json {
        out(&format!("{payment:#}\n"));
    } else if ended {
        out(&words::ending(payment));
    }
    if !ended {
        tell(&format!("The payment goes on without you: tillswitch payments {}", words::id(payment)));
    }
    if ended && words::is_paid(payment) { ExitCode::SUCCESS } else { exit::FAILED.into() }
}

async fn send(client: &Client, start: &Start, key: &str, interrupts: &mut Interrupts) -> Result<Value, Trouble> {
    let sent = client.post_once(&start.path, start.body.clone(), key);
    let again = format!(
        "it may have begun all the same: the same command with --key {key} asks again and charges no second time"
    );
    tokio::select! {
        answer = sent => match answer {
            Ok(answer) => Ok(answer["payment"].clone()),
            Err(Trouble::Lost(why)) => Err(Trouble::Lost(format!("{why}; {again}"))),
            Err(trouble) => Err(trouble),
        },
        () = interrupts.twice() => Err(Trouble::Lost(format!("you did not wait for the router; {again}"))),
    }
}

/// A payment that is followed.
struct Case<'a> {
    client: &'a Client,
    events: Option<Stream>,
    payment: Value,
    /// The line that was told last; a terminal says the same again and again.
    told: String,
}

impl Case<'_> {
    /// Until it has ended (`true`), or nobody wants to wait any more (`false`).
    async fn follow(&mut self, interrupts: &mut Interrupts) -> Result<bool, Trouble> {
        self.tell_queue();
        if interrupts.count > 0 {
            self.abort().await;
        }
        let mut heard = Instant::now();
        let mut looks = interval_at(heard + LOOK, LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while is_running(&self.payment) {
            tokio::select! {
                happened = next(&mut self.events) => self.take(happened).await,
                _ = looks.tick() => match self.look().await {
                    Ok(()) => heard = Instant::now(),
                    Err(trouble) if heard.elapsed() > PATIENCE => return Err(self.lost_sight(&trouble)),
                    Err(_) => {}
                },
                count = interrupts.next() => {
                    if count > 1 {
                        return Ok(false);
                    }
                    self.abort().await;
                }
            }
        }
        Ok(true)
    }

    async fn take(&mut self, happened: Option<Happened>) {
        match happened {
            Some(Happened::Payment(payment)) if payment["id"] == self.payment["id"] => self.payment = payment,
            Some(Happened::Line { payment: Some(id), line, .. }) if self.payment["id"] == *id => self.tell_line(line),
            Some(Happened::Payment(_) | Happened::Line { .. }) => {}
            // What was missed is seen by looking.
            Some(Happened::Other) => drop(self.look().await),
            None => self.events = None,
        }
    }

    async fn look(&mut self) -> Result<(), Trouble> {
        self.payment = self.client.get(&path(&self.payment)).await?;
        Ok(())
    }

    /// With its slips and incidents, if they can be had.
    async fn whole(&self) -> Value {
        self.client.get(&path(&self.payment)).await.unwrap_or_else(|_| self.payment.clone())
    }

    async fn abort(&mut self) {
        tell("Asked to stop; what the terminal says decides. Ctrl-C again leaves, and the payment goes on.");
        match self.client.post(&format!("{}/abort", path(&self.payment)), json!({})).await {
            Ok(answer) => self.payment = answer["payment"].clone(),
            Err(trouble) => tell(&format!("It cannot be stopped: {}", trouble.message())),
        }
    }

    fn tell_queue(&self) {
        if self.payment["state"] == "received" {
            tell(&format!("{}: waits, another payment is there", words::terminal(&self.payment)));
        }
    }

    fn tell_line(&mut self, line: String) {
        if line != self.told {
            tell(&format!("{}: {}", words::terminal(&self.payment), one_line(&line)));
            self.told = line;
        }
    }

    fn lost_sight(&self, trouble: &Trouble) -> Trouble {
        let id = words::id(&self.payment);
        Trouble::Unavailable(format!(
            "payment {id} was running when the router fell silent; look at the terminal, do not charge again, and see `tillswitch payments {id}` when the router is back ({})",
            trouble.message()
        ))
    }
}

fn path(payment: &Value) -> String {
    format!("/api/v1/payments/{}", words::id(payment))
}

/// The next event; never, when there are none.
async fn next(events: &mut Option<Stream>) -> Option<Happened> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

/// Ctrl-C, counted.
struct Interrupts {
    signal: Signal,
    count: u32,
}

impl Interrupts {
    fn listen() -> Interrupts {
        let signal = signal(SignalKind::interrupt()).expect("the signals of a program can be listened to");
        Interrupts { signal, count: 0 }
    }

    async fn next(&mut self) -> u32 {
        self.signal.recv().await;
        self.count += 1;
        self.count
    }

    /// While there is nothing to abort yet: the first one warns.
    async fn twice(&mut self) {
        while self.next().await < 2 {
            tell("It is stopped as soon as the router has answered. Ctrl-C again leaves.");
        }
    }
}

/// What an `Idempotency-Key` may be.
fn key(text: &str) -> Result<String, String> {
    let fits = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    let fits = fits && HeaderValue::from_str(text).is_ok();
    fits.then(|| text.to_owned()).ok_or_else(|| "expected 1 to 255 characters without spaces".to_owned())
}
