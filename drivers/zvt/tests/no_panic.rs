//! Whether anything that a network can deliver makes the parsers panic, or lose bytes.
//!
//! Real messages are damaged at random, with a fixed seed, so that a failure can be repeated.

use tillswitch_zvt::apdu::{Apdu, ApduDecoder, control};
use tillswitch_zvt::charset::Charset;
use tillswitch_zvt::command::Command;
use tillswitch_zvt::fields::Fields;
use tillswitch_zvt::reply::Reply;
use tillswitch_zvt::tlv::Tlv;
use tillswitch_zvt::trace::{self, Direction};

const ROUNDS: usize = 20_000;

/// Xorshift: enough for damage, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        self.next() as u8
    }
}

#[test]
fn damaged_messages() {
    let mut random = Random(0x5EED);
    let messages = messages();
    for _ in 0..ROUNDS {
        let mut bytes = messages[random.below(messages.len())].clone();
        for _ in 0..=random.below(4) {
            damage(&mut bytes, &mut random);
        }
        read_in_every_way(&bytes);
    }
}

#[test]
fn random_bytes() {
    let mut random = Random(0xC0FFEE);
    for _ in 0..ROUNDS {
        let bytes: Vec<u8> = (0..random.below(80)).map(|_| random.byte()).collect();
        read_in_every_way(&bytes);
    }
}

fn messages() -> Vec<Vec<u8>> {
    let is_hex = |line: &&str| line.split(' ').all(|word| word.len() == 2 && u8::from_str_radix(word, 16).is_ok());
    let lines = include_str!("vectors.txt").lines().filter(is_hex);
    let messages: Vec<Vec<u8>> =
        lines.map(|line| line.split(' ').filter_map(|word| u8::from_str_radix(word, 16).ok()).collect()).collect();
    assert!(messages.len() > 60, "vectors.txt was not read");
    messages
}

fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    let place = random.below(bytes.len().max(1));
    match random.below(4) {
        0 => bytes.truncate(place),
        1 => bytes.insert(place.min(bytes.len()), random.byte()),
        2 if !bytes.is_empty() => drop(bytes.remove(place)),
        _ if !bytes.is_empty() => bytes[place] = random.byte(),
        _ => bytes.push(random.byte()),
    }
}

fn read_in_every_way(bytes: &[u8]) {
    decode_in_pieces(bytes);
    assert!(trace::undecodable(Direction::Pt, bytes).is_ascii());
    for control in controls(bytes) {
        let data = bytes.get(2..).unwrap_or_default().to_vec();
        read_message(&Apdu::new(control, data));
    }
    let fields = Fields::parse(bytes);
    assert!(Fields::parse(&fields.encode()) == fields, "fields are read again as they were written");
    let tlv = Tlv::parse(bytes);
    assert!(Tlv::parse(&tlv.encode()) == tlv, "a tree is read again as it was written");
}

/// What is not cut out as a message stays in the decoder, unless it cannot be one.
fn decode_in_pieces(bytes: &[u8]) {
    let mut decoder = ApduDecoder::new(512);
    let mut taken = 0;
    for piece in bytes.chunks(7) {
        decoder.push(piece);
        while let Ok(Some(apdu)) = decoder.next_apdu() {
            taken += apdu.data.len() + 3;
        }
    }
    // A long length field takes two bytes more than counted here.
    assert!(taken + decoder.pending() <= bytes.len());
}

/// The control field that the bytes have, and all that have a parser of their own.
fn controls(bytes: &[u8]) -> Vec<[u8; 2]> {
    let own = bytes.first_chunk::<2>().copied();
    let known = [
        control::REGISTRATION,
        control::STATUS_ENQUIRY,
        control::REVERSAL,
        control::STATUS_INFORMATION,
        control::INTERMEDIATE_STATUS,
        control::COMPLETION,
        control::ABORT,
        control::PRINT_LINE,
        control::PRINT_BLOCK,
        control::SET_CLOCK,
        control::DISPLAY_TEXT,
    ];
    own.into_iter().chain(known).collect()
}

fn read_message(apdu: &Apdu) {
    assert!(trace::line(Direction::Pt, apdu).starts_with("PT> "));
    if let Ok(command) = Command::parse(apdu) {
        let _ = command.encode();
    }
    match Reply::parse(apdu, Charset::Cp437) {
        Reply::StatusInformation(fields) => read_fields(&fields),
        Reply::Completion(completion) => {
            let _ = (completion.registration(), completion.status_enquiry());
        }
        Reply::Abort(abort) => read_fields(&abort.fields),
        _ => {}
    }
}

fn read_fields(fields: &Fields) {
    let _ = (fields.amount_minor(), fields.currency(), fields.trace_number(), fields.receipt_number());
    let _ = (fields.terminal_id(), fields.date(), fields.time(), fields.last4(), fields.card_type());
    for charset in [Charset::Cp437, Charset::Utf8, Charset::Iso8859_2, Charset::Zvt7Bit] {
        let _ = (fields.card_scheme(charset), fields.message(charset), fields.display_text(charset));
    }
}
