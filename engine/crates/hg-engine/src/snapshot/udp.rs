//! Compiles UDP routes: for each UDP listener the rules that choose the route of a datagram.

use super::Snapshot;
use super::slots::Slots;
use super::tcp::read;
use hg_middleware::{ConnectionBandwidth, Keep, Place};
use hg_plan::{
    BalanceBy, Change, Kind, ListenerProtocol, ObjectError, Plan, ProxyVersion, UdpRoute,
};
use hg_route::tcp::{Arriving, Conditions, TcpRule, TcpRules, network, server_name};
use std::net::IpAddr;
use std::sync::Arc;

/// The terms for the datagrams of a UDP route.
#[derive(Debug)]
pub(crate) struct UdpTerms {
    /// The slot of its upstream.
    pub(crate) upstream: usize,
    /// Its name: a flow that drains may outlive the upstream, and another one come into the slot.
    pub(crate) upstream_name: Arc<str>,
    pub(crate) idle_ms: u64,
    /// The number of answers to each datagram of a client that ends its flow.
    pub(crate) answers: Option<u32>,
    /// True if each datagram has an endpoint chosen for it.
    pub(crate) each: bool,
    /// The number of bytes of its flows that pass; nothing = as many as come.
    pub(crate) bandwidth: Option<ConnectionBandwidth>,
}

/// A route on one listener.
pub(crate) type UdpEntry = Arc<TcpRule<UdpTerms>>;

/// The UDP routes of every listener, by its slot.
#[derive(Debug, Default)]
pub(crate) struct UdpTable {
    by_listener: Vec<TcpRules<UdpEntry>>,
    shortest_idle_ms: u64,
}

impl UdpTable {
    /// Returns the route that takes the datagrams of this client, which asked for this name.
    pub(crate) fn find(
        &self,
        listener: u16,
        client: IpAddr,
        sni: Option<&str>,
    ) -> Option<&UdpEntry> {
        let rules = self.by_listener.get(usize::from(listener))?;
        rules.find(Arriving { client, sni, alpn: &[] }).map(|rule| &rule.then)
    }

    /// Reports whether flows of a listener have no route before their ClientHello was read.
    pub(crate) fn asks_hello(&self, listener: u16) -> bool {
        self.by_listener.get(usize::from(listener)).is_some_and(TcpRules::asks_hello)
    }

    /// Returns the route of a name on a listener.
    pub(crate) fn named(&self, listener: u16, name: &str) -> Option<&UdpEntry> {
        let rules = self.by_listener.get(usize::from(listener))?;
        rules.iter().find(|rule| *rule.name == *name).map(|rule| &rule.then)
    }

    /// Returns the idle time of the route that has the least patience; 0 without routes.
    pub(crate) fn shortest_idle_ms(&self) -> u64 {
        self.shortest_idle_ms
    }
}

/// Compiles the UDP routes anew if one of them changed, or something that they may name. Returns
/// every problem; the table is then as it was.
pub(super) fn update(
    next: &mut Snapshot,
    (plan, changed): (&Plan, &[Change]),
    listeners: &Slots<Arc<str>>,
    named: (&Slots<Arc<str>>, &Keep),
) -> Vec<ObjectError> {
    let kinds = [Kind::UdpRoute, Kind::Listener, Kind::Upstream];
    if !changed.iter().any(|c| kinds.contains(&c.kind)) {
        return Vec::new();
    }
    match compile(plan, listeners, named) {
        Ok(table) => {
            next.udp = Arc::new(table);
            Vec::new()
        }
        Err(errors) => errors,
    }
}

/// Compiles every UDP route of a plan: there are few, and flows keep the entries they have.
fn compile(
    plan: &Plan,
    listeners: &Slots<Arc<str>>,
    named: (&Slots<Arc<str>>, &Keep),
) -> Result<UdpTable, Vec<ObjectError>> {
    let mut errors = Vec::new();
    let mut by_listener: Vec<Vec<TcpRule<UdpEntry>>> = Vec::new();
    for (name, route) in plan.udp_routes() {
        let mut refused = |path: String, message: String| {
            errors.push(ObjectError { kind: Kind::UdpRoute, name: name.clone(), path, message });
        };
        let entry = match entry(name, route, plan, named) {
            Ok(entry) => Arc::new(entry),
            Err(problems) => {
                problems.into_iter().for_each(|(path, message)| refused(path, message));
                continue;
            }
        };
        for (i, listener) in route.listeners.iter().enumerate() {
            match slot_of(listener, plan, listeners) {
                Ok(slot) => {
                    if by_listener.len() <= slot {
                        by_listener.resize_with(slot + 1, Vec::new);
                    }
                    if let Some(rules) = by_listener.get_mut(slot) {
                        let (name, when) = (entry.name.clone(), entry.when.clone());
                        rules.push(TcpRule { name, when, then: entry.clone() });
                    }
                }
                Err(message) => refused(format!("listeners[{i}]"), message),
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let shortest_idle_ms = plan.udp_routes().map(|(_, r)| r.idle_ms).min().unwrap_or(0);
    let by_listener = by_listener.into_iter().map(TcpRules::new).collect();
    Ok(UdpTable { by_listener, shortest_idle_ms })
}

fn entry(
    name: &Arc<str>,
    route: &UdpRoute,
    plan: &Plan,
    (upstreams, keep): (&Slots<Arc<str>>, &Keep),
) -> Result<TcpRule<UdpTerms>, Vec<(String, String)>> {
    let one = |problem| vec![problem];
    let when = Conditions {
        clients: read("client", &route.client, network).map_err(one)?,
        names: read("sni", &route.sni, server_name).map_err(one)?,
        protocols: Vec::new(),
    };
    let upstream = usable(route, plan, upstreams).map_err(one)?;
    let owner = format!("udp_route {name}");
    let place = Place { keep, kind: ConnectionBandwidth::KIND, owner: &owner, name: &owner };
    let limit = route.bandwidth.as_ref();
    let bandwidth = limit.map(|limit| ConnectionBandwidth::compile(limit, &place)).transpose()?;
    let then = UdpTerms {
        upstream,
        upstream_name: route.upstream.as_str().into(),
        idle_ms: route.idle_ms,
        answers: route.answers,
        each: route.balance_by == BalanceBy::Datagram,
        bandwidth,
    };
    Ok(TcpRule { name: name.clone(), when, then })
}

/// Returns the slot of the upstream of a route, unless one of them cannot be of use to the other.
fn usable(
    route: &UdpRoute,
    plan: &Plan,
    upstreams: &Slots<Arc<str>>,
) -> Result<usize, (String, String)> {
    let found = plan.upstream(&route.upstream).zip(upstreams.get(route.upstream.as_str()));
    let Some((there, upstream)) = found else {
        return Err(("upstream".into(), format!("there is no upstream `{}`", route.upstream)));
    };
    if let Some(e) = there.endpoints.iter().find(|e| e.address.starts_with("unix:")) {
        let message = format!("`{}` takes no datagrams; name an address and port", e.address);
        return Err(("upstream".into(), message));
    }
    if there.pool.proxy_protocol == Some(ProxyVersion::V1) {
        let message = "a PROXY header of version 1 cannot tell of datagrams; write `v2`".into();
        return Err(("upstream".into(), message));
    }
    if route.idle_ms == 0 || route.answers == Some(0) {
        let message = "a flow without an end is not allowed; write a number above 0".into();
        return Err((if route.idle_ms == 0 { "idle_ms" } else { "answers" }.into(), message));
    }
    let key = if route.answers.is_some() { "answers" } else { "balance_by" };
    if !route.sni.is_empty() && (route.answers.is_some() || route.balance_by == BalanceBy::Datagram)
    {
        return Err((
            key.into(),
            format!("a route with `sni` has no `{key}`; leave one of them out"),
        ));
    }
    Ok(upstream)
}

fn slot_of(name: &str, plan: &Plan, listeners: &Slots<Arc<str>>) -> Result<usize, String> {
    let found = plan.listener(name).zip(listeners.get(name));
    let (listener, slot) = found.ok_or_else(|| format!("there is no listener `{name}`"))?;
    if listener.protocol == ListenerProtocol::Udp {
        return Ok(slot);
    }
    Err(format!("listener `{name}` does not speak UDP; name one whose protocol is `udp`"))
}
