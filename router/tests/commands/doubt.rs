//! Does a payment in doubt exit with 1, and can it be settled from a shell, once?

use crate::desk::Desk;

#[tokio::test]
async fn a_payment_in_doubt_is_settled_once() {
    let desk = Desk::open("", "cut-after-booking").await;
    let ran = desk.run("pay --register POS-02 --amount 25.90 --document 1").await;
    ran.check(1, &["in_doubt: sale of 25.90 EUR at POS-02 (bar)", "the outcome is missing"], &[]);
    assert!(!ran.out.contains("tillswitch again"), "nobody should charge again: {ran:?}");
    let (_, found) = desk.json("payments --state in_doubt --register POS-02").await;
    let id = found["payments"][0]["id"].as_str().unwrap();

    desk.run("pay --register POS-02 --amount 1 --document 1").await.check(
        1,
        &[],
        &["document-in-doubt: ", "--state in_doubt"],
    );
    desk.run(&format!("again {id}")).await.check(1, &[], &["document-in-doubt: "]);
    desk.run(&format!("resolve {id} approved --reason slip")).await.check(2, &[], &["--receipt"]);
    desk.run(&format!("resolve {id} paid --reason slip")).await.check(2, &[], &["approved, declined"]);
    desk.run(&format!("resolve {id} failed")).await.check(2, &[], &["--reason"]);

    // Its terminal cannot be asked, so it waits for a person from the start; force says so whatever the pace.
    let settled = desk.run(&format!("resolve {id} approved --reason slip --receipt 0042 --force")).await;
    settled.check(0, &["approved: sale of 25.90 EUR", "receipt 0042"], &[]);
    let again = desk.run(&format!("resolve {id} failed --reason second --force")).await;
    again.check(1, &[], &["conflicting-repeat: "]);
    let story = desk.run(&format!("payments {id}")).await;
    story.check(0, &["in_doubt", "operator:ada", "slip"], &[]);
    desk.close().await;
}
