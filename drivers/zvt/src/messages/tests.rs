//! Whether the answer says what the PT said, in a sentence, and never a card number.

use super::*;
use crate::tlv::Tlv;
use proptest::test_runner::{Config, RngSeed};
use tillswitch_core::Currency;

fn eur(minor: u64) -> Money {
    Money::from_minor(minor, Currency::EUR)
}

#[test]
fn card_numbers_in_texts_are_scrubbed() {
    for (text, expected) in [
        ("GEN.NR.:482948", "GEN.NR.:482948"),
        ("4111 1111 1111 1111", "**** **** **** 1111"),
        ("4111-1111-1111-1111 ok", "****-****-****-1111 ok"),
        ("Karte 4111111111111112 gesperrt", "Karte ************1112 gesperrt"),
        ("4111111111111", "*********1111"),
        ("6304000000000000000", "***************0000"),
        ("12345678901234567890123", "*******************0123"),
        ("123456789012", "123456789012"),
        ("Beleg 0343 Trace 000087", "Beleg 0343 Trace 000087"),
    ] {
        assert_eq!(scrubbed(text), expected);
    }
}

#[test]
fn the_cashier_sees_no_card_number() {
    fn check(text: Option<&str>, expected: &str) {
        let text = text.map(str::to_owned);
        let status = IntermediateStatus { code: 0x0A, timeout_minutes: None, text };
        assert_eq!(progress(&status).message, expected);
    }
    check(Some("Karte\n4111111111111111\nunlesbar"), "Karte ************1111 unlesbar");
    check(Some("Karte vorhalten"), "Karte vorhalten");
    check(None, intermediate_status::wording(0x0A).unwrap().english);
}

#[test]
fn the_terminals_own_words_come_first() {
    fn check(code: u8, text: Option<&str>, expected: &str) {
        let fields = match text {
            Some(text) => Fields::new().with_additional_text(text, Charset::Cp437).unwrap(),
            None => Fields::new(),
        };
        assert_eq!(refusal(code, &fields, Charset::Cp437).details().message, expected);
    }
    check(0x05, Some("Abgelehnt\nbitte andere Karte"), "Abgelehnt bitte andere Karte");
    check(0x05, None, "refused by the bank");
    check(0x05, Some("4111111111111111"), "************1111");
    check(0x78, None, "the card has expired");
}

#[test]
fn only_the_stop_key_is_a_cancellation() {
    let of = |code| refusal(code, &Fields::new(), Charset::Cp437).name().to_owned();
    assert_eq!((of(0x6C).as_str(), of(0x05).as_str(), of(0xFF).as_str()), ("cancelled", "declined", "declined"));
}

#[test]
fn every_code_has_a_sentence() {
    for code in 1..=u8::MAX {
        let outcome = refusal(code, &Fields::new(), Charset::Cp437);
        let Details { code: told, message, .. } = outcome.details();
        assert_eq!(*told, format!("{code:02x}"));
        assert!(message.len() > 8 && message.starts_with(char::is_alphabetic), "{code:02x}: {message}");
        let listed = result_codes::RESULT_CODES.iter().any(|row| row.0 == code) || code <= 0x63;
        assert_eq!(message.contains("unknown fault"), !listed, "{code:02x}: {message}");
    }
    let approved = approval(eur(1250), &Fields::new(), Charset::Cp437).details;
    assert_eq!((approved.code.as_str(), approved.message.as_str()), ("00", "approved"));
}

#[test]
fn what_is_due_is_named_with_what_to_do() {
    let fields = Fields::new().with_additional_text("Bitte Kassenschnitt", Charset::Cp437).unwrap();
    let close = "close the business day with `tillswitch end-of-day`, then try again";
    for code in [0x6A, 0xB1, 0xF0] {
        let of = |fields: &Fields| refusal(code, fields, Charset::Cp437).details().message.clone();
        assert_eq!(of(&fields), format!("Bitte Kassenschnitt; {close}"));
        assert!(of(&Fields::new()).ends_with(&format!("; {close}")));
        assert!(refused(code).message.ends_with(&format!("(code {code:02x}); {close}")));
    }
    assert!(refused(0x37).message.contains("check `password`"));
}

#[test]
fn a_system_fault_tells_the_vendors_code() {
    let of = |vendor: &[u8]| {
        let tlv = Tlv::new().with(tlv::tag::EXTENDED_ERROR_CODE, vendor);
        refusal(0xFF, &Fields::new().with_tlv(&tlv).unwrap(), Charset::Cp437).details().message.clone()
    };
    assert_eq!(of(&[0x1A, 0x2B]), "system fault at the terminal (vendor's code 1a2b)");
    assert_eq!(of(&[0x47; 8]), "system fault at the terminal");
}

proptest::proptest! {
    #![proptest_config(Config { cases: 2_000, failure_persistence: None, rng_seed: RngSeed::Fixed(0x5EED), ..Config::default() })]

    /// As an answer, the journal and a log show an outcome: JSON and `Debug`.
    #[test]
    fn no_outcome_shows_a_card_number(number in "[3-6][1-9]{12,18}", place in 0..8_usize, form in 0..4_usize, code: u8) {
        let bcd = crate::bcd::from_card_number(&number).unwrap();
        let spaced = number.as_bytes().chunks(4).collect::<Vec<_>>().join(&b' ');
        let form = [bcd, number.clone().into_bytes(), [number.as_bytes(), b"=2512"].concat(), spaced][form].clone();
        let in_tag = |tag| Fields::new().with_tlv(&Tlv::new().with(tag, &form)).unwrap();
        let fields = match place {
            0 => Fields::new().with(0x22, &form).unwrap(),
            1 => Fields::new().with(0x23, &form).unwrap(),
            2 => Fields::new().with(0x3C, &form).unwrap(),
            3 => Fields::new().with(0x8B, &form).unwrap(),
            4 => in_tag(tlv::tag::LONG_TRACE_NUMBER),
            5 => in_tag(tlv::tag::EXTENDED_ERROR_TEXT),
            6 => in_tag(tlv::tag::EXTENDED_ERROR_CODE),
            _ => {
                let lines = Tlv::new().with(tlv::tag::TEXT_LINE, &form);
                let tlv = Tlv::new().with_container(tlv::tag::DISPLAY_TEXTS, lines);
                Fields::new().with_tlv(&tlv).unwrap()
            }
        };
        let outcomes = [
            Outcome::Approved(approval(eur(1), &fields, Charset::Cp437)),
            refusal(code, &fields, Charset::Cp437),
        ];
        for outcome in outcomes {
            let shown = format!("{outcome:?} {}", serde_json::to_string(&outcome).unwrap()).replace(' ', "");
            let leaked = number.as_bytes()[..number.len() - 1].windows(6);
            let leaked = leaked.map(String::from_utf8_lossy).find(|part| shown.contains(&**part));
            assert_eq!(leaked, None, "{shown}");
        }
    }
}
