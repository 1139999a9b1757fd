//! The engine with real sockets, in one program: a program for each file would take longer to link
//! than to run. What counts the bytes or descriptors of its whole process has a program of its own.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests"
)]

#[path = "../common/mod.rs"]
mod common;

mod adaptive;
mod agents;
mod alerts;
mod answers;
mod bandwidth;
mod bodies;
mod branches;
mod breaker;
mod calls;
mod change;
mod checks;
mod coded;
mod collected;
mod crossings;
mod forward_auth;
mod forward_auth_head;
mod forward_auth_open;
mod given_up;
mod grpc;
mod grpc_checks;
mod handshakes;
mod heads;
mod hedges;
mod http1;
mod http2;
mod http2_limits;
mod late_refusals;
mod limits;
mod mirror;
mod multiplex;
mod multiplex_ends;
mod names;
mod never_indexed;
mod outliers;
mod own_answers;
mod pages;
mod pipelining;
mod proxy_protocol;
mod requests;
mod retries;
mod sharing;
mod slow_start;
mod tapped;
mod tcp;
mod tcp_detected;
mod tcp_names;
mod tcp_proxied;
mod tcp_streams;
mod tiny_parts;
mod tls_endpoints;
mod told;
mod trust;
mod udp;
mod udp_bandwidth;
mod udp_changes;
mod udp_joined;
mod udp_names;
mod udp_proxied;
mod udp_sharing;
mod uploads;
mod variables;
mod websockets;
