//! The reader of one block: pseudo fields first, then fields, then the whole.

use super::{Part, Parts, grpc};
use crate::fault::{Fault, faults};
use crate::priority::Priority;
use crate::text::{Field, Mark, Pseudo, Span, Text};
use hg_proto::{Known, Method, Scheme, host};

pub(super) struct Reader<'a> {
    text: &'a Text,
    part: Part,
    parts: &'a mut Parts,
    host: Option<Span>,
    /// A field that is no pseudo field came.
    in_fields: bool,
    has_te: bool,
    /// `:protocol` came.
    has_protocol: bool,
    /// True if the method is a token.
    method: bool,
    /// True if the path has octets of a path only.
    path: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a Text, parts: &'a mut Parts, part: Part) -> Self {
        *parts = Parts { is_trailers: part == Part::Trailers, ..Parts::default() };
        let (in_fields, has_te, has_protocol) = (false, false, false);
        Self {
            text,
            part,
            parts,
            host: None,
            in_fields,
            has_te,
            has_protocol,
            method: false,
            path: false,
        }
    }

    pub(super) fn read(mut self) -> Result<(), Fault> {
        for placed in self.text.placed() {
            if placed.mark.plain {
                self.in_fields = true;
                continue;
            }
            let Some((field, mark, value)) = self.text.field(placed) else { continue };
            if !mark.name {
                return Err(faults::FIELD_NAME);
            }
            if !mark.value.is_value() {
                return Err(faults::FIELD_VALUE);
            }
            if mark.pseudo != Pseudo::No {
                self.pseudo(&field, mark, value)?;
            } else {
                self.in_fields = true;
                self.field(&field, mark, value)?;
            }
        }
        match self.part {
            Part::Request { extended_connect } => self.request(extended_connect)?,
            Part::Response if self.parts.status == 0 => return Err(faults::PSEUDO_MISSING),
            Part::Response | Part::Trailers => {}
        }
        Ok(())
    }

    fn pseudo(&mut self, field: &Field<'_>, mark: &Mark, value: Span) -> Result<(), Fault> {
        if self.in_fields {
            return Err(faults::PSEUDO_ORDER);
        }
        self.parts.head_len = value.at + value.len;
        match (mark.pseudo, self.part) {
            (Pseudo::Method, Part::Request { .. }) => {
                self.method = mark.value.is_token();
                once(&mut self.parts.pseudo.method, value)
            }
            (Pseudo::Path, Part::Request { .. }) => {
                self.path = mark.value.is_path();
                once(&mut self.parts.pseudo.path, value)
            }
            (Pseudo::Authority, Part::Request { .. }) => {
                once(&mut self.parts.pseudo.authority, value)
            }
            (Pseudo::Scheme, Part::Request { .. }) => {
                once(&mut self.parts.pseudo.scheme, scheme(field.value)?)
            }
            (Pseudo::Protocol, Part::Request { extended_connect: true }) => {
                if std::mem::replace(&mut self.has_protocol, true) {
                    return Err(faults::PSEUDO_REPEATED);
                }
                self.parts.websocket = field.value == b"websocket";
                Ok(())
            }
            (Pseudo::Status, Part::Response) => self.status(field.value),
            _ => Err(faults::PSEUDO_UNKNOWN),
        }
    }

    fn status(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.parts.status != 0 {
            return Err(faults::PSEUDO_REPEATED);
        }
        let [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] = value else {
            return Err(faults::STATUS);
        };
        let digit = |d: &u8| u16::from(d - b'0');
        self.parts.status = digit(a) * 100 + digit(b) * 10 + digit(c);
        // HTTP/2 has no upgrade (RFC 9113 §8.6).
        if self.parts.status == 101 { Err(faults::STATUS) } else { Ok(()) }
    }

    fn field(&mut self, field: &Field<'_>, mark: &Mark, value: Span) -> Result<(), Fault> {
        match mark.known {
            Known::Connection
            | Known::ProxyConnection
            | Known::KeepAlive
            | Known::TransferEncoding
            | Known::Upgrade => return Err(faults::CONNECTION_FIELD),
            Known::Te
                if field.value != b"trailers" || std::mem::replace(&mut self.has_te, true) =>
            {
                return Err(faults::TE);
            }
            Known::Cookie => self.parts.crumbs += 1,
            Known::ContentType if grpc::kind(field.value) == Some(grpc::Kind::Native) => {
                self.parts.messages = true;
            }
            Known::Host if self.host.replace(value).is_some() => return Err(faults::HOST_REPEATED),
            Known::ContentLength if self.part != Part::Trailers => {
                let length = length(field.value).ok_or(faults::CONTENT_LENGTH)?;
                if self.parts.content_length.replace(length).is_some_and(|old| old != length) {
                    return Err(faults::CONTENT_LENGTH);
                }
            }
            Known::Other if field.name == b"priority" => {
                self.parts.priority = Some(Priority::read(field.value));
            }
            Known::Other if !mark.usual && is_lookalike(field.name) => {
                return Err(faults::LOOKALIKE);
            }
            _ => {}
        }
        Ok(())
    }

    fn request(&mut self, extended_connect: bool) -> Result<(), Fault> {
        let bytes = |span: Option<Span>| span.and_then(|span| self.text.bytes(span));
        let method = bytes(self.parts.pseudo.method).ok_or(faults::PSEUDO_MISSING)?;
        if !self.method {
            return Err(faults::METHOD);
        }
        let method = std::str::from_utf8(method).unwrap_or_default();
        self.parts.messages |= self.has_protocol;
        let is_connect = method == "CONNECT";
        if self.has_protocol && !is_connect {
            return Err(faults::PSEUDO_UNKNOWN);
        }
        if is_connect && !(extended_connect && self.has_protocol) {
            return Err(faults::CONNECT);
        }
        if self.has_protocol && !self.parts.websocket {
            return Err(faults::PROTOCOL);
        }
        if !is_connect {
            Method::accept(method)?;
        } else if self.parts.content_length.is_some() {
            return Err(faults::CONTENT_LENGTH);
        }
        let scheme = self.parts.pseudo.scheme.ok_or(faults::PSEUDO_MISSING)?;
        match bytes(self.parts.pseudo.path).ok_or(faults::PSEUDO_MISSING)? {
            b"*" if method == "OPTIONS" => {}
            [b'/', ..] if self.path => {}
            _ => return Err(faults::PATH),
        }
        self.authority(scheme)
    }

    /// Finds the host that the request names and checks it: `:authority` and Host are the same.
    fn authority(&mut self, scheme: Scheme) -> Result<(), Fault> {
        let given = self.parts.pseudo.authority.filter(|span| span.len > 0);
        let span = given.or(self.host).ok_or(faults::HOST_MISSING)?;
        let bytes = self.text.bytes(span).unwrap_or_default();
        let split = host::parse(bytes).ok_or(faults::AUTHORITY)?;
        if let (Some(_), Some(host)) = (given, self.host) {
            let host = self.text.bytes(host).unwrap_or_default();
            host::parse(host).ok_or(faults::AUTHORITY)?;
            let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
            if !host::same(text(bytes), text(host), scheme.default_port()) {
                return Err(faults::HOST_DIFFERS);
            }
        }
        (self.parts.host_len, self.parts.port) = (split.name.len() as u32, split.port);
        self.parts.pseudo.authority = Some(span);
        Ok(())
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Fault> {
    if place.replace(value).is_some() { Err(faults::PSEUDO_REPEATED) } else { Ok(()) }
}

fn scheme(value: &[u8]) -> Result<Scheme, Fault> {
    match value {
        value if value.eq_ignore_ascii_case(b"http") => Ok(Scheme::Http),
        value if value.eq_ignore_ascii_case(b"https") => Ok(Scheme::Https),
        _ => Err(faults::SCHEME),
    }
}

/// Reads a length, or a list of the same length (RFC 9110 §8.6).
fn length(value: &[u8]) -> Option<u64> {
    let mut found = None;
    for item in value.split(|b| *b == b',') {
        let item = item.trim_ascii();
        if item.is_empty() || !item.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number: u64 = std::str::from_utf8(item).ok()?.parse().ok()?;
        if found.replace(number).is_some_and(|old| old != number) {
            return None;
        }
    }
    found
}

/// Reports whether a backend that folds names reads this one as one that frames the body.
fn is_lookalike(name: &[u8]) -> bool {
    matches!(name.len(), 14 | 17)
        && matches!(Known::folded(name), Known::ContentLength | Known::TransferEncoding)
}
