//! Does the simulated terminal book what it says, and say what it booked?

mod support;

use support::{driver, euros, execute, payment, summary};
use tillswitch_core::ledger::LedgerEntry;
use tillswitch_core::{Money, Operation};
use tillswitch_http::simulator::{HttpSimulator, SimulatorOptions, Step, parse_script};

#[tokio::test]
async fn every_step_does_what_its_word_says() {
    let folder = tempfile::tempdir().unwrap();
    for (word, expected, booked) in [
        ("approve", "approved 25.90 EUR", Some(2590)),
        ("approve-less", "approved 12.95 EUR", Some(1295)),
        ("approve-more", "approved 28.49 EUR", Some(2849)),
        ("decline", "declined", None),
        ("cancel", "cancelled", None),
        ("busy", "in doubt: garbage", None),
        ("refuse", "not started: refused", None),
        ("redirect", "in doubt: garbage", None),
        ("error", "in doubt: garbage", None),
        ("error-after-booking", "in doubt: garbage", Some(2590)),
        ("cut-before-booking", "in doubt: link_lost", None),
        ("cut-after-booking", "in doubt: link_lost", Some(2590)),
        ("cut-in-answer", "in doubt: link_lost", Some(2590)),
        ("garbage", "in doubt: garbage", Some(2590)),
        ("slow", "approved 25.90 EUR", Some(2590)),
        ("never-answers", "in doubt: no_answer", None),
        ("answer-twice", "approved 25.90 EUR", Some(2590)),
        ("too-long", "in doubt: garbage", Some(2590)),
        ("idle-close", "approved 25.90 EUR", Some(2590)),
    ] {
        let script = parse_script(word).unwrap();
        let options = SimulatorOptions { script, ..SimulatorOptions::new(folder.path().join(word)) };
        let terminal = HttpSimulator::start(options).await.unwrap();
        let timeout = if word == "never-answers" { "200ms" } else { "5s" };
        let result = execute(&mut *driver(&terminal.url(), timeout, "EUR"), &euros("25.90")).await;
        assert_eq!(summary(&result), expected, "{word}");
        let text = std::fs::read_to_string(terminal.ledger_path()).unwrap();
        let entries = LedgerEntry::parse_all(&text).unwrap();
        assert_eq!(entries, terminal.ledger(), "{word}");
        assert_eq!(
            entries.iter().map(|entry| entry.amount.minor()).collect::<Vec<_>>(),
            Vec::from_iter(booked),
            "{word}"
        );
        assert_eq!(terminal.money_commands(), 1, "{word}");
    }
    assert_eq!(Step::words().count(), 19, "a new step needs a line above");
}

#[tokio::test]
async fn a_ledger_is_continued_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let options = SimulatorOptions::new(folder.path().join("ledger"));
    for run in 1..=2 {
        let terminal = HttpSimulator::start(options.clone()).await.unwrap();
        let mut driver = driver(&terminal.url(), "5s", "EUR");
        execute(&mut *driver, &payment(Operation::Refund, euros("1.00").amount)).await.unwrap();
        assert_eq!(terminal.ledger().len(), run);
        terminal.stop().await;
    }
    let text = std::fs::read_to_string(options.ledger).unwrap();
    let entries = LedgerEntry::parse_all(&text).unwrap();
    assert_eq!((entries[0].receipt_number.as_str(), entries[1].receipt_number.as_str()), ("0001", "0002"));
    assert!(entries.iter().all(|entry| entry.operation == Operation::Refund));
}

#[tokio::test]
async fn other_currencies_are_booked_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let terminal = HttpSimulator::start(SimulatorOptions::new(folder.path().join("ledger"))).await.unwrap();
    for (minor, currency) in [(1500, "JPY"), (1_234, "KWD"), (9_007_199_254_740_993, "EUR")] {
        let amount = Money::from_minor(minor, currency.parse().unwrap());
        let request = payment(Operation::Sale, amount);
        let result = execute(&mut *driver(&terminal.url(), "5s", currency), &request).await;
        assert_eq!(summary(&result), format!("approved {amount}"));
        assert_eq!(terminal.ledger().last().unwrap().amount, amount);
    }
}
