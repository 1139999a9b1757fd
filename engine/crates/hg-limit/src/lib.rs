//! Limits: how many requests a key may make in a time, how many it may have in flight, and how many
//! bytes may pass for it in a second.
//!
//! Owns the arithmetic of a rate ([`Rate`], the generic cell rate algorithm), the keyed hash of what
//! a limit counts by ([`KeyHash`]), and the tables that all workers share ([`Table`], [`Cell`],
//! [`Flights`]), and what a node keeps of a limit that it shares with others ([`Common`], [`Desk`]). A table has its size from the beginning and never grows, whatever clients send.
//! Never reads a clock, never draws randomness and never does I/O: callers pass in microseconds of
//! one monotonic clock and the seed of the hash. Clocks of workers may differ by what one turn of
//! their loops takes.

mod bucket;
mod cell;
mod common;
mod desk;
mod flights;
mod key;
mod rate;
mod sip;
mod table;
mod verdict;

pub use cell::Cell;
pub use common::{Common, Decision, Terms, WhenAway};
pub use desk::{Desk, Report};
pub use flights::{Flights, Permit, Refusal};
pub use key::{Key, KeyHash, Seed};
pub use rate::{MAX_BURST, MAX_BYTES, MAX_PERIOD_US, MAX_REQUESTS, MIN_BYTES, MIN_PERIOD_US, Rate};
pub use table::Table;
pub use verdict::Verdict;
