//! The owner of a datagram: the peer that sent it, or the client that a trusted peer tells of in
//! the header in front of it.

use super::super::Worker;
use crate::counters::Dropped;
use hg_net::{Batch, Ends};
use hg_relay::flows::FlowKey;
use hg_relay::proxy_protocol::{Addresses, Fault, parse_datagram};
use std::net::SocketAddr;
use std::ops::Range;

/// The addresses between which the peer got a datagram, as its header tells.
#[derive(Clone, Copy)]
pub(super) struct Told {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
}

/// The origin of a datagram.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    pub(super) ends: Ends,
    pub(super) told: Option<Told>,
}

impl Origin {
    /// Returns the client: the peer, or the one that it tells of.
    pub(super) fn client(&self) -> SocketAddr {
        self.told.map_or(self.ends.client, |told| told.source)
    }

    /// Returns what distinguishes the flow of its client.
    pub(super) fn key(&self, socket: usize) -> FlowKey {
        FlowKey {
            socket: u32::try_from(socket).unwrap_or(u32::MAX),
            client: self.ends.client,
            told: self.told.map(|told| told.source),
            local: self.ends.local,
            endpoint: 0,
        }
    }
}

/// Datagrams of one client that follow each other, and have the same header.
pub(super) struct Same {
    pub(super) origin: Origin,
    pub(super) range: Range<usize>,
    /// The bytes of the header.
    pub(super) cut: usize,
}

fn reason(fault: Fault) -> Dropped {
    match fault {
        Fault::Missing => Dropped::ProxyMissing,
        Fault::Malformed => Dropped::ProxyMalformed,
        Fault::TooLong => Dropped::ProxyTooLong,
        Fault::Checksum => Dropped::ProxyChecksum,
    }
}

impl Worker {
    /// Returns whose the first of some datagrams is that one peer sent, with those behind it that are
    /// of the same client.
    ///
    /// # Errors
    /// Why the first one is refused.
    pub(super) fn same(
        &self,
        socket: usize,
        batch: &Batch,
        range: Range<usize>,
    ) -> Result<Same, Dropped> {
        let at = range.start;
        let ends = batch.ends(at).ok_or(Dropped::NoRoute)?;
        let listener = self.udp.sockets.get(socket).and_then(|s| s.listener());
        let own = Origin { ends, told: None };
        let Some(terms) = listener.and_then(|listener| self.held.proxy_terms(listener)) else {
            return Ok(Same { origin: own, range, cut: 0 });
        };
        let is_trusted = terms.trusts(ends.client.ip());
        if !is_trusted && terms.is_required {
            return Err(Dropped::ProxyUntrusted);
        }
        let header = match parse_datagram(batch.bytes(at)) {
            Err(Fault::Missing) if !terms.is_required => {
                return Ok(Same { origin: own, range: at..at + 1, cut: 0 });
            }
            _ if !is_trusted => return Err(Dropped::ProxyUntrusted),
            Err(fault) => return Err(reason(fault)),
            Ok(header) => header,
        };
        let told = match header.addresses {
            Addresses::Own => None,
            Addresses::Passed { source, destination, .. } => Some(Told { source, destination }),
        };
        // A header says how long it is, so that one which begins with the same bytes is the same.
        let bytes = batch.bytes(at).get(..header.len).unwrap_or_default();
        let alike = range.take_while(|at| batch.bytes(*at).starts_with(bytes)).count();
        let origin = Origin { ends, told };
        Ok(Same { origin, range: at..at + alike, cut: header.len })
    }
}
