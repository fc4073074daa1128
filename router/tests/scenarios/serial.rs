//! Is a terminal on a serial line driven as carefully as one on the network?

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tillswitch::shop::{Plan, Sale, get};
use tillswitch_zvt::simulator::{Options, ScriptedFault};

use crate::desk::paid;
use crate::harness::*;
use crate::reload::{edit, end_by_address, listed, registrations, reload, report};

/// A terminal that waits long enough for a busy machine before it believes that its message was lost.
pub fn on_a_line(folder: &Path, name: &str) -> Options {
    let mut options = quick(folder, name);
    options.timing.acknowledgement = Duration::from_secs(5);
    options
}

/// One register, POS-01, at one ZVT terminal on a serial line, `counter`.
pub fn one_serial_register(counter: Options) -> Plan {
    Plan::new().zvt_serial("counter", counter).register("POS-01", PROJECT, "counter")
}

/// A shop whose terminal has approved a payment: from then on there is a receipt number to remember.
async fn opened(counter: impl FnOnce(Options) -> Options) -> Scene {
    let scene = Scene::open(|folder| one_serial_register(counter(on_a_line(folder, "counter")))).await;
    check_paid(&scene.send(sale("10.00", "first")).await, false);
    scene
}

fn faults(words: &str) -> Vec<ScriptedFault> {
    ScriptedFault::parse_list(words).unwrap_or_else(|unknown| panic!("{unknown}"))
}

#[tokio::test]
async fn approved_and_declined() {
    let scene = opened(|options| options).await;
    scene.zvt("counter").set_script(steps("decline"));
    check(&scene.send(sale("80.00", "2")).await, 402, "declined", "declined");
    let reply = scene.send(sale("25.90", "3")).await;
    check_paid(&reply, false);
    assert_eq!(reply.body["payment"]["driver"], "zvt-serial", "{}", reply.text);
    assert_eq!((scene.booked("counter"), registrations(&scene, "counter")), (vec![1000, 2590], 1));
    assert_eq!(scene.zvt("counter").protocol_faults(), [""; 0]);
    scene.end().await;
}

#[tokio::test]
async fn a_bad_line_is_repaired_and_counted() {
    let scene = opened(|options| options).await;
    scene.zvt("counter").set_line_faults(faults("nak-frame@0601,wrong-checksum@040F,noise@060F"));
    check_paid(&scene.send(sale("25.90", "2")).await, false);
    assert_eq!(scene.zvt("counter").line_faults(), [], "all of it has happened");
    assert_eq!(scene.booked("counter"), [1000, 2590]);
    let metrics = get(scene.app.admin, "/metrics").await.unwrap().text;
    let repeated = "tillswitch_link_retransmissions_total{terminal=\"counter\"} 1";
    assert!(metrics.lines().any(|line| line == repeated), "{metrics}");
    scene.end().await;
}

/// The adapter is pulled out: the till hears that nobody knows, then the terminal is asked, and nothing is sent again.
async fn unplugged(at: &str, auto_reverse: bool, stands: bool) {
    let scene = opened(|options| Options { auto_reverse, ..options }).await;
    scene.zvt("counter").set_line_faults(faults(&format!("unplug@{at}")));
    let lost = sale("25.90", "40001234");
    let reply = scene.send(&lost).await;
    check(&reply, 504, "in_doubt", "in-doubt");
    let state = if stands { "approved" } else { "failed" };
    let payment = scene.until_state(reply.payment().unwrap(), state).await;
    assert_eq!(scene.booked("counter"), if stands { vec![1000, 2590] } else { vec![1000] }, "{payment:#}");
    let again = scene.send(&lost).await;
    assert!(again.is_replayed(), "{}", again.text);
    assert_eq!(again.status, if stands { 200 } else { 502 }, "{}", again.text);
    assert_eq!(scene.zvt("counter").money_commands(), 2, "nothing was sent again");
    check_paid(&scene.send(sale("3.00", "next")).await, false);
    scene.end().await;
}

#[tokio::test]
async fn pulled_out_behind_the_command_at_a_terminal_that_reverses() {
    unplugged("0601", true, false).await;
}

#[tokio::test]
async fn pulled_out_in_front_of_the_result_at_a_terminal_that_keeps_the_booking() {
    unplugged("040F", false, true).await;
}

#[tokio::test]
async fn pulled_out_in_front_of_the_end() {
    unplugged("060F", true, true).await;
    unplugged("060F", false, true).await;
}

#[tokio::test]
async fn while_the_adapter_is_out_nothing_starts_and_afterwards_everything_goes() {
    let scene = opened(|options| options).await;
    scene.zvt("counter").listen(false).await.unwrap();
    let refused = scene.send(sale("25.90", "2")).await;
    check(&refused, 502, "error", "terminal-unreachable");
    assert!(refused.text.contains("plugged in"), "{}", refused.text);
    scene.zvt("counter").listen(true).await.unwrap();
    check_paid(&scene.send(sale("25.90", "2").pressed_again(1)).await, false);
    assert_eq!((scene.booked("counter"), scene.zvt("counter").money_commands()), (vec![1000, 2590], 2));
    scene.end().await;
}

fn device(scene: &Scene, name: &str) -> PathBuf {
    scene.zvt(name).device().unwrap().to_owned()
}

/// The adapter is plugged into another socket, where it has another name.
#[tokio::test]
async fn a_changed_device_counts_from_the_next_payment_on() {
    let scene = Scene::open(|folder| {
        one_serial_register(on_a_line(folder, "counter")).zvt_serial("spare", on_a_line(folder, "spare"))
    })
    .await;
    let (old, new) = (device(&scene, "counter"), device(&scene, "spare"));
    let spare = format!("[terminals.spare]\ndriver = \"zvt-serial\"\ndevice = \"{}\"\n", new.display());
    edit(&scene, &[(&spare, "")]);
    assert_eq!(reload(&scene).await, report(&[], &[], &["spare"], &[]));
    paid(&scene, "1", "1").await;
    edit(&scene, &[(old.to_str().unwrap(), new.to_str().unwrap())]);
    assert_eq!(reload(&scene).await, report(&[], &["counter"], &[], &[]));
    assert_eq!(listed(&scene, "counter").await["address"], json!(new));
    paid(&scene, "2", "2").await;
    assert_eq!((scene.booked("counter"), scene.booked("spare")), (vec![100], vec![200]));
    end_by_address(scene).await;
}

#[tokio::test]
async fn a_changed_speed_opens_the_line_anew() {
    let scene = opened(|options| options).await;
    edit(&scene, &[("driver = \"zvt-serial\"", "driver = \"zvt-serial\"\nbaud_rate = 115200")]);
    assert_eq!(reload(&scene).await, report(&[], &["counter"], &[], &[]));
    check_paid(&scene.send(Sale::new(PROJECT, "2.00", "2")).await, false);
    assert_eq!(registrations(&scene, "counter"), 2);
    scene.end().await;
}
