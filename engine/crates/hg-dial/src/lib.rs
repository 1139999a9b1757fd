//! Connections from threads of their own to servers other than endpoints: a collector, the store of
//! limits.
//!
//! Owns the way from `host:port` to bytes: the addresses that the node's resolver knows, connecting,
//! TLS, reads and writes. Every step has a deadline, and between steps the thread may do its other
//! work. Looks up no name itself: a look-up that hangs would stop the thread. Never runs on a worker.

mod connection;
mod failure;
mod place;
mod secured;

pub use connection::{Connection, Steps};
pub use failure::{Failure, Reason, Reasons};
pub use place::{Lookup, Place, Tried, host_of, is_name, literals_only};
