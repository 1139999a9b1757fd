//! Answers that are encoded on their way to the client (`compress`).

use super::Worker;
use super::buffers::RESERVE;
use super::decode::Held;
use super::exchange::{ExId, Relay, pair};
use super::pages::is_of_body;
use super::relay::frame;
use hg_codec::{Coding, Leased, Pool};
use hg_middleware::{AnswerHead, Encoding, Verdict, is_outdated, says_no_transform, weak};
use hg_proto::{Fed, Field, Known, Method, RespFraming, ResponseHead, write};
use std::ops::Range;
use std::sync::Arc;

/// Encoders at work at a time, in one worker: each takes up to 1 MiB. More answers than that stay as
/// they are.
const MOST: usize = 64;
/// A buffer above this size is not kept for the next answers.
const LARGE: usize = 256 * 1024;

/// The encoders and decoders of a worker, and where they write.
#[derive(Debug)]
pub(super) struct Codecs {
    pool: Pool,
    /// Behind the room for a chunk's header.
    buffer: Vec<u8>,
    /// The bytes that the decoders take.
    pub(super) held: Held,
}

impl Default for Codecs {
    fn default() -> Self {
        Self { pool: Pool::new(MOST), buffer: Vec::new(), held: Held::default() }
    }
}

impl Codecs {
    /// Returns a buffer for what is made of a body, which allocates nothing if it is neither encoded
    /// nor decoded.
    #[inline]
    pub(super) fn buffer_for(&mut self, relay: &Relay) -> Vec<u8> {
        if relay.encoded.is_none() && relay.decoded.is_none() {
            return Vec::new();
        }
        std::mem::take(&mut self.buffer)
    }

    /// Keeps a buffer for the next bodies.
    pub(super) fn keep(&mut self, buffer: Vec<u8>) {
        if (1..=LARGE).contains(&buffer.capacity()) {
            self.buffer = buffer;
        }
    }
}

/// The encoder of an answer under way.
#[derive(Debug)]
pub(crate) struct Encoded {
    encoder: Leased,
    /// True if each part is sent as soon as it came: of an answer whose length is not known, more
    /// may come after a long time.
    flushes: bool,
}

/// The change that is made to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coded {
    /// Nothing.
    Plain,
    /// It stays as it is, for this client.
    Varies,
    As(Coding),
    /// A page is sent in its place.
    Page,
}

impl Coded {
    /// Returns how the body leaves.
    pub(super) fn framing(self, framing: RespFraming) -> RespFraming {
        match (self, framing) {
            (Self::As(_), RespFraming::Length(_) | RespFraming::UntilClose) => RespFraming::Chunked,
            _ => framing,
        }
    }

    /// Reports whether the length that the endpoint told is that of what leaves.
    pub(super) fn keeps_length(self) -> bool {
        matches!(self, Self::Plain | Self::Varies)
    }

    /// Reports whether a line of the endpoint's head is not sent, or in another form.
    pub(super) fn drops(self, field: &Field<'_>) -> bool {
        match self {
            Self::Plain | Self::Varies => false,
            Self::As(_) => is_etag(field) || is_outdated(field.name.as_bytes()),
            Self::Page => is_of_body(field.name.as_bytes()),
        }
    }

    /// Appends the lines in their place. `dropped` are names that the route takes away.
    pub(super) fn append(
        self,
        head: &ResponseHead<'_, '_>,
        dropped: impl Fn(&[u8]) -> bool,
        out: &mut Vec<u8>,
    ) {
        if let Self::As(coding) = self {
            write::line(out, "content-encoding", coding.token().as_bytes());
            let etag = head.fields.iter().find(is_etag).filter(|_| !dropped(b"etag"));
            if let Some(etag) = etag {
                let mut value = Vec::with_capacity(etag.value.len() + 2);
                weak(etag.value, &mut value);
                write::line(out, "etag", &value);
            }
        }
        if matches!(self, Self::Varies | Self::As(_)) {
            write::line(out, "vary", b"Accept-Encoding");
        }
    }
}

impl Worker {
    /// Decides whether an answer is encoded, and takes an encoder for it.
    pub(super) fn coded(&mut self, x: ExId, head: &ResponseHead<'_, '_>) -> Coded {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return Coded::Plain;
        };
        let encoding = e.route().and_then(|r| r.terms.chain.encoding());
        let Some(encoding) = encoding.filter(|_| !e.stream.is_grpc && !e.stream.is_tunnel) else {
            return Coded::Plain;
        };
        let mut verdict = Verdict::Leave;
        e.with_view(c.connection(), |view| verdict = judged(encoding, head, view));
        let coded = match verdict {
            Verdict::Leave => Coded::Plain,
            Verdict::Vary => Coded::Varies,
            Verdict::Encode(coding, _) if e.method == Method::Head => Coded::As(coding),
            Verdict::Encode(coding, levels) => {
                match self.scratch.codecs.pool.take(coding, levels) {
                    None => Coded::Varies,
                    Some(encoder) => {
                        let flushes = head.content_length.is_none();
                        e.response.encoded = Some(Box::new(Encoded { encoder, flushes }));
                        Coded::As(coding)
                    }
                }
            }
        };
        if let Some(encoding) = e.route().and_then(|r| r.terms.chain.encoding()) {
            let got = if let Coded::As(coding) = coded { Some(coding) } else { None };
            encoding.count(self.mailbox.index, verdict, got);
        }
        coded
    }
}

fn is_etag(field: &Field<'_>) -> bool {
    field.known == Known::Other && field.name.eq_ignore_ascii_case("etag")
}

fn judged(
    encoding: &Arc<Encoding>,
    head: &ResponseHead<'_, '_>,
    view: &hg_middleware::RequestView<'_>,
) -> Verdict {
    let fields = &head.fields;
    let answer = AnswerHead {
        status: head.status,
        content_type: fields.get(Known::ContentType),
        content_length: head.content_length,
        is_made: fields.get(Known::ContentEncoding).is_some()
            || fields.get(Known::ContentRange).is_some(),
        no_transform: fields.each(Known::CacheControl).any(says_no_transform),
    };
    encoding.verdict(&answer, view)
}

impl Relay {
    /// Frames what `fed` found at a place of a buffer as [`frame`] does: there, or encoded in `own`.
    /// Returns where it is.
    pub(super) fn frame_coded<'b>(
        &mut self,
        codecs: &mut Codecs,
        own: &'b mut Vec<u8>,
        (buffer, start): (&'b mut Vec<u8>, usize),
        fed: &Fed,
    ) -> (&'b mut Vec<u8>, Range<usize>) {
        let Some(mut encoded) = self.encoded.take() else {
            let framed = frame(self, buffer, start, fed);
            return (buffer, framed);
        };
        let data = buffer.get(start..start + fed.data_len).unwrap_or_default();
        let done = fed.done || self.ends;
        own.clear();
        own.resize(RESERVE, 0);
        encoded.encoder.write(data, own);
        if done {
            codecs.pool.finish(encoded.encoder, own);
        } else {
            if encoded.flushes && !data.is_empty() {
                encoded.encoder.flush(own);
            }
            self.encoded = Some(encoded);
        }
        let made = Fed { consumed: 0, data_len: own.len() - RESERVE, done };
        let framed = frame(self, own, RESERVE, &made);
        (own, framed)
    }
}

#[cfg(test)]
mod tests;
