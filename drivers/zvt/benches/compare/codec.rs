//! How long does our codec take for the messages of a payment, and how long the crate `zvt`?
//!
//! Both write the same bytes and read the same values, which is asserted before anything is measured. What a caller
//! would hold on to is made: texts where ours are texts, numbers where the crate's are numbers.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tillswitch_zvt::apdu::{Apdu, control};
use tillswitch_zvt::charset::Charset;
use tillswitch_zvt::clock::{MonthDay, TimeOfDay};
use tillswitch_zvt::command::{Command, Password};
use tillswitch_zvt::fields::Fields;
use tillswitch_zvt::registration::Registration;
use tillswitch_zvt::reply::Reply;
use tillswitch_zvt::slip::{LineAttribute, PrintBlock, SlipKind};
use tillswitch_zvt::tlv::{Tlv, tag};
use zvt::packets::{self, tlv};
use zvt::{Zvt, ZvtSerializer, encoding, length};

const EUR: u16 = 978;
const CHARSET: Charset = Charset::Cp437;

/// Authorization (06 01), which the crate lacks, by its own derive macro, as its pre-authorization is made.
#[derive(Debug, PartialEq, Zvt)]
#[zvt_control_field(class = 0x06, instr = 0x01)]
struct Authorization {
    #[zvt_bmp(number = 0x04, length = length::Fixed<6>, encoding = encoding::Bcd)]
    amount: Option<usize>,
    #[zvt_bmp(number = 0x49, length = length::Fixed<2>, encoding = encoding::Bcd)]
    currency: Option<usize>,
}

fn our_authorization(amount: u64) -> Vec<u8> {
    Command::authorization(amount, Some(EUR)).expect("it fits").encode().encode().expect("it is short")
}

fn their_authorization(amount: usize) -> Vec<u8> {
    Authorization { amount: Some(amount), currency: Some(EUR.into()) }.zvt_serialize()
}

fn our_registration(password: Password, maximum_apdu: u16) -> Vec<u8> {
    let container = Tlv::new().with(tag::MAXIMUM_APDU, &maximum_apdu.to_be_bytes());
    let fields = Fields::new().with_tlv(&container).expect("it fits");
    let registration = Registration { password, config_byte: 0xBE, currency: Some(EUR), fields };
    Command::Registration(registration).encode().encode().expect("it is short")
}

fn their_registration(password: usize, maximum_apdu: u16) -> Vec<u8> {
    let tlv = Some(tlv::Registration { max_len_adpu: Some(maximum_apdu) });
    packets::Registration { password, config_byte: 0xBE, currency: Some(EUR.into()), tlv }.zvt_serialize()
}

/// What a payment's result is made of.
#[derive(Debug, PartialEq)]
struct Status<Number, Date, Time> {
    result: Option<u8>,
    amount: Option<u64>,
    trace: Option<Number>,
    receipt: Option<Number>,
    date: Option<Date>,
    time: Option<Time>,
    terminal_id: Option<Number>,
    card_name: Option<String>,
}

fn our_status(bytes: &[u8]) -> Status<String, MonthDay, TimeOfDay> {
    let apdu = Apdu::decode(bytes).expect("a whole message");
    let Reply::StatusInformation(fields) = Reply::parse(&apdu, CHARSET) else { panic!("no status information") };
    Status {
        result: fields.result_code(),
        amount: fields.amount_minor(),
        trace: fields.trace_number(),
        receipt: fields.receipt_number(),
        date: fields.date(),
        time: fields.time(),
        terminal_id: fields.terminal_id(),
        card_name: fields.card_name(CHARSET),
    }
}

fn their_status(bytes: &[u8]) -> Status<usize, usize, usize> {
    let (read, _) = packets::StatusInformation::zvt_deserialize(bytes).expect("a whole message");
    Status {
        result: read.result_code,
        amount: read.amount.map(|amount| amount as u64),
        trace: read.trace_number,
        receipt: read.receipt_no,
        date: read.date,
        time: read.time,
        terminal_id: read.terminal_id,
        card_name: read.card_name,
    }
}

fn our_slip(bytes: &[u8]) -> PrintBlock {
    let apdu = Apdu::decode(bytes).expect("a whole message");
    match Reply::parse(&apdu, CHARSET) {
        Reply::PrintBlock(block) => block,
        _ => panic!("no block of a slip"),
    }
}

fn their_slip(bytes: &[u8]) -> tlv::PrintTextBlock {
    let (block, _) = packets::PrintTextBlock::zvt_deserialize(bytes).expect("a whole message");
    block.tlv.expect("a container")
}

/// 04 0F of 96 bytes with seventeen fields.
fn status_message() -> Vec<u8> {
    let build = || {
        let fields = Fields::new().with_result_code(0)?.with_amount(2590)?.with(0x19, &[0x60])?.with_currency(EUR)?;
        let fields = fields.with_trace_number("000087")?.with(0x0C, &[0x13, 0x24, 0x26])?.with(0x0D, &[0x11, 0x24])?;
        let fields = fields.with(0x0E, &[0x28, 0x11])?.with(0x17, &[0, 1])?.with_receipt_number("0343")?;
        let fields = fields.with_card_number("************4771")?.with_terminal_id("29001612")?;
        let fields = fields.with(0x2A, b"804011926      ")?.with_authorization_code("482948")?;
        fields.with(0x8A, &[6])?.with_card_name("Mastercard", CHARSET)?.with(0x8C, &[1])
    };
    let fields = build().expect("every value has the form of its field");
    Apdu::new(control::STATUS_INFORMATION, fields.encode()).encode().expect("it is short")
}

/// 06 D3 of 1.1 KB: a customer's slip with umlauts, as terminals send it.
fn slip_message() -> Vec<u8> {
    let text = |number: usize| format!("Zeile {number:02} für Größe, Übung usw.");
    let texts = (0..33).fold(Tlv::new(), |texts, line| texts.with(tag::TEXT_LINE, &CHARSET.encode(&text(line))));
    let texts = texts.with(tag::TEXT_ATTRIBUTE, &[LineAttribute::LINE_FEED.0]);
    let block = Tlv::new().with(tag::RECEIPT_KIND, &[SlipKind::Customer.tag_value()]);
    let fields = Fields::new().with_tlv(&block.with_container(tag::PRINT_TEXTS, texts)).expect("it fits");
    Apdu::new(control::PRINT_BLOCK, fields.encode()).encode().expect("it fits")
}

/// The same bytes written, the same values read.
fn assert_equal(password: Password, status: &[u8], slip: &[u8]) {
    assert_eq!(our_authorization(2590), their_authorization(2590));
    assert_eq!(our_registration(password, 0x1000), their_registration(123_456, 0x1000));
    assert_eq!(status.len(), 96);
    let (ours, theirs) = (our_status(status), their_status(status));
    let digits = |number: Option<usize>, width| number.map(|number| format!("{number:0width$}"));
    assert_eq!((ours.result, ours.amount, &ours.card_name), (theirs.result, theirs.amount, &theirs.card_name));
    assert_eq!((&ours.trace, &ours.receipt), (&digits(theirs.trace, 6), &digits(theirs.receipt, 4)));
    assert_eq!(ours.terminal_id, digits(theirs.terminal_id, 8));
    let date = ours.date.map(|date| usize::from(date.month) * 100 + usize::from(date.day));
    let time = ours.time.map(|time| [time.hour, time.minute, time.second]);
    let time = time.map(|parts| parts.iter().fold(0, |number, part| number * 100 + usize::from(*part)));
    assert_eq!((date, time), (theirs.date, theirs.time));
    assert!((1050..1150).contains(&slip.len()), "{} bytes", slip.len());
    let (ours, theirs) = (our_slip(slip), their_slip(slip));
    let lines: Vec<String> = ours.lines.into_iter().map(|line| line.text).collect();
    assert_eq!(Some(&lines), theirs.lines.as_ref().map(|texts| &texts.lines));
    assert_eq!(ours.kind.map(SlipKind::tag_value), theirs.receipt_type);
}

fn compare(criterion: &mut Criterion) {
    let password = Password::new("123456").expect("six digits");
    let (status, slip) = (status_message(), slip_message());
    assert_equal(password, &status, &slip);
    let mut pair = |name: &str, ours: &dyn Fn(), theirs: &dyn Fn()| {
        let mut group = criterion.benchmark_group(name);
        group.bench_function("tillswitch", |bencher| bencher.iter(ours));
        group.bench_function("zvt 0.1.0", |bencher| bencher.iter(theirs));
        group.finish();
    };
    pair("encode authorization", &|| drop(black_box(our_authorization(black_box(2590)))), &|| {
        drop(black_box(their_authorization(black_box(2590))))
    });
    pair("encode registration", &|| drop(black_box(our_registration(black_box(password), black_box(0x1000)))), &|| {
        drop(black_box(their_registration(black_box(123_456), black_box(0x1000))))
    });
    pair("decode status information, 96 bytes", &|| drop(black_box(our_status(black_box(&status)))), &|| {
        drop(black_box(their_status(black_box(&status))))
    });
    pair("decode text block, 1.1 KB", &|| drop(black_box(our_slip(black_box(&slip)))), &|| {
        drop(black_box(their_slip(black_box(&slip))))
    });
}

criterion_group!(benches, compare);
criterion_main!(benches);
