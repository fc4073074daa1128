//! Does an approval that comes when nobody waits for it resolve its payment or become an incident?

use std::path::Path;

use serde_json::{Value, json};
use tillswitch::shop::Reply;

use crate::desk::{metric, post};
use crate::harness::*;
use crate::reload::{edit, reload, report};
use crate::serial::{on_a_line, one_serial_register};

/// A terminal is looked at after a second without anything to do.
const PROBED: &str = "probe = \"1s\"";
const DEADLINE: &str = "payment_deadline = \"1s\"";

/// A terminal for a register whose own is away.
const SPARE: &str = "[terminals.spare]\ndriver = \"http\"\nurl = \"http://127.0.0.1:1/\"\n";

/// On what the terminal is reached.
#[derive(Clone, Copy, Debug)]
enum Line {
    Tcp,
    Serial,
}

const LINES: [Line; 2] = [Line::Tcp, Line::Serial];

impl Line {
    /// A shop whose terminal has approved a payment: from then on there is a receipt number to remember.
    async fn opened(self, lines: &str) -> Scene {
        let plan = |folder: &Path| match self {
            Line::Tcp => one_register(quick(folder, "counter")),
            Line::Serial => one_serial_register(on_a_line(folder, "counter")),
        };
        let scene = Scene::open(|folder| plan(folder).terminal_lines("counter", lines).other_lines(SPARE)).await;
        check_paid(&scene.send(sale("10.00", "first")).await, false);
        scene
    }
}

/// How many incidents the terminal has had, by the alarm.
async fn alarms(scene: &Scene) -> f64 {
    metric(scene, "tillswitch_incidents_total{terminal=\"counter\"}").await.unwrap()
}

fn late_ones(payment: &Value) -> Vec<&str> {
    let incidents = payment["incidents"].as_array().expect("a payment has its incidents");
    let messages = incidents.iter().map(|incident| incident["message"].as_str().unwrap());
    messages.filter(|message| message.starts_with("too late")).collect()
}

/// The late incidents that belong to the terminal and to no payment.
fn late_ones_of_the_terminal(scene: &Scene) -> Vec<String> {
    let file = scene.folder().join("tillswitch-state/payments.db");
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let journal = rusqlite::Connection::open_with_flags(file, flags).unwrap();
    let sql =
        "SELECT message FROM incidents WHERE payment IS NULL AND terminal = 'counter' AND message LIKE 'too late%'";
    let mut statement = journal.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// A payment whose line is cut while the terminal is at it, and that the terminal then books without telling anybody. The
/// terminal cannot be reached afterwards. The payment's id.
async fn lost(scene: &Scene) -> String {
    let before = scene.zvt("counter").money_commands();
    scene.zvt("counter").set_script(steps("late-result"));
    let sending = scene.send(sale("25.90", "40001234"));
    let cut = async {
        until("the command has come", async || scene.zvt("counter").money_commands() > before).await;
        scene.zvt("counter").listen(false).await.unwrap();
    };
    let (reply, ()) = tokio::join!(sending, cut);
    check(&reply, 504, "in_doubt", "in-doubt");
    until("the customer has paid", async || scene.booked("counter").len() == 2).await;
    reply.payment().unwrap().to_owned()
}

async fn settled_as_cancelled(scene: &Scene, id: &str) -> Reply {
    let body = json!({ "state": "cancelled", "reason": "the customer has left", "force": true });
    post(scene, &format!("payments/{id}/resolve"), "none-needed", body).await
}

/// An operator has settled the payment; nobody would ever ask about it again.
#[tokio::test]
async fn a_look_at_the_terminal_that_finds_a_late_approval_makes_it_an_incident_of_its_payment() {
    for line in LINES {
        let scene = line.opened(PROBED).await;
        let id = lost(&scene).await;
        let reply = settled_as_cancelled(&scene, &id).await;
        assert_eq!(reply.status, 200, "{line:?}: {}", reply.text);
        let before = alarms(&scene).await;
        scene.zvt("counter").listen(true).await.unwrap();
        until("the incident is kept", async || !late_ones(&scene.payment(&id).await).is_empty()).await;
        let payment = scene.payment(&id).await;
        let late = late_ones(&payment);
        assert!(late.len() == 1 && late[0].contains("approved 25.90 EUR, receipt 0002"), "{line:?}: {late:?}");
        assert_eq!(payment["state"], "cancelled", "{line:?}: an incident never changes a state");
        assert_eq!(alarms(&scene).await, before + 1.0, "{line:?}");
        until("it is taken back", async || scene.booked("counter") == [1000]).await;
        until("the next one is paid", async || scene.send(sale("3.00", "next")).await.status == 200).await;
        scene.end().await;
    }
}

/// A sale at the terminal's own keypad, whose result it brings up later.
#[tokio::test]
async fn a_late_approval_of_nobodys_payment_is_an_incident_of_the_terminal() {
    for work in ["test", "end-of-day", "services/diagnosis"] {
        let scene = Line::Tcp.opened("keypad = \"open\"").await;
        let receipt = scene.zvt("counter").keypad_sale(9900).unwrap();
        assert!(scene.zvt("counter").report_late());
        let before = alarms(&scene).await;
        let reply = post(&scene, &format!("terminals/counter/{work}"), "work", json!({})).await;
        let late = late_ones_of_the_terminal(&scene);
        assert_eq!(late.len(), 1, "{work}: {late:?} {}", reply.text);
        assert!(late[0].contains(&format!("approved 99.00 EUR, receipt {receipt}")), "{work}: {late:?}");
        assert_eq!(alarms(&scene).await, before + 1.0, "{work}");
        until("it is taken back", async || scene.booked("counter") == [1000]).await;
        scene.end().await;
    }
}

/// The driver was dropped at the deadline, so one that was built anew hears it, while it asks.
#[tokio::test]
async fn a_result_behind_the_deadline_is_an_incident_of_its_payment_which_is_resolved() {
    for line in LINES {
        let scene = line.opened(DEADLINE).await;
        scene.zvt("counter").set_script(steps("late-result"));
        let reply = scene.send(sale("25.90", "40001234")).await;
        check(&reply, 504, "in_doubt", "in-doubt");
        let id = reply.payment().unwrap().to_owned();
        let payment = scene.until_state(&id, "failed").await;
        let late = late_ones(&payment);
        assert!(late.len() == 1 && late[0].contains("approved 25.90 EUR, receipt 0002"), "{line:?}: {late:?}");
        assert_eq!(scene.booked("counter"), [1000], "{line:?}: it was sent back");
        check_paid(&scene.send(sale("3.00", "next")).await, false);
        scene.end().await;
    }
}

/// Who was removed is asked no more; what it brings up once it is back belongs to nobody its new driver knows.
#[tokio::test]
async fn a_late_approval_of_a_terminal_that_was_away_for_a_while_is_an_incident_of_the_terminal() {
    let scene = Line::Tcp.opened(PROBED).await;
    let id = lost(&scene).await;
    let path = &scene.premises.config;
    let with_counter = std::fs::read_to_string(path).unwrap();
    edit(&scene, &[("terminal = \"counter\"", "terminal = \"spare\"")]);
    remove_section(path, "[terminals.counter]");
    assert_eq!(reload(&scene).await, report(&[], &[], &["counter"], &[]));
    until("it is left to a person", async || scene.payment(&id).await["waits_for_person"] == true).await;
    std::fs::write(path, with_counter).unwrap();
    scene.zvt("counter").listen(true).await.unwrap();
    assert_eq!(reload(&scene).await, report(&["counter"], &[], &[], &[]));
    until("the incident is kept", async || !late_ones_of_the_terminal(&scene).is_empty()).await;
    let late = late_ones_of_the_terminal(&scene);
    assert!(late.len() == 1 && late[0].contains("approved 25.90 EUR, receipt 0002"), "{late:?}");
    assert_eq!(scene.payment(&id).await["state"], "in_doubt", "a person settles it");
    scene.close().await;
}

fn remove_section(path: &Path, head: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    let start = text.find(head).expect("the section is there");
    let end = text[start + 1..].find("\n[").map_or(text.len(), |end| start + 1 + end + 1);
    std::fs::write(path, format!("{}{}", &text[..start], &text[end..])).unwrap();
}
