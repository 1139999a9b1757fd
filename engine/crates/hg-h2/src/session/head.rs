//! HEADERS and CONTINUATION as they come in, and the blocks that they make.

use super::Session;
use crate::close::{Close, Code, Reason};
use crate::decode::Size;
use crate::event::Event;
use crate::fault::{Fault, faults};
use crate::flood::Cheap;
use crate::frame::{self, END_HEADERS, END_STREAM, Header};
use crate::limits::Role;
use crate::message::{Incoming, Part, Parts};
use crate::streams::Half;

/// Interim responses of one stream.
const MOST_INTERIMS: u8 = 16;

/// Bytes of a block's buffer that are kept for the next one.
const KEPT_BLOCK_BYTES: usize = 4096;

/// A whole block, decoded.
struct Whole<'a> {
    id: u32,
    end: bool,
    size: Size,
    incoming: &'a mut Incoming,
}

impl Whole<'_> {
    fn read(&mut self, part: Part) -> Result<&Parts, Fault> {
        match self.size {
            Size::Above => Err(faults::HEAD_SIZE),
            Size::Within => self.incoming.read(part),
        }
    }
}

impl Session {
    pub(super) fn headers_frame(
        &mut self,
        header: &Header,
        payload: &[u8],
        now_ms: u64,
        incoming: &mut Incoming,
    ) -> Result<Option<Event>, Close> {
        let (range, depends_on) = frame::headers(header, payload)?;
        self.block.is_circular = depends_on == Some(header.stream);
        let fragment = payload.get(range).unwrap_or_default();
        if fragment.len() > self.limits.block_bytes {
            return Err(Close::calm(Reason::BlockSize));
        }
        let end = header.has(END_STREAM);
        if header.has(END_HEADERS) {
            return self.whole_block((header.stream, end), fragment, now_ms, incoming);
        }
        self.block.bytes.clear();
        self.block.bytes.extend_from_slice(fragment);
        (self.block.stream, self.block.end, self.block.frames) = (header.stream, end, 0);
        Ok(None)
    }

    pub(super) fn continuation(
        &mut self,
        header: &Header,
        payload: &[u8],
        now_ms: u64,
        incoming: &mut Incoming,
    ) -> Result<Option<Event>, Close> {
        self.block.frames += 1;
        if self.block.frames > self.limits.continuations {
            return Err(Close::calm(Reason::ContinuationFlood));
        }
        if self.block.bytes.len() + payload.len() > self.limits.block_bytes {
            return Err(Close::calm(Reason::BlockSize));
        }
        self.block.bytes.extend_from_slice(payload);
        if !header.has(END_HEADERS) {
            return Ok(None);
        }
        self.block.stream = 0;
        let bytes = std::mem::take(&mut self.block.bytes);
        let event = self.whole_block((header.stream, self.block.end), &bytes, now_ms, incoming);
        if bytes.capacity() <= KEPT_BLOCK_BYTES {
            self.block.bytes = bytes;
        }
        event
    }

    fn whole_block(
        &mut self,
        (id, end): (u32, bool),
        block: &[u8],
        now_ms: u64,
        incoming: &mut Incoming,
    ) -> Result<Option<Event>, Close> {
        let size = self.hpack.decoder.block(block, &mut incoming.text, self.limits.head)?;
        if self.block.is_circular {
            return self.circular(id);
        }
        let mut block = Whole { id, end, size, incoming };
        let Some(stream) = self.streams.get_mut(id) else {
            return self.without_stream(&mut block, now_ms);
        };
        if stream.gone {
            self.flood.cheap(Cheap::Other, now_ms)?;
            return self.after_reset(id);
        }
        match stream.recv {
            Half::Head => self.response(&mut block),
            Half::Body => self.trailers_block(&mut block),
            Half::Discard => {
                if end {
                    stream.recv = Half::Ended;
                    self.settle(id);
                }
                Ok(None)
            }
            Half::Ended => self.stream_error(id, Code::STREAM_CLOSED, None),
        }
    }

    /// Refuses a stream that depends on itself (RFC 7540 §5.3.1). Priorities of that kind mean
    /// nothing to us, but peers and test suites expect the error.
    #[cold]
    fn circular(&mut self, id: u32) -> Result<Option<Event>, Close> {
        if self.role == Role::Server && !id.is_multiple_of(2) && self.is_idle(id) {
            self.away.last_peer = id;
            self.flood.open();
        }
        self.stream_error(id, Code::PROTOCOL_ERROR, None)
    }

    /// Refuses a stream above the limit.
    #[cold]
    fn one_too_many(&mut self, id: u32) -> Result<Option<Event>, Close> {
        self.stream_error(id, Code::REFUSED_STREAM, None)?;
        Ok(Some(Event::Refused { stream: id }))
    }

    /// Handles a block for a stream that is not there: a new one, or one that is over.
    fn without_stream(
        &mut self,
        block: &mut Whole<'_>,
        now_ms: u64,
    ) -> Result<Option<Event>, Close> {
        let id = block.id;
        if self.is_idle(id) {
            if self.role == Role::Client || id.is_multiple_of(2) {
                return Err(Close::protocol(Reason::StreamId));
            }
            return self.request(block);
        }
        if self.may_be_late(id) {
            return self.flood.late(now_ms).map(|()| None);
        }
        Err(Close { code: Code::STREAM_CLOSED, reason: Reason::StreamClosed })
    }

    fn request(&mut self, block: &mut Whole<'_>) -> Result<Option<Event>, Close> {
        let (id, end) = (block.id, block.end);
        self.away.last_peer = id;
        let wait_ms = self.flood.open();
        if self.away.is_above_last(id) {
            self.streams.remember(id);
            return Ok(None);
        }
        if self.streams.len() >= self.limits.streams as usize {
            return self.one_too_many(id);
        }
        if self.away.is_worn_out() {
            self.shutdown();
        }
        let recv = if end { Half::Ended } else { Half::Body };
        let mut stream = self.stream(id, recv, Half::Head);
        let part = Part::head(self.role, self.limits.extended_connect);
        let parts = block.read(part).and_then(|parts| with_end(parts, end));
        let early = self.streams.take_priority(id);
        let event = match parts {
            Ok(parts) => {
                if parts.messages {
                    self.flood.allow_messages();
                }
                stream.left = parts.content_length;
                stream.priority = early.or(parts.priority).unwrap_or_default();
                Event::Head { stream: id, end, wait_ms }
            }
            Err(fault) => {
                self.flood.malformed()?;
                stream.recv = if end { Half::Ended } else { Half::Discard };
                Event::Malformed { stream: id, fault }
            }
        };
        self.streams.insert(stream);
        Ok(Some(event))
    }

    fn response(&mut self, block: &mut Whole<'_>) -> Result<Option<Event>, Close> {
        let (id, end) = (block.id, block.end);
        let parts = match block.read(Part::Response) {
            Ok(parts) => parts,
            Err(fault) => return self.stream_error(id, Code::PROTOCOL_ERROR, Some(fault)),
        };
        let Some(stream) = self.streams.get_mut(id) else { return Ok(None) };
        if parts.status < 200 {
            stream.interims += 1;
            if end || stream.interims > MOST_INTERIMS {
                return self.stream_error(id, Code::PROTOCOL_ERROR, Some(faults::INTERIM));
            }
            return Ok(Some(Event::Head { stream: id, end: false, wait_ms: 0 }));
        }
        stream.bodiless |= matches!(parts.status, 204 | 304);
        if !stream.bodiless {
            stream.left = parts.content_length;
            if let Err(fault) = with_end(parts, end) {
                return self.stream_error(id, Code::PROTOCOL_ERROR, Some(fault));
            }
        }
        stream.recv = if end { Half::Ended } else { Half::Body };
        self.settle(id);
        Ok(Some(Event::Head { stream: id, end, wait_ms: 0 }))
    }

    fn trailers_block(&mut self, block: &mut Whole<'_>) -> Result<Option<Event>, Close> {
        let id = block.id;
        let end = block.end;
        let read = if end { block.read(Part::Trailers) } else { Err(faults::TRAILER_END) };
        if let Err(fault) = read {
            return self.stream_error(id, Code::PROTOCOL_ERROR, Some(fault));
        }
        let Some(stream) = self.streams.get_mut(id) else { return Ok(None) };
        if stream.left.is_some_and(|left| left > 0) {
            let fault = faults::CONTENT_LENGTH_BODY;
            return self.stream_error(id, Code::PROTOCOL_ERROR, Some(fault));
        }
        stream.recv = Half::Ended;
        self.settle(id);
        Ok(Some(Event::Trailers { stream: id }))
    }
}

/// Checks that a message that ends with its head declares no body (RFC 9113 §8.1.1).
fn with_end(parts: &Parts, end: bool) -> Result<&Parts, Fault> {
    match parts.content_length {
        Some(1..) if end => Err(faults::CONTENT_LENGTH_BODY),
        _ => Ok(parts),
    }
}
