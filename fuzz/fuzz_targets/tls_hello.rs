//! See `headgate_fuzz::tls_hello`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_fuzz::tls_hello(data));
