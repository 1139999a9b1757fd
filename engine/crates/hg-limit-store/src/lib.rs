//! The store that nodes share rate limits through: a server that speaks the protocol of Redis.
//!
//! Owns the way of a report from a worker's desk ([`hg_limit::Desk`]) to the store and of the answer
//! into the limit's table: what is said on a connection, whether the store counts, and the one thread
//! that has the socket. Bounded everywhere: reports that wait, charges at once, bytes and time of an
//! answer. Whatever the store does wrong means that it is away. No worker ever waits for any of it.

mod batch;
mod keeper;
mod resp;
mod session;
mod standing;
mod store;
mod wire;

pub use store::{LimitStore, LimitStoreStats, News};
