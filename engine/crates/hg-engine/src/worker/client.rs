//! A client's connection: its small idle form, and the exchange that it holds during a request.

use super::conn::Conn;
use super::exchange::{Connection, ExId, Exchange, Held};
use super::http2::Http2;
use super::timers::Entry;
use super::turns::Standing;
use crate::counters::ListenerCounters;
use hg_middleware::ConnectionAccounts;
use hg_net::Ticks;
use hg_tls::HelloReader;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// The state of a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Waits for a header of the PROXY protocol.
    ProxyHeader,
    /// Waits for the bytes that tell what the client speaks.
    Detect,
    /// TLS: waits for the hello, which was read so far, then for the handshake.
    Hello(HelloReader),
    Handshake,
    /// Between requests; no byte of a head has come.
    Idle,
    /// A part of a head has come.
    Head,
    /// A request is in progress.
    Exchange,
    /// HTTP/2: the session knows the rest.
    Http2,
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

/// The places that a connection takes under the limits on connections, and its accounts under limits
/// of bytes.
pub(crate) struct Seat {
    /// Number of connections of its listener on all workers.
    pub(crate) open: Arc<AtomicU32>,
    /// True if it counts towards the limit of its client address.
    pub(crate) counted: bool,
    /// The accounts that its requests share.
    pub(crate) accounts: ConnectionAccounts,
}

pub(crate) struct Client {
    pub(crate) conn: Conn,
    pub(crate) generation: u32,
    pub(crate) phase: Phase,
    /// The address of the client, by a PROXY header if there was one.
    pub(crate) peer: SocketAddr,
    pub(crate) listener: u16,
    pub(crate) standing: Standing,
    pub(crate) deadline: Ticks,
    /// Tick of its earliest entry in the wheel.
    pub(crate) timer: Entry,
    pub(crate) requests: u32,
    /// Bytes received and not yet used: a part of a head, or requests that came early.
    pub(crate) input: Vec<u8>,
    /// The exchange in progress over HTTP/1.
    pub(crate) exchange: Option<ExId>,
    pub(crate) http2: Option<Box<Http2>>,
    pub(crate) counters: Arc<ListenerCounters>,
    pub(crate) seat: Seat,
    /// Set once its listener has left the plan: the snapshot that still had it serves one more
    /// request.
    pub(crate) pinned: Option<Held>,
}

impl Client {
    /// Reports whether the client of an exchange has taken all that came of its answer.
    #[inline]
    pub(crate) fn has_taken_all(&self, e: &Exchange) -> bool {
        match e.stream.is_http2() {
            true => e.stream.held.is_empty(),
            false => self.conn.out.is_empty() || e.is_sub(),
        }
    }

    /// Reports whether the client has not ended its half, as one that gives up does.
    pub(crate) fn awaits_answer(&self) -> bool {
        self.http2.is_some() || !self.conn.read_closed
    }

    /// Reports whether more of a request's body may be there, or can be decoded.
    pub(crate) fn has_input(&self, e: &Exchange) -> bool {
        let has_come = if e.stream.is_http2() { e.stream.has_input() } else { self.conn.readable };
        has_come || e.request.has_undecoded()
    }

    /// Returns what templates use of the connection.
    pub(crate) fn connection(&self) -> Connection<'_> {
        Connection {
            scheme: if self.conn.is_tls() { "https" } else { "http" },
            listener: self.listener,
            certificate: self.conn.client_certificate(),
            tls: self.conn.client_tls(),
        }
    }
}
