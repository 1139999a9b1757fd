//! Datagrams of clients that belong to another socket than the one they came by: see `sharing`.

use super::super::Worker;
use crate::counters::Dropped;
use crate::sharing::{Sharing, Strays};
use hg_net::Batch;
use std::ops::Range;
use std::sync::Arc;

/// The place where the flow of a client belongs.
pub(super) enum Home {
    /// To a socket of this worker.
    Here(usize),
    /// To the socket with this index, which another worker has.
    Elsewhere(Arc<Sharing>, usize),
}

impl Worker {
    /// Finds out where a datagram belongs that came by a socket.
    pub(super) fn home_of(&self, socket: usize, batch: &Batch, at: usize) -> Home {
        let (Some(s), Some(ends)) = (self.udp.sockets.get(socket), batch.ends(at)) else {
            return Home::Here(socket);
        };
        let Some(sharing) = &s.sharing else {
            return Home::Here(socket);
        };
        let owner = sharing.owner(ends.client);
        if owner == s.index {
            return Home::Here(socket);
        }
        let is_its = |o: &super::Socket| (o.address, o.index) == (s.address, owner);
        match self.udp.sockets.iter().find(|(_, o)| is_its(o)) {
            Some((other, _)) => Home::Here(other),
            None => Home::Elsewhere(sharing.clone(), owner),
        }
    }

    /// Passes datagrams to the worker that they belong to.
    pub(super) fn pass_to_owner(
        &self,
        socket: usize,
        (sharing, owner): (&Arc<Sharing>, usize),
        batch: &Batch,
        range: Range<usize>,
    ) {
        let count = range.len();
        let address = self.udp.sockets.get(socket).map(|s| s.address);
        let passed = address.zip(batch.ends(range.start)).is_some_and(|(address, ends)| {
            sharing.pass((address, owner), ends, range.map(|at| batch.bytes(at)))
        });
        match passed {
            true => self.counters.udp.strays.add(count as u64),
            false => self.counters.udp.drop(Dropped::Blocked, count),
        }
    }

    /// Takes datagrams that came by a socket of another worker.
    pub(in super::super) fn take_strays(&mut self, strays: Strays) {
        let is_its = |s: &super::Socket| (s.address, s.index) == (strays.address, strays.index);
        let found = self.udp.sockets.iter().find(|(_, s)| is_its(s));
        if found.is_some_and(|(_, s)| !s.is_served()) {
            // Another worker has the plan already. They are as few as may be on their way.
            return self.udp.early.push(strays);
        }
        let Some(socket) = found.map(|(at, _)| at).filter(|_| !self.udp.waits) else {
            let why = if self.udp.waits { Dropped::Draining } else { Dropped::NoRoute };
            return self.counters.udp.drop(why, strays.datagrams.len());
        };
        let mut batch = self.take_batch();
        for bytes in &strays.datagrams {
            if batch.is_full() {
                self.take_datagrams(socket, &mut batch);
                batch.clear();
            }
            batch.add(bytes, strays.ends);
        }
        self.take_datagrams(socket, &mut batch);
        self.give_batch_back(batch);
    }
}
