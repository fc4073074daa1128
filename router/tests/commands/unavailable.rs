//! What does a command say when there is no router, or none that lets it in?

use std::net::TcpListener;
use std::process::Command;

use crate::desk::{Desk, TOKEN, program, ran};

fn at(address: &str, words: &str) -> Command {
    let mut command = program(&words.split(' ').collect::<Vec<_>>());
    command.args(["--config", "/nowhere/tillswitch.toml", "--admin", address]);
    command
}

#[tokio::test]
async fn without_a_router_every_command_exits_with_69() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for words in [
        "pay --register POS-01 --amount 1",
        "refund 7",
        "reverse 7",
        "again 7",
        "abort 7",
        "payments",
        "payments 7",
        "resolve 7 failed --reason x",
        "terminals",
        "end-of-day counter",
        "service counter diagnosis",
        "reload",
    ] {
        ran(at(&nobody, words)).await.check(69, &[], &[&format!("no router answers on {nobody}"), "tillswitch serve"]);
    }
    let json = ran(at(&nobody, "payments --json")).await;
    assert_eq!(json.json()["code"], "unavailable");
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_its_key() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // Takes every call and hangs up.
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let ran = ran(at(&address, "pay --register POS-01 --amount 1 --currency EUR --key till-8")).await;
    ran.check(69, &[], &["did not answer", "with --key till-8 asks again and charges no second time"]);
}

#[tokio::test]
async fn what_is_no_router_is_called_that() {
    let desk = Desk::open("", "").await;
    let terminal = desk.premises.http["bar"].url();
    let address = terminal.trim_start_matches("http://").split('/').next().unwrap();
    ran(at(address, "payments")).await.check(69, &[], &["is no admin listener of a router"]);
    desk.close().await;
}

#[tokio::test]
async fn the_token_comes_from_the_file_or_from_the_environment() {
    let desk = Desk::open("", "").await;
    let address = desk.app.admin.to_string();
    desk.run("payments").await.check(0, &[], &[]);
    ran(at(&address, "payments")).await.check(1, &[], &["unauthorized: ", "set TILLSWITCH_ADMIN_TOKEN"]);
    let mut with = at(&address, "payments");
    with.env("TILLSWITCH_ADMIN_TOKEN", TOKEN);
    ran(with).await.check(0, &["received"], &[]);
    let mut wrong = desk.command(&["payments"]);
    wrong.env("TILLSWITCH_ADMIN_TOKEN", "wrong");
    ran(wrong).await.check(1, &[], &["unauthorized: "]);
    desk.close().await;
}

#[tokio::test]
async fn without_an_address_a_command_exits_with_78() {
    let missing = program(&["payments", "--config", "/nowhere/tillswitch.toml"]);
    ran(missing).await.check(78, &[], &["/nowhere/tillswitch.toml", "--config", "--admin"]);
    let desk = Desk::open("", "").await;
    let file = desk.premises.config.display().to_string();
    ran(program(&["payments", "--config", &file])).await.check(78, &[], &["--admin"]);
    let broken = desk.folder().join("broken.toml");
    std::fs::write(&broken, format!("[admin]\ntoken = \"{TOKEN}\nlisten = 1")).unwrap();
    ran(program(&["payments", "--config", broken.to_str().unwrap()])).await.check(78, &[], &["is no TOML"]);
    let bad = program(&["payments", "--admin", "somewhere"]);
    ran(bad).await.check(2, &[], &["host and port"]);
    desk.close().await;
}
