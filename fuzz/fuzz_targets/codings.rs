//! See `headgate_fuzz::codings`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_fuzz::codings(data));
