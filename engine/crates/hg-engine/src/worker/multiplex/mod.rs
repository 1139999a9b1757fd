//! HTTP/2 towards endpoints: connections of the worker that carry the requests of many clients, each
//! on a stream of its own. The session's protocol is `hg-h2`'s; here are its socket, its exchanges
//! and its time. Requests begin as for HTTP/1: with an endpoint and a head as HTTP/1 text.

mod answer;
mod end;
mod join;
mod pace;
mod read;
mod send;

pub(crate) use join::offer;

use super::Worker;
use super::buffers::{BufferPool, Pending, RESERVE};
use super::exchange::{ExId, Exchange};
use super::up::Up;
use hashbrown::HashMap;
use hg_h2::{Limits, Role, Session, Times, Watch};
use hg_net::Ticks;
use hg_plan::UpstreamProtocol;
use pace::Pace;

/// Streams of one connection as long as its endpoint has never said how many it takes.
const FIRST_STREAMS: usize = 100;
/// Most streams of one connection, whatever its endpoint allows: so many share its fate.
const MOST_STREAMS: usize = 250;
/// The time for which an endpoint may take nothing of what waits for it.
const STALLED_MS: u64 = 30_000;
/// The time that an endpoint that did not answer a request in time may take to answer a PING.
const PROBE_MS: u64 = 5_000;

/// The number of a stream that has ended before its client has taken all of the answer.
const DETACHED: u32 = u32::MAX;

/// The session of a connection to an endpoint.
pub(crate) struct Shared {
    session: Session,
    /// The exchanges of its open streams.
    streams: HashMap<u32, ExId, foldhash::fast::RandomState>,
    /// Exchanges whose answers have news, in the order in which these came.
    ready: Vec<ExId>,
    /// Exchanges that wait for the endpoint's SETTINGS.
    late: Vec<ExId>,
    noted: Noted,
    watch: Watch,
    times: Times,
    pace: Pace,
    /// Most streams until the endpoint's SETTINGS have come.
    first_streams: usize,
    /// The time to give up an endpoint that takes nothing; the far future if nothing waits for it.
    stalled_at: Ticks,
    /// The time to give up an endpoint that was sent a PING; the far future if none was sent.
    probed_until: Ticks,
    /// Connections of its pool above which it is not kept when it is idle.
    most_idle: usize,
}

/// The places where a connection is noted.
#[derive(Default)]
struct Noted {
    /// In the list of those with something to send.
    dirty: bool,
    /// In the queue for the next turn.
    queued: bool,
    /// In the count of idle connections.
    idle: bool,
}

impl Shared {
    fn new((limits, times): (Limits, Times), most_idle: usize, now_ms: u64) -> Self {
        Self {
            session: Session::new(Role::Client, limits),
            streams: HashMap::default(),
            ready: Vec::new(),
            late: Vec::new(),
            noted: Noted::default(),
            watch: Watch::new(now_ms),
            times,
            pace: Pace::new(now_ms),
            first_streams: FIRST_STREAMS,
            stalled_at: Ticks::MAX,
            probed_until: Ticks::MAX,
            most_idle,
        }
    }

    /// Reports whether the endpoint's SETTINGS have come.
    fn is_greeted(&self) -> bool {
        self.session.waiting() != hg_h2::Waiting::Greeting
    }

    /// Reports whether one more request may have a stream.
    fn has_room(&self) -> bool {
        let greeted = self.is_greeted();
        let allowed = self.session.peer().max_concurrent_streams as usize;
        let most = if greeted { allowed.min(MOST_STREAMS) } else { self.first_streams };
        self.session.streams() < most
            && !self.session.is_ending()
            && self.probed_until == Ticks::MAX
    }
}

/// An exchange's place on the connection to its endpoint.
#[derive(Default)]
pub(crate) struct Link {
    /// The time for which the endpoint keeps a connection of HTTP/1 open, if it does.
    pub(crate) keep_ms: Option<u64>,
    /// The stream, if the endpoint may speak HTTP/2.
    pub(crate) stream: Option<Box<UpStream>>,
}

impl Link {
    /// Resets it; keeps small allocations.
    pub(crate) fn recycle(&mut self) -> Self {
        let mut stream = self.stream.take();
        if let Some(s) = stream.as_deref_mut() {
            s.recycle();
        }
        Self { keep_ms: None, stream }
    }
}

/// The part that an exchange has of a connection that it shares.
#[derive(Default)]
pub(crate) struct UpStream {
    /// Its number; 0 as long as it has none.
    id: u32,
    /// The head of the answer that the client has not got, as HTTP/1 text.
    head: Vec<u8>,
    /// Bytes of the answer that the client has not got, after [`RESERVE`] empty ones.
    incoming: Vec<u8>,
    /// True if the end of the answer has come.
    has_ended: bool,
    /// True if it is in the list of those with news.
    is_ready: bool,
    /// Bytes of the request's body that the session has not taken.
    held: Pending,
    /// True if it opens a connection that other exchanges wait for.
    leads: bool,
    /// Exchanges that wait for the connection that it opens.
    followers: Vec<ExId>,
    /// The exchange whose connection it waits for.
    follows: Option<ExId>,
    /// The number of times that an endpoint said that it did not process the request.
    refused: u8,
    /// The number of new connections for which it has waited until they were greeted.
    waits: u8,
    /// The last one of these, and its generation.
    awaited: Option<(usize, u32)>,
}

impl UpStream {
    fn recycle(&mut self) {
        let mut buffers = [std::mem::take(&mut self.head), std::mem::take(&mut self.incoming)];
        for buffer in &mut buffers {
            buffer.clear();
            buffer.shrink_to(4096);
        }
        let [head, incoming] = buffers;
        let (held, mut followers) = (self.held.recycle(), std::mem::take(&mut self.followers));
        followers.clear();
        *self = Self { head, incoming, held, followers, ..Self::default() };
    }

    fn came(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.incoming.resize(self.incoming.len().max(RESERVE), 0);
        self.incoming.extend_from_slice(bytes);
    }

    /// Returns how many bytes of the answer the client has not got.
    fn waiting(&self) -> usize {
        self.incoming.len().saturating_sub(RESERVE)
    }

    /// Returns the memory of the bytes that the client has not got; 0 without any.
    fn memory(&self) -> usize {
        if self.waiting() == 0 { 0 } else { self.incoming.capacity() }
    }

    /// Puts bytes of the answer into an empty buffer, at most so many, after [`RESERVE`] empty ones.
    fn take_body(&mut self, most: usize, body: &mut Vec<u8>) {
        if self.waiting() > most {
            body.resize(RESERVE, 0);
            body.extend(self.incoming.drain(RESERVE..RESERVE + most));
            return;
        }
        std::mem::swap(body, &mut self.incoming);
        body.resize(body.len().max(RESERVE), 0);
    }

    /// Reports whether there is something for the client.
    fn has_news(&self) -> bool {
        self.has_ended || !self.head.is_empty() || self.waiting() > 0
    }
}

impl Exchange {
    /// Reports whether it has a stream of a connection that it shares with others.
    pub(crate) fn is_multiplexed(&self) -> bool {
        self.link.stream.as_deref().is_some_and(|s| s.id != 0)
    }

    /// Reports whether its endpoint may speak HTTP/2. That is the plan's under which the request came:
    /// each of its tries goes by the same one, whatever a reload says.
    pub(crate) fn may_multiplex(&self) -> bool {
        self.entry().is_some_and(|u| u.plan.protocol != UpstreamProtocol::Http1)
    }

    /// Reports whether its connection takes more of the request's body now.
    pub(crate) fn has_room_at(&self, up: &Up) -> bool {
        match self.link.stream.as_deref().filter(|s| s.id != 0) {
            Some(s) => {
                s.held.is_empty() || up.http2.as_deref().is_some_and(|h| h.pace.is_waiting(s.id))
            }
            None => up.conn.out.is_empty(),
        }
    }

    /// Returns the memory of its body that the endpoint's session has not taken.
    pub(crate) fn held_upload(&self) -> usize {
        self.link.stream.as_deref().map_or(0, |s| s.held.memory())
    }

    /// Adds what it holds of its body now, instead of `before`, to the worker's sum.
    fn note_upload(&self, pool: &mut BufferPool, before: usize) {
        pool.note_upload(before, self.held_upload());
    }

    fn up_stream(&mut self) -> &mut UpStream {
        self.link.stream.get_or_insert_default()
    }
}

impl Worker {
    /// Returns the session of a connection.
    fn shared_at(&mut self, ui: usize) -> Option<&mut Shared> {
        self.ups.get_mut(ui)?.http2.as_deref_mut()
    }
}

#[cfg(test)]
mod tests;
