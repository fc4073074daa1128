//! Who may come in: by which name the address is reached, from which page, with which token or session.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::header::{AUTHORIZATION, COOKIE, HOST, HeaderName, ORIGIN};
use hyper::{HeaderMap, Method};
use subtle::ConstantTimeEq;
use tillswitch_core::Secret;
use tokio::time::Instant;

use crate::answer::Answer;
use crate::code::Code;
use crate::config::Admin;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The cookie of the page.
const COOKIE_NAME: &str = "tillswitch";
/// A session that was not used for so long has ended.
const IDLE: Duration = Duration::from_secs(12 * 3600);
/// Sessions that are open at most; the oldest goes.
const SESSIONS: usize = 64;

/// The sessions that are open, by their secret. They end with the router.
#[derive(Clone, Default)]
pub struct Sessions(Arc<Mutex<HashMap<String, Instant>>>);

impl Sessions {
    /// Opens one, and returns what the cookie must hold.
    pub fn open(&self) -> String {
        let secret = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(|part| part.simple().to_string()).concat();
        let mut sessions = self.0.lock().expect("nothing panics while it holds the sessions");
        if sessions.len() >= SESSIONS
            && let Some(oldest) = sessions.iter().min_by_key(|(_, used)| **used).map(|(secret, _)| secret.clone())
        {
            sessions.remove(&oldest);
        }
        sessions.insert(secret.clone(), Instant::now());
        format!("{COOKIE_NAME}={secret}; Path=/; HttpOnly; SameSite=Strict")
    }

    /// Ends the session of a request.
    pub fn close(&self, headers: &HeaderMap) {
        if let Some(secret) = cookie(headers) {
            self.0.lock().expect("nothing panics while it holds the sessions").remove(secret);
        }
    }

    fn is_open(&self, headers: &HeaderMap) -> bool {
        let Some(secret) = cookie(headers) else { return false };
        let mut sessions = self.0.lock().expect("nothing panics while it holds the sessions");
        sessions.retain(|_, used| used.elapsed() < IDLE);
        match sessions.get_mut(secret) {
            Some(used) => {
                *used = Instant::now();
                true
            }
            None => false,
        }
    }
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='))
}

/// Refuses a request that must not come in. `open` calls (the log-in) need no token.
pub fn check(
    admin: &Admin,
    sessions: &Sessions,
    method: &Method,
    headers: &HeaderMap,
    open: bool,
) -> Result<(), Answer> {
    if !knows_host(admin, headers) {
        let message = "this address is not reached by that name; add it to `hosts` in [admin]";
        return Err(Answer::error(421, Code::NotFound, message));
    }
    if method != Method::GET && !is_own_page(headers) {
        return Err(Answer::error(403, Code::Unauthorized, "a page of another site may not do that"));
    }
    match &admin.token {
        Some(token) if !open && !is_bearer(token, headers) && !sessions.is_open(headers) => {
            let message = "the token is missing or wrong; send it as `Authorization: Bearer …`";
            Err(Answer::error(401, Code::Unauthorized, message))
        }
        _ => Ok(()),
    }
}

/// A page in somebody's browser must not reach us through a name of its own (DNS rebinding): only a plain address, localhost
/// or a configured name is answered.
fn knows_host(admin: &Admin, headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return false };
    let name = without_port(host);
    name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || admin.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Whoever is no browser sends neither header. A browser says where the request comes from.
fn is_own_page(headers: &HeaderMap) -> bool {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    if let Some(site) = text(&FETCH_SITE) {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text(&ORIGIN) else { return true };
    let host = text(&HOST).unwrap_or_default();
    origin.split_once("://").is_some_and(|(_, place)| place.eq_ignore_ascii_case(host))
}

fn is_bearer(token: &Secret, headers: &HeaderMap) -> bool {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match given.split_once(' ') {
        Some((scheme, given)) if scheme.eq_ignore_ascii_case("bearer") => is_token(token, given.trim()),
        _ => false,
    }
}

/// Compares without telling by its time how much of it was right.
pub fn is_token(token: &Secret, given: &str) -> bool {
    given.as_bytes().ct_eq(token.reveal().as_bytes()).into()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admin(token: Option<&str>) -> Admin {
        Admin {
            listen: ([127, 0, 0, 1], 5001).into(),
            token: token.map(Secret::new),
            hosts: vec!["till.example".into()],
        }
    }

    fn check_(token: Option<&str>, method: Method, headers: &[(&str, &str)], expected: Option<u16>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        let refused = check(&admin(token), &Sessions::default(), &method, &map, false).err();
        assert_eq!(refused.map(|answer| answer.status), expected, "{method} {headers:?}");
    }

    #[test]
    fn only_known_names_are_answered() {
        for host in ["127.0.0.1:5001", "localhost", "[::1]:5001", "till.example", "TILL.example:443", "192.168.1.2"] {
            check_(None, Method::GET, &[("host", host)], None);
        }
        for host in ["evil.test", "127.0.0.1.evil.test", "localhost.evil.test:5001", ""] {
            check_(None, Method::GET, &[("host", host)], Some(421));
        }
        check_(None, Method::GET, &[], Some(421));
    }

    #[test]
    fn pages_of_other_sites_change_nothing() {
        let host = ("host", "127.0.0.1:5001");
        check_(None, Method::POST, &[host], None);
        check_(None, Method::POST, &[host, ("sec-fetch-site", "same-origin")], None);
        check_(None, Method::POST, &[host, ("origin", "http://127.0.0.1:5001")], None);
        for bad in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "http://evil.test"),
            ("origin", "null"),
        ] {
            check_(None, Method::POST, &[host, bad], Some(403));
        }
        check_(None, Method::GET, &[host, ("origin", "http://evil.test")], None);
    }

    #[test]
    fn the_token_is_needed_where_there_is_one() {
        let host = ("host", "localhost");
        check_(Some("hunter2"), Method::GET, &[host], Some(401));
        check_(Some("hunter2"), Method::GET, &[host, ("authorization", "Bearer hunter3")], Some(401));
        check_(Some("hunter2"), Method::GET, &[host, ("authorization", "hunter2")], Some(401));
        check_(Some("hunter2"), Method::GET, &[host, ("authorization", "bearer hunter2")], None);
        check_(Some("hunter2"), Method::GET, &[host, ("cookie", "tillswitch=guess")], Some(401));
    }

    #[test]
    fn a_session_opens_and_closes() {
        let sessions = Sessions::default();
        let cookie = sessions.open();
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "localhost".parse().unwrap());
        headers.insert(COOKIE, format!("a=b; {}", cookie.split(';').next().unwrap()).parse().unwrap());
        let enter = || check(&admin(Some("hunter2")), &sessions, &Method::GET, &headers, false);
        assert!(enter().is_ok());
        sessions.close(&headers);
        assert!(enter().is_err());
    }
}
