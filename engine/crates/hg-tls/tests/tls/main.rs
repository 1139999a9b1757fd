//! TLS sessions without sockets, in one program, because each program takes long to link. What counts
//! the bytes of its whole process has one of its own.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests"
)]

#[path = "../common/mod.rs"]
mod common;

mod client_auth;
mod context;
mod der;
mod hellos;
mod leaves;
mod openssl;
mod selection;
mod sessions;
mod tickets;
mod upstream;
