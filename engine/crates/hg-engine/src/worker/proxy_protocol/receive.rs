//! Headers of trusted peers, before the first byte of the client. From then on the client is the one
//! of the header.

use super::super::Worker;
use super::super::accept::deadline_after;
use super::super::client::{Phase, Seat};
use super::super::conn::{Conn, Told};
use crate::counters::{Refused, Timeout};
use crate::shared::Shared;
use crate::snapshot::{ListenerEntry, ProxyTerms, Snapshot};
use hg_net::Ticks;
use hg_plan::Settings;
use hg_relay::proxy_protocol::{Addresses, Fault, Header, Parse, Presence, Transport};
use hg_relay::proxy_protocol::{parse, presence};
use std::net::{IpAddr, SocketAddr};

impl ListenerEntry {
    /// Reports whether this peer may tell whose connection it passes on.
    pub(crate) fn tells_client(&self, peer: IpAddr) -> bool {
        self.proxy.as_ref().is_some_and(|proxy| proxy.trusts(peer))
    }
}

/// The kind of the first bytes of a connection.
pub(in super::super) enum First {
    /// A header of so many bytes.
    Header(usize, Addresses),
    /// Bytes that the client sent.
    Client,
    Undecided,
    Refused(Refused),
}

impl First {
    /// Returns what these bytes of a peer are, or begin to be.
    pub(in super::super) fn of(bytes: &[u8], terms: &ProxyTerms, is_trusted: bool) -> Self {
        match presence(bytes) {
            Presence::Undecided => First::Undecided,
            Presence::No if terms.is_required => First::Refused(Refused::ProxyMissing),
            Presence::No => First::Client,
            Presence::Yes if !is_trusted => First::Refused(Refused::ProxyUntrusted),
            Presence::Yes => match parse(bytes) {
                Ok(Parse::Partial) => First::Undecided,
                Ok(Parse::Complete(header)) => Self::of_header(&header),
                Err(fault) => First::Refused(reason(fault)),
            },
        }
    }

    fn of_header(header: &Header<'_>) -> Self {
        match header.addresses {
            // Datagrams do not come over a stream.
            Addresses::Passed { transport: Transport::Datagram, .. } => {
                First::Refused(Refused::ProxyMalformed)
            }
            addresses => First::Header(header.len, addresses),
        }
    }
}

fn reason(fault: Fault) -> Refused {
    match fault {
        Fault::Missing => Refused::ProxyMissing,
        Fault::Malformed => Refused::ProxyMalformed,
        Fault::TooLong => Refused::ProxyTooLong,
        Fault::Checksum => Refused::ProxyChecksum,
    }
}

/// Takes what a header tells as the ends of a connection, and counts it for its client. Reports
/// whether that client may have one more.
pub(in super::super) fn seated(
    shared: &Shared,
    settings: &Settings,
    (conn, peer, seat): (&mut Conn, &mut SocketAddr, &mut Seat),
    addresses: Addresses,
) -> bool {
    if let Addresses::Passed { source, destination, .. } = addresses {
        if std::mem::take(&mut seat.counted) {
            shared.forget_client(peer.ip());
        }
        *peer = source;
        conn.told = Some(Box::new(Told::Destination(destination)));
    }
    if settings.max_connections_per_client > 0 && !seat.counted {
        if !shared.admit_client(settings, peer.ip()) {
            return false;
        }
        seat.counted = true;
    }
    true
}

impl Worker {
    /// Returns why a new connection is refused, or counts it.
    pub(in super::super) fn refusal(&self, entry: &ListenerEntry, peer: IpAddr) -> Option<Refused> {
        let tells = entry.tells_client(peer);
        if !tells && entry.proxy.as_ref().is_some_and(|proxy| proxy.is_required) {
            return Some(Refused::ProxyUntrusted);
        }
        // Whose connection a trusted peer passes on is not known yet.
        self.shared.admit(&self.held.settings, entry, (!tells).then_some(peer))
    }

    /// Returns how a connection begins, and until when that must have come.
    pub(in super::super) fn first_phase(
        &self,
        held: &Snapshot,
        (slot, entry): (u16, &ListenerEntry),
    ) -> (Phase, Ticks) {
        let (phase, deadline) = self.client_phase(held, (slot, entry));
        match &entry.proxy {
            None => (phase, deadline),
            Some(proxy) if proxy.is_required => {
                (Phase::ProxyHeader, deadline_after(self.now_us, proxy.timeout_ms))
            }
            // Clients without a header have the time that they have anywhere.
            Some(_) => (Phase::ProxyHeader, deadline),
        }
    }

    /// Looks at the bytes that came so far.
    pub(in super::super) fn on_header(&mut self, ci: usize) {
        let (Some(c), Some(entry)) = (self.clients.get(ci), self.listener(ci)) else {
            return;
        };
        let Some(terms) = &entry.proxy else {
            // A reload took away what made the header credible.
            return self.refuse_client(ci, Refused::ProxyUntrusted);
        };
        match First::of(&c.input, terms, terms.trusts(c.peer.ip())) {
            First::Refused(why) => self.refuse_client(ci, why),
            First::Undecided => self.limit_header(ci),
            First::Client => self.begin_client(ci, Addresses::Own),
            First::Header(len, addresses) => {
                if let Some(c) = self.clients.get_mut(ci) {
                    c.input.drain(..len);
                }
                self.begin_client(ci, addresses);
            }
        }
    }

    /// Gives a header that has begun its time.
    fn limit_header(&mut self, ci: usize) {
        let proxy = self.listener(ci).and_then(|entry| entry.proxy.as_ref());
        let at = proxy.map_or(0, |proxy| deadline_after(self.now_us, proxy.timeout_ms));
        let Some(c) = self.clients.get_mut(ci) else {
            return;
        };
        // More bytes of the same header do not prolong it.
        c.deadline = c.deadline.min(at);
        self.arm_client(ci);
    }

    /// Serves the client of a connection, which is known now.
    fn begin_client(&mut self, ci: usize, addresses: Addresses) {
        let (Some(c), Some(entry)) = (self.clients.get(ci), self.listener(ci)) else {
            return self.close_client(ci);
        };
        let (phase, deadline) = self.client_phase(&self.client_snapshot(c), (c.listener, entry));
        let Some(c) = self.clients.get_mut(ci) else {
            return;
        };
        (c.phase, c.deadline) = (phase, deadline);
        let ends = (&mut c.conn, &mut c.peer, &mut c.seat);
        if !seated(&self.shared, &self.held.settings, ends, addresses) {
            return self.refuse_client(ci, Refused::Client);
        }
        self.arm_client(ci);
        match phase {
            Phase::Hello(_) => self.on_hello(ci),
            Phase::Detect => self.on_first_bytes(ci),
            _ => self.proceed(ci),
        }
    }

    /// Closes a connection whose time ran out before its header was whole.
    pub(in super::super) fn expire_header(&mut self, ci: usize) {
        let (Some(c), Some(entry)) = (self.clients.get(ci), self.listener(ci)) else {
            return;
        };
        let must_tell = entry.proxy.as_ref().is_none_or(|proxy| proxy.is_required);
        if must_tell || !c.input.is_empty() {
            return self.refuse_client(ci, Refused::ProxyTimeout);
        }
        let slot = self.clients.get(ci).map_or(0, |c| c.listener);
        if self.clients.get(ci).is_some_and(|c| self.client_snapshot(c).tcp.takes_plain(slot)) {
            // It has none, and waits for the server to speak.
            return self.begin_client(ci, Addresses::Own);
        }
        let which = if entry.plan.tls.is_some() { Timeout::Handshake } else { Timeout::Head };
        self.counters.timeout(which);
        self.close_client(ci);
    }

    /// Closes a connection that its client ended before its first request.
    pub(in super::super) fn ended_early(&mut self, ci: usize) {
        let inside = |phase| phase == Phase::ProxyHeader;
        if self.clients.get(ci).is_some_and(|c| inside(c.phase) && !c.input.is_empty()) {
            self.counters.refuse(Refused::ProxyIncomplete);
        }
        self.close_client(ci);
    }

    /// Counts a refusal and resets the connection: an end of stream would look like an answer.
    fn refuse_client(&mut self, ci: usize, why: Refused) {
        self.counters.refuse(why);
        self.reset_client(ci);
    }
}
