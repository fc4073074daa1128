//! Which place a `url` means, and whether a money command may go there.

use std::net::IpAddr;

use hyper::Uri;
use hyper::http::uri::Authority;

/// A form that is right, for the remedies.
const EXAMPLE: &str = "write it like \"http://192.168.1.100:8080/payment\"";

/// Where a terminal is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Whether the connection is encrypted (`https`).
    pub tls: bool,
    /// The host in lower case; an IPv6 address without its brackets.
    pub host: String,
    /// The port, the scheme's own where the URL names none.
    pub port: u16,
    /// Path and query, as they stand in the request line.
    pub target: String,
}

/// One fault of a URL: what is wrong and what to do. Neither repeats the URL, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UrlFault {
    pub message: String,
    pub remedy: String,
}

impl Endpoint {
    /// Reads a URL, or says everything that is wrong with it.
    pub fn parse(url: &str) -> Result<Endpoint, Vec<UrlFault>> {
        let mut faults = Vec::new();
        let (url, fragment) = url.split_once('#').map_or((url, None), |(url, fragment)| (url, Some(fragment)));
        if fragment.is_some() {
            faults.push(fault("the URL has a fragment, which is never sent", "leave out the # and what follows it"));
        }
        let endpoint = Uri::try_from(url).ok().and_then(|uri| Endpoint::from_uri(&uri, &mut faults));
        if endpoint.is_none() && faults.iter().all(|fault| fault.message.contains("fragment")) {
            faults.push(fault("this is not a URL with scheme and host", EXAMPLE));
        }
        match endpoint {
            Some(endpoint) if faults.is_empty() => Ok(endpoint),
            _ => Err(faults),
        }
    }

    /// `None` means that it lacks something that was noted, or that it is no absolute URL at all.
    fn from_uri(uri: &Uri, faults: &mut Vec<UrlFault>) -> Option<Endpoint> {
        let (scheme, authority) = (uri.scheme_str()?.to_ascii_lowercase(), uri.authority()?);
        let tls = scheme == "https";
        if !tls && scheme != "http" {
            faults.push(fault(format!("the scheme `{scheme}` is not spoken here"), "use http:// or https://"));
        }
        if authority.as_str().contains('@') {
            let remedy = "leave it out: a URL is shown in logs and on pages, and this terminal needs no login";
            faults.push(fault("the URL contains user info", remedy));
        }
        let host = normal_host(authority.host());
        if host.is_empty() {
            faults.push(fault("the URL has no host", EXAMPLE));
        }
        let port = port(authority, tls);
        if port.is_none() {
            faults.push(fault("the port is not a number from 1 to 65535", EXAMPLE));
        }
        if let Some(why) = host.parse().ok().and_then(|ip| forbidden(ip, tls)) {
            faults.push(fault(why, "write the terminal's own address"));
        }
        let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        Some(Endpoint { tls, host, port: port?, target })
    }

    /// The address in its one normal form, with the default port filled in.
    pub fn normalised(&self) -> String {
        format!("{}://{}{}", if self.tls { "https" } else { "http" }, self.authority(), self.target)
    }

    /// The header `Host`: without the port where it is the scheme's own, as browsers write it.
    pub fn host_header(&self) -> String {
        let authority = self.authority();
        let default = if self.tls { ":443" } else { ":80" };
        authority.strip_suffix(default).map_or(authority.clone(), str::to_owned)
    }

    /// Host and port, for messages.
    pub fn authority(&self) -> String {
        let brackets = self.host.contains(':');
        if brackets { format!("[{}]:{}", self.host, self.port) } else { format!("{}:{}", self.host, self.port) }
    }
}

fn fault(message: impl Into<String>, remedy: &str) -> UrlFault {
    UrlFault { message: message.into(), remedy: remedy.to_owned() }
}

/// Lower case, brackets off, and an IP address in its shortest form: one terminal has one name.
fn normal_host(host: &str) -> String {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().map_or_else(|_| bare.to_ascii_lowercase(), |ip| ip.to_string())
}

fn port(authority: &Authority, tls: bool) -> Option<u16> {
    let after_host = authority.as_str().rsplit('@').next().unwrap_or_default().strip_prefix(authority.host());
    match after_host.and_then(|rest| rest.strip_prefix(':')) {
        None | Some("") => Some(if tls { 443 } else { 80 }),
        Some(digits) => digits.parse().ok().filter(|port| *port != 0),
    }
}

/// Why nothing is sent to this address, if so. Asked of what a name resolved to, so that a name cannot hide an address.
pub(crate) fn forbidden(ip: IpAddr, tls: bool) -> Option<&'static str> {
    let ip = ip.to_canonical();
    if ip.is_unspecified() || ip.is_multicast() || matches!(ip, IpAddr::V4(v4) if v4.is_broadcast()) {
        return Some("the address is that of no single device");
    }
    if is_link_local(ip) {
        return Some(
            "the address is link-local (169.254.0.0/16 or fe80::/10), where no terminal has a lasting address",
        );
    }
    if !tls && !is_private(ip) {
        return Some("plain http to a public address could be read and answered by anybody on the way: use https");
    }
    None
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// Loopback, RFC 1918, the shared range 100.64.0.0/10 that overlay networks use, and fc00::/7.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_loopback() || v4.is_private() || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Result<&str, &[&str]>) {
        match (Endpoint::parse(url), expected) {
            (Ok(endpoint), Ok(normal)) => assert_eq!(endpoint.normalised(), normal, "{url}"),
            (Err(faults), Err(words)) => {
                assert_eq!(faults.len(), words.len(), "{url}: {faults:?}");
                for (fault, word) in faults.iter().zip(words) {
                    assert!(fault.message.contains(word), "{url}: {fault:?} lacks {word:?}");
                }
            }
            (found, _) => panic!("{url}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn one_terminal_has_one_normal_form() {
        check("http://192.168.1.100:8080/payment", Ok("http://192.168.1.100:8080/payment"));
        check("HTTP://Terminal.Shop/Payment", Ok("http://terminal.shop:80/Payment"));
        check("https://terminal.shop", Ok("https://terminal.shop:443/"));
        check("https://terminal.shop:/x?tid=1", Ok("https://terminal.shop:443/x?tid=1"));
        check("http://[0:0::1]:8080/p", Ok("http://[::1]:8080/p"));
    }

    #[test]
    fn every_fault_of_a_url_is_said_at_once() {
        check("ftp://user:hunter2@terminal.shop/p#top", Err(&["fragment", "scheme", "user info"]));
        check("192.168.1.100:8080/payment", Err(&["not a URL"]));
        check("", Err(&["not a URL"]));
        check("/payment", Err(&["not a URL"]));
        check("http://terminal.shop:99999/", Err(&["port"]));
        check("http://terminal.shop:0/", Err(&["port"]));
        check("http://a b/", Err(&["not a URL"]));
        let faults = Endpoint::parse("http://user:hunter2@terminal.shop/").unwrap_err();
        assert!(!format!("{faults:?}").contains("hunter2"));
    }

    #[test]
    fn some_addresses_are_never_called() {
        for (ip, tls, allowed) in [
            ("127.0.0.1", false, true),
            ("192.168.1.100", false, true),
            ("10.1.2.3", false, true),
            ("172.31.255.1", false, true),
            ("172.32.0.1", false, false),
            ("100.64.0.1", false, true),
            ("100.128.0.1", false, false),
            ("8.8.8.8", false, false),
            ("8.8.8.8", true, true),
            ("169.254.169.254", true, false),
            ("::ffff:169.254.169.254", true, false),
            ("::ffff:192.168.1.1", false, true),
            ("fe80::1", true, false),
            ("fd00::1", false, true),
            ("2001:db8::1", false, false),
            ("::", true, false),
            ("0.0.0.0", false, false),
            ("255.255.255.255", true, false),
            ("224.0.0.1", true, false),
            ("ff02::1", true, false),
        ] {
            assert_eq!(forbidden(ip.parse().unwrap(), tls).is_none(), allowed, "{ip} tls {tls}");
        }
    }
}
