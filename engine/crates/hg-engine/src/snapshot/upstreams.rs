//! Compiles upstreams from plan to entry.

use super::{EndpointEntry, PoolKey, UpstreamEntry};
use crate::agents::Weighed;
use crate::health::HealthTable;
use crate::{agents, house, slow_start};
use hg_net::Address;
use hg_plan::{Endpoint, Kind, ObjectError, UpstreamProtocol};
use hg_policy::{Affinity, Balancer};
use hg_tls::ClientTls;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// Connection counts of all workers by identity; they outlive every snapshot.
#[derive(Default)]
pub(super) struct InUse(HashMap<(Arc<str>, Arc<str>), Arc<AtomicU32>>);

impl InUse {
    /// Returns the count of an endpoint; with an empty address, of the upstream itself.
    fn of(&mut self, upstream: &Arc<str>, address: &Arc<str>) -> Arc<AtomicU32> {
        self.0.entry((upstream.clone(), address.clone())).or_default().clone()
    }

    /// Forgets counts that only this table still holds.
    pub(super) fn sweep(&mut self) {
        self.0.retain(|_, count| Arc::strong_count(count) > 1);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The addresses of names, by `host:port`.
pub(super) type Addresses = HashMap<Arc<str>, Arc<[Address]>>;

/// The context that compiling an upstream needs besides its plan.
pub(super) struct Surroundings<'b> {
    pub(super) in_use: &'b mut InUse,
    pub(super) health: &'b mut HealthTable,
    pub(super) names: &'b Addresses,
}

/// Compiles one upstream.
pub(super) fn compile(
    name: &Arc<str>,
    plan: &hg_plan::Upstream,
    tls: Option<Arc<ClientTls>>,
    around: &mut Surroundings<'_>,
) -> Result<UpstreamEntry, Vec<ObjectError>> {
    let error = |(path, message): hg_policy::Problem| ObjectError {
        kind: Kind::Upstream,
        name: name.clone(),
        path,
        message,
    };
    let refused = |problems: Vec<_>| problems.into_iter().map(error).collect::<Vec<_>>();
    let check = plan.health.check.as_ref();
    let mut problems = check.map_or_else(Vec::new, |check| house::problems(check, plan.protocol));
    problems.extend(protocol_problem(plan).or_else(|| proxy_problem(plan)));
    let agent = plan.health.agent.as_ref();
    problems.extend(agent.into_iter().flat_map(|agent| agents::problems(agent, &plan.endpoints)));
    if !problems.is_empty() {
        return Err(refused(problems));
    }
    let setup = setup(plan, tls.as_deref());
    let (endpoints, balanced) = expand(name, plan, &setup, around).map_err(refused)?;
    let (balancer, weighed) = match &plan.health.agent {
        None => (Balancer::new(&plan.balance, &balanced).map_err(refused)?, None),
        Some(_) => {
            let weighed = Weighed::new(&plan.balance, balanced, &endpoints).map_err(refused)?;
            (weighed.balancer(), Some(Box::new(weighed)))
        }
    };
    let identities = endpoints.iter().map(|e| &*e.pool.address);
    let affinity = plan.affinity.as_ref().map(|a| Box::new(Affinity::new(a, name, identities)));
    Ok(UpstreamEntry {
        name: name.clone(),
        endpoints,
        key: balancer.needs_key().cloned(),
        balancer,
        weighed,
        affinity,
        host_header: plan.host_header.clone(),
        limits: hg_proto::Limits {
            head_bytes: plan.head_bytes as usize,
            header_count: hg_proto::MAX_HEADERS,
        },
        plan: plan.clone(),
        tls,
        in_use: around.in_use.of(name, &"".into()),
        health: around.health.upstream(name),
    })
}

/// Returns what distinguishes the connections of an upstream from those of another one to the same
/// endpoint.
fn setup(plan: &hg_plan::Upstream, tls: Option<&ClientTls>) -> Arc<str> {
    let security = tls.map_or_else(|| "plain".to_owned(), |t| t.digest().hex());
    let protocol = (plan.protocol != UpstreamProtocol::Http1).then(|| plan.protocol.as_str());
    let told = plan.pool.proxy_protocol.map(|version| version.as_str());
    let words = [Some(security.as_str()), protocol, told];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ").into()
}

/// Returns what is wrong with the protocol beside the other settings.
fn protocol_problem(plan: &hg_plan::Upstream) -> Option<hg_policy::Problem> {
    let word = plan.protocol.as_str();
    let message = match (plan.protocol, &plan.tls) {
        (UpstreamProtocol::H2 | UpstreamProtocol::Auto, None) => {
            format!("`{word}` is agreed on in a TLS handshake; add `tls`, or write `h2c`")
        }
        (UpstreamProtocol::H2c, Some(_)) => {
            format!("`{word}` is HTTP/2 without TLS; write `h2`, or leave `tls` out")
        }
        _ => return None,
    };
    Some(("protocol".into(), message))
}

/// Returns what is wrong with PROXY headers beside the other settings.
fn proxy_problem(plan: &hg_plan::Upstream) -> Option<hg_policy::Problem> {
    plan.pool.proxy_protocol.filter(|_| plan.protocol != UpstreamProtocol::Http1)?;
    let message = format!(
        "a PROXY header tells of one client, and over `{}` clients share connections; write \
         `http1`, or leave `proxy_protocol` out",
        plan.protocol.as_str()
    );
    Some(("proxy_protocol".into(), message))
}

/// Returns the endpoints over which requests are balanced, and what the balancer needs to know of
/// them. Every address of a name is an endpoint with the name's weight, as in nginx and in Envoy's
/// STRICT_DNS.
fn expand(
    name: &Arc<str>,
    plan: &hg_plan::Upstream,
    setup: &Arc<str>,
    around: &mut Surroundings<'_>,
) -> Result<(Vec<EndpointEntry>, Vec<Endpoint>), Vec<hg_policy::Problem>> {
    let mut errors = Vec::new();
    if plan.endpoints.is_empty() {
        errors
            .push(("endpoints".into(), "the upstream has no endpoint; write at least one".into()));
    }
    let slow = slow_start::policy(&plan.health);
    // Endpoints that are all new share the requests from the start.
    let start = slow.start(slow.window_ms > 0 && around.health.has_warm(name));
    let mut room = room(plan);
    let mut entries = Vec::with_capacity(plan.endpoints.len());
    let mut balanced = Vec::with_capacity(plan.endpoints.len());
    for (i, e) in plan.endpoints.iter().enumerate() {
        let address: Arc<str> = e.address.as_str().into();
        let (is_name, groups) = match source(&address) {
            Ok(Some(fixed)) => (false, vec![Arc::from([fixed])]),
            Ok(None) => (true, groups(around.names.get(&address), &mut room)),
            Err(message) => {
                errors.push((format!("endpoints[{i}].address"), message));
                continue;
            }
        };
        for targets in groups {
            let pool = if is_name { identity(&address, &targets) } else { address.clone() };
            balanced.push(Endpoint { address: pool.to_string(), ..e.clone() });
            // Without an address there is nothing to check.
            let checked = plan.health.check.is_some() && !targets.is_empty();
            let health = around.health.endpoint(name, (&address, &pool), (checked, start));
            entries.push(EndpointEntry {
                address: address.clone(),
                is_name,
                targets,
                pool: PoolKey { address: pool, setup: setup.clone() },
                weight: e.weight,
                backup: e.backup,
                max_connections: e.max_connections,
                in_use: around.in_use.of(name, &address),
                health,
            });
        }
    }
    if errors.is_empty() { Ok((entries, balanced)) } else { Err(errors) }
}

/// Returns how many endpoints names may add to those configured: a balancer may have a place for so
/// many only.
fn room(plan: &hg_plan::Upstream) -> usize {
    match hg_policy::most_endpoints(&plan.balance) {
        usize::MAX => usize::MAX,
        most => most.saturating_sub(plan.endpoints.len()),
    }
}

/// Returns the addresses of a name, each as an endpoint. Exactly one IPv6 and one IPv4 address are
/// two ways to the same endpoint. A name without addresses is an endpoint that cannot be used.
fn groups(addresses: Option<&Arc<[Address]>>, room: &mut usize) -> Vec<Arc<[Address]>> {
    let Some(addresses) = addresses.filter(|all| !all.is_empty()) else {
        return vec![Arc::default()];
    };
    if let [Address::Inet(a), Address::Inet(b)] = &**addresses
        && a.is_ipv6() != b.is_ipv6()
    {
        return vec![addresses.clone()];
    }
    let more = (addresses.len() - 1).min(*room);
    *room -= more;
    addresses.iter().take(more + 1).map(|a| Arc::from([a.clone()])).collect()
}

/// Returns what distinguishes an endpoint of a name from its others; connections and hashes use it.
fn identity(name: &str, targets: &[Address]) -> Arc<str> {
    let addresses: Vec<String> = targets.iter().map(ToString::to_string).collect();
    format!("{name} {}", addresses.join(" ")).trim_end().into()
}

/// Parses the address; returns nothing if it is a name.
fn source(address: &str) -> Result<Option<Address>, String> {
    if let Some(path) = address.strip_prefix("unix:") {
        if !path.starts_with('/') {
            return Err(format!("`{address}` has a relative path; write an absolute one"));
        }
        return Ok(Some(Address::Unix(PathBuf::from(path))));
    }
    if let Ok(a) = address.parse::<SocketAddr>() {
        return Ok(Some(Address::Inet(a)));
    }
    match address.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p > 0) => {
            Ok(None)
        }
        _ => Err(format!(
            "`{address}` is not an address; write `host:port`, `[ipv6]:port` or `unix:/path`"
        )),
    }
}
