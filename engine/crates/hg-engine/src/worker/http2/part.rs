//! One direction of a message on its stream, of either role: what its session takes at once, what waits
//! for windows and turns, and how it ends.

use crate::worker::buffers::Pending;
use hg_h2::{After, NeverIndexed, Refused, Session, lines_of_text};

/// With so much to send already, body bytes wait for their stream's turn.
const DIRECT: usize = 64 * 1024;

/// A part of a body and what is known of the rest.
pub(crate) struct Part<'a> {
    pub(crate) id: u32,
    pub(crate) held: &'a mut Pending,
    /// True if nothing but what is at hand follows.
    pub(crate) is_last: bool,
    /// Lines of HTTP/1 that end the message.
    pub(crate) trailers: &'a [u8],
    /// Those of them that no table may hold.
    pub(crate) never: &'a NeverIndexed,
}

impl Part<'_> {
    /// Gives the session the next bytes; what it does not take is held.
    pub(crate) fn put(self, session: &mut Session, body: &[u8]) -> Result<(), Refused> {
        let Self { id, held, is_last, trailers, never } = self;
        let mut rest = body;
        // An end without bytes takes no room.
        let is_direct = body.is_empty() || session.output().len() < DIRECT;
        if held.is_empty() && is_direct {
            let ends = is_last && trailers.is_empty();
            let after = if ends { After::End } else { After::Later };
            let taken = if body.is_empty() && !ends { 0 } else { session.data(id, body, after)? };
            rest = body.get(taken..).unwrap_or_default();
            if rest.is_empty() && is_last && !trailers.is_empty() {
                return session.send_trailers(id, lines_of_text(trailers, never));
            }
        }
        if !rest.is_empty() {
            held.hold(rest);
            session.want(id);
        }
        Ok(())
    }

    /// Gives the session as many of the bytes held as it granted.
    pub(crate) fn use_grant(self, session: &mut Session, most: usize) -> Result<(), Refused> {
        let Self { id, held, is_last, trailers, never } = self;
        let bytes = held.bytes();
        let n = most.min(bytes.len());
        let is_whole = n == bytes.len();
        let after = match (is_whole, is_whole && is_last && trailers.is_empty()) {
            (_, true) => After::End,
            (true, false) => After::Later,
            (false, false) => After::More,
        };
        let taken = session.data(id, bytes.get(..n).unwrap_or_default(), after)?;
        held.took(taken);
        if is_last && !trailers.is_empty() && held.is_empty() {
            // A stream that is over by now was cut off, and its exchange ends with that event.
            let _ = session.send_trailers(id, lines_of_text(trailers, never));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
