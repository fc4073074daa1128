//! Is nothing believed but what one of the keys has signed?
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tillswitch_fuzz::signature::check(input));
