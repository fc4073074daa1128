//! ZVT terminals.

pub mod apdu;
pub mod bcd;
pub mod bmp;
pub mod charset;
pub mod clock;
pub mod fields;
pub mod tables;
pub mod tlv;
