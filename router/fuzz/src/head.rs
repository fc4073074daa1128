//! Is every request read in one way, within its limits?

use tillswitch::server::Limits;
use tillswitch::server::taken::{Taken, take};

/// Input: how large the pieces are in which it comes (one byte), how small the limits are (one byte), what a client sends.
pub fn check(input: &[u8]) {
    let [piece, small, bytes @ ..] = input else { return };
    let limits = Limits {
        max_head: 64 + usize::from(*small) * 4,
        max_body: usize::from(*small),
        max_headers: 1 + usize::from(*small) % 16,
        ..Limits::default()
    };
    let whole = take(bytes, usize::MAX, &limits);
    let cut = take(bytes, usize::from(*piece), &limits);
    // Of several faults the one counts that is seen first.
    let seen = |taken: &Taken| (taken.requests.clone(), taken.refused.is_some());
    assert!(seen(&cut) == seen(&whole), "the cutting into pieces counts");
    whole.requests.iter().for_each(|request| check_request(request, &limits));
    check_again(&whole, &limits);
}

/// A request as the routes' side gets it: one clear head, a length that is told at most once, and exactly that body.
fn check_request(request: &[u8], limits: &Limits) {
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut parsed = httparse::Request::new(&mut fields);
    let end = parsed.parse(request).expect("what was taken is HTTP").unwrap();
    let values = |name: &str| {
        parsed.headers.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).collect::<Vec<_>>()
    };
    assert!(values("transfer-encoding").is_empty() && values("expect").is_empty() && values("upgrade").is_empty());
    let lengths = values("content-length");
    let length = lengths.first().map_or(0, |field| {
        std::str::from_utf8(field.value).ok().and_then(|digits| digits.parse().ok()).expect("a length is a number")
    });
    assert!(lengths.len() <= 1 && request.len() - end == length, "the length is not the body's");
    assert!(length <= limits.max_body && parsed.headers.len() <= limits.max_headers + 1, "more than allowed was taken");
    // The length is written anew, and a colon gets a blank.
    assert!(end <= limits.max_head + 40 + parsed.headers.len(), "a longer head than allowed was taken");
    assert!(values("host").len() == 1 || parsed.version == Some(0));
    assert!(!request[..end].contains(&0));
}

/// What was taken is taken again as it is. What comes behind it is not touched.
fn check_again(taken: &Taken, limits: &Limits) {
    let roomy = Limits { max_head: limits.max_head * 2 + 200, max_headers: limits.max_headers + 1, ..limits.clone() };
    let all: Vec<u8> = taken.requests.concat();
    let again = take(&all, 7, &roomy);
    assert!(again.requests == taken.requests && again.refused.is_none(), "what was taken is read in another way");
}
