//! Does the network's cutting of a stream change its messages?

use tillswitch_zvt::apdu::{Apdu, ApduDecoder, ApduError};

/// What a decoder made of a stream: the messages, and how it ended.
#[derive(PartialEq, Eq)]
struct Read {
    messages: Vec<Apdu>,
    end: Result<usize, ApduError>,
}

/// Input: the greatest data block (two bytes), two sizes of pieces (one byte each), the stream.
pub fn check(input: &[u8]) {
    let Some((&[low, high, one, other], stream)) = input.split_first_chunk::<4>() else { return };
    let maximum = usize::from(u16::from_le_bytes([low, high]));
    let whole = read(stream, maximum, [stream.len(), 1]);
    let pieces = read(stream, maximum, [1 + usize::from(one), 1 + usize::from(other)]);
    assert!(whole == pieces, "the pieces of a stream make other messages than the whole");
    let rest = place_in_stream(stream, &whole.messages, maximum);
    match whole.end {
        Ok(pending) => assert_eq!(pending, rest.len(), "bytes were lost or invented"),
        Err(error) => assert_eq!(error, too_long(rest, maximum)),
    }
    whole.messages.iter().for_each(check_message);
}

fn read(stream: &[u8], maximum: usize, sizes: [usize; 2]) -> Read {
    let mut decoder = ApduDecoder::new(maximum);
    let mut messages = Vec::new();
    let mut rest = stream;
    for size in sizes.into_iter().cycle() {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        decoder.push(piece);
        loop {
            match decoder.next_apdu() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return Read { messages, end: Err(error) },
            }
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    Read { messages, end: Ok(decoder.pending()) }
}

/// Finds every message again where it must stand, and returns what follows the last one.
fn place_in_stream<'a>(stream: &'a [u8], messages: &[Apdu], maximum: usize) -> &'a [u8] {
    messages.iter().fold(stream, |rest, message| {
        let header = if rest[2] == 0xFF { 5 } else { 3 };
        let (whole, after) = rest.split_at(header + message.data.len());
        assert!(message.data.len() <= maximum && whole[..2] == message.control() && whole[header..] == message.data);
        assert!(Apdu::decode(whole).as_ref() == Ok(message), "a message by itself is another one");
        after
    })
}

fn too_long(rest: &[u8], maximum: usize) -> ApduError {
    let length = match rest[2] {
        0xFF => usize::from(u16::from_le_bytes([rest[3], rest[4]])),
        short => short.into(),
    };
    assert!(length > maximum, "a message that is not too long was refused");
    ApduError::TooLong { length, maximum }
}

fn check_message(message: &Apdu) {
    let bytes = message.encode().expect("a message that was read has a length that can be written");
    assert!(Apdu::decode(&bytes).as_ref() == Ok(message), "a message is read as it was written");
    assert_eq!(Apdu::decode(&bytes[..bytes.len() - 1]), Err(ApduError::Truncated));
    assert_eq!(Apdu::decode(&[&bytes[..], &[0]].concat()), Err(ApduError::Trailing));
}
