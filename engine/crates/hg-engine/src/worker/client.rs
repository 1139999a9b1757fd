//! A client's connection: its small idle form, and the exchange that it holds during a request.

use super::conn::Conn;
use super::exchange::{Exchange, Held};
use crate::counters::ListenerCounters;
use hg_net::Ticks;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// The state of a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// TLS: waits for the hello, then for the handshake.
    Hello,
    Handshake,
    /// Between requests; no byte of a head has come.
    Idle,
    /// A part of a head has come.
    Head,
    /// A request is in progress.
    Exchange,
    /// Bytes pass in both directions.
    Tunnel,
    /// The answer is out. What the client still sends is discarded for a while, so that the client
    /// can read the answer (RFC 9112 §9.6).
    Lingering,
    /// Closes once everything is written; `unread` if a part of the request was not read.
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
    /// Whether it is in the queue of clients for the next turn.
    pub(crate) queued: bool,
    pub(crate) deadline: Ticks,
    /// Tick of its earliest entry in the wheel.
    pub(crate) timer_at: Ticks,
    pub(crate) requests: u32,
    /// Bytes received and not yet used: a part of a head, or requests that came early.
    pub(crate) input: Vec<u8>,
    pub(crate) exchange: Option<Box<Exchange>>,
    pub(crate) counters: Arc<ListenerCounters>,
    /// Number of connections of its listener on all workers.
    pub(crate) open: Arc<AtomicU32>,
    /// Whether it counts towards the limit of its client address.
    pub(crate) counted: bool,
    /// Set once its listener has left the plan: the snapshot that still had it serves one more
    /// request.
    pub(crate) pinned: Option<Held>,
}
