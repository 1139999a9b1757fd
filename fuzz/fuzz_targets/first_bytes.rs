//! See `headgate_fuzz::first_bytes`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_fuzz::first_bytes(data));
