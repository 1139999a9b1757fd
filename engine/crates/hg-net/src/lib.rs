//! Sockets, poller, clock and timer wheel of a worker. The only crate that may contain `unsafe`
//! (in `filter`, `confine`, `datagram` and `memory`, each call with its reason). Does not know HTTP.

mod clock;
mod confine;
mod datagram;
mod filter;
mod memory;
mod pipe;
mod poller;
mod socket;
mod wheel;

pub use clock::{Clock, Ticks, bind_to_cpu, seed, thread_cpu_micros, unix_micros};
pub use confine::{deny_system_calls, drop_capabilities};
pub use datagram::{
    BATCH, Batch, Ends, Front, Joined, Offload, Spread, Trouble, connect_datagrams, pass_datagram,
    receive_joined, spread_datagrams, tell_local_address,
};
pub use filter::{drop_new_connections, take_new_connections};
pub use memory::{descriptor_limit, give_memory_back, make_room_for_descriptors, resident_bytes};
pub use pipe::Pipe;
pub use poller::{Event, Poller, Token, Waker};
pub use socket::{
    Address, Fd, Flow, accept, close_with_reset, connect, is_readable_or_closed, local_address,
    read, shutdown_write, take_error, tune_listener, unconnected, write, write_parts,
};
pub use std::os::fd::AsFd;
pub use wheel::Wheel;
