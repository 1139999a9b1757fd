//! Heads of the rest of the proxy as field blocks: what belongs to HTTP/1 is dropped, names become
//! lower case.

use super::{Line, Session};
use crate::encode::{Encoder, Name, Sensitivity};
use crate::event::Refused;
use crate::message::{RequestLine, is_kept, is_kept_trailer};
use hg_proto::{Known, Scheme, write};

/// Encodes a line whose name may have capitals, if `keeps` says so of its known name and value.
#[inline]
fn encode(
    encoder: &mut Encoder,
    (name, value, secret): Line<'_>,
    lower: &mut Vec<u8>,
    out: &mut Vec<u8>,
    keeps: impl FnOnce(Known, &[u8]) -> bool,
) {
    let mut name = Name::new(name);
    // Names of the static table have no capitals.
    if !name.is_static() && name.text.iter().any(u8::is_ascii_uppercase) {
        lower.clear();
        lower.extend(name.text.iter().map(u8::to_ascii_lowercase));
        name = Name::new(lower);
    }
    if keeps(name.known(), value) {
        encoder.line(&name, value, secret, out);
    }
}

impl Session {
    /// Opens a stream with a request whose lines came from anywhere.
    ///
    /// # Errors
    /// The peer allows no more streams, does not offer WebSockets, or the connection is ending.
    pub fn send_request<'a>(
        &mut self,
        head: &RequestLine<'a>,
        lines: impl IntoIterator<Item = Line<'a>>,
        end: bool,
    ) -> Result<u32, Refused> {
        if head.websocket && !self.settings.peer.enable_connect_protocol {
            return Err(Refused::NoWebSocket);
        }
        let id = self.begin(end, head.method == "HEAD")?;
        let most = self.settings.peer.max_frame_size as usize;
        let scratch = &mut self.hpack.scratch;
        self.out.head(&mut self.hpack.encoder, id, end, most, |encoder, out| {
            pseudo(encoder, head, scratch, out);
            for line in lines {
                let keeps = |known, value: &[u8]| is_kept(known, value, head.websocket);
                encode(encoder, line, scratch, out, keeps);
            }
        });
        Ok(id)
    }

    /// Sends the head of a response, interim or final; 101 is the 200 that opens a WebSocket. `end`
    /// says that no body follows.
    ///
    /// # Errors
    /// The stream is over, or its head was sent.
    pub fn send_response<'a>(
        &mut self,
        id: u32,
        status: u16,
        lines: impl IntoIterator<Item = Line<'a>>,
        end: bool,
    ) -> Result<(), Refused> {
        let (upgrade, interim) = (status == 101, status < 200 && status != 101);
        self.answer(id, end && !interim, interim)?;
        let most = self.settings.peer.max_frame_size as usize;
        let scratch = &mut self.hpack.scratch;
        let end = end && !interim;
        self.out.head(&mut self.hpack.encoder, id, end, most, |encoder, out| {
            encode_status(encoder, if upgrade { 200 } else { status }, out);
            for line in lines {
                let keeps = |known, value: &[u8]| is_kept(known, value, upgrade);
                encode(encoder, line, scratch, out, keeps);
            }
        });
        if end {
            self.settle(id);
        }
        Ok(())
    }

    /// Sends trailers without the names that are not allowed in them, and ends the message.
    ///
    /// # Errors
    /// The stream is over, or its head was not sent.
    pub fn send_trailers<'a>(
        &mut self,
        id: u32,
        lines: impl IntoIterator<Item = Line<'a>>,
    ) -> Result<(), Refused> {
        self.end_with_trailers(id)?;
        let most = self.settings.peer.max_frame_size as usize;
        let scratch = &mut self.hpack.scratch;
        self.out.head(&mut self.hpack.encoder, id, true, most, |encoder, out| {
            for line in lines {
                if is_kept_trailer(line.0) {
                    encode(encoder, line, scratch, out, |_, _| true);
                }
            }
        });
        self.settle(id);
        Ok(())
    }
}

#[inline]
fn encode_status(encoder: &mut Encoder, status: u16, out: &mut Vec<u8>) {
    match status {
        200 => encoder.indexed(8, out),
        204 => encoder.indexed(9, out),
        304 => encoder.indexed(11, out),
        404 => encoder.indexed(13, out),
        _ => {
            let digit = |n: u16| b'0' + (n % 10) as u8;
            let digits = [digit(status / 100), digit(status / 10), digit(status)];
            encoder.field(b":status", &digits, Sensitivity::Normal, out);
        }
    }
}

fn pseudo(encoder: &mut Encoder, head: &RequestLine<'_>, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
    let normal = Sensitivity::Normal;
    let method = if head.websocket { "CONNECT" } else { head.method };
    match method {
        "GET" => encoder.indexed(2, out),
        _ => encoder.field(b":method", method.as_bytes(), normal, out),
    }
    if head.websocket {
        encoder.field(b":protocol", b"websocket", normal, out);
    }
    encoder.indexed(if head.scheme == Scheme::Http { 6 } else { 7 }, out);
    let secret = head.never.sensitivity(b":authority");
    encoder.field(b":authority", head.authority.as_bytes(), secret, out);
    scratch.clear();
    write::target_part(scratch, head.path);
    if let Some(query) = head.query {
        scratch.push(b'?');
        write::target_part(scratch, query);
    }
    encoder.field(b":path", scratch, head.never.sensitivity(b":path"), out);
}
