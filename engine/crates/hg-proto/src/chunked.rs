//! Chunked bodies (RFC 9112 §7.1), decoded in place and strictly.

use crate::connection::{is_tchar, is_token, trim};
use crate::known::Known;
use crate::reject::{Reject, rejects};
use crate::syntax::is_value;

/// Extension bytes accepted (and dropped) after one chunk size.
pub const MAX_EXTENSION_BYTES: u16 = 256;
/// Extension bytes accepted in one body: a peer that exceeds it sends extensions, not a body.
const MAX_EXTENSIONS_BYTES: u32 = 16 * 1024;
/// Most bytes of all trailer lines together.
pub const MAX_TRAILER_BYTES: usize = 8 * 1024;
/// Most trailer lines.
pub const MAX_TRAILERS: usize = 32;

/// The outcome of one call of [`ChunkedDecoder::feed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of the input that were used.
    pub consumed: usize,
    /// Body bytes, moved to the front of the input.
    pub data_len: usize,
    /// True if the body and its trailers are over; what follows `consumed` does not belong to them.
    pub done: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a chunk size, after so many digits.
    Size { digits: u8 },
    /// In the extensions of a chunk, after so many bytes of them.
    Extension { len: u16, at: Ext },
    /// After the CR of a size line.
    SizeLf,
    /// In chunk data; `left` says how much.
    Data,
    /// After chunk data.
    DataCr,
    /// After the CR that follows chunk data.
    DataLf,
    /// In a trailer line (which may be the empty last one).
    Trailer,
    /// After the CR of a trailer line.
    TrailerLf,
    /// After the last line.
    Done,
}

/// The position in an extension (RFC 9112 §7.1.1): `; name` or `; name = value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ext {
    /// Before a name.
    Start,
    Name,
    /// In white space after a name.
    NameEnd,
    /// Before a value.
    ValueStart,
    Token,
    Quoted,
    /// After a backslash in a quoted value.
    Escaped,
    /// After a quoted value.
    Closed,
    /// In white space after a value.
    ValueEnd,
}

impl Ext {
    /// Returns the position after one more byte; `None` if the grammar does not allow it.
    fn step(self, b: u8) -> Option<Ext> {
        use Ext::*;
        let is_space = matches!(b, b' ' | b'\t');
        Some(match (self, b) {
            (Quoted, b'"') => Closed,
            (Quoted, b'\\') => Escaped,
            (Quoted | Escaped, _) if is_value(b) => Quoted,
            (Start | ValueStart, _) if is_space => self,
            (Name | NameEnd, _) if is_space => NameEnd,
            (Token | Closed | ValueEnd, _) if is_space => ValueEnd,
            (Start | Name, _) if is_tchar(b) => Name,
            (ValueStart | Token, _) if is_tchar(b) => Token,
            (ValueStart, b'"') => Quoted,
            (Name | NameEnd, b'=') => ValueStart,
            (Name | NameEnd | Token | Closed | ValueEnd, b';') => Start,
            _ => return None,
        })
    }

    /// Reports whether the line may end here.
    fn is_whole(self) -> bool {
        matches!(self, Ext::Name | Ext::Token | Ext::Closed)
    }
}

/// Decodes a chunked body piece by piece. Holds no body bytes; allocates only for trailers.
#[derive(Clone, Debug)]
pub struct ChunkedDecoder {
    state: State,
    left: u64,
    extensions: u32,
    seen: Trailers,
}

/// Trailer lines so far: first those kept, then the one being read.
#[derive(Clone, Debug, Default)]
struct Trailers {
    kept: Vec<u8>,
    line: Vec<u8>,
    bytes: usize,
    lines: usize,
}

impl Default for ChunkedDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl ChunkedDecoder {
    /// Makes a decoder at the start of a body.
    pub fn new() -> Self {
        Self { state: State::Size { digits: 0 }, left: 0, extensions: 0, seen: Trailers::default() }
    }

    /// Takes the next bytes and moves the body bytes among them to the front.
    ///
    /// # Errors
    /// The body is malformed (as a request's reject; see [`Reject::in_response`]); feed no more.
    pub fn feed(&mut self, input: &mut [u8]) -> Result<Decoded, Reject> {
        let (mut at, mut data_len) = (0, 0);
        while self.state != State::Done {
            if self.state == State::Data {
                let there = input.len() - at;
                let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(there);
                if data_len != at {
                    input.copy_within(at..at + take, data_len);
                }
                at += take;
                data_len += take;
                self.left -= take as u64;
                if self.left > 0 {
                    break;
                }
                self.state = State::DataCr;
            }
            let Some(&b) = input.get(at) else { break };
            self.state = self.step(b)?;
            at += 1;
        }
        Ok(Decoded { consumed: at, data_len, done: self.is_done() })
    }

    /// Reports whether the last chunk and its trailers were read.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Returns the bytes still to come of the chunk being read; 0 between chunks.
    pub fn chunk_left(&self) -> u64 {
        self.left
    }

    /// Returns the trailers to forward, as `name: value` lines each ended by CRLF; complete once
    /// the decoder is done. They exclude framing, routing, authentication and hop-by-hop names.
    pub fn trailers(&self) -> &[u8] {
        &self.seen.kept
    }

    fn step(&mut self, b: u8) -> Result<State, Reject> {
        match self.state {
            State::Size { digits } => self.size(b, digits),
            State::Extension { len, at } => self.extension(b, len, at),
            State::SizeLf if b == b'\n' && self.left == 0 => Ok(State::Trailer),
            State::SizeLf if b == b'\n' => Ok(State::Data),
            State::SizeLf => Err(rejects::CHUNK_SIZE),
            State::DataCr if b == b'\r' => Ok(State::DataLf),
            State::DataLf if b == b'\n' => Ok(State::Size { digits: 0 }),
            State::DataCr | State::DataLf => Err(rejects::CHUNK_END),
            State::Trailer if b == b'\r' => Ok(State::TrailerLf),
            State::Trailer => self.seen.push(b).map(|()| State::Trailer),
            State::TrailerLf if b == b'\n' => {
                Ok(if self.seen.end_line()? { State::Done } else { State::Trailer })
            }
            State::TrailerLf => Err(rejects::TRAILER),
            State::Data | State::Done => Ok(self.state),
        }
    }

    fn size(&mut self, b: u8, digits: u8) -> Result<State, Reject> {
        match b {
            b'\r' if digits > 0 => Ok(State::SizeLf),
            b';' if digits > 0 => Ok(State::Extension { len: 0, at: Ext::Start }),
            _ => {
                let digit = char::from(b).to_digit(16).ok_or(rejects::CHUNK_SIZE)?;
                if digits >= 16 {
                    return Err(rejects::CHUNK_SIZE);
                }
                self.left = self.left << 4 | u64::from(digit);
                Ok(State::Size { digits: digits + 1 })
            }
        }
    }

    fn extension(&mut self, b: u8, len: u16, at: Ext) -> Result<State, Reject> {
        if b == b'\r' && at.is_whole() {
            return Ok(State::SizeLf);
        }
        self.extensions += 1;
        if len >= MAX_EXTENSION_BYTES || self.extensions > MAX_EXTENSIONS_BYTES {
            return Err(rejects::CHUNK_EXTENSION);
        }
        let at = at.step(b).ok_or(rejects::CHUNK_EXTENSION)?;
        Ok(State::Extension { len: len + 1, at })
    }
}

impl Trailers {
    fn push(&mut self, b: u8) -> Result<(), Reject> {
        if !is_value(b) {
            return Err(rejects::TRAILER);
        }
        self.bytes += 1;
        if self.bytes > MAX_TRAILER_BYTES {
            return Err(rejects::TRAILER_BYTES);
        }
        self.line.push(b);
        Ok(())
    }

    /// Checks the line that ended and keeps or drops it; returns true for the empty line.
    fn end_line(&mut self) -> Result<bool, Reject> {
        if self.line.is_empty() {
            return Ok(true);
        }
        self.lines += 1;
        self.bytes += 2;
        if self.lines > MAX_TRAILERS {
            return Err(rejects::TRAILER_BYTES);
        }
        let colon = memchr::memchr(b':', &self.line).ok_or(rejects::TRAILER)?;
        let (name, value) = self.line.split_at(colon);
        if !is_token(name) {
            return Err(rejects::TRAILER);
        }
        if !Known::folded(name).is_forbidden_trailer() {
            self.kept.extend_from_slice(name);
            self.kept.extend_from_slice(b": ");
            self.kept.extend_from_slice(trim(value.get(1..).unwrap_or_default()));
            self.kept.extend_from_slice(b"\r\n");
        }
        self.line.clear();
        Ok(false)
    }
}

#[cfg(test)]
mod tests;
