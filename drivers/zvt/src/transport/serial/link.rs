//! Who acknowledges what on a serial line, and what is sent again when?
//!
//! A state machine without I/O and without a clock: it is told what was heard and what time it is, and says what to send
//! and when it wants to be asked again. Both ends use it: the driver's and the simulated terminal's.
//!
//! # What is repeated
//!
//! A frame is sent at most three times: after a NAK, or when no ACK came within T2. One with a money command is repeated
//! after a NAK only, and only after one that is beyond doubt: a single byte, nothing else near it, and silence after it.
//! Silence alone would prove nothing, and a NAK among other bytes may be noise about a command that has started.
//!
//! A NAK that came before the frame left is none of its own. Whatever has arrived is taken in before a message is sent, so
//! only one that is still in the adapter then (FTDI: up to 16 ms) can be taken for an answer to the frame. It repeats a money
//! command only if the ACK of a frame that was understood stays away for all of T1, and then what arrives is the same frame
//! again, in front of any answer: to the other end a repetition. By time such a NAK cannot be told from a true one, because
//! terminals on USB do not keep to the speed that is set.
//!
//! # What counts as acknowledged
//!
//! Besides ACK: a message that the other end can only have sent because it has got ours, when the ACK itself was lost. Our
//! command is answered; after our answer comes the next message.
//!
//! # How a repeated frame is told from a new one that is equal
//!
//! Two equal lines of a slip or two equal 04 FF are two messages. But every command is answered before the next one comes,
//! and both are acknowledged. So a frame equal to the one before it is a repetition for as long as it is open whether the
//! other end has heard our reply:
//!
//! - a command, until an answer of ours that was sent after it has been acknowledged by an ACK;
//! - an answer, until a command of ours that was sent after it has been acknowledged by an ACK;
//! - a refusal in front of a money command, until something else comes: the other end may take our command and only then
//!   repeat what it has had no ACK for. Taken for a new one, it would say that a payment has not started which runs.
//!
//! A repetition is acknowledged again and goes no further. Where the ACK of our answer is lost and the next command happens
//! to be equal, it is taken for a repetition: one of two equal lines of a slip is lost, and the other end gets our repeated
//! answer. No result of a payment can be lost so: two of them differ in their numbers, and one that was told once more is the
//! same booking. The other way round one message would be answered twice, and the second answer could pass for that to a result
//! which has not been stored.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::frame::{ACK, Deframer, Heard, NAK, encode_frame};
use crate::apdu::{Apdu, ApduError};
use crate::transport::Delivery;

/// The largest APDU that is taken, its header included; slips are the largest that PTs send.
const MAXIMUM_APDU: usize = 32 * 1024 + 5;
/// How often a frame is sent at most.
const TRANSMISSIONS: u32 = 3;
/// How many times what its transmissions take a message may take in all: T2 waits for the end of frames that have begun.
const PATIENCE: u32 = 2;

/// How long the ends of a serial line wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkTiming {
    /// T1: between two bytes of a frame.
    pub byte_gap: Duration,
    /// T2: between the end of a frame and its acknowledgement.
    pub acknowledgement: Duration,
    /// How long one byte is on its way.
    pub byte: Duration,
}

/// What is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// The acknowledgement of a frame.
    Ack,
    /// The complaint about one.
    Nak,
    /// A frame, for the first time or again.
    Frame(Vec<u8>),
}

impl Output {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Output::Ack => &[ACK],
            Output::Nak => &[NAK],
            Output::Frame(frame) => frame,
        }
    }
}

/// What became of the message that was sent last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The other end has it.
    Acknowledged,
    /// That is open.
    Underway,
    /// Nobody acknowledged it. It may have arrived.
    Unacknowledged,
    /// The other end said each time that it did not understand it.
    NotUnderstood,
}

/// One end of a serial line.
#[derive(Debug)]
pub struct Link {
    timing: LinkTiming,
    deframer: Deframer,
    /// When the last byte came.
    last_byte: Option<Instant>,
    received: VecDeque<Apdu>,
    outputs: VecDeque<Output>,
    outgoing: Option<Outgoing>,
    fate: Fate,
    previous: Option<Previous>,
    /// Whether anything but frames and acknowledgements has come.
    heard_noise: bool,
    /// How often the message that was sent last has been sent again.
    repetitions: u32,
}

/// A message that is not acknowledged yet.
#[derive(Debug)]
struct Outgoing {
    frame: Vec<u8>,
    is_answer: bool,
    delivery: Delivery,
    transmissions: u32,
    /// When T2 ends.
    until: Instant,
    /// When it is lost whatever comes: somebody who talks without an end must not hold it up.
    lost_at: Instant,
    /// It was not understood, and is sent again when the line has been silent until then.
    repeat_at: Option<Instant>,
    /// How many NAKs came since it was sent last.
    complaints: u32,
    /// Whether anything else came since.
    disturbed: bool,
}

/// The frame that came last.
#[derive(Debug)]
struct Previous {
    apdu: Apdu,
    /// The other end has heard our reply, so that an equal one is new.
    is_over: bool,
}

impl Link {
    /// An end that has heard and said nothing yet.
    pub fn new(timing: LinkTiming) -> Link {
        Link {
            timing,
            deframer: Deframer::new(MAXIMUM_APDU),
            last_byte: None,
            received: VecDeque::new(),
            outputs: VecDeque::new(),
            outgoing: None,
            fate: Fate::Acknowledged,
            previous: None,
            heard_noise: false,
            repetitions: 0,
        }
    }

    /// Begins to send a message. The one before is given up if its fate is open.
    ///
    /// # Errors
    /// `TooLong` when the message cannot be written.
    pub fn send(&mut self, apdu: &Apdu, delivery: Delivery, now: Instant) -> Result<(), ApduError> {
        let frame = encode_frame(&apdu.encode()?);
        let length = frame.len();
        self.fate = Fate::Underway;
        self.repetitions = 0;
        self.outgoing = Some(Outgoing {
            frame,
            is_answer: apdu.is_answer(),
            delivery,
            transmissions: 0,
            until: now,
            lost_at: now + self.round(length) * TRANSMISSIONS * PATIENCE,
            repeat_at: None,
            complaints: 0,
            disturbed: false,
        });
        self.transmit(now);
        Ok(())
    }

    /// Takes in what was read, each piece as `filter` leaves it.
    pub fn hear(&mut self, bytes: &[u8], now: Instant, mut filter: impl FnMut(Heard) -> Option<Heard>) {
        self.last_byte = Some(now);
        self.deframer.push(bytes);
        while let Some(heard) = self.deframer.next() {
            if let Some(heard) = filter(heard) {
                self.take(heard, now);
            }
        }
    }

    /// Does what the time asks for. Everything that has arrived must have been told before.
    pub fn tick(&mut self, now: Instant) {
        if self.gap_ends().is_some_and(|at| at <= now) {
            self.deframer.give_up();
            self.complain(now);
        }
        if self.outgoing.as_ref().is_some_and(|outgoing| outgoing.lost_at <= now) {
            self.lose(Fate::Unacknowledged);
        }
        if self.deframer.is_within_frame() {
            return;
        }
        match self.outgoing.as_mut() {
            Some(outgoing) if outgoing.repeat_at.is_some_and(|at| at <= now) => {
                outgoing.repeat_at = None;
                self.repeat_if_not_understood(now);
            }
            Some(outgoing) if outgoing.until <= now => self.repeat_or_lose(now),
            Some(_) | None => {}
        }
    }

    /// When [`tick`](Self::tick) has something to do, if nothing is heard before.
    pub fn deadline(&self) -> Option<Instant> {
        let outgoing = self.outgoing.as_ref();
        let waiting = outgoing.map(|outgoing| outgoing.repeat_at.map_or(outgoing.until, |at| at.min(outgoing.until)));
        self.gap_ends().or(waiting)
    }

    /// What is to be sent next.
    pub fn output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The next message that came.
    pub fn received(&mut self) -> Option<Apdu> {
        self.received.pop_front()
    }

    /// What became of the message that was sent last.
    pub fn fate(&self) -> Fate {
        self.fate
    }

    /// How often the message that was sent last has been sent again.
    pub fn repetitions(&self) -> u32 {
        self.repetitions
    }

    /// Whether a frame has begun and not ended.
    pub fn is_within_frame(&self) -> bool {
        self.deframer.is_within_frame()
    }

    /// Whether anything but frames and acknowledgements has come.
    pub fn heard_noise(&self) -> bool {
        self.heard_noise
    }

    fn gap_ends(&self) -> Option<Instant> {
        let last_byte = self.last_byte.filter(|_| self.deframer.is_within_frame());
        last_byte.map(|at| at + self.timing.byte_gap)
    }

    fn take(&mut self, heard: Heard, now: Instant) {
        match heard {
            Heard::Ack if self.outgoing.is_some() => self.acknowledged(true),
            Heard::Ack => {}
            Heard::Nak => self.not_understood(now),
            Heard::Noise => self.disturbed(now),
            Heard::Damaged => self.complain(now),
            Heard::Frame(bytes) => match Apdu::decode(&bytes) {
                Ok(apdu) => self.accept(apdu, now),
                // The checksum is right and the length is not: there is nothing that could be delivered.
                Err(_) => self.complain(now),
            },
        }
    }

    fn not_understood(&mut self, now: Instant) {
        let silent_at = now + self.timing.byte_gap;
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.complaints += 1;
            outgoing.repeat_at = Some(silent_at);
        }
    }

    fn complain(&mut self, now: Instant) {
        self.outputs.push_back(Output::Nak);
        self.disturbed(now);
    }

    fn disturbed(&mut self, now: Instant) {
        self.heard_noise = true;
        self.not_silent(now);
    }

    fn not_silent(&mut self, now: Instant) {
        let silent_at = now + self.timing.byte_gap;
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.disturbed = true;
            outgoing.repeat_at = outgoing.repeat_at.map(|_| silent_at);
        }
    }

    fn accept(&mut self, apdu: Apdu, now: Instant) {
        self.outputs.push_back(Output::Ack);
        self.not_silent(now);
        let is_repetition = self.previous.as_ref().is_some_and(|previous| !previous.is_over && previous.apdu == apdu);
        if is_repetition {
            return;
        }
        if self.outgoing.as_ref().is_some_and(|outgoing| outgoing.is_answer || apdu.is_answer()) {
            self.acknowledged(false);
        }
        self.previous = Some(Previous { apdu: apdu.clone(), is_over: false });
        self.received.push_back(apdu);
    }

    fn acknowledged(&mut self, explicitly: bool) {
        self.fate = Fate::Acknowledged;
        let Some(outgoing) = self.outgoing.take().filter(|_| explicitly) else {
            return;
        };
        if let Some(previous) = &mut self.previous {
            let may_deny = outgoing.delivery == Delivery::AtMostOnce && previous.apdu.is_refusal();
            previous.is_over |= previous.apdu.is_answer() != outgoing.is_answer && !may_deny;
        }
    }

    fn repeat_if_not_understood(&mut self, now: Instant) {
        let Some(outgoing) = &self.outgoing else {
            return;
        };
        let beyond_doubt = outgoing.complaints == 1 && !outgoing.disturbed;
        match outgoing.delivery {
            _ if outgoing.transmissions == TRANSMISSIONS => self.lose(Fate::NotUnderstood),
            Delivery::Repeatable => self.transmit(now),
            Delivery::AtMostOnce if beyond_doubt => self.transmit(now),
            // What is left is to wait for an answer.
            Delivery::AtMostOnce => {}
        }
    }

    fn repeat_or_lose(&mut self, now: Instant) {
        match &self.outgoing {
            Some(Outgoing { delivery: Delivery::Repeatable, transmissions: ..TRANSMISSIONS, .. }) => self.transmit(now),
            Some(_) | None => self.lose(Fate::Unacknowledged),
        }
    }

    fn transmit(&mut self, now: Instant) {
        let Some(mut outgoing) = self.outgoing.take() else {
            return;
        };
        self.repetitions = outgoing.transmissions;
        outgoing.transmissions += 1;
        outgoing.until = now + self.round(outgoing.frame.len());
        outgoing.complaints = 0;
        outgoing.disturbed = false;
        self.outputs.push_back(Output::Frame(outgoing.frame.clone()));
        self.outgoing = Some(outgoing);
    }

    /// How long a frame of so many bytes and its acknowledgement may take.
    fn round(&self, length: usize) -> Duration {
        self.timing.byte * u32::try_from(length).unwrap_or(u32::MAX) + self.timing.acknowledgement
    }

    fn lose(&mut self, fate: Fate) {
        self.outgoing = None;
        self.fate = fate;
    }
}

#[cfg(test)]
mod tests;
