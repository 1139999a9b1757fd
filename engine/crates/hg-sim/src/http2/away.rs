//! The GOAWAY frames of an endpoint.

use super::endpoint::Session;
use super::frame;
use super::stream::Stream;
use crate::world::Cx;
use std::io;

/// The PING that follows the first of two GOAWAY, and the one that follows the last.
pub(super) const FIRST_AWAY: u64 = 0x6177_6179;
pub(super) const LAST_AWAY: u64 = FIRST_AWAY + 1;

impl Session {
    /// Begins a graceful end: no stream above those that have come by then is served.
    pub(super) fn announce(&mut self) {
        self.away = Some(0x7fff_ffff);
        self.link.say_away(0x7fff_ffff, frame::NO_ERROR);
        self.link.ping(FIRST_AWAY);
    }

    pub(super) fn say_away(&mut self, last: u32, code: u32) {
        self.away = Some(last);
        self.link.say_away(last, code);
        self.link.ping(LAST_AWAY);
    }

    /// Says GOAWAY: gracefully, or without notice and for requests that it has begun to read.
    pub(super) fn leave(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        if self.away.is_some() {
            return Ok(());
        }
        if cx.ledger.calm || cx.rng.chance(400) {
            self.announce();
            return Ok(());
        }
        let begun = |s: &Stream| !s.send.held || s.send.done;
        let least = self.link.streams.iter().filter(|(_, s)| begun(s)).map(|(id, _)| *id).max();
        let over = if cx.rng.chance(500) { self.link.last } else { least.unwrap_or(0) };
        // Whatever has ended was served.
        let last = over.max(self.served(least.unwrap_or(0)));
        for (stream, s) in self.link.streams.split_off(&(last + 1)) {
            self.thinks.remove(&stream);
            cx.ledger.turned_back(s.id)?;
            self.link.cut(stream);
        }
        self.say_away(
            last,
            if cx.rng.chance(500) { frame::NO_ERROR } else { frame::INTERNAL_ERROR },
        );
        Ok(())
    }

    /// Returns the highest stream that has ended, or `least` if that is higher.
    fn served(&self, least: u32) -> u32 {
        let mut id = self.link.last;
        while id > least && self.link.streams.contains_key(&id) {
            id = id.saturating_sub(2);
        }
        id.max(least)
    }
}
