//! What answers there, when it is no ZVT.

/// Names the protocol that begins like this, `None` for one that is not known.
pub(super) fn name(bytes: &[u8]) -> Option<&'static str> {
    const STARTS: &[(&[u8], &str)] = &[
        (b"SSH-", "SSH"),
        (b"HTTP/", "HTTP"),
        (b"<html", "HTTP"),
        (b"220 ", "FTP or SMTP"),
        (b"\x15\x03", "TLS"),
        (b"\x16\x03", "TLS"),
        (b"\x10\x02", "ZVT for a serial line"),
        (b"\xFF\xFB", "Telnet"),
        (b"\xFF\xFD", "Telnet"),
        (b"\x02", "a protocol that starts with STX, such as O.P.I. or a host protocol"),
    ];
    STARTS.iter().find(|(start, _)| bytes.starts_with(start)).map(|(_, name)| *name)
}

/// A sentence about bytes that cannot be ZVT. Their content is not shown: nobody knows what it is.
pub(super) fn sentence(address: &str, bytes: &[u8]) -> String {
    let what = match name(bytes) {
        Some(name) => format!("speaks {name}"),
        None if bytes.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) => "speaks text".into(),
        None => format!("sends something else ({} bytes)", bytes.len()),
    };
    format!("what listens at {address} {what}, not ZVT; look up the ZVT port in the terminal's menu (often 20007)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_named() {
        fn check(bytes: &[u8], expected: &str) {
            let sentence = sentence("10.0.0.1:5001", bytes);
            assert!(sentence.contains(expected), "{sentence}");
        }
        check(b"SSH-2.0-OpenSSH_9.6\r\n", "speaks SSH");
        check(b"HTTP/1.1 400 Bad Request\r\n", "speaks HTTP");
        check(&[0x15, 0x03, 0x69], "speaks TLS");
        check(&[0x10, 0x02, 0x80], "speaks ZVT for a serial line");
        check(b"VER|APP 1.0", "speaks text");
        check(&[0, 0, 0, 0x3E], "sends something else (4 bytes)");
    }
}
