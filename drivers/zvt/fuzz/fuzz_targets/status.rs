//! Is nothing read from a result or a completion that does not stand in it?
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tillswitch_zvt_fuzz::status::check(input));
