//! Compiles listeners from plan to entry.

use super::{ClientSource, Http2Terms, ListenerEntry, ProxyTerms, Snapshot};
use hg_plan::{Kind, ListenerProtocol, ObjectError, Plan};
use hg_proto::client::Source;
use ipnet::IpNet;
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
    let trusted = networks(&plan.client_ip.trusted, "client_ip.trusted", &mut error);
    let proxy = plan.client_ip.proxy_protocol.as_ref().map(|plan| ProxyTerms {
        trusted: networks(&plan.trusted, "proxy_protocol.trusted", &mut error),
        is_required: plan.mode == hg_plan::ProxyMode::Required,
        timeout_ms: plan.timeout_ms,
    });
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
        proxy,
        open,
        tls,
    })
}

/// Parses networks, and reports those that are none by their place.
fn networks(texts: &[String], at: &str, error: &mut impl FnMut(String, String)) -> Vec<IpNet> {
    let mut found = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        match text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
            Ok(net) => found.push(net),
            Err(_) => error(
                format!("{at}[{i}]"),
                format!("`{text}` is not a network; write one such as `10.0.0.0/8`"),
            ),
        }
    }
    found
}

impl Snapshot {
    /// Returns what ends the TLS of a listener's clients; `None` if it ends none.
    pub(crate) fn tls_of(&self, listener: u16) -> Option<&Arc<hg_tls::Selector>> {
        self.listeners.get(usize::from(listener))?.as_ref()?.tls.as_ref()
    }

    /// Returns whose PROXY headers count on a listener; `None` if it takes none.
    pub(crate) fn proxy_terms(&self, listener: u16) -> Option<&ProxyTerms> {
        self.listeners.get(usize::from(listener))?.as_ref()?.proxy.as_ref()
    }
}

/// Reports whether HTTP routes may belong to a listener.
pub(super) fn is_http(plan: &hg_plan::Listener) -> bool {
    plan.protocol == ListenerProtocol::Http
}

/// Returns why an HTTP route cannot belong to a listener.
pub(super) fn not_http(plan: &Plan, name: &str) -> String {
    match plan.listener(name) {
        Some(_) => {
            format!("listener `{name}` does not speak HTTP; name one whose protocol is `http`")
        }
        None => format!("there is no listener `{name}`"),
    }
}

fn limits(plan: &hg_plan::Listener) -> hg_proto::Limits {
    hg_proto::Limits {
        head_bytes: plan.head_bytes as usize,
        header_count: (plan.header_count as usize).min(hg_proto::MAX_HEADERS),
    }
}
