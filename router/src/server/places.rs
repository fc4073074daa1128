//! Who has a place at this listener, and who gives way when another one comes?
//!
//! A newcomer always gets a place as long as somebody waits: the connection that has waited longest for its client, without
//! a whole request from it, gives way. Idle clients, slow heads, slow bodies, slow handshakes and answers that nobody reads
//! therefore lock nobody out, not even when all of them come through the same tunnel as the point of sale. A request that is
//! being answered never gives way. Strangers give way before those who are [known](super::Callers), and one stranger's
//! address holds a share of the places only; beyond it, its own connections give way. Everybody has a head start: however
//! many come at once, who has just come in keeps the place long enough to send a request, and the others queue up meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;
use tokio::time::{Duration, Instant};

use super::callers::{Callers, Origin};

/// The places of one listener.
pub(super) struct Places {
    most: usize,
    /// How many a stranger's address may have.
    share: usize,
    /// How long a connection keeps its place at least.
    head_start: Duration,
    callers: Callers,
    taken: Mutex<Taken>,
}

/// Who has a place. Places are numbered in the order in which they were taken.
#[derive(Default)]
struct Taken {
    last: u64,
    seats: HashMap<u64, Seat>,
    /// How many places each origin has.
    origins: HashMap<Origin, usize>,
    /// Places whose clients are waited for, the longest wait first.
    waiting: BTreeMap<u64, u64>,
}

struct Seat {
    origin: Origin,
    taken_at: Instant,
    /// Its number among those that wait, if it does.
    waits: Option<u64>,
    given_away: Arc<Notify>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// All that it could have are at a request, or were not looked at yet.
    Busy,
    /// Nobody has waited for long enough; then, somebody will have.
    Until(Instant),
}

/// A place. It is free again when this is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    given_away: Arc<Notify>,
}

impl Places {
    pub(super) fn new(most: usize, share: usize, head_start: Duration, callers: Callers) -> Arc<Places> {
        Arc::new(Places { most, share, head_start, callers, taken: Mutex::default() })
    }

    /// A place for a client from there.
    pub(super) fn take(self: &Arc<Places>, origin: Origin) -> Result<Place, NoPlace> {
        let mut taken = self.taken();
        if !self.callers.know(origin) && taken.origins.get(&origin).copied().unwrap_or_default() >= self.share {
            // Without a head start: nobody else waits for what an address does to itself.
            let own = taken.longest_wait(|seat| seat.origin == origin).ok_or(NoPlace::Busy)?;
            taken.give_away(own);
        } else if taken.seats.len() >= self.most {
            let stranger = taken.longest_wait(|seat| !self.callers.know(seat.origin));
            let anyone = stranger.or_else(|| taken.longest_wait(|_| true)).ok_or(NoPlace::Busy)?;
            taken.give_away_after(anyone, self.head_start)?;
        }
        let (number, given_away) = taken.enter(origin);
        Ok(Place { places: self.clone(), number, given_away })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().expect("nothing panics while it holds the places")
    }
}

impl Taken {
    fn enter(&mut self, origin: Origin) -> (u64, Arc<Notify>) {
        self.last += 1;
        let given_away = Arc::new(Notify::new());
        self.seats
            .insert(self.last, Seat { origin, taken_at: Instant::now(), waits: None, given_away: given_away.clone() });
        *self.origins.entry(origin).or_default() += 1;
        (self.last, given_away)
    }

    /// Goes through all who wait, at most: only when a limit is reached, and that is some hundred.
    fn longest_wait(&self, wanted: impl Fn(&Seat) -> bool) -> Option<u64> {
        let mut waiting = self.waiting.values().copied();
        waiting.find(|number| self.seats.get(number).is_some_and(&wanted))
    }

    fn give_away_after(&mut self, number: u64, head_start: Duration) -> Result<(), NoPlace> {
        let until = self.seats.get(&number).map(|seat| seat.taken_at + head_start);
        match until.filter(|until| *until > Instant::now()) {
            Some(until) => Err(NoPlace::Until(until)),
            None => {
                self.give_away(number);
                Ok(())
            }
        }
    }

    fn give_away(&mut self, number: u64) {
        if let Some(seat) = self.leave(number) {
            seat.given_away.notify_one();
        }
    }

    fn leave(&mut self, number: u64) -> Option<Seat> {
        let seat = self.seats.remove(&number)?;
        if let Some(waits) = seat.waits {
            self.waiting.remove(&waits);
        }
        if let Some(count) = self.origins.get_mut(&seat.origin) {
            *count -= 1;
            if *count == 0 {
                self.origins.remove(&seat.origin);
            }
        }
        Some(seat)
    }

    fn waits(&mut self, number: u64) {
        if let Some(seat) = self.seats.get_mut(&number)
            && seat.waits.is_none()
        {
            self.last += 1;
            seat.waits = Some(self.last);
            self.waiting.insert(self.last, number);
        }
    }

    fn works(&mut self, number: u64) -> bool {
        let seat = self.seats.get_mut(&number);
        if let Some(waits) = seat.and_then(|seat| seat.waits.take()) {
            self.waiting.remove(&waits);
        }
        self.seats.contains_key(&number)
    }
}

impl Place {
    /// The client is waited for: from now on this place may be given away. Said again, it changes nothing.
    pub(super) fn waits(&self) {
        self.places.taken().waits(self.number);
    }

    /// A whole request is there: from now on this place is kept. False: it was given away before.
    #[must_use]
    pub(super) fn works(&self) -> bool {
        self.places.taken().works(self.number)
    }

    /// Does something that depends on the client. The place waits as soon as that does, and not while its bytes are only
    /// not yet looked at.
    pub(super) async fn waiting<T>(&self, step: impl Future<Output = T>) -> T {
        let mut step = pin!(step);
        poll_fn(|cx| {
            let polled = step.as_mut().poll(cx);
            if polled.is_pending() {
                self.waits();
            }
            polled
        })
        .await
    }

    /// Completes when a newcomer has got this place.
    pub(super) async fn given_away(&self) {
        self.given_away.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::net::{Ipv4Addr, SocketAddr};

    use futures_util::FutureExt;

    use super::*;

    fn origin(last: u8) -> Origin {
        Origin::from(SocketAddr::from((Ipv4Addr::new(192, 0, 2, last), 1)))
    }

    fn gone(place: &Place) -> bool {
        place.given_away().now_or_never().is_some()
    }

    #[test]
    fn the_longest_wait_gives_way() {
        let places = Places::new(3, 3, Duration::ZERO, Callers::default());
        let [one, two, three] = [1, 2, 3].map(|number| places.take(origin(number)).unwrap());
        [&two, &three, &one, &two].into_iter().for_each(Place::waits);
        let four = places.take(origin(4)).unwrap();
        assert_eq!([&one, &two, &three, &four].map(gone), [false, true, false, false]);
        // To have been at a request meanwhile puts a connection last in the row.
        assert!(three.works());
        three.waits();
        assert!(places.take(origin(5)).is_ok());
        assert_eq!([&one, &three].map(gone), [true, false]);
    }

    #[test]
    fn who_is_at_a_request_stays_and_a_place_is_free_when_it_is_left() {
        let places = Places::new(2, 2, Duration::ZERO, Callers::default());
        let (one, two) = (places.take(origin(1)).unwrap(), places.take(origin(2)).unwrap());
        one.waits();
        assert!(one.works() && two.works());
        assert!(places.take(origin(3)).is_err());
        drop(two);
        assert!(places.take(origin(3)).is_ok());
        assert!(!gone(&one));
        drop(one);
        assert!(
            places.taken().seats.is_empty() && places.taken().origins.is_empty() && places.taken().waiting.is_empty()
        );
    }

    #[test]
    fn a_request_that_came_too_late_is_told_so() {
        let places = Places::new(1, 1, Duration::ZERO, Callers::default());
        let one = places.take(origin(1)).unwrap();
        one.waits();
        let _two = places.take(origin(2)).unwrap();
        assert!(!one.works() && gone(&one));
    }

    #[test]
    fn a_stranger_has_a_share_and_pushes_out_only_itself() {
        let callers = Callers::default();
        let places = Places::new(8, 2, Duration::ZERO, callers.clone());
        let other = places.take(origin(9)).unwrap();
        other.waits();
        let (one, two) = (places.take(origin(1)).unwrap(), places.take(origin(1)).unwrap());
        assert!(places.take(origin(1)).is_err(), "both are at a request");
        two.waits();
        let three = places.take(origin(1)).unwrap();
        assert_eq!([&other, &one, &two, &three].map(gone), [false, false, true, false]);
        // Once its signature was good, all places are open to it.
        callers.vouch(origin(1));
        let more: Vec<_> = (0..5).map(|_| places.take(origin(1)).unwrap()).collect();
        assert_eq!((more.len(), gone(&other)), (5, false));
        assert!(places.take(origin(1)).is_ok() && gone(&other));
    }

    #[test]
    fn strangers_give_way_before_those_who_are_known() {
        let callers = Callers::default();
        callers.vouch(origin(1));
        let places = Places::new(2, 2, Duration::ZERO, callers);
        let (known, stranger) = (places.take(origin(1)).unwrap(), places.take(origin(2)).unwrap());
        known.waits();
        stranger.waits();
        let newcomer = places.take(origin(3)).unwrap();
        assert_eq!([&known, &stranger].map(gone), [false, true]);
        assert!(places.take(origin(4)).is_ok() && gone(&known), "the newcomer's bytes were not looked at yet");
        drop(newcomer);
    }

    #[tokio::test]
    async fn a_place_waits_only_when_its_client_does() {
        let places = Places::new(1, 1, Duration::ZERO, Callers::default());
        let one = places.take(origin(1)).unwrap();
        one.waiting(ready(())).await;
        assert!(places.take(origin(2)).is_err());
        assert!(one.waiting(pending::<()>()).now_or_never().is_none());
        assert!(places.take(origin(2)).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_waits_until_the_first_of_a_burst_has_had_its_time() {
        let head_start = Duration::from_millis(50);
        let places = Places::new(2, 2, head_start, Callers::default());
        let [one, two] = [1, 2].map(|number| places.take(origin(number)).unwrap());
        assert_eq!(places.take(origin(3)).err(), Some(NoPlace::Busy), "nobody was looked at yet");
        one.waits();
        two.waits();
        let until = Instant::now() + head_start;
        assert_eq!(places.take(origin(3)).err(), Some(NoPlace::Until(until)));
        assert!(!gone(&one) && one.works(), "its request came in time");
        tokio::time::sleep_until(until).await;
        let _three = places.take(origin(3)).unwrap();
        assert_eq!([&one, &two].map(gone), [false, true]);
        // An address that has had its share waits for nobody.
        let places = Places::new(8, 1, head_start, Callers::default());
        let own = places.take(origin(1)).unwrap();
        own.waits();
        assert!(places.take(origin(1)).is_ok() && gone(&own));
    }
}
