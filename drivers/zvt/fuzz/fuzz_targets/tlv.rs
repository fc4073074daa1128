//! Is every container read, written and cut off as it should be?
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tillswitch_zvt_fuzz::tlv::check(input));
