//! Is nothing believed but what one of the keys has signed?

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use sha2::Sha256;
use tillswitch::intake::signature::{BadSignature, sign, verify};
use tillswitch_core::Secret;

const SIGNATURE: HeaderName = HeaderName::from_static("xentral-signature");
const TIMESTAMP: HeaderName = HeaderName::from_static("xentral-request-timestamp");

/// Input: which bit is flipped (two bytes), then parts with their length in front (one byte): a key, another key, the value of
/// each header; what remains is the body.
pub fn check(input: &[u8]) {
    let mut rest = input;
    let Some(flip) = take(&mut rest, 2).map(|bytes| usize::from(bytes[0]) << 8 | usize::from(bytes[1])) else { return };
    let mut part = || {
        let length = take(&mut rest, 1)?[0];
        take(&mut rest, usize::from(length))
    };
    let (Some(first), Some(second), Some(signature), Some(timestamp)) = (part(), part(), part(), part()) else {
        return;
    };
    let keys: Vec<Secret> = [first, second].map(|key| Secret::new(String::from_utf8_lossy(key))).into();
    check_any(&keys, signature, timestamp, rest);
    check_signed(&keys, timestamp, rest, flip);
}

fn take<'i>(rest: &mut &'i [u8], length: usize) -> Option<&'i [u8]> {
    let (part, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(part)
}

/// Whatever stands in the headers: believed only if the signature is right, reckoned here once more.
fn check_any(keys: &[Secret], signature: &[u8], timestamp: &[u8], body: &[u8]) {
    let (Ok(signature), Ok(timestamp)) = (HeaderValue::from_bytes(signature), HeaderValue::from_bytes(timestamp))
    else {
        return;
    };
    let mut headers = HeaderMap::new();
    headers.insert(SIGNATURE, signature.clone());
    headers.insert(TIMESTAMP, timestamp.clone());
    let found = verify(keys, &headers, Bytes::copy_from_slice(body));
    let text = |value: &HeaderValue| value.to_str().map(|text| text.trim().to_owned()).unwrap_or_default();
    let (signature, timestamp) = (text(&signature), text(&timestamp));
    let fits = |key: &Secret| !key.reveal().is_empty() && reckoned(key, body, &timestamp) == signature.to_lowercase();
    let is_time = (1..=12).contains(&timestamp.len()) && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let expected = keys.iter().position(fits).filter(|_| is_time);
    assert_eq!(found.as_ref().ok().map(|verified| verified.key), expected.map(Some));
    if let Ok(verified) = found {
        assert!(verified.body() == body && verified.timestamp == timestamp.parse().ok());
        headers.append(TIMESTAMP, HeaderValue::from_static("1"));
        assert_eq!(verify(keys, &headers, Bytes::copy_from_slice(body)).err(), Some(BadSignature::Missing));
    }
}

fn reckoned(key: &Secret, body: &[u8], timestamp: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.reveal().as_bytes()).expect("HMAC takes keys of every length");
    mac.update(&[body, timestamp.as_bytes()].concat());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What was signed is believed; with one bit turned over it is not.
fn check_signed(keys: &[Secret], seed: &[u8], body: &[u8], flip: usize) {
    let timestamp = seed.iter().fold(0u32, |number, byte| number.wrapping_mul(31).wrapping_add(u32::from(*byte)));
    let Some(key) = keys.iter().rposition(|key| !key.reveal().is_empty()) else { return };
    let signature = sign(&keys[key], body, i64::from(timestamp));
    let headers = |signature: &str, timestamp: u32| {
        let mut headers = HeaderMap::new();
        headers.insert(SIGNATURE, signature.parse().expect("digits are a value"));
        headers.insert(TIMESTAMP, timestamp.into());
        headers
    };
    let verified = verify(keys, &headers(&signature, timestamp), Bytes::copy_from_slice(body));
    let verified = verified.expect("a signed request is believed");
    // HMAC fills a short key up with zeros, so that two keys may be the same one.
    let same = |found: usize| sign(&keys[found], body, i64::from(timestamp)) == signature;
    assert!(verified.key.is_some_and(same), "another key than the one that signed");

    let mut body = body.to_vec();
    let (mut digest, mut timestamp) = (signature.into_bytes(), timestamp);
    let bit = flip % ((body.len() + 4) * 8 + 64);
    match (bit / 8).checked_sub(12) {
        Some(byte) => body[byte] ^= 1 << (bit % 8),
        // A digit more or less, never the same one in capitals.
        None if bit < 64 => digest[bit] = if digest[bit] == b'0' { b'1' } else { b'0' },
        None => timestamp ^= 1 << (bit - 64),
    }
    let changed = verify(keys, &headers(std::str::from_utf8(&digest).expect("digits"), timestamp), body.into());
    assert_eq!(changed.err(), Some(BadSignature::Mismatch), "a changed bit was believed");
}
