//! The sockets that clients send to, one of each address for this worker.

use super::super::Worker;
use super::header::Origin;
use super::{KIND_DATAGRAMS, Source};
use crate::counters::{Dropped, Ended, ListenerCounters, lock};
use crate::place::Place;
use crate::report::EventLevel;
use crate::sharing::Sharing;
use hg_net::{Fd, Token};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A socket of a UDP listener.
pub(super) struct Socket {
    pub(super) fd: Arc<Fd>,
    pub(super) generation: u32,
    pub(super) address: SocketAddr,
    /// Its index among the sockets of the address.
    pub(super) index: usize,
    /// The listener that it belongs to in the plan served now, if any.
    listener: Option<Owner>,
    registered: bool,
    /// The clients that belong to it, if that follows from the client.
    pub(super) sharing: Option<Arc<Sharing>>,
}

struct Owner {
    slot: u16,
    name: Arc<str>,
    counters: Arc<ListenerCounters>,
}

impl Socket {
    /// Returns the slot of its listener, if one has it.
    pub(super) fn listener(&self) -> Option<u16> {
        self.listener.as_ref().map(|owner| owner.slot)
    }

    /// Reports whether a listener of the plan served now has it.
    pub(super) fn is_served(&self) -> bool {
        self.listener.is_some()
    }

    /// Returns where a datagram comes from; `None` if no listener has the socket.
    pub(super) fn source(&self, origin: &Origin) -> Option<Source> {
        let owner = self.listener.as_ref()?;
        let ends = origin.ends;
        let here = SocketAddr::new(ends.local.unwrap_or(self.address.ip()), self.address.port());
        Some(Source {
            fd: self.fd.clone(),
            ends,
            client: origin.client(),
            destination: origin.told.map_or(here, |told| told.destination),
            listener: owner.slot,
            listener_name: owner.name.clone(),
            counters: owner.counters.clone(),
        })
    }
}

impl Worker {
    pub(in super::super) fn add_datagram_socket(
        &mut self,
        address: SocketAddr,
        index: usize,
        fd: Arc<Fd>,
    ) {
        // A socket that came while this worker was made is in its mail as well.
        if self.udp.sockets.iter().any(|(_, s)| Arc::ptr_eq(&s.fd, &fd)) {
            return;
        }
        if address.ip().is_unspecified()
            && let Err(e) = hg_net::tell_local_address(&fd, address)
        {
            let text = format!("{address}: {e}");
            self.shared.event(EventLevel::Error, "listener.failed", text);
        }
        let generation = self.next_generation();
        let (listener, registered, sharing) = (None, false, None);
        let socket = Socket { fd, generation, address, index, listener, registered, sharing };
        self.udp.sockets.insert(socket);
        self.refresh_datagram_sockets();
    }

    /// Brings the registrations in line with the plan served now.
    pub(in super::super) fn refresh_datagram_sockets(&mut self) {
        let mut failed = Vec::new();
        let reads = !self.udp.waits && !self.shared.flows.awaited.load(Relaxed);
        for (index, s) in &mut self.udp.sockets {
            let place = Place { address: s.address, is_udp: true };
            let found = self.held.listeners.iter().enumerate().find_map(|(i, l)| {
                let l = l.as_ref().filter(|l| l.is_at(place))?;
                Some((u16::try_from(i).ok()?, l.name.clone()))
            });
            s.listener = found.map(|(slot, name)| {
                let counters = self.counters.listener(&name);
                Owner { slot, name, counters }
            });
            let wanted = reads && s.listener.is_some();
            if wanted == s.registered {
                continue;
            }
            let token = Token::new(KIND_DATAGRAMS, s.generation, index);
            let done = if wanted {
                s.sharing = lock(&self.shared.flows.sharing).get(&s.address).cloned();
                if self.shared.flows.offload.receive {
                    // Not before this process reads: a predecessor may be unable to divide what comes
                    // joined. Without it each datagram comes alone.
                    let _ = hg_net::receive_joined(&s.fd);
                }
                self.poller.add_listener(&s.fd, token)
            } else {
                self.poller.remove(&s.fd)
            };
            match done {
                Ok(()) => s.registered = wanted,
                Err(e) => failed.push(format!("{}: {e}", s.address)),
            }
        }
        for message in failed {
            self.shared.event(EventLevel::Error, "listener.failed", message);
        }
        for strays in std::mem::take(&mut self.udp.early) {
            self.take_strays(strays);
        }
    }

    /// Closes the sockets of an address, and ends their flows.
    pub(in super::super) fn close_datagram_socket(&mut self, address: SocketAddr) {
        let is_of_it = |s: &Socket| s.address == address;
        let of_it: Vec<usize> =
            self.udp.sockets.iter().filter(|(_, s)| is_of_it(s)).map(|(i, _)| i).collect();
        for index in of_it {
            let Some(fd) = self.forget_datagram_socket(index) else {
                continue;
            };
            self.end_flows(Ended::RouteRemoved, |flow| Arc::ptr_eq(&flow.source.fd, &fd));
        }
    }

    /// Reads no more of any socket; flows still answer on them.
    pub(in super::super) fn forget_datagram_sockets(&mut self) {
        let all: Vec<usize> = self.udp.sockets.iter().map(|(i, _)| i).collect();
        for index in all {
            self.forget_datagram_socket(index);
        }
    }

    fn forget_datagram_socket(&mut self, index: usize) -> Option<Arc<Fd>> {
        self.forget_hellos(Dropped::NoRoute, |key| key.socket as usize == index);
        let socket = self.udp.sockets.try_remove(index)?;
        if socket.registered {
            // A duplicate lives on in the supervisor: without this the registration would too.
            let _ = self.poller.remove(&socket.fd);
        }
        Some(socket.fd)
    }
}
