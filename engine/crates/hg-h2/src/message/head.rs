//! The heads that the rest of the proxy knows, made of a message.

use super::Message;
use crate::fault::faults;
use crate::text::{Placed, Pseudo, Span};
use hg_proto::host::HostPort;
use hg_proto::{
    Admission, Connection, Framing, Known, Lines, Method, Reject, RequestHead, RespFraming,
    ResponseHead, Scheme, Tag, Target, Version, rejects,
};

/// The circumstances in which a request came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The rule for which of its fields are accepted.
    pub admission: Admission,
    /// True if the connection is encrypted.
    pub tls: bool,
    /// True if no body follows, as [`crate::Event::Head`] says.
    pub end: bool,
}

/// The properties of the exchange that a response belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// True if the method was HEAD.
    pub is_head: bool,
    /// True if extended CONNECT asked for a WebSocket.
    pub websocket: bool,
    /// True if no body follows, as [`crate::Event::Head`] says.
    pub end: bool,
}

impl<'b> Message<'b> {
    /// Makes the head of a request, as HTTP/1.1 would have it: Host names the authority, the cookie
    /// is one line, extended CONNECT is GET with an upgrade.
    ///
    /// # Errors
    /// The request is refused for a reason that frames do not know.
    pub fn request<'l>(
        &self,
        lines: &'l mut Lines<'b>,
        arrival: &Arrival,
    ) -> Result<RequestHead<'l, 'b>, Reject> {
        let is_claimed = arrival.admission.claims;
        if self.scheme() == Some(Scheme::Https) && !arrival.tls && !is_claimed {
            return Err(*faults::SCHEME_LISTENER);
        }
        let head = self.text.head(self.parts.head_len);
        let text = |span: Option<Span>| span.map_or("", |span| self.text.str(head, span));
        let host = text(self.parts.pseudo.authority);
        let seen = self.admit_all(host, arrival.admission, lines);
        if seen.expects_other {
            return Err(rejects::EXPECTATION);
        }
        let target = text(self.parts.pseudo.path);
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let framing = self.framing(arrival.end, seen.trailer);
        let name = host.get(..self.parts.host_len as usize).unwrap_or_default();
        Ok(RequestHead {
            method: if self.is_websocket() {
                Method::Get
            } else {
                Method::of(text(self.parts.pseudo.method))
            },
            version: Version::H2,
            target: if path == "*" { Target::Asterisk } else { Target::Origin },
            path,
            query,
            host,
            host_port: HostPort { name, port: self.parts.port },
            withheld: lines.withheld(),
            fields: lines.fields(),
            framing,
            connection: Connection {
                keep_alive: true,
                upgrade_websocket: self.is_websocket(),
                te_trailers: seen.te_trailers,
                nominated: 0,
                ignored: 0,
            },
            expect_continue: seen.expects && !framing.is_empty(),
            head_len: 0,
        })
    }

    #[inline]
    fn admit_all(&self, host: &'b str, admission: Admission, lines: &mut Lines<'b>) -> Seen {
        lines.push(Known::Host.as_str(), host.as_bytes(), Tag::of(Known::Host));
        let mut seen = Seen::default();
        for placed in self.text.placed() {
            if placed.mark.plain {
                let value = self.text.bytes(placed.spans().1).unwrap_or_default();
                lines.push(self.text.name(placed), value, tag(placed));
            } else {
                self.admit(placed, admission, lines, &mut seen);
            }
        }
        seen
    }

    /// Takes a field that means something, or drops it.
    fn admit(&self, placed: &Placed, admission: Admission, lines: &mut Lines<'b>, seen: &mut Seen) {
        let mark = &placed.mark;
        if mark.known == Known::Host || mark.pseudo != Pseudo::No {
            return;
        }
        let mut tag = tag(placed);
        let value = self.text.bytes(placed.spans().1).unwrap_or_default();
        match mark.known {
            Known::Te => seen.te_trailers = true,
            Known::Expect => {
                seen.expects = true;
                seen.expects_other |= !value.eq_ignore_ascii_case(b"100-continue");
            }
            Known::Trailer => seen.trailer = true,
            // Extended CONNECT has no key (RFC 8441 §5); one would be taken for ours.
            Known::SecWebSocketKey => tag.hop |= self.is_websocket(),
            _ => {}
        }
        lines.admit(admission, self.text.name(placed), value, tag);
    }

    /// A request that announces trailers may have a length as well. To HTTP/1.1 it needs chunks for
    /// them (RFC 9112 §7.1.2); the session holds the body to its length anyway.
    fn framing(&self, end: bool, announces_trailers: bool) -> Framing {
        match self.content_length() {
            _ if self.is_websocket() => Framing::None,
            Some(_) if announces_trailers && !end => Framing::Chunked,
            Some(length) => Framing::Length(length),
            None if end => Framing::None,
            None => Framing::Chunked,
        }
    }

    /// Makes the head of a response. A 2xx to extended CONNECT is 101, as HTTP/1.1 would have it.
    pub fn response<'l>(&self, lines: &'l mut Lines<'b>, asked: &Asked) -> ResponseHead<'l, 'b> {
        for placed in self.text.placed() {
            if placed.mark.pseudo == Pseudo::No {
                let value = self.text.bytes(placed.spans().1).unwrap_or_default();
                lines.push(self.text.name(placed), value, tag(placed));
            }
        }
        let upgrade = asked.websocket && matches!(self.status(), 200..=299);
        let status = if upgrade { 101 } else { self.status() };
        let bodiless = asked.is_head || matches!(status, 100..=199 | 204 | 304);
        ResponseHead {
            version: Version::H2,
            status,
            reason: b"",
            fields: lines.fields(),
            framing: match self.content_length() {
                _ if bodiless => RespFraming::NoBody,
                Some(length) => RespFraming::Length(length),
                None if asked.end => RespFraming::Length(0),
                None => RespFraming::Chunked,
            },
            content_length: self.content_length(),
            keep_alive: true,
            keep_alive_timeout_s: None,
            ignored: 0,
            upgrade_websocket: upgrade,
            is_interim: matches!(status, 100..=199) && !upgrade,
            head_len: 0,
        }
    }
}

#[inline]
fn tag(placed: &Placed) -> Tag {
    let known = placed.mark.known;
    Tag { known, hop: !placed.mark.plain && known.is_hop(), secret: placed.never_indexed }
}

/// The findings of one pass over the fields.
#[derive(Default)]
struct Seen {
    te_trailers: bool,
    /// True if it announces trailers.
    trailer: bool,
    expects: bool,
    expects_other: bool,
}
