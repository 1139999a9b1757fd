//! A virtual kernel behind the interface of `hg-net`, for the simulator alone: sockets, poller,
//! pipes and clock of one thread that follow from a seed. Time passes only in [`Poller::wait`],
//! where the kernel delivers what is on its way and calls the peers.
//!
//! It keeps the rules on which the engine builds: edges of epoll, short reads that empty a socket,
//! data that stays readable after a reset, a reset for data that nobody reads.

mod calls;
mod clock;
mod datagram;
mod kernel;
mod peers;
mod pipe;
mod poller;
mod rng;
mod tcp;

pub use calls::{
    AsFd, Fd, accept, close_with_reset, connect, drop_new_connections, is_readable_or_closed,
    local_address, read, shutdown_write, take_error, take_new_connections, tune_listener,
    unconnected, write, write_parts,
};
pub use clock::{
    Clock, bind_to_cpu, descriptor_limit, give_memory_back, resident_bytes, seed,
    thread_cpu_micros, unix_micros,
};
pub use datagram::{
    Batch, Datagram, connect_datagrams, listen_datagrams, pass_datagram, receive_joined,
    send_datagram, spread_datagrams, take_datagram, tell_local_address,
};
pub use kernel::{Figures, Remote, Weather};
pub use peers::{
    Happening, Peers, Received, abort, begin, close, dial, end, figures, finish, listen, now_us,
    play, receive, remote, send, timer, trace,
};
pub use pipe::Pipe;
pub use poller::{Poller, Waker};
pub use real::{
    Address, Ends, Event, Flow, Front, Joined, Offload, Spread, Ticks, Token, Trouble, Wheel,
};
pub use rng::Rng;
