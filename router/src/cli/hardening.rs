//! What must not get out of a router's process, whatever happens to it?

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, setrlimit, umask};

/// Files are made for their owner alone, whatever the caller's umask allows or forbids, and a crash leaves no memory on disk:
/// it holds keys and what terminals said.
///
/// A limit of 0 alone would not do, because a program that is given the core through a pipe gets it all the same. A process
/// that cannot be dumped cannot be looked into by others of its user either; the system's administrator still can.
pub(super) fn harden() {
    umask(Mode::RWXG | Mode::RWXO);
    // Nobody is refused to lower a limit; where it cannot be done, there are no cores.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
