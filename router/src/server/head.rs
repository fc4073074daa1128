//! Is this one clear HTTP/1.1 request, and where does it end?

use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Uri};

use super::Limits;
use super::fault::{Fault, Unread};
use super::wire::{Transport, Wire};

/// How many header fields hyper takes without being told otherwise.
const HYPERS_FIELDS: usize = 100;

/// How the length of a body is told. Exactly one way, or the request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is no body.
    Empty,
    /// `Content-Length`.
    Length(usize),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// A checked head, rewritten without the fields that tell the body's length: the body is read here, so what the
/// routes see is a body whose length is known.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) text: Vec<u8>,
    pub(super) framing: Framing,
    /// The client waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
}

/// Reads up to the end of a head and checks it.
pub(super) async fn read<S: Transport>(wire: &mut Wire<S>, limits: &Limits) -> Result<Head, Unread> {
    let mut looked_at = 0;
    loop {
        // Also when the first half of such a line came by itself.
        if looked_at <= 1 {
            skip_empty_lines(wire);
            looked_at = 0;
        }
        if let Some(end) = find_end(&wire.inbox, looked_at)? {
            if end > limits.max_head {
                return Err(Fault::HeadTooLarge.into());
            }
            return Ok(check(&wire.inbox.split_to(end), limits.max_headers.min(HYPERS_FIELDS))?);
        }
        if wire.inbox.len() >= limits.max_head {
            return Err(Fault::HeadTooLarge.into());
        }
        looked_at = wire.inbox.len();
        more(wire).await?;
    }
}

/// Some clients send an empty line after a body; it is not part of the next request.
fn skip_empty_lines<S: Transport>(wire: &mut Wire<S>) {
    while wire.inbox.starts_with(b"\r\n") {
        let _ = wire.inbox.split_to(2);
    }
}

async fn more<S: Transport>(wire: &mut Wire<S>) -> Result<(), Unread> {
    match wire.fill().await? {
        0 if wire.inbox.is_empty() => Err(Unread::Gone),
        0 => Err(Fault::Malformed("the request ends inside its head").into()),
        _ => Ok(()),
    }
}

/// Where the head ends, looking only at what came after `from`.
fn find_end(bytes: &[u8], from: usize) -> Result<Option<usize>, Fault> {
    // Whoever speaks another protocol (TLS, mostly) is told so at once and not after the deadline.
    if bytes.first().is_some_and(|first| !first.is_ascii_alphabetic() && *first != b'\r') {
        return Err(Fault::Malformed("this does not begin like an HTTP request (is it TLS on a plain port?)"));
    }
    for (at, _) in bytes.iter().enumerate().skip(from).filter(|(_, byte)| **byte == b'\n') {
        // Programs disagree about a line feed alone, and disagreement about where a field ends is how requests are
        // smuggled.
        if !bytes[..at].ends_with(b"\r") {
            return Err(Fault::Malformed("a line of the head ends without a carriage return"));
        }
        if bytes[..at].ends_with(b"\r\n\r") {
            return Ok(Some(at + 1));
        }
    }
    Ok(None)
}

/// Checks a complete head.
fn check(bytes: &[u8], max_headers: usize) -> Result<Head, Fault> {
    let mut fields = vec![httparse::EMPTY_HEADER; max_headers];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return Err(Fault::Malformed("the head ends early")),
        Err(httparse::Error::TooManyHeaders) => return Err(Fault::HeadTooLarge),
        Err(httparse::Error::Version) => return Err(Fault::Malformed("only HTTP/1.1 is spoken here")),
        Err(_) => return Err(Fault::Malformed("the head is not valid HTTP")),
    }
    let minor = request.version.unwrap_or_default();
    check_host(request.headers, minor)?;
    Ok(Head {
        framing: framing(request.headers, minor)?,
        expects_continue: minor == 1 && expects_continue(request.headers),
        text: rewrite(&request, minor)?,
    })
}

fn values<'h>(fields: &'h [httparse::Header<'_>], name: &'static str) -> impl Iterator<Item = &'h [u8]> {
    fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
}

fn check_host(fields: &[httparse::Header<'_>], minor: u8) -> Result<(), Fault> {
    let hosts: Vec<_> = values(fields, "host").collect();
    match hosts.as_slice() {
        [host] if is_host(host) => Ok(()),
        [_] => Err(Fault::Malformed("the Host header is not one name and perhaps a port")),
        [] if minor == 0 => Ok(()),
        [] => Err(Fault::Malformed("the Host header is missing")),
        _ => Err(Fault::Malformed("there is more than one Host header")),
    }
}

/// The characters of names, addresses and ports (RFC 3986 3.2.2), without those that programs read in more than one way.
fn is_host(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:[]%".contains(byte))
}

fn framing(fields: &[httparse::Header<'_>], minor: u8) -> Result<Framing, Fault> {
    let encodings: Vec<_> = values(fields, "transfer-encoding").collect();
    let lengths: Vec<_> = values(fields, "content-length").collect();
    match (encodings.as_slice(), lengths.as_slice()) {
        ([], []) => Ok(Framing::Empty),
        ([], [length]) => parse_length(length).map(Framing::Length),
        ([], _) => Err(Fault::Malformed("there is more than one Content-Length")),
        ([_], [_, ..]) => Err(Fault::Malformed("Content-Length and Transfer-Encoding contradict each other")),
        ([encoding], []) if minor == 1 && encoding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        _ => Err(Fault::Malformed("the only Transfer-Encoding that is understood is chunked")),
    }
}

/// Digits and nothing else: no sign, no list.
fn parse_length(value: &[u8]) -> Result<usize, Fault> {
    let digits = std::str::from_utf8(value).unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::Malformed("Content-Length is not a number"));
    }
    // A number too long for the type is also too long for any limit.
    Ok(digits.parse().unwrap_or(usize::MAX))
}

fn expects_continue(fields: &[httparse::Header<'_>]) -> bool {
    values(fields, "expect").any(|value| value.eq_ignore_ascii_case(b"100-continue"))
}

fn rewrite(request: &httparse::Request<'_, '_>, minor: u8) -> Result<Vec<u8>, Fault> {
    let method = request.method.unwrap_or_default();
    let target = request.path.unwrap_or_default();
    check_target(method, target)?;
    let mut text = format!("{method} {target} HTTP/1.{minor}\r\n").into_bytes();
    for field in request.headers.iter().filter(|field| !is_framing(field.name)) {
        if HeaderName::from_bytes(field.name.as_bytes()).is_err() || HeaderValue::from_bytes(field.value).is_err() {
            return Err(Fault::Malformed("a header is not valid"));
        }
        text.extend_from_slice(field.name.as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(field.value);
        text.extend_from_slice(b"\r\n");
    }
    Ok(text)
}

fn is_framing(name: &str) -> bool {
    ["content-length", "transfer-encoding", "expect", "trailer", "upgrade"]
        .iter()
        .any(|framing| name.eq_ignore_ascii_case(framing))
}

fn check_target(method: &str, target: &str) -> Result<(), Fault> {
    if method == Method::CONNECT.as_str() {
        return Err(Fault::Malformed("this is not a proxy"));
    }
    // A whole address as the target names a host a second time, and whoever looks at one of the two may be wrong. Proxies
    // in front turn it into a path. A fragment never leaves a browser.
    if !target.starts_with('/') && target != "*" || target.contains('#') {
        return Err(Fault::Malformed("the request's target is not a path"));
    }
    match target.parse::<Uri>() {
        Ok(_) => Ok(()),
        Err(_) => Err(Fault::Malformed("the request's target is not valid")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `|` stands for CR LF.
    fn check(text: &str, expected: Result<Framing, &str>) {
        let bytes = text.replace('|', "\r\n").into_bytes();
        let found = find_end(&bytes, 0)
            .and_then(|end| super::check(&bytes[..end.expect("the case has a whole head")], 4))
            .map(|head| head.framing);
        match (found, expected) {
            (Ok(framing), Ok(expected)) => assert_eq!(framing, expected, "{text}"),
            (Err(Fault::Malformed(reason)), Err(part)) => assert!(reason.contains(part), "{text}: {reason}"),
            (found, expected) => panic!("{text}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn the_length_is_told_in_exactly_one_way() {
        check("GET / HTTP/1.1|Host: a||", Ok(Framing::Empty));
        check("POST / HTTP/1.1|Host: a|content-LENGTH: 5||", Ok(Framing::Length(5)));
        check("POST / HTTP/1.1|Host: a|Transfer-Encoding: Chunked||", Ok(Framing::Chunked));
        check("POST / HTTP/1.0|Content-Length: 5||", Ok(Framing::Length(5)));
        check("POST / HTTP/1.1|Host: a|Content-Length: 99999999999999999999||", Ok(Framing::Length(usize::MAX)));
        check("POST / HTTP/1.1|Host: a|Content-Length: 5|Content-Length: 6||", Err("more than one"));
        check("POST / HTTP/1.1|Host: a|Content-Length: 5, 5||", Err("not a number"));
        check("POST / HTTP/1.1|Host: a|Content-Length: +5||", Err("not a number"));
        check("POST / HTTP/1.1|Host: a|Content-Length: 5|Transfer-Encoding: chunked||", Err("contradict"));
        check("POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked|Content-Length: 5||", Err("contradict"));
        check("POST / HTTP/1.1|Host: a|Transfer-Encoding: gzip, chunked||", Err("chunked"));
        check("POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked|Transfer-Encoding: identity||", Err("chunked"));
        check("POST / HTTP/1.0|Transfer-Encoding: chunked||", Err("chunked"));
    }

    #[test]
    fn what_programs_could_read_differently_is_refused() {
        check("GET / HTTP/1.1||", Err("Host"));
        check("GET / HTTP/1.1|Host: a|Host: b||", Err("more than one Host"));
        check("GET / HTTP/1.1|Host: a|X: 1| folded||", Err("not valid HTTP"));
        check("GET / HTTP/1.1|Host : a||", Err("not valid HTTP"));
        check("GET / HTTP/1.1\nHost: a||", Err("carriage return"));
        check("GET / HTTP/2.0|Host: a||", Err("HTTP/1.1"));
        check("CONNECT a:1 HTTP/1.1|Host: a||", Err("proxy"));
        check("\x16\x03\x01||", Err("TLS"));
    }

    #[test]
    fn the_rewritten_head_keeps_everything_but_the_length() {
        let head = super::check(
            b"POST /a?b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\nX-A: b\r\n\r\n",
            4,
        )
        .unwrap();
        assert_eq!(head.text, b"POST /a?b HTTP/1.1\r\nHost: x\r\nX-A: b\r\n");
        assert!(head.expects_continue);
    }

    #[test]
    fn too_many_fields_are_too_large() {
        let found = super::check(b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n", 1);
        assert_eq!(found.unwrap_err(), Fault::HeadTooLarge);
    }

    #[test]
    fn an_empty_line_is_no_request_however_it_arrives() {
        let bytes = b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n";
        for piece in 1..=bytes.len() {
            let taken = crate::server::taken::take(bytes, piece, &Limits::default());
            assert_eq!((taken.requests.len(), taken.refused), (1, None), "in pieces of {piece}");
        }
    }
}
