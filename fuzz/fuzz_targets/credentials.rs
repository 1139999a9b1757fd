//! See `headgate_fuzz::credentials`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_fuzz::credentials(data));
