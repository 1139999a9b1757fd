//! The sharing of the clients of a UDP address among its sockets, so that it follows from a client
//! alone to which worker its flow belongs, also when the number of sockets changes: the kernel
//! gives each datagram to the socket of its client's owner, and flows that come from another
//! process go there too. Datagrams that still come to another worker are passed to the owner: those
//! that waited in a socket while the number changed, and those in which extension headers of IPv6
//! hide the port from the kernel.

use crate::counters::lock;
use crate::engine::Engine;
use crate::place::Place;
use crate::worker::{Mailbox, Message};
use hg_net::{Ends, Fd, Spread};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes on their way between workers, for each address.
const MOST_BYTES: usize = 4 << 20;
/// The memory that a datagram takes beside its bytes.
const BESIDE: usize = 128;

/// The owners of the clients of an address.
pub(crate) struct Sharing {
    spread: Spread,
    workers: Vec<Arc<Mailbox>>,
    /// Bytes on their way between workers.
    held: AtomicUsize,
}

/// Datagrams of one client on their way to the worker that owns it.
pub(crate) struct Strays {
    pub(crate) address: SocketAddr,
    /// The index of the socket of their owner.
    pub(crate) index: usize,
    pub(crate) ends: Ends,
    pub(crate) datagrams: Vec<Vec<u8>>,
    size: usize,
    sharing: Arc<Sharing>,
}

impl Drop for Strays {
    fn drop(&mut self) {
        self.sharing.held.fetch_sub(self.size, Relaxed);
    }
}

impl Sharing {
    /// Returns the index of the socket that a client belongs to.
    pub(crate) fn owner(&self, client: SocketAddr) -> usize {
        self.spread.owner(client)
    }

    /// Passes datagrams to the worker that has a socket. Reports whether there was room for them.
    pub(crate) fn pass<'a>(
        self: &Arc<Self>,
        (address, index): (SocketAddr, usize),
        ends: Ends,
        datagrams: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> bool {
        let size: usize = datagrams.clone().map(|bytes| bytes.len() + BESIDE).sum();
        let has_room = self.held.fetch_add(size, Relaxed) + size <= MOST_BYTES;
        let datagrams = datagrams.filter(|_| has_room).map(<[u8]>::to_vec).collect();
        // Gives its room back as it is dropped.
        let strays = Strays { address, index, ends, datagrams, size, sharing: self.clone() };
        let worker = self.workers.get(index % self.workers.len().max(1));
        let Some(worker) = worker.filter(|_| has_room) else {
            return false;
        };
        worker.send(Message::Strays(strays));
        true
    }
}

impl Engine {
    /// Shares the clients of a UDP address out among its sockets, before anybody reads them. Without
    /// it (before Linux 4.5, or by a socket that does not share its address) each worker has the flows
    /// of those whom the kernel brings it.
    pub(crate) fn share_out(&self, place: Place, sockets: &[Arc<Fd>]) {
        let shared = &self.inner.shared;
        let Some(first) = sockets.first().filter(|_| place.is_udp) else {
            return;
        };
        let spread = Spread::new(shared.draw(), sockets.len());
        let is_done = hg_net::spread_datagrams(first, &spread, place.address.is_ipv6()).is_ok();
        let mut all = lock(&shared.flows.sharing);
        // All belong to the only one, and the kernel knows: it stays so while more sockets come.
        if !is_done || sockets.len() < 2 {
            all.remove(&place.address);
            return;
        }
        let workers = self.inner.workers.iter().map(|worker| worker.mailbox.clone()).collect();
        all.insert(place.address, Arc::new(Sharing { spread, workers, held: 0.into() }));
    }

    /// Does so for all addresses for which it was not done yet.
    pub(crate) fn share_all(&self, sockets: &BTreeMap<Place, Vec<Arc<Fd>>>) {
        for (place, fds) in sockets {
            if !lock(&self.inner.shared.flows.sharing).contains_key(&place.address) {
                self.share_out(*place, fds);
            }
        }
    }
}
