//! How often may the same thing happen?

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

/// How many buckets are kept. Of more, those that have been left alone longest are forgotten.
const MOST: usize = 4096;

/// So often, and so much at once after a pause.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub(super) per_second: f64,
    pub(super) burst: f64,
}

/// Token buckets, one for each key. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Buckets<K>(Arc<Mutex<HashMap<K, Bucket>>>);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    changed: Instant,
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    pub(super) fn new() -> Buckets<K> {
        Buckets(Arc::default())
    }

    /// Takes a token. Without one: how long until there is one again.
    pub(super) fn take(&self, key: &K, rate: Rate) -> Result<(), Duration> {
        let now = Instant::now();
        let mut buckets = self.buckets();
        let tokens = buckets.get(key).map_or(rate.burst, |bucket| bucket.filled(rate, now));
        if tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - tokens) / rate.per_second));
        }
        make_room(&mut buckets, key);
        buckets.insert(key.clone(), Bucket { tokens: tokens - 1.0, changed: now });
        Ok(())
    }

    /// Whether there is no token left.
    pub(super) fn is_empty(&self, key: &K, rate: Rate) -> bool {
        self.buckets().get(key).is_some_and(|bucket| bucket.filled(rate, Instant::now()) < 1.0)
    }

    /// Puts a token back that was not used.
    pub(super) fn give_back(&self, key: &K) {
        if let Some(bucket) = self.buckets().get_mut(key) {
            bucket.tokens += 1.0;
        }
    }

    fn buckets(&self) -> MutexGuard<'_, HashMap<K, Bucket>> {
        self.0.lock().expect("nothing panics while it holds the buckets")
    }
}

impl Bucket {
    fn filled(self, rate: Rate, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.changed).as_secs_f64();
        (self.tokens + since * rate.per_second).min(rate.burst)
    }
}

fn make_room<K: Clone + Eq + Hash>(buckets: &mut HashMap<K, Bucket>, key: &K) {
    if buckets.len() >= MOST && !buckets.contains_key(key) {
        let oldest = buckets.iter().min_by_key(|(_, bucket)| bucket.changed).map(|(key, _)| key.clone());
        oldest.and_then(|key| buckets.remove(&key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 2.0, burst: 3.0 };

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_let_through_and_then_the_rate() {
        let buckets = Buckets::new();
        assert_eq!([0; 3].map(|_| buckets.take(&'a', RATE)), [Ok(()); 3]);
        assert_eq!(buckets.take(&'a', RATE), Err(Duration::from_millis(500)));
        assert!(buckets.is_empty(&'a', RATE) && !buckets.is_empty(&'b', RATE));
        assert_eq!(buckets.take(&'b', RATE), Ok(()));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(buckets.take(&'a', RATE), Ok(()));
        assert!(buckets.take(&'a', RATE).is_err());
        buckets.give_back(&'a');
        assert_eq!(buckets.take(&'a', RATE), Ok(()));
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!([0; 4].map(|_| buckets.take(&'a', RATE).is_ok()), [true, true, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_bucket_is_forgotten_when_there_are_too_many() {
        let buckets = Buckets::new();
        for key in 0..=MOST {
            assert!(buckets.take(&key, RATE).is_ok());
            tokio::time::advance(Duration::from_nanos(1)).await;
        }
        assert_eq!(buckets.buckets().len(), MOST);
        assert!(!buckets.buckets().contains_key(&0));
    }
}
