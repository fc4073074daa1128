//! What must hold for any bytes: the body of the fuzz target, which the normal tests run over the seeds too.

pub mod answer;
