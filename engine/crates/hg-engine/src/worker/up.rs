//! Connections to endpoints, and the pools where idle ones wait.

use super::conn::Conn;
use super::upstreams::EndpointState;
use crate::snapshot::PoolKey;
use hashbrown::HashMap;
use hg_net::{Address, Ticks};
use std::rc::Rc;

/// Where a connection to an endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpPhase {
    /// TCP is being set up.
    Connecting,
    /// TLS is being set up.
    Handshake,
    /// Serves a client's exchange.
    Busy,
    /// Waits in its pool.
    Idle,
}

pub(crate) struct Up {
    pub(crate) conn: Conn,
    pub(crate) generation: u32,
    pub(crate) phase: UpPhase,
    /// The client it serves, by slab index.
    pub(crate) client: usize,
    pub(crate) pool: PoolRef,
    /// The endpoint it was opened for.
    pub(crate) endpoint: Rc<EndpointState>,
    /// Where it leads.
    pub(crate) target: Address,
    pub(crate) deadline: Ticks,
    pub(crate) timer_at: Ticks,
    pub(crate) opened: Ticks,
    /// A part of an answer's head.
    pub(crate) input: Vec<u8>,
}

/// A pool, by index; the id tells whether it is still the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolRef {
    index: usize,
    id: u64,
}

/// Idle connections of one endpoint and one way of connecting, freshest last.
#[derive(Default)]
pub(crate) struct Pool {
    pub(crate) idle: Vec<usize>,
    id: u64,
    users: u32,
}

/// Every pool of a worker.
#[derive(Default)]
pub(crate) struct Pools {
    by_key: HashMap<PoolKey, usize, foldhash::fast::RandomState>,
    pools: slab::Slab<Pool>,
    last_id: u64,
}

impl Pools {
    /// The pool of a key, made if need be, with one more user.
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

    /// One user less; what an unused pool held is returned, to be closed.
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
        let idle = std::mem::take(&mut pool.idle);
        self.by_key.remove(key);
        self.pools.remove(index);
        idle
    }

    /// The pool, while it is in use.
    pub(crate) fn get(&mut self, at: PoolRef) -> Option<&mut Pool> {
        self.pools.get_mut(at.index).filter(|p| p.id == at.id)
    }
}
