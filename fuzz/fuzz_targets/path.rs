//! See `headgate_fuzz::path`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_fuzz::path(data));
