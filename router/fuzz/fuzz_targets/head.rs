//! Is every request read in one way, within its limits?
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tillswitch_fuzz::head::check(input));
