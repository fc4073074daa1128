//! What do the commands show that only look?

use serde_json::Value;

use crate::desk::{Desk, program, ran};

#[tokio::test]
async fn payments_are_listed_and_told_one_by_one() {
    let router = |plan: tillswitch::shop::Plan| plan.terminal_lines("counter", "receipts = \"router\"");
    let desk = Desk::open_with("approve, decline", "", router).await;
    let first = desk.pay("1", "d-1").await;
    let second = desk.pay("2", "d-2").await;
    let list = desk.run("payments").await;
    list.check(0, &["received", "d-1", "d-2", "2.00 EUR", &first, &second], &[]);
    assert!(list.out.find("d-2").unwrap() < list.out.find("d-1").unwrap(), "newest first: {list:?}");
    for (filter, expected) in [
        ("--state declined", vec![&second]),
        ("--register POS-02", vec![]),
        ("--document d-1", vec![&first]),
        ("--limit 1", vec![&second]),
        ("--since 2099-01-01T00:00:00+01:00", vec![]),
        ("--since 2020-01-01T00:00:00+01:00", vec![&second, &first]),
    ] {
        let (code, found) = desk.json(&format!("payments {filter}")).await;
        let ids: Vec<&Value> = found["payments"].as_array().unwrap().iter().map(|payment| &payment["id"]).collect();
        assert_eq!(
            (code, ids),
            (0, expected.iter().map(|id| Value::from(id.as_str())).collect::<Vec<_>>().iter().collect()),
            "{filter}"
        );
    }
    desk.run("payments --state in_doubt").await.check(0, &[], &["No payment fits."]);
    let story = desk.run(&format!("payments {first}")).await;
    story.check(0, &["approved: sale of 1.00 EUR", "document d-1", "dispatched", "slip (customer):", "EUR"], &[]);
    for (call, code, told) in [
        ("payments --state paid", 2, "in_doubt"),
        ("payments --since yesterday", 1, "malformed: "),
        ("payments --limit 1001", 1, "malformed: "),
        ("payments x --limit 1", 2, "--limit"),
        ("payments x", 1, "not-found: "),
    ] {
        desk.run(call).await.check(code, &[], &[told]);
    }
    desk.close().await;
}

#[tokio::test]
async fn every_shell_gets_its_completions() {
    for (shell, words) in [("bash", "complete -F"), ("zsh", "#compdef tillswitch"), ("fish", "complete -c tillswitch")]
    {
        let ran = ran(program(&["completions", shell])).await;
        ran.check(0, &[words, "end-of-day", "resolve"], &[]);
    }
    ran(program(&["completions", "cmd"])).await.check(2, &[], &["zsh"]);
}
