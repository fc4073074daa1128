//! Is nothing taken for an approval, or for a proof that nothing was paid, which is none?
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tillswitch_http_fuzz::answer::check(input));
