//! Whether APDUs survive what networks do to them, and whether other protocols are named.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tillswitch_core::{Cause, Reason};
use tillswitch_zvt::apdu::{Apdu, control};
use tillswitch_zvt::command;
use tillswitch_zvt::transport::tcp::TcpTransport;
use tillswitch_zvt::transport::{Delivery, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(5);

/// A line, and its other end.
async fn line() -> (TcpTransport, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut transport = TcpTransport::new(address, PATIENCE, PATIENCE);
    transport.open().await.unwrap();
    let (peer, _) = listener.accept().await.unwrap();
    peer.set_nodelay(true).unwrap();
    (transport, peer)
}

async fn receive(transport: &mut TcpTransport) -> Result<Apdu, Reason> {
    timeout(PATIENCE, transport.receive()).await.expect("something comes")
}

fn controls(apdus: &[Apdu]) -> Vec<[u8; 2]> {
    apdus.iter().map(Apdu::control).collect()
}

#[tokio::test]
async fn any_fragmentation_yields_the_same_messages() {
    let long = Apdu::new(control::PRINT_BLOCK, vec![0x20; 700]).encode().unwrap();
    let stream = [&[0x80, 0, 0, 0x04, 0xFF, 0x01, 0x0A][..], &long, &[0x06, 0x0F, 0]].concat();
    for size in [1, 2, 3, 5, 100, stream.len()] {
        let (mut transport, mut peer) = line().await;
        let sent = stream.clone();
        let sending = tokio::spawn(async move {
            for piece in sent.chunks(size) {
                peer.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            peer
        });
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(receive(&mut transport).await.unwrap());
        }
        let expected = [control::POSITIVE, control::INTERMEDIATE_STATUS, control::PRINT_BLOCK, control::COMPLETION];
        assert_eq!(controls(&seen), expected, "pieces of {size}");
        assert_eq!(seen[2].data.len(), 700);
        drop(sending.await.unwrap());
    }
}

#[tokio::test]
async fn a_wait_that_is_dropped_loses_no_byte() {
    let (mut transport, mut peer) = line().await;
    for byte in [0x80, 0x00, 0x00, 0x06, 0x1E, 0x01] {
        peer.write_all(&[byte]).await.unwrap();
        while let Ok(received) = timeout(Duration::from_millis(2), transport.receive()).await {
            assert_eq!(received.unwrap().control(), control::POSITIVE);
        }
    }
    peer.write_all(&[0x6C]).await.unwrap();
    assert_eq!(receive(&mut transport).await, Ok(Apdu::new(control::ABORT, vec![0x6C])));
}

#[tokio::test]
async fn a_greeting_is_skipped_and_a_late_result_is_not() {
    async fn check(bytes: &[u8], expected: [u8; 2]) {
        let (mut transport, mut peer) = line().await;
        peer.write_all(bytes).await.unwrap();
        assert_eq!(receive(&mut transport).await.unwrap().control(), expected, "{bytes:02X?}");
    }
    check(b"Device server v1.2\r\n\x80\x00\x00", control::POSITIVE).await;
    check(b"Hello\x84\x83\x00", [0x84, 0x83]).await;
    check(&[0x04, 0x0F, 0x02, 0x27, 0x00], control::STATUS_INFORMATION).await;
}

#[tokio::test]
async fn another_protocol_is_named() {
    async fn check(bytes: &[u8], expected: &str) {
        let (mut transport, mut peer) = line().await;
        peer.write_all(bytes).await.unwrap();
        drop(peer);
        let reason = receive(&mut transport).await.unwrap_err();
        assert_eq!(reason.cause, Cause::Garbage, "{reason}");
        assert!(reason.message.contains(expected), "{reason}");
        assert!(!transport.is_open());
    }
    check(b"SSH-2.0-OpenSSH_9.6\r\n", "SSH").await;
    check(b"HTTP/1.0 400 Bad Request\r\n\r\n", "HTTP").await;
    check(&[0x15, 0x03, 0x69], "TLS").await;
    check(&[b'x'; 4000], "text").await;
}

#[tokio::test]
async fn garbage_drops_the_line() {
    async fn check(bytes: &[u8]) {
        let (mut transport, mut peer) = line().await;
        peer.write_all(&[0x80, 0x00, 0x00]).await.unwrap();
        receive(&mut transport).await.unwrap();
        peer.write_all(bytes).await.unwrap();
        assert_eq!(receive(&mut transport).await.unwrap_err().cause, Cause::Garbage, "{bytes:02X?}");
        assert!(!transport.is_open());
        assert_eq!(peer.read(&mut [0; 8]).await.unwrap_or(0), 0, "the other end hears of it");
    }
    check(&[0xDE]).await;
    check(&[0xDE, 0xAD, 0x00]).await;
    // Longer than anything a PT sends.
    check(&[0x06, 0xD3, 0xFF, 0xFF, 0xFF]).await;
}

#[tokio::test]
async fn what_has_arrived_is_told_without_waiting() {
    let (mut transport, mut peer) = line().await;
    assert_eq!(transport.arrived(), Ok(None));
    peer.write_all(&[0x80, 0x00, 0x00, 0x06, 0x0F, 0x00]).await.unwrap();
    assert_eq!(receive(&mut transport).await.unwrap().control(), control::POSITIVE);
    assert_eq!(transport.arrived().unwrap().map(|apdu| apdu.control()), Some(control::COMPLETION));
    assert_eq!(transport.arrived(), Ok(None));
    drop(peer);
    // The kernel knows of the end although nothing here has waited for it.
    assert_eq!(transport.arrived().unwrap_err().cause, Cause::LinkLost);
    let error = transport.send(&command::positive(), Delivery::Repeatable).await.unwrap_err();
    assert!(error.nothing_sent);
}

#[tokio::test]
async fn half_a_message_on_an_idle_line_closes_it() {
    let (mut transport, mut peer) = line().await;
    peer.write_all(&[0x80, 0x00, 0x00]).await.unwrap();
    receive(&mut transport).await.unwrap();
    peer.write_all(&[0x04, 0x0F, 0x20]).await.unwrap();
    assert_eq!(transport.arrived().unwrap_err().cause, Cause::LinkLost);
    assert!(!transport.is_open());
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let mut transport = TcpTransport::new(address.clone(), PATIENCE, PATIENCE);
    let reason = transport.open().await.unwrap_err();
    assert_eq!(reason.cause, Cause::Unreachable);
    assert!(reason.message.contains(&address) && reason.message.contains("ZVT switched on"), "{reason}");
}
