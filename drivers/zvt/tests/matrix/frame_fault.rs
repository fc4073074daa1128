//! What can happen to a frame on a serial line, or to its acknowledgement?

use std::fmt;

use crate::cell::{Limit, Place, Target, Timer};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameFault {
    /// The frame does not arrive.
    Lose,
    /// Nor do its repetitions.
    LoseAll,
    /// The frame arrives, its ACK does not.
    LoseAck,
    /// Nor do those of its repetitions.
    LoseAcks,
    /// The checksum is wrong, so that a true NAK follows.
    Damage,
    /// And so are those of its repetitions.
    DamageAll,
    /// The frame arrives, its ACK as a NAK.
    AckAsNak,
    /// And so do those of its repetitions.
    AcksAsNak,
    /// A NAK that nobody said comes right before the ACK.
    NakAndAck,
    Duplicate,
    /// Its last byte does not arrive.
    Truncate,
    /// Its first byte does not arrive: what follows is noise, in which some bytes look like ACK or NAK.
    Headless,
    NoiseBefore,
    NoiseBehind,
    /// In the middle of the frame nothing comes for about T1.
    Pause(Limit),
    /// The frame arrives about T2 later.
    Late(Limit),
    /// Its ACK arrives about T2 later.
    LateAck(Limit),
    /// It is acknowledged, and taken up later: the other end is slow.
    Hold(Timer, Limit),
    /// From here on nothing gets through for a minute, and nobody is told.
    CableOut,
    /// The frame is lost, the adapter is gone (EIO), and plugged in again after 20 s.
    Unplug,
    /// The frame arrives, then the adapter is gone (end of file), and plugged in again after a second.
    UnplugBehind,
    /// The PT loses its mains.
    Reboot,
}

use FrameFault::*;

const LIMITS: [Limit; 2] = [Limit::JustBelow, Limit::JustAbove];

const ANYWHERE: &[FrameFault] = &[
    Lose,
    LoseAll,
    LoseAck,
    LoseAcks,
    Damage,
    DamageAll,
    AckAsNak,
    AcksAsNak,
    NakAndAck,
    Duplicate,
    Truncate,
    Headless,
    NoiseBefore,
    NoiseBehind,
    CableOut,
    Unplug,
    UnplugBehind,
    Reboot,
];

/// What can happen at a place.
pub fn of(place: &Place) -> impl Iterator<Item = FrameFault> {
    let link = [Pause as fn(Limit) -> FrameFault, Late, LateAck].into_iter().flat_map(|delay| LIMITS.map(delay));
    let held = place.timers.iter().flat_map(|timer| LIMITS.map(|limit| Hold(*timer, limit)));
    ANYWHERE.iter().copied().chain(link).chain(held)
}

impl FrameFault {
    /// Whether the repetitions of the frame share its fate.
    pub fn strikes_repetitions(self) -> bool {
        matches!(self, LoseAll | LoseAcks | DamageAll | AcksAsNak)
    }

    /// Whether a frame that goes the other way ends that.
    pub fn ends_with_a_reply(self) -> bool {
        matches!(self, LoseAcks | AcksAsNak)
    }

    /// Why nothing can be shown here.
    pub fn makes_no_sense(self, target: Target) -> Option<&'static str> {
        match (target, self) {
            (Target::Opening, NoiseBefore | CableOut | Unplug | Reboot | Hold(..)) => None,
            (Target::Opening, _) => Some("the opening of a device is no frame"),
            (Target::WhileIdle, Lose | LoseAll | LoseAck | LoseAcks | LateAck(_) | Late(_)) => {
                Some("nobody waits for the frame, and nobody repeats it: nothing has happened")
            }
            (Target::WhileIdle, AckAsNak | AcksAsNak | NakAndAck | DamageAll) => {
                Some("nobody waits for its acknowledgement, and nobody repeats it")
            }
            _ => None,
        }
    }
}

impl fmt::Display for FrameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = |limit: &Limit| if *limit == Limit::JustBelow { '<' } else { '>' };
        match self {
            Pause(limit) => write!(f, "pause{}T1", sign(limit)),
            Late(limit) => write!(f, "late{}T2", sign(limit)),
            LateAck(limit) => write!(f, "lateAck{}T2", sign(limit)),
            Hold(timer, limit) => write!(f, "hold{}{timer:?}", sign(limit)),
            other => write!(f, "{other:?}"),
        }
    }
}
