//! Do the commands about terminals reach them through the running router?

use std::fs;

use crate::desk::Desk;

#[tokio::test]
async fn a_terminal_does_its_own_work() {
    let desk = Desk::open("approve", "").await;
    desk.pay("25.90", "1").await;
    let closed = ["counter: ", "receipts 0001 to 0001", "brand     count  amount", "total     1      25.90 EUR"];
    desk.run("end-of-day counter").await.check(0, &closed, &[]);
    let (code, report) = desk.json("end-of-day counter").await;
    assert_eq!((code, report["terminal"].as_str(), &report["count"]), (0, Some("counter"), &0.into()), "{report}");
    desk.run("service counter diagnosis").await.check(0, &["counter: "], &[]);
    for (call, told) in [
        ("service counter coffee", "unsupported: "),
        ("end-of-day bar", "unsupported: "),
        ("end-of-day cellar", "not-found: there is no terminal \"cellar\", expected one of: bar, counter"),
    ] {
        desk.run(call).await.check(1, &[], &[told]);
    }
    desk.close().await;
}

#[tokio::test]
async fn terminals_are_listed() {
    let desk = Desk::open("", "").await;
    let address = desk.premises.zvt["counter"].addr().to_string();
    desk.run("terminals").await.check(0, &["counter", "free", "zvt-tcp", &address, "EUR"], &[]);
    let (code, list) = desk.json("terminals").await;
    assert_eq!((code, list["terminals"][0]["name"].as_str()), (0, Some("bar")));
    desk.close().await;
}

#[tokio::test]
async fn a_changed_file_is_taken_over_and_a_wrong_one_is_not() {
    let desk = Desk::open("", "").await;
    let file = desk.premises.config.clone();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("driver = \"zvt-tcp\"", "driver = \"zvt-tcp\"\nqueue = 5")).unwrap();
    desk.run("reload").await.check(0, &["changed terminals: counter"], &[]);
    assert_eq!(desk.json("reload").await.0, 0);
    fs::write(&file, format!("wiat = 1\n{text}")).unwrap();
    desk.run("reload").await.check(1, &[], &["malformed: ", "unknown key `wiat`"]);
    desk.run("payments").await.check(0, &["received"], &[]);
    desk.close().await;
}

#[tokio::test]
async fn check_asks_through_the_router_that_holds_the_terminals() {
    let desk = Desk::open("", "").await;
    let ran = desk.run("check --online").await;
    ran.check(0, &["counter  ready", "bar      ready", "a router holds these terminals"], &[]);
    let (code, report) = desk.json("check --online").await;
    assert_eq!((code, report["ok"].as_bool()), (0, Some(true)), "{report}");

    // Nobody but the router can say this: the file names a terminal that it has not read yet.
    let text = fs::read_to_string(&desk.premises.config).unwrap();
    let cellar = "[terminals.cellar]\ndriver = \"zvt-tcp\"\naddress = \"127.0.0.1:9\"\n[registers.POS-09]\nterminal = \"cellar\"\n";
    fs::write(&desk.premises.config, format!("{text}\n{cellar}")).unwrap();
    desk.run("check --online").await.check(1, &["cellar   not ready  the running router does not know it"], &[]);
    desk.close().await;
}
