//! Compiles listeners from plan to entry.

use super::{ClientSource, Http2Terms, ListenerEntry};
use hg_plan::{Kind, ObjectError};
use hg_proto::client::Source;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

pub(super) fn compile(
    name: &Arc<str>,
    plan: &hg_plan::Listener,
    tls: Option<Arc<hg_tls::Selector>>,
    open: Arc<AtomicU32>,
) -> Result<ListenerEntry, Vec<ObjectError>> {
    let mut errors = Vec::new();
    let mut error = |path: String, message: String| {
        errors.push(ObjectError { kind: Kind::Listener, name: name.clone(), path, message });
    };
    let mut addresses = Vec::new();
    for (i, text) in plan.addresses.iter().enumerate() {
        match text.parse::<SocketAddr>() {
            Ok(a) => addresses.push(a),
            Err(_) => error(
                format!("addresses[{i}]"),
                format!("`{text}` is not an address and port; write it as `[::1]:80`"),
            ),
        }
    }
    let mut trusted = Vec::new();
    for (i, text) in plan.client_ip.trusted.iter().enumerate() {
        match text.parse().or_else(|_| text.parse::<IpAddr>().map(ipnet::IpNet::from)) {
            Ok(net) => trusted.push(net),
            Err(_) => error(
                format!("client_ip.trusted[{i}]"),
                format!("`{text}` is not a network; write one such as `10.0.0.0/8`"),
            ),
        }
    }
    let source = Source::parse(&plan.client_ip.header);
    if source.is_none() {
        error(
            "client_ip.header".into(),
            format!(
                "`{}` is not a known header; write `x-forwarded-for`, `forwarded` or `x-real-ip`",
                plan.client_ip.header
            ),
        );
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let limits = limits(plan);
    Ok(ListenerEntry {
        name: name.clone(),
        addresses,
        http2: Http2Terms::of(plan, &limits),
        limits,
        client: ClientSource { trusted, source: source.unwrap_or_default() },
        plan: plan.clone(),
        open,
        tls,
    })
}

fn limits(plan: &hg_plan::Listener) -> hg_proto::Limits {
    hg_proto::Limits {
        head_bytes: plan.head_bytes as usize,
        header_count: (plan.header_count as usize).min(hg_proto::MAX_HEADERS),
    }
}
