//! Whether serial frames of real terminals, and of other people's tests, are cut out and written as they are.

use tillswitch_zvt::apdu::Apdu;
use tillswitch_zvt::transport::serial::{Deframer, Heard, encode_frame};

/// What each frame of `frames.txt` is, its bytes, and the bytes of its APDU.
fn frames() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let blocks = include_str!("frames.txt").split("\n\n").skip(1);
    blocks
        .map(|block| match block.trim().split('\n').collect::<Vec<_>>()[..] {
            [name, frame, apdu] => (name, bytes_of(frame), bytes_of(apdu)),
            _ => panic!("a frame needs a name and two lines of bytes: {block:?}"),
        })
        .collect()
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let byte = |text| u8::from_str_radix(text, 16).unwrap_or_else(|_| panic!("{text:?} is not a byte"));
    hex.split_whitespace().map(byte).collect()
}

#[test]
fn every_frame_holds_its_apdu() {
    let frames = frames();
    assert!(frames.len() > 30, "frames.txt was not read");
    for (name, frame, apdu) in frames {
        let mut deframer = Deframer::new(1024);
        deframer.push(&frame);
        assert_eq!(deframer.next(), Some(Heard::Frame(apdu.clone())), "{name}");
        assert_eq!(deframer.next(), None, "{name}");
        assert_eq!(encode_frame(&apdu), frame, "{name}");
        assert!(Apdu::decode(&apdu).is_ok(), "{name}");
    }
}

#[test]
fn any_fragmentation_yields_the_same_frames() {
    let frames = frames();
    let stream: Vec<u8> = frames.iter().flat_map(|(_, frame, _)| frame.clone()).collect();
    let expected: Vec<Heard> = frames.into_iter().map(|(_, _, apdu)| Heard::Frame(apdu)).collect();
    for size in [1, 2, 3, 5, 7, 64, stream.len()] {
        let mut deframer = Deframer::new(1024);
        let mut seen = Vec::new();
        for piece in stream.chunks(size) {
            deframer.push(piece);
            seen.extend(deframer.by_ref());
        }
        assert!(seen == expected, "pieces of {size}");
    }
}

#[test]
fn every_beginning_of_a_frame_asks_for_more() {
    for (name, frame, apdu) in frames() {
        for end in 0..frame.len() {
            let mut deframer = Deframer::new(1024);
            deframer.push(&frame[..end]);
            assert_eq!(deframer.next(), None, "{name}, {end} bytes");
            deframer.push(&frame[end..]);
            assert_eq!(deframer.next(), Some(Heard::Frame(apdu.clone())), "{name}, {end} bytes");
        }
    }
}
