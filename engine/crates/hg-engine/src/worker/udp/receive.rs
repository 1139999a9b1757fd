//! From clients to endpoints.

use super::super::Worker;
use super::header::Same;
use super::police::admitted;
use super::strays::Home;
use crate::counters::Dropped;
use hg_net::{Batch, Fd, Front, Trouble};
use hg_relay::flows::{FlowId, Held};
use std::io;
use std::ops::Range;

/// Datagrams of a client that can be passed on.
pub(super) trait Datagrams {
    /// Sends some of them. Returns how many went out before an error, and the error.
    fn send(&mut self, up: &Fd, range: Range<usize>, front: Front<'_>) -> (usize, io::Result<()>);

    /// Returns the size of one.
    fn size(&self, at: usize) -> usize;
}

impl Datagrams for Batch {
    fn send(&mut self, up: &Fd, range: Range<usize>, front: Front<'_>) -> (usize, io::Result<()>) {
        self.forward(up, range, front)
    }

    fn size(&self, at: usize) -> usize {
        Batch::size(self, at)
    }
}

impl Datagrams for Held {
    fn send(&mut self, up: &Fd, range: Range<usize>, front: Front<'_>) -> (usize, io::Result<()>) {
        let count = range.len();
        for (sent, at) in range.enumerate() {
            if let Err(error) = hg_net::pass_datagram(up, front.header, self.get(at)) {
                return (sent, Err(error));
            }
        }
        (count, Ok(()))
    }

    fn size(&self, at: usize) -> usize {
        self.get(at).len()
    }
}

impl Worker {
    /// Takes what waits at a socket, a batch in a turn.
    pub(in super::super) fn on_datagrams(&mut self, index: usize, generation: u32) {
        let socket = self.udp.sockets.get(index).filter(|s| s.generation == generation);
        let Some(fd) = socket.map(|s| s.fd.clone()) else {
            return;
        };
        let mut batch = self.take_batch();
        // The kernel keeps no errors for a socket that is not connected.
        if batch.receive(&fd).is_ok() {
            self.take_datagrams(index, &mut batch);
        }
        self.give_batch_back(batch);
    }

    /// Takes the room for datagrams of clients.
    pub(super) fn take_batch(&mut self) -> Box<Batch> {
        let offload = self.shared.flows.offload;
        self.udp.batch.take().unwrap_or_else(|| Box::new(Batch::new(offload)))
    }

    pub(super) fn give_batch_back(&mut self, mut batch: Box<Batch>) {
        batch.clear();
        self.counters.udp.add_joined(batch.take_joined());
        self.udp.batch = Some(batch);
    }

    /// Passes datagrams on; those of one client that follow each other go in one call.
    pub(super) fn take_datagrams(&mut self, socket: usize, batch: &mut Batch) {
        let mut at = 0;
        while at < batch.len() {
            let mut end = batch.end_of_same(at);
            let home = match self.home_of(socket, batch, at) {
                Home::Here(home) => home,
                Home::Elsewhere(sharing, owner) => {
                    self.pass_to_owner(socket, (&sharing, owner), batch, at..end);
                    at = end;
                    continue;
                }
            };
            let same = match self.same(home, batch, at..end) {
                Ok(same) => same,
                Err(why) => {
                    self.counters.udp.drop(why, 1);
                    at += 1;
                    continue;
                }
            };
            end = same.range.end;
            match self.flow_of(home, batch, &same) {
                Ok(Some((id, is_for_one))) => {
                    if is_for_one {
                        end = at + 1;
                    }
                    self.pass_on(id, (batch, at..end), same.cut);
                }
                Ok(None) => end = at + 1,
                Err(why) => {
                    if self.asks_hello(home) {
                        end = at + 1;
                    }
                    self.counters.udp.drop(why, end - at);
                }
            }
            at = end;
        }
    }

    /// Returns the flow that datagrams belong to, and whether only the first one does; nothing if it is
    /// kept until its flow has a route.
    fn flow_of(
        &mut self,
        socket: usize,
        batch: &Batch,
        same: &Same,
    ) -> Result<Option<(FlowId, bool)>, Dropped> {
        let origin = same.origin;
        let key = origin.key(socket);
        match self.udp.flows.find(&key) {
            Some(id) => Ok(Some((id, false))),
            None if self.asks_hello(socket) => {
                let datagram = batch.bytes(same.range.start).get(same.cut..);
                self.hear(key, origin, datagram.unwrap_or_default())
            }
            None => self.open_flow(socket, (origin, None)).map(Some),
        }
    }

    /// Returns the end of the first datagrams, which the route lets pass; the others are dropped.
    fn admit(
        &mut self,
        id: FlowId,
        (batch, range): (&impl Datagrams, Range<usize>),
        cut: usize,
    ) -> usize {
        let Some(flow) = self.udp.flows.get_mut(id) else {
            return range.end;
        };
        let sizes = range.clone().map(|at| batch.size(at).saturating_sub(cut));
        let end = range.start + admitted(&mut flow.paces.upload, sizes, self.now_us);
        self.counters.udp.drop(Dropped::Bandwidth, range.end - end);
        end
    }

    /// Sends datagrams to the endpoint of their flow, or to the next one if it is unreachable. `cut`:
    /// the bytes of the header in front of each.
    pub(super) fn pass_on(
        &mut self,
        id: FlowId,
        (batch, range): (&mut impl Datagrams, Range<usize>),
        cut: usize,
    ) {
        let (mut at, end) = (range.start, self.admit(id, (batch, range), cut));
        self.leave_bad_endpoint(id);
        while at < end {
            let Some(flow) = self.udp.flows.get_mut(id) else {
                return self.counters.udp.drop(Dropped::Unreachable, end - at);
            };
            let Some((_, up)) = &flow.aim else {
                match self.aim_again(id) {
                    Ok(()) => continue,
                    Err(why) => return self.counters.udp.drop(why, end - at),
                }
            };
            let (sent, result) = batch.send(up, at..end, Front { cut, header: &flow.header });
            let mut bytes = 0;
            for size in (at..at + sent).map(|i| batch.size(i).saturating_sub(cut)) {
                flow.traffic.from_client(size);
                bytes += size as u64;
            }
            self.counters.udp.received.datagrams.add(sent as u64);
            self.counters.udp.received.bytes.add(bytes);
            self.counters.bytes_received.add(bytes);
            self.udp.flows.touch(id, self.now);
            at += sent;
            let Err(error) = result else {
                return;
            };
            match Trouble::of(&error) {
                Trouble::Blocked => {
                    return self.counters.udp.drop(Dropped::Blocked, end - at);
                }
                // The error is of a datagram before, and this one was not sent.
                Trouble::Unreachable => self.lose_endpoint(id, &error),
                Trouble::TooLarge => {
                    self.counters.udp.drop(Dropped::TooLarge, 1);
                    at += 1;
                }
                Trouble::Failed => {
                    self.counters.udp.drop(Dropped::SendFailed, 1);
                    at += 1;
                }
            }
        }
    }
}
