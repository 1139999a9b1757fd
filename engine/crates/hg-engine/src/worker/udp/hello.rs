//! The first datagrams of clients on listeners whose routes ask for a name. They wait here, as they
//! came, until the ClientHello of their QUIC connection is whole; most are in the first one.

use super::super::Worker;
use super::super::leave::Leaving;
use super::header::Origin;
use crate::counters::{Dropped, Hello};
use hg_net::Clock;
use hg_relay::flows::{FlowId, FlowKey, Flows, Held, Room};
use hg_tls::{InitialReader, Parse, Unread};

/// Most flows that wait; for a newcomer the oldest one goes on without a name.
const MOST: usize = 512;
/// The time that one waits. A client sends what was lost again after a second (RFC 9002 §6.2.2).
const PATIENCE_MS: u64 = 3_000;

/// Flows of a worker that wait for the rest of their hello, in the order in which they came.
#[derive(Default)]
pub(super) struct Hellos {
    flows: Flows<Box<Waiting>>,
    /// The buffer in which packets are opened.
    room: Vec<u8>,
}

struct Waiting {
    reader: InitialReader,
    origin: Origin,
    held: Held,
}

/// The name that a client asked for, if that is known.
type Heard = (Hello, Option<Box<str>>);

impl Hellos {
    /// Reads the next datagram of a flow; an error if it waits for another one, with the flow if it is
    /// new.
    fn read(
        &mut self,
        id: Option<FlowId>,
        origin: Origin,
        datagram: &[u8],
    ) -> Result<Heard, Option<Box<Waiting>>> {
        let mut new = Waiting { reader: InitialReader::default(), origin, held: Held::default() };
        let known = id.and_then(|id| self.flows.get_mut(id)).map(|waiting| &mut **waiting);
        let is_new = known.is_none();
        let waiting = known.unwrap_or(&mut new);
        Ok(match waiting.reader.read(datagram, &mut self.room) {
            Ok(Parse::Complete(hello)) if hello.sni.is_some() => (Hello::Named, hello.sni),
            Ok(Parse::Complete(_)) => (Hello::Nameless, None),
            Ok(Parse::Partial) if !waiting.held.push(datagram) => (Hello::TooLong, None),
            Ok(Parse::Partial) => return Err(is_new.then(|| Box::new(new))),
            Err(Unread::NotQuic) => (Hello::NotQuic, None),
            Err(Unread::Version) => (Hello::Version, None),
            Err(Unread::Malformed) => (Hello::Malformed, None),
            Err(Unread::TooLong) => (Hello::TooLong, None),
        })
    }
}

impl Worker {
    /// Reports whether flows of a socket have no route before their hello was read.
    pub(super) fn asks_hello(&self, socket: usize) -> bool {
        let listener = self.udp.sockets.get(socket).and_then(|s| s.listener());
        listener.is_some_and(|listener| self.held.udp.asks_hello(listener))
    }

    /// Reads a datagram of a client that has no flow. Once the name is known, or will not be, its flow
    /// opens, and gets what was kept of it; returns nothing as long as the datagram is kept.
    pub(super) fn hear(
        &mut self,
        key: FlowKey,
        origin: Origin,
        datagram: &[u8],
    ) -> Result<Option<(FlowId, bool)>, Dropped> {
        if matches!(self.leaving, Leaving::Closing { .. }) {
            return Err(Dropped::Draining);
        }
        let id = self.udp.hellos.flows.find(&key);
        match self.udp.hellos.read(id, origin, datagram) {
            Ok(heard) => self.heard(id, (key, origin), heard).map(Some),
            Err(None) => Ok(None),
            Err(Some(waiting)) => {
                if let Room::After(oldest) = self.udp.hellos.flows.room(0, MOST, Some(self.now)) {
                    self.give_up(oldest, Hello::Evicted);
                }
                self.udp.hellos.flows.insert(0, key, self.now, waiting);
                Ok(None)
            }
        }
    }

    /// Opens the flow of a client that was heard.
    fn heard(
        &mut self,
        id: Option<FlowId>,
        (key, origin): (FlowKey, Origin),
        (outcome, sni): Heard,
    ) -> Result<(FlowId, bool), Dropped> {
        self.counters.udp.hear(outcome);
        let waited = id.and_then(|id| self.udp.hellos.flows.remove(id));
        let mut held = waited.map(|(_, waiting)| waiting.held).unwrap_or_default();
        let count = held.len();
        // A plan for which no name matters may have opened one meanwhile.
        let opened = match self.udp.flows.find(&key) {
            Some(id) => Ok((id, false)),
            None => self.open_flow(key.socket as usize, (origin, sni)),
        };
        match opened {
            Ok((id, _)) => self.pass_on(id, (&mut held, 0..count), 0),
            Err(why) => self.counters.udp.drop(why, count),
        }
        opened
    }

    /// Lets a flow that waits go on without a name.
    fn give_up(&mut self, id: FlowId, why: Hello) {
        let flows = &self.udp.hellos.flows;
        if let Some(found) = flows.key(id).copied().zip(flows.get(id).map(|w| w.origin)) {
            // What becomes of it was counted.
            let _ = self.heard(Some(id), found, (why, None));
        }
    }

    /// Lets flows go on that have waited for too long.
    pub(super) fn sweep_hellos(&mut self) {
        while let Some(id) = self.udp.hellos.flows.oldest(0) {
            let began = self.udp.hellos.flows.seen_at(id).unwrap_or(self.now);
            if self.now.saturating_sub(began) < PATIENCE_MS / Clock::TICK_MS {
                break;
            }
            self.give_up(id, Hello::Timeout);
        }
    }

    /// Drops what is kept of flows whose sockets go.
    pub(super) fn forget_hellos(&mut self, why: Dropped, which: impl Fn(&FlowKey) -> bool) {
        let flows = &mut self.udp.hellos.flows;
        for id in flows.ids().collect::<Vec<_>>() {
            if flows.key(id).is_some_and(&which)
                && let Some((_, waiting)) = flows.remove(id)
            {
                self.counters.udp.drop(why, waiting.held.len());
            }
        }
    }
}

#[cfg(test)]
mod tests;
