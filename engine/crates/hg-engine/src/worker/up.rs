//! Connections to endpoints, and the pools where idle ones wait.

use super::conn::Conn;
use super::exchange::ExId;
use super::multiplex::Shared;
use super::timers::Entry;
use super::upstreams::EndpointState;
use crate::snapshot::PoolKey;
use hashbrown::HashMap;
use hg_net::{Address, Ticks};
use std::rc::Rc;

/// The state of a connection to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpPhase {
    /// Establishes TCP.
    Connecting,
    /// Establishes TLS.
    Handshake,
    /// Serves a client's exchange.
    Busy,
    /// Waits in its pool.
    Idle,
    /// Carries the streams of many exchanges, over HTTP/2.
    Shared,
}

pub(crate) struct Up {
    pub(crate) conn: Conn,
    pub(crate) generation: u32,
    pub(crate) phase: UpPhase,
    /// The exchange it serves, or is being opened for.
    pub(crate) exchange: Option<ExId>,
    pub(crate) pool: PoolRef,
    /// The endpoint for which it was opened.
    pub(crate) endpoint: Rc<EndpointState>,
    /// The address to which it leads.
    pub(crate) target: Address,
    pub(crate) deadline: Ticks,
    pub(crate) timer: Entry,
    pub(crate) opened: Ticks,
    /// A part of an answer's head, or of a frame, that has come.
    pub(crate) input: Vec<u8>,
    pub(crate) http2: Option<Box<Shared>>,
}

/// A pool, by index; the id shows whether the index still means the same pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolRef {
    index: usize,
    id: u64,
}

/// Idle connections of one endpoint and one way to connect, freshest last.
#[derive(Default)]
pub(crate) struct Pool {
    pub(crate) idle: Vec<usize>,
    /// Connections over HTTP/2, idle or not; the first one with room takes the next request.
    pub(crate) shared: Vec<usize>,
    /// The exchange that opens a connection which others will share.
    pub(crate) leader: Option<ExId>,
    /// The number of streams that the endpoint allowed on its last connection over HTTP/2.
    pub(crate) streams: Option<usize>,
    /// True if the endpoint chose HTTP/1 when it was last asked.
    pub(crate) is_http1: bool,
    id: u64,
    users: u32,
}

/// All pools of a worker.
#[derive(Default)]
pub(crate) struct Pools {
    by_key: HashMap<PoolKey, usize, foldhash::fast::RandomState>,
    pools: slab::Slab<Pool>,
    last_id: u64,
}

impl Pools {
    /// Returns the pool of a key with one more user; makes it at the first call.
    pub(crate) fn acquire(&mut self, key: &PoolKey) -> PoolRef {
        let index = match self.by_key.get(key) {
            Some(&i) => i,
            None => {
                self.last_id += 1;
                let i = self.pools.insert(Pool { id: self.last_id, ..Pool::default() });
                self.by_key.insert(key.clone(), i);
                i
            }
        };
        let id = self.pools.get_mut(index).map_or(0, |p| {
            p.users += 1;
            p.id
        });
        PoolRef { index, id }
    }

    /// Removes one user; returns what the pool held if it has no users left, to be closed once it is
    /// idle.
    pub(crate) fn release(&mut self, key: &PoolKey) -> Vec<usize> {
        let Some(&index) = self.by_key.get(key) else {
            return Vec::new();
        };
        let Some(pool) = self.pools.get_mut(index) else {
            return Vec::new();
        };
        pool.users = pool.users.saturating_sub(1);
        if pool.users > 0 {
            return Vec::new();
        }
        let mut all = std::mem::take(&mut pool.idle);
        all.append(&mut pool.shared);
        self.by_key.remove(key);
        self.pools.remove(index);
        all
    }

    /// Returns all pools.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Pool> {
        self.pools.iter().map(|(_, pool)| pool)
    }

    /// Returns the pool, while it is in use.
    pub(crate) fn get(&mut self, at: PoolRef) -> Option<&mut Pool> {
        self.pools.get_mut(at.index).filter(|p| p.id == at.id)
    }
}

#[cfg(test)]
mod tests;
