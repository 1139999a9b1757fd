//! The part of the engine that this crate needs, as a trait, so that tests can replace it.

use hg_engine::{EndpointOrder, EngineEvent, EngineMetrics, EngineStatus, GivenFlows, MovedFlow};
use hg_engine::{TapFilter, TapReader};
use hg_plan::{Change, ObjectError, Plan};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// The time that it took to compile a plan and to serve it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Time to compile it, outside the workers; microseconds.
    pub compile_us: u64,
    /// Time until the last worker served it; microseconds.
    pub swap_us: u64,
}

/// Finds key material by its sha256 in hex; `None` if it is not held.
pub type BlobLookup<'a> = dyn Fn(&str) -> Option<Arc<[u8]>> + 'a;

/// The engine, as the control link uses it. Every call may come from any thread.
pub trait EngineApi: Send + Sync {
    /// Compiles a plan and swaps it in on every worker; blocks until each of them serves it.
    ///
    /// `changed` are the objects that differ from the plan served before.
    ///
    /// # Errors
    /// Returns one entry per object that cannot be compiled; the workers keep serving the plan
    /// before.
    fn apply(
        &self,
        plan: &Plan,
        changed: &[Change],
        blobs: &BlobLookup<'_>,
    ) -> Result<Applied, Vec<ObjectError>>;

    /// Checks that the machine has now what a plan needs of it, such as an access log's sink that can
    /// be opened, where that is not as in the plan served. [`apply`](Self::apply) does not ask.
    ///
    /// # Errors
    /// Returns one entry per thing that is not there.
    fn check_machine(&self, plan: &Plan, changed: &[Change]) -> Result<(), Vec<ObjectError>>;

    /// Hands over listening sockets of one address; the index is the worker's.
    fn add_sockets(&self, address: &str, sockets: Vec<OwnedFd>);

    /// Stops accepting on an address, empties its queues, closes its sockets, then calls `done`.
    fn close_listener(&self, address: &str, done: Box<dyn FnOnce() + Send>);

    /// Hands over to a successor that owns the sockets: closes ours without touching their queues
    /// and finishes what is in flight. UDP flows go to `flows`, if somebody takes them: each worker
    /// sends once, and waits for [`take_back_flows`](Self::take_back_flows).
    fn handoff(&self, flows: Option<mpsc::Sender<GivenFlows>>);

    /// Gives a worker back what the successor did not take of its flows.
    fn take_back_flows(&self, given: GivenFlows);

    /// Has workers read nothing of UDP clients until [`flows_are_here`](Self::flows_are_here).
    fn await_flows(&self);

    /// Takes over flows, in the order in which they were last seen; returns the places of those that
    /// have none here. No worker is waited for longer than `patience`.
    fn take_flows(&self, flows: Vec<MovedFlow>, patience: Duration) -> Vec<usize>;

    /// Ends the wait for flows; `left` is how many the predecessor kept.
    fn flows_are_here(&self, left: u64);

    /// Drains: reports not ready, stops accepting, finishes what is in flight, then leaves. Calls
    /// `closed` once every listener is closed.
    fn drain(&self, closed: Box<dyn FnOnce() + Send>);

    /// Calls `alive` once every worker has completed a turn of its loop.
    fn probe(&self, alive: Box<dyn FnOnce() + Send>);

    /// Makes session tickets from this secret (hex, 32 bytes) from now on.
    ///
    /// # Errors
    /// If it is not 32 bytes of hex.
    fn rotate_tickets(&self, secret: &str) -> Result<(), String>;

    /// Reports whether nothing is in flight after [`handoff`](Self::handoff) or
    /// [`drain`](Self::drain), or its deadline has passed.
    fn is_drained(&self) -> bool;

    /// Returns the `host:port` names that the served plan needs resolved.
    fn names(&self) -> Vec<String>;

    /// Sets what a name resolves to now. After an error the engine keeps the last good addresses.
    fn set_addresses(&self, name: &str, result: Result<Vec<SocketAddr>, String>);

    /// Reports why an endpoint cannot be given an order.
    ///
    /// # Errors
    /// If the served plan has no such upstream or endpoint.
    fn find_endpoint(&self, upstream: &str, address: &str) -> Result<(), String>;

    /// Returns upstream and address of every endpoint that has an order other than `ready`.
    fn ordered(&self) -> Vec<(String, String)>;

    /// Orders an endpoint to be ready, to drain or to be in maintenance, now and in later plans.
    fn order(&self, upstream: &str, address: &str, order: EndpointOrder);

    /// Returns the state of listeners, endpoints and workers now.
    fn status(&self) -> EngineStatus;

    /// Returns every counter.
    fn metrics(&self) -> EngineMetrics;

    /// Opens a tap on the requests that begin from now on; `None` if too many are open.
    fn tap(&self, filter: TapFilter) -> Option<TapReader>;

    /// Closes the access log files and opens them again.
    fn reopen_logs(&self);

    /// Returns what happened since the last call.
    fn take_events(&self) -> Vec<EngineEvent>;

    /// Returns how often each worker was replaced, by index.
    fn worker_restarts(&self) -> Vec<u64>;
}
