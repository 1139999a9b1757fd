//! See `headgate_fuzz::quic_initials`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_fuzz::quic_initials(data));
