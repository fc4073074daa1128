//! Who may come in: by which name the address is reached, from which page, with which token or session.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hyper::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, HeaderName, ORIGIN};
use hyper::{HeaderMap, Method};
use tillswitch_core::Secret;
use tokio::time::Instant;

use super::attempts::Tried;
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

/// The sessions that are open, by their secret. They end with the router, and with the token that opened them.
#[derive(Clone, Default)]
pub struct Sessions(Arc<Mutex<HashMap<String, Session>>>);

struct Session {
    used: Instant,
    /// What it was opened with. Whoever had an old token must not stay in after it was changed.
    token: Secret,
}

impl Sessions {
    /// Opens one, and returns what the cookie must hold.
    pub fn open(&self, token: &Secret, headers: &HeaderMap) -> String {
        let secret = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(|part| part.simple().to_string()).concat();
        let mut sessions = self.lock();
        if sessions.len() >= SESSIONS
            && let Some(oldest) =
                sessions.iter().min_by_key(|(_, session)| session.used).map(|(secret, _)| secret.clone())
        {
            sessions.remove(&oldest);
        }
        sessions.insert(secret.clone(), Session { used: Instant::now(), token: token.clone() });
        // Behind a proxy that speaks https the browser is to send it nowhere else. Here itself is plain http.
        let secure = if is_https(headers) { "; Secure" } else { "" };
        format!("{COOKIE_NAME}={secret}; Path=/; HttpOnly; SameSite=Strict{secure}")
    }

    /// Ends the session of a request.
    pub fn close(&self, headers: &HeaderMap) {
        if let Some(secret) = cookie(headers) {
            self.lock().remove(secret);
        }
    }

    /// Whether a request belongs to one that was opened with this token.
    pub fn is_open(&self, headers: &HeaderMap, token: &Secret) -> bool {
        let Some(secret) = cookie(headers) else { return false };
        let mut sessions = self.lock();
        sessions.retain(|_, session| session.used.elapsed() < IDLE && session.token == *token);
        match sessions.get_mut(secret) {
            Some(session) => {
                session.used = Instant::now();
                true
            }
            None => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.0.lock().expect("nothing panics while it holds the sessions")
    }
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='))
}

/// Refuses a request that comes by a strange name or from a strange page, whoever sends it.
pub fn check(admin: &Admin, method: &Method, headers: &HeaderMap) -> Result<(), Answer> {
    if !knows_host(admin, headers) {
        let message = "this address is not reached by that name; add it to `hosts` in [admin]";
        return Err(Answer::error(421, Code::NotFound, message));
    }
    if method != Method::GET && !is_own_page(headers) {
        return Err(Answer::error(403, Code::Unauthorized, "a page of another site may not do that"));
    }
    Ok(())
}

/// Refuses a body that does not say that it is JSON.
///
/// A page of another site can make a browser send a form without asking, and of the three types that a form has, `text/plain`
/// can be made to look like JSON. Browsers from before 2020 do not say with every form which page it comes from, so this
/// closes what [`check`] leaves open for them. It is the second door and not the first: a call without a body has no type.
pub fn check_type(headers: &HeaderMap, body: &[u8]) -> Result<(), Answer> {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = given.split(';').next().unwrap_or_default().trim();
    if body.is_empty() || kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = "a body is sent as JSON, with the header `Content-Type: application/json`";
    Err(Answer::error(415, Code::Malformed, message))
}

/// What was given as a bearer token (RFC 6750, 2.1).
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, given) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    Some(given.trim()).filter(|given| scheme.eq_ignore_ascii_case("bearer") && !given.is_empty())
}

/// Why somebody is not let in, who has the right token neither in a header nor in a session.
pub fn refused(tried: Option<Tried>) -> Answer {
    let Some(Tried::Paused(left)) = tried else {
        let message = "the token is missing or wrong; send it as `Authorization: Bearer …`";
        return Answer::error(401, Code::Unauthorized, message);
    };
    let seconds = u32::try_from(left.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
    let message = format!("too many wrong tokens; try again in {seconds} s");
    Answer { retry_after: Some(seconds), ..Answer::error(429, Code::TooMany, message) }
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

/// Whether the page that asks was loaded over https.
fn is_https(headers: &HeaderMap) -> bool {
    headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
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

    fn admin() -> Admin {
        let listen = ([127, 0, 0, 1], 5001).into();
        Admin { listen, token: None, hosts: vec!["till.example".into()] }
    }

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        fields.iter().map(field).collect()
    }

    #[track_caller]
    fn check_(method: Method, fields: &[(&str, &str)], expected: Option<u16>) {
        let refused = check(&admin(), &method, &headers(fields)).err();
        assert_eq!(refused.map(|answer| answer.status), expected, "{method} {fields:?}");
    }

    #[test]
    fn only_known_names_are_answered() {
        for host in
            ["127.0.0.1:5001", "localhost", "LocalHost:5001", "[::1]:5001", "[::1]", "till.example", "TILL.example:443"]
        {
            check_(Method::GET, &[("host", host)], None);
        }
        for host in [
            "evil.test",
            "127.0.0.1.evil.test",
            "127.0.0.1.",
            "localhost.evil.test:5001",
            "localhost:5001.evil.test",
            "till.example.evil.test",
            "evil.test#till.example",
            "evil.test:till.example",
            "user@till.example",
            "xtill.example",
            "0x7f.1",
            ":5001",
            "",
        ] {
            check_(Method::GET, &[("host", host)], Some(421));
        }
        check_(Method::GET, &[], Some(421));
    }

    /// Every kind of page, origin and body that a request can come with: which of them may change something.
    #[test]
    fn pages_of_other_sites_change_nothing() {
        let sites =
            [None, Some("same-origin"), Some("none"), Some("same-site"), Some("cross-site"), Some("SAME-ORIGIN")];
        let own = "http://127.0.0.1:5001";
        let origins =
            [None, Some(own), Some("http://127.0.0.1:5002"), Some("null"), Some("http://evil.test"), Some("")];
        let kinds = [Some("application/json"), Some("application/x-www-form-urlencoded"), Some("text/plain"), None];
        let mut let_in = Vec::new();
        for site in sites {
            for origin in origins {
                for kind in kinds {
                    let fields = [("sec-fetch-site", site), ("origin", origin), ("content-type", kind)];
                    let given = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
                    let fields: Vec<_> = given.chain([("host", "127.0.0.1:5001")]).collect();
                    let headers = headers(&fields);
                    assert!(check(&admin(), &Method::GET, &headers).is_ok(), "GET changes nothing: {fields:?}");
                    let page = check(&admin(), &Method::POST, &headers);
                    assert_eq!(page.is_err(), check(&admin(), &Method::DELETE, &headers).is_err());
                    if page.is_ok() && check_type(&headers, b"{}").is_ok() {
                        let_in.push((site, origin, kind));
                    }
                }
            }
        }
        let json = Some("application/json");
        let mut expected = vec![(None, None, json), (None, Some(own), json)];
        for site in [Some("same-origin"), Some("none")] {
            expected.extend(origins.map(|origin| (site, origin, json)));
        }
        assert_eq!(let_in, expected, "a browser that knows its site knows better than an origin that a proxy changed");
    }

    #[test]
    fn a_body_says_that_it_is_json() {
        for (kind, expected) in [
            ("application/json", None),
            ("Application/JSON; charset=utf-8", None),
            ("application/jsonx", Some(415)),
            ("text/plain;application/json", Some(415)),
            ("multipart/form-data", Some(415)),
            ("", Some(415)),
        ] {
            let headers = headers(&[("content-type", kind)]);
            assert_eq!(check_type(&headers, b"{}").err().map(|answer| answer.status), expected, "{kind}");
            assert!(check_type(&headers, b"").is_ok(), "where there is no body there is no type");
        }
    }

    #[test]
    fn a_token_stands_behind_its_scheme() {
        for (value, expected) in [
            ("Bearer hunter2", Some("hunter2")),
            ("bearer  hunter2 ", Some("hunter2")),
            ("hunter2", None),
            ("Bearer", None),
            ("Bearer  ", None),
            ("Basic aHVudGVyMg==", None),
        ] {
            assert_eq!(bearer(&headers(&[("authorization", value)])), expected, "{value}");
        }
    }

    /// A session, and the header of its cookie.
    fn session(sessions: &Sessions, token: &Secret) -> HeaderMap {
        let cookie = sessions.open(token, &HeaderMap::new());
        headers(&[("cookie", &format!("a=b; {}", cookie.split(';').next().unwrap()))])
    }

    #[tokio::test]
    async fn a_session_ends_by_log_out_by_rest_and_with_its_token() {
        tokio::time::pause();
        let (sessions, token) = (Sessions::default(), Secret::new("hunter2"));
        let mine = session(&sessions, &token);
        for _ in 0..3 {
            tokio::time::advance(IDLE - Duration::from_secs(1)).await;
            assert!(sessions.is_open(&mine, &token), "whoever comes back in time stays in");
        }
        tokio::time::advance(IDLE).await;
        assert!(!sessions.is_open(&mine, &token));

        let mine = session(&sessions, &token);
        sessions.close(&mine);
        assert!(!sessions.is_open(&mine, &token));

        let mine = session(&sessions, &token);
        assert!(!sessions.is_open(&mine, &Secret::new("hunter3")));
        assert!(!sessions.is_open(&mine, &token), "it does not come back with its token");
    }

    #[test]
    fn the_oldest_session_makes_room() {
        let (sessions, token) = (Sessions::default(), Secret::new("hunter2"));
        let first = session(&sessions, &token);
        let others: Vec<HeaderMap> = (0..SESSIONS).map(|_| session(&sessions, &token)).collect();
        assert!(!sessions.is_open(&first, &token));
        assert!(others.iter().all(|headers| sessions.is_open(headers, &token)));
    }

    #[test]
    fn the_cookie_stays_where_the_page_came_from() {
        let (sessions, token) = (Sessions::default(), Secret::new("hunter2"));
        let over = |origin| sessions.open(&token, &headers(&[("origin", origin)]));
        assert!(over("https://till.example").ends_with("; HttpOnly; SameSite=Strict; Secure"));
        assert!(over("http://127.0.0.1:5001").ends_with("; HttpOnly; SameSite=Strict"));
    }
}
