//! Listening sockets that are about to close, without a reset for any connection that its client
//! takes for established.

use super::accept::{Acceptor, deadline_after};
use super::client::Phase;
use super::exchange::Held;
use super::{Done, Worker};
use crate::counters::ListenerCounters;
use crate::report::EventLevel;
use crate::snapshot::Snapshot;
use hg_net::Ticks;
use std::net::SocketAddr;
use std::sync::Arc;

/// The time that a handshake that has begun may take to end: its client takes the connection for
/// established one network delay before we do.
const HANDSHAKE_MS: u64 = 200;

/// A listening socket that drops new SYNs; the worker accepts what waits in its queue.
pub(crate) struct Retired {
    /// Serves its connections; `None` once none can come any more.
    pub(super) last: Option<LastListener>,
    /// The socket is neither closed nor forgotten before this tick.
    until: Ticks,
    /// Released once the socket is closed here; without it the socket may come back into the plan.
    done: Option<Arc<Done>>,
}

/// The listener that a socket had, and the last snapshot that knew it.
pub(super) struct LastListener {
    pub(super) held: Held,
    pub(super) listener: u16,
    pub(super) counters: Arc<ListenerCounters>,
}

impl Retired {
    /// Reports whether connections may still wait.
    pub(super) fn accepts(&self) -> bool {
        self.last.is_some()
    }
}

impl Worker {
    /// Drops new SYNs and accepts what waits. Does nothing if no listener has the socket.
    fn retire(&mut self, index: usize) {
        let until = deadline_after(self.now_us, HANDSHAKE_MS);
        let Some(a) = self.listeners.get_mut(index).filter(|a| a.retired.is_none()) else {
            return;
        };
        let Some((listener, counters)) = a.listener.clone() else {
            return;
        };
        let held = self.held.clone();
        let last = Some(LastListener { held, listener, counters });
        a.retired = Some(Retired { last, until, done: None });
        // Without the filter the close resets a connection that comes now: report that and
        // continue. If we may not set it (Linux 6.18 wants CAP_NET_ADMIN), the supervisor sets it
        // before it asks us.
        if let Err(e) = hg_net::drop_new_connections(&a.fd)
            && e.kind() != std::io::ErrorKind::PermissionDenied
        {
            self.shared.event(EventLevel::Warn, "listener.close", e.to_string());
        }
        self.empty_queue(index);
    }

    /// Accepts every connection that waits. The loop ends because no new SYN comes in.
    fn empty_queue(&mut self, index: usize) {
        let Some(generation) = self.listeners.get(index).map(|a| a.generation) else {
            return;
        };
        while self.accept_one(index, generation) {}
    }

    /// Closes the sockets of an address once no handshake can be in progress any more, then
    /// releases `done`.
    pub(super) fn close_listener(&mut self, address: SocketAddr, done: &Arc<Done>) {
        let of_it: Vec<usize> =
            self.listeners.iter().filter(|(_, a)| a.address == address).map(|(i, _)| i).collect();
        for index in of_it {
            self.retire(index);
            match self.listeners.get_mut(index).and_then(|a| a.retired.as_mut()) {
                Some(retired) => retired.done = Some(done.clone()),
                None => self.forget_listener(index),
            }
        }
        self.refresh_listeners();
    }

    /// Closes every listening socket.
    pub(super) fn close_listeners(&mut self, done: &Arc<Done>) {
        let all: Vec<SocketAddr> = self.listeners.iter().map(|(_, a)| a.address).collect();
        for address in all {
            self.close_listener(address, done);
        }
    }

    /// Accepts again from sockets that nobody has asked to close and whose address is in the plan
    /// again.
    pub(super) fn take_back_retired(&mut self) {
        for (_, a) in &mut self.listeners {
            let mut listeners = self.held.listeners.iter().flatten();
            let is_back = |r: &Retired| r.done.is_none();
            if a.retired.as_ref().is_some_and(is_back) && listeners.any(|l| l.is_at(a.place())) {
                a.retired = None;
                if let Err(e) = hg_net::take_new_connections(&a.fd) {
                    let text = format!("{}: {e}", a.address);
                    self.shared.event(EventLevel::Error, "listener.failed", text);
                }
            }
        }
    }

    /// Closes retired sockets whose time has come; called a few times a second.
    pub(super) fn end_retired(&mut self) {
        let is_due = |r: &Retired| r.until <= self.now && (r.accepts() || r.done.is_some());
        let due: Vec<usize> = self
            .listeners
            .iter()
            .filter(|(_, a)| a.retired.as_ref().is_some_and(is_due))
            .map(|(i, _)| i)
            .collect();
        if due.is_empty() {
            return;
        }
        for index in due {
            self.empty_queue(index);
            match self.listeners.get_mut(index).and_then(|a| a.retired.as_mut()) {
                // Nobody has asked for the close yet, and the snapshot need not wait for that.
                Some(retired) if retired.done.is_none() => retired.last = None,
                _ => self.forget_listener(index),
            }
        }
        self.refresh_listeners();
    }

    /// Accepts what waits at listeners that the next snapshot lacks, while their settings are still
    /// known; their connections keep these settings.
    pub(super) fn retire_listeners(&mut self, next: &Snapshot) {
        let stays = |a: &Acceptor| next.listeners.iter().flatten().any(|l| l.is_at(a.place()));
        let gone: Vec<usize> = self
            .listeners
            .iter()
            .filter(|(_, a)| a.listener.is_some() && !stays(a))
            .map(|(i, _)| i)
            .collect();
        for index in gone {
            self.retire(index);
        }
        let is_same = |slot: u16| {
            let at = usize::from(slot);
            let name = |s: &Snapshot| s.listeners.get(at)?.as_ref().map(|l| l.name.clone());
            name(next).is_some() && name(next) == name(&self.held)
        };
        let orphans: Vec<usize> = self
            .clients
            .iter()
            .filter(|(ci, c)| {
                self.stand_in != Some(*ci) && c.pinned.is_none() && !is_same(c.listener)
            })
            .map(|(i, _)| i)
            .collect();
        let grace = deadline_after(self.now_us, self.held.settings.drain.idle_grace_ms.max(1));
        for ci in orphans {
            let Some(c) = self.clients.get_mut(ci) else {
                continue;
            };
            c.pinned = Some(self.held.clone());
            match c.phase {
                Phase::Idle => {
                    c.deadline = grace;
                    self.arm_client(ci);
                }
                Phase::Http2 => self.announce_http2(ci),
                _ => {}
            }
        }
    }
}
