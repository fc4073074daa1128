//! What time is it on the wall?
//!
//! Everything that dates something asks here, so that a simulated day can have its own time: repeats, ages and a terminal's
//! dates then follow it, and the same day simulated twice is the same. How long something takes is never asked here: the clock
//! on the wall may be put back.

use std::cell::Cell;
use std::time::SystemTime;

thread_local! {
    static SIMULATED: Cell<Option<fn() -> SystemTime>> = const { Cell::new(None) };
}

/// What the clock shows.
pub fn now() -> SystemTime {
    SIMULATED.get().map_or_else(SystemTime::now, |clock| clock())
}

/// On this thread another clock counts from now on; `None`: the real one again. For simulations that run in one thread.
pub fn simulate(clock: Option<fn() -> SystemTime>) {
    SIMULATED.set(clock);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn another_clock_counts_on_one_thread_only() {
        simulate(Some(|| UNIX_EPOCH));
        assert_eq!(now(), UNIX_EPOCH);
        std::thread::spawn(|| assert!(now() > UNIX_EPOCH)).join().expect("elsewhere the real clock counts");
        simulate(None);
        assert!(now() > UNIX_EPOCH);
    }
}
