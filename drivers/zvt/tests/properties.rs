//! What holds for every message, and not only for those that somebody has seen.
//!
//! The cases are drawn with a fixed seed, so that a failure comes again, and few enough that this takes seconds.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::RngSeed;
use tillswitch_zvt::answer::ResultAnswer;
use tillswitch_zvt::apdu::{Apdu, ApduDecoder, ApduError, MAXIMUM_DATA};
use tillswitch_zvt::bcd;
use tillswitch_zvt::bmp::{Encoding, Length};
use tillswitch_zvt::charset::Charset;
use tillswitch_zvt::command::{Command, Password};
use tillswitch_zvt::fields::Fields;
use tillswitch_zvt::registration::{Abilities, Registration};
use tillswitch_zvt::reply::Reply;
use tillswitch_zvt::slip::{LineAttribute, PrintBlock, SlipKind, SlipLine, print_block};
use tillswitch_zvt::tables::bmps::BMPS;
use tillswitch_zvt::tables::commands::COMMANDS;
use tillswitch_zvt::tables::tags::{self, TAGS};
use tillswitch_zvt::tlv::Tlv;
use tillswitch_zvt::totals::Totals;
use tillswitch_zvt::trace::{self, Direction};

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(0x5EED), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(3_000))]

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in vec(any::<u8>(), 0..200)) {
        read_in_every_way(&bytes);
    }

    #[test]
    fn no_damaged_message_makes_a_parser_panic(apdu in message(), place in any::<Index>(), byte in any::<u8>()) {
        let mut bytes = apdu.encode().expect("drawn messages are short");
        let place = place.index(bytes.len());
        bytes[place] = byte;
        read_in_every_way(&bytes);
    }

    #[test]
    fn fields_are_read_as_they_were_written(fields in fields()) {
        prop_assert_eq!(Fields::parse(&fields.encode()), fields);
    }

    #[test]
    fn containers_are_read_as_they_were_written(tlv in tlv()) {
        let read = Tlv::parse(&tlv.encode());
        prop_assert!(read.undecoded().is_empty());
        prop_assert_eq!(read, tlv);
    }

    #[test]
    fn what_is_read_is_written_again_with_the_same_meaning(bytes in vec(any::<u8>(), 0..80)) {
        let fields = Fields::parse(&bytes);
        prop_assert_eq!(Fields::parse(&fields.encode()), fields);
        let tlv = Tlv::parse(&bytes);
        prop_assert_eq!(Tlv::parse(&tlv.encode()), tlv);
    }

    #[test]
    fn commands_are_read_as_they_were_written(command in command()) {
        let apdu = command.encode();
        let bytes = apdu.encode().expect("drawn commands are short");
        let read = Command::parse(&Apdu::decode(&bytes).expect("a whole message"));
        prop_assert_eq!(read, Ok(command));
    }

    #[test]
    fn answers_to_a_result_are_read_as_they_were_written(amount_minor in 0..1_000_000_000_000_u64, code in 1..=0x9B_u8) {
        for answer in [ResultAnswer::PartlyIssued { amount_minor }, ResultAnswer::NotIssued { code }] {
            prop_assert_eq!(ResultAnswer::parse(&answer.encode().expect("twelve digits fit")), Some(answer));
        }
    }

    #[test]
    fn what_follows_an_unknown_tag_is_still_read(value in vec(any::<u8>(), 0..40), tag in unknown_tag()) {
        let tlv = Tlv::new().with(tag, &value).with(0x41, &[0x05]);
        prop_assert_eq!(Fields::parse(&Fields::new().with_tlv(&tlv).expect("it fits").encode()).card_type(), Some(5));
        let read = Tlv::parse(&tlv.encode());
        prop_assert_eq!(read.find(&[tag]), Some(value.as_slice()));
    }

    #[test]
    fn the_order_of_fields_does_not_matter(fields in vec(select(BMPS).prop_flat_map(|bmp| value(bmp.length).prop_map(move |value| (bmp.tag, value))), 0..6)) {
        let built = |order: Vec<&(u8, Vec<u8>)>| {
            order.into_iter().fold(Fields::new(), |fields, (tag, value)| fields.with(*tag, value).expect("it fits"))
        };
        let (forth, back) = (built(fields.iter().collect()), built(fields.iter().rev().collect()));
        prop_assert_eq!(forth.result_code(), back.result_code());
        prop_assert_eq!(forth.amount_minor(), back.amount_minor());
        prop_assert_eq!(forth.receipt_number(), back.receipt_number());
        prop_assert_eq!(forth.card_type(), back.card_type());
        prop_assert_eq!(forth.totals(), back.totals());
    }

    #[test]
    fn texts_survive_their_character_set(text in vec(select("AZaz09 ÄÖÜäöüß".chars().collect::<Vec<_>>()), 0..30)) {
        let text: String = text.into_iter().collect();
        for charset in [Charset::Cp437, Charset::Iso8859_1, Charset::Iso8859_2, Charset::Iso8859_15, Charset::Utf8, Charset::Zvt7Bit] {
            prop_assert_eq!(charset.decode(&charset.encode(&text)), text.as_str());
        }
    }

    #[test]
    fn slips_are_read_as_they_were_written(lines in vec((select(&[0x00, 0x40, 0x20, 0x13][..]), "[ -Z]{0,24}"), 1..12), kind in kind()) {
        let lines: Vec<SlipLine> = lines.into_iter().map(|(bits, text)| SlipLine::new(LineAttribute(bits), text)).collect();
        for charset in [Charset::Cp437, Charset::Utf8] {
            let written = print_block(kind, &lines, charset).encode();
            let read = PrintBlock::parse(&written, Charset::Cp437);
            prop_assert_eq!((read.kind, read.ends_slip), (Some(kind), true));
            prop_assert!(read.lines == lines);
        }
    }
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn every_prefix_asks_for_more(apdus in vec(message(), 1..4)) {
        let stream = joined(&apdus);
        for end in 0..stream.len() {
            let mut decoder = ApduDecoder::new(MAXIMUM_DATA);
            decoder.push(&stream[..end]);
            let read = drained(&mut decoder);
            prop_assert!(read.len() < apdus.len() && read == apdus[..read.len()]);
        }
        let first = apdus[0].encode().expect("drawn messages are short");
        for end in 0..first.len() {
            prop_assert_eq!(Apdu::decode(&first[..end]), Err(ApduError::Truncated));
        }
    }

    #[test]
    fn a_stream_means_the_same_however_it_is_cut(apdus in vec(message(), 1..5), cuts in vec(any::<Index>(), 0..8)) {
        let stream = joined(&apdus);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).chain([0, stream.len()]).collect();
        cuts.sort_unstable();
        let mut decoder = ApduDecoder::new(MAXIMUM_DATA);
        let mut read = Vec::new();
        for piece in cuts.windows(2) {
            decoder.push(&stream[piece[0]..piece[1]]);
            read.extend(drained(&mut decoder));
        }
        prop_assert!(read == apdus && decoder.pending() == 0);
    }
}

proptest! {
    #![proptest_config(config(3_000))]

    /// Also where it does not belong: in any field with a length of its own, in any tag, in any command.
    #[test]
    fn a_card_number_is_never_shown(number in card_number(), form in 0..4_usize, place in place(), row in select(COMMANDS), before in fields()) {
        let form = form_of(&number, form);
        let fields = match place {
            Place::Field(tag) => before.with(tag, &form).expect("a card number fits"),
            Place::Tag(tag) => before.with_tlv(&Tlv::new().with(tag, &form)).expect("it fits"),
            Place::Inside(parent, tag) => {
                let tlv = Tlv::new().with_container(parent, Tlv::new().with(tag, &form));
                before.with_tlv(&tlv).expect("it fits")
            }
        };
        let positional: usize = row.positional.iter().map(|part| part.size).sum();
        let apdu = Apdu::new(row.control, [vec![0; positional], fields.encode()].concat());
        for shown in shown(&apdu) {
            prop_assert!(!shows(&shown, &number), "{} shows {}", shown, number);
        }
    }
}

/// All that a log, an error or a debugger can print of a message.
fn shown(apdu: &Apdu) -> Vec<String> {
    let command = Command::parse(apdu);
    let mut shown = vec![
        trace::line(Direction::Pt, apdu),
        trace::line(Direction::Ecr, apdu),
        trace::undecodable(Direction::Pt, &apdu.data),
        format!("{apdu:?} {:#?} {:?}", command, Fields::parse(&apdu.data)),
        format!("{:?}", Fields::parse(&apdu.data).tlv()),
    ];
    shown.extend(command.err().map(|error| error.to_string()));
    for charset in [Charset::Cp437, Charset::Utf8] {
        let reply = Reply::parse(apdu, charset);
        shown.push(format!("{reply:?}"));
        if let Reply::Completion(completion) = reply {
            shown.push(format!("{:?}", completion.fields()));
        }
    }
    // The getters that a payment's answer takes as they are.
    let fields = Fields::parse(&apdu.data);
    shown.extend(
        [fields.trace_number(), fields.authorization_code(), fields.terminal_id(), fields.receipt_number()]
            .into_iter()
            .flatten(),
    );
    shown.push(format!("{:?} {:?} {:?}", fields.tip_minor(), fields.cashback_minor(), fields.converted_amounts()));
    shown
}

/// Six digits of the number in a row, apart from the last four, as text or as hexadecimal ASCII.
fn shows(shown: &str, number: &str) -> bool {
    number.as_bytes()[..number.len() - 1].windows(6).any(|part| {
        let hex: String = part.iter().map(|byte| format!("{byte:02X}")).collect();
        shown.contains(&*String::from_utf8_lossy(part)) || shown.to_uppercase().contains(&hex)
    })
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Field(u8),
    Tag(u32),
    Inside(u32, u32),
}

fn place() -> impl Strategy<Value = Place> {
    let fields = BMPS.iter().filter(|bmp| matches!(bmp.length, Length::Llvar | Length::Lllvar)).map(|bmp| bmp.tag);
    let plain = TAGS.iter().filter(|row| row.encoding != Encoding::Objects).map(|row| row.tag);
    let containers = TAGS.iter().filter(|row| row.encoding == Encoding::Objects).map(|row| row.tag);
    let (plain, containers) = (select(plain.collect::<Vec<_>>()), select(containers.collect::<Vec<_>>()));
    prop_oneof![
        select(fields.collect::<Vec<_>>()).prop_map(Place::Field),
        plain.clone().prop_map(Place::Tag),
        (containers, plain).prop_map(|(parent, tag)| Place::Inside(parent, tag)),
    ]
}

/// 13 to 19 digits with a valid check digit, such as no date, amount or number of a terminal begins with.
fn card_number() -> impl Strategy<Value = String> {
    "[3-6][1-9]{11,17}".prop_map(|body| {
        let doubled =
            |(place, digit): (usize, u32)| if place % 2 == 0 { digit * 2 / 10 + digit * 2 % 10 } else { digit };
        let sum: u32 = body.chars().rev().filter_map(|digit| digit.to_digit(10)).enumerate().map(doubled).sum();
        format!("{body}{}", (10 - sum % 10) % 10)
    })
}

fn form_of(number: &str, form: usize) -> Vec<u8> {
    match form {
        0 => bcd::from_card_number(number).expect("it is digits"),
        1 => number.into(),
        2 => format!("{number}=25122010000").into(),
        _ => number.as_bytes().chunks(4).collect::<Vec<_>>().join(&b' '),
    }
}

fn read_in_every_way(bytes: &[u8]) {
    let mut decoder = ApduDecoder::new(MAXIMUM_DATA);
    decoder.push(bytes);
    let whole = drained(&mut decoder);
    let control = bytes.first_chunk::<2>().copied().unwrap_or_default();
    let rest = Apdu::new(control, bytes.get(2..).unwrap_or_default().to_vec());
    let known = COMMANDS.iter().map(|row| Apdu::new(row.control, rest.data.clone()));
    for apdu in whole.into_iter().chain([rest.clone()]).chain(known) {
        let _ = Command::parse(&apdu).map(|command| (command.moves_money(), command.password(), command.encode()));
        let _ = (ResultAnswer::parse(&apdu), trace::line(Direction::Pt, &apdu));
        if let Reply::Completion(completion) = Reply::parse(&apdu, Charset::Cp437) {
            let _ = (completion.registration(), completion.status_enquiry());
        }
    }
    let fields = Fields::parse(bytes);
    let _ = (
        fields.expiry(),
        fields.blocked_goods(),
        fields.totals(),
        fields.operator_card_type(),
        fields.remaining_minor(),
    );
    let _ = (fields.open_pre_authorizations(), fields.bonus(), fields.converted_amounts(), fields.application_id());
    let _ = (
        fields.message(Charset::Utf8),
        fields.card_scheme(Charset::Iso8859_2),
        fields.last4(),
        Totals::from_bytes(bytes),
    );
}

fn drained(decoder: &mut ApduDecoder) -> Vec<Apdu> {
    std::iter::from_fn(|| decoder.next_apdu().expect("nothing is longer than the greatest length")).collect()
}

fn joined(apdus: &[Apdu]) -> Vec<u8> {
    apdus.iter().flat_map(|apdu| apdu.encode().expect("drawn messages are short")).collect()
}

/// A message of any control field, with sound fields or with anything in it, now and then longer than 254 bytes.
fn message() -> impl Strategy<Value = Apdu> {
    let data =
        prop_oneof![fields().prop_map(|fields| fields.encode()), vec(any::<u8>(), 0..40), vec(any::<u8>(), 250..260)];
    let control = prop_oneof![select(COMMANDS).prop_map(|row| row.control), any::<[u8; 2]>()];
    (control, data).prop_map(|(control, data)| Apdu::new(control, data))
}

fn fields() -> impl Strategy<Value = Fields> {
    let field = select(BMPS).prop_flat_map(|bmp| value(bmp.length).prop_map(move |value| (bmp.tag, value)));
    vec(field, 0..6).prop_map(|fields| {
        fields.iter().fold(Fields::new(), |built, (tag, value)| built.with(*tag, value).expect("it was drawn to fit"))
    })
}

fn value(length: Length) -> BoxedStrategy<Vec<u8>> {
    match length {
        Length::Fixed(size) => vec(any::<u8>(), size).boxed(),
        Length::Llvar => vec(any::<u8>(), 0..20).boxed(),
        Length::Lllvar => vec(any::<u8>(), 0..120).boxed(),
        Length::Tlv => tlv().prop_map(|tlv| tlv.encode()).boxed(),
    }
}

fn tlv() -> impl Strategy<Value = Tlv> {
    let plain = select(TAGS.iter().map(|row| row.tag).filter(|tag| is_written_as_meant(*tag)).collect::<Vec<_>>());
    let leaf = vec((plain.clone(), vec(any::<u8>(), 0..20)), 0..4).prop_map(|objects| {
        objects
            .iter()
            .fold(Tlv::new(), |tlv, (tag, value)| if tags::is_container(*tag) { tlv } else { tlv.with(*tag, value) })
    });
    let containers = TAGS.iter().map(|row| row.tag).filter(|tag| tags::is_container(*tag)).collect::<Vec<_>>();
    leaf.prop_recursive(4, 16, 3, move |inner| {
        vec((select(containers.clone()), inner), 0..3).prop_map(|objects| {
            objects.into_iter().fold(Tlv::new(), |tlv, (tag, inner)| tlv.with_container(tag, inner))
        })
    })
}

/// 1F80 to 1F83 end after two bytes in their own place only: their second byte says that a third one follows.
fn is_written_as_meant(tag: u32) -> bool {
    !(0x1F80..=0x1F83).contains(&tag)
}

fn unknown_tag() -> impl Strategy<Value = u32> {
    let one = (0x00..=0xFF_u32).prop_filter("two bytes", |tag| tag & 0x1F != 0x1F);
    let two = (0x00..=0x7F_u32).prop_map(|tag| 0x1F00 | tag);
    prop_oneof![one, two].prop_filter("it is known", |tag| tags::lookup(*tag).is_none())
}

fn kind() -> impl Strategy<Value = SlipKind> {
    select(&[SlipKind::Merchant, SlipKind::Customer, SlipKind::Administration][..])
}

fn password() -> impl Strategy<Value = Password> {
    "[0-9]{1,6}".prop_map(|digits| Password::new(&digits).expect("one to six digits"))
}

fn registration() -> impl Strategy<Value = Command> {
    let abilities =
        (0..=99_u8, any::<u16>(), vec(any::<[u8; 2]>(), 0..4)).prop_map(|(width, apdu, permitted)| Abilities {
            printer_width: Some(width),
            maximum_apdu: Some(apdu),
            permitted_commands: permitted,
            charset: Some(Charset::Iso8859_15),
        });
    (password(), any::<u8>(), 0..1000_u16, any::<u8>(), proptest::option::of(abilities)).prop_map(
        |(password, config, currency, service, abilities)| {
            let built = Registration::new(password, config, currency, service, abilities.as_ref()).expect("it fits");
            assert_eq!(built.abilities(), abilities);
            Command::Registration(built)
        },
    )
}

/// Every command, with whatever fields.
fn command() -> impl Strategy<Value = Command> {
    let empty = vec![Command::Abort, Command::LogOff, Command::Restart, Command::PrintConfiguration, Command::SelfTest];
    let of_fields = (0..11_usize, fields()).prop_map(|(which, fields)| match which {
        0 => Command::Authorization { fields },
        1 => Command::Diagnosis { fields },
        2 => Command::BalanceEnquiry { fields },
        3 => Command::Tip { fields },
        4 => Command::PreAuthorization { fields },
        5 => Command::PartialReversal { fields },
        6 => Command::BookTotal { fields },
        7 => Command::PreAuthorizationReversal { fields },
        8 => Command::ExternalReservationReversal { fields },
        9 => Command::DisplayText { fields },
        _ => Command::SoftwareUpdate { fields },
    });
    let of_password_and_fields =
        (0..10_usize, password(), fields()).prop_map(|(which, password, fields)| match which {
            0 => Command::Refund { password, fields },
            1 => Command::Reversal { password, fields },
            2 => Command::RepeatReceipt { password, fields },
            3 => Command::EndOfDay { password, fields },
            4 => Command::SetTerminalId { password, fields },
            5 => Command::TelephoneAuthorization { password, fields },
            6 => Command::SetClock { password, fields },
            7 => Command::ServiceMode { password, fields },
            8 => Command::TillReport { password, fields },
            _ => Command::StatusEnquiry { password: Some(password), fields },
        });
    let of_password = (0..5_usize, password(), password(), (0..=9999_u16, 0..=9999_u16)).prop_map(
        |(which, password, new, receipts)| match which {
            0 => Command::Initialisation { password },
            1 => Command::TurnoverTotals { password },
            2 => Command::ReprintReceipts { password, receipts },
            3 => Command::SendOfflineTransactions { password },
            _ => Command::ChangePassword { old: password, new },
        },
    );
    let other = vec(any::<u8>(), 0..20).prop_map(|data| Command::Other(Apdu::new([0x0F, 0xA1], data)));
    let language = any::<u8>().prop_map(|language| Command::SelectLanguage { language });
    prop_oneof![1 => select(empty), 4 => of_fields, 4 => of_password_and_fields, 2 => of_password, 2 => registration(), 1 => other, 1 => language]
}
