//! Exit codes, after `sysexits.h` where it has one.

/// A check or a payment did not succeed.
pub const FAILED: u8 = 1;
/// The journal is damaged (`EX_DATAERR`).
pub const DAMAGED: u8 = 65;
/// Something that is needed is not there: an address, a disk (`EX_UNAVAILABLE`).
pub const UNAVAILABLE: u8 = 69;
/// Another router works on the same state (`EX_TEMPFAIL`).
pub const LOCKED: u8 = 75;
/// The configuration is wrong (`EX_CONFIG`).
pub const CONFIGURATION: u8 = 78;
