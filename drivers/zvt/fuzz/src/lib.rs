//! What must hold for any bytes: the bodies of the fuzz targets, which the normal tests run over the seeds too.
//!
//! The first bytes of an input choose how the rest is used, so that a fuzzer finds the choices as well.

pub mod apdu;
pub mod decode;
pub mod serial;
pub mod status;
pub mod tlv;
