//! What answers there, when it is no ZVT.

const OTHER_PORT: &str = "look up the ZVT port in the terminal's menu (often 20007)";
const ENCRYPTED: &str =
    "if ZVT is encrypted at this port, set tls = true; otherwise look up the ZVT port (often 20007)";
const SERIAL: &str =
    "set the device server to plain TCP, or give the terminal a serial device of its own: driver = \"zvt-serial\"";
const SWITCH_ON: &str = "switch ZVT on in the terminal's menu and look up its port there (often 20007)";

/// What a protocol that begins like this is called, and what to do about it.
fn known(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    const STARTS: &[(&[u8], &str, &str)] = &[
        (b"SSH-", "SSH", OTHER_PORT),
        (b"HTTP/", "HTTP", OTHER_PORT),
        (b"<html", "HTTP", OTHER_PORT),
        (b"<!DOCTYPE", "HTTP", OTHER_PORT),
        (b"<?xml", "XML, such as O.P.I.", SWITCH_ON),
        (b"{", "JSON", SWITCH_ON),
        (b"220 ", "FTP or SMTP", OTHER_PORT),
        (b"RFB ", "VNC", OTHER_PORT),
        (b"\x10\x02", "ZVT for a serial line", SERIAL),
        (b"\xFF\xFB", "Telnet", OTHER_PORT),
        (b"\xFF\xFD", "Telnet", OTHER_PORT),
        (b"\x02", "a protocol that starts with STX, such as O.P.I. or a host protocol", SWITCH_ON),
    ];
    let by_start = || STARTS.iter().find(|(start, ..)| bytes.starts_with(start));
    match bytes {
        // Records of TLS begin with their kind and the version 3.0 to 3.4.
        [0x15 | 0x16, 0x03, 0..=4, ..] => Some(("TLS", ENCRYPTED)),
        // Seen at a Move 3500 on port 1000.
        [0x15, 0x03, ..] => Some(("something that answers like TLS or with a NAK (15 03)", ENCRYPTED)),
        [0x15] => Some(("ZVT for a serial line (it answers with a NAK)", SERIAL)),
        // Seen at a yomani on port 5001, behind a length of four bytes.
        _ if contains(bytes, b"VER|APP") => Some(("the maker's own protocol (VER|APP)", SWITCH_ON)),
        [0, 0, _, _, b'<', ..] => Some(("XML behind a length, such as O.P.I.", SWITCH_ON)),
        [0, 0, _, _, ..] => Some(("a protocol whose messages begin with a length of four bytes", SWITCH_ON)),
        _ => by_start().map(|(_, name, remedy)| (*name, *remedy)),
    }
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// A sentence about bytes that cannot be ZVT. Their content is not shown: nobody knows what it is.
pub(super) fn sentence(address: &str, bytes: &[u8]) -> String {
    let is_text = bytes.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    let (what, remedy) = match known(bytes) {
        Some((name, remedy)) => (format!("speaks {name}"), remedy),
        None if is_text => ("speaks text".into(), OTHER_PORT),
        None => (format!("sends something else ({} bytes)", bytes.len()), OTHER_PORT),
    };
    format!("what listens at {address} {what}, not ZVT; {remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_named() {
        fn check(bytes: &[u8], expected: &str, remedy: &str) {
            let sentence = sentence("10.0.0.1:5001", bytes);
            assert!(sentence.contains(expected) && sentence.contains(remedy), "{sentence}");
        }
        check(b"SSH-2.0-OpenSSH_9.6\r\n", "speaks SSH", "20007");
        check(b"HTTP/1.1 400 Bad Request\r\n", "speaks HTTP", "20007");
        check(&[0x15, 0x03, 0x03, 0x00, 0x02], "speaks TLS", "tls = true");
        check(&[0x15, 0x03, 0x69], "like TLS or with a NAK", "tls = true");
        check(&[0x15], "serial line", "zvt-serial");
        check(&[0x10, 0x02, 0x80], "speaks ZVT for a serial line", "zvt-serial");
        check(b"VER|APP 1.0", "VER|APP", "switch ZVT on");
        check(b"\0\0\0\x3EVER|APP 1.0", "VER|APP", "switch ZVT on");
        check(b"\0\0\x01\x3E<?xml version", "XML", "switch ZVT on");
        check(&[0, 0, 0, 0x3E], "a length of four bytes", "switch ZVT on");
        check(b"{\"error\":1}", "JSON", "switch ZVT on");
        check(b"hello there", "speaks text", "20007");
        check(&[0xC0, 0xFF, 0xEE], "sends something else (3 bytes)", "20007");
    }
}
