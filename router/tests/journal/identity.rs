//! Every sentence about the same event and the same document, in both orders, each event delivered a second time.

use std::sync::Arc;

use tillswitch::journal::{Begun, Journal};

use crate::bench::{Event, Shop, check};

#[tokio::test]
async fn the_same_guid_is_the_same_event() {
    check(
        "guid=a doc=7 -> new A
         again -> event A dispatched
         approve A
         again -> event A approved
         deliver A
         again later -> event A approved",
    )
    .await;
}

#[tokio::test]
async fn the_same_guid_with_other_content_is_a_conflict_however_often() {
    check(
        "guid=a made=1 doc=7 25.90 -> new A
         guid=a made=1 doc=7 26.90 -> conflicting-repeat A
         again -> conflicting-repeat A again
         guid=a made=1 doc=7 27.90 -> conflicting-repeat A
         guid=a made=1 doc=7 25.90 -> event A dispatched
         approve A
         guid=a made=1 doc=7 26.90 -> conflicting-repeat A again
         made=1 doc=7 26.90 -> conflicting-repeat A again
         guid=a made=2 doc=7 25.90 -> conflicting-repeat A
         guid=a doc=7 25.90 -> conflicting-repeat A",
    )
    .await;
}

#[tokio::test]
async fn the_content_matches_when_both_name_their_time_and_one_has_no_guid() {
    // Neither has a guid.
    check("made=1 -> new A\n again -> event A dispatched").await;
    // One of them has: in both orders.
    check("guid=a made=1 -> new A\n made=1 -> event A dispatched\n again -> event A dispatched").await;
    check(
        "made=1 25.90 -> new A
         guid=a made=1 25.90 -> event A dispatched
         again -> event A dispatched
         guid=a made=1 26.90 -> conflicting-repeat A",
    )
    .await;
}

#[tokio::test]
async fn the_content_does_not_match_with_two_guids_or_without_a_time() {
    check("guid=a made=1 -> new A\n guid=b made=1 -> new B\n again -> event B dispatched").await;
    check("made=1 -> new A\n made=2 -> new B").await;
    // Without createdAt the guid alone counts, whichever of the two comes first.
    check("guid=a -> new A\n guid=b -> new B\n again -> event B dispatched").await;
    check("guid=a -> new A\n made=1 -> new B").await;
    check("made=1 -> new B\n guid=a -> new A").await;
}

#[tokio::test]
async fn of_several_events_with_one_content_the_newest_payment_answers() {
    check(
        "guid=a made=1 doc=7 -> new A
         decline A
         guid=b made=1 doc=7 -> new B
         approve B
         deliver B
         guid=c made=1 doc=7 -> suspected-repeat B
         made=1 doc=7 -> event B approved",
    )
    .await;
}

#[tokio::test]
async fn a_second_press_joins_the_running_payment() {
    for running in ["guid=a doc=7", "guid=a doc=7 queue"] {
        for second in ["guid=b made=2", "guid=b", "made=2"] {
            let state = if running.contains("queue") { "received" } else { "dispatched" };
            check(&format!(
                "{running} -> new A
                 {second} doc=7 later -> joins A {state}
                 again -> event A {state}"
            ))
            .await;
        }
    }
    // Its keys are keys of that payment, also after the end.
    check("guid=a doc=7 -> new A\n guid=b doc=7 -> joins A dispatched\n decline A\n again -> event A declined").await;
}

#[tokio::test]
async fn a_second_press_gets_an_approval_that_nobody_read_at_any_age() {
    check(
        "guid=a doc=7 -> new A
         approve A
         guid=b doc=7 -> joins A approved
         again -> event A approved
         guid=c doc=7 later -> joins A approved
         again -> event A approved
         deliver A
         guid=b doc=7 -> event A approved",
    )
    .await;
}

#[tokio::test]
async fn a_second_press_after_a_delivered_approval_is_suspected_within_the_window() {
    check(
        "guid=a doc=7 -> new A
         approve A
         deliver A
         guid=b doc=7 -> suspected-repeat A
         again -> suspected-repeat A again
         again later -> suspected-repeat A again
         guid=c doc=7 later -> new C
         again -> event C dispatched",
    )
    .await;
}

#[tokio::test]
async fn allow_switches_off_this_conflict_and_nothing_else() {
    let approved = "guid=a doc=7 -> new A\n approve A\n deliver A\n";
    check(&format!("{approved} guid=b doc=7 allow -> new B\n again -> event B dispatched")).await;
    check(&format!(
        "{approved} guid=b doc=7 reg=POS-02 allow -> suspected-repeat A\n again -> suspected-repeat A again"
    ))
    .await;
    check("guid=a doc=7 -> new A\n guid=b doc=7 allow -> joins A dispatched").await;
    check("guid=a doc=7 -> new A\n approve A\n guid=b doc=7 allow -> joins A approved").await;
    check("guid=a doc=7 -> new A\n doubt A\n guid=b doc=7 allow -> document-in-doubt A").await;
    check("guid=a doc=7 -> new A\n guid=a doc=7 1.00 allow -> conflicting-repeat A").await;
}

#[tokio::test]
async fn another_register_is_suspected_and_never_joins() {
    for (steps, answers) in [("", ""), ("approve A", ""), ("approve A\n deliver A", "")] {
        check(&format!(
            "guid=a doc=7 -> new A
             {steps}{answers}
             guid=b doc=7 reg=POS-02 -> suspected-repeat A
             again -> suspected-repeat A again
             again allow later -> suspected-repeat A again"
        ))
        .await;
    }
    // A running payment at any age, an approved one within the window only.
    check("guid=a doc=7 queue -> new A\n guid=b doc=7 reg=POS-02 later -> suspected-repeat A").await;
    check("guid=a doc=7 -> new A\n approve A\n guid=b doc=7 reg=POS-02 later -> new B").await;
    // The own register's payment comes before the other one's.
    check(
        "guid=a doc=7 -> new A
         approve A
         deliver A
         guid=b doc=7 reg=POS-02 later -> new B
         guid=c doc=7 later -> suspected-repeat B
         guid=d doc=7 reg=POS-02 -> joins B dispatched",
    )
    .await;
}

#[tokio::test]
async fn a_document_in_doubt_takes_no_second_payment_anywhere() {
    for second in ["", "1.00", "reg=POS-02", "reg=POS-02 1.00", "allow", "later", "later allow reg=POS-02", "1.00CHF"] {
        check(&format!(
            "guid=a doc=7 -> new A
             doubt A
             guid=b doc=7 {second} -> document-in-doubt A
             again -> document-in-doubt A again"
        ))
        .await;
    }
    // Another type, number or operation is another document.
    check("guid=a doc=7 -> new A\n doubt A\n guid=b doc=7/order -> new B\n guid=c doc=8 -> new C").await;
    check("guid=a doc=7 -> new A\n doubt A\n guid=b doc=7 op=refund -> new B").await;
    // Doubt comes before joining: what runs beside it was begun before.
    check(
        "guid=a doc=7 1.00 -> new A
         guid=b doc=7 2.00 -> new B
         doubt A
         guid=c doc=7 2.00 -> document-in-doubt A
         guid=b doc=7 2.00 -> event B dispatched",
    )
    .await;
}

#[tokio::test]
async fn an_event_refused_for_doubt_gets_the_success_it_asked_for() {
    let doubt = "guid=a doc=7 -> new A\n doubt A\n";
    check(&format!(
        "{doubt} guid=b doc=7 -> document-in-doubt A
         approve A
         again -> event A approved
         again later -> event A approved"
    ))
    .await;
    // Another amount or register did not ask for this; a decline is no success.
    check(&format!(
        "{doubt} guid=b doc=7 1.00 -> document-in-doubt A\n approve A\n again -> document-in-doubt A again"
    ))
    .await;
    check(&format!(
        "{doubt} guid=b doc=7 reg=POS-02 -> document-in-doubt A\n approve A\n again -> document-in-doubt A again"
    ))
    .await;
    check(&format!("{doubt} guid=b doc=7 -> document-in-doubt A\n decline A\n again -> document-in-doubt A again"))
        .await;
    // Refused for another reason, it stays refused.
    check(
        "guid=a doc=7 -> new A
         guid=b doc=7 reg=POS-02 -> suspected-repeat A
         approve A
         again -> suspected-repeat A again",
    )
    .await;
}

#[tokio::test]
async fn after_anything_but_an_approval_the_document_is_paid_anew() {
    for end in ["decline", "cancel", "fail"] {
        for second in ["", "reg=POS-02"] {
            check(&format!(
                "guid=a doc=7 -> new A\n {end} A\n guid=b doc=7 {second} -> new B\n again -> event B dispatched"
            ))
            .await;
        }
    }
    check("guid=a doc=7 queue -> new A\n expire A\n guid=b doc=7 -> new B").await;
    check("guid=a doc=7 -> new A\n doubt A\n fail A\n guid=b doc=7 -> new B").await;
}

#[tokio::test]
async fn a_document_is_its_number_type_operation_amount_and_currency() {
    for other in ["doc=8", "doc=7/order", "doc=7 1.00", "doc=7 25.90CHF", "doc=7 op=refund", ""] {
        check(&format!("guid=a doc=7 -> new A\n guid=b {other} -> new B\n guid=c doc=7 -> joins A dispatched")).await;
    }
}

#[tokio::test]
async fn without_a_number_only_doubt_at_the_same_register_refuses() {
    check("guid=a -> new A\n guid=b -> new B\n approve A\n guid=c -> new C\n made=1 -> new D").await;
    for first in ["guid=a", "guid=a doc=7", "made=1"] {
        check(&format!(
            "{first} -> new A
             doubt A
             guid=b -> document-in-doubt A
             again -> document-in-doubt A again
             guid=c 1.00 -> new C
             guid=d reg=POS-02 -> new D
             guid=e op=refund -> new E
             guid=g 25.90CHF -> new G
             approve A
             guid=b -> event A approved"
        ))
        .await;
    }
    // The other way round a numbered document is not that of a payment without a number.
    check("guid=a -> new A\n doubt A\n guid=b doc=7 -> new B").await;
}

#[tokio::test]
async fn an_event_that_cannot_be_recognised_is_protected_by_register_operation_and_amount() {
    check(
        " -> new A
         again -> joins A dispatched
         approve A
         again -> joins A approved
         deliver A
         again -> suspected-repeat A
         again -> suspected-repeat A
         again allow -> new B",
    )
    .await;
    check(" -> new A\n 1.00 -> new B\n reg=POS-02 -> new C\n op=refund -> new D\n 25.90CHF -> new E\n doc=7 -> new F")
        .await;
    check(" -> new A\n doubt A\n again -> document-in-doubt A\n again -> document-in-doubt A\n approve A").await;
    // With a number the document rule is the usual one.
    check("doc=7 -> new A\n again -> joins A dispatched\n doc=8 -> new B\n reg=POS-02 doc=7 -> suspected-repeat A")
        .await;
    // A payment with a number is not meant by an event without one.
    check("doc=7 -> new A\n 25.90 -> new B").await;
    check("guid=a -> new A\n 25.90 -> joins A dispatched").await;
}

#[tokio::test]
async fn what_cannot_begin_leaves_no_key_but_repeats_are_answered() {
    check("guid=a doc=7 refuse -> new\n again -> new\n guid=a doc=7 1.00 -> new A").await;
    check(
        "guid=a doc=7 -> new A
         again refuse -> event A dispatched
         guid=b doc=7 refuse -> joins A dispatched
         doubt A
         guid=a doc=7 refuse -> event A in_doubt
         guid=c doc=7 refuse -> document-in-doubt A
         again -> document-in-doubt A again",
    )
    .await;
}

#[tokio::test]
async fn what_expires_in_the_queue_or_at_a_restart_gives_all_its_keys_back() {
    for end in ["expire A", "restart"] {
        check(&format!(
            "guid=a made=1 doc=7 queue -> new A
             guid=b made=2 doc=7 -> joins A received
             guid=c doc=7 reg=POS-02 -> suspected-repeat A
             guid=a made=1 doc=7 1.00 -> conflicting-repeat A
             {end}
             guid=b made=2 doc=7 -> new B
             guid=a made=1 doc=7 -> joins B dispatched
             guid=c doc=7 reg=POS-02 -> suspected-repeat A again
             guid=a made=1 doc=7 1.00 -> conflicting-repeat A again"
        ))
        .await;
    }
    // What was dispatched keeps its keys.
    check("guid=a doc=7 -> new A\n restart\n again -> event A in_doubt\n fail A\n again -> event A failed").await;
}

#[tokio::test]
async fn what_came_too_late_is_expired_and_keeps_its_keys() {
    check("guid=a doc=7 too-old -> new A\n again -> event A expired\n guid=b doc=7 -> new B").await;
    check("guid=a doc=7 -> new A\n doubt A\n guid=b doc=7 too-old -> new B\n again too-old -> event B expired").await;
    check("guid=a doc=7 -> new A\n approve A\n again too-old -> event A approved").await;
}

#[tokio::test]
async fn a_refund_finds_the_one_approved_sale_of_its_number_at_its_register() {
    let sale = "guid=a doc=7 -> new A\n approve A\n";
    check(&format!("{sale} guid=r doc=7/credit_note op=refund -> new R from A\n again -> event R dispatched")).await;
    check(&format!("{sale} guid=r doc=8 op=refund -> new R")).await;
    check(&format!("{sale} guid=r doc=7 reg=POS-02 op=refund -> new R")).await;
    check(&format!("{sale} guid=r doc=7 25.90CHF op=refund -> new R")).await;
    check("guid=a doc=7 -> new A\n decline A\n guid=r doc=7 op=refund -> new R").await;
    check(&format!("{sale} guid=b doc=7 1.00 -> new B\n approve B\n guid=r doc=7 op=refund 1.00 -> new R")).await;
}

#[tokio::test]
async fn no_more_goes_back_than_was_paid() {
    let sale = "guid=a doc=7 -> new A\n approve A\n";
    check(&format!(
        "{sale} guid=r doc=7 op=refund 26.00 -> over-refund A
         again -> over-refund A again
         guid=s doc=7 op=refund 20.00 -> new S from A
         guid=t doc=7 op=refund 5.91 -> over-refund A
         guid=u doc=7 op=refund 5.90 -> new U from A
         decline U
         guid=v doc=7/x op=refund 5.90 -> new V from A
         doubt V
         guid=w doc=7 op=refund 0.01 -> over-refund A
         fail V
         approve S
         guid=x doc=7 op=refund 5.90 -> new X from A"
    ))
    .await;
    // What was approved counts, not what was asked.
    check("guid=a doc=7 -> new A\n approve-10.00 A\n guid=r doc=7 op=refund 10.01 -> over-refund A").await;
    // A second press on a refund is a second press first.
    check(&format!("{sale} guid=r doc=7 op=refund -> new R from A\n guid=s doc=7 op=refund -> joins R dispatched"))
        .await;
}

#[tokio::test]
async fn a_hundred_deliveries_at_once_are_one_payment() {
    let shop = Arc::new(Shop::open());
    let event = Event::parse("guid=a made=1 doc=7");
    let deliveries: Vec<_> = (0..100)
        .map(|_| {
            let (shop, request) = (Arc::clone(&shop), event.request());
            tokio::spawn(async move { shop.journal.begin(request).await.unwrap() })
        })
        .collect();
    let mut new = 0;
    for delivery in deliveries {
        match delivery.await.unwrap() {
            Begun::New { .. } => new += 1,
            Begun::SameEvent(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(new, 1);
    assert_eq!(shop.journal.search(Default::default()).await.unwrap().len(), 1);
}
