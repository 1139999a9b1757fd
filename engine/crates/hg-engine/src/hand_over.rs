//! UDP flows that one process hands over to the next: each with the socket towards its endpoint, so
//! that the endpoint sees the same port as before, and what waits in the socket is not lost.
//!
//! The old workers stop to read, give their flows away and wait for those that come back. The new
//! ones read nothing of clients until the flows are here: what comes meanwhile waits in the
//! listeners' sockets, which both processes have.

use crate::counters::lock;
use crate::engine::Engine;
use crate::report::EventLevel;
use crate::worker::Message;
use hg_net::Fd;
use hg_relay::flows::ToldFlow;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::time::Duration;

/// A flow without a worker, and the connected socket to its endpoint.
#[derive(Debug)]
pub struct MovedFlow {
    /// The description of the flow.
    pub told: ToldFlow,
    /// Its socket.
    pub fd: Fd,
}

/// The flows that a worker gives away. It waits for [`Engine::take_back_flows`].
#[derive(Debug)]
pub struct GivenFlows {
    /// The worker's index.
    pub worker: usize,
    /// Those of each listener in the order in which they were last seen.
    pub flows: Vec<MovedFlow>,
}

impl Engine {
    /// Has workers read nothing of UDP clients until [`Engine::flows_are_here`]. Call it before there
    /// are any sockets.
    pub fn await_flows(&self) {
        self.inner.shared.flows.awaited.store(true, Relaxed);
    }

    /// Takes over flows, in the order in which they were last seen. Returns the places of those that
    /// no worker could take, which are to go back; of a worker that does not answer within
    /// `patience` it knows none.
    pub fn take_flows(&self, flows: Vec<MovedFlow>, patience: Duration) -> Vec<usize> {
        // The predecessor reads no more.
        self.share_all(&lock(&self.inner.sockets));
        let owners = lock(&self.inner.shared.flows.sharing).clone();
        let workers = &self.inner.workers;
        let mut lists: Vec<Vec<(usize, MovedFlow)>> = workers.iter().map(|_| Vec::new()).collect();
        for (at, mut flow) in flows.into_iter().enumerate() {
            if let Some(sharing) = owners.get(&flow.told.address) {
                flow.told.socket = sharing.owner(flow.told.client);
            }
            let worker = flow.told.socket % workers.len().max(1);
            if let Some(list) = lists.get_mut(worker) {
                list.push((at, flow));
            }
        }
        let (refused, answers) = mpsc::channel();
        for (worker, flows) in workers.iter().zip(lists) {
            worker.mailbox.send(Message::TakeFlows { flows, refused: refused.clone() });
        }
        drop(refused);
        let mut all = Vec::new();
        while let Ok(some) = answers.recv_timeout(patience) {
            all.extend(some);
        }
        all
    }

    /// Ends the wait for flows; `left` is how many the predecessor kept.
    pub fn flows_are_here(&self, left: u64) {
        let shared = &self.inner.shared;
        shared.flows.left_behind.fetch_add(left, Relaxed);
        if left > 0 {
            let text = format!(
                "{left} UDP flows were not taken over; the process before brings them to their end"
            );
            shared.event(EventLevel::Warn, "udp.flows_left_behind", text);
        }
        {
            let sockets = lock(&self.inner.sockets);
            self.share_all(&sockets);
            shared.flows.awaited.store(false, Relaxed);
        }
        for worker in &self.inner.workers {
            worker.mailbox.send(Message::ReadDatagrams);
        }
    }

    /// Gives a worker back what the successor did not take of its flows, in the same order.
    pub fn take_back_flows(&self, given: GivenFlows) {
        if let Some(worker) = self.inner.workers.get(given.worker) {
            worker.mailbox.send(Message::TakeBackFlows(given.flows));
        }
    }
}
