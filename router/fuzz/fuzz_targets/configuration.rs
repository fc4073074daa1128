//! Does every configuration either work or say what is wrong?
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tillswitch_fuzz::configuration::check(input));
