//! The data about a client that endpoints get before the first byte of a connection to them.

use super::super::Worker;
use super::super::client::Client;
use super::super::conn::{Conn, Session, Told};
use super::super::exchange::{ExId, Exchange, pair};
use super::super::up::PoolRef;
use hg_plan::ProxyVersion;
use hg_relay::proxy_protocol::{Extras, Secured, Transport, write_v1, write_v2};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

impl Worker {
    /// Returns what the endpoint of an exchange would be told of its client, apart from what names
    /// the connection; `None` where it is told nothing.
    pub(in super::super) fn would_tell(&mut self, x: ExId) -> Option<Box<[u8]>> {
        let (e, c) = pair(&mut self.exchanges, &mut self.clients, x)?;
        let version = e.entry()?.plan.pool.proxy_protocol?;
        Some(header(version, e, c, None).into())
    }

    /// Tells the endpoint of a new connection whose request comes, if the upstream wants that.
    pub(in super::super) fn tell_client(&mut self, x: ExId, ui: usize) -> io::Result<()> {
        let Some(told) = self.would_tell(x) else {
            return Ok(());
        };
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return Ok(());
        };
        let version = e.entry().and_then(|u| u.plan.pool.proxy_protocol);
        let (Some(version), Some(up)) = (version, self.ups.get_mut(ui)) else {
            return Ok(());
        };
        up.conn.told = Some(Box::new(Told::Client(told)));
        let header = header(version, e, c, Some(e.id()));
        up.conn.send_small(&mut self.io, &header)
    }

    /// Takes the freshest idle connection of a pool that a request may use: any, or one that began
    /// with what the endpoint would be told now.
    pub(in super::super) fn next_idle(
        &mut self,
        pool: PoolRef,
        told: Option<&[u8]>,
    ) -> Option<usize> {
        let idle = &mut self.pools.get(pool)?.idle;
        let Some(told) = told else {
            return idle.pop();
        };
        let of = |ui: &usize| self.ups.get(*ui)?.conn.told.as_deref();
        let tells = |ui| matches!(of(ui), Some(Told::Client(header)) if **header == *told);
        let at = idle.iter().rposition(tells)?;
        Some(idle.remove(at))
    }

    /// Makes room in a full pool whose connections are each of one client: the oldest is the least
    /// likely to be used again.
    pub(in super::super) fn make_room(&mut self, ui: usize, max_idle: usize) {
        let Some(up) = self.ups.get(ui).filter(|up| up.conn.told.is_some()) else {
            return;
        };
        let idle = self.pools.get(up.pool).map(|pool| &pool.idle);
        if let Some(&oldest) = idle.filter(|idle| idle.len() >= max_idle).and_then(|i| i.first()) {
            self.forget_idle(oldest);
        }
    }
}

/// Returns the header that tells of the client of an exchange.
fn header(version: ProxyVersion, e: &Exchange, c: &Client, id: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    let (source, destination) = (source(e, c), destination(&c.conn));
    match version {
        ProxyVersion::V1 => write_v1(source, destination, &mut out),
        ProxyVersion::V2 => {
            write_v2(Transport::Stream, source, destination, &extras(c, id), &mut out)
        }
    }
    out
}

/// Returns where the client is. Headers that told of it say nothing of its port.
fn source(e: &Exchange, c: &Client) -> SocketAddr {
    let is_peer = c.peer.ip().to_canonical() == e.client_ip;
    SocketAddr::new(e.client_ip, if is_peer { c.peer.port() } else { 0 })
}

/// Returns where the client's connection went.
pub(in super::super) fn destination(conn: &Conn) -> SocketAddr {
    match conn.told.as_deref() {
        Some(Told::Destination(address)) => *address,
        _ => hg_net::local_address(&conn.fd)
            .unwrap_or_else(|_| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
    }
}

fn extras<'a>(c: &'a Client, id: Option<&'a str>) -> Extras<'a> {
    let unique_id = id.map(str::as_bytes);
    let Some(Session::Server(session)) = c.conn.session() else {
        return Extras { unique_id, ..Extras::default() };
    };
    let peer = c.conn.peer_certificate();
    let tls = Secured {
        version: c.conn.tls_version().unwrap_or_default(),
        is_verified: peer.is_some(),
        common_name: peer.and_then(|peer| common_name(&peer.subject)),
    };
    Extras { alpn: session.alpn(), authority: session.sni(), unique_id, tls: Some(tls) }
}

/// Returns the common name of a distinguished name (RFC 4514), if that is plain: a name with escapes
/// or with several values in one place is not taken apart.
pub(in super::super) fn common_name(subject: &str) -> Option<&str> {
    if subject.contains(['\\', '"', '+', '#']) {
        return None;
    }
    subject.split(',').find_map(|part| part.trim_start().strip_prefix("CN="))
}
