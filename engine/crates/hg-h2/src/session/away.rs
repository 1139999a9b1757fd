//! The end of a connection: GOAWAY in two steps (RFC 9113 §6.8), and what came from the peer.

use super::{Block, Phase, Session, Waiting};
use crate::close::{Close, Code, Reason};
use crate::limits::Role;
use crate::sched::Sched;
use crate::write::Output;

/// The last id of a first GOAWAY: no stream is excluded yet.
const ALL: u32 = 0x7fff_ffff;
/// A connection that used this many ids ends gracefully.
const WORN_OUT: u32 = 1 << 30;
/// The PING whose acknowledgement shows that the peer has read the first GOAWAY.
const OWN_PING: [u8; 8] = *b"hg-drain";

#[derive(Debug)]
pub(super) struct Away {
    /// The highest stream that the peer opened.
    pub last_peer: u32,
    /// The next stream that we open.
    pub next_id: u32,
    /// The last stream of the peer's GOAWAY.
    pub received: Option<u32>,
    /// The last stream of ours.
    sent: Option<u32>,
}

impl Default for Away {
    fn default() -> Self {
        Self { last_peer: 0, next_id: 1, received: None, sent: None }
    }
}

impl Away {
    /// Reports whether our GOAWAY excludes a stream of the peer.
    pub(super) fn is_above_last(&self, id: u32) -> bool {
        self.sent.is_some_and(|last| id > last)
    }

    pub(super) fn is_worn_out(&self) -> bool {
        self.last_peer.max(self.next_id) >= WORN_OUT
    }

    pub(super) fn is_own_ping(&self, data: [u8; 8]) -> bool {
        self.sent == Some(ALL) && data == OWN_PING
    }

    /// Reports whether we may open a stream.
    pub(super) fn is_open(&self) -> bool {
        self.sent.is_none() && self.received.is_none() && !self.is_worn_out()
    }
}

impl Session {
    /// Begins a graceful end: the peer learns that it must open no more streams, those on their way
    /// are served. The session goes on by itself when the peer has read it; the owner calls
    /// [`Session::finish`] if that takes too long.
    pub fn shutdown(&mut self) {
        if self.away.sent.is_some() {
            return;
        }
        if self.role == Role::Client {
            return self.finish();
        }
        self.away.sent = Some(ALL);
        self.out.go_away(ALL, Code::NO_ERROR);
        self.out.ping(OWN_PING, false);
    }

    /// Ends gracefully in one step: streams above the last one that came are not served.
    pub fn finish(&mut self) {
        let last = self.away.last_peer;
        if self.away.sent.is_none_or(|sent| sent > last) {
            self.away.sent = Some(last);
            self.out.go_away(last, Code::NO_ERROR);
        }
    }

    /// Ends the connection because the owner wants it.
    pub fn abort(&mut self, code: Code, reason: Reason) {
        self.fail(Close { code, reason });
    }

    pub(super) fn fail(&mut self, close: Close) {
        if matches!(self.phase, Phase::Failed(_)) {
            return;
        }
        self.phase = Phase::Failed(close);
        let last = self.away.last_peer.min(self.away.sent.unwrap_or(ALL));
        self.out.go_away(last, close.code);
    }

    /// Reports whether a graceful end waits for the peer to have read it.
    pub fn is_draining(&self) -> bool {
        self.away.sent == Some(ALL) && !matches!(self.phase, Phase::Failed(_))
    }

    /// Reports whether the connection is ending, by either side.
    pub fn is_ending(&self) -> bool {
        !self.away.is_open() || matches!(self.phase, Phase::Failed(_))
    }

    /// Reports whether nothing is left to do but to send the output and close.
    pub fn is_done(&self) -> bool {
        let ended = self.away.sent.is_some_and(|last| last != ALL) || self.away.received.is_some();
        matches!(self.phase, Phase::Failed(_)) || (ended && self.streams.len() == 0)
    }

    /// Gives back memory of a connection that is idle; what is needed again grows again.
    pub fn rest(&mut self) {
        if self.streams.len() > 0 || self.block.stream != 0 || !self.output().is_empty() {
            return;
        }
        self.streams.rest();
        self.sched = Sched::default();
        self.out = Output::default();
        self.block = Block::default();
        self.hpack.scratch = Vec::new();
        self.hpack.encoder.rest();
        self.hpack.decoder.rest();
    }

    /// Returns what the session waits for, so that the owner can limit it in time.
    pub fn waiting(&self) -> Waiting {
        match self.phase {
            Phase::Preface | Phase::Settings => Waiting::Greeting,
            Phase::Open if self.block.stream != 0 => Waiting::Block,
            Phase::Open if !self.settings.acked => Waiting::SettingsAck,
            Phase::Open | Phase::Failed(_) => Waiting::Nothing,
        }
    }
}
