//! The requirements of HTTP on a decoded block (RFC 9113 §8), and the heads of [`hg_proto`] made of
//! it: the only place where the rules of HTTP meet frames.

pub mod grpc;
mod head;
mod lines;
mod never;
mod read;

use crate::fault::Fault;
use crate::limits::Role;
use crate::priority::Priority;
use crate::text::{Field, Span, Text};
pub use head::{Arrival, Asked};
use hg_proto::{Known, Scheme};
pub use lines::{RequestLine, lines_of, lines_of_text};
pub(crate) use lines::{is_kept, is_kept_trailer};
pub use never::NeverIndexed;

/// The kind of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Extended CONNECT is allowed or not.
    Request {
        extended_connect: bool,
    },
    Response,
    Trailers,
}

impl Part {
    /// Returns the kind of the first block that a peer of `role` sends.
    pub(crate) fn head(role: Role, extended_connect: bool) -> Part {
        match role {
            Role::Server => Part::Request { extended_connect },
            Role::Client => Part::Response,
        }
    }
}

/// The parts that were read of a block; they refer to the text they came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    pub pseudo: Pseudo,
    /// The end of the octets of the pseudo fields, which come first.
    pub head_len: u32,
    /// Bytes of the host's name in the authority.
    pub host_len: u32,
    pub port: Option<u16>,
    pub websocket: bool,
    /// 0 in a request and in trailers.
    pub status: u16,
    pub content_length: Option<u64>,
    pub priority: Option<Priority>,
    /// Lines of the cookie.
    pub crumbs: u16,
    pub is_trailers: bool,
    /// The body is a sequence of small messages: WebSocket or gRPC.
    pub messages: bool,
}

/// The places of the pseudo fields of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pseudo {
    pub method: Option<Span>,
    pub scheme: Option<Scheme>,
    /// The host that the request names: Host if there is no `:authority`.
    pub authority: Option<Span>,
    pub path: Option<Span>,
}

/// Room for the message that came last; [`crate::Session::next`] fills it. One serves all sessions
/// of a thread; who needs a message for longer keeps it and gives the sessions another one.
#[derive(Debug, Default)]
pub struct Incoming {
    pub(crate) text: Text,
    pub(crate) parts: Parts,
}

impl Incoming {
    /// Makes empty room.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the message of the last [`crate::Event::Head`] or [`crate::Event::Trailers`].
    pub fn message(&self) -> Message<'_> {
        Message { text: &self.text, parts: &self.parts }
    }

    /// Reads and checks the block in the text.
    ///
    /// # Errors
    /// The message is malformed.
    pub(crate) fn read(&mut self, part: Part) -> Result<&Parts, Fault> {
        read::Reader::new(&self.text, &mut self.parts, part).read()?;
        if self.parts.crumbs > 1 && matches!(part, Part::Request { .. }) {
            self.text.join(Known::Cookie);
        }
        Ok(&self.parts)
    }
}

/// The message whose head or trailers came last.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    text: &'a Text,
    parts: &'a Parts,
}

impl<'a> Message<'a> {
    fn bytes(&self, span: Option<Span>) -> &'a [u8] {
        span.and_then(|span| self.text.bytes(span)).unwrap_or_default()
    }

    /// Returns the method, a token; empty in a response.
    pub fn method(&self) -> &'a [u8] {
        self.bytes(self.parts.pseudo.method)
    }

    /// Returns the scheme of a request.
    pub fn scheme(&self) -> Option<Scheme> {
        self.parts.pseudo.scheme
    }

    /// Returns the authority of a request as sent, a valid host; Host if there is no `:authority`.
    pub fn authority(&self) -> &'a [u8] {
        self.bytes(self.parts.pseudo.authority)
    }

    /// Returns path and query of a request as sent; begins with `/` unless it is `*`.
    pub fn path(&self) -> &'a [u8] {
        self.bytes(self.parts.pseudo.path)
    }

    /// Reports whether the request opens a WebSocket (RFC 8441).
    pub fn is_websocket(&self) -> bool {
        self.parts.websocket
    }

    /// Returns the status of a response; 0 in a request.
    pub fn status(&self) -> u16 {
        self.parts.status
    }

    /// Returns the length that the message declares; the session holds the body to it.
    pub fn content_length(&self) -> Option<u64> {
        self.parts.content_length
    }

    /// Returns the priority that the message asks for.
    pub fn priority(&self) -> Option<Priority> {
        self.parts.priority
    }

    /// Returns the fields in order, without pseudo fields and Host; the cookie of a request is one
    /// field. Trailers come without the names that are not allowed in them (RFC 9110 §6.5.1).
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> {
        let is_trailers = self.parts.is_trailers;
        self.text.iter().filter(move |field| {
            field.name.first() != Some(&b':')
                && field.known != Known::Host
                && (!is_trailers || is_kept_trailer(field.name))
        })
    }

    /// Adds the names of the fields, pseudo fields included, that must not enter a table.
    pub fn note_never_indexed(&self, never: &mut NeverIndexed) {
        if self.text.has_never_indexed() {
            let found = self.text.iter().filter(|field| field.never_indexed);
            found.for_each(|field| never.add(field.name));
        }
    }

    /// Appends trailers as lines of HTTP/1, each with its CRLF.
    pub fn write_trailers(&self, out: &mut Vec<u8>) {
        for field in self.fields() {
            out.extend_from_slice(field.name);
            out.extend_from_slice(b": ");
            out.extend_from_slice(field.value);
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests;
