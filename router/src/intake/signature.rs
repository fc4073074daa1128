//! Whether a request really comes from the point of sale: HMAC-SHA256 over the raw bytes, before any JSON is read.
//!
//! Xentral signs `body || timestamp` (no separator) and sends lower-case hexadecimal in `Xentral-Signature` and the Unix
//! seconds in `Xentral-Request-Timestamp`.

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use tillswitch_core::Secret;

const SIGNATURE: &str = "xentral-signature";
const TIMESTAMP: &str = "xentral-request-timestamp";

/// A body whose sender is known, or that was accepted without a signature on purpose. Only this can be parsed.
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
}
