//! What does a seed decide next?

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::random::Random;

/// One stream of decisions of a seed. Each part of the day has its own, so that one more throw here changes nothing there.
#[derive(Clone)]
pub struct Dice(Arc<Mutex<Random>>);

impl Dice {
    /// The decisions of a seed about something.
    pub fn new(seed: u64, about: &str) -> Dice {
        let mixed = about.bytes().fold(seed ^ 0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        let mut random = Random::new(mixed);
        random.next();
        Dice(Arc::new(Mutex::new(random)))
    }

    /// A number from 0 to below `limit`.
    pub fn below(&self, limit: u64) -> u64 {
        self.random(|random| random.below(limit))
    }

    /// True so many times out of a hundred.
    pub fn percent(&self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// True so many times out of ten thousand.
    pub fn permyriad(&self, chance: u64) -> bool {
        chance > 0 && self.below(10_000) < chance
    }

    /// One of several.
    pub fn pick<T: Copy>(&self, from: &[T]) -> T {
        self.random(|random| *random.pick(from))
    }

    /// A time between two numbers of milliseconds.
    pub fn millis(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from + 1))
    }

    fn random<T>(&self, throw: impl FnOnce(&mut Random) -> T) -> T {
        throw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
