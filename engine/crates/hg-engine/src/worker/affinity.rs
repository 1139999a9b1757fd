//! The endpoint that a request wants, and the cookie that tells its client which one it had.

use super::Worker;
use super::branch::unix_s;
use super::exchange::{ExId, Exchange};
use super::request::hash_key;
use crate::snapshot::UpstreamEntry;
use hg_middleware::RequestView;
use hg_policy::{Named, Token};
use hg_proto::{Fields, Known};

/// The part of a request that speaks for one endpoint or another.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    /// The value that hashing policies hash.
    pub(crate) key: Option<u64>,
    /// The endpoint that its affinity cookie names.
    pub(crate) token: Option<Token>,
    /// Its affinity cookie was not made by us.
    pub(crate) is_forged: bool,
}

impl Wanted {
    pub(super) fn of(
        entry: &UpstreamEntry,
        view: &RequestView<'_>,
        fields: &Fields<'_, '_>,
    ) -> Self {
        let key = entry.key.as_ref().and_then(|source| hash_key(source, view, fields));
        let Some(own) = &entry.affinity else {
            return Self { key, token: None, is_forged: false };
        };
        let mut named = Named::Nothing;
        fields.each(Known::Cookie).for_each(|line| own.read(line, &mut named, unix_s));
        Self { key, token: named.token(), is_forged: named == Named::Forged }
    }
}

impl Worker {
    /// Counts at the head of an endpoint's answer whether the request came to the endpoint of its
    /// cookie. Returns the token that the client should have, unless it has it.
    pub(super) fn note_affinity(&mut self, x: ExId) -> Option<Token> {
        let e = self.exchanges.get(x)?;
        e.entry()?.affinity.as_ref()?;
        let token = e.endpoint.as_ref()?.token;
        let counters = &self.upstreams.same(e.upstream, e.upstream_id)?.counters.affinity;
        let (counter, is_kept) = match e.wanted.token {
            Some(own) if own == token => (&counters.kept, true),
            Some(_) => (&counters.moved, false),
            None if e.wanted.is_forged => (&counters.forged, false),
            None => (&counters.new, false),
        };
        counter.add(1);
        (!is_kept).then_some(token)
    }
}

impl Exchange {
    /// Writes the line that names its endpoint to the client.
    pub(super) fn write_affinity(&self, token: Option<Token>, scheme: &str, out: &mut Vec<u8>) {
        let own = self.entry().and_then(|u| u.affinity.as_ref());
        if let (Some(token), Some(own)) = (token, own) {
            out.extend_from_slice(b"set-cookie: ");
            own.write_cookie(token, scheme == "https", unix_s, out);
            out.extend_from_slice(b"\r\n");
        }
    }
}
