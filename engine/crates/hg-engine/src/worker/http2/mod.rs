//! HTTP/2 towards clients (RFC 9113): one session per connection, one exchange per stream. The
//! session's protocol is `hg-h2`'s; here are its socket, its exchanges and its time.

mod end;
mod flush;
mod part;
mod relief;
mod stream;
mod text;
mod turn;

pub(crate) use end::StreamEnd;
pub(crate) use flush::Dirty;
pub(crate) use part::Part;
pub(crate) use stream::Stream;

use super::Worker;
use super::accept::deadline_after;
use super::client::Phase;
use super::conn::{Read, Session};
use super::exchange::ExId;
use crate::counters::{Bound, Timeout};
use crate::snapshot::{Bounds, Http2Terms};
use hashbrown::HashMap;
use hg_h2::{Due, Event, Incoming, PREFACE, Places, Reason, Role, Times, Watch};
use hg_net::{Clock, Ticks};
use relief::Holding;
use std::ops::Range;
use turn::Allowance;

/// Bytes read at once: some frames of 16 KiB, as many as the windows of a few streams hold.
const READ: usize = 128 * 1024;
/// Bytes of an answer read at once for a stream; what its client does not take of them is kept.
pub(crate) const STREAM_READ: usize = 64 * 1024;
/// The bytes read at once for a stream whose connection, or whose worker, holds enough already.
pub(crate) const STREAM_READ_LEAST: usize = 16 * 1024;
/// The bytes read at once for a stream of which its client takes nothing now.
const STREAM_READ_SHUT: usize = 8 * 1024;
/// Bytes of answers that the clients of a worker may hold before connections are closed that have
/// stalled, or that hold more than their share.
const WORKER_HOLDS: usize = 64 * 1024 * 1024;
/// Bytes that they may hold in any case.
const WORKER_ENDURES: usize = 2 * WORKER_HOLDS;
/// The distance below a bound to which the bytes are brought once they were above it.
const SLACK: usize = WORKER_HOLDS / 16;
/// Bytes that a connection may hold which is slow for a moment.
const FAIR_SHARE: usize = 256 * 1024;
/// Reads in one turn before other connections have theirs.
const TURN: usize = 4;
/// The PING for a client of which nothing came for long.
const ALIVE: [u8; 8] = *b"hg-alive";
/// The time for which a connection has no stream before it gives back the memory that streams need.
const REST_MS: u64 = 2_000;

/// The end of a connection that does not wait for its streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    None,
    /// Its session failed; its client may not have taken the GOAWAY yet.
    Failed,
    /// Its client has gone, and its exchanges are being ended.
    Lost,
}

/// One connection's session.
pub(crate) struct Http2 {
    pub(super) session: hg_h2::Session,
    /// The exchanges of its open streams.
    pub(super) streams: HashMap<u32, ExId, foldhash::fast::RandomState>,
    pub(super) held: Holding,
    /// True if it is in the list of those with something to send.
    dirty: bool,
    /// True if frames that came wait for the next turn.
    has_frames: bool,
    ending: Ending,
    /// The streams that may go to an upstream.
    places: Places,
    watch: Watch,
    times: Times,
    bounds: Bounds,
    /// The time to give up a client that takes nothing; the far future while nothing waits for it.
    stalled_at: Ticks,
    /// The time to give its memory back; the far future while it has streams, 0 once that is done.
    rest_at: Ticks,
}

impl Http2 {
    fn is_lost(&self) -> bool {
        self.ending == Ending::Lost
    }

    /// Reports whether more may be collected than the client takes, where the answer of one stream
    /// may have so many bytes that wait: its memory can be twice that.
    pub(super) fn may_collect(&self, most: usize) -> bool {
        self.held.bytes < self.bounds.answers.max(2 * most)
    }

    /// Gives back the memory that streams need.
    fn rest(&mut self) {
        self.session.rest();
        self.streams = HashMap::default();
        self.places = self.bounds.places();
        self.rest_at = 0;
    }
}

/// Returns the exchanges of streams in the order in which these were opened.
pub(crate) fn in_order<S>(streams: &HashMap<u32, ExId, S>) -> Vec<(u32, ExId)> {
    let mut all: Vec<(u32, ExId)> = streams.iter().map(|(id, x)| (*id, *x)).collect();
    all.sort_unstable_by_key(|(id, _)| *id);
    all
}

/// The relation of the first bytes of a connection to HTTP/2's preface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    Http2,
    /// The bytes so far are a part of the preface.
    Undecided,
    Http1,
}

impl Opening {
    pub(crate) fn of(bytes: &[u8]) -> Opening {
        let n = bytes.len().min(PREFACE.len());
        match bytes.get(..n) == PREFACE.get(..n) {
            false => Opening::Http1,
            true if n < PREFACE.len() => Opening::Undecided,
            true => Opening::Http2,
        }
    }
}

impl Bounds {
    fn places(&self) -> Places {
        Places::new(self.dispatched, self.bodies)
    }

    /// Returns when a client is given up that takes nothing from now on.
    fn stalled_at(&self, now_us: u64) -> Ticks {
        deadline_after(now_us, self.write_ms)
    }
}

impl Worker {
    /// Reports whether the client and we agreed on HTTP/2 in the TLS handshake.
    pub(super) fn has_agreed_on_http2(&self, ci: usize) -> bool {
        match self.clients.get(ci).and_then(|c| c.conn.session()) {
            Some(Session::Server(session)) => session.alpn() == Some(b"h2"),
            _ => false,
        }
    }

    /// Serves HTTP/2 on a connection from now on.
    pub(super) fn start_http2(&mut self, ci: usize) {
        let Some(Http2Terms { limits, times, bounds }) = self.listener(ci).map(|l| l.http2) else {
            return;
        };
        let now_ms = self.now_us / 1000;
        let Some(c) = self.clients.get_mut(ci) else {
            return;
        };
        c.phase = Phase::Http2;
        c.http2 = Some(Box::new(Http2 {
            session: hg_h2::Session::new(Role::Server, limits),
            streams: HashMap::default(),
            held: Holding::default(),
            dirty: false,
            has_frames: false,
            ending: Ending::None,
            places: bounds.places(),
            watch: Watch::new(now_ms),
            times,
            bounds,
            stalled_at: Ticks::MAX,
            rest_at: Ticks::MAX,
        }));
        let is_pinned = c.pinned.is_some();
        self.counters.http2.connections.opened();
        self.mark_dirty(ci);
        if is_pinned || !self.leaving.keeps_alive() {
            self.announce_http2(ci);
        }
        self.rearm_http2(ci, false);
    }

    /// Reads frames while there are any and the client takes what waits for it.
    pub(super) fn read_http2(&mut self, ci: usize) {
        match self.clients.get(ci).and_then(|c| c.http2.as_deref()) {
            Some(h) if h.is_lost() => return self.go_on_losing(ci),
            // What still comes means nothing.
            Some(h) if h.ending == Ending::Failed => return,
            _ => {}
        }
        self.take_kept_frames(ci);
        for _ in 0..TURN {
            let Some(c) = self.clients.get_mut(ci) else {
                return;
            };
            // These come first, and are queued.
            if c.http2.as_deref().is_some_and(|h| h.has_frames) {
                return;
            }
            if !c.conn.readable {
                return;
            }
            if !c.http2.as_deref().is_some_and(|h| h.session.may_read()) {
                return self.counters.http2.bound(Bound::Output);
            }
            let is_tls = c.conn.is_tls();
            let mut buffer = self.io.take_for(&c.conn);
            let read = c.conn.read(&mut self.io, &mut buffer, READ);
            let go_on = match read {
                Ok(Read::Data(range)) => {
                    self.on_frames(ci, &buffer, range);
                    true
                }
                Ok(Read::Blocked) => false,
                Ok(Read::End) | Err(_) => {
                    self.connection_lost(ci);
                    false
                }
            };
            self.io.give_back(is_tls, buffer);
            if !go_on {
                return;
            }
        }
        self.enqueue(ci);
    }

    /// Reports whether frames that came wait for the next turn.
    fn has_frames(&self, ci: usize) -> bool {
        let h = self.clients.get(ci).and_then(|c| c.http2.as_deref());
        h.is_some_and(|h| h.has_frames)
    }

    /// Goes on with frames for which the turns before had no time.
    fn take_kept_frames(&mut self, ci: usize) {
        if self.has_frames(ci)
            && let Some(c) = self.clients.get_mut(ci)
        {
            let mut input = std::mem::take(&mut c.input);
            let used = self.take_frames(ci, &input);
            input.drain(..used.min(input.len()));
            if let Some(c) = self.clients.get_mut(ci).filter(|_| !input.is_empty()) {
                c.input = input;
            }
        }
    }

    /// Takes bytes of a connection; keeps those of a frame that is not whole, and those for which
    /// there is no time in this turn.
    pub(super) fn on_frames(&mut self, ci: usize, buffer: &[u8], range: Range<usize>) {
        let Some(c) = self.clients.get_mut(ci) else {
            return;
        };
        let more = buffer.get(range).unwrap_or_default();
        if c.input.is_empty() {
            let used = self.take_frames(ci, more);
            self.keep_input(ci, more.get(used..).unwrap_or_default());
            return;
        }
        let mut input = std::mem::take(&mut c.input);
        input.extend_from_slice(more);
        let used = self.take_frames(ci, &input);
        self.keep_input(ci, input.get(used..).unwrap_or_default());
    }

    /// Handles whole frames, as many as a turn has time for; returns how many bytes they have.
    fn take_frames(&mut self, ci: usize, bytes: &[u8]) -> usize {
        let mut incoming = std::mem::take(&mut self.scratch.incoming);
        let used = self.each_frame(ci, bytes, &mut incoming);
        self.scratch.incoming = incoming;
        if self.has_frames(ci) {
            self.enqueue(ci);
        }
        self.mark_dirty(ci);
        self.rearm_http2(ci, false);
        used
    }

    fn each_frame(&mut self, ci: usize, bytes: &[u8], incoming: &mut Incoming) -> usize {
        let generation = self.clients.get(ci).map(|c| c.generation);
        let now_ms = self.now_us / 1000;
        let mut at = 0;
        let mut left = Allowance::new(self.now_us);
        if let Some(h) = self.clients.get_mut(ci).and_then(|c| c.http2.as_deref_mut()) {
            h.watch.heard(now_ms);
        }
        loop {
            let c = self.clients.get_mut(ci).filter(|c| Some(c.generation) == generation);
            let Some(h) = c.and_then(|c| c.http2.as_deref_mut()) else {
                return bytes.len();
            };
            if h.is_lost() {
                return bytes.len();
            }
            h.has_frames = at < bytes.len() && left.is_over(|| self.clock.micros());
            if h.has_frames {
                return at;
            }
            match h.session.next(bytes, &mut at, now_ms, incoming) {
                Ok(Some(event)) => {
                    left.spend(&event);
                    self.on_frame(ci, event, bytes, incoming);
                }
                Ok(None) => return at,
                Err(close) => {
                    self.http2_failed(ci, close);
                    return bytes.len();
                }
            }
        }
    }

    fn on_frame(&mut self, ci: usize, event: Event, bytes: &[u8], incoming: &Incoming) {
        match event {
            Event::Head { stream, end, wait_ms } => {
                // Nothing comes back if the request was answered.
                let _ = self.on_stream_head(ci, (stream, end, wait_ms), incoming);
            }
            Event::Refused { .. } => self.counters.http2.bound(Bound::Streams),
            Event::Malformed { stream, fault } => self.on_malformed(ci, stream, fault),
            Event::Data { stream, range, end } => {
                self.on_stream_data(ci, stream, bytes.get(range).unwrap_or_default(), end);
            }
            Event::Trailers { stream } => self.on_stream_trailers(ci, stream, incoming),
            Event::Reset { stream, .. } => self.on_stream_reset(ci, stream),
            // Grants follow from the windows; a client opens no stream of ours.
            Event::Settings | Event::SettingsAcked | Event::GoAway { .. } | Event::Pong(_) => {}
        }
    }

    /// Sets the connection's deadline by what it waits for, at the end of what was done for it.
    pub(super) fn rearm_http2(&mut self, ci: usize, wrote: bool) {
        let now_ms = self.now_us / 1000;
        let idle_until = self.leaving.idle_deadline();
        let rest_at = deadline_after(self.now_us, REST_MS);
        // A connection that closes already has the deadline of that.
        let Some(c) = self.clients.get_mut(ci).filter(|c| c.phase == Phase::Http2) else {
            return;
        };
        let Some(h) = c.http2.as_deref_mut() else {
            return;
        };
        h.watch.turn(&h.session, wrote, now_ms);
        let due = [h.watch.deadline_ms(&h.times), h.places.deadline_ms()];
        let due = due.into_iter().flatten().map(|ms| Clock::after(ms * 1000, 0)).min();
        let (idle_until, rest_at) = match h.streams.is_empty() {
            true if h.rest_at == Ticks::MAX => (idle_until, rest_at),
            true => (idle_until, h.rest_at),
            false => (Ticks::MAX, Ticks::MAX),
        };
        h.rest_at = rest_at;
        let rest_at = if rest_at == 0 { Ticks::MAX } else { rest_at };
        let due = due.unwrap_or(Ticks::MAX).min(h.stalled_at);
        c.deadline = due.min(idle_until).min(rest_at);
        self.arm_client(ci);
    }

    /// Handles a deadline of [`Worker::rearm_http2`].
    pub(super) fn expire_http2(&mut self, ci: usize) {
        let now_ms = self.now_us / 1000;
        let idle_until = self.leaving.idle_deadline();
        let Some(c) = self.clients.get_mut(ci) else {
            return;
        };
        let Some(h) = c.http2.as_deref_mut() else {
            return;
        };
        if h.stalled_at <= self.now {
            self.counters.http2.end(Reason::WriteTimeout);
            return self.connection_lost(ci);
        }
        if h.streams.is_empty() && idle_until <= self.now {
            h.session.finish();
        }
        if h.streams.is_empty() && h.rest_at > 0 && h.rest_at <= self.now {
            h.rest();
            if c.input.is_empty() {
                c.input = Vec::new();
            }
        }
        match h.watch.due(&h.times, now_ms) {
            Due::Nothing => {}
            Due::Finish => h.session.finish(),
            Due::Ping => {
                h.session.ping(ALIVE);
                h.watch.asked(now_ms);
            }
            Due::Shutdown => {
                self.counters.timeout(Timeout::Idle);
                h.session.finish();
            }
            Due::Abort(close) => {
                if close.reason != Reason::PingTimeout {
                    self.counters.timeout(Timeout::Head);
                }
                return self.http2_failed(ci, close);
            }
        }
        self.use_places(ci);
        self.flush_http2(ci);
    }
}

#[cfg(test)]
mod tests;
