//! Does the network's cutting of a stream change its messages?
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tillswitch_zvt_fuzz::apdu::check(input));
