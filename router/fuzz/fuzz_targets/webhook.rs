//! Is every event read exactly, or refused in words?
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tillswitch_fuzz::webhook::check(input));
