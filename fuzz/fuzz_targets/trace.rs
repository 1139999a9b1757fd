//! See `headgate_fuzz::trace`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_fuzz::trace(data));
