//! A plan compiled for the workers: immutable, swapped by pointer. Slots (indices of listeners,
//! routes, upstreams) stay with their object for as long as it exists, so that a change of one
//! object touches only its own.

mod branches;
mod build;
mod http2;
mod listeners;
mod mirror;
mod retry;
mod routes;
mod slots;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;
mod upstreams;

pub(crate) use branches::Branch;
pub(crate) use build::{Builder, Update};
pub(crate) use http2::{Bounds, Http2Terms};
pub use mirror::MIRROR;
pub(crate) use mirror::{Flight, MirrorTerms, Mirrored};
pub(crate) use retry::RetryTerms;
pub(crate) use tcp::{TcpEntry, TcpTable};
pub(crate) use udp::{UdpEntry, UdpTable};

use crate::agents::Weighed;
use crate::health::{EndpointHealth, UpstreamHealth};
use crate::place::Place;
use hg_middleware::{Chain, Results};
use hg_net::Address;
use hg_plan::{HostHeader, Settings};
use hg_policy::{Affinity, Balancer, KeySource, Sticky};
use hg_resilience::Importance;
use hg_route::{Chunks, Router};
use hg_tls::{ClientTls, TlsContext};
use hg_trace::Sampling;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// Everything that a worker looks up while it serves.
#[derive(Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) digest: String,
    pub(crate) objects: u64,
    pub(crate) router: Router,
    pub(crate) listeners: Vec<Option<Arc<ListenerEntry>>>,
    pub(crate) routes: Chunks<RouteEntry>,
    pub(crate) upstreams: Vec<Option<Arc<UpstreamEntry>>>,
    pub(crate) tcp: Arc<TcpTable>,
    pub(crate) udp: Arc<UdpTable>,
    pub(crate) settings: Arc<Settings>,
    /// The data that the log keeps of requests, and the data that it keeps of none.
    pub(crate) kept: Arc<hg_log::Kept>,
    /// The terms on which requests belong to traces, if they do.
    pub(crate) tracing: Option<TracingTerms>,
    pub(crate) tls: Arc<TlsContext>,
}

impl Snapshot {
    /// Takes the settings of a plan, if it has any that differ.
    pub(crate) fn configure(&mut self, settings: Option<&Settings>) {
        let Some(settings) = settings.filter(|settings| **settings != *self.settings) else {
            return;
        };
        self.settings = Arc::new(settings.clone());
        self.tracing = TracingTerms::of(settings);
        let log = settings.access_log.as_ref();
        self.kept = Arc::new(hg_log::Kept::new(log, &settings.redaction));
    }
}

/// The terms on which requests belong to traces.
#[derive(Clone, Copy)]
pub(crate) struct TracingTerms {
    pub(crate) sampling: Sampling,
    /// True if the traces of all clients go on here, not those of trusted peers alone.
    pub(crate) believes_all: bool,
    /// True if spans go anywhere.
    pub(crate) exports: bool,
}

impl TracingTerms {
    pub(crate) fn of(settings: &Settings) -> Option<Self> {
        settings.tracing.as_ref().map(|plan| Self {
            sampling: Sampling::per_million(plan.sample_ppm),
            believes_all: plan.parents == hg_plan::Parents::Any,
            exports: plan.export.is_some(),
        })
    }
}

/// A listener.
pub(crate) struct ListenerEntry {
    pub(crate) name: Arc<str>,
    pub(crate) plan: hg_plan::Listener,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) limits: hg_proto::Limits,
    pub(crate) http2: Http2Terms,
    pub(crate) client: ClientSource,
    /// The terms of connections that begin with a PROXY header.
    pub(crate) proxy: Option<ProxyTerms>,
    /// Connections open on all workers.
    pub(crate) open: Arc<AtomicU32>,
    pub(crate) tls: Option<Arc<hg_tls::Selector>>,
}

impl ListenerEntry {
    /// Reports whether it is of UDP: its flows have no place in the counts of open connections.
    pub(crate) fn is_udp(&self) -> bool {
        self.plan.protocol == hg_plan::ListenerProtocol::Udp
    }

    /// Reports whether a socket at this place belongs to it.
    pub(crate) fn is_at(&self, place: Place) -> bool {
        self.is_udp() == place.is_udp && self.addresses.contains(&place.address)
    }
}

/// The peers that may state the client's address, and the header in which they do.
pub(crate) struct ClientSource {
    pub(crate) trusted: Vec<ipnet::IpNet>,
    pub(crate) source: hg_proto::client::Source,
}

impl ClientSource {
    /// Reports whether the listener believes this peer's headers.
    pub(crate) fn trusts(&self, ip: std::net::IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&ip))
    }
}

/// The terms of connections that begin with a PROXY header.
pub(crate) struct ProxyTerms {
    trusted: Vec<ipnet::IpNet>,
    /// True if every connection must have one.
    pub(crate) is_required: bool,
    pub(crate) timeout_ms: u64,
}

impl ProxyTerms {
    /// Reports whether the headers of this peer count.
    pub(crate) fn trusts(&self, peer: std::net::IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted.iter().any(|net| net.contains(&peer))
    }
}

/// A route under one set of hosts that share their middlewares. Half a cache line, so that a
/// request reads one line for its route; similar routes share everything else.
#[derive(Clone)]
#[repr(align(32))]
pub(crate) struct RouteEntry {
    pub(crate) name: Arc<str>,
    pub(crate) terms: Arc<Terms>,
    /// Its upstream, if all requests that pass the middlewares go to one.
    pub(crate) upstream: Option<u32>,
}

const _: () = assert!(size_of::<Option<RouteEntry>>() == 32);

/// Everything a route does with requests, except its upstream.
pub(crate) struct Terms {
    pub(crate) chain: Chain,
    /// Upstreams to choose from. Without them and without an upstream of the route, the chain
    /// answers.
    pub(crate) split: Option<Split>,
    pub(crate) timeouts: hg_plan::RouteTimeouts,
    pub(crate) raw_path: bool,
    pub(crate) websocket: bool,
    pub(crate) bodies: BodyTerms,
    /// The conditions under which a request is tried again.
    pub(crate) retry: Option<Box<RetryTerms>>,
    /// Refuses requests, because the import could not translate what the route stands for.
    pub(crate) not_imported: bool,
    /// The importance of its requests while there is too much to do.
    pub(crate) importance: Importance,
    /// The data that is kept of its requests.
    pub(crate) observed: hg_plan::Observed,
    /// The upstreams to which some of its requests are sent once more.
    pub(crate) mirrors: Box<[MirrorTerms]>,
}

/// The length that the bodies of a route may have, and what is collected of them, in bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct BodyTerms {
    /// The longest body of a request; without it the listener says so.
    pub(crate) most: Option<u64>,
    pub(crate) request_buffer: u64,
    pub(crate) response_buffer: usize,
}

impl BodyTerms {
    fn of(route: &hg_plan::Route) -> BodyTerms {
        BodyTerms {
            most: route.body_bytes,
            request_buffer: route.body_buffer_bytes,
            response_buffer: route.response_buffer_bytes as usize,
        }
    }
}

impl Terms {
    /// Reports whether a request that was answered so, after so many microseconds, is in the access
    /// log.
    pub(crate) fn is_logged(
        &self,
        status: u16,
        total_us: u64,
        random: impl FnOnce() -> u64,
    ) -> bool {
        let one = &self.observed;
        let percent = one.access_log_percent;
        percent >= 100
            || one.access_log_statuses.iter().any(|(a, b)| (*a..=*b).contains(&status))
            || one.access_log_slower_ms.is_some_and(|ms| total_us / 1000 >= ms)
            || (percent > 0 && random() % 100 < u64::from(percent))
    }
}

/// Upstreams by weight, and the sum of the weights.
pub(crate) struct Split {
    pub(crate) parts: Vec<(u32, u32)>,
    pub(crate) total: u64,
    /// The means by which a client finds its upstream again, and counts of that.
    pub(crate) sticky: Option<(Sticky, Arc<Results>)>,
}

/// The kind of the counts of sticky splits, beside those of middlewares.
pub const SPLIT: &str = "split";

/// An upstream.
pub(crate) struct UpstreamEntry {
    pub(crate) name: Arc<str>,
    pub(crate) endpoints: Vec<EndpointEntry>,
    /// Every worker clones it; the clones share its tables.
    pub(crate) balancer: Balancer,
    /// The weights that agents ask for.
    pub(crate) weighed: Option<Box<Weighed>>,
    pub(crate) key: Option<KeySource>,
    /// The cookie that keeps clients at their endpoints.
    pub(crate) affinity: Option<Box<Affinity>>,
    pub(crate) host_header: HostHeader,
    pub(crate) plan: hg_plan::Upstream,
    pub(crate) limits: hg_proto::Limits,
    pub(crate) tls: Option<Arc<ClientTls>>,
    /// Connections in use on all workers; counted only if there is a limit.
    pub(crate) in_use: Arc<AtomicU32>,
    pub(crate) health: Arc<UpstreamHealth>,
}

/// An endpoint as balancers see it: a configured address, or one address of a configured name.
pub(crate) struct EndpointEntry {
    /// The address as configured; all addresses of a name share it.
    pub(crate) address: Arc<str>,
    /// True if `address` is a name that must be resolved.
    pub(crate) is_name: bool,
    /// The addresses at which it can be reached: one, or the IPv6 and the IPv4 address of a host
    /// that has one of each (RFC 8305); empty until its name is resolved.
    pub(crate) targets: Arc<[Address]>,
    pub(crate) pool: PoolKey,
    pub(crate) weight: u32,
    pub(crate) backup: bool,
    pub(crate) max_connections: u32,
    pub(crate) in_use: Arc<AtomicU32>,
    pub(crate) health: Arc<EndpointHealth>,
}

/// The properties that make two connections interchangeable: their target and their setup.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PoolKey {
    pub(crate) address: Arc<str>,
    pub(crate) setup: Arc<str>,
}

/// Returns `host` of `host:port` with its brackets; `localhost` for a Unix socket.
pub(crate) fn host_of(address: &str) -> &str {
    if address.starts_with("unix:") {
        return "localhost";
    }
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}
