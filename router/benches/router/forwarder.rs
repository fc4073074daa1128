//! What is the least that must be done? A bare durable forwarder: HTTP in, the terminal out over HTTP, a line in an
//! append-only file before and after, each on disk before anything follows from it. Nothing else: no rules, no states, no
//! recovery, no metrics, no log.
//!
//! With a database instead of the file it makes the commits that the router's promises ask for, of one row each: what such
//! a payment costs before there is any router.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Mutex, oneshot};

/// Makes this program a forwarder: followed by its file and the list of terminals. A file that ends in [`DATABASE`] is one.
pub const ARGUMENT: &str = "--forwarder";
/// How the name of a database ends.
pub const DATABASE: &str = ".db";

/// Serves until it is killed.
pub async fn run(file: &Path, terminals: &Path) {
    let list = std::fs::read_to_string(terminals).expect("the list was written before");
    let terminals = list.lines().filter_map(|line| line.split_once(' '));
    let forwarder = Arc::new(Forwarder {
        journal: Journal::open(file),
        terminals: terminals.map(|(project, address)| (project.to_owned(), Terminal::at(address))).collect(),
    });
    // As many may wait at its door as at the router's.
    let socket = TcpSocket::new_v4().expect("there are sockets");
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("loopback has a free port");
    let listener = socket.listen(4096).expect("a socket that is bound can listen");
    println!("{}", listener.local_addr().expect("it listens"));
    loop {
        let (stream, _) = listener.accept().await.expect("a connection can be accepted");
        let _ = stream.set_nodelay(true);
        let forwarder = forwarder.clone();
        let service = service_fn(move |request| {
            let forwarder = forwarder.clone();
            async move { Ok::<_, Infallible>(forwarder.forward(request).await) }
        });
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// What it reads of a webhook.
#[derive(Deserialize)]
struct Webhook<'a> {
    #[serde(borrow)]
    project: Project<'a>,
    amount: &'a str,
    currency: &'a str,
}

#[derive(Deserialize)]
struct Project<'a> {
    id: &'a str,
}

/// What a terminal is asked for.
#[derive(Serialize)]
struct Payment<'a> {
    amount: &'a RawValue,
    currency: &'a str,
    #[serde(rename = "type")]
    operation: &'static str,
}

struct Forwarder {
    journal: Journal,
    terminals: HashMap<String, Terminal>,
}

impl Forwarder {
    async fn forward(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let body = request.into_body().collect().await.expect("the till sends all of it").to_bytes();
        self.journal.append(body.clone()).await;
        let webhook: Webhook = serde_json::from_slice(&body).expect("the till sends JSON");
        let amount: &RawValue = serde_json::from_str(webhook.amount).expect("an amount is a number");
        let payment = Payment { amount, currency: webhook.currency, operation: "sale" };
        let payment = serde_json::to_vec(&payment).expect("texts become JSON");
        let answer = self.terminals[webhook.project.id].ask(payment.into()).await;
        if self.journal.is_database {
            // What the terminal said, before the outcome that is made of it.
            self.journal.append(answer.body().clone()).await;
        }
        self.journal.append(answer.body().clone()).await;
        answer.map(Full::new)
    }
}

/// A terminal with the connection that is kept to it.
struct Terminal {
    address: SocketAddr,
    kept: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Terminal {
    fn at(address: &str) -> Terminal {
        Terminal { address: address.parse().expect("it is an address"), kept: Mutex::default() }
    }

    async fn ask(&self, payment: Bytes) -> Response<Bytes> {
        let mut kept = self.kept.lock().await;
        let mut sender = match kept.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => self.connect().await,
        };
        let request = Request::post("/payment")
            .header("host", "terminal")
            .header("content-type", "application/json")
            .body(Full::new(payment))
            .expect("the headers are constants");
        let answer = sender.send_request(request).await.expect("the terminal answers");
        let (head, body) = answer.into_parts();
        let body = body.collect().await.expect("the terminal sends all of it").to_bytes();
        *kept = Some(sender);
        Response::from_parts(head, body)
    }

    async fn connect(&self) -> SendRequest<Full<Bytes>> {
        let stream = TcpStream::connect(self.address).await.expect("the terminal listens");
        let _ = stream.set_nodelay(true);
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("a connection can be used");
        tokio::spawn(connection);
        sender
    }
}

/// Something to write, and who waits for it.
type Line = (Bytes, oneshot::Sender<()>);

/// An append-only file with a thread that writes all that has queued up and syncs once for all of it.
struct Journal {
    lines: mpsc::Sender<Line>,
    is_database: bool,
}

impl Journal {
    fn open(path: &Path) -> Journal {
        let (sender, lines) = mpsc::channel();
        let is_database = path.to_string_lossy().ends_with(DATABASE);
        if is_database {
            let database = database(path).expect("the folder can be written");
            std::thread::spawn(move || write(&lines, |batch| insert(&database, batch).expect("the disk takes it")));
        } else {
            let file = OpenOptions::new().create(true).append(true).open(path).expect("the folder can be written");
            std::thread::spawn(move || write(&lines, |batch| append(&file, batch).expect("the disk takes it")));
        }
        Journal { lines: sender, is_database }
    }

    async fn append(&self, line: Bytes) {
        let (written, wait) = oneshot::channel();
        self.lines.send((line, written)).expect("the writer lives as long as the process");
        wait.await.expect("the writer answers");
    }
}

fn write(lines: &mpsc::Receiver<Line>, mut commit: impl FnMut(&[Line])) {
    while let Ok(first) = lines.recv() {
        let batch: Vec<Line> = std::iter::once(first).chain(lines.try_iter()).collect();
        commit(&batch);
        for (_, written) in batch {
            // Who left does not wait.
            let _ = written.send(());
        }
    }
}

fn append(mut file: &File, batch: &[Line]) -> io::Result<()> {
    let mut text = Vec::new();
    for (line, _) in batch {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    file.write_all(&text)?;
    file.sync_data()
}

/// A database as the router keeps its own, with one table.
fn database(path: &Path) -> rusqlite::Result<Connection> {
    let database = Connection::open(path)?;
    database.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.execute_batch("CREATE TABLE lines (seq INTEGER PRIMARY KEY, text BLOB NOT NULL) STRICT")?;
    Ok(database)
}

fn insert(database: &Connection, batch: &[Line]) -> rusqlite::Result<()> {
    database.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    for (line, _) in batch {
        database.prepare_cached("INSERT INTO lines (text) VALUES (?1)")?.execute([&line[..]])?;
    }
    database.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}
