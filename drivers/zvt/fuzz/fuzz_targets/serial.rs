//! Are frames cut out of any noise, and none out of noise alone?
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tillswitch_zvt_fuzz::serial::check(input));
