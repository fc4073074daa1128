//! Who may use a terminal next: one payment at a time, a short queue, and nobody while something is in doubt.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

/// The door of one terminal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    places: Mutex<Places>,
    changed: Notify,
}

#[derive(Debug)]
struct Places {
    /// Somebody was promised the free terminal and has not come yet.
    promised: bool,
    running: bool,
    waiting: usize,
    queue: usize,
    in_doubt: bool,
    /// Another driver still has the terminal.
    held: bool,
    /// Shut for good, and what is said to whoever comes.
    closed: Option<Refusal>,
}

/// Why nobody gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A payment is in doubt.
    InDoubt,
    /// The queue is full.
    Busy,
    /// The router is stopping.
    Stopping,
    /// The terminal was taken out of the configuration.
    Removed,
}

/// A place at a terminal, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    gate: Gate,
    kind: PlaceKind,
}

/// What a place is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PlaceKind {
    Promised,
    Waiting,
    Running,
}

impl Gate {
    /// A free terminal with a queue of this length.
    pub fn new(queue: usize) -> Gate {
        let places =
            Places { promised: false, running: false, waiting: 0, queue, in_doubt: false, held: false, closed: None };
        Gate(Arc::new(Inner { places: Mutex::new(places), changed: Notify::new() }))
    }

    /// Takes a place, or says why there is none.
    pub fn enter(&self) -> Result<Place, Refusal> {
        let mut places = self.places();
        if let Some(refusal) = places.closed {
            return Err(refusal);
        }
        if places.in_doubt {
            return Err(Refusal::InDoubt);
        }
        if places.held {
            return Err(Refusal::Busy);
        }
        if !places.promised && !places.running && places.waiting == 0 {
            places.promised = true;
            return Ok(self.place(PlaceKind::Promised));
        }
        if places.waiting >= places.queue {
            return Err(Refusal::Busy);
        }
        places.waiting += 1;
        Ok(self.place(PlaceKind::Waiting))
    }

    /// Takes the terminal for something that goes before whoever waits, if nobody has it and nobody was promised it.
    pub fn claim(&self) -> Option<Place> {
        let mut places = self.places();
        if places.promised || places.running || places.in_doubt {
            return None;
        }
        places.running = true;
        Some(self.place(PlaceKind::Running))
    }

    /// Takes the terminal for something that can wait, if nobody wants it.
    pub fn claim_idle(&self) -> Option<Place> {
        let is_wanted = self.places().waiting > 0;
        if is_wanted { None } else { self.claim() }
    }

    /// Sets how many may wait.
    pub fn set_queue(&self, queue: usize) {
        self.places().queue = queue;
    }

    /// Shuts the door while another driver still has the terminal.
    pub fn set_held(&self, held: bool) {
        self.places().held = held;
        self.0.changed.notify_one();
    }

    /// Whether another driver still has the terminal.
    pub fn is_held(&self) -> bool {
        self.places().held
    }

    /// Whether a payment that waits may start now. The promised one goes first: on disk it is dispatched already.
    pub fn may_start_waiting(&self) -> bool {
        let places = self.places();
        !places.promised && !places.running && !places.in_doubt && places.closed.is_none()
    }

    /// Completes when something changed since the last call.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Shuts or opens the door because of a payment in doubt.
    pub fn set_in_doubt(&self, in_doubt: bool) {
        self.places().in_doubt = in_doubt;
        self.0.changed.notify_one();
    }

    /// Whether a payment in doubt keeps the door shut.
    pub fn is_in_doubt(&self) -> bool {
        self.places().in_doubt
    }

    /// Shuts the door for good; from now on this is said there.
    pub fn close(&self, refusal: Refusal) {
        let before = self.places().closed.replace(refusal);
        // A task that closes in every round must not wake itself for ever.
        if before.is_none() {
            self.0.changed.notify_one();
        }
    }

    /// Whether the terminal is at something.
    pub fn is_busy(&self) -> bool {
        let places = self.places();
        places.running || places.promised
    }

    /// How many wait, and how many may.
    pub fn queue(&self) -> (usize, usize) {
        let places = self.places();
        (places.waiting, places.queue)
    }

    fn place(&self, kind: PlaceKind) -> Place {
        Place { gate: self.clone(), kind }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.places.lock().expect("nothing panics while it holds the places of a terminal")
    }
}

impl Place {
    /// Whether the terminal is free and kept for the holder.
    pub fn is_immediate(&self) -> bool {
        self.kind == PlaceKind::Promised
    }

    /// The holder's payment starts.
    pub fn start(&mut self) {
        let mut places = self.gate.places();
        places.leave(self.kind);
        places.running = true;
        self.kind = PlaceKind::Running;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.places().leave(self.kind);
        self.gate.0.changed.notify_one();
    }
}

impl Places {
    fn leave(&mut self, kind: PlaceKind) {
        match kind {
            PlaceKind::Promised => self.promised = false,
            PlaceKind::Waiting => self.waiting -= 1,
            PlaceKind::Running => self.running = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_promised_the_terminal_and_the_queue_has_a_length() {
        let gate = Gate::new(1);
        let first = gate.enter().unwrap();
        let second = gate.enter().unwrap();
        assert!(first.is_immediate() && !second.is_immediate());
        assert_eq!(gate.enter().unwrap_err(), Refusal::Busy);
        drop(second);
        assert!(gate.enter().is_ok());
    }

    #[test]
    fn nobody_overtakes_the_promised_one() {
        let gate = Gate::new(2);
        let mut first = gate.enter().unwrap();
        let _second = gate.enter().unwrap();
        assert!(!gate.may_start_waiting());
        first.start();
        assert!(!gate.may_start_waiting());
        drop(first);
        assert!(gate.may_start_waiting());
    }

    #[test]
    fn whoever_comes_while_somebody_waits_goes_behind() {
        let gate = Gate::new(2);
        let mut first = gate.enter().unwrap();
        first.start();
        let _second = gate.enter().unwrap();
        drop(first);
        assert!(!gate.enter().unwrap().is_immediate());
    }

    #[test]
    fn doubt_and_the_end_shut_the_door() {
        let gate = Gate::new(2);
        gate.set_in_doubt(true);
        assert_eq!(gate.enter().unwrap_err(), Refusal::InDoubt);
        gate.set_in_doubt(false);
        assert!(gate.enter().is_ok());
        for why in [Refusal::Removed, Refusal::Stopping] {
            gate.close(why);
            assert_eq!(gate.enter().unwrap_err(), why);
        }
    }
}
