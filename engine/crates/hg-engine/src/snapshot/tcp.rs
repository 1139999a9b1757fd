//! Compiles TCP routes: for each TCP listener the rules that choose the route of a connection.

use super::Snapshot;
use super::branches::Branches;
use super::slots::Slots;
use hg_middleware::{ConnectionBandwidth, Keep, Place};
use hg_plan::{Change, Kind, ListenerProtocol, ObjectError, Plan, TcpRoute, TcpTimeouts, TcpTls};
use hg_route::tcp::{Arriving, Conditions, TcpRule, TcpRules, network, protocol, server_name};
use std::sync::Arc;

/// The terms for the connections of a TCP route.
#[derive(Debug)]
pub(crate) struct TcpTerms {
    /// Their destination: one upstream, or one of several.
    pub(crate) branches: Branches,
    pub(crate) timeouts: TcpTimeouts,
    /// The rate at which the bytes of its connections pass; nothing = as quickly as they come.
    pub(crate) bandwidth: Option<ConnectionBandwidth>,
}

/// A route, as sessions keep it.
pub(crate) type TcpEntry = Arc<TcpRule<TcpTerms>>;

/// A route on one listener.
#[derive(Debug)]
struct Placed {
    entry: TcpEntry,
    /// True if it takes what is inside TLS that ends at the listener; else bytes as they come.
    ends_tls: bool,
    /// True if it asks for a name or a protocol, and so for a ClientHello.
    asks: bool,
}

/// The TCP routes of every listener, by its slot.
#[derive(Debug, Default)]
pub(crate) struct TcpTable(Vec<TcpRules<Placed>>);

impl TcpTable {
    /// Returns the route that takes a connection: one for which TLS ends, if that of the connection
    /// has ended, or one that gets bytes as they come. Neither gets what is for the other.
    pub(crate) fn find(
        &self,
        listener: u16,
        arriving: Arriving<'_>,
        has_ended_tls: bool,
    ) -> Option<&TcpEntry> {
        let rules = self.0.get(usize::from(listener))?;
        let found = rules.find_among(arriving, |placed| placed.ends_tls == has_ended_tls);
        found.map(|rule| &rule.then.entry)
    }

    /// Reports whether the route for this hello has its TLS passed through.
    pub(crate) fn passes_tls(&self, listener: u16, arriving: Arriving<'_>) -> bool {
        let rules = self.0.get(usize::from(listener));
        rules.and_then(|rules| rules.find(arriving)).is_some_and(|rule| !rule.then.ends_tls)
    }

    /// Reports whether a listener has TCP routes at all.
    pub(crate) fn has_routes(&self, listener: u16) -> bool {
        self.0.get(usize::from(listener)).is_some_and(|rules| rules.iter().next().is_some())
    }

    /// Reports whether a listener has routes for what does not begin with a ClientHello.
    pub(crate) fn takes_plain(&self, listener: u16) -> bool {
        let rules = self.0.get(usize::from(listener));
        rules.is_some_and(|rules| rules.iter().any(|rule| !rule.then.asks))
    }

    /// Reports whether a route takes this hello by its name or its protocols.
    pub(crate) fn takes_hello(&self, listener: u16, arriving: Arriving<'_>) -> bool {
        let rules = self.0.get(usize::from(listener));
        rules.is_some_and(|rules| rules.find_among(arriving, |placed| placed.asks).is_some())
    }

    /// Reports whether connections of a listener have no route before their ClientHello was read.
    pub(crate) fn asks_hello(&self, listener: u16) -> bool {
        self.0.get(usize::from(listener)).is_some_and(TcpRules::asks_hello)
    }

    /// Reports whether a route of that name takes connections of a listener.
    pub(crate) fn has(&self, listener: u16, route: &str) -> bool {
        let rules = self.0.get(usize::from(listener));
        rules.is_some_and(|rules| rules.iter().any(|rule| &*rule.name == route))
    }
}

/// Compiles the TCP routes anew if one of them changed, or something that they may name. Returns
/// every problem; the table is then as it was.
pub(super) fn update(
    next: &mut Snapshot,
    (plan, changed): (&Plan, &[Change]),
    listeners: &Slots<Arc<str>>,
    (upstreams, keep): (&Slots<Arc<str>>, &Keep),
) -> Vec<ObjectError> {
    let named = [Kind::TcpRoute, Kind::Listener, Kind::Upstream];
    if !changed.iter().any(|c| named.contains(&c.kind)) {
        return Vec::new();
    }
    match compile(plan, listeners, (upstreams, keep)) {
        Ok(table) => {
            next.tcp = Arc::new(table);
            Vec::new()
        }
        Err(errors) => errors,
    }
}

/// Compiles every TCP route of a plan: there are few, and connections keep the entries they have.
fn compile(
    plan: &Plan,
    listeners: &Slots<Arc<str>>,
    named: (&Slots<Arc<str>>, &Keep),
) -> Result<TcpTable, Vec<ObjectError>> {
    let mut errors = Vec::new();
    let mut by_listener: Vec<Vec<TcpRule<Placed>>> = Vec::new();
    for (name, route) in plan.tcp_routes() {
        let entry = match entry(name, route, plan, named) {
            Ok(entry) => Arc::new(entry),
            Err(problems) => {
                let each = problems.into_iter();
                errors.extend(each.map(|(path, message)| refused(name, path, message)));
                continue;
            }
        };
        for (i, listener) in route.listeners.iter().enumerate() {
            match slot_of(listener, (route.tls, entry.when.ask_hello()), plan, listeners) {
                Ok((slot, ends_tls)) => {
                    if by_listener.len() <= slot {
                        by_listener.resize_with(slot + 1, Vec::new);
                    }
                    if let Some(rules) = by_listener.get_mut(slot) {
                        let (name, when) = (entry.name.clone(), entry.when.clone());
                        let then =
                            Placed { entry: entry.clone(), ends_tls, asks: when.ask_hello() };
                        rules.push(TcpRule { name, when, then });
                    }
                }
                Err(message) => errors.push(refused(name, format!("listeners[{i}]"), message)),
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(TcpTable(by_listener.into_iter().map(TcpRules::new).collect()))
}

fn refused(name: &Arc<str>, path: String, message: String) -> ObjectError {
    ObjectError { kind: Kind::TcpRoute, name: name.clone(), path, message }
}

fn entry(
    name: &Arc<str>,
    route: &TcpRoute,
    plan: &Plan,
    (upstreams, keep): (&Slots<Arc<str>>, &Keep),
) -> Result<TcpRule<TcpTerms>, Vec<(String, String)>> {
    let one = |problem| vec![problem];
    let when = Conditions {
        clients: read("client", &route.client, network).map_err(one)?,
        names: read("sni", &route.sni, server_name).map_err(one)?,
        protocols: read("alpn", &route.alpn, protocol).map_err(one)?,
    };
    let slot = |upstream: &str| plan.upstream(upstream).and_then(|_| upstreams.get(upstream));
    let branches = Branches::compile(name, route, slot).map_err(one)?;
    let owner = format!("tcp_route {name}");
    let kind = ConnectionBandwidth::KIND;
    let place = Place { keep, kind, owner: &owner, name: &owner };
    let limit = route.bandwidth.as_ref();
    let bandwidth = limit.map(|limit| ConnectionBandwidth::compile(limit, &place)).transpose()?;
    let then = TcpTerms { branches, timeouts: route.timeouts.clone(), bandwidth };
    Ok(TcpRule { name: name.clone(), when, then })
}

/// Reads the texts of a key; an error has the path of the text.
pub(super) fn read<T>(
    key: &str,
    texts: &[String],
    one: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, (String, String)> {
    let each = texts.iter().enumerate();
    each.map(|(i, text)| one(text).map_err(|message| (format!("{key}[{i}]"), message))).collect()
}

/// Returns the slot of a listener, and whether TLS ends there for a route of it.
fn slot_of(
    name: &str,
    (tls, asks): (Option<TcpTls>, bool),
    plan: &Plan,
    listeners: &Slots<Arc<str>>,
) -> Result<(usize, bool), String> {
    let found = plan.listener(name).zip(listeners.get(name));
    let (listener, slot) = found.ok_or_else(|| format!("there is no listener `{name}`"))?;
    if listener.tls.is_none() && tls == Some(TcpTls::Terminate) {
        return Err(format!("listener `{name}` has no TLS to end; leave `tls` of the route out"));
    }
    match listener.protocol {
        ListenerProtocol::Tcp => {
            Ok((slot, listener.tls.is_some() && tls != Some(TcpTls::Passthrough)))
        }
        ListenerProtocol::Http if listener.detect_timeout_ms == 0 => {
            Err(format!("listener `{name}` speaks HTTP; name one whose protocol is `tcp`"))
        }
        ListenerProtocol::Http
            if tls == Some(TcpTls::Terminate)
                || (asks && listener.tls.is_some() && tls != Some(TcpTls::Passthrough)) =>
        {
            Err(format!("TLS of TCP routes passes through listener `{name}`; say so in `tls`"))
        }
        ListenerProtocol::Http => Ok((slot, false)),
        ListenerProtocol::Udp => {
            Err(format!("listener `{name}` speaks UDP; name one whose protocol is `tcp`"))
        }
    }
}
