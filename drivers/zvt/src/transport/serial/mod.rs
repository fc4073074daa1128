//! How APDUs travel on a serial line: framed, checked, acknowledged, and repeated where that is safe.

pub mod frame;

pub use frame::{Deframer, Heard, encode_frame};
