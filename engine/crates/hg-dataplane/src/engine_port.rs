//! What this crate needs of the engine, so that it can be tested without one.

use hg_engine::{EngineEvent, EngineMetrics, EngineStatus};
use hg_plan::{Change, ObjectError, Plan};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// How long a plan took to be served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Compiling it, off the workers; microseconds.
    pub compile_us: u64,
    /// Until the last worker served it; microseconds.
    pub swap_us: u64,
}

/// Finds key material by its sha256 in hex; `None` if it is not held.
pub type BlobLookup<'a> = dyn Fn(&str) -> Option<Arc<[u8]>> + 'a;

/// The engine, as the control link drives it. Every call may come from any thread.
pub trait EngineApi: Send + Sync {
    /// Compiles a plan and swaps it in on every worker; blocks until each of them serves it.
    ///
    /// `changed` are the objects that differ from the plan served before.
    ///
    /// # Errors
    /// One entry per object that cannot be compiled; what was served before is still served.
    fn apply(
        &self,
        plan: &Plan,
        changed: &[Change],
        blobs: &BlobLookup<'_>,
    ) -> Result<Applied, Vec<ObjectError>>;

    /// Hands over listening sockets of one address; the index is the worker's.
    fn add_sockets(&self, address: &str, sockets: Vec<OwnedFd>);

    /// Stops accepting on an address, empties its queues, closes its sockets, then calls `done`.
    fn close_listener(&self, address: &str, done: Box<dyn FnOnce() + Send>);

    /// A successor owns the sockets: close ours with their queues as they are, finish what is in
    /// flight.
    fn handoff(&self);

    /// Drains: reports not ready, stops accepting, finishes what is in flight, then leaves. Calls
    /// `closed` once every listener is closed.
    fn drain(&self, closed: Box<dyn FnOnce() + Send>);

    /// Calls `alive` once every worker has gone round its loop.
    fn probe(&self, alive: Box<dyn FnOnce() + Send>);

    /// Session tickets are made from this secret (hex, 32 bytes) from now on.
    ///
    /// # Errors
    /// When it is not one.
    fn rotate_tickets(&self, secret: &str) -> Result<(), String>;

    /// Whether nothing is in flight after [`handoff`](Self::handoff) or [`drain`](Self::drain),
    /// or its deadline has passed.
    fn is_drained(&self) -> bool;

    /// The `host:port` names the served plan wants resolved.
    fn names(&self) -> Vec<String>;

    /// What a name resolves to now. After an error the engine keeps the last good addresses.
    fn set_addresses(&self, name: &str, result: Result<Vec<SocketAddr>, String>);

    /// Listeners, endpoints and workers as they are now.
    fn status(&self) -> EngineStatus;

    /// Every counter.
    fn metrics(&self) -> EngineMetrics;

    /// Closes and opens the access log files again.
    fn reopen_logs(&self);

    /// What happened since the last call.
    fn take_events(&self) -> Vec<EngineEvent>;

    /// How often each worker was replaced, by index.
    fn worker_restarts(&self) -> Vec<u64>;
}
