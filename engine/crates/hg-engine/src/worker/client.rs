//! A client's connection: its small idle form, and the exchange it holds while a request is under
//! way.

use super::conn::Conn;
use super::exchange::{Exchange, Held};
use crate::counters::ListenerCounters;
use hg_net::Ticks;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// Where a client's connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// TLS: the hello is awaited, then the handshake.
    Hello,
    Handshake,
    /// Between requests; nothing of a head is there.
    Idle,
    /// A part of a head is there.
    Head,
    /// A request is under way.
    Exchange,
    /// Bytes pass both ways.
    Tunnel,
    /// The answer is out; what the client still sends is thrown away for a while, so that it can
    /// read it (RFC 9112 §9.6).
    Lingering,
    /// To be closed once everything is written; `unread` when a part of the request was not.
    Closing {
        unread: bool,
    },
}

pub(crate) struct Client {
    pub(crate) conn: Conn,
    pub(crate) generation: u32,
    pub(crate) phase: Phase,
    pub(crate) peer: SocketAddr,
    pub(crate) listener: u16,
    /// Whether it stands in the queue of those to be looked at again.
    pub(crate) queued: bool,
    pub(crate) deadline: Ticks,
    /// Tick of its earliest entry in the wheel.
    pub(crate) timer_at: Ticks,
    pub(crate) requests: u32,
    /// Bytes received and not used: a part of a head, or requests that came early.
    pub(crate) input: Vec<u8>,
    pub(crate) exchange: Option<Box<Exchange>>,
    pub(crate) counters: Arc<ListenerCounters>,
    /// Connections of its listener on all workers.
    pub(crate) open: Arc<AtomicU32>,
    /// Counted under its address.
    pub(crate) counted: bool,
    /// Its listener has left the plan: it is served by the snapshot that still had it, once more.
    pub(crate) pinned: Option<Held>,
}
