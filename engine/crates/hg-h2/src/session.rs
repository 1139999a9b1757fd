//! The state machine of one connection, for both roles: bytes in, events out; commands in, bytes
//! out.

mod away;
mod greet;
mod head;
mod neutral;
mod recv;
mod send;

use crate::close::{Close, Code, Reason};
use crate::decode::Decoder;
use crate::encode::Encoder;
use crate::event::{By, Event};
use crate::fault::Fault;
use crate::flood::{Cheap, Flood};
use crate::flow::{RecvWindow, SendWindow};
use crate::frame::{ACK, HEADER_BYTES, Header, Kind, Wrong};
use crate::limits::{Limits, Role};
use crate::message::Incoming;
use crate::sched::Sched;
use crate::settings::Settings;
use crate::streams::{Half, Stream, Streams};
use crate::write::Output;
use away::Away;
pub use greet::PREFACE;
use greet::local_settings;
pub use send::Line;

/// Window of the connection before any WINDOW_UPDATE.
const FIRST_WINDOW: u32 = 65_535;

/// The progress of the beginning of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Preface,
    Settings,
    Open,
    /// The session failed; it reads nothing more.
    Failed(Close),
}

/// The event that the session waits for, and that its owner limits in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The preface and the first SETTINGS.
    Greeting,
    /// The rest of a header block.
    Block,
    /// The acknowledgement of our SETTINGS.
    SettingsAck,
    /// Nothing.
    Nothing,
}

#[derive(Debug)]
struct Both {
    local: Settings,
    peer: Settings,
    /// The peer acknowledged ours.
    acked: bool,
}

#[derive(Debug)]
struct Hpack {
    decoder: Decoder,
    encoder: Encoder,
    /// Names in lower case and paths on their way into the encoder.
    scratch: Vec<u8>,
}

/// A header block that is not whole yet.
#[derive(Debug, Default)]
struct Block {
    /// Its stream; 0 if there is none.
    stream: u32,
    end: bool,
    bytes: Vec<u8>,
    frames: u32,
    /// Its stream depends on itself.
    is_circular: bool,
}

#[derive(Debug)]
struct Windows {
    send: SendWindow,
    recv: RecvWindow,
    /// The bytes by which the windows of streams may still grow.
    spare: u32,
}

/// One HTTP/2 connection.
///
/// ```
/// use hg_h2::{
///     After, Arrival, Asked, Event, Incoming, Limits, NeverIndexed, RequestLine, Role, Session,
///     lines_of_text,
/// };
/// use hg_proto::{Admission, Lines, Scheme};
///
/// let mut client = Session::new(Role::Client, Limits::client());
/// let mut server = Session::new(Role::Server, Limits::server());
/// let (mut incoming, now_ms) = (Incoming::new(), 0);
///
/// // Towards an endpoint: lines of a head, or of text that was written for HTTP/1.
/// let line = RequestLine {
///     method: "GET",
///     scheme: Scheme::Https,
///     authority: "a.example",
///     path: "/",
///     query: None,
///     websocket: false,
///     never: NeverIndexed::NONE,
/// };
/// let sent = client.send_request(&line, lines_of_text(b"Accept: */*\r\n", line.never), true).unwrap();
///
/// // Towards a client: bytes in, events out; the output is flushed once per turn.
/// let (input, mut at) = (client.output().to_vec(), 0);
/// while let Some(event) = server.next(&input, &mut at, now_ms, &mut incoming).unwrap() {
///     let Event::Head { stream, end, .. } = event else { continue };
///     let mut lines = Lines::new();
///     let arrival = Arrival { admission: Admission::default(), tls: true, end };
///     let head = incoming.message().request(&mut lines, &arrival).unwrap();
///     assert_eq!((head.host, head.path), ("a.example", "/"));
///     let text = b"Content-Type: text/plain\r\nConnection: close\r\n\r\n";
///     server.send_response(stream, 200, lines_of_text(text, NeverIndexed::NONE), false).unwrap();
///     server.want(stream);
///     while let Some(grant) = server.grant() {
///         server.data(grant.stream, b"hello", After::End).unwrap();
///     }
/// }
///
/// let (input, mut at) = (server.output().to_vec(), 0);
/// let mut body = Vec::new();
/// while let Some(event) = client.next(&input, &mut at, now_ms, &mut incoming).unwrap() {
///     match event {
///         Event::Head { end, .. } => {
///             let mut lines = Lines::new();
///             let asked = Asked { is_head: false, websocket: false, end };
///             assert_eq!(incoming.message().response(&mut lines, &asked).status, 200);
///         }
///         Event::Data { stream, range, end } => {
///             body.extend_from_slice(&input[range.clone()]);
///             client.credit(stream, range.len() as u32);
///             assert_eq!((stream, end), (sent, true));
///         }
///         _ => {}
///     }
/// }
/// assert_eq!(body, b"hello");
/// ```
#[derive(Debug)]
pub struct Session {
    role: Role,
    limits: Limits,
    phase: Phase,
    settings: Both,
    streams: Streams,
    hpack: Hpack,
    block: Block,
    window: Windows,
    flood: Flood,
    sched: Sched,
    out: Output,
    away: Away,
}

impl Session {
    /// Begins a connection; the preface and our SETTINGS are in the output.
    pub fn new(role: Role, limits: Limits) -> Self {
        let local = local_settings(role, &limits);
        let mut session = Self {
            role,
            limits,
            phase: if role == Role::Server { Phase::Preface } else { Phase::Settings },
            settings: Both { local, peer: Settings::default(), acked: false },
            streams: Streams::new(if role == Role::Server { limits.streams } else { 0 }),
            hpack: Hpack {
                decoder: Decoder::new(local.header_table_size as usize),
                encoder: Encoder::new(),
                scratch: Vec::new(),
            },
            block: Block::default(),
            window: Windows {
                send: SendWindow::new(FIRST_WINDOW),
                recv: RecvWindow::new(FIRST_WINDOW),
                spare: limits.connection_window,
            },
            flood: Flood::new(limits.budgets),
            sched: Sched::default(),
            out: Output::default(),
            away: Away::default(),
        };
        session.greet();
        session
    }

    /// Reads the next event from `input`, beginning at `at`, which moves behind the frames that were
    /// read. `None` asks for more bytes: the owner keeps those from `at` on, at most one frame of
    /// 16 KiB, and calls again with them in front. However the bytes are cut, the events are the
    /// same. `now_ms` is any clock that does not go back. `incoming` holds the message of
    /// [`Event::Head`] and [`Event::Trailers`]; it may serve many sessions, one after the other.
    ///
    /// # Errors
    /// The connection must be closed once the output, which ends with GOAWAY, is sent.
    pub fn next(
        &mut self,
        input: &[u8],
        at: &mut usize,
        now_ms: u64,
        incoming: &mut Incoming,
    ) -> Result<Option<Event>, Close> {
        if let Phase::Failed(close) = self.phase {
            return Err(close);
        }
        self.flood.refill(now_ms);
        let event = self.advance(input, at, now_ms, incoming);
        if let Err(close) = &event {
            self.fail(*close);
        }
        event
    }

    fn advance(
        &mut self,
        input: &[u8],
        at: &mut usize,
        now_ms: u64,
        incoming: &mut Incoming,
    ) -> Result<Option<Event>, Close> {
        if self.phase == Phase::Preface && !self.preface(input, at)? {
            return Ok(None);
        }
        loop {
            let rest = input.get(*at..).unwrap_or_default();
            let Some((first, rest)) = rest.split_first_chunk::<HEADER_BYTES>() else {
                return Ok(None);
            };
            let header = Header::read(first);
            self.expects(&header)?;
            let checked = header.check(self.settings.local.max_frame_size);
            if let Err(Wrong::Connection(close)) = checked {
                return Err(close);
            }
            let Some(payload) = rest.get(..header.len as usize) else { return Ok(None) };
            let start = *at + HEADER_BYTES;
            *at = start + payload.len();
            let event = match checked {
                Err(Wrong::Stream(code)) => self.stream_error(header.stream, code, None),
                _ => self.frame(&header, (start, payload), now_ms, incoming),
            };
            if event.is_ok() && self.flood.is_warned() {
                self.shutdown();
            }
            if !matches!(event, Ok(None)) {
                return event;
            }
        }
    }

    /// Checks that the frame may come now.
    fn expects(&mut self, header: &Header) -> Result<(), Close> {
        if self.phase == Phase::Settings {
            if header.kind != Kind::Settings || header.has(ACK) {
                return Err(Close::protocol(Reason::NoSettings));
            }
            return Ok(());
        }
        let continues = header.kind == Kind::Continuation;
        let fits = match self.block.stream {
            0 => !continues,
            stream => continues && header.stream == stream,
        };
        if fits { Ok(()) } else { Err(Close::protocol(Reason::Continuation)) }
    }

    fn frame(
        &mut self,
        header: &Header,
        (start, payload): (usize, &[u8]),
        now_ms: u64,
        incoming: &mut Incoming,
    ) -> Result<Option<Event>, Close> {
        match header.kind {
            Kind::Data => self.data_frame(header, payload, start, now_ms),
            Kind::Headers => self.headers_frame(header, payload, now_ms, incoming),
            Kind::Continuation => self.continuation(header, payload, now_ms, incoming),
            Kind::Priority => self.priority_frame(header, payload, now_ms),
            Kind::RstStream => self.rst_stream(header, payload, now_ms),
            Kind::Settings => self.settings_frame(header, payload, now_ms),
            Kind::PushPromise => Err(Close::protocol(Reason::PushPromise)),
            Kind::Ping => self.ping_frame(header, payload, now_ms),
            Kind::GoAway => self.go_away_frame(payload, now_ms),
            Kind::WindowUpdate => self.window_update(header, payload),
            Kind::PriorityUpdate => self.priority_update(payload, now_ms),
            Kind::Unknown(_) => self.flood.cheap(Cheap::Other, now_ms).map(|()| None),
        }
    }

    /// Resets a stream because of what the peer did, and charges it.
    fn stream_error(
        &mut self,
        id: u32,
        code: Code,
        fault: Option<Fault>,
    ) -> Result<Option<Event>, Close> {
        if self.is_idle(id) {
            return Err(Close { code, reason: Reason::IdleStream });
        }
        self.out.reset(id, code);
        self.flood.reset()?;
        if self.cut(id) {
            return Ok(Some(Event::Reset { stream: id, code, by: By::Session(fault) }));
        }
        self.streams.remember(id);
        Ok(None)
    }

    /// Marks a stream as reset; returns false if it was or is not there.
    fn cut(&mut self, id: u32) -> bool {
        let Some(slot) = self.streams.slot(id) else { return false };
        self.sched.remove(slot);
        let Some(stream) = self.streams.at_mut(slot) else { return false };
        stream.wants = false;
        !std::mem::replace(&mut stream.gone, true)
    }

    /// Reports whether the stream was never opened.
    fn is_idle(&self, id: u32) -> bool {
        let ours = id % 2 == 1;
        match self.role {
            Role::Server => !ours || id > self.away.last_peer,
            Role::Client => !ours || id >= self.away.next_id,
        }
    }

    /// Reports whether frames may still come for a stream that is over, because we cut it off. Those of
    /// an endpoint are dropped whatever its stream was: one connection has the requests of many
    /// clients, which may give up any number of them at once.
    fn may_be_late(&self, id: u32) -> bool {
        self.role == Role::Client || self.streams.is_recent(id)
    }

    /// Frees the slot of a stream whose both halves ended.
    fn settle(&mut self, id: u32) {
        let over = |s: &Stream| !s.gone && s.recv == Half::Ended && s.send == Half::Ended;
        if self.streams.get(id).is_some_and(over) {
            self.flood.clean_end();
            self.forget(id);
        }
    }

    fn forget(&mut self, id: u32) {
        if let Some(slot) = self.streams.slot(id) {
            self.sched.remove(slot);
            if let Some(stream) = self.streams.remove(id) {
                self.window.spare += stream.recv_window.grown();
            }
        }
    }

    fn stream(&self, id: u32, recv: Half, send: Half) -> Stream {
        // Until it has acknowledged our SETTINGS a client may use the initial window. An endpoint reads
        // them before any request.
        let is_settled = self.settings.acked || self.role == Role::Client;
        let least = if is_settled { 0 } else { FIRST_WINDOW };
        Stream {
            id,
            recv,
            send,
            gone: false,
            cut_by_peer: false,
            send_window: SendWindow::new(self.settings.peer.initial_window_size),
            recv_window: RecvWindow::new(self.settings.local.initial_window_size.max(least)),
            left: None,
            bodiless: false,
            interims: 0,
            priority: crate::priority::Priority::default(),
            wants: false,
        }
    }
}

#[cfg(test)]
mod tests;
