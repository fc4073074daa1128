//! The ECR of the tests: raw bytes over TCP.

#![allow(dead_code, reason = "not every test file uses all of it")]

use std::net::SocketAddr;
use std::time::Duration;

use tillswitch_zvt::apdu::{Apdu, ApduDecoder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No condition takes longer than this; it only ends a test that has failed.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub struct Ecr {
    stream: TcpStream,
    decoder: ApduDecoder,
}

impl Ecr {
    pub async fn connect(addr: SocketAddr) -> Ecr {
        let stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Ecr { stream, decoder: ApduDecoder::new(4096) }
    }

    async fn read(&mut self, place: &str) -> Vec<u8> {
        let mut bytes = [0; 1024];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut bytes)).await;
        match read.unwrap_or_else(|_| panic!("{place}\n  nothing comes")) {
            Ok(count) => bytes[..count].to_vec(),
            // A link that is cut with bytes on the way ends as a reset.
            Err(_) => Vec::new(),
        }
    }

    pub async fn send(&mut self, bytes: &str) {
        self.stream.write_all(&hex(bytes)).await.unwrap();
    }

    pub async fn expect(&mut self, place: &str, pattern: &str) {
        let message = self.message(place).await;
        assert!(fits(pattern, &message), "{place}\n  came {}", text(&message));
    }

    pub async fn message(&mut self, place: &str) -> Vec<u8> {
        loop {
            if let Some(apdu) = self.decoder.next_apdu().unwrap() {
                return Apdu::encode(&apdu).unwrap();
            }
            let bytes = self.read(place).await;
            assert!(!bytes.is_empty(), "{place}\n  the link has ended");
            self.decoder.push(&bytes);
        }
    }

    pub async fn expect_raw(&mut self, place: &str, pattern: &str) {
        let mut seen = Vec::new();
        while !fits(pattern, &seen) {
            let bytes = self.read(place).await;
            assert!(!bytes.is_empty(), "{place}\n  the link has ended after {}", text(&seen));
            seen.extend(bytes);
        }
    }

    pub async fn expect_end(&mut self, place: &str) {
        let more = self.read(place).await;
        assert!(more.is_empty() && self.decoder.pending() == 0, "{place}\n  came {}", text(&more));
    }
}

pub fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

pub fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}

pub fn fits(pattern: &str, bytes: &[u8]) -> bool {
    let tokens: Vec<&str> = pattern.split_whitespace().collect();
    fits_tokens(&tokens, bytes)
}

fn fits_tokens(tokens: &[&str], bytes: &[u8]) -> bool {
    match (tokens.split_first(), bytes.split_first()) {
        (None, first) => first.is_none(),
        (Some((&"..", rest)), None) => fits_tokens(rest, bytes),
        (Some((&"..", rest)), Some((_, behind))) => fits_tokens(rest, bytes) || fits_tokens(tokens, behind),
        (Some(_), None) => false,
        (Some((&"??", rest)), Some((_, behind))) => fits_tokens(rest, behind),
        (Some((token, rest)), Some((byte, behind))) => {
            u8::from_str_radix(token, 16).unwrap() == *byte && fits_tokens(rest, behind)
        }
    }
}
