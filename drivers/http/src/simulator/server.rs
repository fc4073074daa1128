//! How a simulated terminal speaks HTTP, and how it stops speaking it properly.

use std::convert::Infallible;
use std::future::{self, Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, LOCATION};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::PAYMENT_PATH;
use super::terminal::{Manner, Reply, Terminal};

/// The longest request body that is read.
const MAX_BODY_BYTES: usize = 64 << 10;
/// A pause before the next attempt when the system has no connection to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until it is aborted, which cuts all of them.
pub(super) async fn listen(listener: TcpListener, terminal: Arc<Terminal>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((tcp, _)) => {
                    terminal.note_connection();
                    connections.spawn(serve(tcp, Arc::clone(&terminal)));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Lets hyper serve the connection until a payment asks for something that hyper would never do; then takes it over.
async fn serve(tcp: TcpStream, terminal: Arc<Terminal>) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let byte_pause = terminal.byte_pause();
    let (taken_over, mut take_over) = mpsc::channel(1);
    let service = service_fn(move |request| -> Pin<Box<dyn Future<Output = _> + Send>> {
        Box::pin(answer(request, Arc::clone(&terminal), taken_over.clone()))
    });
    let mut http = http1::Builder::new().serve_connection(TokioIo::new(tcp), service);
    let reply = tokio::select! {
        _ = poll_fn(|cx| http.poll_without_shutdown(cx)) => None,
        reply = take_over.recv() => reply,
    };
    let tcp = http.into_parts().io.into_inner();
    match reply {
        Some(reply) => misbehave(tcp, &reply, byte_pause).await,
        None => finish(tcp).await,
    }
}

/// Answers a request, or hands the answer over to [`misbehave`] and never returns.
async fn answer(
    request: Request<Incoming>,
    terminal: Arc<Terminal>,
    taken_over: mpsc::Sender<Reply>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let reply = reply(request, terminal).await;
    if reply.manner == Manner::Whole {
        return Ok(response(reply));
    }
    // A closed channel means that the connection has ended, and with it this future.
    let _ = taken_over.send(reply).await;
    future::pending().await
}

async fn reply(request: Request<Incoming>, terminal: Arc<Terminal>) -> Reply {
    if request.uri().path() != PAYMENT_PATH {
        return Reply::plain(404, "error", "payments are posted to /payment");
    }
    if request.method() != Method::POST {
        return Reply::plain(405, "error", "payments are posted");
    }
    let Ok(body) = Limited::new(request.into_body(), MAX_BODY_BYTES).collect().await else {
        return Reply::plain(413, "error", "no payment is that long");
    };
    let payment = tokio::spawn(terminal.pay(body.to_bytes().into()));
    payment.await.unwrap_or_else(|error| Reply::plain(500, "error", &error.to_string()))
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let builder = Response::builder().status(reply.status).header(CONTENT_TYPE, "application/json");
    let builder = match reply.status {
        StatusCode::TEMPORARY_REDIRECT => builder.header(LOCATION, PAYMENT_PATH),
        _ => builder,
    };
    builder.body(Full::from(reply.body)).expect("the headers are constants")
}

async fn misbehave(mut tcp: TcpStream, reply: &Reply, byte_pause: Duration) -> io::Result<()> {
    let whole = render(reply);
    match reply.manner {
        Manner::Cut => return Ok(()),
        Manner::Never => return wait_for_hangup(tcp).await,
        Manner::ByteByByte => drip(&mut tcp, &whole, byte_pause).await?,
        Manner::Twice => {
            tcp.write_all(&[&whole[..], &whole[..]].concat()).await?;
            return wait_for_hangup(tcp).await;
        }
        Manner::HalfThenCut => tcp.write_all(&whole[..whole.len() - reply.body.len() / 2]).await?,
        Manner::Garbage => tcp.write_all(b"\x02\x80\x00 no HTTP \xff\r\n\r\n").await?,
        Manner::ThenCut | Manner::Whole => tcp.write_all(&whole).await?,
    }
    finish(tcp).await
}

/// The answer as HTTP writes it, promising to keep the connection.
fn render(reply: &Reply) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {} \r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        reply.status.as_u16(),
        reply.body.len()
    );
    [head.as_bytes(), &reply.body].concat()
}

async fn drip(tcp: &mut TcpStream, bytes: &[u8], pause: Duration) -> io::Result<()> {
    for byte in bytes {
        tcp.write_all(std::slice::from_ref(byte)).await?;
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

async fn wait_for_hangup(mut tcp: TcpStream) -> io::Result<()> {
    let mut rest = [0; 256];
    while tcp.read(&mut rest).await? > 0 {}
    Ok(())
}

async fn finish(mut tcp: TcpStream) -> io::Result<()> {
    tcp.shutdown().await
}
