//! What does Ctrl-C do while a card is awaited?

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command};

use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::desk::Desk;

/// A command that waits for a card.
struct Waiting {
    process: Child,
    told: BufReader<ChildStderr>,
}

impl Waiting {
    fn start(mut command: Command) -> Waiting {
        let mut process = command.spawn().unwrap();
        let told = BufReader::new(process.stderr.take().unwrap());
        Waiting { process, told }
    }

    /// Reads what it tells up to a line with these words.
    async fn until_told(mut self, words: &'static str) -> Waiting {
        spawn_blocking(move || {
            let mut line = String::new();
            while !line.contains(words) {
                line.clear();
                assert!(self.told.read_line(&mut line).unwrap() > 0, "it ended without {words:?}");
            }
            self
        })
        .await
        .unwrap()
    }

    fn interrupt(self) -> Waiting {
        let order = format!("kill -INT {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &order]).status().unwrap().success());
        self
    }

    /// Its exit code, its result, and what else it told.
    async fn ended(mut self) -> (Option<i32>, String, String) {
        spawn_blocking(move || {
            let (mut out, mut err) = (String::new(), String::new());
            self.process.stdout.take().unwrap().read_to_string(&mut out).unwrap();
            self.told.read_to_string(&mut err).unwrap();
            (self.process.wait().unwrap().code(), out, err)
        })
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn the_first_one_asks_the_terminal_to_stop() {
    let desk = Desk::open("wait-for-abort", "").await;
    let command = desk.command(&["pay", "--register", "POS-01", "--amount", "1", "--json"]);
    let waiting = Waiting::start(command).until_told("counter: ").await.interrupt();
    let (code, out, _) = waiting.until_told("Asked to stop").await.ended().await;
    let payment: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, payment["state"].as_str()), (Some(1), Some("cancelled")), "{payment}");
    desk.close().await;
}

#[tokio::test]
async fn the_second_one_leaves_and_the_payment_goes_on() {
    let desk = Desk::open("silent-after-start", "").await;
    let command = desk.command(&["pay", "--register", "POS-01", "--amount", "1"]);
    let waiting = Waiting::start(command).until_told("Idempotency-Key").await;
    until_dispatched(&desk).await;
    let waiting = waiting.interrupt().until_told("Asked to stop").await.interrupt();
    let (code, out, err) = waiting.ended().await;
    assert_eq!((code, out.as_str()), (Some(1), ""), "nothing became of it yet: {err}");
    assert!(err.contains("The payment goes on without you: tillswitch payments "), "{err}");
    // A graceful stop would wait until the terminal has been silent for long enough.
    drop(desk);
}

#[tokio::test]
async fn a_payment_is_stopped_from_another_shell() {
    let desk = Desk::open("wait-for-abort", "").await;
    let command = desk.command(&["pay", "--register", "POS-01", "--amount", "1"]);
    let waiting = Waiting::start(command).until_told("counter: ").await;
    let (_, found) = desk.json("payments --state dispatched").await;
    let id = found["payments"][0]["id"].as_str().unwrap();
    // The terminal may have stopped before the answer was written.
    desk.run(&format!("abort {id}")).await.check(0, &[id], &[]);
    let (code, out, _) = waiting.ended().await;
    assert!(code == Some(1) && out.contains("cancelled: "), "{code:?} {out}");
    desk.run(&format!("abort {id}")).await.check(1, &[], &["not-found: ", "cannot be stopped any more"]);
    desk.close().await;
}

#[tokio::test]
async fn whoever_has_to_wait_is_told_so() {
    let desk = Desk::open("wait-for-abort, approve", "").await;
    let pay = |amount: &str| desk.command(&["pay", "--register", "POS-01", "--amount", amount]);
    let first = Waiting::start(pay("1")).until_told("counter: ").await;
    let second = Waiting::start(pay("2")).until_told("counter: waits, another payment is there").await;
    let (code, ..) = first.interrupt().ended().await;
    assert_eq!(code, Some(1));
    let (code, out, err) = second.ended().await;
    assert!(code == Some(0) && out.contains("approved: sale of 2.00 EUR"), "{code:?} {out} {err}");
    desk.close().await;
}

/// Each look runs the program anew, which is pause enough.
async fn until_dispatched(desk: &Desk) {
    for _ in 0..1000 {
        let (_, found) = desk.json("payments --state dispatched").await;
        if !found["payments"].as_array().unwrap().is_empty() {
            return;
        }
    }
    panic!("the payment never started");
}
