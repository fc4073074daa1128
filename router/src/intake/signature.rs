//! Whether a request really comes from the point of sale: HMAC-SHA256 over the raw bytes, before any JSON is read.
//!
//! Xentral signs `body || timestamp` (no separator) and sends lower-case hexadecimal in `Xentral-Signature` and the Unix
//! seconds in `Xentral-Request-Timestamp`.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use tillswitch_core::Secret;

const SIGNATURE: &str = "xentral-signature";
const TIMESTAMP: &str = "xentral-request-timestamp";
/// How far from now a signature may be that was made just now.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// A body whose sender is known, or that was accepted without a signature on purpose. Only this can be parsed, and only
/// [`verify`] makes it:
///
/// ```compile_fail,E0451
/// use tillswitch::intake::signature::Verified;
/// let forged = Verified { body: bytes::Bytes::new(), timestamp: None, key: None };
/// ```
///
/// ```compile_fail,E0308
/// use tillswitch::{config::Tip, intake::event};
/// let unverified = b"{}";
/// let event = event::read(unverified, event::Reading { event_types: &[], tip: Tip::Included });
/// ```
#[derive(Clone, Debug)]
pub struct Verified {
    body: Bytes,
    /// `Xentral-Request-Timestamp` in Unix seconds, if it was there and signed.
    pub timestamp: Option<i64>,
    /// Which key fitted, counted from 0; `None` without signatures.
    pub key: Option<usize>,
}

impl Verified {
    /// The raw bytes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Whether it was signed just now. A captured request, sent again later, was not.
    pub(super) fn is_fresh(&self, now: SystemTime) -> bool {
        let now = jiff::Timestamp::try_from(now).map_or(0, jiff::Timestamp::as_second);
        self.timestamp.is_some_and(|signed| now.abs_diff(signed) <= FRESH.as_secs())
    }
}

/// Why a request is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSignature {
    /// One of the two headers is missing, doubled or not readable.
    Missing,
    /// It fits none of the keys.
    Mismatch,
}

impl BadSignature {
    /// What is wrong and what to do.
    pub fn message(self) -> &'static str {
        match self {
            BadSignature::Missing => {
                "the request has no readable Xentral-Signature and Xentral-Request-Timestamp; give the webhook a signature key in the point of sale"
            }
            BadSignature::Mismatch => {
                "the signature fits none of the configured keys; compare `signature_keys` with the key of the webhook in the point of sale"
            }
        }
    }
}

/// Believes a request if one of the keys has signed it. Without keys every request is believed.
pub fn verify(keys: &[Secret], headers: &HeaderMap, body: Bytes) -> Result<Verified, BadSignature> {
    if keys.is_empty() {
        return Ok(Verified { body, timestamp: None, key: None });
    }
    let signature = single(headers, SIGNATURE).and_then(hex).ok_or(BadSignature::Missing)?;
    let timestamp = single(headers, TIMESTAMP).filter(|text| is_timestamp(text)).ok_or(BadSignature::Missing)?;
    // Nothing stands between body and timestamp where they are signed, so a digit could be moved from one to the other. No
    // event ends in a digit.
    if body.last().is_some_and(u8::is_ascii_digit) {
        return Err(BadSignature::Mismatch);
    }
    let key = matching_key(keys, &body, timestamp, &signature).ok_or(BadSignature::Mismatch)?;
    Ok(Verified { timestamp: timestamp.parse().ok(), key: Some(key), body })
}

/// Every key is tried, whichever fits, so that the time taken does not tell which one did.
fn matching_key(keys: &[Secret], body: &[u8], timestamp: &str, signature: &[u8; 32]) -> Option<usize> {
    let mut found = None;
    for (place, key) in keys.iter().enumerate() {
        if bool::from(fits(key, body, timestamp, signature)) && found.is_none() {
            found = Some(place);
        }
    }
    found
}

fn fits(key: &Secret, body: &[u8], timestamp: &str, signature: &[u8; 32]) -> Choice {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.reveal().as_bytes()).expect("HMAC takes keys of every length");
    mac.update(body);
    mac.update(timestamp.as_bytes());
    let key_is_set = Choice::from(u8::from(!key.reveal().is_empty()));
    mac.finalize().into_bytes().as_slice().ct_eq(signature) & key_is_set
}

fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?.trim();
    values.next().is_none().then_some(value)
}

fn is_timestamp(text: &str) -> bool {
    !text.is_empty() && text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok().filter(|_| !pair.starts_with('+'))?;
    }
    Some(bytes)
}

/// Signs a body as the point of sale does: for demo, tests and `curl`.
pub fn sign(key: &Secret, body: &[u8], timestamp: i64) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.reveal().as_bytes()).expect("HMAC takes keys of every length");
    mac.update(body);
    mac.update(timestamp.to_string().as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    const BODY: &str = r#"{"type":"com.xentral.salesOrder.protocolCreated.v1","body":{"createdAt":"2024-05-28T17:30:07+02:00","salesOrderId":169,"salesOrderProtocolId":586}}"#;
    const SIGNED: &str = "67b9db5fbe8add6c5b073f42091f593e994de32c83741573015442c154214bcf";

    fn keys(texts: &[&str]) -> Vec<Secret> {
        texts.iter().map(|text| Secret::new(*text)).collect()
    }

    fn headers(signature: &str, timestamp: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(SIGNATURE, signature.parse().unwrap());
        headers.insert(TIMESTAMP, timestamp.parse().unwrap());
        headers
    }

    fn check(keys_: &[&str], body: &str, signature: &str, timestamp: &str, expected: Result<usize, BadSignature>) {
        let found = verify(&keys(keys_), &headers(signature, timestamp), Bytes::copy_from_slice(body.as_bytes()));
        assert_eq!(found.map(|verified| verified.key.unwrap()), expected, "{keys_:?} {signature} {timestamp}");
    }

    #[test]
    fn the_published_vector_fits() {
        check(&["e4nRJ04Ss2m3EkQxn19V"], BODY, SIGNED, "1716910210", Ok(0));
        check(&["e4nRJ04Ss2m3EkQxn19V"], BODY, &SIGNED.to_uppercase(), "1716910210", Ok(0));
        assert_eq!(sign(&Secret::new("e4nRJ04Ss2m3EkQxn19V"), BODY.as_bytes(), 1716910210), SIGNED);
    }

    #[test]
    fn either_of_two_keys_fits() {
        check(&["new", "e4nRJ04Ss2m3EkQxn19V"], BODY, SIGNED, "1716910210", Ok(1));
    }

    #[test]
    fn what_was_not_signed_is_not_believed() {
        let key = &["e4nRJ04Ss2m3EkQxn19V"];
        check(key, BODY, SIGNED, "1716910211", Err(BadSignature::Mismatch));
        check(key, &BODY.replace("169", "168"), SIGNED, "1716910210", Err(BadSignature::Mismatch));
        check(&["other"], BODY, SIGNED, "1716910210", Err(BadSignature::Mismatch));
        for (signature, timestamp) in
            [("", "1716910210"), (&SIGNED[1..], "1716910210"), (SIGNED, ""), (SIGNED, "1e9"), (SIGNED, "-5")]
        {
            check(key, BODY, signature, timestamp, Err(BadSignature::Missing));
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let key = keys(&["e4nRJ04Ss2m3EkQxn19V"]);
        for bit in 0..BODY.len() * 8 {
            let mut body = BODY.as_bytes().to_vec();
            body[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(&key, &headers(SIGNED, "1716910210"), body.into()).is_err(), "bit {bit}");
        }
    }

    /// One change of body, signature or timestamp: a byte that is other, gone or new.
    fn mutate(text: &[u8], mut dice: impl FnMut() -> usize) -> Vec<u8> {
        let mut mutant = text.to_vec();
        let place = dice() % text.len();
        match dice() % 3 {
            0 => mutant[place] ^= 1 + (dice() % 255) as u8,
            1 => drop(mutant.remove(place)),
            _ => mutant.insert(place, dice() as u8),
        }
        mutant
    }

    #[test]
    fn ten_thousand_mutants_are_not_believed() {
        let key = keys(&["another", "e4nRJ04Ss2m3EkQxn19V"]);
        let mut seed = 20_240_528_u64;
        let mut dice = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize
        };
        let mut tried = 0;
        while tried < 10_000 {
            let mut parts = [BODY.as_bytes().to_vec(), SIGNED.as_bytes().to_vec(), b"1716910210".to_vec()];
            let part = dice() % 3;
            parts[part] = mutate(&parts[part], &mut dice);
            let [body, signature, timestamp] = parts;
            // Hexadecimal digits in upper case are the same signature, and HTTP takes spaces off both ends of a value.
            let same = body == BODY.as_bytes()
                && signature.trim_ascii().to_ascii_lowercase() == SIGNED.as_bytes()
                && timestamp.trim_ascii() == b"1716910210";
            // What HTTP cannot carry never comes.
            let (Ok(signature), Ok(timestamp)) =
                (HeaderValue::from_bytes(&signature), HeaderValue::from_bytes(&timestamp))
            else {
                continue;
            };
            if same {
                continue;
            }
            let mut headers = HeaderMap::new();
            headers.insert(SIGNATURE, signature);
            headers.insert(TIMESTAMP, timestamp);
            tried += 1;
            assert!(verify(&key, &headers, body.into()).is_err(), "part {part}: {headers:?}");
        }
    }

    #[test]
    fn another_order_of_the_fields_is_another_body() {
        let other = r#"{"body":{"salesOrderProtocolId":586,"salesOrderId":169,"createdAt":"2024-05-28T17:30:07+02:00"},"type":"com.xentral.salesOrder.protocolCreated.v1"}"#;
        check(&["e4nRJ04Ss2m3EkQxn19V"], other, SIGNED, "1716910210", Err(BadSignature::Mismatch));
    }

    #[test]
    fn no_digit_moves_from_the_timestamp_to_the_body() {
        let key = &["e4nRJ04Ss2m3EkQxn19V"];
        check(key, &format!("{BODY}1"), SIGNED, "716910210", Err(BadSignature::Mismatch));
    }

    #[test]
    fn an_empty_key_believes_nobody() {
        let signature = sign(&Secret::new(""), BODY.as_bytes(), 1716910210);
        check(&[""], BODY, &signature, "1716910210", Err(BadSignature::Mismatch));
    }

    #[test]
    fn a_header_that_comes_twice_is_no_header() {
        let mut doubled = headers(SIGNED, "1716910210");
        doubled.append(SIGNATURE, SIGNED.parse().unwrap());
        let found = verify(&keys(&["e4nRJ04Ss2m3EkQxn19V"]), &doubled, Bytes::from_static(BODY.as_bytes()));
        assert_eq!(found.unwrap_err(), BadSignature::Missing);
    }

    #[test]
    fn only_what_was_signed_just_now_is_fresh() {
        fn check(keys_: &[&str], seconds_later: i64, expected: bool) {
            let verified = verify(&keys(keys_), &headers(SIGNED, "1716910210"), Bytes::from_static(BODY.as_bytes()));
            let now = SystemTime::UNIX_EPOCH
                + Duration::from_secs(1_716_910_210_u64.checked_add_signed(seconds_later).unwrap());
            assert_eq!(verified.unwrap().is_fresh(now), expected, "{seconds_later} s later");
        }
        let key = &["e4nRJ04Ss2m3EkQxn19V"];
        for (seconds_later, expected) in [(0, true), (300, true), (-300, true), (301, false), (-301, false)] {
            check(key, seconds_later, expected);
        }
        check(&[], 0, false);
    }
}
