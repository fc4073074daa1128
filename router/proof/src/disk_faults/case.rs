//! Which call fails, how, and what the router is doing?

use std::fmt;

use crate::scene::Scene;
use crate::shim::{Call, Deed, Kind, Order, Point, Role};

/// No error of this list is known to the standard library by a number.
const EINTR: i32 = 4;
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
/// How many calls of a start are tried without `--every`.
const SOME_OF_A_START: u32 = 12;
/// Every how many calls of a payment one is tried without `--every`.
const STRIDE: u32 = 7;

/// What the router is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// A payment.
    Payment,
    /// Its first start.
    FirstStart,
    /// A start on a journal that is there.
    Start,
    /// It brings the log into the database.
    Checkpoint,
}

/// One call that fails.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What the router is doing.
    pub doing: Doing,
    /// At which terminal.
    pub scene: Scene,
    /// How it fails.
    pub deed: Deed,
    /// Which kinds of calls are counted.
    pub kinds: &'static [Kind],
    /// Which of them it is, from 1 on.
    pub at: u32,
    /// Whether all later ones fail, too.
    pub lasts: bool,
}

/// Calls that write.
const WRITES: &[Kind] = &[Kind::Write, Kind::Size, Kind::Name];
/// Those of them that can be done in part, or are interrupted.
const BYTES: &[Kind] = &[Kind::Write];
/// Calls that make durable.
const SYNCS: &[Kind] = &[Kind::Sync];
/// How calls fail.
const FAULTS: [(&[Kind], Deed); 7] = [
    (WRITES, Deed::Fail(EIO)),
    (WRITES, Deed::Fail(ENOSPC)),
    (BYTES, Deed::Short),
    (BYTES, Deed::Fail(EINTR)),
    (SYNCS, Deed::Fail(EIO)),
    (SYNCS, Deed::Fail(ENOSPC)),
    (SYNCS, Deed::Fail(EINTR)),
];

impl Case {
    /// All of them, or some.
    pub fn all(scripts: &[(Scene, Vec<Call>)], every: bool, seed: u64) -> Vec<Case> {
        let mut found = Vec::new();
        for (scene, calls) in scripts {
            for (kinds, deed) in FAULTS {
                let count = calls.iter().filter(|call| is_on_disk(call) && kinds.contains(&call.kind)).count() as u32;
                let payment = Case { doing: Doing::Payment, scene: *scene, deed, kinds, at: 0, lasts: false };
                // Behind the last one none is met any more.
                found.extend((1..=count + 2).map(|at| Case { at, ..payment }));
            }
        }
        let scene = scripts[0].0;
        for (kinds, deed) in FAULTS {
            let calls = if every { 40 } else { SOME_OF_A_START };
            for doing in [Doing::FirstStart, Doing::Start, Doing::Checkpoint] {
                found.extend((1..=calls).map(|at| Case { doing, scene, deed, kinds, at, lasts: false }));
            }
        }
        found.retain(|case| every || case.is_tried(seed));
        for (number, case) in found.iter_mut().enumerate() {
            // A call that is interrupted for ever is never given up.
            case.lasts = number % 3 == 2 && !matches!(case.deed, Deed::Short | Deed::Fail(EINTR));
        }
        found
    }

    fn is_tried(&self, seed: u64) -> bool {
        let chosen = (u64::from(self.at) + seed).is_multiple_of(u64::from(STRIDE));
        match self.doing {
            Doing::Payment => chosen || self.kinds == SYNCS,
            Doing::FirstStart | Doing::Start => {
                self.kinds == SYNCS && self.at > 6 || (u64::from(self.at) + seed).is_multiple_of(4)
            }
            Doing::Checkpoint => (u64::from(self.at) + seed).is_multiple_of(3),
        }
    }

    /// Whether whoever writes simply goes on.
    pub fn is_harmless(&self) -> bool {
        self.kinds == BYTES
    }

    /// Whether it is a sync that fails: what is on the disk is known only when the power was cut.
    pub fn is_of_syncs(&self) -> bool {
        self.kinds == SYNCS
    }

    /// Whether the router may go on as if nothing was. At a start the standard library repeats what was interrupted, and SQLite
    /// does not look whether the name of its log was synced; the start does that itself, before anything is told.
    pub fn may_be_harmless(&self) -> bool {
        self.is_harmless() || self.is_of_syncs() && matches!(self.doing, Doing::FirstStart | Doing::Start)
    }

    /// For the shim.
    pub fn order(&self) -> Order {
        Order {
            at: self.at,
            point: Point::Before,
            deed: self.deed,
            seed: 0,
            roles: match self.doing {
                Doing::Checkpoint => &[Role::Journal],
                _ => &[Role::Journal, Role::Log, Role::Lock, Role::Folder],
            },
            kinds: self.kinds,
            lasts: self.lasts,
        }
    }

    /// What it is, without the number.
    pub fn name(&self) -> String {
        let fault = match self.deed {
            Deed::Short => "is short".to_owned(),
            Deed::Fail(error) => format!("fails with {}", named(error)),
            other => format!("{other:?}"),
        };
        let what = if self.kinds == SYNCS { "a sync" } else { "a write" };
        format!("{}: {what} {fault}", self.doing)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = if self.lasts { " and all behind it" } else { "" };
        write!(f, "{}, number {}{from}, {}", self.name(), self.at, self.scene)
    }
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Doing::Payment => "in a payment",
            Doing::FirstStart => "in the first start",
            Doing::Start => "in a start",
            Doing::Checkpoint => "in a checkpoint",
        })
    }
}

fn named(error: i32) -> &'static str {
    match error {
        EINTR => "EINTR",
        EIO => "EIO",
        _ => "ENOSPC",
    }
}

fn is_on_disk(call: &Call) -> bool {
    !matches!(call.role, Role::Terminal | Role::Till)
}

/// What has to be met.
pub fn required() -> Vec<String> {
    let met = FAULTS.iter().flat_map(|(kinds, deed)| {
        [Doing::Payment, Doing::FirstStart, Doing::Start].map(|doing| {
            let scene = Scene { terminal: crate::counter::Terminal::ZvtTcp, declined: false, waits: false };
            Case { doing, scene, deed: *deed, kinds, at: 0, lasts: false }.name()
        })
    });
    let came_of_it = [READ_ONLY, WENT_ON, NOT_MET, NO_START].map(str::to_owned);
    met.chain(came_of_it).collect()
}

/// The journal took no more writes, and new payments were refused.
pub const READ_ONLY: &str = "the journal was read-only until the restart";
/// Nobody noticed.
pub const WENT_ON: &str = "the router went on, and nothing was lost";
/// The payment has no such call any more.
pub const NOT_MET: &str = "no such call was met any more";
/// It did not start, and said so.
pub const NO_START: &str = "the router did not start";
