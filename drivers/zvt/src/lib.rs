//! ZVT terminals.

pub mod apdu;
pub mod bcd;
pub mod bmp;
pub mod charset;
pub mod clock;
pub mod command;
pub mod fields;
pub mod reply;
pub mod slip;
pub mod tables;
pub mod tlv;
pub mod trace;
