//! What is a request's body, at most so and so many bytes of it?

use super::Limits;
use super::fault::{Fault, Unread};
use super::head::Framing;
use super::wire::{Transport, Wire};

/// Reads a whole body, without the framing of its chunks.
pub(super) async fn read<S: Transport>(
    wire: &mut Wire<S>,
    framing: Framing,
    limits: &Limits,
) -> Result<Vec<u8>, Unread> {
    match framing {
        Framing::Empty => Ok(Vec::new()),
        Framing::Length(length) if length > limits.max_body => Err(Fault::BodyTooLarge.into()),
        Framing::Length(length) => take(wire, length).await,
        Framing::Chunked => read_chunks(wire, limits).await,
    }
}

async fn read_chunks<S: Transport>(wire: &mut Wire<S>, limits: &Limits) -> Result<Vec<u8>, Unread> {
    let mut body = Vec::new();
    let mut overhead = limits.max_head;
    loop {
        let size = chunk_size(&take_line(wire, &mut overhead).await?)?;
        if size == 0 {
            skip_trailers(wire, &mut overhead).await?;
            return Ok(body);
        }
        if size > limits.max_body - body.len() {
            return Err(Fault::BodyTooLarge.into());
        }
        body.extend(take(wire, size).await?);
        if !take_line(wire, &mut overhead).await?.is_empty() {
            return Err(Fault::Malformed("a chunk is longer than it says").into());
        }
    }
}

/// Trailers could change the meaning of a request that was already checked, so they are thrown away.
async fn skip_trailers<S: Transport>(wire: &mut Wire<S>, overhead: &mut usize) -> Result<(), Unread> {
    while !take_line(wire, overhead).await?.is_empty() {}
    Ok(())
}

/// The size of a chunk in hexadecimal digits; what follows a semicolon means nothing to anybody.
fn chunk_size(line: &[u8]) -> Result<usize, Fault> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let digits = std::str::from_utf8(digits).unwrap_or_default();
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Fault::Malformed("the size of a chunk is not a number"));
    }
    usize::from_str_radix(digits, 16).map_err(|_| Fault::Malformed("the size of a chunk is not a number"))
}

/// A line without its end. All lines of one body together may be `overhead` bytes long, so that a client cannot send
/// for ever without sending data.
async fn take_line<S: Transport>(wire: &mut Wire<S>, overhead: &mut usize) -> Result<Vec<u8>, Unread> {
    loop {
        let end = wire.inbox.iter().position(|byte| *byte == b'\n');
        if end.unwrap_or(wire.inbox.len()) >= *overhead {
            return Err(Fault::BodyTooLarge.into());
        }
        if let Some(end) = end {
            *overhead -= end + 1;
            let line = wire.inbox.split_to(end + 1);
            return match line.strip_suffix(b"\r\n") {
                Some(line) if !line.contains(&b'\r') => Ok(line.to_vec()),
                _ => Err(Fault::Malformed("a line of a chunked body ends without a carriage return").into()),
            };
        }
        more(wire).await?;
    }
}

async fn take<S: Transport>(wire: &mut Wire<S>, length: usize) -> Result<Vec<u8>, Unread> {
    while wire.inbox.len() < length {
        more(wire).await?;
    }
    Ok(wire.inbox.split_to(length).to_vec())
}

async fn more<S: Transport>(wire: &mut Wire<S>) -> Result<(), Unread> {
    match wire.fill().await? {
        0 => Err(Fault::Malformed("the request ends inside its body").into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_chunk_is_hexadecimal_and_nothing_else() {
        fn check(line: &str, expected: Option<usize>) {
            assert_eq!(chunk_size(line.as_bytes()).ok(), expected, "{line:?}");
        }
        check("0", Some(0));
        check("1F", Some(31));
        check("a;name=value", Some(10));
        check("", None);
        check(" 5", None);
        check("0x5", None);
        check("-1", None);
        check("+5", None);
        check("5 ", None);
        check("100000000", None);
    }
}
