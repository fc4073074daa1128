//! Do pay, refund, reverse and again move money once, and say so?

use crate::desk::Desk;

#[tokio::test]
async fn a_payment_is_told_line_by_line_and_exits_with_0_when_all_was_approved() {
    let desk = Desk::open("approve", "").await;
    let ran = desk.run("pay --register POS-01 --amount 25.90 --document 4711").await;
    ran.check(0, &["approved: sale of 25.90 EUR at POS-01 (counter)", "receipt "], &["Idempotency-Key ", "counter: "]);
    let (code, found) = desk.json("payments --document 4711").await;
    assert_eq!((code, found["payments"].as_array().unwrap().len()), (0, 1));
    let id = found["payments"][0]["id"].as_str().unwrap();
    assert!(ran.out.contains(id), "{ran:?}");
    let (_, payment) = desk.json(&format!("payments {id}")).await;
    assert_eq!(payment["transitions"][0]["actor"], "operator:ada");
    desk.close().await;
}

#[tokio::test]
async fn the_same_key_is_the_same_payment() {
    let desk = Desk::open("approve", "").await;
    let call = "pay --register POS-01 --amount 5 --key till-7";
    let (code, first) = desk.json(call).await;
    assert_eq!((code, first["state"].as_str(), first["amount_minor"].as_u64()), (0, Some("approved"), Some(500)));
    let (code, second) = desk.json(call).await;
    assert_eq!((code, &second["id"]), (0, &first["id"]));
    assert_eq!(desk.premises.zvt["counter"].ledger().len(), 1, "one booking");
    let other = desk.run("pay --register POS-01 --amount 6 --key till-7").await;
    other.check(1, &[], &["conflicting-repeat: "]);
    desk.close().await;
}

#[tokio::test]
async fn what_came_to_nothing_exits_with_1_and_can_be_started_again() {
    let desk = Desk::open("decline, approve", "").await;
    let ran = desk.run("pay --register POS-01 --amount 1 --document 1").await;
    ran.check(1, &["declined: sale of 1.00 EUR", "no money moved; to start it again: tillswitch again "], &[]);
    let (_, found) = desk.json("payments --state declined").await;
    let id = found["payments"][0]["id"].as_str().unwrap();
    let (code, again) = desk.json(&format!("again {id}")).await;
    assert_eq!((code, again["state"].as_str(), again["again_of"].as_str()), (0, Some("approved"), Some(id)));
    let twice = desk.run(&format!("again {}", again["id"].as_str().unwrap())).await;
    twice.check(1, &[], &["suspected-repeat: "]);
    desk.close().await;
}

#[tokio::test]
async fn less_than_was_asked_is_no_success() {
    let partial = |plan: tillswitch::shop::Plan| plan.terminal_lines("counter", "accept_partial = true");
    let desk = Desk::open_with("approve-less", "", partial).await;
    let ran = desk.run("pay --register POS-01 --amount 10").await;
    ran.check(1, &["approved: sale of 10.00 EUR", "EUR was approved: collect the rest, or take it back"], &[]);
    desk.close().await;
}

#[tokio::test]
async fn a_second_press_has_to_be_confirmed() {
    let desk = Desk::open("approve, approve", "").await;
    desk.pay("3", "9").await;
    let call = "pay --register POS-01 --amount 3 --document 9";
    desk.run(call).await.check(1, &[], &["suspected-repeat: ", "--confirm-repeat"]);
    desk.run(&format!("{call} --confirm-repeat")).await.check(0, &["approved: "], &[]);
    desk.close().await;
}

#[tokio::test]
async fn what_was_paid_can_be_paid_back_but_no_more_than_that() {
    let desk = Desk::open("approve, approve, approve, approve", "").await;
    let sale = desk.pay("10", "1").await;
    let (code, refund) = desk.json(&format!("refund {sale} --amount 4")).await;
    assert_eq!((code, refund["operation"].as_str(), refund["amount"].as_str()), (0, Some("refund"), Some("4.00")));
    assert_eq!(refund["original"], sale.as_str());
    let over = desk.run(&format!("refund {sale} --amount 7")).await;
    over.check(1, &[], &["over-refund: "]);
    let (code, body) = desk.json(&format!("refund {sale} --amount 7")).await;
    assert_eq!((code, body["code"].as_str()), (1, Some("over-refund")), "errors are JSON as well");

    let other = desk.pay("2", "2").await;
    desk.run(&format!("reverse {other}")).await.check(0, &["approved: reversal of 2.00 EUR"], &[]);
    desk.run(&format!("reverse {other}")).await.check(1, &[], &["over-refund: "]);
    desk.run(&format!("reverse {other} --confirm-repeat")).await.check(1, &[], &["over-refund: "]);
    desk.run("refund no-such-payment").await.check(1, &[], &["not-found: "]);
    desk.close().await;
}

#[tokio::test]
async fn money_can_go_back_without_a_payment_to_undo() {
    let desk = Desk::open("approve", "").await;
    let ran = desk.run("pay --register POS-01 --amount 4.50 --currency EUR --refund").await;
    ran.check(0, &["approved: refund of 4.50 EUR"], &[]);
    desk.close().await;
}

#[tokio::test]
async fn mistakes_are_named_and_start_nothing() {
    let desk = Desk::open("", "").await;
    for (call, code, told) in [
        ("pay --register POS-09 --amount 1", 1, "unknown-register: "),
        ("pay --register POS-01 --amount 1.005", 1, "bad-amount: "),
        ("pay --register POS-01 --amount 1,50", 1, "with a point before the decimals"),
        ("pay --register POS-01 --amount -1", 1, "more than zero"),
        ("pay --register POS-01 --amount 1 --currency Euro", 1, "malformed: "),
        ("pay --register POS-01", 2, "--amount"),
        ("pay --register POS-01 --amount 1 --document-type invoice", 2, "--document"),
        ("refund", 2, "<ID>"),
    ] {
        desk.run(call).await.check(code, &[], &[told]);
    }
    assert!(desk.premises.zvt["counter"].ledger().is_empty());
    let (_, found) = desk.json("payments").await;
    assert_eq!(found["payments"].as_array().unwrap().len(), 0);
    desk.close().await;
}
