//! See `headgate_fuzz::text`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_fuzz::text(data));
