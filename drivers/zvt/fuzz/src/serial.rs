//! Are frames cut out of any noise, and none out of noise alone?

use tillswitch_zvt::transport::serial::{Deframer, Heard, encode_frame};

/// Input: the greatest APDU, two sizes of pieces, the length of an APDU of ours (one byte each), that APDU, noise.
pub fn check(input: &[u8]) {
    let Some((&[maximum, one, other, length], rest)) = input.split_first_chunk::<4>() else { return };
    let (apdu, noise) = rest.split_at(usize::from(length).min(rest.len()));
    let maximum = 8 * usize::from(maximum);
    let heard = hear(noise, maximum, [noise.len(), 1]);
    assert!(heard == hear(noise, maximum, [1 + usize::from(one), 1 + usize::from(other)]), "the pieces count");
    assert!(heard.0.len() <= noise.len(), "more was heard than came");
    check_frames(noise, &heard.0, maximum);
    if apdu.len() <= maximum {
        check_recovery(noise, apdu, maximum);
    }
}

/// What is heard, and whether a frame is left open.
fn hear(noise: &[u8], maximum: usize, sizes: [usize; 2]) -> (Vec<Heard>, bool) {
    let mut deframer = Deframer::new(maximum);
    let mut heard = Vec::new();
    let mut rest = noise;
    for size in sizes.into_iter().cycle() {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        deframer.push(piece);
        heard.extend(deframer.by_ref());
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    (heard, deframer.is_within_frame())
}

/// Every frame that was heard was sent, byte by byte and in this order.
fn check_frames(noise: &[u8], heard: &[Heard], maximum: usize) {
    let frames = heard.iter().filter_map(|heard| if let Heard::Frame(apdu) = heard { Some(apdu) } else { None });
    frames.fold(noise, |rest, apdu| {
        assert!(apdu.len() <= maximum, "a frame is too long");
        let frame = encode_frame(apdu);
        let place = rest.windows(frame.len()).position(|window| window == frame);
        &rest[place.expect("a frame was heard that nobody sent") + frame.len()..]
    });
}

/// The timeout within a frame makes the next one heard at once; without it the first repetition is.
fn check_recovery(noise: &[u8], apdu: &[u8], maximum: usize) {
    let (mut given_up, mut left_open) = (Deframer::new(maximum), Deframer::new(maximum));
    for deframer in [&mut given_up, &mut left_open] {
        deframer.push(noise);
        deframer.by_ref().for_each(drop);
    }
    given_up.give_up();
    assert!(hears(&mut given_up, apdu), "a frame behind a timeout was not heard");
    assert!(hears(&mut left_open, apdu) || hears(&mut left_open, apdu), "two equal frames were not heard");
    assert!(!left_open.is_within_frame());
}

fn hears(deframer: &mut Deframer, apdu: &[u8]) -> bool {
    deframer.push(&encode_frame(apdu));
    deframer.by_ref().fold(false, |found, heard| found | (heard == Heard::Frame(apdu.to_vec())))
}
