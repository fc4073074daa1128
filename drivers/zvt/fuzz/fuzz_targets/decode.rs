//! May every message be explained, and a card number never?
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tillswitch_zvt_fuzz::decode::check(input));
