//! What must hold for any bytes: the bodies of the fuzz targets, which the normal tests run over the seeds too.

pub mod configuration;
pub mod head;
pub mod signature;
pub mod webhook;
