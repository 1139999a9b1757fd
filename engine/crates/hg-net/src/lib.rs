//! Sockets, poller, clock and timer wheel of a worker. The only crate that may contain `unsafe`
//! (one call each in `filter`, `confine` and `memory`). Does not know HTTP.

mod clock;
mod confine;
mod filter;
mod memory;
mod pipe;
mod poller;
mod socket;
mod wheel;

pub use clock::{Clock, Ticks, bind_to_cpu, seed, thread_cpu_micros, unix_micros};
pub use confine::{deny_system_calls, drop_capabilities};
pub use filter::{drop_new_connections, take_new_connections};
pub use memory::{give_memory_back, resident_bytes};
pub use pipe::Pipe;
pub use poller::{Event, Poller, Token, Waker};
pub use socket::{
    Address, Fd, Flow, accept, close_with_reset, connect, is_readable_or_closed, read,
    shutdown_write, take_error, tune_listener, write, write_parts,
};
pub use std::os::fd::AsFd;
pub use wheel::Wheel;
