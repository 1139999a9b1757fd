//! The data about a session's client that an endpoint gets before the client's first byte.

use super::super::Worker;
use super::super::conn::Conn;
use super::super::proxy_protocol::{common_name, destination};
use super::session::SessionId;
use hg_plan::ProxyVersion;
use hg_relay::proxy_protocol::{Extras, Secured, Transport, write_v1, write_v2};

impl Worker {
    /// Tells the endpoint of a new connection, if its upstream wants that, before any TLS with it.
    /// Reports whether it could be told.
    pub(super) fn tell_session(&mut self, id: SessionId, up: &mut Conn) -> bool {
        let Some(version) = self.tcp.get(id).and_then(|s| s.target.tells) else {
            return true;
        };
        let made = (version == ProxyVersion::V2).then(|| self.random_id());
        let Some(s) = self.tcp.get_mut(id) else {
            return false;
        };
        s.told_id = made.map(|id| String::from_utf8_lossy(&id).into());
        let peer = s.client.peer_certificate();
        let extras = Extras {
            // Of TLS that passes through it is not known what its ends agree on.
            alpn: s.client.alpn(),
            authority: s.early.as_ref().and_then(|early| early.sni.as_deref()),
            unique_id: s.told_id.as_deref().map(str::as_bytes),
            tls: s.client.tls_version().map(|version| Secured {
                version,
                is_verified: peer.is_some(),
                common_name: peer.and_then(|peer| common_name(&peer.subject)),
            }),
        };
        let (source, destination) = (s.origin.peer, destination(&s.client));
        let mut out = Vec::new();
        match version {
            ProxyVersion::V1 => write_v1(source, destination, &mut out),
            ProxyVersion::V2 => write_v2(Transport::Stream, source, destination, &extras, &mut out),
        }
        up.send_small(&mut self.io, &out).is_ok()
    }
}
