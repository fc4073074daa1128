//! A ZVT terminal that tells card numbers in every field, on every slip and in every text.

use std::collections::VecDeque;

use tillswitch_zvt::apdu::{Apdu, ApduDecoder, control};
use tillswitch_zvt::bcd;
use tillswitch_zvt::fields::Fields;
use tillswitch_zvt::tlv::Tlv;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::Pool;
use super::numbers::Numbers;

/// A payment of this amount ends in garbage.
pub const GARBLED: u64 = 6660;
const TERMINAL: &str = "29001612";
/// Fields that hold card data or a text (BMPs), and containers' tags.
const FIELDS: [u8; 8] = [0x22, 0x23, 0x24, 0x2D, 0x2E, 0x3C, 0x8B, 0xE8];
const TAGS: [u32; 16] = [
    0x07, 0x1F08, 0x1F09, 0x1F0A, 0x1F14, 0x1F1A, 0x1F2A, 0x1F3E, 0x1F5E, 0x1F66, 0x4C, 0x4D, 0x4E, 0x1F8007, 0x9F5B,
    0xFF40,
];

/// Its address.
pub async fn start(pool: Pool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut payments = 0;
        while let Ok((stream, _)) = listener.accept().await {
            converse(stream, &pool, &mut payments).await;
        }
    });
    address
}

/// Says what it has to say one after the other, each when the one before was acknowledged.
async fn converse(mut stream: TcpStream, pool: &Pool, payments: &mut u32) {
    let mut decoder = ApduDecoder::new(4096);
    let mut to_say: VecDeque<Vec<u8>> = VecDeque::new();
    loop {
        let heard = match decoder.next_apdu() {
            Ok(Some(heard)) => heard,
            Ok(None) => {
                let mut buffer = [0; 1024];
                match stream.read(&mut buffer).await {
                    Ok(count) if count > 0 => decoder.push(&buffer[..count]),
                    _ => return,
                }
                continue;
            }
            Err(_) => return,
        };
        let mut say = Vec::new();
        if !heard.is_answer() {
            to_say = answers(&heard, pool, payments).into();
            say.extend([0x80, 0x00, 0x00]);
        }
        say.extend(to_say.pop_front().unwrap_or_default());
        if stream.write_all(&say).await.is_err() {
            return;
        }
    }
}

fn answers(heard: &Apdu, pool: &Pool, payments: &mut u32) -> Vec<Vec<u8>> {
    match heard.control() {
        [0x06, 0x00] => vec![frame(control::COMPLETION, &status(0, *payments).encode())],
        [0x06, 0x01] => {
            *payments += 1;
            let is_garbled = Fields::parse(&heard.data).amount_minor() == Some(GARBLED);
            payment(&mut pool.lock().unwrap(), if is_garbled { 7 } else { *payments % 7 }, *payments)
        }
        [0x06, 0x20] => {
            vec![frame(control::STATUS_INFORMATION, &status(0, *payments).encode()), frame(control::COMPLETION, &[])]
        }
        [0x05, 0x01] => vec![frame(control::COMPLETION, &[0x00])],
        [0x06, 0x02] => Vec::new(),
        _ => vec![frame(control::COMPLETION, &[])],
    }
}

/// What it says about one payment: most are approved, some declined, some stopped, and one is garbled.
fn payment(numbers: &mut Numbers, kind: u32, count: u32) -> Vec<Vec<u8>> {
    let mut said = texts(numbers);
    match kind {
        5 => {
            said.push(frame(control::STATUS_INFORMATION, &result(numbers, 0x6C, count).encode()));
            said.push(frame(control::ABORT, &[&[0x6C], result(numbers, 0x6C, count).encode().as_slice()].concat()));
        }
        6 => said.push(frame(control::ABORT, &[&[0x6C], result(numbers, 0x6C, count).encode().as_slice()].concat())),
        7 => said.extend(garbage(numbers)),
        _ => {
            said.push(frame(control::STATUS_INFORMATION, &result(numbers, 0, count).encode()));
            said.push(frame(control::COMPLETION, &Fields::new().with_tlv(&tags(numbers)).unwrap().encode()));
        }
    }
    said
}

/// Everything that it can say, for whoever explains frames.
pub fn frames(numbers: &mut Numbers) -> Vec<Vec<u8>> {
    (4..8).flat_map(|kind| payment(numbers, kind, 1)).filter(|frame| Apdu::decode(frame).is_ok()).collect()
}

/// Intermediate texts, slips by line and by block.
fn texts(numbers: &mut Numbers) -> Vec<Vec<u8>> {
    let mut said = Vec::new();
    for text in [format!("Karte {}", numbers.printed()), numbers.printed(), numbers.in_any_form()] {
        let tlv = Tlv::new().with_container(0x24, Tlv::new().with(0x07, text.as_bytes()));
        let data = [&[0x0E, 0x00], Fields::new().with_tlv(&tlv).unwrap().encode().as_slice()].concat();
        said.push(frame(control::INTERMEDIATE_STATUS, &data));
    }
    said.extend(slip(numbers).iter().map(|line| frame(control::PRINT_LINE, &[&[0x00], line.as_bytes()].concat())));
    said.push(frame(control::PRINT_LINE, &[&[0x81], b"Danke".as_slice()].concat()));
    let lines = slip(numbers).iter().fold(Tlv::new(), |lines, line| lines.with(0x07, line.as_bytes()));
    let block = Tlv::new().with(0x1F07, &[0x02]).with_container(0x25, lines);
    said.push(frame(control::PRINT_BLOCK, &Fields::new().with_tlv(&block).unwrap().encode()));
    said
}

/// Lines with numbers: plain, in groups, between words, and over two lines.
fn slip(numbers: &mut Numbers) -> Vec<String> {
    let (split, grouped) = (numbers.next(), numbers.next());
    let (front, back) = split.split_at(split.len() / 2);
    let (first, second) = grouped.split_at(8);
    vec![
        format!("KARTE {}", numbers.printed()),
        numbers.printed(),
        format!("Nr.{} EUR 25,90", numbers.next()),
        front.to_owned(),
        back.to_owned(),
        "Betrag".to_owned(),
        format!("PAN {} {}", &first[..4], &first[4..]),
        format!("    {} {}", &second[..4], &second[4..]),
    ]
}

/// Result, receipt and time, and no card.
fn status(code: u8, count: u32) -> Fields {
    let fields = Fields::new().with_result_code(code).unwrap().with_receipt_number(&format!("{count:04}")).unwrap();
    fields.with_terminal_id(TERMINAL).unwrap().with_currency(978).unwrap()
}

/// The same with numbers in every field.
fn result(numbers: &mut Numbers, code: u8, count: u32) -> Fields {
    let mut fields = status(code, count).with_amount(2590).unwrap();
    for tag in FIELDS {
        let number = numbers.next();
        let value = match tag {
            0x22..=0x24 => bcd::from_card_number(&number).unwrap(),
            0x2D => format!("B{number}^MUSTERMANN/MAX^2512101").into_bytes(),
            _ => number.into_bytes(),
        };
        // What does not fit into a field of a fixed length cannot come in it.
        fields = fields.clone().with(tag, &value).unwrap_or(fields);
    }
    fields.with_tlv(&tags(numbers)).unwrap()
}

fn tags(numbers: &mut Numbers) -> Tlv {
    let tags = TAGS.iter().enumerate().fold(Tlv::new(), |tlv, (count, tag)| {
        let value = match count % 2 {
            0 => numbers.printed().into_bytes(),
            _ => bcd::from_card_number(&numbers.next()).unwrap(),
        };
        tlv.with(*tag, &value)
    });
    tags.with_container(0x60, Tlv::new().with(0x43, numbers.next().as_bytes()))
}

/// Frames that cannot be understood, and then silence on a dead line.
fn garbage(numbers: &mut Numbers) -> Vec<Vec<u8>> {
    let number = bcd::from_card_number(&numbers.next()).unwrap();
    let unknown = [&[0x22, 0xF9, 0xF9], number.as_slice()].concat();
    vec![frame(control::STATUS_INFORMATION, &unknown), [&[0x04, 0x0F, 0xFF, 0xFF, 0xFF], number.as_slice()].concat()]
}

fn frame(control: [u8; 2], data: &[u8]) -> Vec<u8> {
    Apdu::new(control, data.to_vec()).encode().unwrap()
}
