//! Who of those who call is known, because a webhook of theirs was believed?
//!
//! A tunnel or a reverse proxy makes everybody call from one address, the point of sale as well as strangers. So no rule
//! here takes anything away from an address that the point of sale has called from, and being unknown costs a share of the
//! places only, never all of them: see [`Places`](super::places::Places).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

/// How long an address stays known after its last good webhook. A shop that opens again tomorrow is still known.
const REMEMBERED: Duration = Duration::from_secs(36 * 3600);
/// How many addresses are remembered. Only whoever holds a signature key can make one known.
const MOST: usize = 1024;

/// Where a client calls from, as far as strangers cannot choose it: an IPv4 address, or an IPv6 network of 64 bits, because
/// whoever has one address of such a network has all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin(IpAddr);

impl From<SocketAddr> for Origin {
    fn from(peer: SocketAddr) -> Origin {
        Origin(match peer.ip().to_canonical() {
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
            ip => ip,
        })
    }
}

/// The origins that are known. Cheap to clone; kept in memory only, so a restart meets everybody anew.
#[derive(Clone, Debug, Default)]
pub struct Callers(Arc<Book>);

#[derive(Debug, Default)]
struct Book {
    known: Mutex<HashMap<Origin, Instant>>,
    everybody: AtomicBool,
}

impl Callers {
    /// Whether everybody is known. Where nothing is signed nobody can prove anything, and either only this machine is
    /// listened to, or something in front checks who calls.
    pub fn trust_everybody(&self, trusted: bool) {
        self.0.everybody.store(trusted, Ordering::Relaxed);
    }

    /// A webhook from there was believed.
    pub fn vouch(&self, origin: Origin) {
        let now = Instant::now();
        let mut known = self.known();
        if known.len() >= MOST && !known.contains_key(&origin) {
            forget_oldest(&mut known);
        }
        known.insert(origin, now);
    }

    /// Whether a webhook from there was believed lately.
    pub fn know(&self, origin: Origin) -> bool {
        let lately = |last: &Instant| last.elapsed() < REMEMBERED;
        self.0.everybody.load(Ordering::Relaxed) || self.known().get(&origin).is_some_and(lately)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Origin, Instant>> {
        self.0.known.lock().expect("nothing panics while it holds the known origins")
    }
}

fn forget_oldest(known: &mut HashMap<Origin, Instant>) {
    let oldest = known.iter().min_by_key(|(_, last)| **last).map(|(origin, _)| *origin);
    if let Some(oldest) = oldest {
        known.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::from(SocketAddr::new(text.parse().unwrap(), 1))
    }

    #[test]
    fn an_origin_is_what_a_stranger_cannot_choose() {
        fn check(one: &str, other: &str, same: bool) {
            assert_eq!(origin(one) == origin(other), same, "{one} {other}");
        }
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("2001:db8::1", "2001:db8::ffff:1:2:3", true);
        check("2001:db8::1", "2001:db8:0:1::1", false);
    }

    #[tokio::test(start_paused = true)]
    async fn an_origin_is_known_for_a_while() {
        let callers = Callers::default();
        callers.vouch(origin("192.0.2.1"));
        assert!(callers.know(origin("192.0.2.1")) && !callers.know(origin("192.0.2.2")));
        tokio::time::advance(REMEMBERED).await;
        assert!(!callers.know(origin("192.0.2.1")));
        callers.trust_everybody(true);
        assert!(callers.know(origin("192.0.2.2")));
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_is_forgotten_when_there_are_too_many() {
        let callers = Callers::default();
        for number in 0..=MOST as u32 {
            callers.vouch(Origin(IpAddr::V4(number.into())));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(callers.known().len(), MOST);
        assert!(!callers.know(Origin(IpAddr::V4(0.into()))) && callers.know(Origin(IpAddr::V4(1.into()))));
    }
}
