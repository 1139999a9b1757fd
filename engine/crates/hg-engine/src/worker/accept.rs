//! Listening sockets of this worker, and what happens to a connection before its first byte.

use super::client::{Client, Phase, Seat};
use super::conn::Conn;
use super::exchange::Held;
use super::retire::Retired;
use super::tcp::Origin;
use super::timers::Entry;
use super::turns::Standing;
use super::{KIND_LISTENER, Worker, room};
use crate::counters::{ListenerCounters, Refused};
use crate::place::Place;
use crate::report::EventLevel;
use hg_middleware::ConnectionAccounts;
use hg_net::{Clock, Fd, Ticks, Token};
use hg_plan::ListenerProtocol;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// A listening socket.
pub(crate) struct Acceptor {
    pub(super) fd: Arc<Fd>,
    pub(super) generation: u32,
    pub(crate) address: SocketAddr,
    /// The listener it belongs to in the plan served now, if any.
    pub(super) listener: Option<(u16, Arc<ListenerCounters>)>,
    registered: bool,
    /// Set once its address has left the plan, or the worker leaves.
    pub(super) retired: Option<Retired>,
}

impl Acceptor {
    /// Returns where it is.
    pub(super) fn place(&self) -> Place {
        Place { address: self.address, is_udp: false }
    }

    /// Returns the listener that its connections belong to: the one in the plan served now, or its
    /// last one together with the snapshot that knows it.
    pub(super) fn owner(&self) -> Option<(u16, Arc<ListenerCounters>, Option<Held>)> {
        match &self.retired {
            Some(r) => {
                let last = r.last.as_ref()?;
                Some((last.listener, last.counters.clone(), Some(last.held.clone())))
            }
            None => self.listener.clone().map(|(slot, counters)| (slot, counters, None)),
        }
    }
}

/// A connection that the limits admit.
struct Arrival {
    fd: Fd,
    peer: SocketAddr,
    listener: u16,
    counters: Arc<ListenerCounters>,
    seat: Seat,
    pinned: Option<Held>,
}

/// Connections accepted from one socket in one turn.
const ACCEPT_BATCH: usize = 64;
/// The time for which accepting pauses when descriptors have run out.
const ACCEPT_REST_MS: u64 = 100;

fn tune(fd: &Fd, plan: &hg_plan::Listener) -> io::Result<()> {
    hg_net::tune_listener(fd, plan.tcp_keepalive_ms, plan.backlog, plan.fast_open)
}

impl Worker {
    pub(super) fn add_socket(&mut self, address: SocketAddr, fd: Arc<Fd>) {
        // A socket that came while this worker was made is in its mail as well.
        if self.listeners.iter().any(|(_, a)| Arc::ptr_eq(&a.fd, &fd)) {
            return;
        }
        let generation = self.next_generation();
        self.listeners.insert(Acceptor {
            fd,
            generation,
            address,
            listener: None,
            registered: false,
            retired: None,
        });
        self.refresh_listeners();
    }

    /// Brings the registrations in line with the plan served now.
    pub(super) fn refresh_listeners(&mut self) {
        let mut failed = Vec::new();
        for (index, a) in &mut self.listeners {
            let found = self.held.listeners.iter().enumerate().find_map(|(i, l)| {
                let l = l.as_ref()?;
                l.is_at(a.place()).then(|| (u16::try_from(i).unwrap_or(0), l))
            });
            if let Some((_, l)) = found
                && let Err(e) = tune(&a.fd, &l.plan)
            {
                failed.push(format!("{}: {e}", a.address));
            }
            a.listener = found.map(|(i, l)| (i, self.counters.listener(&l.name)));
            let accepts = a.listener.is_some() && self.leaving.accepts();
            let wanted = (accepts || a.retired.as_ref().is_some_and(Retired::accepts))
                && !self.accept_paused;
            if wanted != a.registered {
                let token = Token::new(KIND_LISTENER, a.generation, index);
                let done = if wanted {
                    self.poller.add_listener(&a.fd, token)
                } else {
                    self.poller.remove(&a.fd)
                };
                match done {
                    Ok(()) => a.registered = wanted,
                    Err(e) => failed.push(format!("{}: {e}", a.address)),
                }
            }
        }
        for message in failed {
            self.shared.event(EventLevel::Error, "listener.failed", message);
        }
    }

    pub(super) fn on_acceptable(&mut self, index: usize, generation: u32) {
        if self.holds_connections() {
            self.counters.overload.pauses.add(1);
            return self.pause_accepting();
        }
        for _ in 0..ACCEPT_BATCH {
            if !self.accept_one(index, generation) {
                return;
            }
        }
    }

    /// Accepts one connection. Reports whether another one may wait.
    pub(super) fn accept_one(&mut self, index: usize, generation: u32) -> bool {
        let Some(a) = self.listeners.get(index).filter(|a| a.generation == generation) else {
            return false;
        };
        let Some((listener, counters, pinned)) = a.owner() else {
            return false;
        };
        match hg_net::accept(&a.fd) {
            Ok(Some((fd, peer))) => self.accepted(fd, peer, (listener, counters), pinned),
            Ok(None) => return false,
            Err(e) => {
                self.counters.refuse(Refused::AcceptError);
                self.shared.event(
                    EventLevel::Error,
                    "accept.failed",
                    format!("{e}; accepting rests for {ACCEPT_REST_MS} ms"),
                );
                self.pause_accepting();
                return false;
            }
        }
        true
    }

    /// Leaves new connections in the kernel's queue until the worker looks again.
    fn pause_accepting(&mut self) {
        self.agenda.close_all();
        self.accept_paused = true;
        self.refresh_listeners();
    }

    /// Accepts again after the pause.
    pub(super) fn resume_accepting(&mut self) {
        if self.accept_paused {
            self.accept_paused = false;
            self.refresh_listeners();
        }
    }

    fn accepted(
        &mut self,
        fd: Fd,
        peer: SocketAddr,
        (listener, counters): (u16, Arc<ListenerCounters>),
        pinned: Option<Held>,
    ) {
        let held = pinned.as_ref().unwrap_or(&self.held);
        let Some(entry) = held.listeners.get(usize::from(listener)).and_then(Option::as_ref) else {
            return hg_net::close_with_reset(fd);
        };
        counters.accepted.add(1);
        if let Some(why) = self.refusal(entry, peer.ip()) {
            // Count before the client sees the reset; an end of stream would look like an answer.
            self.counters.refuse(why);
            hg_net::close_with_reset(fd);
            return;
        }
        let is_known = !entry.tells_client(peer.ip());
        let counted = is_known && self.held.settings.max_connections_per_client > 0;
        let seat =
            Seat { open: entry.open.clone(), counted, accounts: ConnectionAccounts::default() };
        if entry.plan.protocol == ListenerProtocol::Tcp {
            let origin =
                Origin { peer, listener, listener_name: entry.name.clone(), counters, seat };
            return self.open_session(fd, origin, pinned);
        }
        let first = self.first_phase(held, (listener, entry));
        self.open_client(Arrival { fd, peer, listener, counters, seat, pinned }, first);
    }

    /// Makes a client of a connection that the limits admit.
    fn open_client(&mut self, arrival: Arrival, (phase, deadline): (Phase, Ticks)) {
        let Arrival { fd, peer, listener, counters, seat, pinned } = arrival;
        let generation = self.next_generation();
        let vacant = room::vacant_entry(&mut self.clients);
        let ci = vacant.key();
        let token = Token::new(super::KIND_CLIENT, generation, ci);
        let conn = Conn::new(fd);
        if let Err(e) = self.poller.add_stream(&conn.fd, token) {
            self.shared.leave(&seat.open, peer.ip(), seat.counted);
            self.shared.event(EventLevel::Error, "accept.failed", e.to_string());
            hg_net::close_with_reset(conn.fd);
            return;
        }
        vacant.insert(Client {
            conn,
            generation,
            phase,
            peer,
            listener,
            standing: Standing::default(),
            deadline,
            timer: Entry::NONE,
            requests: 0,
            input: Vec::new(),
            exchange: None,
            http2: None,
            counters: counters.clone(),
            seat,
            pinned,
        });
        self.counters.connections.add(1);
        counters.connections.add(1);
        self.arm_client(ci);
        // Its first bytes are often there already.
        self.on_client_readable(ci);
    }

    pub(super) fn forget_listener(&mut self, index: usize) {
        if let Some(a) = self.listeners.try_remove(index)
            && a.registered
        {
            // A duplicate lives on in the supervisor: without this the registration would too.
            let _ = self.poller.remove(&a.fd);
        }
    }

    /// Releases every listening socket without touching its queue.
    pub(super) fn forget_listeners(&mut self) {
        let all: Vec<usize> = self.listeners.iter().map(|(i, _)| i).collect();
        for index in all {
            self.forget_listener(index);
        }
    }
}

/// Returns the tick at which `ms` milliseconds have passed; 0 ms = never.
pub(super) fn deadline_after(now_us: u64, ms: u64) -> Ticks {
    if ms == 0 { Ticks::MAX } else { Clock::after(now_us, ms) }
}

#[cfg(test)]
mod tests;
