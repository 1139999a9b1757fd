//! One reader for every way a body can end.

use crate::chunked::ChunkedDecoder;
use crate::reject::{Reject, rejects};
use crate::types::{Framing, RespFraming};

/// The outcome of one call of [`BodyReader::feed`], as in [`crate::Decoded`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fed {
    /// Bytes of the input that were used.
    pub consumed: usize,
    /// Body bytes, at the front of the input.
    pub data_len: usize,
    /// True if the body is over; what follows `consumed` does not belong to it.
    pub done: bool,
}

/// Follows a body as its bytes come in.
#[derive(Clone, Debug)]
pub enum BodyReader {
    /// No body.
    None,
    /// A body of known length.
    Length {
        /// Bytes still to come.
        left: u64,
    },
    /// A chunked body.
    Chunked(ChunkedDecoder),
    /// A body that lasts to the end of the connection.
    UntilClose,
}

impl From<Framing> for BodyReader {
    fn from(framing: Framing) -> Self {
        match framing {
            Framing::None | Framing::Length(0) => BodyReader::None,
            Framing::Length(left) => BodyReader::Length { left },
            Framing::Chunked => BodyReader::Chunked(ChunkedDecoder::new()),
        }
    }
}

impl From<RespFraming> for BodyReader {
    fn from(framing: RespFraming) -> Self {
        match framing {
            RespFraming::NoBody | RespFraming::Length(0) => BodyReader::None,
            RespFraming::Length(left) => BodyReader::Length { left },
            RespFraming::Chunked => BodyReader::Chunked(ChunkedDecoder::new()),
            RespFraming::UntilClose => BodyReader::UntilClose,
        }
    }
}

impl BodyReader {
    /// Takes the next bytes and moves the body bytes among them to the front of `input`.
    ///
    /// # Errors
    /// Only chunked bodies can be malformed; the reject is a request's (see
    /// [`Reject::in_response`]).
    #[inline]
    pub fn feed(&mut self, input: &mut [u8]) -> Result<Fed, Reject> {
        match self {
            BodyReader::None => Ok(Fed { consumed: 0, data_len: 0, done: true }),
            BodyReader::UntilClose => {
                Ok(Fed { consumed: input.len(), data_len: input.len(), done: false })
            }
            BodyReader::Length { left } => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= take as u64;
                Ok(Fed { consumed: take, data_len: take, done: *left == 0 })
            }
            BodyReader::Chunked(decoder) => {
                let d = decoder.feed(input)?;
                Ok(Fed { consumed: d.consumed, data_len: d.data_len, done: d.done })
            }
        }
    }

    /// Reports whether the body is complete.
    #[inline]
    pub fn is_done(&self) -> bool {
        match self {
            BodyReader::None => true,
            BodyReader::Length { left } => *left == 0,
            BodyReader::Chunked(decoder) => decoder.is_done(),
            BodyReader::UntilClose => false,
        }
    }

    /// Handles the end of the connection, which is valid if the body is over or ends with it.
    ///
    /// # Errors
    /// The body is cut short.
    pub fn eof(&self) -> Result<(), Reject> {
        if self.is_done() || matches!(self, BodyReader::UntilClose) {
            Ok(())
        } else {
            Err(rejects::BODY_INCOMPLETE)
        }
    }

    /// Returns the bytes known to come before the next thing to decode: the rest of a length or of
    /// a chunk. They may be spliced without being read.
    pub fn known_left(&self) -> u64 {
        match self {
            BodyReader::Length { left } => *left,
            BodyReader::Chunked(decoder) => decoder.chunk_left(),
            BodyReader::None | BodyReader::UntilClose => 0,
        }
    }

    /// Counts bytes that were moved without being fed; at most [`BodyReader::known_left`] of a
    /// length, else ignored.
    pub fn skip(&mut self, bytes: u64) {
        if let BodyReader::Length { left } = self {
            *left = left.saturating_sub(bytes);
        }
    }

    /// Returns the trailers to forward (CRLF-ended lines); empty unless chunked and done.
    pub fn trailers(&self) -> &[u8] {
        match self {
            BodyReader::Chunked(decoder) => decoder.trailers(),
            _ => b"",
        }
    }
}
