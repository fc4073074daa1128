//! An HTTP terminal that tells card numbers wherever it can, with every status.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Pool, number, printed};

/// Its URL.
pub async fn start(pool: Pool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/payment", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for count in 0.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            tokio::spawn(tell(stream, answer(&pool, count)));
        }
    });
    url
}

/// Status, type and body.
fn answer(pool: &Pool, count: usize) -> (u16, &'static str, String) {
    let text = format!("Karte {} und {}", number(pool), printed(pool));
    match count % 8 {
        0..=2 => (200, "application/json", body(pool, "approved").to_string()),
        3 => (402, "application/json", body(pool, "declined").to_string()),
        4 => (200, "text/plain", text),
        5 => (500, "application/json", body(pool, "failed").to_string()),
        6 => (400, "text/plain", text),
        _ => (200, "application/json", format!("{{\"pan\": {}", number(pool))),
    }
}

fn body(pool: &Pool, status: &str) -> Value {
    let any = || Value::String(printed(pool));
    let digits = || number(pool).parse::<u64>().unwrap();
    let named = number(pool);
    let mut body = json!({
        "status": status, "message": format!("Karte {} ok", printed(pool)), "code": any(),
        "receipt_number": any(), "trace_number": digits(), "terminal_id": any(), "authorization_code": any(),
        "pan": any(), "note": any(), "list": [any(), digits(), { "x": any(), "y": [any(), any()] }],
        "card": { "scheme": any(), "number": any(), "last4": any(), "track2": format!("{}=2512", number(pool)) },
        "slip": format!("Karte {}\nNr. {}\nDanke", printed(pool), number(pool)),
        "receipt": any(), "merchant": { "name": any(), "reference": digits() }, "expiry": "2512",
    });
    body[&named] = any();
    body
}

async fn tell(mut stream: TcpStream, (status, kind, body): (u16, &'static str, String)) {
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\nconnection: close");
    let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let _ = stream.write_all(answer.as_bytes()).await;
}
