//! How a payment is told to a person: what became of it, and what to do.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use tillswitch_core::{Currency, Money};

use super::print::{clean, one_line};

/// A text of a payment, or nothing.
pub(in crate::cli) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// Its id.
pub(in crate::cli) fn id(payment: &Value) -> &str {
    text(payment, "id")
}

/// Its terminal's name.
pub(in crate::cli) fn terminal(payment: &Value) -> &str {
    text(payment, "terminal")
}

/// Whether it has not ended. One in doubt has, for whoever waits at a shell.
pub(in crate::cli) fn is_running(payment: &Value) -> bool {
    matches!(text(payment, "state"), "received" | "dispatched")
}

/// Whether all that was asked was approved.
pub(in crate::cli) fn is_paid(payment: &Value) -> bool {
    text(payment, "state") == "approved" && !is_partial(payment)
}

fn is_partial(payment: &Value) -> bool {
    let result = &payment["result"];
    match result["amount_minor"].as_u64() {
        Some(approved) => {
            Some(approved) < payment["amount_minor"].as_u64() || result["currency"] != payment["currency"]
        }
        None => true,
    }
}

/// What was asked, such as `25.90 EUR`.
pub(in crate::cli) fn amount(payment: &Value) -> String {
    format!("{} {}", text(payment, "amount"), text(payment, "currency"))
}

/// What was approved.
fn approved(payment: &Value) -> Option<String> {
    money(&payment["result"])
}

/// An amount in minor units with its currency.
pub(in crate::cli) fn money(value: &Value) -> Option<String> {
    let currency: Currency = value["currency"].as_str()?.parse().ok()?;
    Some(Money::from_minor(value["amount_minor"].as_u64()?, currency).to_string())
}

/// An instant in the time of this machine.
pub(in crate::cli) fn local(time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(instant) => instant.to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => one_line(time),
    }
}

/// What became of a payment, and what to do now.
pub(in crate::cli) fn ending(payment: &Value) -> String {
    let kept = |key: &str| payment[key].as_array().is_some_and(|rows| !rows.is_empty());
    let more = match (kept("incidents"), kept("receipts")) {
        (true, _) => format!("  something contradicts it: tillswitch payments {}\n", id(payment)),
        (false, true) => format!("  slips: tillswitch payments {}\n", id(payment)),
        (false, false) => String::new(),
    };
    standing(payment) + &clean(&more)
}

/// How a payment stands, and what to do now.
pub(in crate::cli) fn standing(payment: &Value) -> String {
    let (state, operation) = (text(payment, "state"), text(payment, "operation"));
    let at = format!("{} ({})", text(payment, "register"), terminal(payment));
    let head = format!("{state}: {operation} of {} at {at}, payment {}", amount(payment), id(payment));
    let lines = [Some(head), said(payment), advice(payment)].into_iter().flatten();
    lines.map(|line| one_line(&line)).collect::<Vec<_>>().join("\n  ") + "\n"
}

/// The terminal's words and numbers.
fn said(payment: &Value) -> Option<String> {
    let result = &payment["result"];
    let (code, message) = (text(result, "code"), text(result, "message"));
    let card = &result["card"];
    let numbers = [
        ("receipt", text(result, "receipt_number").to_owned()),
        ("trace", text(result, "trace_number").to_owned()),
        ("authorization", text(result, "authorization_code").to_owned()),
        ("card", format!("{} {}", text(card, "scheme"), text(card, "last4")).trim().to_owned()),
    ];
    let numbers =
        numbers.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name} {value}"));
    let parts: Vec<String> = [format!("{message} ({code})")].into_iter().chain(numbers).collect();
    result.is_object().then(|| parts.join(", "))
}

/// What a person can do. Never "charge again" where money may have moved.
fn advice(payment: &Value) -> Option<String> {
    let id = id(payment);
    let again = format!("no money moved; to start it again: tillswitch again {id}");
    match text(payment, "state") {
        "approved" if is_partial(payment) => Some(format!(
            "only {} was approved: collect the rest, or take it back: tillswitch reverse {id}",
            approved(payment).unwrap_or_else(|| "an unknown amount".to_owned())
        )),
        "approved" => None,
        "in_doubt" if payment["waits_for_person"] == true => Some(format!(
            "the outcome is missing: look at the terminal and its slip, then: tillswitch resolve {id} approved|declined|cancelled|failed"
        )),
        "in_doubt" => Some(format!(
            "the outcome is missing: do not charge again; the router asks the terminal, see: tillswitch payments {id}"
        )),
        "declined" | "cancelled" | "failed" | "expired" => Some(again),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn payment(state: &str, result: Value) -> Value {
        json!({ "id": "7", "state": state, "register": "POS-01", "terminal": "counter", "operation": "sale",
                "amount": "25.90", "amount_minor": 2590, "currency": "EUR", "result": result })
    }

    #[test]
    fn only_an_approval_of_the_whole_is_paid() {
        let euro =
            |minor: u64| json!({ "code": "00", "message": "approved", "amount_minor": minor, "currency": "EUR" });
        for (state, result, expected) in [
            ("approved", euro(2590), true),
            ("approved", euro(2790), true),
            ("approved", euro(2589), false),
            ("approved", json!({ "amount_minor": 2590, "currency": "CHF" }), false),
            ("approved", Value::Null, false),
            ("declined", euro(2590), false),
            ("in_doubt", Value::Null, false),
        ] {
            assert_eq!(is_paid(&payment(state, result.clone())), expected, "{state} {result}");
        }
    }

    #[test]
    fn nobody_is_told_to_charge_again_where_money_may_have_moved() {
        for (state, expected) in [
            ("declined", "tillswitch again 7"),
            ("expired", "tillswitch again 7"),
            ("in_doubt", "do not charge again"),
            ("approved", "tillswitch reverse 7"),
        ] {
            let told = ending(&payment(
                state,
                json!({ "code": "00", "message": "words", "amount_minor": 1, "currency": "EUR" }),
            ));
            assert!(told.contains(expected), "{told}");
            assert_eq!(told.contains("tillswitch again"), expected.contains("again 7"), "{told}");
        }
    }

    #[test]
    fn slips_and_incidents_are_pointed_at() {
        let mut kept = payment("approved", Value::Null);
        assert!(!ending(&kept).contains("tillswitch payments"));
        kept["receipts"] = json!([{ "kind": "customer", "text": "…" }]);
        assert!(ending(&kept).contains("slips: tillswitch payments 7"));
        kept["incidents"] = json!([{ "message": "…" }]);
        assert!(ending(&kept).contains("something contradicts it: tillswitch payments 7"));
        assert!(!standing(&kept).contains("tillswitch payments"));
    }

    #[test]
    fn nothing_that_is_told_commands_the_shell_that_shows_it() {
        let told = ending(&payment("declined", json!({ "code": "\u{1b}", "message": "no\u{1b}[2J\nreally" })));
        assert!(told.contains("no·[2J really") && !told.contains('\u{1b}'), "{told}");
    }

    #[test]
    fn an_ending_is_told_with_the_numbers_of_the_slip() {
        let result = json!({ "code": "00", "message": "approved", "amount_minor": 2590, "currency": "EUR",
                             "receipt_number": "0343", "card": { "scheme": "girocard", "last4": "4771" } });
        let expected = "approved: sale of 25.90 EUR at POS-01 (counter), payment 7\n  approved (00), receipt 0343, card girocard 4771\n";
        assert_eq!(ending(&payment("approved", result)), expected);
    }
}
