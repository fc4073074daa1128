//! How often may somebody try a token?
//!
//! Every address has five wrong tokens a minute; then it pauses, longer each time. All addresses together have thirty a
//! minute; beyond that, whoever has been wrong lately pauses, and whoever has not been is still heard, so that a stranger
//! elsewhere locks nobody out. Behind a reverse proxy everybody has one address, and there a stranger's pauses would be the
//! owner's. Therefore a pause only refuses what is wrong as long as the token is too long to be guessed at the speed of a
//! network. A short token is not even looked at during a pause, and the configuration warns of it. An open session never
//! comes here: its secret is random.
//!
//! A wrong token that comes again is no further guess: a Prometheus that was left with the old one locks nobody out.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tillswitch_core::Secret;
use tokio::time::Instant;

/// The time in which wrong tokens are counted.
const MINUTE: Duration = Duration::from_secs(60);
/// Wrong tokens of one address in a minute.
const OF_ONE: usize = 5;
/// Wrong tokens of all addresses in a minute.
const OF_ALL: usize = 30;
/// The first pause of an address. Each further wrong token doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// No pause is longer.
const LONGEST_PAUSE: Duration = MINUTE;
/// An address that was not wrong for so long begins anew.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);
/// Addresses that are remembered; the one that was wrong the longest time ago goes.
const ADDRESSES: usize = 1024;
/// Wrong tokens of one address that are recognised when they come again.
const RECOGNISED: usize = 8;

/// What a token came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It is the right one.
    Right,
    /// It is not.
    Wrong,
    /// Nobody says. It may be tried again after this long.
    Paused(Duration),
}

/// Who tried lately. Cheap to clone; bounded, whatever comes.
#[derive(Clone, Default)]
pub struct Attempts(Arc<Mutex<Book>>);

impl Attempts {
    /// Tries a token. The same work whatever comes of it.
    pub fn judge(&self, from: IpAddr, token: &Secret, given: &str) -> Tried {
        let is_right = is_token(token, given);
        let (from, now) = (network(from), Instant::now());
        let mut book = self.0.lock().expect("nothing panics while it holds the attempts");
        match book.pause(from, now) {
            None if is_right => Tried::Right,
            Some(_) if is_right && token.is_long() => Tried::Right,
            Some(left) => Tried::Paused(left),
            None => {
                book.note(from, given, now);
                Tried::Wrong
            }
        }
    }
}

/// Compares without telling by its time how much of it was right, or how long it is.
fn is_token(token: &Secret, given: &str) -> bool {
    Sha256::digest(given).ct_eq(&Sha256::digest(token.reveal())).into()
}

/// Who counts as one: an IPv4 address, or an IPv6 network, because one host there has as many addresses as it likes.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[derive(Default)]
struct Book {
    addresses: HashMap<IpAddr, Record>,
    /// The last wrong tokens of all.
    of_all: VecDeque<Instant>,
    hashes: RandomState,
}

/// What is known of an address that was wrong.
struct Record {
    last: Instant,
    /// Its last wrong tokens.
    wrong: VecDeque<Instant>,
    /// The same, as numbers that say nothing about them.
    guesses: VecDeque<u64>,
    /// The pause that the last one made, and when it ends.
    pause: Option<(Duration, Instant)>,
}

impl Book {
    /// How long an address has to wait.
    fn pause(&self, from: IpAddr, now: Instant) -> Option<Duration> {
        let record = self.addresses.get(&from).filter(|record| !record.is_forgotten(now))?;
        let own = record.pause.map(|(_, until)| until);
        let of_all = is_full(&self.of_all, OF_ALL, now).then(|| self.of_all[0] + MINUTE);
        let until = own.into_iter().chain(of_all).max()?;
        Some(until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    fn note(&mut self, from: IpAddr, given: &str, now: Instant) {
        let guess = self.hashes.hash_one(given);
        self.make_room(from, now);
        let record = self.addresses.entry(from).or_insert_with(|| Record::new(now));
        if record.guesses.contains(&guess) {
            return;
        }
        keep(&mut record.guesses, guess, RECOGNISED);
        record.add(from, now);
        keep(&mut self.of_all, now, OF_ALL);
    }

    fn make_room(&mut self, from: IpAddr, now: Instant) {
        self.addresses.retain(|_, record| !record.is_forgotten(now));
        if self.addresses.len() >= ADDRESSES
            && !self.addresses.contains_key(&from)
            && let Some(oldest) = self.addresses.iter().min_by_key(|(_, record)| record.last).map(|(from, _)| *from)
        {
            self.addresses.remove(&oldest);
        }
    }
}

impl Record {
    fn new(now: Instant) -> Record {
        Record { last: now, wrong: VecDeque::new(), guesses: VecDeque::new(), pause: None }
    }

    fn is_forgotten(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= FORGOTTEN_AFTER
    }

    fn add(&mut self, from: IpAddr, now: Instant) {
        self.last = now;
        keep(&mut self.wrong, now, OF_ONE);
        let next = match self.pause {
            Some((pause, _)) => (pause * 2).min(LONGEST_PAUSE),
            None if is_full(&self.wrong, OF_ONE, now) => FIRST_PAUSE,
            None => return,
        };
        self.pause = Some((next, now + next));
        tracing::warn!(%from, pause_seconds = next.as_secs(), "too many wrong admin tokens from this address");
    }
}

fn keep<T>(queue: &mut VecDeque<T>, item: T, most: usize) {
    if queue.len() == most {
        queue.pop_front();
    }
    queue.push_back(item);
}

/// Whether all the places were taken within the last minute.
fn is_full(queue: &VecDeque<Instant>, most: usize, now: Instant) -> bool {
    queue.len() == most && queue.front().is_some_and(|first| now.saturating_duration_since(*first) < MINUTE)
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, pause};

    use super::*;

    const LONG: &str = "0123456789abcdefghij";
    const SHORT: &str = "hunter2";

    fn host(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    /// Tries wrong tokens, each another one, until there is a pause.
    fn exhaust(attempts: &Attempts, token: &Secret, from: IpAddr) -> (usize, Duration) {
        for count in 0..1000 {
            if let Tried::Paused(left) = attempts.judge(from, token, &format!("wrong {count} {:?}", Instant::now())) {
                return (count, left);
            }
        }
        panic!("a thousand wrong tokens in a row and no pause")
    }

    #[tokio::test]
    async fn an_address_has_five_a_minute_and_then_pauses_longer_and_longer() {
        pause();
        let (attempts, token) = (Attempts::default(), Secret::new(SHORT));
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let (tried, left) = exhaust(&attempts, &token, host(1));
            pauses.push((tried, left.as_secs()));
            advance(left).await;
        }
        assert_eq!(pauses, [(5, 5), (1, 10), (1, 20), (1, 40), (1, 60), (1, 60)]);
        advance(FORGOTTEN_AFTER).await;
        assert_eq!(exhaust(&attempts, &token, host(1)).0, 5, "it begins anew");
    }

    #[tokio::test]
    async fn five_spread_over_more_than_a_minute_make_no_pause() {
        pause();
        let (attempts, token) = (Attempts::default(), Secret::new(SHORT));
        for count in 0..20 {
            assert_eq!(attempts.judge(host(1), &token, &count.to_string()), Tried::Wrong);
            advance(Duration::from_secs(15)).await;
        }
    }

    #[tokio::test]
    async fn a_stranger_elsewhere_locks_nobody_out() {
        pause();
        for token in [SHORT, LONG].map(Secret::new) {
            let attempts = Attempts::default();
            let strangers = (1..100).take_while(|number| exhaust(&attempts, &token, host(*number)).0 > 1).count();
            assert!((6..=30).contains(&strangers), "{strangers}: all of them together are limited");
            assert_eq!(attempts.judge(host(1000), &token, token.reveal()), Tried::Right);
        }
    }

    #[tokio::test]
    async fn behind_one_address_a_long_token_is_heard_and_a_short_one_waits() {
        pause();
        for (token, is_heard) in [(LONG, true), (SHORT, false)] {
            let (attempts, token) = (Attempts::default(), Secret::new(token));
            let (_, left) = exhaust(&attempts, &token, host(1));
            assert_eq!(attempts.judge(host(1), &token, token.reveal()) == Tried::Right, is_heard);
            advance(left).await;
            assert_eq!(attempts.judge(host(1), &token, token.reveal()), Tried::Right);
        }
    }

    #[tokio::test]
    async fn the_same_wrong_token_again_is_no_further_guess() {
        pause();
        let (attempts, token) = (Attempts::default(), Secret::new(SHORT));
        for _ in 0..100 {
            for old in ["the old one", "the one before"] {
                assert_eq!(attempts.judge(host(1), &token, old), Tried::Wrong);
            }
        }
        assert_eq!(exhaust(&attempts, &token, host(1)).0, 3);
    }

    #[tokio::test]
    async fn a_network_of_ipv6_is_one_and_memory_is_bounded() {
        pause();
        let (attempts, token) = (Attempts::default(), Secret::new(SHORT));
        let of = |last: &str| format!("2001:db8:0:1::{last}").parse().unwrap();
        assert_eq!(exhaust(&attempts, &token, of("1")).0, 5);
        assert!(matches!(attempts.judge(of("2"), &token, "x"), Tried::Paused(_)));
        assert!(matches!(attempts.judge("::ffff:10.0.0.1".parse().unwrap(), &token, "x"), Tried::Wrong));
        assert_eq!(network("::ffff:10.0.0.1".parse().unwrap()), host(0x0A00_0001));
        for number in 0..3 * ADDRESSES {
            attempts.judge(host(number as u32), &token, "x");
        }
        let book = attempts.0.lock().unwrap();
        assert!(book.addresses.len() <= ADDRESSES && book.of_all.len() <= OF_ALL);
    }
}
