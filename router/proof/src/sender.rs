//! How does anybody on this machine send a request, byte for byte, from an address of their own?

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tillswitch::oracle::Told;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request as it goes over the wire, without what belongs to the connection.
#[derive(Clone, Debug)]
pub struct Wired {
    /// Lines of the head, without the first, `Host` and the length.
    pub head: String,
    /// The body.
    pub body: String,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The HTTP status.
    pub status: u16,
    /// Whether it was marked as the answer to a repeat.
    pub replayed: bool,
    /// The body.
    pub text: String,
}

impl Heard {
    /// The answer's `code`, empty where it has none.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// For the oracle.
    pub fn told(&self) -> Told {
        Told { status: self.status, body: self.json() }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// The nth of the many who are not the till: 127.0.1.1 and on.
pub fn stranger(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1 + (number / 250 % 250) as u8, 1 + (number % 250) as u8)
}

/// Connects from an address of this machine.
pub async fn connect(from: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends a webhook over an open connection, in one piece, and reads until the other side closes.
pub async fn post(stream: &mut TcpStream, wired: &Wired) -> io::Result<Heard> {
    let length = wired.body.len();
    let head = format!(
        "POST /webhook/pos-payment HTTP/1.1\r\nHost: till\r\nConnection: close\r\nContent-Length: {length}\r\n{}\r\n",
        wired.head
    );
    stream.write_all((head + &wired.body).as_bytes()).await?;
    let mut bytes = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut bytes)).await??;
    read(&String::from_utf8_lossy(&bytes)).ok_or_else(|| io::Error::other("the answer is cut off"))
}

fn read(answer: &str) -> Option<Heard> {
    let (head, text) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let replayed = head.to_ascii_lowercase().contains("\r\nidempotent-replayed: true");
    Some(Heard { status, replayed, text: text.to_owned() })
}
