//! Upstreams, from plan to entry.

use super::{EndpointEntry, PoolKey, Source, UpstreamEntry};
use hg_net::Address;
use hg_plan::{Kind, ObjectError};
use hg_policy::{Balancer, KeySource};
use hg_tls::ClientTls;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// Connection counts of all workers, by identity: they outlive every snapshot.
#[derive(Default)]
pub(super) struct InUse(HashMap<(Arc<str>, Arc<str>), Arc<AtomicU32>>);

impl InUse {
    /// Of an endpoint, or with an empty address of the upstream itself.
    fn of(&mut self, upstream: &Arc<str>, address: &Arc<str>) -> Arc<AtomicU32> {
        self.0.entry((upstream.clone(), address.clone())).or_default().clone()
    }

    /// Forgets what only this table still knows.
    pub(super) fn sweep(&mut self) {
        self.0.retain(|_, count| Arc::strong_count(count) > 1);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Compiles one upstream.
pub(super) fn compile(
    name: &Arc<str>,
    plan: &hg_plan::Upstream,
    tls: Option<Arc<ClientTls>>,
    in_use: &mut InUse,
) -> Result<UpstreamEntry, Vec<ObjectError>> {
    let mut errors = Vec::new();
    let mut error = |path: String, message: String| {
        errors.push(ObjectError { kind: Kind::Upstream, name: name.clone(), path, message });
    };
    if plan.endpoints.is_empty() {
        error("endpoints".into(), "an upstream needs at least one endpoint".into());
    }
    let setup: Arc<str> = tls.as_ref().map_or_else(|| "plain".into(), |t| t.digest().hex().into());
    let mut endpoints = Vec::with_capacity(plan.endpoints.len());
    for (i, e) in plan.endpoints.iter().enumerate() {
        let address: Arc<str> = e.address.as_str().into();
        match source(&address) {
            Ok(source) => endpoints.push(EndpointEntry {
                source,
                pool: PoolKey { address: address.clone(), setup: setup.clone() },
                max_connections: e.max_connections,
                in_use: in_use.of(name, &address),
                address,
            }),
            Err(message) => error(format!("endpoints[{i}].address"), message),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let balancer = Balancer::new(&plan.balance, &plan.endpoints).map_err(|problems| {
        let error = |(path, message): hg_policy::Problem| ObjectError {
            kind: Kind::Upstream,
            name: name.clone(),
            path,
            message,
        };
        problems.into_iter().map(error).collect::<Vec<_>>()
    })?;
    let key: Option<KeySource> = balancer.needs_key().cloned();
    Ok(UpstreamEntry {
        name: name.clone(),
        endpoints,
        balancer,
        key,
        host_header: plan.host_header.clone(),
        limits: hg_proto::Limits {
            head_bytes: plan.head_bytes as usize,
            header_count: hg_proto::MAX_HEADERS,
        },
        plan: plan.clone(),
        tls,
        in_use: in_use.of(name, &"".into()),
    })
}

fn source(address: &str) -> Result<Source, String> {
    if let Some(path) = address.strip_prefix("unix:") {
        if !path.starts_with('/') {
            return Err(format!("`{address}`: a Unix socket's path must be absolute"));
        }
        return Ok(Source::Fixed([Address::Unix(PathBuf::from(path))].into()));
    }
    if let Ok(a) = address.parse::<SocketAddr>() {
        return Ok(Source::Fixed([Address::Inet(a)].into()));
    }
    match address.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p > 0) => {
            Ok(Source::Name)
        }
        _ => Err(format!("`{address}` is not `host:port`, `[ipv6]:port` or `unix:/path`")),
    }
}
