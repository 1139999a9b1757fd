//! A request as middlewares see it, and their result.

use crate::claims::Claims;
use crate::context::{Later, Wait};
use hg_route::{ClientCertificate, Headers};
use std::net::IpAddr;

/// One request, borrowed from where it was parsed. It stays what the client sent: a rewrite changes
/// [`Rewritten`] instead, so that variables mean the same everywhere in a chain.
#[derive(Clone, Copy)]
pub struct RequestView<'a> {
    /// The method as sent.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// `HTTP/1.0` or `HTTP/1.1`.
    pub protocol: &'a str,
    /// The host in lower case, without port; IPv6 in brackets.
    pub host: &'a str,
    /// The port that the client sent with the host; `None` = the scheme's own.
    pub port: Option<u16>,
    /// The path, normalised ([`hg_route::path::normalise`]).
    pub path: &'a str,
    /// The query after the first `?`, without it.
    pub query: Option<&'a str>,
    /// The client.
    pub client: Client<'a>,
    /// The id of this request.
    pub request_id: &'a str,
    /// Name of the listener.
    pub listener: &'a str,
    /// Name of the route.
    pub route: &'a str,
    /// Name of the upstream; empty while none is chosen.
    pub upstream: &'a str,
    /// Address of the endpoint; empty while none is chosen.
    pub endpoint: &'a str,
    /// Bytes of `path` that the route's match took ([`hg_route::Found::prefix_len`]).
    pub prefix_len: usize,
    /// Header lines, which are read only for variables that name one.
    pub headers: &'a dyn Headers,
}

impl RequestView<'_> {
    /// Returns the same request with the claims of its token.
    pub fn claiming<'b>(&'b self, claims: &'b Claims) -> RequestView<'b> {
        RequestView { client: Client { claims: Some(claims), ..self.client }, ..*self }
    }
}

/// The sender of a request.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The address, after reading trusted peers' headers.
    pub ip: IpAddr,
    /// The verified certificate, if there is one.
    pub certificate: Option<ClientCertificate<'a>>,
    /// The TLS of its connection; `None` without, and where a chain has nothing to do.
    pub tls: Option<ClientTls<'a>>,
    /// Claims of the token that let it in; `None` before.
    pub claims: Option<&'a Claims>,
}

impl Client<'_> {
    /// Returns a client of whom nothing else is known.
    pub fn of(ip: IpAddr) -> Self {
        Self { ip, certificate: None, tls: None, claims: None }
    }
}

/// The TLS that was agreed on for a client's connection.
#[derive(Clone, Copy, Debug)]
pub struct ClientTls<'a> {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'a str,
    /// The name that the client asked for; empty if it sent none.
    pub sni: &'a str,
}

/// The result of a chain for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The request is forwarded, as [`Rewritten::target`] and [`Rewritten::host`] say.
    Forward,
    /// [`Rewritten::answer`] is the answer.
    Answer,
    /// The chain goes on with [`crate::Chain::resume`] once [`Rewritten::wait`] is over.
    Wait,
}

/// The part of a chain that a response passes on its way back: all of it, or the steps before the
/// one that answered. Small enough to be kept with the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stage(pub(crate) Option<u16>);

impl Stage {
    /// The stage of a request that went through the whole chain.
    pub const FORWARDED: Stage = Stage(None);
}

/// An answer made by a middleware or a route; its buffers are reused.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// 200 to 599.
    pub status: u16,
    /// Header lines, each `name: value\r
    /// `, without framing headers.
    pub headers: Vec<u8>,
    /// The body; its length is the Content-Length.
    pub body: Vec<u8>,
    /// If the request was refused, why: a word of the log and of `headgate_rejects_total`. Empty if it
    /// got what the config has for it, a redirect for example.
    pub refusal: &'static str,
}

/// The result of a chain for one request. One per worker is enough: [`crate::Chain::request`]
/// clears it, and its buffers keep their capacity (shrunk after a request that made them large).
#[derive(Debug, Default)]
pub struct Rewritten {
    pub(crate) path: String,
    pub(crate) path_changed: bool,
    pub(crate) host: String,
    /// The target of a redirect.
    pub(crate) location: String,
    pub(crate) host_changed: bool,
    pub(crate) scratch: Vec<u8>,
    pub(crate) stage: Stage,
    /// The place to go on from after a wait, and how much of the path the match took then.
    pub(crate) cursor: usize,
    pub(crate) prefix_len: usize,
    /// The event that is waited for if the outcome is [`Outcome::Wait`]; take it.
    pub wait: Option<Wait>,
    pub(crate) later: Option<Box<Later>>,
    /// Filled if the outcome is [`Outcome::Answer`].
    pub answer: Answer,
}

/// Capacity that a buffer keeps from one request to the next.
const KEPT_BYTES: usize = 16 * 1024;

impl Rewritten {
    /// Makes an empty result; allocates nothing until something is rewritten.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the path and query to forward, if they differ from the request's.
    pub fn target(&self) -> Option<&str> {
        self.path_changed.then_some(self.path.as_str())
    }

    /// Returns the Host to forward, with port if one was given, if it differs from the request's.
    pub fn host(&self) -> Option<&str> {
        self.host_changed.then_some(self.host.as_str())
    }

    /// Returns the stage to keep with the request, for [`crate::Chain::response_headers`].
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Returns the claims of the token that let the request in.
    pub fn claims(&self) -> Option<Claims> {
        self.later.as_ref()?.claims().cloned()
    }

    /// Returns the lines that steps add to the request for the endpoint.
    pub fn request_lines(&self) -> &[u8] {
        self.later.as_ref().map_or(&[], |later| later.request_lines())
    }

    /// Returns what steps leave for later, which belongs to the exchange.
    pub fn take_later(&mut self) -> Option<Box<Later>> {
        self.later.take()
    }

    pub(crate) fn later(&mut self) -> &mut Later {
        self.later.get_or_insert_default()
    }

    pub(crate) fn clear(&mut self) {
        (self.cursor, self.wait, self.later) = (0, None, None);
        self.path_changed = false;
        self.host_changed = false;
        self.stage = Stage::FORWARDED;
        (self.answer.status, self.answer.refusal) = (0, "");
        self.path.clear();
        self.host.clear();
        self.location.clear();
        for buffer in [&mut self.scratch, &mut self.answer.headers, &mut self.answer.body] {
            buffer.clear();
            buffer.shrink_to(KEPT_BYTES);
        }
        self.path.shrink_to(KEPT_BYTES);
        self.location.shrink_to(KEPT_BYTES);
    }
}
