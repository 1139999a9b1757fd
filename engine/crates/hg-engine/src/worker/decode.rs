//! Bodies of requests that are decoded on their way to the endpoint (`decompress`).

use super::Worker;
use super::answer::own;
use super::buffers::RESERVE;
use super::exchange::{ExId, Relay};
use hg_codec::{Fault, Layers};
use hg_middleware::Decoding;
use hg_proto::{Fed, Reject, RequestHead};
use std::cell::Cell;
use std::rc::Rc;

/// Most bytes that the decoders of one worker take, by their windows as far as these are filled. One
/// body may have windows of up to 16 MiB.
pub(super) const MOST: usize = 256 * 1024 * 1024;
/// Bytes that are made of a body before other connections have their turn, or the endpoint has to
/// take them.
const TURN: usize = 64 * 1024;

/// The bytes that the decoders at work take.
pub(super) type Held = Rc<Cell<usize>>;

/// The part of one of them.
#[derive(Debug)]
struct Share {
    all: Held,
    own: usize,
}

impl Share {
    /// Takes so many bytes in place of those that it had. Reports whether there was room for them.
    fn set(&mut self, bytes: usize) -> bool {
        let all = (self.all.get() + bytes).saturating_sub(self.own);
        if all > MOST {
            return false;
        }
        (self.own, _) = (bytes, self.all.replace(all));
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.all.set(self.all.get().saturating_sub(self.own));
    }
}

/// The decoder of a body under way.
#[derive(Debug)]
pub(crate) struct Decoded {
    decoder: Layers,
    terms: Decoding,
    /// Bytes of the body as it came, without its framing.
    came: u64,
    /// Those of them that are not decoded yet; at most one read.
    left: Vec<u8>,
    /// True if the decoder has more than fitted.
    is_full: bool,
    /// True if all of the body has come.
    is_whole: bool,
    share: Share,
}

impl Decoded {
    /// Decodes as much as has room and appends it to `out`. Reports whether the body is complete.
    fn run(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<bool, Fault> {
        self.came += data.len() as u64;
        self.left.extend_from_slice(data);
        let fed = self.decoder.feed(&self.left, TURN, out)?;
        self.left.drain(..fed.consumed);
        self.is_full = fed.is_full;
        if !self.is_whole || self.has_more() {
            return Ok(false);
        }
        // Nothing at all is an empty body.
        if self.came > 0 {
            self.decoder.end()?;
        }
        Ok(true)
    }

    fn has_more(&self) -> bool {
        self.is_full || !self.left.is_empty()
    }
}

/// Returns the answer to a body that cannot be decoded.
fn refusal(fault: Fault) -> Reject {
    match fault {
        Fault::Corrupt | Fault::Trailing | Fault::Cut => own::BODY_CODING,
        Fault::TooLarge => own::DECODED_TOO_LARGE,
        Fault::TooDense => own::BODY_TOO_DENSE,
    }
}

/// Reports whether a header line of a request is no longer right once its body is decoded.
pub(super) fn is_of_coding(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"content-encoding") || hg_middleware::is_outdated(name)
}

impl Relay {
    /// Returns how many bytes of the body have come, before they were decoded.
    #[inline]
    pub(super) fn came(&self) -> u64 {
        self.decoded.as_ref().map_or(self.bytes, |decoded| decoded.came)
    }

    /// Reports whether bytes that came can be decoded without others.
    #[inline]
    pub(super) fn has_undecoded(&self) -> bool {
        self.decoded.as_ref().is_some_and(|decoded| decoded.has_more())
    }

    /// Decodes what `fed` found at a place of a buffer, into `own`; leaves alone what has no coding.
    /// Returns where the bytes are that go on, and what they are.
    #[inline]
    pub(super) fn decode<'b>(
        &mut self,
        own: &'b mut Vec<u8>,
        (buffer, start): (&'b mut Vec<u8>, usize),
        fed: &Fed,
        worker: usize,
    ) -> Result<(&'b mut Vec<u8>, usize, Fed), Reject> {
        let Some(decoded) = self.decoded.as_deref_mut() else {
            return Ok((buffer, start, *fed));
        };
        // The end counts once all of the body is decoded.
        decoded.is_whole |= fed.done | std::mem::take(&mut self.ends);
        own.clear();
        own.resize(RESERVE, 0);
        let data = buffer.get(start..start + fed.data_len).unwrap_or_default();
        match decoded.run(data, own) {
            Ok(_) if !decoded.share.set(decoded.decoder.held()) => Err(own::DECODERS_BUSY),
            Ok(done) => {
                let made = Fed { consumed: fed.consumed, data_len: own.len() - RESERVE, done };
                Ok((own, RESERVE, made))
            }
            Err(fault) => {
                decoded.terms.count_fault(worker, fault);
                Err(refusal(fault))
            }
        }
    }
}

impl Worker {
    /// Has the body of a request decoded as its chain wants. Returns false if the request was
    /// refused, because too many bodies are being decoded.
    pub(super) fn begin_decoding(
        &mut self,
        x: ExId,
        terms: Option<Decoding>,
        head: &RequestHead<'_, '_>,
    ) -> bool {
        let Some(terms) = terms.filter(|_| has_body(head)) else {
            return true;
        };
        let worker = self.mailbox.index;
        let mut share = Share { all: self.scratch.codecs.held.clone(), own: 0 };
        let decoder = Layers::new(terms.codings.iter(), terms.bound);
        let decoder = decoder.filter(|one| share.set(one.held()));
        let Some(decoder) = decoder else {
            self.refuse(x, &own::DECODERS_BUSY);
            return false;
        };
        terms.count_begun(worker);
        if let Some(e) = self.exchanges.get_mut(x) {
            e.request.chunked = true;
            e.request.decoded = Some(Box::new(Decoded {
                decoder,
                terms,
                came: 0,
                left: Vec::new(),
                is_full: false,
                is_whole: false,
                share,
            }));
        }
        true
    }

    /// Passes on more of what came of a body. Nothing else of it is read before all that is decoded.
    pub(super) fn decode_on(&mut self, x: ExId, ui: usize) {
        let mut buffer = vec![0; RESERVE];
        self.relay_request(x, ui, &mut buffer, RESERVE..RESERVE);
        let stream = self.exchanges.get(x).filter(|e| e.stream.is_http2());
        if let Some((ci, stream)) = stream.map(|e| (e.client, e.stream.id)) {
            self.leave_body(x, ci, stream);
        }
    }
}

/// Reports whether a request has a body. What follows the head of a WebSocket is none.
fn has_body(head: &RequestHead<'_, '_>) -> bool {
    !head.framing.is_empty() && !head.connection.upgrade_websocket
}

#[cfg(test)]
mod tests;
