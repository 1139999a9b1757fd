//! UDP routes: datagrams of which no byte is read for its meaning, but for the server name that begins
//! QUIC, where routes ask for it. A flow is what one client sends
//! to one address and what comes back; it lives in the table of `hg_relay::flows` and has a
//! connected socket of its own towards its endpoint, so that only the endpoint can answer.
//!
//! - `socket`: the sockets that clients send to,
//! - `receive`: from clients to endpoints,
//! - `aim`: an endpoint, and a socket to it, or the next one,
//! - `open`: a client's first datagram,
//! - `header`: whose a datagram is, where load balancers tell of their clients,
//! - `tell`: what endpoints are told of clients,
//! - `hello`: the name in a client's first datagrams, where routes ask for one,
//! - `answer`: from endpoints to clients,
//! - `police`: how many of their bytes pass,
//! - `close`: counts and log line,
//! - `leave`: idle flows, drain, and what left the plan,
//! - `moving`: flows that leave for the next process, and those that come,
//! - `strays`: datagrams that came to another worker than their flow has.
//!
//! Nothing is kept of a datagram that cannot be sent at once, but for those that wait for the rest of
//! a name: it is dropped and counted.

mod aim;
mod answer;
mod close;
mod header;
mod hello;
mod leave;
mod moving;
mod open;
mod police;
mod receive;
mod socket;
mod strays;
mod tell;

use crate::counters::ListenerCounters;
use crate::sharing::Strays;
use crate::snapshot::UdpEntry;
use aim::Aim;
use answer::Replies;
use hello::Hellos;
use hg_middleware::Paces;
use hg_net::{Batch, Ends, Fd, Ticks};
use hg_policy::Tried;
use hg_relay::flows::{FlowId, Flows, Traffic};
use slab::Slab;
use socket::Socket;
use std::net::SocketAddr;
use std::sync::Arc;

/// Tokens of the sockets that clients send to.
pub(crate) const KIND_DATAGRAMS: u8 = 7;
/// Tokens of flows: their sockets towards endpoints.
pub(crate) const KIND_FLOW: u8 = 8;

/// The flows of a worker.
#[derive(Default)]
pub(crate) struct Udp {
    sockets: Slab<Socket>,
    flows: Flows<Flow>,
    hellos: Hellos,
    /// Room for datagrams of clients, once there were any.
    batch: Option<Box<Batch>>,
    replies: Replies,
    /// The time at which the first flow ends because of the plan.
    drain_at: Option<Ticks>,
    /// Flows that end now; used again.
    ending: Vec<FlowId>,
    /// Datagrams that came before this worker had the plan in which their listener is.
    early: Vec<Strays>,
    /// True if flows that were given away may still come back.
    waits: bool,
}

impl Udp {
    /// Reports whether no flow is open, and none may come back.
    pub(super) fn is_over(&self) -> bool {
        self.flows.is_empty() && !self.waits
    }

    /// Returns how many flows are open.
    #[allow(dead_code, reason = "the simulator, which compiles these sources too, calls it")]
    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }
}

/// The source of a flow.
#[derive(Clone)]
struct Source {
    /// The socket that its client sends to, and gets answers from.
    fd: Arc<Fd>,
    /// The peer that sends and gets the datagrams, and our address.
    ends: Ends,
    /// The owner of the datagrams, the peer or the client that it tells of, and where they went.
    client: SocketAddr,
    destination: SocketAddr,
    listener: u16,
    listener_name: Arc<str>,
    counters: Arc<ListenerCounters>,
}

struct Flow {
    source: Source,
    route: UdpEntry,
    /// Its endpoint, and the socket to it; none after the endpoint was unreachable.
    aim: Option<(Aim, Fd)>,
    /// The endpoint in use, or the last one.
    endpoint: Arc<str>,
    /// The server name that its client asked for, where routes ask for one.
    sni: Option<Box<str>>,
    /// The bytes that each of its datagrams begins with on its way to the endpoint.
    header: Box<[u8]>,
    /// The id of the flow in it; empty if endpoints were never told.
    told_id: Box<str>,
    /// Endpoints that were unreachable since the last answer.
    tried: Option<Box<Tried>>,
    /// The amounts that its route lets pass in a second.
    paces: Paces,
    traffic: Traffic,
    began_us: u64,
    /// It ends then because its route or its endpoint has left the plan.
    drained_at: Option<Ticks>,
}

#[cfg(test)]
mod tests;
