//! Whether messages of the PT are read as what they are.

use super::*;

fn parse(bytes: &[u8]) -> Reply {
    Reply::parse(&Apdu::decode(bytes).expect("a whole message"), Charset::Cp437)
}

fn completion(data: &[u8]) -> Completion {
    Completion::new(data)
}

#[test]
fn answers() {
    assert_eq!(parse(&[0x80, 0x00, 0x00]), Reply::Positive { data: Opaque::default() });
    assert_eq!(parse(&[0x84, 0x00, 0x00]), Reply::Positive { data: Opaque::default() });
    assert_eq!(parse(&[0x84, 0x9C, 0x00]), Reply::Negative { code: 0x9C, data: Opaque::default() });
    let currency = Reply::Negative { code: 0x1E, data: Opaque(vec![0x6F]) };
    assert_eq!(parse(&[0x84, 0x1E, 0x01, 0x6F]), currency);
    // The second byte of 80 is always 00; anything else is not taken for a yes.
    assert!(matches!(parse(&[0x80, 0x05, 0x00]), Reply::Other(_)));
}

#[test]
fn an_abort_without_a_reason() {
    assert_eq!(parse(&[0x06, 0x1E, 0x00]), Reply::Abort(Abort { code: 0xFF, fields: Fields::new() }));
}

#[test]
fn intermediate_status_without_anything() {
    let empty = IntermediateStatus { code: 0xFF, timeout_minutes: None, text: None };
    assert_eq!(parse(&[0x04, 0xFF, 0x00]), Reply::IntermediateStatus(empty));
    let bad_timeout = IntermediateStatus { code: 0x0E, timeout_minutes: None, text: None };
    assert_eq!(parse(&[0x04, 0xFF, 0x02, 0x0E, 0xAA]), Reply::IntermediateStatus(bad_timeout));
}

#[test]
fn the_status_may_look_like_a_length_or_a_container() {
    fn check(data: &[u8], status: Option<u8>, has_container: bool) {
        let read = completion(data).status_enquiry();
        assert_eq!((read.software_version, read.terminal_status), (None, status));
        assert_eq!(read.tlv.is_some(), has_container);
    }
    check(&[], None, false);
    check(&[0x06], Some(0x06), false);
    check(&[0x06, 0x06, 0x00], Some(0x06), true);
    check(&[0xF0], Some(0xF0), false);
    check(&[0xF0, 0x06, 0x00], Some(0xF0), true);
    // A version that is longer than the message is none.
    check(&[0xF0, 0xF9, 0xF9, 0x31], Some(0xF0), false);
}

#[test]
fn an_empty_version() {
    let read = completion(&[0xF0, 0xF0, 0xF0, 0x9C]).status_enquiry();
    assert_eq!((read.software_version.as_deref(), read.terminal_status), (Some(""), Some(0x9C)));
}

#[test]
fn the_terminals_clock() {
    let Reply::SetClock { date, time } = parse(&[4, 1, 8, 0xAA, 0x26, 0x11, 0x22, 0x0C, 0x09, 0x08, 0x07]) else {
        panic!("not a clock");
    };
    assert_eq!(date, Some(Date { year: 2026, month: 11, day: 22 }));
    assert_eq!(time, Some(TimeOfDay { hour: 9, minute: 8, second: 7 }));
}

#[test]
fn questions_of_the_terminal() {
    let menu = b"\x2B\x12\x2C\x07\x07\x02OK\x19\x01\x01\x2C\x07\x07\x02No\x19\x01\x02";
    let fields = Fields::new().with_tlv(&Tlv::parse(menu)).expect("it fits").encode();
    let read = Reply::parse(&Apdu::new(control::MENU_WITH_PICTURE, fields), Charset::Cp437);
    assert_eq!(format!("{read:?}"), "Menu(Menu(2 entries, picture true))");
    let entry = |text: &str, result| MenuEntry { text: text.into(), result: vec![result] };
    assert!(read == Reply::Menu(Menu { with_picture: true, entries: vec![entry("OK", 1), entry("No", 2)] }));
    let input = b"\x32\x0F\x24\x04\x07\x02km\x1F\x38\x01\x01\x1F\x39\x02\x00\x3C";
    let fields = Fields::new().with_tlv(&Tlv::parse(input)).expect("it fits").encode();
    let expected = InputRequest { text: Some("km".into()), mode: Some(1), timeout_seconds: Some(60) };
    let read = Reply::parse(&Apdu::new(control::INPUT_REQUEST, fields), Charset::Cp437);
    assert!(read == Reply::InputRequest(expected), "{read:?}");
}

#[test]
fn debug_hides_what_was_said() {
    let texts = Tlv::new().with(tlv::tag::TEXT_LINE, b"MAX MUSTER");
    let tlv = Tlv::new().with_container(tlv::tag::DISPLAY_TEXTS, texts);
    let mut data = vec![0x0A, 0x01];
    data.extend(Fields::new().with_tlv(&tlv).expect("it fits").encode());
    let reply = Reply::parse(&Apdu::new(control::INTERMEDIATE_STATUS, data), Charset::Cp437);
    assert!(matches!(&reply, Reply::IntermediateStatus(read) if read.text.as_deref() == Some("MAX MUSTER")));
    assert!(!format!("{reply:?}").contains("MUSTER"));
}
